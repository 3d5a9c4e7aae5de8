"""Connections between VPCs, routes to them, the VPC firewall in them: what is stored and planned, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.localcloud import LocalCloud, Refused

VPC, ECS = "2016-04-28", "2014-05-26"
PEER = "2022-01-01"
FIREWALL = "2017-12-07"


class Api:
    """Two VPCs, "one" (10.0.0.0/16) and "other" (172.16.0.0/16), and the calls of the tests."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        made = {name: cloud.call("CreateVpc", VPC, CidrBlock=cidr, VpcName=name) for name, cidr in BLOCKS.items()}
        self.vpcs = {name: one["VpcId"] for name, one in made.items()}
        self.tables = {name: one["RouteTableId"] for name, one in made.items()}

    def connect(self) -> str:
        answer = self.cloud.call(
            "CreateVpcPeerConnection", PEER, VpcId=self.vpcs["one"], AcceptingVpcId=self.vpcs["other"], AcceptingRegionId="ap-southeast-1"
        )
        return str(answer["InstanceId"])

    def route(self, name: str, cidr: str, hop: str, **more: Any) -> str:
        given = {"DestinationCidrBlock": cidr, "NextHopId": hop, "NextHopType": "VpcPeer", **more}
        return str(self.cloud.call("CreateRouteEntry", VPC, RouteTableId=self.tables[name], **given)["RouteEntryId"])

    def guard(self, switch: str = "open", local: str = "[]") -> str:
        regions = {"LocalVpcRegion": "ap-southeast-1", "PeerVpcRegion": "ap-southeast-1"}
        lists = {"LocalVpcCidrTableList": local, "PeerVpcCidrTableList": "[]"}
        ends = {"LocalVpcId": self.vpcs["one"], "PeerVpcId": self.vpcs["other"]}
        given = {**regions, **lists, **ends, "VpcFirewallName": "middle", "FirewallSwitch": switch}
        return str(self.cloud.call("CreateVpcFirewallConfigure", FIREWALL, **given)["VpcFirewallId"])

    def policy(self, firewall: str, port: str = "80/80", **more: Any) -> str:
        given = {"AclAction": "drop", "Description": port, "Source": "10.0.0.0/16", "SourceType": "net", "Destination": "0.0.0.0/0"}
        given |= {"DestinationType": "net", "Proto": "TCP", "DestPort": port, "NewOrder": "-1", **more}
        return str(self.cloud.call("CreateVpcFirewallControlPolicy", FIREWALL, VpcFirewallId=firewall, **given)["AclUuid"])

    def refusal(self, action: str, version: str, **given: Any) -> str:
        with pytest.raises(Refused) as refused:
            self.cloud.call(action, version, **given)
        return refused.value.code


BLOCKS = {"one": "10.0.0.0/16", "other": "172.16.0.0/16"}


@pytest.fixture
def api(cloud: LocalCloud) -> Api:
    return Api(cloud)


def test_a_connection_and_its_end(api: Api) -> None:
    id = api.connect()
    shown = api.cloud.call("GetVpcPeerConnectionAttribute", PEER, InstanceId=id)
    assert (shown["Status"], shown["BizStatus"]) == ("Activated", "Normal")
    assert (shown["Vpc"]["VpcId"], shown["AcceptingVpc"]["Ipv4Cidrs"]) == (api.vpcs["one"], ["172.16.0.0/16"])
    rte = api.route("one", "172.16.0.0/16", id, RouteEntryName="there")
    api.route("other", "10.0.0.0/20", id)
    peering = api.cloud.dataplane.plan.peerings[id]
    assert peering.networks == (api.vpcs["one"], api.vpcs["other"]) and not peering.guarded
    assert set(peering.routes) == {(api.vpcs["one"], "172.16.0.0/16"), (api.vpcs["other"], "10.0.0.0/20")}
    entries = api.cloud.call("DescribeRouteEntryList", VPC, RouteTableId=api.tables["one"], RouteEntryType="Custom")["RouteEntrys"]
    (entry,) = entries["RouteEntry"]
    hop = entry["NextHops"]["NextHop"][0]
    assert (entry["RouteEntryId"], entry["RouteEntryName"], hop["NextHopType"], hop["NextHopId"]) == (rte, "there", "VpcPeer", id)
    assert api.refusal("DeleteVpc", VPC, VpcId=api.vpcs["one"]) == "DependencyViolation.VpcPeer"
    assert api.refusal("DeleteVpcPeerConnection", PEER, InstanceId=id) == "OperationDenied.RouteEntryExist"
    api.cloud.call("DeleteRouteEntry", VPC, RouteEntryId=rte)
    api.cloud.call("DeleteVpcPeerConnection", PEER, InstanceId=id, Force="true")
    assert not api.cloud.dataplane.plan.peerings and not api.cloud.store.view().find("route_entry")
    assert api.refusal("GetVpcPeerConnectionAttribute", PEER, InstanceId=id) == "ResourceNotFound.InstanceId"
    api.cloud.call("DeleteVpc", VPC, VpcId=api.vpcs["one"])


