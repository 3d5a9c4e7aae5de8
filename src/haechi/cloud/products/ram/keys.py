"""Access keys of users and of the account itself."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid, not_found
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Choice, Id
from haechi.cloud.products.ram.access import last_used
from haechi.cloud.products.ram.kinds import conflict, get_user
from haechi.cloud.products.ram.product import ram
from haechi.cloud.store import Resource

USER_LIMIT, ROOT_LIMIT = 2, 5
Status = Annotated[str, Choice(("Active", "Inactive"), "InvalidParameter.Status")]


def _owner(call: Call, name: str) -> str:
    """The user whose keys are meant, "" for the account: the one named, else the caller."""
    if name:
        owner: str = get_user(call.view, name)["UserName"]
        return owner
    if call.caller.kind == "AssumedRole":
        raise invalid("UserName", "A role has no access keys: name a user.", "InvalidParameter.UserName")
    return call.caller.name if call.caller.kind == "RAMUser" else ""


def _get_key(call: Call, name: str, id: str) -> Resource:
    owner = _owner(call, name)
    key = call.view.get("access_key", id)
    if key is None or key["UserName"] != owner:
        raise not_found("EntityNotExist.User.AccessKey", "The AccessKey does not exist.")
    return key


def _render(key: Resource) -> dict[str, Any]:
    return {"AccessKeyId": key.id, "Status": key["Status"], "CreateDate": iso_second(key["CreatedAt"])}


@ram.action("CreateAccessKey", Effect.RECORD)
def create_access_key(call: Call, UserName: Id = "") -> Answer:
    """The only answer that ever holds the secret."""
    owner = _owner(call, UserName)
    limit = USER_LIMIT if owner else ROOT_LIMIT
    if len(call.view.find("access_key", UserName=owner)) >= limit:
        raise conflict("LimitExceeded.User.AccessKey", f"The count of AccessKeys is beyond its limit of {limit}.")
    secret = call.store.token(30)
    data = {"AccessKeySecret": secret, "Status": "Active", "UserName": owner, "CreatedAt": call.now()}
    key = call.tx.put("access_key", f"LTAI5t{call.store.token(18)}", "", data)
    return {"AccessKey": {**_render(key), "AccessKeySecret": secret}}


@ram.action("ListAccessKeys", Effect.READ)
def list_access_keys(call: Call, UserName: Id = "") -> Answer:
    found = call.view.find("access_key", UserName=_owner(call, UserName))
    return {"AccessKeys": {"AccessKey": [_render(k) for k in found]}}


@ram.action("UpdateAccessKey", Effect.RECORD)
def update_access_key(call: Call, UserAccessKeyId: Id, Status: Status, UserName: Id = "") -> Answer:
    call.tx.change(_get_key(call, UserName, UserAccessKeyId), Status=Status)
    return {}


@ram.action("DeleteAccessKey", Effect.RECORD)
def delete_access_key(call: Call, UserAccessKeyId: Id, UserName: Id = "") -> Answer:
    call.tx.delete(_get_key(call, UserName, UserAccessKeyId))
    return {}


@ram.action("GetAccessKeyLastUsed", Effect.READ, limit="uses since the server started")
def get_access_key_last_used(call: Call, UserAccessKeyId: Id, UserName: Id = "") -> Answer:
    used = last_used(_get_key(call, UserName, UserAccessKeyId).id)
    return {"AccessKeyLastUsed": {"LastUsedDate": iso_second(used) if used else "N/A"}}
