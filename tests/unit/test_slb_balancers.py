"""Classic Load Balancer: load balancers themselves; and the world the other slb tests stand in."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from tests.localcloud import LocalCloud, Refused

REGION = "ap-southeast-1"
SLB = "2014-05-15"
VSWITCH = "vsw-test"
VPC = "vpc-test"
_numbers = itertools.count(1)


def slb(cloud: LocalCloud, action: str, **params: Any) -> dict[str, Any]:
    return cloud.call(action, SLB, **params)


def refused(cloud: LocalCloud, action: str, **params: Any) -> Refused:
    """The error; and nothing was stored."""
    before = cloud.store.view().tables
    with pytest.raises(Refused) as caught:
        slb(cloud, action, **params)
    assert cloud.store.view().tables == before
    return caught.value


def make_network(cloud: LocalCloud, vpc: str = VPC, vswitch: str = VSWITCH, cidr: str = "172.16.1.0/24") -> str:
    """A VPC and a vSwitch, written to the store; the vSwitch's id."""
    with cloud.store.write() as tx:
        tx.put("vpc", vpc, REGION, {
            "CreatedAt": 1, "VpcName": vpc, "Description": "", "CidrBlock": "172.16.0.0/12", "SecondaryCidrBlocks": [], "UserCidrs": [],
            "Status": "Available", "IsDefault": False, "RouteTableId": "vtb-1", "VRouterId": "vrt-1", "Nat": "", "ResourceGroupId": "",
            "Tags": {},
        })  # fmt: skip
        tx.put("vswitch", vswitch, REGION, {
            "CreatedAt": 1, "VpcId": vpc, "ZoneId": f"{REGION}b", "CidrBlock": cidr, "VSwitchName": vswitch, "Description": "",
            "Status": "Available", "IsDefault": False, "Tags": {},
        })  # fmt: skip
    return vswitch


def make_instance(cloud: LocalCloud, vswitch: str = VSWITCH, status: str = "Running", region: str = REGION) -> str:
    """An instance, written to the store; its id."""
    place = cloud.store.view().get("vswitch", vswitch)
    assert place is not None
    number = next(_numbers)
    id = f"i-test{number}"
    address = str(IPv4Network(place["CidrBlock"])[10 + number % 200])
    with cloud.store.write() as tx:
        tx.put("instance", id, region, {
            "CreatedAt": number, "InstanceName": id, "HostName": id, "Description": "", "ImageId": "base", "Layer": "base",
            "InstanceType": "ecs.t6-c1m1.large", "Cpu": 1, "Memory": 512, "VpcId": place["VpcId"], "VSwitchId": vswitch,
            "ZoneId": place["ZoneId"], "PrivateIpAddress": address, "SecondaryPrivateIps": [str(IPv4Address(address) + 30)],
            "MacAddress": f"00:16:3e:00:00:{number % 256:02x}", "NetworkInterfaceId": f"eni-{id}", "SecurityGroupIds": [],
            "PublicIpAddress": "", "InternetMaxBandwidthOut": 0, "InternetMaxBandwidthIn": 0, "InternetChargeType": "PayByTraffic",
            "KeyPairName": "", "PasswordHash": "", "UserData": "", "RamRoleName": "", "Status": status, "ForceStop": False,
            "Rebooting": False, "Deleting": False, "StartTime": "", "DeletionProtection": False, "Tags": {},
        })  # fmt: skip
        cloud.dataplane.states[id] = "running"
    return id


def make_balancer(cloud: LocalCloud, **params: Any) -> str:
    return str(slb(cloud, "CreateLoadBalancer", **params)["LoadBalancerId"])


def attribute(cloud: LocalCloud, id: str) -> dict[str, Any]:
    return slb(cloud, "DescribeLoadBalancerAttribute", LoadBalancerId=id)


