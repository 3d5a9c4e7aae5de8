"""Console logins, multi-factor devices and the account's alias: kept, but there is no console to log in to."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import not_found
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Flag, Id, Text
from haechi.cloud.products.ram.kinds import conflict, get_user
from haechi.cloud.products.ram.product import ram
from haechi.cloud.store import Resource

LIMIT = "there is no console to log in to"
Password = Annotated[str, Text(32, 8, "", "InvalidParameter.Password.Length", secret=True)]
Alias = Annotated[str, Text(50, 3, r"[a-z0-9]+(-[a-z0-9]+)*", "InvalidParameter.AccountAlias.InvalidChars")]


def _hash(password: str) -> str:
    salt = os.urandom(16)
    return "scrypt$" + "$".join(b64encode(b).decode() for b in (salt, hashlib.scrypt(password.encode(), salt=salt, n=1 << 12, r=8, p=1)))


def _render(user: Resource) -> dict[str, Any]:
    profile = user["LoginProfile"]
    return {
        "UserName": user["UserName"],
        "PasswordResetRequired": profile["PasswordResetRequired"],
        "MFABindRequired": profile["MFABindRequired"],
        "CreateDate": iso_second(profile["CreatedAt"]),
    }


def _with_profile(call: Call, name: str) -> Resource:
    user = get_user(call.view, name)
    if not user["LoginProfile"]:
        raise not_found("EntityNotExist.User.LoginProfile", "The login profile does not exist.")
    return user


@ram.action("CreateLoginProfile", Effect.RECORD, limit=LIMIT)
def create_login_profile(
    call: Call, UserName: Id, Password: Password, PasswordResetRequired: Flag = False, MFABindRequired: Flag = False
) -> Answer:
    user = get_user(call.view, UserName)
    if user["LoginProfile"]:
        raise conflict("EntityAlreadyExists.User.LoginProfile", "The login profile already exists.")
    profile = {
        "PasswordHash": _hash(Password),
        "PasswordResetRequired": PasswordResetRequired,
        "MFABindRequired": MFABindRequired,
        "CreatedAt": call.now(),
    }
    return {"LoginProfile": _render(call.tx.change(user, LoginProfile=profile))}


@ram.action("GetLoginProfile", Effect.READ)
def get_login_profile(call: Call, UserName: Id) -> Answer:
    return {"LoginProfile": _render(_with_profile(call, UserName))}


@ram.action("DeleteLoginProfile", Effect.RECORD)
def delete_login_profile(call: Call, UserName: Id) -> Answer:
    call.tx.change(_with_profile(call, UserName), LoginProfile=None)
    return {}


@ram.action("UnbindMFADevice", Effect.RECORD, limit="no device can be bound, so there is none to unbind")
def unbind_mfa_device(call: Call, UserName: Id) -> Answer:
    get_user(call.view, UserName)
    raise not_found("EntityNotExist.User.MFADevice", "The MFA device does not exist.")


@ram.action("GetUserMFAInfo", Effect.READ, limit="no device can be bound, so there is none to show")
def get_user_mfa_info(call: Call, UserName: Id) -> Answer:
    get_user(call.view, UserName)
    raise not_found("EntityNotExist.User.MFADevice", "The MFA device does not exist.")


@ram.action("ListVirtualMFADevices", Effect.READ, limit="no device can be bound, so the list is empty")
def list_virtual_mfa_devices(call: Call) -> Answer:
    return {"VirtualMFADevices": {"VirtualMFADevice": []}}


def _alias(call: Call) -> str:
    stored = call.view.get("ram_account", "alias")
    return stored["AccountAlias"] if stored else call.runtime.account


@ram.action("GetAccountAlias", Effect.READ)
def get_account_alias(call: Call) -> Answer:
    """The account's id when no alias was set."""
    return {"AccountAlias": _alias(call)}


@ram.action("SetAccountAlias", Effect.RECORD, limit=LIMIT)
def set_account_alias(call: Call, AccountAlias: Alias) -> Answer:
    call.create("ram_account", "", {"AccountAlias": AccountAlias}, "alias")
    return {}


@ram.action("ClearAccountAlias", Effect.RECORD)
def clear_account_alias(call: Call) -> Answer:
    stored = call.view.get("ram_account", "alias")
    if stored:
        call.tx.delete(stored)
    return {}
