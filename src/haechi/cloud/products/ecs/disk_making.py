"""Disks as records: sizes, device names, creation."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError, invalid, missing, not_found
from haechi.cloud.paging import iso_second
from haechi.cloud.products.ecs.instances import disks_of, refuse_absent
from haechi.cloud.store import Resource

SYSTEM_GIB = 40
DATA_SIZES = {  # GiB
    "cloud": (5, 2000),
    "cloud_efficiency": (20, 32768),
    "cloud_ssd": (20, 32768),
    "cloud_essd": (20, 65536),
    "cloud_auto": (1, 65536),
    "cloud_essd_entry": (10, 32768),
}
LEVEL_MINIMUM = {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1261}


def sizes(category: str, level: str, system: bool) -> tuple[int, int]:
    """Smallest and largest size of a disk in GiB."""
    least, most = DATA_SIZES[category]
    if category == "cloud_essd":
        least = LEVEL_MINIMUM[level or "PL1"]
    if system:
        most = 500 if category == "cloud" else 2048
        least = least if category in ("cloud_essd", "cloud_auto") else 20
    return least, most


def check_system_size(disk: Mapping[str, Any], image: Resource) -> None:
    if disk.get("Size") and disk["Size"] < image.get("Size", 0):
        raise ApiError("InvalidSystemDiskSize.LessThanImageSize", "The specified parameter SystemDisk.Size is less than the image size.")


def free_device(call: Call, instance: Resource, wanted: str = "") -> str:
    """The first free device name of an instance, or the wanted one."""
    taken = {d["Device"] for d in disks_of(call.view, instance)}
    if wanted:
        if wanted in taken:
            raise ApiError("InvalidDevice.InUse", "The specified device has been occupied.", 403)
        return wanted
    for letter in ascii_lowercase[1:]:
        if f"/dev/xvd{letter}" not in taken:
            return f"/dev/xvd{letter}"
    raise ApiError("InstanceDiskLimitExceeded", "The amount of the disk on instance in question reach its limits.", 403)


def add_disk(call: Call, disk: Mapping[str, Any], instance: Resource | None, device: str, tags: Mapping[str, str]) -> Resource:
    """A new disk, attached when an instance is given. `disk` carries the fields of SystemDisk or DataDisk.N and `Type`."""
    system = disk["Type"] == "system"
    refuse_absent(
        {
            "AutoSnapshotPolicyId": (disk.get("AutoSnapshotPolicyId"), "InvalidAutoSnapshotPolicyId.NotFound"),
            "KMSKeyId": (disk.get("KMSKeyId"), "InvalidParameter.KMSKeyId.NotFound"),
            "StorageClusterId": (disk.get("StorageClusterId"), "InvalidStorageClusterId.NotFound"),
        }
    )
    snapshot = None
    if disk.get("SnapshotId"):
        snapshot = call.get("snapshot", disk["SnapshotId"])
        if snapshot is None:
            raise not_found("InvalidSnapshotId.NotFound", "The specified SnapshotId does not exist.")
        if snapshot.get("Status") != "accomplished":
            raise ApiError("InvalidSnapshotId.NotReady", "The specified snapshot has not completed yet.", 403)
    category = disk.get("Category", "cloud_efficiency")
    level = disk.get("PerformanceLevel", "PL1") if category == "cloud_essd" else ""
    least, most = sizes(category, level, system)
    based = int(snapshot.get("SourceDiskSize", 0)) if snapshot else 0
    size = disk.get("Size") or based or (SYSTEM_GIB if system else 0)
    if not size:
        raise missing("Size" if instance is None else "DataDisk.N.Size")
    if size < based:
        raise ApiError("InvalidDiskSize.TooSmall", "Specified disk size is less than the size of snapshot", 403)
    if not least <= size <= most:
        code = "InvalidSystemDiskSize.ValueNotSupported" if system else "InvalidDataDiskSize.ValueNotSupported"
        raise invalid("Size", f"Disks of this category have {least} to {most} GiB.", code)
    if disk.get("ProvisionedIops") and category != "cloud_auto":
        raise invalid("ProvisionedIops", "Only disks of category cloud_auto have it.", "InvalidParameter.ProvisionedIops")
    id = call.store.new_id("d")
    return call.create(
        "disk",
        "d",
        {
            "InstanceId": instance.id if instance else "",
            "Type": disk["Type"],
            "Category": category,
            "PerformanceLevel": level,
            "Size": size,
            "DiskName": disk.get("DiskName", ""),
            "Description": disk.get("Description", ""),
            "Device": (device if system else free_device(call, instance, device)) if instance else "",
            "Status": "In_use" if instance else "Available",
            "ZoneId": instance["ZoneId"] if instance else disk["ZoneId"],
            "ImageId": disk.get("ImageId", ""),
            "SourceSnapshotId": disk.get("SnapshotId", ""),
            "DeleteWithInstance": bool(disk.get("DeleteWithInstance")),
            "DeleteAutoSnapshot": True,
            "EnableAutoSnapshot": True,
            "Encrypted": bool(disk.get("Encrypted")),
            "ProvisionedIops": disk.get("ProvisionedIops", 0),
            "BurstingEnabled": disk.get("BurstingEnabled"),
            "MultiAttach": disk.get("MultiAttach", "Disabled"),
            "AttachedTime": iso_second(call.now()) if instance else "",
            "DetachedTime": "",
            "SerialNumber": id.split("-", 1)[1],
            "ResourceGroupId": (instance.get("ResourceGroupId", "") if instance else disk.get("ResourceGroupId", "")),
            "Tags": dict(tags),
        },
        id=id,
    )
