"""Roles: who may assume them, and for how long."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Id, Number, Str, Text
from haechi.cloud.products.ram.documents import Malformed, parse_policy
from haechi.cloud.products.ram.kinds import LongText, MaxItems, RoleName, conflict, find_named, get_role, marker_page, new_number
from haechi.cloud.products.ram.product import ram
from haechi.cloud.store import Resource

QUOTA = 1000
TrustDocument = Annotated[str, Text(4096, 1, "", "InvalidParameter.AssumeRolePolicyDocument.Length")]
Seconds = Annotated[int, Number(3600, 43200, "InvalidParameter.MaxSessionDuration")]


def role_arn(account: str, role: Resource) -> str:
    """acs:ram::<account>:role/<name>"""
    return f"acs:ram::{account}:role/{role['RoleName']}"


def _check_trust(text: str) -> None:
    try:
        parse_policy(text, True)
    except Malformed as error:
        raise ApiError("MalformedPolicyDocument", f"The assume role policy document is malformed. {error}") from None


def _render(call: Call, r: Resource) -> dict[str, Any]:
    return {
        "RoleId": r.id,
        "RoleName": r["RoleName"],
        "Arn": role_arn(call.runtime.account, r),
        "Description": r["Description"],
        "MaxSessionDuration": r["MaxSessionDuration"],
        "AllowConsoleLogin": False,
        "CreateDate": iso_second(r["CreatedAt"]),
        "UpdateDate": iso_second(r["UpdatedAt"]),
    }


@ram.action("CreateRole", Effect.RECORD)
def create_role(
    call: Call, RoleName: RoleName, AssumeRolePolicyDocument: TrustDocument, Description: LongText = "", MaxSessionDuration: Seconds = 3600
) -> Answer:
    if find_named(call.view, "ram_role", "RoleName", RoleName):
        raise conflict("EntityAlreadyExists.Role", "The role already exists.")
    if len(call.view.find("ram_role")) >= QUOTA:
        raise conflict("LimitExceeded.Role", f"This cloud holds {QUOTA} roles.")
    _check_trust(AssumeRolePolicyDocument)
    data = {
        "RoleName": RoleName,
        "AssumeRolePolicyDocument": AssumeRolePolicyDocument,
        "Description": Description,
        "MaxSessionDuration": MaxSessionDuration,
        "UpdatedAt": call.now(),
    }
    made = call.create("ram_role", "", data, new_number(call, "3"))
    return {"Role": {**_render(call, made), "AssumeRolePolicyDocument": AssumeRolePolicyDocument}}


@ram.action("GetRole", Effect.READ)
def get_role_action(call: Call, RoleName: Id) -> Answer:
    found = get_role(call.view, RoleName)
    more = {
        "AssumeRolePolicyDocument": found["AssumeRolePolicyDocument"],
        "IsServiceLinkedRole": False,
        "RolePrincipalName": f"{found['RoleName']}@role.{call.runtime.account}.onaliyunservice.com",
    }
    return {"Role": {**_render(call, found), **more}}


@ram.action("ListRoles", Effect.READ)
def list_roles(call: Call, Marker: Str = "", MaxItems: MaxItems = 100) -> Answer:
    shown, more = marker_page(call.view.find("ram_role"), Marker, MaxItems, lambda r: r.id)
    return {"Roles": {"Role": [{**_render(call, r), "Tags": {"Tag": []}} for r in shown]}, **more}


@ram.action("UpdateRole", Effect.RECORD)
def update_role(
    call: Call,
    RoleName: Id,
    NewAssumeRolePolicyDocument: TrustDocument = "",
    NewDescription: LongText = "",
    NewMaxSessionDuration: Seconds = 0,
) -> Answer:
    role = get_role(call.view, RoleName)
    if not (NewAssumeRolePolicyDocument or NewMaxSessionDuration or "NewDescription" in call.sent):
        raise missing("NewAssumeRolePolicyDocument")
    changes: dict[str, Any] = {"Description": NewDescription} if "NewDescription" in call.sent else {}
    if NewAssumeRolePolicyDocument:
        _check_trust(NewAssumeRolePolicyDocument)
        changes["AssumeRolePolicyDocument"] = NewAssumeRolePolicyDocument
    if NewMaxSessionDuration:
        changes["MaxSessionDuration"] = NewMaxSessionDuration
    changed = call.tx.change(role, **changes, UpdatedAt=call.now())
    return {"Role": {**_render(call, changed), "AssumeRolePolicyDocument": changed["AssumeRolePolicyDocument"]}}


@ram.action("DeleteRole", Effect.RECORD)
def delete_role(call: Call, RoleName: Id) -> Answer:
    """Only a role without policies; its running sessions lose every permission."""
    role = get_role(call.view, RoleName)
    if call.view.find("ram_attachment", Target="Role", TargetId=role.id):
        raise conflict("DeleteConflict.Role.Policy", "The role still has policies attached.")
    call.tx.delete(role)
    return {}
