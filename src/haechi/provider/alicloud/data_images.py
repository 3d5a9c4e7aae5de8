"""alicloud_images. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/images"""

from __future__ import annotations

import re
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, finish, read_tags, tag_params
from haechi.provider.resource import Data, DataSource, duration_problem
from haechi.provider.schema import Fields, block, computed, is_regex, objects, one_of, optional
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_MAP, STRINGS, list_of, object_of

FIELDS: Fields = {
    "name_regex": optional(check=is_regex),
    "most_recent": optional(BOOL, default=False),
    "owners": optional(check=one_of("system", "self", "others", "marketplace")),
    "image_id": optional(),
    "image_name": optional(),
    "image_family": optional(),
    "image_owner_id": optional(),
    "snapshot_id": optional(),
    "instance_type": optional(),
    "resource_group_id": optional(),
    "architecture": optional(check=one_of("i386", "x86_64", "arm64")),
    "os_type": optional(check=one_of("linux", "windows")),
    "status": optional(default="Available", check=one_of("Creating", "Waiting", "Available", "UnAvailable", "CreateFailed", "Deprecated")),
    "usage": optional(check=one_of("instance", "none")),
    "action_type": optional(check=one_of("CreateEcs", "ChangeOS")),
    "is_support_io_optimized": optional(BOOL),
    "is_support_cloud_init": optional(BOOL),
    "dry_run": optional(BOOL),
    "tags": TAGS,
    "output_file": optional(),
    "timeouts": block("single", fields={"read": optional(check=duration_problem)}),
    "ids": computed(STRINGS),
    "images": objects(
        id=STRING,
        image_id=STRING,
        name=STRING,
        architecture=STRING,
        creation_time=STRING,
        description=STRING,
        image_owner_alias=STRING,
        image_owner_id=STRING,
        image_version=STRING,
        os_name=STRING,
        os_name_en=STRING,
        os_type=STRING,
        platform=STRING,
        status=STRING,
        state=STRING,
        size=NUMBER,
        progress=STRING,
        usage=STRING,
        product_code=STRING,
        is_self_shared=STRING,
        is_subscribed=BOOL,
        is_copied=BOOL,
        is_support_io_optimized=BOOL,
        disk_device_mappings=list_of(object_of(device=STRING, size=STRING, snapshot_id=STRING)),
        tags=STRING_MAP,
    ),
}
_SENT = {
    "ImageOwnerAlias": "owners",
    "ImageId": "image_id",
    "ImageName": "image_name",
    "ImageFamily": "image_family",
    "ImageOwnerId": "image_owner_id",
    "SnapshotId": "snapshot_id",
    "InstanceType": "instance_type",
    "ResourceGroupId": "resource_group_id",
    "Architecture": "architecture",
    "OSType": "os_type",
    "Usage": "usage",
    "ActionType": "action_type",
    "IsSupportIoOptimized": "is_support_io_optimized",
    "IsSupportCloudinit": "is_support_cloud_init",
    "DryRun": "dry_run",
}
_COPIED = {
    "id": "ImageId",
    "image_id": "ImageId",
    "name": "ImageName",
    "architecture": "Architecture",
    "creation_time": "CreationTime",
    "description": "Description",
    "image_owner_alias": "ImageOwnerAlias",
    "image_owner_id": "ImageOwnerId",
    "image_version": "ImageVersion",
    "os_name": "OSName",
    "os_name_en": "OSNameEn",
    "os_type": "OSType",
    "platform": "Platform",
    "status": "Status",
    "state": "Status",
    "size": "Size",
    "progress": "Progress",
    "usage": "Usage",
    "product_code": "ProductCode",
    "is_self_shared": "IsSelfShared",
    "is_subscribed": "IsSubscribed",
    "is_copied": "IsCopied",
    "is_support_io_optimized": "IsSupportIoOptimized",
}


def _read(cloud: Cloud, d: Data) -> None:
    params = {wire: d[name] for wire, name in _SENT.items() if d[name] not in (None, "")}
    params |= {"Status": d["status"] or "Available", "Tag": tag_params(d["tags"])}
    found = list(cloud.pages("ecs", "DescribeImages", params, "Images", "Image", size=100))
    if d["name_regex"]:
        found = [i for i in found if re.search(d["name_regex"], str(i.get("ImageName") or ""))]
    if d["most_recent"]:
        found = sorted(found, key=lambda i: str(i.get("CreationTime")))[-1:]
    results = [_result(cloud, image) for image in found]
    finish(d, "images", results, [r["id"] for r in results])


def _result(cloud: Cloud, image: dict[str, Any]) -> dict[str, Any]:
    tags = items(image, "Tags", "Tag")
    if "Tags" not in image:
        tags = items(cloud.call("ecs", "DescribeTags", {"ResourceType": "image", "ResourceId": image["ImageId"]}), "Tags", "Tag")
    mappings = items(image, "DiskDeviceMappings", "DiskDeviceMapping")
    return {name: image.get(wire) for name, wire in _COPIED.items()} | {
        "disk_device_mappings": [{"device": m.get("Device"), "size": m.get("Size"), "snapshot_id": m.get("SnapshotId")} for m in mappings],
        "tags": read_tags(tags),
    }


SOURCE = DataSource(FIELDS, _read)
