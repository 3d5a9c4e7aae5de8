"""VPCs: what is made, refused, found, changed and deleted, and what the data plane is told."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.localcloud import ACCOUNT, LocalCloud, Refused

ZONE = "ap-southeast-1a"


def refused(cloud: LocalCloud, action: str, **params: object) -> tuple[int, str]:
    """Status and code of a call that must be refused and must not change the store."""
    before = cloud.store.view().tables
    with pytest.raises(Refused) as caught:
        cloud.call(action, **params)
    assert cloud.store.view().tables is before or action.startswith("Describe")
    return caught.value.status, caught.value.code


def test_create_is_complete_at_once(cloud: LocalCloud) -> None:
    made = cloud.call(
        "CreateVpc", CidrBlock="10.1.0.0/16", VpcName="a", Tag=[{"Key": "env", "Value": "x"}], UserCidr="10.9.0.0/16,10.8.0.0/16"
    )
    assert made["VpcId"].startswith("vpc-") and made["VRouterId"].startswith("vrt-") and made["RouteTableId"].startswith("vtb-")
    seen = cloud.call("DescribeVpcAttribute", VpcId=made["VpcId"])
    assert (seen["Status"], seen["CidrBlock"], seen["VpcName"], seen["Description"]) == ("Available", "10.1.0.0/16", "a", "")
    assert seen["OwnerId"] == int(ACCOUNT) and seen["IsDefault"] is False and seen["ClassicLinkEnabled"] is False
    assert seen["Ipv6CidrBlock"] == "" and seen["DnsHostnameStatus"] == "DISABLED"
    assert seen["Tags"] == {"Tag": [{"Key": "env", "Value": "x"}]}
    assert seen["UserCidrs"] == {"UserCidr": ["10.9.0.0/16", "10.8.0.0/16"]}
    assert seen["SecondaryCidrBlocks"] == {"SecondaryCidrBlock": []} and seen["VSwitchIds"] == {"VSwitchId": []}
    network = cloud.dataplane.plan.networks[made["VpcId"]]
    assert network.cidrs == ("10.1.0.0/16",) and network.nat == "198.18.160.16" and "100.100.100.200" in network.services


def test_cidr_rules(cloud: LocalCloud) -> None:
    for cidr in ("10.0.0.0/7", "10.0.0.0/29", "100.64.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/8", "198.18.0.0/16"):
        assert refused(cloud, "CreateVpc", CidrBlock=cidr) == (400, "InvalidCidrBlock.Malformed"), cidr
    assert refused(cloud, "CreateVpc", CidrBlock="10.0.0.1/16") == (400, "InvalidCidrBlock.Malformed")
    assert refused(cloud, "CreateVpc", CidrBlock="blue") == (400, "InvalidCidrBlock.Malformed")
    assert refused(cloud, "CreateVpc", UserCidr="10.0.0.0/8,1.0.0.0/8,2.0.0.0/8,3.0.0.0/8") == (400, "InvalidParameter")
    for cidr in ("10.0.0.0/8", "192.168.1.0/28"):
        cloud.call("CreateVpc", CidrBlock=cidr)
    first = cloud.call("DescribeVpcAttribute", VpcId=cloud.call("CreateVpc")["VpcId"])
    assert first["CidrBlock"] == "172.16.0.0/12"


def test_names_and_unsupported(cloud: LocalCloud) -> None:
    assert refused(cloud, "CreateVpc", VpcName="http://a") == (400, "InvalidVpcName.Malformed")
    assert refused(cloud, "CreateVpc", VpcName="x" * 129) == (400, "InvalidVpcName.Malformed")
    assert refused(cloud, "CreateVpc", Description="https://a") == (400, "InvalidVpcDiscription.Malformed")
    assert refused(cloud, "CreateVpc", EnableIpv6=True) == (400, "OperationUnsupported.Ipv6")
    assert refused(cloud, "CreateVpc", Ipv4IpamPoolId="ipam-1") == (400, "OperationUnsupported.Ipam")
    assert refused(cloud, "CreateVpc", Tag=[{"Key": "acs:x"}]) == (400, "InvalidTagKey.Malformed")
    id = cloud.call("CreateVpc")["VpcId"]
    assert refused(cloud, "EnableVpcClassicLink", VpcId=id) == (400, "OperationUnsupported.ClassicLink")
    cloud.call("DisableVpcClassicLink", VpcId=id)


def test_describe_filters_and_pages(cloud: LocalCloud) -> None:
    ids = [cloud.call("CreateVpc", VpcName=f"v{n % 2}", Tag=[{"Key": "n", "Value": str(n)}])["VpcId"] for n in range(5)]
    page = cloud.call("DescribeVpcs", PageSize=2, PageNumber=2)
    assert [v["VpcId"] for v in page["Vpcs"]["Vpc"]] == ids[2:4]
    assert (page["TotalCount"], page["PageNumber"], page["PageSize"]) == (5, 2, 2)

    def found(**filters: object) -> list[str]:
        return [v["VpcId"] for v in cloud.call("DescribeVpcs", PageSize=50, **filters)["Vpcs"]["Vpc"]]

    assert found(VpcName="v1") == [ids[1], ids[3]]
    assert found(VpcId=f"{ids[0]},{ids[4]},vpc-nope") == [ids[0], ids[4]]
    assert found(Tag=[{"Key": "n", "Value": "3"}]) == [ids[3]] and found(Tag=[{"Key": "n"}]) == ids
    assert found(IsDefault=True) == [] and found(IsDefault=False) == ids
    assert found(VpcOwnerId="1") == [] and found(EnableIpv6=True) == [] and found(RegionId="cn-beijing") == []
    assert found(version="2014-05-26") == ids
    assert refused(cloud, "DescribeVpcs", PageSize=51) == (400, "InvalidParameter")
    assert refused(cloud, "DescribeVpcs", VpcId=",".join(["v"] * 21)) == (400, "InvalidParameter")


def test_default_vpc_is_one_per_region(cloud: LocalCloud) -> None:
    id = cloud.call("CreateDefaultVpc")["VpcId"]
    assert cloud.call("DescribeVpcs", IsDefault=True)["Vpcs"]["Vpc"][0]["VpcId"] == id
    assert refused(cloud, "CreateDefaultVpc") == (400, "OperationDenied.DefaultVpcExists")
    assert refused(cloud, "ModifyVpcAttribute", VpcId=id, CidrBlock="10.0.0.0/8") == (400, "OperationDenied.DefaultVpc")
    cloud.call("CreateDefaultVpc", RegionId="cn-beijing")
    first, second = (cloud.call("CreateDefaultVSwitch", ZoneId=z)["VSwitchId"] for z in (ZONE, "ap-southeast-1b"))
    blocks = [s["CidrBlock"] for s in cloud.call("DescribeVSwitches", VpcId=id)["VSwitches"]["VSwitch"]]
    assert first != second and blocks == ["172.16.0.0/20", "172.16.16.0/20"]
    assert refused(cloud, "CreateDefaultVSwitch", ZoneId=ZONE) == (400, "OperationDenied.DefaultVSwitchExists")
    assert refused(cloud, "CreateDefaultVSwitch", ZoneId="us-west-1a", RegionId="us-west-1") == (404, "DefaultVpc.NotFound")


def test_modify(cloud: LocalCloud) -> None:
    id = cloud.call("CreateVpc", CidrBlock="10.0.0.0/16", VpcName="a", Description="d")["VpcId"]
    cloud.call("CreateVSwitch", VpcId=id, ZoneId=ZONE, CidrBlock="10.0.1.0/24")
    cloud.call("ModifyVpcAttribute", VpcId=id, VpcName="b", CidrBlock="10.0.0.0/8", EnableDnsHostname=True)
    seen = cloud.call("DescribeVpcAttribute", VpcId=id)
    assert (seen["VpcName"], seen["Description"], seen["CidrBlock"], seen["DnsHostnameStatus"]) == ("b", "d", "10.0.0.0/8", "ENABLED")
    assert cloud.dataplane.plan.networks[id].cidrs == ("10.0.0.0/8",)
    cloud.call("ModifyVpcAttribute", VpcId=id, Description="")
    assert cloud.call("DescribeVpcAttribute", VpcId=id)["Description"] == ""
    assert refused(cloud, "ModifyVpcAttribute", VpcId=id, CidrBlock="10.1.0.0/16") == (400, "OperationDenied.VSwitchOutside")
    assert refused(cloud, "ModifyVpcAttribute", VpcId="vpc-no", VpcName="x") == (404, "InvalidVpcID.NotFound")
    assert refused(cloud, "ModifyVpcAttribute", VpcId=id, EnableIPv6=True) == (400, "OperationUnsupported.Ipv6")
    cloud.call("MoveResourceGroup", ResourceType="VPC", ResourceId=id, NewResourceGroupId="rg-abc")
    assert cloud.call("DescribeVpcs", ResourceGroupId="rg-abc")["TotalCount"] == 1


def test_secondary_cidrs(cloud: LocalCloud) -> None:
    id = cloud.call("CreateVpc", CidrBlock="10.0.0.0/16")["VpcId"]
    answer = cloud.call("AssociateVpcCidrBlock", VpcId=id, SecondaryCidrBlock="192.168.0.0/16")
    assert answer["CidrBlock"] == "192.168.0.0/16" and answer["IpVersion"] == "IPV4"
    assert cloud.dataplane.plan.networks[id].cidrs == ("10.0.0.0/16", "192.168.0.0/16")
    overlap = (400, "InvalidCidrBlock.Overlapped")
    assert refused(cloud, "AssociateVpcCidrBlock", VpcId=id, SecondaryCidrBlock="10.0.0.0/8") == overlap
    assert refused(cloud, "ModifyVpcAttribute", VpcId=id, CidrBlock="192.168.0.0/20") == overlap
    assert refused(cloud, "AssociateVpcCidrBlock", VpcId=id) == (400, "MissingParameter")
    switch = cloud.call("CreateVSwitch", VpcId=id, ZoneId=ZONE, CidrBlock="192.168.1.0/24")["VSwitchId"]
    inside = (400, "DependencyViolation.VSwitch")
    assert refused(cloud, "UnassociateVpcCidrBlock", VpcId=id, SecondaryCidrBlock="192.168.0.0/16") == inside
    cloud.call("DeleteVSwitch", VSwitchId=switch)
    cloud.call("UnassociateVpcCidrBlock", VpcId=id, SecondaryCidrBlock="192.168.0.0/16")
    gone = (400, "InvalidCidrBlock.NotAssociated")
    assert refused(cloud, "UnassociateVpcCidrBlock", VpcId=id, SecondaryCidrBlock="192.168.0.0/16") == gone
    for n in range(5):
        cloud.call("AssociateVpcCidrBlock", VpcId=id, SecondaryCidrBlock=f"10.{n + 1}.0.0/16")
    assert refused(cloud, "AssociateVpcCidrBlock", VpcId=id, SecondaryCidrBlock="10.9.0.0/16") == (400, "QuotaExceeded.SecondaryCidrBlock")


def test_delete_and_its_dependencies(cloud: LocalCloud) -> None:
    id = cloud.call("CreateVpc", CidrBlock="10.0.0.0/16")["VpcId"]
    nat = cloud.dataplane.plan.networks[id].nat
    switch = cloud.call("CreateVSwitch", VpcId=id, ZoneId=ZONE, CidrBlock="10.0.1.0/24")["VSwitchId"]
    assert refused(cloud, "DeleteVpc", VpcId=id) == (400, "DependencyViolation.VSwitch")
    cloud.call("DeleteVSwitch", VSwitchId=switch)
    with cloud.store.write() as tx:
        group = tx.put("security_group", "sg-1", "ap-southeast-1", {"VpcId": id, "CreatedAt": 0})
    assert refused(cloud, "DeleteVpc", VpcId=id, ForceDelete=True) == (400, "DependencyViolation.SecurityGroup")
    with cloud.store.write() as tx:
        tx.delete(group)
    cloud.call("DeleteVpc", VpcId=id)
    assert refused(cloud, "DescribeVpcAttribute", VpcId=id) == (404, "InvalidVpcID.NotFound")
    assert refused(cloud, "DeleteVpc", VpcId=id) == (404, "InvalidVpcID.NotFound")
    assert cloud.dataplane.plan.networks == {} and cloud.store.view().get("address", nat) is None


def test_client_token_and_quota(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cloud.call("CreateVpc", ClientToken="t1", VpcName="a")["VpcId"]
    assert cloud.call("CreateVpc", ClientToken="t1", VpcName="a")["VpcId"] == first
    assert refused(cloud, "CreateVpc", ClientToken="t1", VpcName="b") == (400, "IdempotentParameterMismatch")
    monkeypatch.setattr(import_module("haechi.cloud.products.vpc.vpcs"), "QUOTA", 1)
    assert refused(cloud, "CreateVpc") == (400, "QuotaExceeded.Vpc")


def test_regions_and_zones(cloud: LocalCloud) -> None:
    regions = cloud.call("DescribeRegions", version="2016-04-28")["Regions"]["Region"]
    assert {"RegionId", "LocalName", "RegionEndpoint"} == set(regions[0])
    zones = cloud.call("DescribeZones", version="2016-04-28")["Zones"]["Zone"]
    assert [z["ZoneId"] for z in zones] == [ZONE, "ap-southeast-1b", "ap-southeast-1c"]
