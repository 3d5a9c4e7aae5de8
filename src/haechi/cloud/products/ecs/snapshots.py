"""Snapshots of system disks. Each holds a layer of the data plane."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Mapping, Sequence
from time import strptime
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.paging import has_tags, iso_second, page, page_token, tag_dict
from haechi.cloud.params import Boolean, Choice, Flag, Id, Ids, Items, Number, PageNumber, PageSize, Struct, Tags, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.image_making import collect_layers, make_layer
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource, View

SNAPSHOTS_OF_A_DISK = 256

SnapshotName = Annotated[str, Text(128, 2, r"(?!auto)" + kinds.NAME, "InvalidSnapshotName.Malformed")]
Retention = Annotated[int, Number(1, 65536, "InvalidRetentionDays.Malformed")]
Category = Annotated[str, Choice(("standard", "flash", "archive"), "InvalidSnapshotCategory.NotSupported")]
Status = Annotated[str, Choice(("progressing", "accomplished", "failed", "all"), "InvalidStatus.ValueNotSupported")]
SnapshotType = Annotated[str, Choice(("auto", "user", "all"), "InvalidSnapshotType.ValueNotSupported")]
DiskType = Annotated[str, Choice(("system", "data"), "InvalidSourceDiskType")]
Usage = Annotated[str, Choice(("image", "disk", "image_disk", "none"), "InvalidUsage")]
Filters = Annotated[tuple[dict[str, str], ...], Items(Struct({"Key": Text(64), "Value": Text(256)}), 20)]
Truth = Annotated[bool | None, Boolean()]


def system_disk_of(view: View, instance: str) -> Resource:
    """The system disk of an instance."""
    disk = next((d for d in view.find("disk", InstanceId=instance) if d["Type"] == "system"), None)
    if disk is None:
        raise ApiError("InvalidInstance.NotFoundSystemDisk", "The specified instance does not have system disk.")
    return disk


def get_finished(call: Call, id: str) -> Resource:
    """A snapshot of the caller's region that is ready to make images of."""
    snapshot = call.get("snapshot", id)
    if snapshot is None:
        raise not_found("InvalidSnapshotId.NotFound", "The specified SnapshotId does not exist.")
    if snapshot["Status"] != "accomplished":
        raise ApiError(
            "InvalidSnapshotId.NotReady",
            "The current status of the DiskDeviceMapping.n.SnapshotId or SnapshotId does not support this operation.",
            403,
        )
    return snapshot


def put_snapshot(call: Call, disk: Resource, instance: Resource, layer: str, **data: Any) -> Resource:
    """A snapshot in the making, in the region of its disk; its id is the layer's unless an image's layer is meant."""
    if len(call.view.find("snapshot", disk.region, SourceDiskId=disk.id)) >= SNAPSHOTS_OF_A_DISK:
        raise ApiError("QuotaExceed.Snapshot", "The snapshot quota exceeds.", 403)
    data = {
        "CreatedAt": call.now(),
        "SnapshotName": "",
        "Description": "",
        "Layer": layer,
        "Status": "progressing",
        "Progress": "0%",
        "Usage": "none",
        "SourceDiskId": disk.id,
        "SourceDiskSize": str(disk["Size"]),
        "SourceDiskType": disk["Type"],
        "SourceInstanceId": instance.id,
        "SourceImageId": instance["ImageId"],
        "Encrypted": disk.get("Encrypted", False),
        "ResourceGroupId": "",
        "RetentionDays": 0,
        "Tags": {},
        **data,
    }
    return call.tx.put("snapshot", layer if layer.startswith("s-") else call.store.new_id("s"), disk.region, data)


@ecs.action("CreateSnapshot", Effect.HOST, idempotent=True, limit="of system disks only; data disks are records")
def create_snapshot(
    call: Call,
    DiskId: Id,
    SnapshotName: SnapshotName = "",
    Description: kinds.About = "",
    Category: Category = "standard",
    RetentionDays: Retention = 0,
    InstantAccess: Flag = False,
    InstantAccessRetentionDays: Retention = 0,
    StorageLocationArn: Id = "",
    ResourceGroupId: Id = "",
    Tag: Tags = (),
) -> Answer:
    """Copy the system disk of a running or stopped instance. The request says no region: the disk's counts."""
    disk = call.view.get("disk", DiskId)
    if disk is None:
        raise not_found("InvalidDiskId.NotFound", "The specified DiskId does not exist.")
    if disk["Type"] != "system":
        raise ApiError("DiskId.ValueNotSupported", "The specified parameter diskid is not supported: it is no system disk.", 403)
    instance = call.view.get("instance", disk["InstanceId"])
    if instance is None or instance["Status"] not in ("Running", "Stopped") or instance.get("Deleting"):
        raise ApiError("IncorrectInstanceStatus", "The current status of the resource does not support this operation.")
    if call.view.find("snapshot", SourceDiskId=disk.id, Status="progressing"):
        raise ApiError("IncorrectDiskStatus.CreatingSnapshot", "A previous snapshot creation is in process.", 403)
    id = call.store.new_id("s")
    own = {"SnapshotName": SnapshotName, "Description": Description, "RetentionDays": RetentionDays}
    put_snapshot(call, disk, instance, id, **own, ResourceGroupId=ResourceGroupId, Tags=tag_dict(Tag))
    call.create("layer", "", {"HostId": instance.id}, id=id)
    call.after.append(lambda: make_layer(call.runtime, id))
    call.begun.append(("snapshot", id))
    return {"SnapshotId": id}


