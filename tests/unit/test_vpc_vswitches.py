"""vSwitches, route tables and tags."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.localcloud import LocalCloud
from tests.unit.test_vpc_vpcs import ZONE, refused


@pytest.fixture
def vpc(cloud: LocalCloud) -> str:
    id: str = cloud.call("CreateVpc", CidrBlock="10.0.0.0/8", VpcName="a")["VpcId"]
    return id


def test_create_is_complete_at_once(cloud: LocalCloud, vpc: str) -> None:
    id = cloud.call("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="10.0.1.0/24", VSwitchName="s")["VSwitchId"]
    seen = cloud.call("DescribeVSwitchAttributes", VSwitchId=id)
    assert (seen["VSwitchId"], seen["VpcId"], seen["ZoneId"], seen["Status"]) == (id, vpc, ZONE, "Available")
    assert (seen["AvailableIpAddressCount"], seen["Ipv6CidrBlock"], seen["Description"]) == (252, "", "")
    assert seen["RouteTable"]["RouteTableType"] == "System" and seen["Tags"] == {"Tag": []}
    subnet = cloud.dataplane.plan.networks[vpc].subnets[0]
    assert (subnet.id, subnet.cidr, subnet.gateway) == (id, "10.0.1.0/24", "10.0.1.253")
    assert cloud.call("DescribeVpcAttribute", VpcId=vpc)["VSwitchIds"] == {"VSwitchId": [id]}


def test_refusals(cloud: LocalCloud, vpc: str) -> None:
    def make(**params: object) -> tuple[int, str]:
        return refused(cloud, "CreateVSwitch", **{"VpcId": vpc, "ZoneId": ZONE, "CidrBlock": "10.0.1.0/24", **params})

    assert make(VpcId="vpc-no") == (404, "InvalidVpcID.NotFound")
    assert make(ZoneId="cn-beijing-c") == (404, "InvalidZoneId.NotFound")
    assert make(CidrBlock="10.0.0.0/15") == (400, "InvalidCidrBlock.Malformed")
    assert make(CidrBlock="10.0.0.0/30") == (400, "InvalidCidrBlock.Malformed")
    assert make(CidrBlock="192.168.1.0/24") == (400, "InvalidParameter")
    assert make(VSwitchName="https://x") == (400, "InvalidVSwitchName.Malformed")
    assert make(Ipv6CidrBlock="1") == (400, "OperationUnsupported.Ipv6")
    assert make(CidrBlock="") == (400, "MissingParameter")
    cloud.call("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="10.0.1.0/24")
    assert make(CidrBlock="10.0.0.0/16") == (400, "InvalidCidrBlock.Overlapped")
    assert make(CidrBlock="10.0.1.128/25") == (400, "InvalidCidrBlock.Overlapped")


def test_quota(cloud: LocalCloud, vpc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("haechi.cloud.products.vpc.vswitches"), "QUOTA", 0)
    assert refused(cloud, "CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="10.0.1.0/24") == (400, "QuotaExceeded.VSwitch")


def test_filters_and_pages(cloud: LocalCloud, vpc: str) -> None:
    other = cloud.call("CreateVpc", CidrBlock="192.168.0.0/16")
    ids = [
        cloud.call("CreateVSwitch", VpcId=v, ZoneId=z, CidrBlock=c, VSwitchName=n, Tag=[{"Key": "k", "Value": n}])["VSwitchId"]
        for v, z, c, n in (
            (vpc, ZONE, "10.0.1.0/24", "a"),
            (vpc, "ap-southeast-1b", "10.0.2.0/24", "b"),
            (other["VpcId"], ZONE, "192.168.0.0/24", "c"),
        )
    ]

    def found(**filters: object) -> list[str]:
        return [s["VSwitchId"] for s in cloud.call("DescribeVSwitches", **filters)["VSwitches"]["VSwitch"]]

    assert found() == ids and found(version="2014-05-26", VpcId=vpc, VSwitchId=ids[0]) == ids[:1]
    assert found(VpcId=vpc) == ids[:2] and found(ZoneId=ZONE) == [ids[0], ids[2]] and found(VSwitchName="b") == [ids[1]]
    assert found(RouteTableId=other["RouteTableId"]) == [ids[2]] and found(Tag=[{"Key": "k", "Value": "c"}]) == [ids[2]]
    assert found(IsDefault=True) == [] and found(VSwitchId="vsw-no") == [] and found(EnableIpv6=True) == []
    assert found(PageSize=2, PageNumber=2) == [ids[2]] and found(PageNumber=3) == []


def test_modify_and_delete(cloud: LocalCloud, vpc: str) -> None:
    id = cloud.call("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="10.0.1.0/24", VSwitchName="s", Description="d")["VSwitchId"]
    cloud.call("ModifyVSwitchAttribute", VSwitchId=id, VSwitchName="t", Description="")
    seen = cloud.call("DescribeVSwitchAttributes", VSwitchId=id)
    assert (seen["VSwitchName"], seen["Description"]) == ("t", "")
    with cloud.store.write() as tx:
        lease = tx.put("address", f"{id}/10.0.1.1", "ap-southeast-1", {"Owner": "i-1"})
    assert cloud.call("DescribeVSwitchAttributes", VSwitchId=id)["AvailableIpAddressCount"] == 251
    assert refused(cloud, "DeleteVSwitch", VSwitchId=id) == (400, "DependencyViolation")
    with cloud.store.write() as tx:
        tx.delete(lease)
    cloud.call("DeleteVSwitch", VSwitchId=id)
    for action in ("DeleteVSwitch", "DescribeVSwitchAttributes", "ModifyVSwitchAttribute"):
        assert refused(cloud, action, VSwitchId=id) == (404, "InvalidVswitchID.NotFound")
    assert cloud.dataplane.plan.networks[vpc].subnets == ()


def test_route_tables(cloud: LocalCloud, vpc: str) -> None:
    switch = cloud.call("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="10.0.1.0/24")["VSwitchId"]
    table = cloud.call("DescribeRouteTableList", VpcId=vpc)["RouterTableList"]["RouterTableListType"][0]
    assert table["RouteTableType"] == "System" and table["VpcId"] == vpc and table["VSwitchIds"] == {"VSwitchId": [switch]}
    assert (table["RouteTableName"], table["Description"]) == ("", "")
    id = table["RouteTableId"]
    cloud.call("ModifyRouteTableAttributes", RouteTableId=id, RouteTableName="main", Description="d", RoutePropagationEnable=False)
    table = cloud.call("DescribeRouteTableList", RouteTableName="main")["RouterTableList"]["RouterTableListType"][0]
    assert (table["RouteTableName"], table["Description"], table["RoutePropagationEnable"]) == ("main", "d", False)
    assert cloud.call("DescribeRouteTableList", RouteTableType="Custom")["TotalCount"] == 0
    assert refused(cloud, "ModifyRouteTableAttributes", RouteTableId="vtb-no") == (404, "InvalidRouteTableId.NotFound")
    tables = cloud.call("DescribeRouteTables", RouteTableId=id)["RouteTables"]["RouteTable"]
    assert [e["DestinationCidrBlock"] for e in tables[0]["RouteEntrys"]["RouteEntry"]] == ["10.0.1.0/24", "100.64.0.0/10"]
    first = cloud.call("DescribeRouteEntryList", RouteTableId=id, MaxResult=1)
    assert first["TotalCount"] == 2 and first["NextToken"]
    second = cloud.call("DescribeRouteEntryList", RouteTableId=id, MaxResult=1, NextToken=first["NextToken"])
    assert second["NextToken"] == "" and second["RouteEntrys"]["RouteEntry"][0]["Type"] == "Service"
    assert cloud.call("DescribeRouteEntryList", RouteTableId=id, DestinationCidrBlock="10.0.1.0/24")["TotalCount"] == 1
    assert refused(cloud, "DescribeRouteEntryList", RouteTableId=id, NextToken="x") == (400, "InvalidParameter.NextToken")


def test_tags(cloud: LocalCloud, vpc: str) -> None:
    table = cloud.call("DescribeRouteTableList", VpcId=vpc)["RouterTableList"]["RouterTableListType"][0]["RouteTableId"]
    switch = cloud.call("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="10.0.1.0/24")["VSwitchId"]
    eip = cloud.call("AllocateEipAddress")["AllocationId"]
    for type, id in (("VPC", vpc), ("VSWITCH", switch), ("ROUTETABLE", table), ("EIP", eip)):
        tag = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
        cloud.call("TagResources", version="2016-04-28", ResourceType=type, ResourceId=[id], Tag=tag)
        first = cloud.call("ListTagResources", version="2016-04-28", ResourceType=type, ResourceId=[id], MaxResults=1)
        assert [t["TagKey"] for t in first["TagResources"]["TagResource"]] == ["a"]
        rest = cloud.call("ListTagResources", version="2016-04-28", ResourceType=type, NextToken=first["NextToken"])
        assert [(t["ResourceId"], t["TagValue"]) for t in rest["TagResources"]["TagResource"]] == [(id, "2")]
        cloud.call("UnTagResources", ResourceType=type, ResourceId=[id], TagKey=["a"])
        left = cloud.call("ListTagResources", version="2016-04-28", ResourceType=type)["TagResources"]["TagResource"]
        assert [(t["TagKey"], t["ResourceType"]) for t in left] == [("b", type)]
        cloud.call("UnTagResources", ResourceType=type, ResourceId=[id], All=True)
        assert cloud.call("ListTagResources", version="2016-04-28", ResourceType=type)["TagResources"] == {"TagResource": []}

    def tag_fails(**params: object) -> tuple[int, str]:
        return refused(cloud, "TagResources", version="2016-04-28", **params)

    one = [{"Key": "a", "Value": "1"}]
    assert tag_fails(ResourceType="VPC", ResourceId=[vpc, "vpc-no"], Tag=one) == (404, "InvalidResourceId.NotFound")
    assert tag_fails(ResourceType="HAVIP", ResourceId=[vpc], Tag=one) == (400, "InvalidResourceType.NotSupported")
    assert tag_fails(ResourceType="VPC", ResourceId=[vpc], Tag=[{"Key": "aliyun"}]) == (400, "InvalidTagKey.Malformed")
    assert refused(cloud, "UnTagResources", ResourceType="VPC", ResourceId=[vpc]) == (400, "MissingParameter")
    cloud.call("TagResources", version="2016-04-28", ResourceType="vpc", ResourceId=[vpc], Tag=[{"Key": f"k{n}"} for n in range(20)])
    assert tag_fails(ResourceType="VPC", ResourceId=[vpc], Tag=one) == (400, "QuotaExceeded.TagPerResource")