def test_lists_names_and_tags(api: Api) -> None:
    id = api.connect()
    api.cloud.call("ModifyVpcPeerConnection", PEER, InstanceId=id, Name="middle", Description="of two")
    api.cloud.call("TagResources", PEER, ResourceType="PEERCONNECTION", ResourceId=[id], Tag=[{"Key": "stage", "Value": "test"}])
    for asked, count in (({}, 1), ({"VpcId": [api.vpcs["other"]]}, 1), ({"Name": "others"}, 0), ({"Tags": [{"Key": "stage"}]}, 1)):
        assert api.cloud.call("ListVpcPeerConnections", PEER, **asked)["TotalCount"] == count
    (row,) = api.cloud.call("ListTagResources", PEER, ResourceType="PEERCONNECTION", ResourceId=[id])["TagResources"]
    assert (row["TagKey"], row["TagValue"]) == ("stage", "test")
    api.cloud.call("UnTagResources", PEER, ResourceType="PEERCONNECTION", ResourceId=[id], All="true")
    assert api.cloud.call("GetVpcPeerConnectionAttribute", PEER, InstanceId=id)["Tags"] == []
    assert api.refusal("AcceptVpcPeerConnection", PEER, InstanceId=id) == "IncorrectStatus.VpcPeer"


def test_connections_that_cannot_be(api: Api) -> None:
    given = {"VpcId": api.vpcs["one"], "AcceptingVpcId": api.vpcs["other"], "AcceptingRegionId": "ap-southeast-1"}
    api.connect()
    near = api.cloud.call("CreateVpc", VPC, CidrBlock="10.0.0.0/8")["VpcId"]
    for change, code in (
        ({}, "ResourceAlreadyExist.VpcPeer"),
        ({"AcceptingVpcId": api.vpcs["one"]}, "InvalidParameter"),
        ({"AcceptingVpcId": near}, "OperationDenied.CidrOverlapped"),
        ({"AcceptingVpcId": "vpc-none"}, "ResourceNotFound.AcceptingVpcId"),
        ({"VpcId": "vpc-none"}, "ResourceNotFound.VpcId"),
        ({"AcceptingRegionId": "cn-hangzhou"}, "ResourceNotFound.AcceptingVpcId"),
        ({"AcceptingAliUid": "1"}, "OperationDenied.CrossAccount"),
    ):
        assert api.refusal("CreateVpcPeerConnection", PEER, **{**given, **change}) == code
    assert (
        api.refusal("AssociateVpcCidrBlock", VPC, VpcId=api.vpcs["other"], SecondaryCidrBlock="10.0.0.0/20")
        == "InvalidCidrBlock.Overlapped"
    )


def test_routes_that_cannot_be(api: Api) -> None:
    id = api.connect()
    api.route("one", "172.16.0.0/16", id)
    for change, code in (
        ({}, "RouterEntryConflict.Duplicated"),
        ({"DestinationCidrBlock": "10.0.1.0/24"}, "InvalidCidrBlock.Overlapped"),
        ({"DestinationCidrBlock": "192.168.0.0/16"}, "InvalidParameter"),
        ({"DestinationCidrBlock": "0.0.0.0/0"}, "InvalidCidrBlock.Overlapped"),
        ({"NextHopId": "pcc-none"}, "InvalidNextHopId.NotFound"),
        ({"NextHopId": "i-1", "NextHopType": "Instance"}, "OperationUnsupported.NextHopType"),
        ({"NextHopId": ""}, "MissingParameter"),
        ({"RouteTableId": "vtb-none"}, "InvalidRouteTableId.NotFound"),
    ):
        given = {"RouteTableId": api.tables["one"], "DestinationCidrBlock": "172.16.0.0/16", "NextHopId": id, "NextHopType": "VpcPeer"}
        assert api.refusal("CreateRouteEntry", VPC, **{**given, **change}) == code
    assert api.refusal("DeleteRouteEntry", VPC, RouteEntryId="rte-none") == "InvalidRouteEntry.NotFound"


