"""What can be bought where."""

from __future__ import annotations

from typing import Any

import pytest

from haechi.cloud.products.ecs.instance_types import TYPES, find_type
from haechi.cloud.regions import REGIONS, zones
from tests.localcloud import LocalCloud, Refused

REGION = "ap-southeast-1"


def types(cloud: LocalCloud, **params: object) -> list[dict[str, Any]]:
    return list(cloud.call("DescribeInstanceTypes", **params)["InstanceTypes"]["InstanceType"])


def available(cloud: LocalCloud, **params: object) -> dict[str, list[dict[str, Any]]]:
    rows = cloud.call("DescribeAvailableResource", **params)["AvailableZones"]["AvailableZone"]
    for row in rows:
        assert (row["RegionId"], row["Status"], row["StatusCategory"]) == (REGION, "Available", "WithStock")
    return {r["ZoneId"]: r["AvailableResources"]["AvailableResource"][0]["SupportedResources"]["SupportedResource"] for r in rows}


def test_regions(cloud: LocalCloud) -> None:
    rows = cloud.call("DescribeRegions")["Regions"]["Region"]
    assert [r["RegionId"] for r in rows] == list(REGIONS)
    row = next(r for r in rows if r["RegionId"] == REGION)
    assert row == {"RegionId": REGION, "LocalName": "新加坡", "RegionEndpoint": f"ecs.{REGION}.aliyuncs.com", "Status": "available"}
    english = cloud.call("DescribeRegions", AcceptLanguage="en-US")["Regions"]["Region"]
    assert {r["RegionId"]: r["LocalName"] for r in english}[REGION] == "Singapore"


def test_zones_hold_everything(cloud: LocalCloud) -> None:
    rows = cloud.call("DescribeZones", InstanceChargeType="PostPaid", SpotStrategy="NoSpot")["Zones"]["Zone"]
    assert [z["ZoneId"] for z in rows] == zones(REGION)
    for zone in rows:
        assert "VSwitch" in zone["AvailableResourceCreation"]["ResourceTypes"]
        assert "ecs.n1.tiny" in zone["AvailableInstanceTypes"]["InstanceTypes"]
        assert "cloud_essd" in zone["AvailableDiskCategories"]["DiskCategories"]
        assert zone["AvailableResources"]["ResourcesInfo"][0]["NetworkTypes"] == {"supportedNetworkCategory": ["vpc"]}
    assert rows[0]["LocalName"] == "新加坡 可用区A"
    brief = cloud.call("DescribeZones", RegionId="cn-hangzhou", Verbose=False)["Zones"]["Zone"]
    assert brief[0]["ZoneId"] == "cn-hangzhou-b" and brief[0]["AvailableResources"] == {"ResourcesInfo": []}
    with pytest.raises(Refused) as refused:
        cloud.call("DescribeZones", RegionId="mars-1")
    assert (refused.value.code, refused.value.status) == ("InvalidRegionId.NotFound", 404)


def test_the_vendors_figures(cloud: LocalCloud) -> None:
    assert len(TYPES) > 60
    expected = {
        "ecs.t6-c1m1.large": (2, 2, 2, 2, 81920, 100000),
        "ecs.t5-lc2m1.nano": (1, 0.5, 2, 2, 102400, 40000),
        "ecs.g6.large": (2, 8, 2, 6, 1024000, 300000),
        "ecs.c7.xlarge": (4, 8, 4, 15, 3072000, 1000000),
        "ecs.u1-c1m4.xlarge": (4, 16, 3, 10, 1536000, 500000),
        "ecs.n4.small": (1, 2, 2, 2, 512000, 50000),
        "ecs.r7.2xlarge": (8, 64, 4, 15, 5120000, 1600000),
    }
    rows = types(cloud, InstanceTypes=list(expected))
    fields = ("CpuCoreCount", "MemorySize", "EniQuantity", "EniPrivateIpAddressQuantity", "InstanceBandwidthRx", "InstancePpsRx")
    assert {r["InstanceTypeId"]: tuple(r[f] for f in fields) for r in rows} == expected
    burstable = next(r for r in rows if r["InstanceTypeId"] == "ecs.t6-c1m1.large")
    assert (burstable["InitialCredit"], burstable["BaselineCredit"], burstable["InstanceFamilyLevel"]) == (60, 24, "CreditEntryLevel")
    assert all(isinstance(r["LocalStorageCapacity"], int) for r in rows)
    assert find_type("ecs.g7.large") is not None and find_type("ecs.g99.large") is None
    assert all(t.cores <= 16 and t.memory_gib <= 64 for t in TYPES.values())


