"""Public and own images: lookup and listing."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterable, Mapping, Sequence
from time import strptime
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.paging import has_tags, iso_second, page
from haechi.cloud.params import Boolean, Choice, Flag, Id, Items, PageNumber, PageSize, Struct, Tags, Text
from haechi.cloud.products.ecs import image_making
from haechi.cloud.products.ecs.image_catalog import catalog_images, find_catalog_image
from haechi.cloud.products.ecs.instance_types import TYPES, find_type
from haechi.cloud.products.ecs.matching import matches
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.runtime import Runtime
from haechi.cloud.store import Resource, View

OWNERS = ("system", "self", "others", "marketplace")
FEATURES = ("CpuOnlineUpgrade", "CpuOnlineDowngrade", "MemoryOnlineUpgrade", "MemoryOnlineDowngrade")

Long = Annotated[str, Text(4096)]
Owner = Annotated[str, Choice(OWNERS, "InvalidImageOwnerAlias.ValueNotSupported")]
OsType = Annotated[str, Choice(("linux", "windows"), "InvalidOSType")]
Architecture = Annotated[str, Choice(("i386", "x86_64", "arm64"), "InvalidArchitecture")]
Usage = Annotated[str, Choice(("instance", "none"), "InvalidUsage")]
ActionType = Annotated[str, Choice(("CreateEcs", "ChangeOS"))]
Filters = Annotated[tuple[dict[str, str], ...], Items(Struct({"Key": Text(64), "Value": Text(256)}), 20)]
Truth = Annotated[bool | None, Boolean()]


def find_image(view: View, region: str, id: str) -> Resource | None:
    """An image of a region by id: an own one in any Status, or a public one. `Layer` names the data plane's image."""
    return view.get("image", id, region) or find_catalog_image(region, id)


def newest_of_family(view: View, region: str, family: str) -> Resource | None:
    """The newest available image of a family; families of public images begin with acs:."""
    images = [*view.find("image", region), *catalog_images(region)]
    members = [i for i in images if i.get("ImageFamily") == family and i["Status"] == "Available"]
    return max(members, key=lambda i: float(i["CreatedAt"]), default=None)


def get_own_image(call: Call, id: str) -> Resource:
    """An own image of the caller's region; public ones are nobody's to change."""
    image = call.get("image", id)
    if image is None:
        raise not_found("InvalidImageId.NotFound", "The specified ImageId does not exist.")
    return image


def resume_images(runtime: Runtime) -> None:
    """Take up what a stop of the server cut short: images and snapshots being made, layers being deleted."""
    image_making.resume(runtime)


def used_images(view: View) -> set[str]:
    """Ids of the images that instances were made from."""
    return {i["ImageId"] for i in view.find("instance")}


@ecs.action("DescribeImages", Effect.READ)
def describe_images(
    call: Call,
    ImageId: Long = "",
    ImageName: Id = "",
    ImageFamily: Id = "",
    ImageOwnerAlias: Owner = "",
    ImageOwnerId: Id = "",
    Status: Long = "Available",
    Usable: Truth = None,
    Usage: Usage = "",
    OSType: OsType = "",
    Architecture: Architecture = "",
    SnapshotId: Id = "",
    InstanceType: Id = "",
    IsSupportIoOptimized: Truth = None,
    IsSupportCloudinit: Truth = None,
    IsPublic: Flag = False,
    ShowExpired: Flag = False,
    ActionType: ActionType = "CreateEcs",
    ResourceGroupId: Id = "",
    Filter: Filters = (),
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
) -> Answer:
    """Own images, then public ones. ImageName may hold *; Status is one, some with commas, or ALL."""
    if InstanceType and find_type(InstanceType) is None:
        raise ApiError("InvalidInstanceType.ValueNotSupported", "The specified instance type does not exist.")
    ids = {id for id in ImageId.split(",") if id}
    states = {s.strip().lower() for s in Status.split(",")}
    used = used_images(call.view)
    exact = {
        "ImageFamily": ImageFamily,
        "Owner": ImageOwnerAlias,
        "OSType": OSType,
        "Architecture": Architecture,
        "ResourceGroupId": ResourceGroupId,
    }
    images = [
        image
        for image in _candidates(call, ids, ImageName)
        if (not ids or image.id in ids)
        and matches(ImageName, image["ImageName"])
        and ("all" in states or image["Status"].lower() in states)
        and all(image.get(k, "") == v for k, v in exact.items() if v)
        and (Usable is None or Usable == (image["Status"] == "Available"))
        and (not Usage or (Usage == "instance") == (image.id in used))
        and (not SnapshotId or SnapshotId in [m["SnapshotId"] for m in image.get("Mappings", ())])
        and (not ImageOwnerId or (image["Owner"] == "self" and ImageOwnerId == call.runtime.account))
        and has_tags(image, Tag)
        and _passes(image, Filter)
    ]
    if IsPublic or False in (IsSupportIoOptimized, IsSupportCloudinit):
        images = []  # there are no community images, and every image supports both
    shown, counts = page(images, PageNumber, PageSize)
    return {"RegionId": call.region, **counts, "Images": {"Image": [render_image(call, i, i.id in used) for i in shown]}}


