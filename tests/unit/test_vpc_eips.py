"""Elastic IP addresses: allocated, bound to instances, released."""

from __future__ import annotations

from typing import Any

import pytest

from haechi.cloud.machines import Machines
from haechi.cloud.products.vpc.desired import render_networks, render_publics
from haechi.cloud.products.vpc.eips import unbind_instance
from haechi.dataplane.plan import Plan
from tests.localcloud import LocalCloud
from tests.unit.test_vpc_vpcs import refused

REGION = "ap-southeast-1"


def put_instance(cloud: LocalCloud, id: str, **data: Any) -> str:
    """An instance as the ecs product would store it, as far as EIPs look at it."""
    base = {"VpcId": "vpc-1", "VSwitchId": "vsw-1", "PrivateIpAddress": f"10.0.1.{len(id)}", "SecondaryPrivateIps": []}
    more = {"PublicIpAddress": "", "Status": "Running", "NetworkInterfaceId": f"eni-{id}", "CreatedAt": 0, "InternetMaxBandwidthOut": 0}
    with cloud.store.write() as tx:
        tx.put("instance", id, REGION, {**base, **more, **data})
    return id


def allocate(cloud: LocalCloud, **params: object) -> str:
    id: str = cloud.call("AllocateEipAddress", **params)["AllocationId"]
    return id


def describe(cloud: LocalCloud, **params: object) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = cloud.call("DescribeEipAddresses", **params)["EipAddresses"]["EipAddress"]
    return items


@pytest.fixture(autouse=True)
def no_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The instances here have no machine: nobody watches them, and the plan is this product's part."""
    monkeypatch.setattr(Machines, "_watch", lambda self: None)
    monkeypatch.setattr("tests.localcloud.render_plan", lambda view: Plan(networks=render_networks(view), publics=render_publics(view)))


def test_allocate_and_describe(cloud: LocalCloud) -> None:
    made = cloud.call("AllocateEipAddress", version="2014-05-26", InternetChargeType="PayByTraffic", Bandwidth="10", Name="e")
    eip = describe(cloud, version="2014-05-26", AllocationId=made["AllocationId"])[0]
    assert made["EipAddress"] == eip["IpAddress"] and made["EipAddress"].startswith("198.18.")
    assert (eip["Status"], eip["Bandwidth"], eip["InternetChargeType"], eip["ChargeType"]) == (
        "Available",
        "10",
        "PayByTraffic",
        "PostPaid",
    )
    assert (eip["InstanceId"], eip["PrivateIpAddress"], eip["VpcId"], eip["Description"]) == ("", "", "", "")
    assert "PublicIpAddressPoolId" not in eip and "SecurityProtectionTypes" not in eip
    assert describe(cloud, AllocationId="eip-no") == []


def test_wanted_address(cloud: LocalCloud) -> None:
    id = allocate(cloud, IpAddress="198.18.161.7")
    assert describe(cloud)[0]["IpAddress"] == "198.18.161.7"
    assert refused(cloud, "AllocateEipAddress", IpAddress="198.18.161.7") == (400, "InvalidIpAddress.AlreadyInUse")
    for address in ("8.8.8.8", "198.18.160.1", "198.18.175.255"):
        assert refused(cloud, "AllocateEipAddress", IpAddress=address) == (400, "InvalidIpAddress.NotAvailable")
    assert refused(cloud, "AllocateEipAddress", IpAddress="x") == (400, "InvalidIpAddress.Malformed")
    cloud.call("ReleaseEipAddress", AllocationId=id)
    allocate(cloud, IpAddress="198.18.161.7")


def test_allocate_refusals(cloud: LocalCloud) -> None:
    for params, code in (
        ({"Bandwidth": "0"}, "InvalidBandwidth.ValueNotSupported"),
        ({"Bandwidth": "201", "InternetChargeType": "PayByTraffic"}, "InvalidBandwidth.ValueNotSupported"),
        ({"Bandwidth": "ten"}, "InvalidBandwidth.ValueNotSupported"),
        ({"InternetChargeType": "x"}, "InvalidInternetChargeType.ValueNotSupported"),
        ({"InstanceChargeType": "PrePaid"}, "OperationUnsupported.PrePaid"),
        ({"Name": "http://x"}, "InvalidEipName.Malformed"),
        ({"SecurityProtectionTypes": ["x"]}, "OperationUnsupported.Pool"),
    ):
        assert refused(cloud, "AllocateEipAddress", **params) == (400, code)
    assert refused(cloud, "AllocateEipAddress", InstanceId="eip-old") == (404, "InvalidAllocationId.NotFound")


