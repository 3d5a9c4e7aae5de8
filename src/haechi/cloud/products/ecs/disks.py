"""Disks: read, created, attached, detached, deleted. Data disks are records; the guest sees no block device."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud import regions
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.paging import has_tags, iso_second, tag_dict
from haechi.cloud.params import Boolean, Choice, Flag, Id, Ids, Items, Number, PageNumber, PageSize, Tags, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.disk_making import add_disk, free_device
from haechi.cloud.products.ecs.instance_read import Filters
from haechi.cloud.products.ecs.instances import get_settled
from haechi.cloud.products.ecs.listing import made_between, name_matches, paged, render_tags
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource

RECORD = "no block device appears in the guest"
MaybeFlag = Annotated[bool | None, Boolean()]
STATES = ("In_use", "Available", "Attaching", "Detaching", "Creating", "ReIniting", "All")


def get_disk(call: Call, id: str) -> Resource:
    disk = call.get("disk", id)
    if disk is None:
        raise not_found("InvalidDiskId.NotFound", "The specified disk does not exist.")
    return disk


def iops(disk: Resource) -> int:
    """What the vendor says a disk of this category and size does."""
    size = disk["Size"]
    ways = {
        "cloud": 300,
        "cloud_efficiency": min(5000, 1800 + 8 * size),
        "cloud_ssd": min(25000, 1800 + 30 * size),
        "cloud_essd_entry": min(6000, 1800 + 8 * size),
        "cloud_auto": min(50000, 1800 + 50 * size) + disk["ProvisionedIops"],
        "cloud_essd": min({"PL0": 10000, "PL1": 50000, "PL2": 100000, "PL3": 1000000}[disk["PerformanceLevel"] or "PL1"], 1800 + 50 * size),
    }
    return int(ways[disk["Category"]])


@ecs.action("DescribeDisks", Effect.READ)
def describe_disks(
    call: Call,
    DiskIds: Ids = (),
    InstanceId: Id = "",
    DiskType: Annotated[str, Choice(("all", "system", "data"))] = "all",
    Category: Annotated[str, Choice(("all", *kinds.CATEGORIES), "InvalidDiskCategory.ValueNotSupported")] = "all",
    Status: Annotated[str, Choice(STATES)] = "All",
    DiskName: Annotated[str, Text(128)] = "",
    ZoneId: Id = "",
    SnapshotId: Id = "",
    Portable: MaybeFlag = None,
    DeleteWithInstance: MaybeFlag = None,
    DeleteAutoSnapshot: MaybeFlag = None,
    EnableAutoSnapshot: MaybeFlag = None,
    EnableAutomatedSnapshotPolicy: MaybeFlag = None,
    Encrypted: MaybeFlag = None,
    EnableShared: MaybeFlag = None,
    MultiAttach: Annotated[str, Choice(("Disabled", "Enabled", "LegacyShared"))] = "",
    DiskChargeType: kinds.ChargeType = "",
    AutoSnapshotPolicyId: Id = "",
    KMSKeyId: Id = "",
    LockReason: Annotated[str, Text(64)] = "",
    ResourceGroupId: Id = "",
    AdditionalAttributes: Annotated[tuple[str, ...], Items(Text(64), 20)] = (),
    Filter: Filters = (),
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    MaxResults: Annotated[int, Number(1, 500)] = 0,
    NextToken: Annotated[str, Text(1024)] = "",
) -> Answer:
    """Disks that match every filter."""
    equal: dict[str, Any] = {
        "InstanceId": InstanceId,
        "Type": "" if DiskType == "all" else DiskType,
        "Category": "" if Category == "all" else Category,
        "Status": "" if Status == "All" else Status,
        "ZoneId": ZoneId,
        "SourceSnapshotId": SnapshotId,
        "MultiAttach": MultiAttach,
        "ResourceGroupId": ResourceGroupId,
    }
    flags = {
        "DeleteWithInstance": DeleteWithInstance,
        "DeleteAutoSnapshot": DeleteAutoSnapshot,
        "EnableAutoSnapshot": EnableAutoSnapshot,
        "Encrypted": Encrypted,
    }
    wanted = {k: v for k, v in equal.items() if v} | {k: v for k, v in flags.items() if v is not None}
    found = [d for d in call.find("disk", **wanted) if not DiskIds or d.id in DiskIds]
    if DiskName:
        found = [d for d in found if name_matches(d["DiskName"], DiskName)]
    if Portable is not None:
        found = [d for d in found if (d["Type"] == "data") == Portable]
    if AutoSnapshotPolicyId or KMSKeyId or LockReason or EnableShared or EnableAutomatedSnapshotPolicy or DiskChargeType == "PrePaid":
        found = []  # no disk has these here
    found = [d for d in found if has_tags(d, Tag) and made_between(d, Filter)]
    found.reverse()  # newest first
    chosen, numbers = paged(found, PageNumber, PageSize, MaxResults, NextToken)
    return {**numbers, "Disks": {"Disk": [_render(d) for d in chosen]}}


def _render(d: Resource) -> dict[str, Any]:
    """BurstingEnabled only when it was set, ProvisionedIops 0 when unset: clients take them for the user's."""
    attached = [{"InstanceId": d["InstanceId"], "Device": d["Device"], "AttachedTime": d["AttachedTime"]}] if d["InstanceId"] else []
    rate = iops(d)
    row = {
        "DiskId": d.id,
        "DiskName": d["DiskName"],
        "Description": d["Description"],
        "RegionId": d.region,
        "ZoneId": d["ZoneId"],
        "Type": d["Type"],
        "Category": d["Category"],
        "PerformanceLevel": d["PerformanceLevel"],
        "Size": d["Size"],
        "Status": d["Status"],
        "InstanceId": d["InstanceId"],
        "Device": d["Device"],
        "ImageId": d["ImageId"],
        "SourceSnapshotId": d["SourceSnapshotId"],
        "SourceDiskId": "",
        "ProductCode": "",
        "Portable": d["Type"] == "data",
        "DeleteWithInstance": d["DeleteWithInstance"],
        "DeleteAutoSnapshot": d["DeleteAutoSnapshot"],
        "EnableAutoSnapshot": d["EnableAutoSnapshot"],
        "EnableAutomatedSnapshotPolicy": False,
        "AutoSnapshotPolicyId": "",
        "Encrypted": d["Encrypted"],
        "KMSKeyId": "",
        "DiskChargeType": "PostPaid",
        "ExpiredTime": "2999-09-08T16:00Z",
        "CreationTime": iso_second(d["CreatedAt"]),
        "AttachedTime": d["AttachedTime"],
        "DetachedTime": d["DetachedTime"],
        "ResourceGroupId": d["ResourceGroupId"],
        "SerialNumber": d["SerialNumber"],
        "IOPS": rate,
        "IOPSRead": rate,
        "IOPSWrite": rate,
        "Throughput": min(350, 120 + d["Size"] // 2),
        "ThroughputRead": min(350, 120 + d["Size"] // 2),
        "ThroughputWrite": min(350, 120 + d["Size"] // 2),
        "ProvisionedIops": d["ProvisionedIops"],
        "MultiAttach": d["MultiAttach"],
        "MountInstanceNum": len(attached),
        "BdfId": "",
        "StorageSetId": "",
        "StorageSetPartitionNumber": 0,
        "StorageClusterId": "",
        "Attachments": {"Attachment": attached},
        "MountInstances": {"MountInstance": attached},
        "OperationLocks": {"OperationLock": []},
        "Placement": {"ZoneIds": ""},
        "Tags": render_tags(d),
    }
    return row if d["BurstingEnabled"] is None else {**row, "BurstingEnabled": d["BurstingEnabled"]}


@ecs.action("CreateDisk", Effect.RECORD, idempotent=True, limit=RECORD)
def create_disk(
    call: Call,
    ZoneId: Id = "",
    InstanceId: Id = "",
    Size: Annotated[int, Number(1, 65536, "InvalidDataDiskSize.ValueNotSupported")] = 0,
    SnapshotId: Id = "",
    DiskCategory: Annotated[str, Choice(kinds.CATEGORIES, "InvalidDiskCategory.ValueNotSupported")] = "cloud_efficiency",
    PerformanceLevel: Annotated[str, Choice(kinds.LEVELS, "InvalidPerformanceLevel.Malformed")] = "PL1",
    DiskName: kinds.DiskName = "",
    Description: kinds.About = "",
    Encrypted: Flag = False,
    KMSKeyId: Id = "",
    ProvisionedIops: Annotated[int, Number(0, 50000)] = 0,
    BurstingEnabled: MaybeFlag = None,
    MultiAttach: Annotated[str, Choice(("Disabled", "Enabled"))] = "Disabled",
    StorageSetId: Id = "",
    StorageClusterId: Id = "",
    ResourceGroupId: Id = "",
    Tag: Tags = (),
) -> Answer:
    """A data disk in a zone, or attached to an instance at once."""
    if not ZoneId and not InstanceId:
        raise missing("ZoneId")
    if ZoneId and InstanceId:
        raise ApiError("InvalidParameter.Conflict", "ZoneId and InstanceId cannot both be specified.")
    if ZoneId and ZoneId not in regions.zones(call.region):
        raise not_found("InvalidZoneId.NotFound", "The zoneId provided does not exist in our records.")
    instance = get_settled(call, InstanceId) if InstanceId else None
    disk = {
        "Type": "data",
        "ZoneId": ZoneId,
        "Size": Size,
        "SnapshotId": SnapshotId,
        "Category": DiskCategory,
        "PerformanceLevel": PerformanceLevel,
        "DiskName": DiskName,
        "Description": Description,
        "Encrypted": Encrypted,
        "KMSKeyId": KMSKeyId,
        "ProvisionedIops": ProvisionedIops,
        "BurstingEnabled": BurstingEnabled,
        "MultiAttach": MultiAttach,
        "StorageClusterId": StorageClusterId,
        "ResourceGroupId": ResourceGroupId,
    }
    return {"DiskId": add_disk(call, disk, instance, "", tag_dict(Tag)).id, "OrderId": ""}


@ecs.action("AttachDisk", Effect.RECORD, limit=RECORD)
def attach_disk(
    call: Call,
    DiskId: Id,
    InstanceId: Id,
    Device: Annotated[str, Text(32, 0, r"/dev/xvd[b-z]", "InvalidDevice.Malformed")] = "",
    DeleteWithInstance: Flag = False,
    Bootable: Flag = False,
    Force: Flag = False,
) -> Answer:
    """Attach an available data disk to an instance of its zone."""
    instance, disk = get_settled(call, InstanceId), get_disk(call, DiskId)
    if disk["Status"] != "Available":
        raise ApiError("IncorrectDiskStatus", "The current disk status does not support this operation.", 403)
    if disk["ZoneId"] != instance["ZoneId"]:
        raise ApiError("ResourcesNotInSameZone", "The specified instance and disk are not in the same zone.", 403)
    if Bootable:
        raise ApiError("InvalidParameter.Bootable", "A disk cannot be attached as system disk; see ReplaceSystemDisk.")
    call.tx.change(
        disk,
        InstanceId=instance.id,
        Device=free_device(call, instance, Device),
        Status="In_use",
        DeleteWithInstance=DeleteWithInstance,
        AttachedTime=iso_second(call.now()),
        DetachedTime="",
    )
    return {}


@ecs.action("DetachDisk", Effect.RECORD, limit=RECORD)
def detach_disk(call: Call, DiskId: Id, InstanceId: Id, DeleteWithInstance: Flag = False) -> Answer:
    """Detach a data disk from its instance."""
    instance, disk = get_settled(call, InstanceId), get_disk(call, DiskId)
    if disk["InstanceId"] != instance.id:
        raise ApiError("DependencyViolation.NotAttached", "The specified disk has not been attached on the specified instance.", 403)
    if disk["Type"] == "system":
        raise ApiError("DiskNotPortable", "The specified disk is not a portable disk.", 403)
    call.tx.change(disk, InstanceId="", Device="", Status="Available", AttachedTime="", DetachedTime=iso_second(call.now()))
    return {}


@ecs.action("DeleteDisk", Effect.RECORD, limit=RECORD)
def delete_disk(call: Call, DiskId: Id) -> Answer:
    """Delete an available disk."""
    disk = get_disk(call, DiskId)
    if disk["Status"] != "Available":
        raise ApiError("IncorrectDiskStatus", "The current disk status does not support this operation.", 403)
    call.tx.delete(disk)
    return {}