def _candidates(call: Call, ids: Iterable[str], name: str) -> list[Resource]:
    listed = [*call.find("image"), *catalog_images(call.region)]
    known = {image.id for image in listed}
    asked = (find_catalog_image(call.region, id) for id in {*ids, name} - known)  # an old release is found by its name
    return listed + [image for image in asked if image is not None]


def _passes(image: Resource, filters: Sequence[Mapping[str, str]]) -> bool:
    for one in filters:
        key, value = one.get("Key", ""), one.get("Value", "")
        if key in ("CreationStartTime", "CreationEndTime"):
            try:
                moment = timegm(strptime(value, "%Y-%m-%dT%H:%MZ"))
            except ValueError:
                raise ApiError("InvalidFilterValue", "The specified Filter.N.Value is not a time such as 2026-01-31T08:05Z.") from None
            good = image["CreatedAt"] >= moment if key == "CreationStartTime" else image["CreatedAt"] <= moment
        elif key == "NetworkType":
            if value not in ("vpc", "classic"):
                raise ApiError("InvalidFilterValue.NetworkType", "The specified networkType value in the Filter is invalid.")
            good = value == "vpc"
        elif key in FEATURES:
            good = value == "unsupported"
        else:
            raise ApiError("InvalidFilterKey.NotFound", "The specified Filter.N.Key is not known.")
        if not good:
            return False
    return True


def render_image(call: Call, image: Resource, used: bool) -> dict[str, Any]:
    """One Image of DescribeImages."""
    own = image["Owner"] == "self"
    features = {name: "unsupported" for name in FEATURES}
    return {
        "ImageId": image.id,
        "ImageName": image["ImageName"],
        "Description": image["Description"],
        "ImageFamily": image["ImageFamily"],
        "ImageVersion": image["ImageVersion"],
        "ImageOwnerAlias": image["Owner"],
        "ImageOwnerId": int(call.runtime.account) if own else 0,
        "Status": image["Status"],
        "Progress": image["Progress"],
        "Usable": image["Status"] == "Available",
        "Usage": "instance" if used else "none",
        "Size": image["Size"],
        "OSName": image["OSName"],
        "OSNameEn": image["OSNameEn"],
        "OSType": image["OSType"],
        "Platform": image["Platform"],
        "Architecture": image["Architecture"],
        "BootMode": image["BootMode"],
        "CreationTime": iso_second(image["CreatedAt"]),
        "DiskDeviceMappings": {"DiskDeviceMapping": [_render_mapping(image, m) for m in image.get("Mappings", ())]},
        "Features": {"NvmeSupport": "unsupported", "ImdsSupport": "v2", **features, **image.get("Features", {})},
        "DetectionOptions": {"Status": "", "Items": {"Item": []}},
        "SecureBootOptions": {"SecureBootSupport": "unsupported"},
        "IsCopied": image.get("IsCopied", False),
        "IsPublic": False,
        "IsSelfShared": ("True" if image["ShareAccounts"] else "False") if own else "",
        "IsSubscribed": False,
        "IsSupportCloudinit": True,
        "IsSupportIoOptimized": True,
        "LicenseType": image.get("LicenseType", ""),
        "LoginAsNonRootSupported": False,
        "ProductCode": "",
        "SupplierName": "",
        "ResourceGroupId": image.get("ResourceGroupId", ""),
        "Tags": {"Tag": [{"TagKey": k, "TagValue": v} for k, v in image["Tags"].items()]},
    }


def _render_mapping(image: Resource, mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Device": mapping["Device"],
        "Type": mapping["Type"],
        "Size": str(mapping["Size"]),
        "SnapshotId": mapping["SnapshotId"],
        "Format": "",
        "ImportOSSBucket": "",
        "ImportOSSObject": "",
        "Encrypted": mapping.get("Encrypted", False),
        "Progress": image["Progress"],
        "RemainTime": 0,
    }


@ecs.action("DescribeImageFromFamily", Effect.READ)
def describe_image_from_family(call: Call, ImageFamily: Id) -> Answer:
    """The newest available image of a family; an empty Image when there is none."""
    newest = newest_of_family(call.view, call.region, ImageFamily)
    return {"Image": render_image(call, newest, newest.id in used_images(call.view)) if newest else {}}


@ecs.action("DescribeImageSupportInstanceTypes", Effect.READ)
def describe_image_support_instance_types(
    call: Call, ImageId: Id = "", ActionType: ActionType = "CreateEcs", Filter: Filters = ()
) -> Answer:
    """Every instance type boots every image. Filter.N.Key is imageId or instanceType."""
    asked = {f.get("Key", ""): f.get("Value", "") for f in Filter}
    if set(asked) - {"imageId", "instanceType"}:
        raise ApiError("InvalidFilterKey.NotFound", "The specified Filter.N.Key is not known.")
    id = ImageId or asked.get("imageId", "")
    if not id:
        raise missing("ImageId")
    if find_image(call.view, call.region, id) is None:
        raise not_found("InvalidImageId.NotFound", "The specified ImageId does not exist.")
    rows = [
        {"InstanceTypeId": t.id, "InstanceTypeFamily": t.family.id, "CpuCoreCount": t.cores, "MemorySize": t.memory_gib}
        for t in TYPES.values()
        if asked.get("instanceType", t.id) == t.id
    ]
    return {"RegionId": call.region, "ImageId": id, "InstanceTypes": {"InstanceType": rows}}
