"""Images: the public catalog, own images from instances and snapshots, and what keeps their layers."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haechi.cloud.products.ecs.image_making import resume
from haechi.cloud.products.ecs.images import find_image, newest_of_family
from tests.localcloud import LocalCloud, Refused
from tests.unit.test_ecs_groups import make_group, make_instance, make_vpc

REGION = "ap-southeast-1"
CENTOS = "centos_7_9_x64_20G_alibase_20210623.vhd"


def images(cloud: LocalCloud, **params: object) -> list[dict[str, Any]]:
    return list(cloud.call("DescribeImages", PageSize=100, **params)["Images"]["Image"])


def ids(cloud: LocalCloud, **params: object) -> list[str]:
    return [i["ImageId"] for i in images(cloud, **params)]


def until(question: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not question():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.005)


def make_image(cloud: LocalCloud, wait: bool = True, **params: object) -> str:
    id = str(cloud.call("CreateImage", **params)["ImageId"])
    if wait:
        until(lambda: images(cloud, ImageId=id, Status="ALL")[0]["Status"] != "Creating")
    return id


@pytest.fixture
def instance(cloud: LocalCloud) -> str:
    vpc = make_vpc(cloud)
    return make_instance(cloud, vpc, make_group(cloud, vpc))


def test_catalog_names_what_is_behind_it(cloud: LocalCloud) -> None:
    public = images(cloud, ImageOwnerAlias="system")
    assert len(public) == cloud.call("DescribeImages")["TotalCount"] > 12
    for image in public:
        assert "Debian 12" in image["Description"] and image["ImageName"] == image["ImageId"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", image["CreationTime"])
        assert (image["Status"], image["Usable"], image["Usage"], image["Size"]) == ("Available", True, "none", 20)
        found = find_image(cloud.store.view(), REGION, image["ImageId"])
        assert found is not None and found["Layer"] == "base"
    for pattern in (
        "^ubuntu_[0-9]+_[0-9]+_x64",
        "^aliyun_3_x64_20G_alibase_",
        "^aliyun_2_1903",
        "^debian_12",
        "^rockylinux",
        "^centos_7_9",
    ):
        assert any(re.search(pattern, i["ImageName"]) for i in public), pattern
    assert CENTOS in [i["ImageId"] for i in public]


def test_old_releases_are_found_by_name(cloud: LocalCloud) -> None:
    old = "ubuntu_22_04_x64_20G_alibase_20230815.vhd"
    assert old not in ids(cloud)
    assert ids(cloud, ImageId=old) == ids(cloud, ImageName=old) == [old]
    for none in ("ubuntu_22_04_x64_20G_alibase_20231399.vhd", "ubuntu_99_04_x64_20G_alibase_20230815.vhd", "m-none", "x.vhd"):
        assert ids(cloud, ImageId=none) == [] and find_image(cloud.store.view(), REGION, none) is None


def test_filters(cloud: LocalCloud) -> None:
    assert ids(cloud, ImageId=f"{CENTOS},m-none") == [CENTOS]
    assert ids(cloud, ImageId=CENTOS, ImageOwnerAlias="marketplace") == []
    assert {i["Platform"] for i in images(cloud, ImageName="rocky*")} == {"Rocky Linux"}
    assert ids(cloud, OSType="windows") == ids(cloud, Architecture="arm64") == ids(cloud, Status="Creating,Waiting") == []
    assert CENTOS in ids(cloud, OSType="linux", Architecture="x86_64", Status="Creating,Available", InstanceType="ecs.g6.large")
    assert ids(cloud, ImageFamily="acs:debian_12_5_x64") == ["debian_12_5_x64_20G_alibase_20240325.vhd"]
    assert ids(cloud, IsPublic=True) == ids(cloud, Usable=False) == ids(cloud, IsSupportIoOptimized=False) == []
    assert ids(cloud, Filter=[{"Key": "CreationEndTime", "Value": "2021-12-31T00:00Z"}]) == [
        "centos_7_9_x64_20G_alibase_20210824.vhd",
        CENTOS,
    ]
    assert ids(cloud, Filter=[{"Key": "NetworkType", "Value": "classic"}]) == []
    first = cloud.call("DescribeImages", PageSize=5, PageNumber=2)
    assert (first["PageNumber"], first["PageSize"], len(first["Images"]["Image"])) == (2, 5, 5)
    for params, code in (
        ({"ImageOwnerAlias": "me"}, "InvalidImageOwnerAlias.ValueNotSupported"),
        ({"InstanceType": "ecs.none"}, "InvalidInstanceType.ValueNotSupported"),
        ({"OSType": "plan9"}, "InvalidOSType"),
        ({"Architecture": "vax"}, "InvalidArchitecture"),
        ({"Usage": "fun"}, "InvalidUsage"),
        ({"Filter": [{"Key": "Colour", "Value": "red"}]}, "InvalidFilterKey.NotFound"),
        ({"Filter": [{"Key": "CreationStartTime", "Value": "now"}]}, "InvalidFilterValue"),
        ({"Usable": "maybe"}, "InvalidParameter"),
    ):
        with pytest.raises(Refused) as refused:
            images(cloud, **params)
        assert refused.value.code == code


def test_image_of_an_instance(cloud: LocalCloud, instance: str) -> None:
    make = {"ImageName": "ssh_otp_image_1_5", "Description": "for test", "ImageFamily": "otp", "Tag": [{"Key": "a", "Value": "b"}]}
    id = make_image(cloud, InstanceId=instance, ClientToken="t", **make)
    assert id.startswith("m-") and id in cloud.dataplane.images
    assert cloud.call("CreateImage", InstanceId=instance, ClientToken="t", **make)["ImageId"] == id
    (image,) = images(cloud, ImageName="ssh_otp_image_1_5")
    expected = {
        "ImageId": id,
        "ImageOwnerAlias": "self",
        "Description": "for test",
        "ImageFamily": "otp",
        "ImageVersion": "",
        "Architecture": "x86_64",
        "BootMode": "BIOS",
        "Platform": "Debian",
        "Status": "Available",
        "Progress": "100%",
        "Usable": True,
        "Usage": "none",
        "Tags": {"Tag": [{"TagKey": "a", "TagValue": "b"}]},
    }
    assert {k: image[k] for k in expected} == expected
    (mapping,) = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert (mapping["Device"], mapping["Type"], mapping["Size"]) == ("/dev/xvda", "system", str(image["Size"]))
    (snapshot,) = cloud.call("DescribeSnapshots", SnapshotIds=f'["{mapping["SnapshotId"]}"]')["Snapshots"]["Snapshot"]
    assert (snapshot["Status"], snapshot["Usage"], snapshot["SourceDiskType"]) == ("accomplished", "image", "system")
    assert ids(cloud, SnapshotId=mapping["SnapshotId"]) == ids(cloud, ImageOwnerAlias="self") == ids(cloud, Tag=[{"Key": "a"}]) == [id]
    assert ids(cloud, ImageId=id, RegionId="cn-hangzhou") == []


def test_image_is_shown_while_it_is_made(cloud: LocalCloud, instance: str) -> None:
    going = threading.Event()
    commit = cloud.dataplane.commit_image

    def slow(host: str, image: str) -> None:
        assert going.wait(10)
        commit(host, image)

    cloud.dataplane.commit_image = slow  # type: ignore[method-assign]
    id = make_image(cloud, wait=False, InstanceId=instance)
    (image,) = images(cloud, ImageId=id, Status="Waiting,Creating,CreateFailed,Available")
    assert (image["Status"], image["Progress"], image["Usable"], image["ImageName"]) == ("Creating", "0%", False, id)
    assert ids(cloud, ImageId=id) == []
    snapshot = image["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"]
    for action, params, code in (
        ("DeleteImage", {"ImageId": id, "Force": True}, "ImageIsCreating"),
        ("DeleteSnapshot", {"SnapshotId": snapshot}, "IncorrectDiskStatus.CreatingSnapshot"),
        ("CreateImage", {"SnapshotId": snapshot}, "InvalidSnapshotId.NotReady"),
        ("CopyImage", {"ImageId": id, "DestinationRegionId": "cn-hangzhou"}, "IncorrectImageStatus"),
        ("ModifyImageSharePermission", {"ImageId": id}, "IncorrectImageStatus"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call(action, **params)
        assert refused.value.code == code
    going.set()
    until(lambda: ids(cloud, ImageId=id) == [id])


def test_failure_to_copy_is_told(cloud: LocalCloud, instance: str) -> None:
    def fail(host: str, image: str) -> None:
        raise RuntimeError("no space left")

    cloud.dataplane.commit_image = fail  # type: ignore[method-assign]
    id = make_image(cloud, InstanceId=instance)
    (image,) = images(cloud, ImageId=id, Status="ALL")
    assert (image["Status"], image["Usable"]) == ("CreateFailed", False)
    snapshot = image["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"]
    assert cloud.call("DescribeSnapshots", Status="failed")["Snapshots"]["Snapshot"][0]["SnapshotId"] == snapshot
    cloud.call("DeleteImage", ImageId=id)
    cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    until(lambda: cloud.store.view().find("layer") == [])


def test_image_of_an_instance_that_never_ran_is_its_image(cloud: LocalCloud, instance: str) -> None:
    def absent(host: str, image: str) -> None:
        raise KeyError(host)

    cloud.dataplane.commit_image = absent  # type: ignore[method-assign]
    id = make_image(cloud, InstanceId=instance)
    found = find_image(cloud.store.view(), REGION, id)
    assert found is not None and (found["Status"], found["Layer"]) == ("Available", "base")
    until(lambda: cloud.store.view().find("layer") == [])


def test_what_a_restart_cut_short_is_taken_up(cloud: LocalCloud, instance: str, tmp_path: Path) -> None:
    cloud.dataplane.commit_image = lambda host, image: time.sleep(3600)  # type: ignore[method-assign]
    id = make_image(cloud, wait=False, InstanceId=instance)
    del cloud.dataplane.commit_image
    resume(cloud.runtime)
    until(lambda: ids(cloud, ImageId=id) == [id])
    assert id in cloud.dataplane.images
    with cloud.store.write() as tx:  # a layer that was let go of, but not deleted yet
        tx.put("layer", "m-left", REGION, {"HostId": instance, "CreatedAt": 0})
    cloud.dataplane.images.add("m-left")
    resume(cloud.runtime)
    until(lambda: "m-left" not in cloud.dataplane.images and cloud.store.view().get("layer", "m-left") is None)
    assert id in cloud.dataplane.images


def test_refused_images(cloud: LocalCloud, instance: str) -> None:
    make_image(cloud, InstanceId=instance, ImageName="used")
    for params, code in (
        ({}, "MissingParameter"),
        ({"InstanceId": "i-none"}, "InvalidInstanceId.NotFound"),
        ({"SnapshotId": "s-none"}, "InvalidSnapshotId.NotFound"),
        ({"InstanceId": instance, "ImageName": "used"}, "InvalidImageName.Duplicated"),
        ({"InstanceId": instance, "ImageName": "1x"}, "InvalidImageName.Malformed"),
        ({"InstanceId": instance, "ImageName": "acs:x"}, "InvalidImageName.Malformed"),
        ({"InstanceId": instance, "ImageFamily": "aliyun_x"}, "InvalidImageFamily.Malformed"),
        ({"InstanceId": instance, "Description": "http://x"}, "InvalidDescription.Malformed"),
        ({"InstanceId": instance, "Architecture": "vax"}, "InvalidArchitecture.Malformed"),
        ({"InstanceId": instance, "Platform": "Minix"}, "InvalidPlatform.Malformed"),
        ({"DiskDeviceMapping": [{"Device": "/dev/xvdb", "Size": 20}]}, "OperationDenied"),
        ({"DiskDeviceMapping": [{"SnapshotId": "s-none"}]}, "InvalidSnapshotId.NotFound"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call("CreateImage", **params)
        assert refused.value.code == code
    with cloud.store.write() as tx:
        found = tx.get("instance", instance)
        assert found is not None
        tx.change(found, Status="Starting")
    with pytest.raises(Refused) as refused:
        cloud.call("CreateImage", InstanceId=instance)
    assert refused.value.code == "IncorrectInstanceStatus"
    assert len(ids(cloud, ImageOwnerAlias="self", Status="ALL")) == 1


def test_changing(cloud: LocalCloud, instance: str) -> None:
    id, other = make_image(cloud, InstanceId=instance, Description="old", ImageName="one"), make_image(cloud, InstanceId=instance)
    cloud.call("ModifyImageAttribute", ImageId=id, ImageName="two", ImageFamily="fam", Features={"NvmeSupport": "supported"})
    (image,) = images(cloud, ImageId=id)
    assert (image["ImageName"], image["Description"], image["ImageFamily"]) == ("two", "old", "fam")
    assert image["Features"]["NvmeSupport"] == "supported"
    assert cloud.call("DescribeImageFromFamily", ImageFamily="fam")["Image"]["ImageId"] == id
    cloud.call("ModifyImageAttribute", ImageId=id, Description="", ImageFamily="")
    (image,) = images(cloud, ImageId=id)
    assert (image["ImageName"], image["Description"], image["ImageFamily"]) == ("two", "", "")
    cloud.call("ModifyImageAttribute", ImageId=id, Status="Deprecated")
    assert ids(cloud, ImageId=id) == [] and ids(cloud, ImageId=id, Status="Deprecated") == [id]
    cloud.call("ModifyImageAttribute", ImageId=id, Status="Available")
    for params, code in (
        ({"ImageId": other, "ImageName": "two"}, "InvalidImageName.Duplicated"),
        ({"ImageId": CENTOS, "ImageName": "mine"}, "InvalidImageId.NotFound"),
        ({"ImageId": id, "BootMode": "CD"}, "InvalidBootMode.NotSupport"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call("ModifyImageAttribute", **params)
        assert refused.value.code == code


def test_families(cloud: LocalCloud, instance: str) -> None:
    view = cloud.store.view()
    newest = newest_of_family(view, REGION, "acs:centos_7_9_x64")
    assert newest is not None and newest.id == "centos_7_9_x64_20G_alibase_20240321.vhd"
    assert cloud.call("DescribeImageFromFamily", ImageFamily="none")["Image"] == {}
    older, newer = (make_image(cloud, InstanceId=instance, ImageFamily="fam") for _ in range(2))
    assert cloud.call("DescribeImageFromFamily", ImageFamily="fam")["Image"]["ImageId"] == newer != older


def test_types_of_an_image(cloud: LocalCloud) -> None:
    rows = cloud.call("DescribeImageSupportInstanceTypes", ImageId=CENTOS)["InstanceTypes"]["InstanceType"]
    assert {"InstanceTypeId": "ecs.n1.tiny", "InstanceTypeFamily": "ecs.n1", "CpuCoreCount": 1, "MemorySize": 1} in rows
    one = cloud.call("DescribeImageSupportInstanceTypes", ImageId=CENTOS, Filter=[{"Key": "instanceType", "Value": "ecs.g6.large"}])
    assert [r["InstanceTypeId"] for r in one["InstanceTypes"]["InstanceType"]] == ["ecs.g6.large"]
    for params, code in (({}, "MissingParameter"), ({"ImageId": "m-none"}, "InvalidImageId.NotFound")):
        with pytest.raises(Refused) as refused:
            cloud.call("DescribeImageSupportInstanceTypes", **params)
        assert refused.value.code == code
