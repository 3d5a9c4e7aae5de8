"""Snapshots, copies, sharing, and how long a layer of an image lives."""

from __future__ import annotations

from typing import Any

import pytest

from tests.localcloud import LocalCloud, Refused
from tests.unit.test_ecs_groups import make_group, make_instance, make_vpc
from tests.unit.test_ecs_images import CENTOS, ids, images, make_image, until


@pytest.fixture
def vpc(cloud: LocalCloud) -> str:
    return make_vpc(cloud)


@pytest.fixture
def instance(cloud: LocalCloud, vpc: str) -> str:
    return make_instance(cloud, vpc, make_group(cloud, vpc))


def snapshots(cloud: LocalCloud, **params: object) -> list[dict[str, Any]]:
    return list(cloud.call("DescribeSnapshots", **params)["Snapshots"]["Snapshot"])


def system_disk(cloud: LocalCloud, instance: str) -> str:
    return next(d.id for d in cloud.store.view().find("disk", InstanceId=instance) if d["Type"] == "system")


def make_snapshot(cloud: LocalCloud, instance: str, **params: object) -> str:
    id = str(cloud.call("CreateSnapshot", DiskId=system_disk(cloud, instance), **params)["SnapshotId"])
    until(lambda: snapshots(cloud, SnapshotIds=f'["{id}"]')[0]["Status"] == "accomplished")
    return id


def snapshot_of(cloud: LocalCloud, image: str, **params: object) -> str:
    (found,) = images(cloud, ImageId=image, **params)
    return str(found["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"])


def layers(cloud: LocalCloud) -> set[str]:
    return cloud.dataplane.images - {"base"}


