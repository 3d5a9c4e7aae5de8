"""Access keys: who signed a request, and may they."""

from __future__ import annotations

from haechi.cloud.acs import Credential
from haechi.cloud.action import Action, Caller
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.store import View


def find_caller(view: View, credential: Credential, account: str) -> tuple[Caller, str]:
    """The caller behind an access key and the secret to check the signature with. Unknown and inactive keys are refused."""
    key = view.get("access_key", credential.access_key)
    if key is None:
        raise not_found("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    if key["Status"] != "Active":
        raise ApiError("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
    if not key["UserName"]:
        return Caller(account, "RootAccount", account, "root", key.id), key["AccessKeySecret"]
    user = next((u for u in view.find("ram_user") if u["UserName"] == key["UserName"]), None)
    if user is None:
        raise not_found("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    return Caller(account, "RAMUser", user.id, user["UserName"], key.id), key["AccessKeySecret"]


def check_permission(view: View, caller: Caller, action: Action, region: str) -> None:
    """Raise Forbidden.RAM when the caller's policies do not allow the action."""