def test_filters(cloud: LocalCloud) -> None:
    a = allocate(cloud, Name="a", ISP="BGP_PRO", Tag=[{"Key": "k", "Value": "v"}])
    b = allocate(cloud, Name="b", ResourceGroupId="rg-x")
    cloud.call("AssociateEipAddress", AllocationId=b, InstanceId=put_instance(cloud, "i-1"))

    def found(**filters: object) -> list[str]:
        return [e["AllocationId"] for e in describe(cloud, **filters)]

    address = describe(cloud, AllocationId=a)[0]["IpAddress"]
    assert found(AllocationId=f"{a},{b}") == [a, b] and found(EipAddress=address) == [a] and found(EipName="b") == [b]
    assert found(Status="InUse") == [b] and found(Status="Available") == [a] and found(ISP="BGP_PRO") == [a]
    assert found(AssociatedInstanceId="i-1") == [b] and found(AssociatedInstanceType="EcsInstance") == [b]
    assert found(ResourceGroupId="rg-x") == [b] and found(Tag=[{"Key": "k"}]) == [a] and found(ChargeType="PrePaid") == []
    assert found(LockReason="financial") == [] and found(SecurityProtectionEnabled=True) == []
    assert found(Filter=[{"Key": "CreationStartTime", "Value": "2020-01-01T00:00Z"}]) == [a, b]
    assert found(Filter=[{"Key": "CreationEndTime", "Value": "2020-01-01T00:00Z"}]) == []
    assert refused(cloud, "DescribeEipAddresses", Filter=[{"Key": "CreationEndTime", "Value": "x"}]) == (400, "InvalidParameter")
    assert found(PageSize=1, PageNumber=2) == [b]


def test_bind_and_unbind(cloud: LocalCloud) -> None:
    eip = allocate(cloud, Bandwidth="7")
    instance = put_instance(cloud, "i-1")
    cloud.call("AssociateEipAddress", AllocationId=eip, InstanceId=instance)
    seen = describe(cloud, AllocationId=eip)[0]
    assert (seen["Status"], seen["InstanceId"], seen["InstanceType"], seen["Mode"]) == ("InUse", "i-1", "EcsInstance", "NAT")
    assert (seen["PrivateIpAddress"], seen["VpcId"]) == ("", "")
    public = cloud.dataplane.plan.publics[seen["IpAddress"]]
    assert (public.network, public.private, public.mbps, public.mbps_in) == ("vpc-1", "10.0.1.3", 7, 10)
    cloud.call("ModifyEipAddressAttribute", AllocationId=eip, Bandwidth="9", Name="n")
    assert cloud.dataplane.plan.publics[seen["IpAddress"]].mbps == 9
    other = allocate(cloud)
    for id, to in ((eip, instance), (eip, put_instance(cloud, "i-22"))):
        assert refused(cloud, "AssociateEipAddress", AllocationId=id, InstanceId=to) == (400, "IncorrectEipStatus")
    assert refused(cloud, "AssociateEipAddress", AllocationId=other, InstanceId=instance) == (400, "InvalidAssociation.Duplicated")
    assert refused(cloud, "ReleaseEipAddress", AllocationId=eip) == (400, "IncorrectEipStatus")
    wrong = refused(cloud, "UnassociateEipAddress", AllocationId=eip, InstanceId="i-22")
    assert wrong == (400, "InvalidAssociation.NotFound")
    cloud.call("UnassociateEipAddress", AllocationId=eip, InstanceId=instance)
    assert describe(cloud, AllocationId=eip)[0]["Status"] == "Available" and cloud.dataplane.plan.publics == {}
    assert refused(cloud, "UnassociateEipAddress", AllocationId=eip) == (400, "IncorrectEipStatus")
    cloud.call("ReleaseEipAddress", AllocationId=eip)
    assert refused(cloud, "ReleaseEipAddress", AllocationId=eip) == (404, "InvalidAllocationId.NotFound")