def test_internet_balancer(cloud: LocalCloud) -> None:
    made = slb(cloud, "CreateLoadBalancer", LoadBalancerName="web", AddressType="internet", LoadBalancerSpec="slb.s1.small", Bandwidth=1)
    assert IPv4Address(made["Address"]) in IPv4Network("198.18.160.0/20")
    assert made["LoadBalancerName"] == "web" and made["NetworkType"] == "classic" and made["VpcId"] == ""
    shown = attribute(cloud, made["LoadBalancerId"])
    assert shown["LoadBalancerStatus"] == "active" and shown["Bandwidth"] == 1 and shown["Address"] == made["Address"]
    assert shown["InternetChargeType"] == "paybytraffic" and shown["DeleteProtection"] == "off" and shown["AddressIPVersion"] == "ipv4"
    assert shown["InstanceChargeType"] == "PayBySpec" and shown["PayType"] == "PayOnDemand" and shown["LoadBalancerSpec"] == "slb.s1.small"
    assert shown["MasterZoneId"] == f"{REGION}a" and shown["SlaveZoneId"] == f"{REGION}b"
    assert shown["BackendServers"] == {"BackendServer": []} and shown["ListenerPorts"] == {"ListenerPort": []}
    assert shown["ListenerPortsAndProtocal"] == {"ListenerPortAndProtocal": []}
    assert shown["ListenerPortsAndProtocol"] == {"ListenerPortAndProtocol": []} and shown["Tags"] == {"Tag": []}
    assert isinstance(shown["CreateTimeStamp"], int) and shown["EndTime"] == "2999-09-08T16:00:00Z"
    planned = cloud.dataplane.plan.balancers[made["LoadBalancerId"]]
    assert planned.internet and planned.address == made["Address"] and planned.network == "" and planned.listeners == ()
    assert planned.source.startswith("100.117.")


def test_intranet_balancer_takes_an_address_of_its_vswitch(cloud: LocalCloud) -> None:
    make_network(cloud)
    made = slb(cloud, "CreateLoadBalancer", VSwitchId=VSWITCH)
    assert IPv4Address(made["Address"]) in IPv4Network("172.16.1.0/24")
    assert (made["VpcId"], made["VSwitchId"], made["NetworkType"]) == (VPC, VSWITCH, "vpc")
    shown = attribute(cloud, made["LoadBalancerId"])
    assert shown["AddressType"] == "intranet" and shown["MasterZoneId"] == f"{REGION}b"
    planned = cloud.dataplane.plan.balancers[made["LoadBalancerId"]]
    assert not planned.internet and planned.network == VPC
    asked = slb(cloud, "CreateLoadBalancer", VSwitchId=VSWITCH, VpcId=VPC, Address="172.16.1.77")
    assert asked["Address"] == "172.16.1.77"
    assert refused(cloud, "CreateLoadBalancer", VSwitchId=VSWITCH, Address="172.16.1.77").code == "InvalidPrivateIpAddress.Duplicated"
    assert refused(cloud, "CreateLoadBalancer", VSwitchId=VSWITCH, Address="10.0.0.1").code == "InvalidPrivateIpAddress.Malformed"
    assert refused(cloud, "CreateLoadBalancer", VSwitchId=VSWITCH, VpcId="vpc-other").status == 404


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"AddressType": "intranet"}, "MissingParameter"),
        ({"VSwitchId": "vsw-none"}, "InvalidVSwitchId.NotFound"),
        ({"AddressIPVersion": "ipv6"}, "InvalidParameter"),
        ({"Address": "198.18.160.20"}, "InvalidParameter"),
        ({"LoadBalancerName": "1name"}, "InvalidParameter"),
        ({"LoadBalancerName": "n" * 81}, "InvalidParameter"),
        ({"LoadBalancerSpec": "slb.huge"}, "InvalidParameter"),
        ({"Bandwidth": 0}, "InvalidParameter"),
        ({"Bandwidth": "fast"}, "InvalidParameter"),
        ({"MasterZoneId": "cn-hangzhou-b"}, "InvalidParameter"),
        ({"MasterZoneId": f"{REGION}a", "SlaveZoneId": f"{REGION}a"}, "InvalidParameter"),
        ({"InstanceChargeType": "PayBySpec", "LoadBalancerSpec": "slb.lcu.elastic"}, "InvalidParameter"),
        ({"Tag": [{"Key": "acs:x", "Value": "1"}]}, "InvalidTagKey.Malformed"),
    ],
)
def test_create_refusals(cloud: LocalCloud, params: dict[str, Any], code: str) -> None:
    assert refused(cloud, "CreateLoadBalancer", **params).code == code