def test_layer_goes_with_image_and_snapshot(cloud: LocalCloud, instance: str) -> None:
    id = make_image(cloud, InstanceId=instance)
    snapshot = snapshot_of(cloud, id)
    with pytest.raises(Refused) as refused:
        cloud.call("DeleteSnapshot", SnapshotId=snapshot, Force=True)
    assert (refused.value.code, refused.value.status) == ("SnapshotCreatedImage", 403)
    cloud.call("DeleteImage", ImageId=id)
    assert ids(cloud, ImageId=id, Status="ALL") == []
    again = make_image(cloud, SnapshotId=snapshot)
    assert layers(cloud) == {id} and ids(cloud, ImageId=again) == [again]
    cloud.call("DeleteImage", ImageId=again)
    cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    until(lambda: layers(cloud) == set())
    for action, params, code in (
        ("DeleteImage", {"ImageId": id}, "InvalidImageId.NotFound"),
        ("DeleteImage", {"ImageId": CENTOS}, "InvalidImageId.NotFound"),
        ("DeleteSnapshot", {"SnapshotId": snapshot}, "InvalidSnapshotId.NotFound"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call(action, **params)
        assert (refused.value.code, refused.value.status) == (code, 404)


def test_image_in_use_stays_unless_forced_and_its_layer_stays_anyway(cloud: LocalCloud, vpc: str, instance: str) -> None:
    id = make_image(cloud, InstanceId=instance)
    snapshot = snapshot_of(cloud, id)
    second = make_instance(cloud, vpc, make_group(cloud, vpc), ImageId=id)
    assert cloud.dataplane.plan.hosts[second].image == id
    assert ids(cloud, ImageId=id, Usage="instance") == [id] and ids(cloud, ImageId=id, Usage="none") == []
    with pytest.raises(Refused) as refused:
        cloud.call("DeleteImage", ImageId=id)
    assert (refused.value.code, refused.value.status) == ("ImageUsingByInstance", 403)
    cloud.call("DeleteImage", ImageId=id, Force=True)
    cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    third = make_image(cloud, InstanceId=instance)  # letting go of layers has had its turn now
    assert layers(cloud) == {id, third} and cloud.dataplane.plan.hosts[second].image == id
    assert images(cloud, ImageId=make_image(cloud, InstanceId=second))[0]["OSType"] == "linux"
    cloud.call("DeleteInstance", InstanceId=second, Force=True)
    until(lambda: cloud.store.view().get("instance", second) is None)
    make_image(cloud, InstanceId=instance)
    until(lambda: id not in layers(cloud))


def test_snapshots(cloud: LocalCloud, instance: str) -> None:
    id = make_snapshot(cloud, instance, SnapshotName="before", Description="it breaks", RetentionDays=3, Tag=[{"Key": "a", "Value": "b"}])
    assert id.startswith("s-") and layers(cloud) == {id}
    disk = system_disk(cloud, instance)
    (shown,) = snapshots(cloud)
    expected = {
        "SnapshotId": id,
        "SnapshotName": "before",
        "Description": "it breaks",
        "Status": "accomplished",
        "Progress": "100%",
        "Available": True,
        "Usage": "none",
        "SourceDiskId": disk,
        "SourceDiskType": "system",
        "SourceDiskSize": str(cloud.store.view().get("disk", disk)["Size"]),  # type: ignore[index]
        "FullSnapshotSizeInBytes": 200 << 20,
        "RetentionDays": 3,
        "Tags": {"Tag": [{"TagKey": "a", "TagValue": "b"}]},
    }
    assert {k: shown[k] for k in expected} == expected
    image = make_image(
        cloud, DiskDeviceMapping=[{"SnapshotId": id, "Size": 100, "Device": "/dev/xvda"}, {"Size": 20, "Device": "/dev/xvdb"}]
    )
    (made,) = images(cloud, ImageId=image)
    assert (made["Size"], snapshots(cloud)[0]["Usage"]) == (100, "image")
    other = make_snapshot(cloud, instance)

    def found(**params: object) -> list[str]:
        return [s["SnapshotId"] for s in snapshots(cloud, **params)]

    assert found() == [id, other]
    assert found(SnapshotName="before") == found(Usage="image") == found(Tag=[{"Key": "a"}]) == [id]
    assert found(InstanceId=instance, DiskId=disk, Status="all", SourceDiskType="System", SnapshotType="user") == [id, other]
    assert found(InstanceId="i-none") == found(Status="failed") == found(SnapshotType="auto") == found(RegionId="cn-hangzhou") == []
    assert found(Encrypted=True) == found(Filter=[{"Key": "CreationStartTime", "Value": "2099-01-01T00:00Z"}]) == []
    assert found(PageNumber=2, PageSize=1) == [other]
    first = cloud.call("DescribeSnapshots", MaxResults=1)
    rest = cloud.call("DescribeSnapshots", MaxResults=1, NextToken=first["NextToken"])
    assert [a["Snapshots"]["Snapshot"][0]["SnapshotId"] for a in (first, rest)] == [id, other] and rest["NextToken"] == ""


def test_refused_snapshots(cloud: LocalCloud, vpc: str) -> None:
    instance = make_instance(cloud, vpc, make_group(cloud, vpc), DataDisk=[{"Size": 20}])
    data = next(d.id for d in cloud.store.view().find("disk", InstanceId=instance) if d["Type"] == "data")
    disk = system_disk(cloud, instance)
    for params, code in (
        ({}, "MissingParameter"),
        ({"DiskId": "d-none"}, "InvalidDiskId.NotFound"),
        ({"DiskId": data}, "DiskId.ValueNotSupported"),
        ({"DiskId": disk, "SnapshotName": "auto1"}, "InvalidSnapshotName.Malformed"),
        ({"DiskId": disk, "RetentionDays": 0}, "InvalidRetentionDays.Malformed"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call("CreateSnapshot", **params)
        assert refused.value.code == code
    assert snapshots(cloud) == []


def test_copies(cloud: LocalCloud, instance: str) -> None:
    id = make_image(cloud, InstanceId=instance, ImageName="one")
    there = {"DestinationRegionId": "cn-hangzhou", "DestinationImageName": "one"}
    copy = cloud.call("CopyImage", ImageId=id, **there, DestinationDescription="copied", Tag=[{"Key": "a", "Value": ""}])["ImageId"]
    (shown,) = images(cloud, RegionId="cn-hangzhou", ImageId=copy)
    assert (shown["ImageName"], shown["Description"], shown["IsCopied"], shown["Usable"]) == ("one", "copied", True, True)
    assert shown["Tags"] == {"Tag": [{"TagKey": "a", "TagValue": ""}]}
    far = snapshot_of(cloud, copy, RegionId="cn-hangzhou")
    assert far != snapshot_of(cloud, id)
    assert snapshots(cloud, RegionId="cn-hangzhou")[0]["SourceSnapshotId"] == snapshot_of(cloud, id)
    locked = cloud.call("CopyImage", ImageId=id, DestinationRegionId="ap-southeast-1", Encrypted=True)["ImageId"]
    assert images(cloud, ImageId=locked)[0]["DiskDeviceMappings"]["DiskDeviceMapping"][0]["Encrypted"] is True
    near = snapshot_of(cloud, id)
    cloud.call("DeleteImage", ImageId=id)
    cloud.call("DeleteSnapshot", SnapshotId=near)
    make_image(cloud, InstanceId=instance)
    assert id in layers(cloud)  # the copies lie on it
    for params, code in (
        ({"ImageId": id, **there}, "InvalidImageId.NotFound"),
        ({"ImageId": CENTOS, **there}, "InvalidImageId.NotFound"),
        ({"ImageId": locked, **there}, "InvalidImageName.Duplicated"),
        ({"ImageId": locked, "DestinationRegionId": "mars-1"}, "DestinationRegion.NotFound"),
        ({"ImageId": locked, "DestinationRegionId": "ap-southeast-1"}, "IncorrectDestinationRegion"),
        ({"ImageId": locked, "DestinationRegionId": "cn-beijing", "KMSKeyId": "k"}, "InvalidParameter.KMSKeyId.NotFound"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call("CopyImage", **params)
        assert refused.value.code == code


def test_sharing(cloud: LocalCloud, instance: str) -> None:
    id = make_image(cloud, InstanceId=instance)
    cloud.call("ModifyImageSharePermission", ImageId=id)  # Packer always sends one
    cloud.call("ModifyImageSharePermission", ImageId=id, AddAccount=["111", "222", "333"])
    cloud.call("ModifyImageSharePermission", ImageId=id, AddAccount=["222"], RemoveAccount=["111"])
    answer = cloud.call("DescribeImageSharePermission", ImageId=id, PageSize=1)
    assert (answer["TotalCount"], answer["ImageId"], answer["ShareGroups"]) == (2, id, {"ShareGroup": []})
    assert [a["AliyunId"] for a in answer["Accounts"]["Account"]] == ["222"]
    assert images(cloud, ImageId=id)[0]["IsSelfShared"] == "True"
    for params, code in (
        ({"ImageId": "m-none"}, "InvalidImageId.NotFound"),
        ({"ImageId": id, "AddAccount": [cloud.runtime.account]}, "InvalidAccount.Forbbiden"),
        ({"ImageId": id, "AddAccount": ["bob"]}, "InvalidAccount.NotFound"),
        ({"ImageId": id, "IsPublic": True}, "InvalidParameter"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call("ModifyImageSharePermission", **params)
        assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        cloud.call("DeleteImage", ImageId=id)
    assert refused.value.code == "ImageUseShared"
    cloud.call("ModifyImageSharePermission", ImageId=id, RemoveAccount=["222", "333"])
    cloud.call("DeleteImage", ImageId=id)
    with pytest.raises(Refused) as refused:
        cloud.call("DescribeImageSharePermission", ImageId=id)
    assert refused.value.code == "InvalidImageId.NotFound"