def test_what_cannot_be_bound(cloud: LocalCloud) -> None:
    eip = allocate(cloud)

    def bind(**params: object) -> tuple[int, str]:
        return refused(cloud, "AssociateEipAddress", **{"AllocationId": eip, **params})

    assert bind(InstanceId="i-no") == (404, "InvalidInstanceId.NotFound")
    assert bind(InstanceId="i-1", AllocationId="eip-no") == (404, "InvalidAllocationId.NotFound")
    assert bind(InstanceId="lb-1", InstanceType="SlbInstance") == (400, "InvalidInstanceType.ValueNotSupported")
    assert bind(InstanceId="i-1", InstanceType="Moon") == (400, "InvalidInstanceType.ValueNotSupported")
    public = put_instance(cloud, "i-public", PublicIpAddress="198.18.160.99")
    assert bind(InstanceId=public) == (400, "InvalidAssociation.Duplicated")
    for state in ("Pending", "Starting", "Stopping"):
        assert bind(InstanceId=put_instance(cloud, f"i-{state}", Status=state)) == (400, "IncorrectInstanceStatus")
    assert bind(InstanceId=put_instance(cloud, "i-going", Deleting=True)) == (400, "IncorrectInstanceStatus")
    good = put_instance(cloud, "i-good", Status="Stopped")
    assert bind(InstanceId=good, PrivateIpAddress="10.0.1.200") == (400, "InvalidPrivateIpAddress.NotFound")
    assert bind(InstanceId=good, VpcId="vpc-2") == (400, "InvalidParameter.Mismatch")
    assert bind(InstanceId=good, Mode="BINDED") == (400, "InvalidMode.ValueNotSupported")
    cloud.call("AssociateEipAddress", AllocationId=eip, InstanceId=good, VpcId="vpc-1")
    assert describe(cloud)[0]["VpcId"] == "vpc-1"


def test_secondary_addresses_by_interface(cloud: LocalCloud) -> None:
    put_instance(cloud, "i-1", SecondaryPrivateIps=["10.0.1.50"], PublicIpAddress="198.18.160.99", InternetMaxBandwidthOut=3)
    eip = allocate(cloud)
    interface = {"InstanceId": "eni-i-1", "InstanceType": "NetworkInterface"}
    cloud.call("AssociateEipAddress", AllocationId=eip, PrivateIpAddress="10.0.1.50", **interface)
    publics = cloud.dataplane.plan.publics
    assert publics["198.18.160.99"].private == "10.0.1.3" and publics["198.18.160.99"].mbps == 3
    seen = describe(cloud)[0]
    assert publics[seen["IpAddress"]].private == seen["PrivateIpAddress"] == "10.0.1.50"
    with cloud.store.write() as tx:
        unbind_instance(tx, "i-1")
    assert describe(cloud)[0]["Status"] == "Available"


def test_protection_and_clearing(cloud: LocalCloud) -> None:
    eip = allocate(cloud, Description="dd")
    cloud.call("DeletionProtection", InstanceId=eip, ProtectionEnable=True, Type="EIP")
    assert refused(cloud, "ReleaseEipAddress", AllocationId=eip) == (400, "OperationDenied.DeletionProtection")
    cloud.call("DeletionProtection", InstanceId=eip, ProtectionEnable=False, Type="EIP")
    cloud.call("ModifyEipAddressAttribute", AllocationId=eip, Description="")
    assert describe(cloud)[0]["Description"] == ""
    cloud.call("MoveResourceGroup", ResourceType="EIP", ResourceId=eip, NewResourceGroupId="rg-z")
    cloud.call("ReleaseEipAddress", AllocationId=eip)
    assert refused(cloud, "DeletionProtection", InstanceId=eip, ProtectionEnable=True, Type="EIP") == (404, "InvalidAllocationId.NotFound")


def test_client_token(cloud: LocalCloud) -> None:
    assert allocate(cloud, ClientToken="t") == allocate(cloud, ClientToken="t")
    assert len(describe(cloud)) == 1