def test_client_token(cloud: LocalCloud) -> None:
    first = slb(cloud, "CreateLoadBalancer", LoadBalancerName="web", ClientToken="t-1")
    again = slb(cloud, "CreateLoadBalancer", LoadBalancerName="web", ClientToken="t-1")
    assert first["LoadBalancerId"] == again["LoadBalancerId"]
    assert refused(cloud, "CreateLoadBalancer", LoadBalancerName="other", ClientToken="t-1").code == "IdempotentParameterMismatch"
    assert slb(cloud, "DescribeLoadBalancers")["TotalCount"] == 1


def test_dry_run_and_a_data_plane_that_fails_store_nothing(cloud: LocalCloud) -> None:
    assert refused(cloud, "CreateLoadBalancer", DryRun=True).code == "DryRunOperation"
    cloud.dataplane.fail = "no"
    assert refused(cloud, "CreateLoadBalancer").code == "OperationFailed.NotApplied"
    assert cloud.store.view().find("address") == []


def test_delete_gives_everything_back(cloud: LocalCloud) -> None:
    make_network(cloud)
    for params in ({}, {"VSwitchId": VSWITCH}):
        id = make_balancer(cloud, DeleteProtection="on", **params)
        slb(cloud, "CreateVServerGroup", LoadBalancerId=id)
        slb(cloud, "CreateLoadBalancerTCPListener", LoadBalancerId=id, ListenerPort=22, BackendServerPort=22)
        assert refused(cloud, "DeleteLoadBalancer", LoadBalancerId=id).code == "OperationDenied.DeleteProtectionIsOn"
        slb(cloud, "SetLoadBalancerDeleteProtection", LoadBalancerId=id, DeleteProtection="off")
        slb(cloud, "DeleteLoadBalancer", LoadBalancerId=id)
        gone = refused(cloud, "DescribeLoadBalancerAttribute", LoadBalancerId=id)
        assert (gone.status, gone.code) == (404, "InvalidLoadBalancerId.NotFound")
        assert refused(cloud, "DeleteLoadBalancer", LoadBalancerId=id).status == 404
    view = cloud.store.view()
    assert not any(view.find(kind) for kind in ("address", "listener", "vserver_group"))
    assert cloud.dataplane.plan.balancers == {}


def test_inactive_leaves_the_plan(cloud: LocalCloud) -> None:
    id = make_balancer(cloud)
    slb(cloud, "SetLoadBalancerStatus", LoadBalancerId=id, LoadBalancerStatus="inactive")
    assert id not in cloud.dataplane.plan.balancers and attribute(cloud, id)["LoadBalancerStatus"] == "inactive"
    slb(cloud, "SetLoadBalancerStatus", LoadBalancerId=id, LoadBalancerStatus="active")
    assert id in cloud.dataplane.plan.balancers
    assert refused(cloud, "SetLoadBalancerStatus", LoadBalancerId=id, LoadBalancerStatus="locked").code == "InvalidParameter"
    assert refused(cloud, "SetLoadBalancerStatus", LoadBalancerId="lb-none", LoadBalancerStatus="active").status == 404