def test_filters_of_instance_types(cloud: LocalCloud) -> None:
    assert {t["InstanceTypeFamily"] for t in types(cloud, InstanceTypeFamily="ecs.g7")} == {"ecs.g7"}
    small = types(cloud, MaximumCpuCoreCount=1, MaximumMemorySize=1.0)
    assert small and all(t["CpuCoreCount"] == 1 and t["MemorySize"] <= 1 for t in small)
    assert all(t["EniPrivateIpAddressQuantity"] >= 15 for t in types(cloud, MinimumEniPrivateIpAddressQuantity=15))
    assert types(cloud, GPUSpec="NVIDIA T4") == [] and types(cloud, MinimumGPUAmount=1) == []
    assert {t["InstanceTypeFamily"] for t in types(cloud, MinimumBaselineCredit=1)} == {"ecs.t5", "ecs.t6"}
    assert {t["InstanceCategory"] for t in types(cloud, InstanceCategories=["Memory-optimized"])} == {"Memory-optimized"}
    for params in ({"MinimumCpuCoreCount": "many"}, {"MaxResults": 0}, {"NextToken": "?"}):
        with pytest.raises(Refused):
            types(cloud, **params)


def test_pages_of_instance_types(cloud: LocalCloud) -> None:
    assert cloud.call("DescribeInstanceTypes")["NextToken"] == ""
    seen: list[str] = []
    token = ""
    while True:
        answer = cloud.call("DescribeInstanceTypes", MaxResults=50, NextToken=token)
        seen += [t["InstanceTypeId"] for t in answer["InstanceTypes"]["InstanceType"]]
        token = answer["NextToken"]
        if not token:
            break
    assert seen == list(TYPES)


def test_families(cloud: LocalCloud) -> None:
    rows = cloud.call("DescribeInstanceTypeFamilies")["InstanceTypeFamilies"]["InstanceTypeFamily"]
    assert {"InstanceTypeFamilyId": "ecs.n1", "Generation": "ecs-1"} in rows
    first = cloud.call("DescribeInstanceTypeFamilies", Generation="ecs-1")["InstanceTypeFamilies"]["InstanceTypeFamily"]
    assert [r["InstanceTypeFamilyId"] for r in first] == ["ecs.n1"]


def test_available_types(cloud: LocalCloud) -> None:
    found = available(
        cloud, DestinationResource="InstanceType", IoOptimized="optimized", InstanceChargeType="PostPaid", Cores=2, Memory=8.0
    )
    assert list(found) == zones(REGION)
    names = {r["Value"] for r in found["ap-southeast-1a"]}
    assert "ecs.g7.large" in names and "ecs.c7.large" not in names
    assert {r["Status"] for r in found["ap-southeast-1a"]} == {"Available"}
    only = available(cloud, DestinationResource="InstanceType", ZoneId="ap-southeast-1b", InstanceType="ecs.c6.large")
    assert {z: [r["Value"] for r in rows] for z, rows in only.items()} == {"ap-southeast-1b": ["ecs.c6.large"]}
    assert available(cloud, DestinationResource="InstanceType", Cores=7) == {}
    old = available(cloud, DestinationResource="InstanceType", IoOptimized="none")["ap-southeast-1a"]
    assert {r["Value"].rsplit(".", 1)[0] for r in old} == {"ecs.n1"}


def test_available_zones_and_disks(cloud: LocalCloud) -> None:
    assert list(available(cloud, DestinationResource="Zone", IoOptimized="optimized", SpotStrategy="NoSpot")) == zones(REGION)
    assert available(cloud, DestinationResource="Zone", NetworkCategory="classic") == {}
    disks = available(cloud, DestinationResource="SystemDisk", InstanceType="ecs.g6.large")["ap-southeast-1a"]
    assert next(d for d in disks if d["Value"] == "cloud_efficiency")["Unit"] == "GiB"
    assert all(0 < d["Min"] < d["Max"] for d in disks)
    only = available(cloud, DestinationResource="DataDisk", DataDiskCategory="cloud_ssd", SystemDiskCategory="cloud_ssd")
    assert [d["Value"] for d in only["ap-southeast-1a"]] == ["cloud_ssd"]
    assert available(cloud, DestinationResource="ddh") == {}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "MissingParameter"),
        ({"DestinationResource": "Planet"}, "InvalidParameter"),
        ({"DestinationResource": "SystemDisk"}, "MissingParameter"),
        ({"DestinationResource": "Zone", "ZoneId": "cn-hangzhou-b"}, "InvalidZoneId.NotFound"),
        ({"DestinationResource": "Zone", "InstanceType": "ecs.none"}, "InvalidInstanceType.ValueNotSupported"),
        ({"DestinationResource": "InstanceType", "Memory": "much"}, "InvalidParameter"),
    ],
)
def test_refused_questions(cloud: LocalCloud, params: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        cloud.call("DescribeAvailableResource", **params)
    assert refused.value.code == code


def test_account_attributes(cloud: LocalCloud) -> None:
    rows = cloud.call("DescribeAccountAttributes", AttributeName=["max-security-groups"])["AccountAttributeItems"]["AccountAttributeItem"]
    assert [(r["AttributeName"], r["AttributeValues"]["ValueItem"][0]["Value"]) for r in rows] == [("max-security-groups", "100")]
    assert len(cloud.call("DescribeAccountAttributes")["AccountAttributeItems"]["AccountAttributeItem"]) > 3
    with pytest.raises(Refused):
        cloud.call("DescribeAccountAttributes", AttributeName=["max-luck"])