def test_a_firewall_in_the_connection(api: Api) -> None:
    assert api.refusal("DescribeVpcFirewallDetail", FIREWALL, VpcFirewallId="vfw-none") == "ErrorVpcFirewallNotExist"
    with pytest.raises(Refused, match="ErrorVpcConnectionNotExist"):
        api.guard()
    id = api.connect()
    api.route("one", "172.16.0.0/16", id)
    (row,) = api.cloud.call("DescribeVpcFirewallList", FIREWALL)["VpcFirewalls"]
    assert (row["FirewallSwitchStatus"], row["VpcFirewallId"]) == ("notconfigured", "")
    table = {"RouteTableId": api.tables["one"], "RouteEntryList": [{"DestinationCidr": "172.16.0.0/16", "NextHopInstanceId": id}]}
    with pytest.raises(Refused, match="InvalidParameter"):
        api.guard(local=json.dumps([{**table, "RouteEntryList": [{"DestinationCidr": "172.17.0.0/16", "NextHopInstanceId": id}]}]))
    firewall = api.guard(local=json.dumps([table]))
    with pytest.raises(Refused, match="ErrorVpcFirewallExist"):
        api.guard()
    (row,) = api.cloud.call("DescribeVpcFirewallList", FIREWALL, VpcId=api.vpcs["one"])["VpcFirewalls"]
    assert (row["FirewallSwitchStatus"], row["VpcFirewallId"], row["LocalVpc"]["VpcCidrTableList"]) == ("opened", firewall, [table])
    first = api.policy(firewall)
    second = api.policy(firewall, "443/443", NewOrder="1")
    peering = api.cloud.dataplane.plan.peerings[id]
    assert peering.guarded and [(p.id, p.direction, p.ports) for p in peering.policies] == [
        (second, "in", ((443, 443),)),
        (first, "in", ((80, 80),)),
    ]
    assert not api.cloud.dataplane.plan.wall.policies
    api.cloud.call("ModifyVpcFirewallControlPolicyPosition", FIREWALL, VpcFirewallId=firewall, AclUuid=first, NewOrder="1")
    api.cloud.call("ModifyVpcFirewallControlPolicy", FIREWALL, VpcFirewallId=firewall, AclUuid=second, AclAction="accept", Release="false")
    listed = api.cloud.call("DescribeVpcFirewallControlPolicy", FIREWALL, VpcFirewallId=firewall)
    assert [(p["AclUuid"], p["Order"], p["AclAction"]) for p in listed["Policys"]] == [(first, 1, "drop"), (second, 2, "accept")]
    assert [p.id for p in api.cloud.dataplane.plan.peerings[id].policies] == [first]
    assert api.refusal("DeleteControlPolicy", FIREWALL, AclUuid=first) == "ErrorAclNotExist"  # the Internet firewall's action
    assert api.cloud.call("DescribeVpcFirewallPolicyPriorUsed", FIREWALL, VpcFirewallId=firewall)["End"] == 2
    (group,) = api.cloud.call("DescribeVpcFirewallAclGroupList", FIREWALL)["AclGroupList"]
    assert (group["AclGroupId"], group["AclRuleCount"]) == (firewall, 2)
    api.cloud.call("ModifyVpcFirewallSwitchStatus", FIREWALL, VpcFirewallId=firewall, FirewallSwitch="close")
    assert not api.cloud.dataplane.plan.peerings[id].guarded
    assert api.refusal("DeleteVpcPeerConnection", PEER, InstanceId=id, Force="true") == "OperationDenied.VpcFirewallExist"
    api.cloud.call("DeleteVpcFirewallControlPolicy", FIREWALL, VpcFirewallId=firewall, AclUuid=first)
    api.cloud.call("DeleteVpcFirewallConfigure", FIREWALL, VpcFirewallIdList=[firewall])
    assert not api.cloud.store.view().find("cfw_policy") and not api.cloud.store.view().find("cfw_vpc_firewall")


def test_policies_that_cannot_be(api: Api) -> None:
    api.connect()
    firewall = api.guard()
    for change, code in (
        ({"Source": "nowhere"}, "InvalidParameter"),
        ({"DestinationType": "domain", "Destination": "a.test"}, "ErrorUnsupported"),
        ({"SourceType": "group", "Source": "nobody"}, "ErrorAddressGroupNotExist"),
        ({"ApplicationName": "Doom"}, "InvalidParameter"),
        ({"NewOrder": "7"}, "InvalidParameter"),
        ({"DestPort": "99999"}, "InvalidParameter"),
    ):
        with pytest.raises(Refused, match=code):
            api.policy(firewall, **change)
    assert not api.cloud.store.view().find("cfw_policy")