@ecs.action("DescribeSnapshots", Effect.READ)
def describe_snapshots(
    call: Call,
    SnapshotIds: Ids = (),
    SnapshotName: Id = "",
    InstanceId: Id = "",
    DiskId: Id = "",
    Status: Status = "all",
    SnapshotType: SnapshotType = "all",
    SourceDiskType: DiskType = "",
    Usage: Usage = "",
    Category: Category = "",
    Encrypted: Truth = None,
    KMSKeyId: Id = "",
    SnapshotLinkId: Id = "",
    ResourceGroupId: Id = "",
    Filter: Filters = (),
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    MaxResults: PageSize = 0,
    NextToken: Id = "",
) -> Answer:
    exact = {
        "SnapshotName": SnapshotName,
        "SourceInstanceId": InstanceId,
        "SourceDiskId": DiskId,
        "Status": "" if Status == "all" else Status,
        "SourceDiskType": SourceDiskType,
        "Usage": Usage,
        "ResourceGroupId": ResourceGroupId,
    }
    since = _since(Filter)
    found = [
        s
        for s in call.find("snapshot", **{k: v for k, v in exact.items() if v})
        if (not SnapshotIds or s.id in SnapshotIds)
        and (Encrypted is None or s["Encrypted"] == Encrypted)
        and s["CreatedAt"] >= since
        and has_tags(s, Tag)
    ]
    if SnapshotType == "auto" or Category not in ("", "standard") or KMSKeyId or SnapshotLinkId:
        found = []
    shown: Sequence[Resource]
    token = ""
    if MaxResults or NextToken:
        shown, token = page_token(found, NextToken, MaxResults or 10, lambda s: s.id)
        counts = {"PageNumber": 1, "PageSize": MaxResults or 10, "TotalCount": len(found)}
    else:
        shown, counts = page(found, PageNumber, PageSize)
    return {**counts, "NextToken": token, "Snapshots": {"Snapshot": [_render(s) for s in shown]}}


def _since(filters: Sequence[Mapping[str, str]]) -> float:
    since = 0.0
    for one in filters:
        if one.get("Key") != "CreationStartTime":
            raise ApiError("InvalidFilterKey.NotFound", "The specified Filter.N.Key is not known.")
        try:
            since = float(timegm(strptime(one.get("Value", ""), "%Y-%m-%dT%H:%MZ")))
        except ValueError:
            raise ApiError("InvalidFilterValue", "The specified Filter.N.Value is not a time such as 2026-01-31T08:05Z.") from None
    return since


def _render(snapshot: Resource) -> dict[str, Any]:
    made = iso_second(snapshot["CreatedAt"])
    shown = {
        "SnapshotId": snapshot.id,
        "SnapshotName": snapshot["SnapshotName"],
        "Description": snapshot["Description"],
        "RegionId": snapshot.region,
        "Status": snapshot["Status"],
        "Progress": snapshot["Progress"],
        "Available": snapshot["Status"] == "accomplished",
        "RemainTime": 0,
        "Usage": snapshot["Usage"],
        "Category": "standard",
        "SnapshotType": "user",
        "SnapshotLinkId": "",
        "SnapshotSN": snapshot.id.split("-", 1)[1],
        "SourceDiskId": snapshot["SourceDiskId"],
        "SourceDiskSize": snapshot["SourceDiskSize"],
        "SourceDiskType": snapshot["SourceDiskType"],
        "SourceStorageType": "disk",
        "FullSnapshotSizeInBytes": snapshot.get("LayerMiB", 0) << 20,
        "SourceSnapshotId": snapshot.get("SourceSnapshotId", ""),
        "SourceRegionId": snapshot.get("SourceRegionId", ""),
        "CreationTime": made,
        "LastModifiedTime": made,
        "Encrypted": snapshot["Encrypted"],
        "KMSKeyId": "",
        "InstantAccess": False,
        "InstantAccessRetentionDays": 0,
        "ProductCode": "",
        "ResourceGroupId": snapshot["ResourceGroupId"],
        "Tags": {"Tag": [{"TagKey": k, "TagValue": v} for k, v in snapshot["Tags"].items()]},
    }
    if snapshot.get("RetentionDays"):
        shown["RetentionDays"] = snapshot["RetentionDays"]
    return shown


@ecs.action("DeleteSnapshot", Effect.HOST)
def delete_snapshot(call: Call, SnapshotId: Id, Force: Flag = False) -> Answer:
    """Forget a snapshot that no image is made of. The request may say no region, so every one is looked at."""
    snapshot = call.view.get("snapshot", SnapshotId)
    if snapshot is None:
        raise not_found("InvalidSnapshotId.NotFound", "The specified SnapshotId does not exist.")
    if snapshot["Status"] == "progressing":
        raise ApiError("IncorrectDiskStatus.CreatingSnapshot", "A previous snapshot creation is in process.")
    images = call.view.find("image", snapshot.region)
    if any(m["SnapshotId"] == snapshot.id for image in images for m in image["Mappings"]):
        raise ApiError("SnapshotCreatedImage", "The snapshot has been used to create user defined image(s).", 403)
    if not Force and call.view.find("disk", SourceSnapshotId=snapshot.id):
        raise ApiError("SnapshotCreatedDisk", "The snapshot has been used to create disk(s).", 403)
    call.tx.delete(snapshot)
    call.after.append(lambda: collect_layers(call.runtime))
    return {}
