"""Which policies users, groups and roles have."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import not_found
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Id
from haechi.cloud.products.ram.kinds import conflict, get_group, get_role, get_user
from haechi.cloud.products.ram.policies import PolicyType, get_policy
from haechi.cloud.products.ram.product import ram
from haechi.cloud.products.ram.roles import role_arn
from haechi.cloud.store import Resource

LIMIT = 20  # policies of one user, group or role


def _attach(call: Call, target: str, owner: Resource, type: str, name: str) -> Answer:
    policy = get_policy(call.view, type, name)
    id = f"{target}/{owner.id}/{policy.id}"
    if call.view.get("ram_attachment", id):
        raise conflict(f"EntityAlreadyExists.{target}.Policy", f"The policy is already attached to the {target.lower()}.")
    if len(call.view.find("ram_attachment", Target=target, TargetId=owner.id)) >= LIMIT:
        raise conflict(f"LimitExceeded.{target}.Policy", f"A {target.lower()} has at most {LIMIT} policies.")
    data = {"Target": target, "TargetId": owner.id, "PolicyType": policy["PolicyType"], "PolicyName": policy["PolicyName"]}
    call.create("ram_attachment", "", data, id)
    return {}


def _detach(call: Call, target: str, owner: Resource, type: str, name: str) -> Answer:
    policy = get_policy(call.view, type, name)
    attachment = call.view.get("ram_attachment", f"{target}/{owner.id}/{policy.id}")
    if attachment is None:
        raise not_found(f"EntityNotExist.{target}.Policy", f"The policy is not attached to the {target.lower()}.")
    call.tx.delete(attachment)
    return {}


def _list(call: Call, target: str, owner: Resource) -> Answer:
    rows = []
    for a in call.view.find("ram_attachment", Target=target, TargetId=owner.id):
        policy = get_policy(call.view, a["PolicyType"], a["PolicyName"])
        rows.append(
            {
                "PolicyName": policy["PolicyName"],
                "PolicyType": policy["PolicyType"],
                "Description": policy["Description"],
                "DefaultVersion": policy["DefaultVersion"],
                "AttachDate": iso_second(a["CreatedAt"]),
            }
        )
    return {"Policies": {"Policy": rows}}


@ram.action("AttachPolicyToUser", Effect.RECORD)
def attach_policy_to_user(call: Call, UserName: Id, PolicyType: PolicyType, PolicyName: Id) -> Answer:
    return _attach(call, "User", get_user(call.view, UserName), PolicyType, PolicyName)


@ram.action("DetachPolicyFromUser", Effect.RECORD)
def detach_policy_from_user(call: Call, UserName: Id, PolicyType: PolicyType, PolicyName: Id) -> Answer:
    return _detach(call, "User", get_user(call.view, UserName), PolicyType, PolicyName)


@ram.action("ListPoliciesForUser", Effect.READ)
def list_policies_for_user(call: Call, UserName: Id) -> Answer:
    """Its own, not those of its groups."""
    return _list(call, "User", get_user(call.view, UserName))


@ram.action("AttachPolicyToGroup", Effect.RECORD)
def attach_policy_to_group(call: Call, GroupName: Id, PolicyType: PolicyType, PolicyName: Id) -> Answer:
    return _attach(call, "Group", get_group(call.view, GroupName), PolicyType, PolicyName)


@ram.action("DetachPolicyFromGroup", Effect.RECORD)
def detach_policy_from_group(call: Call, GroupName: Id, PolicyType: PolicyType, PolicyName: Id) -> Answer:
    return _detach(call, "Group", get_group(call.view, GroupName), PolicyType, PolicyName)


@ram.action("ListPoliciesForGroup", Effect.READ)
def list_policies_for_group(call: Call, GroupName: Id) -> Answer:
    return _list(call, "Group", get_group(call.view, GroupName))


@ram.action("AttachPolicyToRole", Effect.RECORD)
def attach_policy_to_role(call: Call, RoleName: Id, PolicyType: PolicyType, PolicyName: Id) -> Answer:
    return _attach(call, "Role", get_role(call.view, RoleName), PolicyType, PolicyName)


@ram.action("DetachPolicyFromRole", Effect.RECORD)
def detach_policy_from_role(call: Call, RoleName: Id, PolicyType: PolicyType, PolicyName: Id) -> Answer:
    return _detach(call, "Role", get_role(call.view, RoleName), PolicyType, PolicyName)


@ram.action("ListPoliciesForRole", Effect.READ)
def list_policies_for_role(call: Call, RoleName: Id) -> Answer:
    return _list(call, "Role", get_role(call.view, RoleName))


@ram.action("ListEntitiesForPolicy", Effect.READ)
def list_entities_for_policy(call: Call, PolicyType: PolicyType, PolicyName: Id) -> Answer:
    policy = get_policy(call.view, PolicyType, PolicyName)
    users: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    roles: list[dict[str, Any]] = []
    for a in call.view.find("ram_attachment", PolicyType=policy["PolicyType"], PolicyName=policy["PolicyName"]):
        when = {"AttachDate": iso_second(a["CreatedAt"])}
        owner = call.view.get(f"ram_{a['Target'].lower()}", a["TargetId"])
        if owner is None:
            continue
        if a["Target"] == "User":
            users.append({"UserId": owner.id, "UserName": owner["UserName"], "DisplayName": owner["DisplayName"], **when})
        elif a["Target"] == "Group":
            groups.append({"GroupName": owner["GroupName"], "Comments": owner["Comments"], **when})
        else:
            named = {"RoleId": owner.id, "RoleName": owner["RoleName"], "Arn": role_arn(call.runtime.account, owner)}
            roles.append({**named, "Description": owner["Description"], **when})
    return {"Users": {"User": users}, "Groups": {"Group": groups}, "Roles": {"Role": roles}}