def test_name_and_protections(cloud: LocalCloud) -> None:
    id = make_balancer(cloud, ModificationProtectionStatus="ConsoleProtection", ModificationProtectionReason="mine")
    shown = attribute(cloud, id)
    assert (shown["ModificationProtectionStatus"], shown["ModificationProtectionReason"]) == ("ConsoleProtection", "mine")
    slb(cloud, "SetLoadBalancerName", LoadBalancerId=id, LoadBalancerName="고양이-web")
    assert attribute(cloud, id)["LoadBalancerName"] == "고양이-web"
    change = {"LoadBalancerId": id, "ModificationProtectionStatus": "NonProtection"}
    slb(cloud, "SetLoadBalancerModificationProtection", **change, ModificationProtectionReason="x")
    assert attribute(cloud, id)["ModificationProtectionReason"] == ""


def test_billing_is_recorded(cloud: LocalCloud) -> None:
    make_network(cloud)
    id = make_balancer(cloud, LoadBalancerSpec="slb.s1.small")
    slb(cloud, "ModifyLoadBalancerInternetSpec", LoadBalancerId=id, InternetChargeType="paybybandwidth", Bandwidth=25)
    shown = attribute(cloud, id)
    assert (shown["InternetChargeType"], shown["Bandwidth"]) == ("paybybandwidth", 25)
    slb(cloud, "ModifyLoadBalancerInstanceSpec", LoadBalancerId=id, LoadBalancerSpec="slb.s3.large")
    assert attribute(cloud, id)["LoadBalancerSpec"] == "slb.s3.large"
    assert "OrderId" in slb(cloud, "ModifyLoadBalancerPayType", LoadBalancerId=id, PayType="PrePay", PricingCycle="year", Duration=1)
    assert attribute(cloud, id)["PayType"] == "PrePay" and attribute(cloud, id)["EndTime"] < "2999"
    assert refused(cloud, "ModifyLoadBalancerPayType", LoadBalancerId=id, PayType="PrePay", PricingCycle="year", Duration=4).status == 400
    slb(cloud, "ModifyLoadBalancerInstanceChargeType", LoadBalancerId=id, InstanceChargeType="PayByCLCU")
    shown = attribute(cloud, id)
    assert (shown["InstanceChargeType"], shown["LoadBalancerSpec"]) == ("PayByCLCU", "slb.lcu.elastic")
    for action, params in (
        ("ModifyLoadBalancerInstanceChargeType", {"InstanceChargeType": "PayBySpec"}),
        ("ModifyLoadBalancerInstanceSpec", {"LoadBalancerSpec": "slb.s1.small"}),
        ("ModifyLoadBalancerInternetSpec", {"InternetChargeType": "paybybandwidth"}),
    ):
        assert refused(cloud, action, LoadBalancerId=id, **params).code == "OperationDenied.InstanceChargeType"
    inner = make_balancer(cloud, VSwitchId=VSWITCH)
    assert (
        refused(cloud, "ModifyLoadBalancerInternetSpec", LoadBalancerId=inner, Bandwidth=5).code == "OperationDenied.IntranetLoadBalancer"
    )


