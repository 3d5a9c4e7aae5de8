"""Disks: made with instances and alone, attached, changed, deleted."""

from __future__ import annotations

import pytest

from tests.localcloud import LocalCloud
from tests.unit.ecs_bench import Bench, make_bench, refused

ZONE = "ap-southeast-1a"


@pytest.fixture
def bench(cloud: LocalCloud) -> Bench:
    return make_bench(cloud)


def disks(cloud: LocalCloud, **params: object) -> list[dict[str, object]]:
    answer = cloud.call("DescribeDisks", **params)
    assert answer["TotalCount"] >= len(answer["Disks"]["Disk"])
    return list(answer["Disks"]["Disk"])


def test_disks_of_a_new_instance(bench: Bench) -> None:
    data = [{"Size": 30, "Category": "cloud_essd", "DiskName": "data", "Device": "/dev/xvdd"}, {"Size": 20, "DeleteWithInstance": False}]
    id = bench.create(SystemDisk={"Size": 50, "Category": "cloud_ssd", "DiskName": "root"}, DataDisk=data, Tag=[{"Key": "a", "Value": "b"}])
    (system,) = disks(bench.cloud, InstanceId=id, DiskType="system")
    assert (system["Size"], system["Category"], system["DiskName"], system["Device"]) == (50, "cloud_ssd", "root", "/dev/xvda")
    assert (system["Status"], system["Portable"], system["DeleteWithInstance"]) == ("In_use", False, True)
    assert "BurstingEnabled" not in system and system["ProvisionedIops"] == 0 and system["StorageClusterId"] == ""
    assert system["Tags"] == {"Tag": [{"TagKey": "a", "TagValue": "b"}]}
    rows = {d["Device"]: d for d in disks(bench.cloud, InstanceId=id, DiskType="data")}
    assert set(rows) == {"/dev/xvdd", "/dev/xvdb"} and rows["/dev/xvdd"]["PerformanceLevel"] == "PL1"
    assert rows["/dev/xvdb"]["DeleteWithInstance"] is False and rows["/dev/xvdb"]["Category"] == "cloud_efficiency"
    default = disks(bench.cloud, InstanceId=bench.create())[0]
    assert (default["Size"], default["Category"], default["DiskName"], default["Description"]) == (40, "cloud_efficiency", "", "")


