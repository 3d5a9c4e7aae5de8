"""Who signed a request, and may they. The gateway asks on every call.

A user with no policy at all, neither its own nor a group's, may do everything: in the public cloud it may do nothing. That keeps a
key usable that was made for a tool without a thought for policies; the first policy attached ends it. Sessions of a role have only
what the role's policies allow, as in the public cloud. The account itself may do everything.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable

from haechi.cloud.acs import Credential
from haechi.cloud.action import Action, Caller
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.products.ram.documents import Policy, decide, parse_policy
from haechi.cloud.products.ram.policies import default_document, get_policy
from haechi.cloud.store import Resource, View

FREE = frozenset([("sts", "GetCallerIdentity"), ("location", "DescribeEndpoints")])  # need no permission
_used: dict[str, float] = {}


def last_used(access_key: str) -> float:
    """When a key last made a call that was not refused for its signature, in epoch seconds; 0.0 when not since the start."""
    return _used.get(access_key, 0.0)


def find_caller(view: View, credential: Credential, account: str, now: float) -> tuple[Caller, str]:
    """The caller behind an access key and the secret to check the signature with. Unknown, inactive and expired keys are refused."""
    key = view.get("access_key", credential.access_key)
    if key is None:
        return _find_session(view, credential, account, now)
    if key["Status"] != "Active":
        raise ApiError("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
    if credential.token:
        raise ApiError("InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey.")
    if not key["UserName"]:
        return Caller(account, "RootAccount", account, "root", key.id), key["AccessKeySecret"]
    user = next((u for u in view.find("ram_user") if u["UserName"] == key["UserName"]), None)
    if user is None:
        raise not_found("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    return Caller(account, "RAMUser", user.id, user["UserName"], key.id), key["AccessKeySecret"]


def _find_session(view: View, credential: Credential, account: str, now: float) -> tuple[Caller, str]:
    """The caller behind a temporary key of STS, which counts only with its SecurityToken and until its time is over."""
    key = view.get("sts_credential", credential.access_key)
    if key is None:
        raise not_found("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    if not credential.token:
        raise ApiError("MissingSecurityToken", "SecurityToken is mandatory for this action.")
    if not hmac.compare_digest(key["SecurityToken"].encode(), credential.token.encode()):
        raise ApiError("InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey.")
    if now >= key["Expires"]:
        raise ApiError("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
    session = key["SessionName"]
    return (
        Caller(account, "AssumedRole", f"{key['RoleId']}:{session}", f"{key['RoleName']}/{session}", key.id),
        key["AccessKeySecret"],
    )


def check_permission(view: View, caller: Caller, action: Action, region: str) -> None:
    """Raise Forbidden.RAM (NoPermission for the ram and sts products) when the caller's policies do not allow the action."""
    if caller.kind != "AssumedRole":
        _used[caller.access_key] = time.time()
    if caller.kind == "RootAccount" or (action.product, action.name) in FREE:
        return
    if caller.kind == "RAMUser":
        attached = _user_attachments(view, caller.id)
        allowed = not attached or _decide(view, attached, caller, action, region)
    else:
        session = view.get("sts_credential", caller.access_key)
        role = caller.id.partition(":")[0]
        allowed = (
            session is not None
            and _decide(view, view.find("ram_attachment", Target="Role", TargetId=role), caller, action, region)
            and (not session["Policy"] or decide([parse_policy(session["Policy"])], action.product, action.name, region, caller.account))
        )
    if not allowed:
        if action.product in ("ram", "sts"):
            raise ApiError("NoPermission", "You are not authorized to do this action. You should be authorized by RAM.", 403)
        raise ApiError("Forbidden.RAM", "User not authorized to operate on the specified resource, or this API doesn't support RAM.", 403)


def _user_attachments(view: View, user: str) -> list[Resource]:
    groups = {m["GroupId"] for m in view.find("ram_member", UserId=user)}
    return [
        a
        for a in view.find("ram_attachment")
        if (a["Target"] == "User" and a["TargetId"] == user) or (a["Target"] == "Group" and a["TargetId"] in groups)
    ]


def _decide(view: View, attachments: Iterable[Resource], caller: Caller, action: Action, region: str) -> bool:
    policies: list[Policy] = [parse_policy(default_document(get_policy(view, a["PolicyType"], a["PolicyName"]))) for a in attachments]
    return decide(policies, action.product, action.name, region, caller.account)