def test_filters_and_paging(cloud: LocalCloud) -> None:
    make_network(cloud)
    ids = [make_balancer(cloud, LoadBalancerName=f"web{n}", Tag=[{"Key": "n", "Value": str(n)}]) for n in range(12)]
    inner = make_balancer(cloud, LoadBalancerName="inner", VSwitchId=VSWITCH)
    server = make_instance(cloud)
    slb(cloud, "AddBackendServers", LoadBalancerId=ids[3], BackendServers=f"[{{'ServerId':'{server}'}}]")
    address = cloud.store.view().get("instance", server)["PrivateIpAddress"]  # type: ignore[index]

    def found(**params: Any) -> list[str]:
        return [b["LoadBalancerId"] for b in slb(cloud, "DescribeLoadBalancers", PageSize=100, **params)["LoadBalancers"]["LoadBalancer"]]

    assert len(found()) == 13
    assert found(LoadBalancerId=f"{ids[0]},{ids[1]}") == [ids[1], ids[0]]
    assert found(LoadBalancerName="web2, inner") == [inner, ids[2]]
    assert found(AddressType="intranet") == found(VSwitchId=VSWITCH) == found(VpcId=VPC) == found(NetworkType="VPC") == [inner]
    assert found(ServerId=server) == found(ServerIntranetAddress=address) == [ids[3]]
    assert found(Tag=[{"Key": "n", "Value": "4"}]) == found(Tags='[{"TagKey":"n","TagValue":"4"}]') == [ids[4]]
    assert found(Address=attribute(cloud, ids[5])["Address"]) == [ids[5]]
    assert found(LoadBalancerStatus="inactive") == found(PayType="PrePay") == found(MasterZoneId=f"{REGION}c") == []
    assert found(RegionId="cn-hangzhou") == []
    first = slb(cloud, "DescribeLoadBalancers", PageNumber=1, PageSize=5)
    last = slb(cloud, "DescribeLoadBalancers", PageNumber=3, PageSize=5)
    assert (first["TotalCount"], len(first["LoadBalancers"]["LoadBalancer"]), len(last["LoadBalancers"]["LoadBalancer"])) == (13, 5, 3)
    assert slb(cloud, "DescribeLoadBalancers", PageNumber=9)["LoadBalancers"] == {"LoadBalancer": []}
    row = slb(cloud, "DescribeLoadBalancers", LoadBalancerId=ids[4])["LoadBalancers"]["LoadBalancer"][0]
    assert row["Tags"] == {"Tag": [{"TagKey": "n", "TagValue": "4"}]} and row["LoadBalancerName"] == "web4"
    assert refused(cloud, "DescribeLoadBalancers", PageSize=101).code == "InvalidParameter"
    assert refused(cloud, "DescribeLoadBalancers", LoadBalancerId=",".join(ids)).code == "InvalidParameter"
    assert refused(cloud, "DescribeLoadBalancers", Tags="[" * 4000).code == "InvalidParameter"


def test_other_regions_do_not_see_it(cloud: LocalCloud) -> None:
    id = make_balancer(cloud)
    assert refused(cloud, "DescribeLoadBalancerAttribute", LoadBalancerId=id, RegionId="cn-hangzhou").status == 404
    far = make_balancer(cloud, RegionId="cn-hangzhou")
    slb(cloud, "SetLoadBalancerStatus", LoadBalancerId=far, LoadBalancerStatus="inactive")  # as Terraform sends it: without a region
    status = {"LoadBalancerId": far, "LoadBalancerStatus": "active"}
    assert refused(cloud, "SetLoadBalancerStatus", **status, RegionId="cn-beijing").status == 404


def test_places(cloud: LocalCloud) -> None:
    regions = slb(cloud, "DescribeRegions")["Regions"]["Region"]
    assert {"RegionId": REGION, "LocalName": "新加坡", "RegionEndpoint": f"slb.{REGION}.aliyuncs.com"} in regions
    zones = slb(cloud, "DescribeZones")["Zones"]["Zone"]
    assert [z["ZoneId"] for z in zones] == [f"{REGION}{c}" for c in "abc"]
    assert [z["ZoneId"] for z in zones[0]["SlaveZones"]["SlaveZone"]] == [f"{REGION}b", f"{REGION}c"]
    pairs = slb(cloud, "DescribeAvailableResource", AddressType="internet")["AvailableResources"]["AvailableResource"]
    assert len(pairs) == 6
    assert pairs[0]["SupportResources"] == {"SupportResource": [{"AddressType": "internet", "AddressIPVersion": "ipv4"}]}
    alone = slb(cloud, "DescribeAvailableResource", RegionId="me-east-1")["AvailableResources"]["AvailableResource"]
    assert [(r["MasterZoneId"], r["SlaveZoneId"]) for r in alone] == [("me-east-1a", "")]
    assert slb(cloud, "DescribeAvailableResource", AddressIPVersion="ipv6")["AvailableResources"] == {"AvailableResource": []}