def test_a_disk_alone(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create()
    disk = cloud.call("CreateDisk", ZoneId=ZONE, Size=100, DiskCategory="cloud_essd", PerformanceLevel="PL0", DiskName="alone")["DiskId"]
    (row,) = disks(cloud, DiskIds=f'["{disk}"]')
    assert (row["Status"], row["InstanceId"], row["Device"], row["PerformanceLevel"]) == ("Available", "", "", "PL0")
    refused(cloud, "DetachDisk", "DependencyViolation.NotAttached", 403, DiskId=disk, InstanceId=id)
    cloud.call("AttachDisk", DiskId=disk, InstanceId=id, DeleteWithInstance=True)
    (row,) = disks(cloud, DiskIds=f'["{disk}"]')
    assert (row["Status"], row["InstanceId"], row["Device"], row["DeleteWithInstance"]) == ("In_use", id, "/dev/xvdb", True)
    assert row["Attachments"]["Attachment"][0]["InstanceId"] == id  # type: ignore[index]
    refused(cloud, "AttachDisk", "IncorrectDiskStatus", 403, DiskId=disk, InstanceId=id)
    refused(cloud, "DeleteDisk", "IncorrectDiskStatus", 403, DiskId=disk)
    cloud.call("DetachDisk", DiskId=disk, InstanceId=id)
    (row,) = disks(cloud, DiskIds=f'["{disk}"]')
    assert row["Status"] == "Available" and row["DetachedTime"] and row["MountInstanceNum"] == 0
    far = bench.create(VSwitchId=bench.other)
    refused(cloud, "AttachDisk", "ResourcesNotInSameZone", 403, DiskId=disk, InstanceId=far)
    cloud.call("DeleteDisk", DiskId=disk)
    assert disks(cloud, DiskIds=f'["{disk}"]') == []
    (system,) = disks(cloud, InstanceId=id)
    refused(cloud, "DetachDisk", "DiskNotPortable", 403, DiskId=system["DiskId"], InstanceId=id)


def test_create_disk_refuses(bench: Bench) -> None:
    cloud = bench.cloud
    refused(cloud, "CreateDisk", "MissingParameter", Size=20)
    refused(cloud, "CreateDisk", "MissingParameter", ZoneId=ZONE)
    refused(cloud, "CreateDisk", "InvalidZoneId.NotFound", 404, ZoneId="nowhere", Size=20)
    refused(cloud, "CreateDisk", "InvalidDiskCategory.ValueNotSupported", ZoneId=ZONE, Size=20, DiskCategory="tape")
    refused(cloud, "CreateDisk", "InvalidDataDiskSize.ValueNotSupported", ZoneId=ZONE, Size=10)
    refused(
        cloud,
        "CreateDisk",
        "InvalidDataDiskSize.ValueNotSupported",
        ZoneId=ZONE,
        Size=100,
        DiskCategory="cloud_essd",
        PerformanceLevel="PL3",
    )
    refused(cloud, "CreateDisk", "InvalidSnapshotId.NotFound", 404, ZoneId=ZONE, SnapshotId="s-no")
    refused(cloud, "CreateDisk", "InvalidParameter.KMSKeyId.NotFound", 404, ZoneId=ZONE, Size=20, KMSKeyId="k")
    refused(cloud, "CreateDisk", "InvalidInstanceId.NotFound", 404, InstanceId="i-no", Size=20)
    refused(cloud, "CreateDisk", "InvalidParameter.Conflict", InstanceId="i-no", ZoneId=ZONE, Size=20)
    for action in ("DeleteDisk", "ResizeDisk", "ModifyDiskSpec", "ModifyDiskAttribute"):
        refused(cloud, action, "InvalidDiskId.NotFound", 404, DiskId="d-no", **({"NewSize": 30} if action == "ResizeDisk" else {}))
    with cloud.store.write() as tx:
        tx.put("snapshot", "s-1", "ap-southeast-1", {"Status": "accomplished", "SourceDiskSize": 60, "CreatedAt": 1})
    disk = cloud.call("CreateDisk", ZoneId=ZONE, SnapshotId="s-1")["DiskId"]
    assert disks(cloud, SnapshotId="s-1")[0]["Size"] == 60 and disk
    refused(cloud, "CreateDisk", "InvalidDiskSize.TooSmall", 403, ZoneId=ZONE, SnapshotId="s-1", Size=50)


def test_changes(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create()
    disk = disks(cloud, InstanceId=id)[0]["DiskId"]
    cloud.call("ResizeDisk", DiskId=disk, NewSize=80, Type="online")
    refused(cloud, "ResizeDisk", "InvalidDiskSize.TooSmall", 403, DiskId=disk, NewSize=40)
    refused(cloud, "ResizeDisk", "InvalidDiskSize.ValueNotSupported", DiskId=disk, NewSize=4096)
    cloud.call("ModifyDiskAttribute", DiskId=disk, DiskName="root", Description="the root", DeleteAutoSnapshot=False)
    assert cloud.call("ModifyDiskSpec", DiskId=disk, DiskCategory="cloud_essd", PerformanceLevel="PL0")["TaskId"]
    (row,) = disks(cloud, InstanceId=id)
    assert (row["Size"], row["DiskName"], row["Description"]) == (80, "root", "the root")
    assert (row["Category"], row["PerformanceLevel"], row["DeleteAutoSnapshot"]) == ("cloud_essd", "PL0", False)
    cloud.call("ModifyDiskAttribute", DiskIds=[disk], Description="")
    (row,) = disks(cloud, InstanceId=id)
    assert row["Description"] == "" and row["DiskName"] == "root"
    refused(cloud, "ModifyDiskSpec", "InvalidDiskSize.NotSupported", DiskId=disk, PerformanceLevel="PL2")
    refused(cloud, "ModifyDiskSpec", "InvalidPerformanceLevel.NotSupported", DiskId=disk, DiskCategory="cloud_ssd", PerformanceLevel="PL1")
    refused(cloud, "ModifyDiskAttribute", "MissingParameter", DiskName="xx")
    refused(cloud, "ModifyDiskAttribute", "InvalidDiskName.Malformed", DiskId=disk, DiskName="1")
    refused(cloud, "ModifyDiskAttribute", "InvalidDiskCategory.NotSupportBursting", DiskId=disk, BurstingEnabled=True)
    policy = {"autoSnapshotPolicyId": "sp-1", "diskIds": f'["{disk}"]'}
    refused(cloud, "ApplyAutoSnapshotPolicy", "InvalidAutoSnapshotPolicyId.NotFound", 404, **policy)


def test_filters_and_pages(bench: Bench) -> None:
    cloud = bench.cloud
    ids = [
        cloud.call("CreateDisk", ZoneId=ZONE, Size=20, DiskName=f"d-{n}", Tag=[{"Key": "n", "Value": str(n)}])["DiskId"] for n in range(3)
    ]
    bench.create(VSwitchId=bench.other)
    assert len(disks(cloud)) == 4 and len(disks(cloud, ZoneId=ZONE)) == 3 and len(disks(cloud, Status="Available")) == 3
    assert [d["DiskId"] for d in disks(cloud, Tag=[{"Key": "n", "Value": "1"}])] == [ids[1]]
    assert len(disks(cloud, DiskName="d-*")) == 3 and len(disks(cloud, Portable="false")) == 1 and disks(cloud, Encrypted="true") == []
    assert disks(cloud, Category="cloud_ssd") == [] and len(disks(cloud, Category="all", DiskType="all", Status="All")) == 4
    assert [len(disks(cloud, PageNumber=n, PageSize=3)) for n in (1, 2)] == [3, 1]
    first = cloud.call("DescribeDisks", MaxResults=3)
    assert len(first["Disks"]["Disk"]) == 3
    second = cloud.call("DescribeDisks", MaxResults=3, NextToken=first["NextToken"])
    assert len(second["Disks"]["Disk"]) == 1 and second["NextToken"] == ""
    refused(cloud, "DescribeDisks", "InvalidParameter", DiskIds="d-1")
    refused(cloud, "DescribeDisks", "InvalidParameter", Portable="maybe")
