"""alicloud_ram_user and alicloud_ram_access_key.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/ram_user
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import changed, sent
from haechi.provider.alicloud.ecs_key_pair import write_secret
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, computed, length, matches, one_of, optional, required
from haechi.provider.types import BOOL

USER: Fields = {
    "name": required(check=lambda v: length(1, 64)(v) or matches(r"^[a-zA-Z0-9_.-]+$")(v)),
    "display_name": optional(check=length(1, 128)),
    "mobile": optional(),
    "email": optional(),
    "comments": optional(),
    "force": optional(BOOL, default=False),
    "create_time": computed(),
}
_SENT = {"DisplayName": "display_name", "MobilePhone": "mobile", "Email": "email", "Comments": "comments"}
_NO_USER = ("EntityNotExist.User",)


def _create_user(cloud: Cloud, d: Data) -> None:
    answer = cloud.call("ram", "CreateUser", {"UserName": d["name"], **sent(d, _SENT)}, timeout=d.timeout)
    d.id = str(answer["User"]["UserId"])


def _find_user(cloud: Cloud, user_id: str) -> dict[str, Any] | None:
    """The user with this id (or, for imports as people know them, this name)."""
    marker: str | None = None
    while True:
        page = cloud.call("ram", "ListUsers", {"MaxItems": 100, "Marker": marker})
        for user in items(page, "Users", "User"):
            if user_id in (str(user.get("UserId")), user.get("UserName")):
                found = cloud.find("ram", "GetUser", {"UserName": user["UserName"]}, _NO_USER)
                return dict(found["User"]) if found else None
        marker = page.get("Marker")
        if not page.get("IsTruncated") or not marker:
            return None


def _read_user(cloud: Cloud, d: Data) -> None:
    user = _find_user(cloud, d.id)
    if user is None:
        d.id = ""
        return
    d.id = str(user["UserId"])
    d.update(
        name=user.get("UserName"),
        display_name=user.get("DisplayName"),
        mobile=user.get("MobilePhone"),
        email=user.get("Email"),
        comments=user.get("Comments"),
        create_time=user.get("CreateDate"),
    )


def _update_user(cloud: Cloud, d: Data) -> None:
    params = changed(d, {"New" + wire: name for wire, name in _SENT.items()})
    if d.changed("name"):
        params["NewUserName"] = d["name"]
    if params:
        cloud.call("ram", "UpdateUser", {"UserName": d.old("name"), "NewUserName": d["name"], **params}, timeout=d.timeout)


def _delete_user(cloud: Cloud, d: Data) -> None:
    user = {"UserName": d["name"]}
    if d["force"]:
        _strip_user(cloud, user)
    cloud.delete("ram", "DeleteUser", user, _NO_USER, ("DeleteConflict.User",), d.timeout)


def _strip_user(cloud: Cloud, user: dict[str, Any]) -> None:
    """Take away what keeps a user from being deleted."""
    for key in items(cloud.find("ram", "ListAccessKeys", user, _NO_USER), "AccessKeys", "AccessKey"):
        cloud.delete("ram", "DeleteAccessKey", {**user, "UserAccessKeyId": key["AccessKeyId"]}, ("EntityNotExist.User.AccessKey",))
    for policy in items(cloud.find("ram", "ListPoliciesForUser", user, _NO_USER), "Policies", "Policy"):
        target = {**user, "PolicyName": policy["PolicyName"], "PolicyType": policy["PolicyType"]}
        cloud.delete("ram", "DetachPolicyFromUser", target, ("EntityNotExist.User.Policy",))
    for group in items(cloud.find("ram", "ListGroupsForUser", user, _NO_USER), "Groups", "Group"):
        cloud.delete("ram", "RemoveUserFromGroup", {**user, "GroupName": group["GroupName"]}, ("EntityNotExist.User.Group",))
    cloud.delete("ram", "DeleteLoginProfile", user, ("EntityNotExist.User.LoginProfile", *_NO_USER))
    cloud.delete("ram", "UnbindMFADevice", user, ("EntityNotExist", "EntityNotExist.User.MFADevice", *_NO_USER))


RAM_USER = Resource(USER, _create_user, _read_user, _delete_user, _update_user, timeouts={"create": 300, "update": 300, "delete": 300})

KEY: Fields = {
    "user_name": optional(force_new=True),
    "secret_file": optional(force_new=True),
    "status": optional(computed=True, check=one_of("Active", "Inactive")),
    "pgp_key": optional(force_new=True),
    "create_time": computed(),
    "secret": computed(sensitive=True),
    "key_fingerprint": computed(),
    "encrypted_secret": computed(),
}


def _create_key(cloud: Cloud, d: Data) -> None:
    if d["pgp_key"]:
        raise Problem(
            "pgp_key is not supported by haechi's provider", "Without it the secret is in the state, marked sensitive.", ("pgp_key",)
        )
    key = cloud.call("ram", "CreateAccessKey", {"UserName": d["user_name"] or None}, timeout=d.timeout)["AccessKey"]
    d.id = key["AccessKeyId"]
    if d["secret_file"]:
        write_secret(Path(d["secret_file"]), json.dumps(key))
    else:
        d["secret"] = key["AccessKeySecret"]
    if d["status"] and d["status"] != "Active":
        _set_status(cloud, d)


def _set_status(cloud: Cloud, d: Data) -> None:
    params = {"UserName": d["user_name"] or None, "UserAccessKeyId": d.id, "Status": d["status"]}
    cloud.call("ram", "UpdateAccessKey", params, timeout=d.timeout)


def _read_key(cloud: Cloud, d: Data) -> None:
    found = items(cloud.find("ram", "ListAccessKeys", {"UserName": d["user_name"] or None}, _NO_USER), "AccessKeys", "AccessKey")
    key = next((k for k in found if k.get("AccessKeyId") == d.id), None)
    if key is None:
        d.id = ""
        return
    d.update(status=key.get("Status"), create_time=key.get("CreateDate"))


def _update_key(cloud: Cloud, d: Data) -> None:
    if d.changed("status"):
        _set_status(cloud, d)


def _delete_key(cloud: Cloud, d: Data) -> None:
    gone = ("EntityNotExist.User.AccessKey", "EntityNotExist.User")
    cloud.delete("ram", "DeleteAccessKey", {"UserName": d["user_name"] or None, "UserAccessKeyId": d.id}, gone, timeout=d.timeout)


def _import_key(given: str) -> dict[str, Any]:
    """`<key id>` or `<key id>:<user name>` (the original takes the id only and finds keys of the caller)."""
    key_id, _, user = given.partition(":")
    if not re.fullmatch(r"\w+", key_id):
        raise Problem(f"{given} is not the id of an access key")
    return {"id": key_id, "user_name": user or None}


RAM_ACCESS_KEY = Resource(
    KEY,
    _create_key,
    _read_key,
    _delete_key,
    _update_key,
    import_id=_import_key,
    timeouts={"create": 300, "update": 300, "delete": 300},
)
