"""alicloud_image. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/image"""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, changed, changed_first, join_resource_group, read_tags, sent, tag_params, update_tags
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, block, computed, one_of, optional
from haechi.provider.types import BOOL, NUMBER

FIELDS: Fields = {
    "architecture": optional(default="x86_64", force_new=True, check=one_of("i386", "x86_64", "arm64")),
    "boot_mode": optional(computed=True),
    "create_time": computed(),
    "delete_auto_snapshot": optional(BOOL),
    "description": optional(),
    "detection_strategy": optional(),
    "disk_device_mapping": block(
        "list",
        computed=True,
        force_new=True,
        fields={
            "disk_type": optional(computed=True, force_new=True, check=one_of("system", "data")),
            "snapshot_id": optional(computed=True, force_new=True),
            "device": optional(computed=True, force_new=True),
            "size": optional(NUMBER, computed=True, force_new=True),
            "progress": computed(),
            "format": computed(),
            "import_oss_object": computed(),
            "import_oss_bucket": computed(),
            "remain_time": computed(NUMBER),
        },
    ),
    "features": block("list", computed=True, max_items=1, fields={"nvme_support": optional(computed=True)}),
    "force": optional(BOOL, default=False),
    "image_family": optional(),
    "image_name": optional(computed=True, conflicts_with=("name",)),
    "image_version": optional(force_new=True),
    "instance_id": optional(),
    "license_type": optional(),
    "name": optional(
        computed=True, deprecated="Field 'name' has been deprecated since provider version 1.227.0. New field 'image_name' instead."
    ),
    "platform": optional(computed=True, force_new=True),
    "resource_group_id": optional(computed=True),
    "snapshot_id": optional(),
    "status": computed(),
    "tags": TAGS,
}
_GONE = ("InvalidImageId.NotFound",)


def _create(cloud: Cloud, d: Data) -> None:
    names = {
        "Architecture": "architecture",
        "BootMode": "boot_mode",
        "Description": "description",
        "DetectionStrategy": "detection_strategy",
        "ImageFamily": "image_family",
        "ImageVersion": "image_version",
        "InstanceId": "instance_id",
        "Platform": "platform",
        "ResourceGroupId": "resource_group_id",
        "SnapshotId": "snapshot_id",
    }
    mappings = [
        {
            "SnapshotId": m["snapshot_id"] or None,
            "Size": m["size"] or None,
            "Device": m["device"] or None,
            "DiskType": m["disk_type"] or None,
        }
        for m in d["disk_device_mapping"] or []
    ]
    params = sent(d, names) | {"ImageName": d.first("image_name", "name"), "DiskDeviceMapping": mappings, "Tag": tag_params(d["tags"])}
    params["ClientToken"] = client_token("CreateImage")
    d.id = cloud.call("ecs", "CreateImage", params, ("IncorrectInstanceStatus",), d.timeout)["ImageId"]

    def failed(image: dict[str, Any] | None) -> str | None:
        return "the image's status is CreateFailed" if (image or {}).get("Status") == "CreateFailed" else None

    cloud.wait(f"{d.id} to be usable", lambda: _describe(cloud, d.id), _usable, d.timeout, failed)


def _usable(image: dict[str, Any] | None) -> bool:
    return bool(image and str(image.get("Usable")).lower() == "true" and image.get("Status") == "Available")


def _describe(cloud: Cloud, image_id: str, status: str = "ALL") -> dict[str, Any] | None:
    found = items(cloud.find("ecs", "DescribeImages", {"ImageId": image_id, "Status": status}, _GONE), "Images", "Image")
    return found[0] if found else None


def _read(cloud: Cloud, d: Data) -> None:
    image = _describe(cloud, d.id)
    if image is None:
        d.id = ""
        return
    copied = {
        "architecture": "Architecture",
        "boot_mode": "BootMode",
        "create_time": "CreationTime",
        "description": "Description",
        "image_family": "ImageFamily",
        "image_name": "ImageName",
        "name": "ImageName",
        "image_version": "ImageVersion",
        "platform": "Platform",
        "resource_group_id": "ResourceGroupId",
        "status": "Status",
    }
    d.update(**{name: image[wire] for name, wire in copied.items() if image.get(wire) is not None})
    d["disk_device_mapping"] = [
        {
            "device": m.get("Device"),
            "disk_type": m.get("Type"),
            "format": m.get("Format"),
            "import_oss_object": m.get("ImportOSSObject"),
            "import_oss_bucket": m.get("ImportOSSBucket"),
            "progress": m.get("Progress"),
            "remain_time": m.get("RemainTime"),
            "size": m.get("Size"),
            "snapshot_id": m.get("SnapshotId"),
        }
        for m in items(image, "DiskDeviceMappings", "DiskDeviceMapping")
    ]
    features = image.get("Features") or {}
    d["features"] = [{"nvme_support": features.get("NvmeSupport")}] if features else []
    d["tags"] = read_tags(items(image, "Tags", "Tag"))


def _update(cloud: Cloud, d: Data) -> None:
    params = changed(
        d, {"Description": "description", "ImageFamily": "image_family", "BootMode": "boot_mode", "LicenseType": "license_type"}
    )
    if (name := changed_first(d, "image_name", "name")) is not None:
        params["ImageName"] = name
    for feature in d["features"] or [] if d.changed("features") else []:
        params["Features.NvmeSupport"] = feature["nvme_support"]
    if params:
        cloud.call("ecs", "ModifyImageAttribute", {"ImageId": d.id, **params}, timeout=d.timeout)
    join_resource_group(cloud, d, "image")
    update_tags(cloud, d, "ecs", "image")


def _delete(cloud: Cloud, d: Data) -> None:
    image = _describe(cloud, d.id)
    if image is None:
        return
    cloud.delete("ecs", "DeleteImage", {"ImageId": d.id, "Force": bool(d["force"])}, _GONE, timeout=d.timeout)
    cloud.wait(f"{d.id} to be deleted", lambda: _describe(cloud, d.id), lambda i: i is None, d.timeout)
    for mapping in items(image, "DiskDeviceMappings", "DiskDeviceMapping") if d["delete_auto_snapshot"] else []:
        cloud.delete("ecs", "DeleteSnapshot", {"SnapshotId": mapping["SnapshotId"], "Force": True}, ("InvalidSnapshotId.NotFound",))


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 600, "update": 600, "delete": 600})
