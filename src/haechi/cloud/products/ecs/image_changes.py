"""Making, changing, copying and deleting own images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.paging import tag_dict
from haechi.cloud.params import Choice, Flag, Id, Items, Kind, Number, Struct, Tags, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.image_making import collect_layers, make_layer
from haechi.cloud.products.ecs.images import find_image, get_own_image, used_images
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.products.ecs.snapshots import get_finished, put_snapshot, system_disk_of
from haechi.cloud.regions import REGIONS
from haechi.cloud.store import Resource

IMAGES_OF_A_REGION = 100
PLATFORMS = (
    *("Aliyun", "Anolis", "CentOS", "Ubuntu", "CoreOS", "SUSE", "Debian", "OpenSUSE", "FreeBSD", "RedHat", "Kylin", "UOS", "Fedora"),
    *("Fedora CoreOS", "CentOS Stream", "AlmaLinux", "Rocky Linux", "Gentoo", "Customized Linux", "Others Linux"),
    *(f"Windows Server {year}" for year in (2022, 2019, 2016, 2012, 2008, 2003)),
)
OWN_NAME = r"(?!aliyun|acs:)" + kinds.NAME

ImageName = Annotated[str, Text(128, 2, OWN_NAME, "InvalidImageName.Malformed")]
Family = Annotated[str, Text(128, 2, OWN_NAME, "InvalidImageFamily.Malformed")]
Version = Annotated[str, Text(40, 1, r"[\w.\-:]+", "InvalidImageVersion.Malformed")]
Architecture = Annotated[str, Choice(("i386", "x86_64", "arm64"), "InvalidArchitecture.Malformed")]
Platform = Annotated[str, Choice(PLATFORMS, "InvalidPlatform.Malformed")]
BootMode = Annotated[str, Choice(("BIOS", "UEFI", "UEFI-Preferred"), "InvalidBootMode.NotSupport")]
License = Annotated[str, Choice(("Auto", "Aliyun", "BYOL"), "InvalidLicenseType.NotSupported")]
Detection = Annotated[str, Choice(("Standard",))]
Lifecycle = Annotated[str, Choice(("Available", "Deprecated"))]
FEATURES: Mapping[str, Kind] = {
    "ImdsSupport": Choice(("v1", "v2"), "InvalidParameter.FeaturesImdsSupport"),
    "NvmeSupport": Choice(("supported", "unsupported")),
}
Features = Annotated[Mapping[str, Any], Struct(FEATURES)]
SecureBoot = Annotated[Mapping[str, Any], Struct({"SecureBootSupport": Choice(("supported", "unsupported"))})]
MAPPING: Mapping[str, Kind] = {
    "SnapshotId": Text(128),
    "Device": Text(32, 0, r"/dev/xvd[a-z]|", "InvalidDevice.Malformed"),
    "DiskType": Choice(("system", "data"), "InvalidDiskType.ValueNotSupported"),
    "Size": Number(1, 32768, "InvalidSize.ValueNotSupported"),
}
Mappings = Annotated[tuple[dict[str, Any], ...], Items(Struct(MAPPING), 17)]


def _check_name(call: Call, name: str, region: str, message: str) -> None:
    if name and any(i["ImageName"] == name for i in call.view.find("image", region)):
        raise ApiError("InvalidImageName.Duplicated", message)


def _check_quota(call: Call, region: str) -> None:
    if len(call.view.find("image", region)) >= IMAGES_OF_A_REGION:
        raise ApiError("QuotaExceed.Image", "The Image Quota exceeds.", 403)


def _get_instance(call: Call, id: str) -> Resource:
    instance = call.get("instance", id)
    if instance is None or instance.get("Deleting"):
        raise not_found("InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
    if instance["Status"] not in ("Running", "Stopped"):
        raise ApiError("IncorrectInstanceStatus", "The current status of the instance does not support this operation.")
    return instance


def _origin(call: Call, source: str, booted: Mapping[str, Any]) -> dict[str, Any]:
    """What an image says of its system when it is made from what booted this image."""
    image = find_image(call.view, call.region, source)
    if image is not None:
        return {k: image[k] for k in ("OSName", "OSNameEn", "OSType", "Platform", "BootMode")}
    unknown = {"OSName": "Linux 64位", "OSNameEn": "Linux 64 bit", "OSType": "linux"}
    return {**unknown, **{k: booted[k] for k in unknown if booted.get(k)}, "Platform": "Others Linux", "BootMode": "BIOS"}


def _system_snapshot(call: Call, mappings: Sequence[Mapping[str, Any]], snapshot: str) -> Resource:
    """The one snapshot that becomes the system disk."""
    if mappings:
        named = [get_finished(call, m["SnapshotId"]) for m in mappings if m.get("SnapshotId")]
        devices = [m["Device"] for m in mappings if m.get("Device")]
        if len(set(devices)) < len(devices):
            raise ApiError("InvalidDevice.InUse", "The specified parameter DiskDeviceMapping.n.Device has been occupied.")
        if len(named) != 1:
            amount = "two or more system disk snapshots" if named else "not contain system disk snapshot"
            raise ApiError("OperationDenied", f"The specified parameter DiskDeviceMapping.n.SnapshotId does contain {amount}.")
        return named[0]
    return get_finished(call, snapshot)


@ecs.action("CreateImage", Effect.HOST, idempotent=True, limit="of several disks only the system disk is copied")
def create_image(
    call: Call,
    InstanceId: Id = "",
    SnapshotId: Id = "",
    DiskDeviceMapping: Mappings = (),
    ImageName: ImageName = "",
    ImageFamily: Family = "",
    ImageVersion: Version = "",
    Description: kinds.About = "",
    Platform: Platform = "",
    Architecture: Architecture = "x86_64",
    BootMode: BootMode = "",
    DetectionStrategy: Detection = "",
    Features: Features = kinds.NOTHING,
    SecureBootOptions: SecureBoot = kinds.NOTHING,
    ResourceGroupId: Id = "",
    Tag: Tags = (),
) -> Answer:
    """An image of an instance's disk, or of a system disk's snapshot. InstanceId goes before DiskDeviceMapping, that before SnapshotId."""
    if not (InstanceId or DiskDeviceMapping or SnapshotId):
        raise ApiError(
            "MissingParameter",
            "The input parameter SnapshotId or InstanceId or DiskDeviceMapping that is mandatory for processing this request "
            "is not supplied.",
        )
    _check_name(call, ImageName, call.region, "The specified Image name has already bean used.")
    _check_quota(call, call.region)
    tags = tag_dict(Tag)
    id = call.store.new_id("m")
    if InstanceId:
        instance = _get_instance(call, InstanceId)
        disk = system_disk_of(call.view, InstanceId)
        snapshot = put_snapshot(call, disk, instance, layer=id, Usage="image")
        call.create("layer", "", {"HostId": InstanceId}, id=id)
        call.after.append(lambda: make_layer(call.runtime, id))
        call.begun.append(("image", id))
        origin, password = _origin(call, instance["ImageId"], instance.data), instance.get("PasswordHash", "")
    else:
        snapshot = _system_snapshot(call, DiskDeviceMapping, SnapshotId)
        call.tx.change(snapshot, Usage="image")
        origin, password = _origin(call, snapshot["SourceImageId"], {}), ""
    size = int(snapshot["SourceDiskSize"])
    asked = next((m["Size"] for m in DiskDeviceMapping if m.get("SnapshotId") and m.get("Size")), size)
    if asked < size:
        raise ApiError("InvalidSize.ValueNotSupported", "The specified parameter DiskDeviceMapping.n.Size beyond the permitted range.")
    data = {
        **origin,
        **{k: v for k, v in (("Platform", Platform), ("BootMode", BootMode)) if v},
        "ImageName": ImageName or id,
        "Description": Description,
        "ImageFamily": ImageFamily,
        "ImageVersion": ImageVersion,
        "Architecture": Architecture,
        "Owner": "self",
        "Layer": snapshot["Layer"],
        "Status": "Creating" if InstanceId else "Available",
        "Progress": "0%" if InstanceId else "100%",
        "Size": asked,
        "Mappings": [{"SnapshotId": snapshot.id, "Device": "/dev/xvda", "Type": "system", "Size": asked}],
        "PasswordHash": password,
        "Features": dict(Features),
        "LicenseType": "",
        "IsCopied": False,
        "ShareAccounts": {},
        "ResourceGroupId": ResourceGroupId,
        "Tags": tags,
    }
    call.create("image", "m", data, id=id)
    return {"ImageId": id}


@ecs.action("ModifyImageAttribute", Effect.RECORD)
def modify_image_attribute(
    call: Call,
    ImageId: Id,
    ImageName: ImageName = "",
    Description: kinds.About = "",
    ImageFamily: Family = "",
    Status: Lifecycle = "",
    BootMode: BootMode = "",
    LicenseType: License = "",
    Features: Features = kinds.NOTHING,
) -> Answer:
    image = get_own_image(call, ImageId)
    if ImageName != image["ImageName"]:
        _check_name(call, ImageName, call.region, "The specified Image name has already bean used.")
    if Status and Status != image["Status"]:
        allowed = {"Deprecated": "Available", "Available": "Deprecated"}[Status]
        if image["Status"] != allowed:
            raise ApiError(f"ImageStatus.Not{allowed}", f"The specified image status is not {allowed.lower()}.", 403)
    data: dict[str, Any] = {"ImageName": ImageName, "Status": Status, "BootMode": BootMode, "LicenseType": LicenseType}
    changes = {k: v for k, v in data.items() if v}
    changes |= {k: v for k, v in (("Description", Description), ("ImageFamily", ImageFamily)) if k in call.sent}  # empty ones clear
    if Features:
        changes["Features"] = {**image["Features"], **Features}
    call.tx.change(image, **changes)
    return {}


@ecs.action("DeleteImage", Effect.HOST)
def delete_image(call: Call, ImageId: Id, Force: Flag = False) -> Answer:
    """Forget an image. Its layer goes when no snapshot, image or instance names it any more."""
    image = get_own_image(call, ImageId)
    if image["Status"] == "Creating":
        raise ApiError("ImageIsCreating", "The specified image is being created.", 403)
    if not Force:
        if image.id in used_images(call.view):
            raise ApiError("ImageUsingByInstance", "The specified image has been used to create instances.", 403)
        if image["ShareAccounts"]:
            raise ApiError("ImageUseShared", "The specified image has been shared to others.", 403)
    call.tx.delete(image)
    call.after.append(lambda: collect_layers(call.runtime))
    return {}


@ecs.action("CopyImage", Effect.HOST, idempotent=True, limit="encryption is recorded; the copy shares its layer")
def copy_image(
    call: Call,
    ImageId: Id,
    DestinationRegionId: Id,
    DestinationImageName: ImageName = "",
    DestinationDescription: kinds.About = "",
    Encrypted: Flag = False,
    KMSKeyId: Id = "",
    EncryptAlgorithm: Id = "",
    ResourceGroupId: Id = "",
    Tag: Tags = (),
) -> Answer:
    """A copy in another region, or an encrypted one in the same; it is available at once."""
    image = get_own_image(call, ImageId)
    if image["Status"] != "Available":
        raise ApiError("IncorrectImageStatus", "The image not available.")
    if DestinationRegionId not in REGIONS:
        raise ApiError("DestinationRegion.NotFound", "The destination region not found")
    if DestinationRegionId == call.region and not Encrypted:
        raise ApiError("IncorrectDestinationRegion", "The destination region is equal to the source region.", 403)
    if KMSKeyId:
        raise not_found("InvalidParameter.KMSKeyId.NotFound", "The specified KMSKeyId does not exist.")
    _check_name(call, DestinationImageName, DestinationRegionId, "The destination image is exist.")
    _check_quota(call, DestinationRegionId)
    tags = tag_dict(Tag)
    id, snapshot_id = call.store.new_id("m"), call.store.new_id("s")
    mapping = image["Mappings"][0]
    source = call.view.get("snapshot", mapping["SnapshotId"])
    if source is not None:
        copied = {"CreatedAt": call.now(), "Tags": tags, "SourceSnapshotId": source.id, "SourceRegionId": call.region}
        call.tx.put("snapshot", snapshot_id, DestinationRegionId, {**source.data, **copied, "Encrypted": Encrypted})
    own = {
        "CreatedAt": call.now(),
        "ImageName": DestinationImageName or id,
        "Description": DestinationDescription,
        "IsCopied": True,
        "ShareAccounts": {},
        "ResourceGroupId": ResourceGroupId,
        "Mappings": [{**mapping, "SnapshotId": snapshot_id if source else "", "Encrypted": Encrypted}],
        "Tags": tags,
    }
    call.tx.put("image", id, DestinationRegionId, {**image.data, **own})
    return {"ImageId": id}
