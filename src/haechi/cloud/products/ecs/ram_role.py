"""The RAM role of an instance."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.paging import page
from haechi.cloud.params import Id, Ids, PageNumber, PageSize, Text
from haechi.cloud.products.ecs.instances import get_instance
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.products.ram.documents import parse_policy, trusts

SERVICE = "ecs.aliyuncs.com"
RoleName = Annotated[str, Text(64, 1, r"[A-Za-z0-9._\-]+", "InvalidRamRole.NotFound")]


def check_role(call: Call, name: str) -> None:
    """Refuse a role that does not exist, or that does not trust ECS; "" passes."""
    if not name:
        return
    role = next((r for r in call.view.find("ram_role") if r["RoleName"] == name), None)
    if role is None:
        raise not_found("InvalidRamRole.NotFound", "The specified RamRoleName does not exist.")
    if not trusts(parse_policy(role["AssumeRolePolicyDocument"], True), [SERVICE], "Service"):
        raise ApiError("InvalidRamRole.NotEcsRole", "The specified ram role is not authorized for ecs, please check your role policy.")


@ecs.action("DescribeInstanceRamRole", Effect.READ)
def describe_instance_ram_role(
    call: Call, InstanceIds: Ids = (), RamRoleName: Id = "", PageNumber: PageNumber = 1, PageSize: PageSize = 10
) -> Answer:
    """The role of each named instance (a row also when it has none), or the instances that have a role."""
    found = [i for i in call.find("instance") if (not InstanceIds or i.id in InstanceIds)]
    found = [i for i in found if (i["RamRoleName"] == RamRoleName if RamRoleName else InstanceIds or i["RamRoleName"])]
    chosen, numbers = page(found, PageNumber, PageSize)
    rows = [{"InstanceId": i.id, "RamRoleName": i["RamRoleName"]} for i in chosen]
    return {"RegionId": call.region, "TotalCount": numbers["TotalCount"], "InstanceRamRoleSets": {"InstanceRamRoleSet": rows}}


@ecs.action("AttachInstanceRamRole", Effect.HOST)
def attach_instance_ram_role(call: Call, InstanceIds: Ids, RamRoleName: RoleName) -> Answer:
    """Give instances a role; one that has a role already is reported in its row."""
    check_role(call, RamRoleName)
    rows: list[dict[str, Any]] = []
    for instance in [get_instance(call, id) for id in InstanceIds]:
        busy = instance["RamRoleName"]
        if not busy:
            call.tx.change(instance, RamRoleName=RamRoleName)
        rows.append(_row(instance.id, "RamRole.AlreadyExist" if busy else "", "The instance has a role already." if busy else ""))
    failed = sum(not r["Success"] for r in rows)
    if failed == len(rows) == 1:
        raise ApiError("OperationDenied.RamRoleAlreadyAttached", "The specified instance already has a RAM role attached.", 403)
    return {
        "TotalCount": len(rows),
        "FailCount": failed,
        "RamRoleName": RamRoleName,
        "AttachInstanceRamRoleResults": {"AttachInstanceRamRoleResult": rows},
    }


@ecs.action("DetachInstanceRamRole", Effect.HOST)
def detach_instance_ram_role(call: Call, InstanceIds: Ids, RamRoleName: Id = "") -> Answer:
    """Take the role of instances away; with RamRoleName only that one."""
    rows: list[dict[str, Any]] = []
    for instance in [get_instance(call, id) for id in InstanceIds]:
        role = instance["RamRoleName"]
        if RamRoleName and role != RamRoleName:
            rows.append(_row(instance.id, "InvalidRamRole.NotFound", "The instance does not have this role."))
        else:
            call.tx.change(instance, RamRoleName="")
            rows.append(_row(instance.id))
        rows[-1]["InstanceRamRoleSets"] = {"InstanceRamRoleSet": [{"InstanceId": instance.id, "RamRoleName": role}]}
    return {
        "TotalCount": len(rows),
        "FailCount": sum(not r["Success"] for r in rows),
        "RamRoleName": RamRoleName,
        "DetachInstanceRamRoleResults": {"DetachInstanceRamRoleResult": rows},
    }


def _row(id: str, code: str = "", message: str = "") -> dict[str, Any]:
    return {"InstanceId": id, "Success": not code, "Code": code or "200", "Message": message or "success"}
