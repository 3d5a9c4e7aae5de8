"""Changing an instance: its attributes, type, groups and network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from haechi.cloud import addresses
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing
from haechi.cloud.params import Boolean, Choice, Flag, Id, Ip, Struct
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instances import (
    GROUPS_OF_AN_INSTANCE,
    check_groups,
    disks_of,
    get_instance,
    get_settled,
    get_type,
    get_vswitch,
    hash_password,
)
from haechi.cloud.products.ecs.kinds import NOTHING
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource

MaybeFlag = Annotated[bool | None, Boolean()]
Category = Annotated[Mapping[str, Any], Struct({"Category": Choice(kinds.CATEGORIES, "InvalidSystemDiskCategory.ValueNotSupported")})]


@ecs.action("ModifyInstanceAttribute", Effect.HOST, limit="jumbo frames, credit specification and recycling are only recorded")
def modify_instance_attribute(
    call: Call,
    InstanceId: Id,
    InstanceName: kinds.InstanceName = "",
    Description: kinds.About = "",
    HostName: kinds.HostName = "",
    Password: kinds.LoginPassword = "",
    UserData: kinds.BootData = "",
    DeletionProtection: MaybeFlag = None,
    SecurityGroupIds: kinds.GroupItems = (),
    CreditSpecification: kinds.Credit = "",
    Recyclable: MaybeFlag = None,
    EnableJumboFrame: MaybeFlag = None,
) -> Answer:
    """Change what was sent; an empty Description or UserData that was sent clears it. Host name and password wait for a restart."""
    instance = get_instance(call, InstanceId)
    if HostName or Password or SecurityGroupIds:
        get_settled(call, InstanceId)
    changes: dict[str, Any] = {
        "InstanceName": InstanceName or None,
        "HostName": HostName or None,
        "PasswordHash": hash_password(Password) or None,
        "DeletionProtection": DeletionProtection,
        "CreditSpecification": CreditSpecification or None,
        "Recyclable": Recyclable,
        "EnableJumboFrame": EnableJumboFrame,
        "Description": Description if "Description" in call.sent else None,
    }
    if "UserData" in call.sent and UserData != instance["UserData"]:
        get_settled(call, InstanceId, "Stopped")
        changes["UserData"] = UserData
    if DeletionProtection and instance["InstanceChargeType"] != "PostPaid":
        raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
    if SecurityGroupIds:
        changes["SecurityGroupIds"] = check_groups(call, SecurityGroupIds, instance["VpcId"])
    call.tx.change(instance, **{k: v for k, v in changes.items() if v is not None})
    return {}


def change_type(call: Call, instance: Resource, type: str, category: str) -> None:
    """Another instance type, and another category of the system disk."""
    if type:
        size = get_type(type)
        call.tx.change(instance, InstanceType=type, Cpu=size.cores, Memory=int(size.memory_gib * 1024))
    if category:
        for disk in disks_of(call.view, instance):
            if disk["Type"] == "system":
                call.tx.change(disk, Category=category, PerformanceLevel="PL1" if category == "cloud_essd" else "")


@ecs.action("ModifyInstanceSpec", Effect.HOST, idempotent=True, limit="temporary bandwidth upgrades and disk categories are only recorded")
def modify_instance_spec(
    call: Call,
    InstanceId: Id,
    InstanceType: Id = "",
    InternetMaxBandwidthOut: kinds.Bandwidth = -1,
    InternetMaxBandwidthIn: kinds.BandwidthIn = 0,
    SystemDisk: Category = NOTHING,
    Async: Flag = False,
    AllowMigrateAcrossZone: Flag = False,
) -> Answer:
    """Another type for a stopped pay-as-you-go instance, or another bandwidth of one in any settled state."""
    instance = get_settled(call, InstanceId, *(("Stopped",) if InstanceType else ()))
    if instance["InstanceChargeType"] != "PostPaid" and InstanceType:
        raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
    if InternetMaxBandwidthOut == 0 and instance["PublicIpAddress"]:
        raise ApiError("InvalidInternetMaxBandwidthOut.ValueNotSupported", "Take the public address away with ModifyInstanceNetworkSpec.")
    if InternetMaxBandwidthOut >= 0:
        instance = call.tx.change(instance, InternetMaxBandwidthOut=InternetMaxBandwidthOut)
    if InternetMaxBandwidthIn:
        instance = call.tx.change(instance, InternetMaxBandwidthIn=InternetMaxBandwidthIn)
    change_type(call, instance, InstanceType, SystemDisk.get("Category", ""))
    return {"OrderId": ""}


@ecs.action("ModifyPrepayInstanceSpec", Effect.HOST, idempotent=True, limit="nothing is charged here")
def modify_prepay_instance_spec(
    call: Call,
    InstanceId: Id,
    InstanceType: Id,
    OperatorType: Annotated[str, Choice(("upgrade", "downgrade"))] = "upgrade",
    SystemDisk: Category = NOTHING,
    AutoPay: Flag = True,
    MigrateAcrossZone: Flag = False,
    RebootWhenFinished: Flag = False,
) -> Answer:
    """Another type for a stopped subscription instance."""
    instance = get_settled(call, InstanceId, "Stopped")
    if instance["InstanceChargeType"] != "PrePaid":
        raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
    change_type(call, instance, InstanceType, SystemDisk.get("Category", ""))
    return {"OrderId": ""}


@ecs.action("ModifyInstanceVpcAttribute", Effect.PACKETS)
def modify_instance_vpc_attribute(
    call: Call,
    InstanceId: Id,
    VSwitchId: Id,
    PrivateIpAddress: Ip = "",
    VpcId: Id = "",
    SecurityGroupId: kinds.GroupItems = (),
) -> Answer:
    """Move a stopped instance to another address, vSwitch of the same zone, or VPC (then with new security groups)."""
    instance = get_settled(call, InstanceId, "Stopped")
    vswitch = get_vswitch(call, VSwitchId)
    vpc = VpcId or instance["VpcId"]
    if vswitch["VpcId"] != vpc:
        raise ApiError("InvalidParameter.Mismatch", "Specified virtual switch is not in the specified VPC.")
    if vswitch["ZoneId"] != instance["ZoneId"]:
        raise ApiError("InvalidParameter.Mismatch", "Specified virtual switch is not in the zone of the instance.")
    moved = vpc != instance["VpcId"]
    if moved and not SecurityGroupId:
        raise missing("SecurityGroupId.1")
    groups = check_groups(call, SecurityGroupId, vpc) if SecurityGroupId else instance["SecurityGroupIds"]
    old = instance["PrivateIpAddress"]
    if vswitch.id == instance["VSwitchId"] and PrivateIpAddress in ("", old):
        call.tx.change(instance, SecurityGroupIds=groups)
        return {}
    if instance["SecondaryPrivateIps"] and vswitch.id != instance["VSwitchId"]:
        raise ApiError("InvalidOperation.SecondaryIpAssigned", "Unassign the secondary private addresses of the instance first.")
    address = addresses.lease_private(call.tx, vswitch, instance.id, PrivateIpAddress)
    addresses.release(call.tx, old, instance["VSwitchId"])
    for eip in call.find("eip", BoundVpcId=instance["VpcId"], BoundPrivateIp=old):
        call.tx.change(eip, BoundVpcId=vpc, BoundPrivateIp=address)
    call.tx.change(instance, VpcId=vpc, VSwitchId=vswitch.id, PrivateIpAddress=address, SecurityGroupIds=groups)
    return {}


def _member(call: Call, instance: str, interface: str) -> Resource:
    """The instance that joins or leaves, named by itself or by its interface."""
    if bool(instance) == bool(interface):
        raise missing("InstanceId") if not instance else ApiError("InvalidParam.Conflict", "Name an instance or an interface, not both.")
    if interface:
        owner = next(iter(call.find("instance", NetworkInterfaceId=interface)), None)
        instance = owner.id if owner is not None else ""
    return get_settled(call, instance)


@ecs.action("JoinSecurityGroup", Effect.PACKETS)
def join_security_group(call: Call, SecurityGroupId: Id, InstanceId: Id = "", NetworkInterfaceId: Id = "") -> Answer:
    """Add an instance to a group."""
    instance = _member(call, InstanceId, NetworkInterfaceId)
    check_groups(call, [SecurityGroupId], instance["VpcId"])
    groups = instance["SecurityGroupIds"]
    if SecurityGroupId in groups:
        raise ApiError("InvalidInstanceId.AlreadyExists", "The specified instance already exists in the specified security group.", 403)
    if len(groups) >= GROUPS_OF_AN_INSTANCE:
        raise ApiError("InstanceSecurityGroupLimitExceeded", "Exceeding the allowed amount of security groups that an instance can be in.")
    call.tx.change(instance, SecurityGroupIds=[*groups, SecurityGroupId])
    return {}


@ecs.action("LeaveSecurityGroup", Effect.PACKETS)
def leave_security_group(call: Call, SecurityGroupId: Id, InstanceId: Id = "", NetworkInterfaceId: Id = "") -> Answer:
    """Take an instance out of a group; one it keeps."""
    instance = _member(call, InstanceId, NetworkInterfaceId)
    check_groups(call, [SecurityGroupId], instance["VpcId"])
    groups = [g for g in instance["SecurityGroupIds"] if g != SecurityGroupId]
    if len(groups) == len(instance["SecurityGroupIds"]):
        raise ApiError("InstanceNotInSecurityGroup", "The instance not in the group.", 403)
    if not groups:
        raise ApiError("InstanceLastSecurityGroup", "Not allowed to leave the last security group.", 403)
    call.tx.change(instance, SecurityGroupIds=groups)
    return {}
