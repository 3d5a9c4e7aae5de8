"""Disks: resized, renamed, moved to another category."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing, not_found
from haechi.cloud.params import Choice, Id, Ids, Number
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.disk_making import sizes
from haechi.cloud.products.ecs.disks import RECORD, MaybeFlag, get_disk
from haechi.cloud.products.ecs.instances import get_settled
from haechi.cloud.products.ecs.product import ecs

Category = Annotated[str, Choice(("cloud_essd", "cloud_auto", "cloud_ssd", "cloud_efficiency"), "InvalidDiskCategory.ValueNotSupported")]
Level = Annotated[str, Choice(kinds.LEVELS, "InvalidPerformanceLevel.Malformed")]


@ecs.action("ResizeDisk", Effect.RECORD, idempotent=True, limit="the guest sees the same disk as before")
def resize_disk(
    call: Call,
    DiskId: Id,
    NewSize: Annotated[int, Number(1, 65536, "InvalidDiskSize.ValueNotSupported")],
    Type: Annotated[str, Choice(("offline", "online"))] = "offline",
) -> Answer:
    """Make a disk larger, in GiB; smaller is refused."""
    disk = get_disk(call, DiskId)
    if disk["InstanceId"]:
        get_settled(call, disk["InstanceId"])
    if NewSize < disk["Size"]:
        raise ApiError("InvalidDiskSize.TooSmall", "Specified disk size is less than the original disk size.", 403)
    if NewSize > sizes(disk["Category"], disk["PerformanceLevel"], disk["Type"] == "system")[1]:
        raise invalid("NewSize", "It is beyond what disks of this category have.", "InvalidDiskSize.ValueNotSupported")
    call.tx.change(disk, Size=NewSize)
    return {"OrderId": ""}


@ecs.action("ModifyDiskAttribute", Effect.RECORD, limit=RECORD)
def modify_disk_attribute(
    call: Call,
    DiskId: Id = "",
    DiskIds: kinds.IdItems = (),
    DiskName: kinds.DiskName = "",
    Description: kinds.About = "",
    DeleteWithInstance: MaybeFlag = None,
    DeleteAutoSnapshot: MaybeFlag = None,
    EnableAutoSnapshot: MaybeFlag = None,
    BurstingEnabled: MaybeFlag = None,
) -> Answer:
    """Change what was sent, of one disk or of several; an empty DiskName or Description that was sent clears it."""
    ids = [DiskId] if DiskId else list(DiskIds)
    if not ids:
        raise missing("DiskId")
    changes: dict[str, Any] = {
        "DiskName": DiskName if "DiskName" in call.sent else None,
        "Description": Description if "Description" in call.sent else None,
        "DeleteWithInstance": DeleteWithInstance,
        "DeleteAutoSnapshot": DeleteAutoSnapshot,
        "EnableAutoSnapshot": EnableAutoSnapshot,
        "BurstingEnabled": BurstingEnabled,
    }
    for disk in [get_disk(call, id) for id in ids]:
        if BurstingEnabled is not None and disk["Category"] != "cloud_auto":
            raise ApiError("InvalidDiskCategory.NotSupportBursting", "Only disks of category cloud_auto burst.")
        call.tx.change(disk, **{k: v for k, v in changes.items() if v is not None})
    return {}


@ecs.action("ModifyDiskSpec", Effect.RECORD, limit=RECORD)
def modify_disk_spec(
    call: Call,
    DiskId: Id,
    DiskCategory: Category = "",
    PerformanceLevel: Level = "",
    ProvisionedIops: Annotated[int, Number(0, 50000)] = -1,
    DestinationZoneId: Id = "",
) -> Answer:
    """Another category or performance level."""
    disk = get_disk(call, DiskId)
    if disk["InstanceId"]:
        get_settled(call, disk["InstanceId"])
    if DestinationZoneId not in ("", disk["ZoneId"]):
        raise ApiError("InvalidParameter.DestinationZoneId", "Disks stay in their zone.")
    category = DiskCategory or disk["Category"]
    if PerformanceLevel and category != "cloud_essd":
        raise ApiError("InvalidPerformanceLevel.NotSupported", "Only disks of category cloud_essd have a performance level.")
    level = PerformanceLevel or disk["PerformanceLevel"] or "PL1" if category == "cloud_essd" else ""
    least, most = sizes(category, level, disk["Type"] == "system")
    if not least <= disk["Size"] <= most:
        raise invalid("DiskCategory", f"Disks of this category have {least} to {most} GiB.", "InvalidDiskSize.NotSupported")
    if ProvisionedIops > 0 and category != "cloud_auto":
        raise ApiError("InvalidParameter.ProvisionedIops", "Only disks of category cloud_auto have provisioned IOPS.")
    rate = ProvisionedIops if ProvisionedIops >= 0 else disk["ProvisionedIops"]
    call.tx.change(disk, Category=category, PerformanceLevel=level, ProvisionedIops=rate if category == "cloud_auto" else 0)
    return {"TaskId": call.store.new_id("t"), "OrderId": ""}


@ecs.action("ApplyAutoSnapshotPolicy", Effect.RECORD, limit="always refused: there are no automatic snapshot policies")
def apply_auto_snapshot_policy(call: Call, autoSnapshotPolicyId: Id, diskIds: Ids) -> Answer:
    """Refused: no policy can exist."""
    for id in diskIds:
        get_disk(call, id)
    raise not_found("InvalidAutoSnapshotPolicyId.NotFound", "The specified automatic snapshot policy does not exist.")
