"""VPC (east-west) firewalls: one in a connection between two VPCs."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.jsontext import parse_objects
from haechi.cloud.paging import page
from haechi.cloud.params import Choice, Id, Items, Str, Text
from haechi.cloud.products.cloudfw.kinds import Paged, Rows
from haechi.cloud.products.cloudfw.lookup import VPC_FIREWALL, get_vpc_firewall, policies, vpc_firewall_of
from haechi.cloud.products.cloudfw.product import cloudfw
from haechi.cloud.products.vpc.peers import PEERING, peering_between, routes_to
from haechi.cloud.store import Resource

Switch = Annotated[str, Choice(("open", "close"))]
Name = Annotated[str, Text(128, 1)]
Routes = Annotated[str, Text(16384)]
Ids = Annotated[tuple[str, ...], Items(Text(64), 100)]
STATES = {"open": "opened", "close": "closed"}


@cloudfw.action("CreateVpcFirewallConfigure", Effect.PACKETS)
def create_vpc_firewall_configure(
    call: Call,
    VpcFirewallName: Name,
    LocalVpcId: Id,
    PeerVpcId: Id,
    LocalVpcRegion: Id,
    PeerVpcRegion: Id,
    LocalVpcCidrTableList: Routes,
    PeerVpcCidrTableList: Routes,
    FirewallSwitch: Switch,
    MemberUid: Id = "",
    Lang: Str = "",
) -> Answer:
    """A firewall in the connection of two VPCs; the lists name the route entries to it. Open, it lets through what no policy drops."""
    for name, vpc, region in (("LocalVpcId", LocalVpcId, LocalVpcRegion), ("PeerVpcId", PeerVpcId, PeerVpcRegion)):
        if call.view.get("vpc", vpc, region) is None:
            raise invalid(name, "There is no such VPC in the region.")
    peering = peering_between(call.view, LocalVpcId, PeerVpcId)
    if peering is None:
        raise ApiError("ErrorVpcConnectionNotExist", "The VPCs are not connected; connect them with a VPC peering connection.")
    if vpc_firewall_of(call.view, peering.id) is not None:
        raise ApiError("ErrorVpcFirewallExist", "The connection has a VPC firewall already.")
    _check_routes(call, "LocalVpcCidrTableList", LocalVpcCidrTableList, LocalVpcId, peering)
    _check_routes(call, "PeerVpcCidrTableList", PeerVpcCidrTableList, PeerVpcId, peering)
    id = call.store.new_id("vfw")
    values = {"Name": VpcFirewallName, "PeeringId": peering.id, "LocalVpcId": LocalVpcId, "PeerVpcId": PeerVpcId, "Strict": True}
    call.tx.put(VPC_FIREWALL, id, "", {**values, "Switch": FirewallSwitch})
    return {"VpcFirewallId": id}


def _check_routes(call: Call, name: str, text: str, vpc: str, peering: Resource) -> None:
    """What is listed must be routes of that VPC to the connection. Raises InvalidParameter."""
    there = {(r["RouteTableId"], r["DestinationCidrBlock"]) for r in routes_to(call.view, peering.id) if r["VpcId"] == vpc}
    for table in parse_objects(name, text, 10):
        entries = table.get("RouteEntryList")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise invalid(name, "It holds objects {RouteTableId, RouteEntryList: [{DestinationCidr, NextHopInstanceId}]}.")
        for entry in entries:
            hop, pair = entry.get("NextHopInstanceId"), (str(table.get("RouteTableId")), str(entry.get("DestinationCidr")))
            if pair not in there or hop not in (None, "", peering.id):
                raise invalid(name, "One is no route entry from this VPC to the connection.")


@cloudfw.action("ModifyVpcFirewallConfigure", Effect.RECORD)
def modify_vpc_firewall_configure(
    call: Call,
    VpcFirewallId: Id,
    VpcFirewallName: Name,
    LocalVpcCidrTableList: Routes,
    PeerVpcCidrTableList: Routes,
    MemberUid: Id = "",
    Lang: Str = "",
) -> Answer:
    """Another name, other route entries."""
    firewall = get_vpc_firewall(call, VpcFirewallId)
    peering = call.view.get(PEERING, firewall["PeeringId"])
    assert peering is not None  # a connection with a firewall is not deleted
    _check_routes(call, "LocalVpcCidrTableList", LocalVpcCidrTableList, firewall["LocalVpcId"], peering)
    _check_routes(call, "PeerVpcCidrTableList", PeerVpcCidrTableList, firewall["PeerVpcId"], peering)
    call.tx.change(firewall, Name=VpcFirewallName)
    return {}


@cloudfw.action("ModifyVpcFirewallSwitchStatus", Effect.PACKETS)
def modify_vpc_firewall_switch_status(call: Call, VpcFirewallId: Id, FirewallSwitch: Switch, MemberUid: Id = "", Lang: Str = "") -> Answer:
    """Open: policies hold. Closed: everything gets through, as if there were none."""
    call.tx.change(get_vpc_firewall(call, VpcFirewallId), Switch=FirewallSwitch)
    return {}


@cloudfw.action("DeleteVpcFirewallConfigure", Effect.PACKETS)
def delete_vpc_firewall_configure(call: Call, VpcFirewallIdList: Ids, MemberUid: Id = "", Lang: Str = "") -> Answer:
    """Firewalls go with their policies; the connections stay."""
    for id in VpcFirewallIdList:
        firewall = get_vpc_firewall(call, id)
        for policy in policies(call.tx, firewall.id):
            call.tx.delete(policy)
        call.tx.delete(firewall)
    return {}


@cloudfw.action("DescribeVpcFirewallList", Effect.READ)
def describe_vpc_firewall_list(
    call: Call,
    CurrentPage: Paged = 1,
    PageSize: Rows = 10,
    VpcFirewallId: Id = "",
    VpcFirewallName: Str = "",
    VpcId: Id = "",
    RegionNo: Id = "",
    FirewallSwitchStatus: Str = "",
    ConnectSubType: Str = "",
    MemberUid: Id = "",
    PeerUid: Id = "",
    Lang: Str = "",
) -> Answer:
    """Every connection between VPCs, those without a firewall as notconfigured."""
    rows = [
        row
        for peering in call.view.find(PEERING)
        if VpcId in ("", peering["VpcId"], peering["AcceptingVpcId"])
        and RegionNo in ("", peering.region, peering["AcceptingRegionId"])
        and (row := _render(call, peering))
        and VpcFirewallId in ("", row["VpcFirewallId"])
        and VpcFirewallName in row["VpcFirewallName"]
        and FirewallSwitchStatus in ("", row["FirewallSwitchStatus"])
        and ConnectSubType.lower() in ("", "vpcpeer")
    ]
    shown, _ = page(rows, CurrentPage, PageSize)
    return {"VpcFirewalls": list(shown), "TotalCount": len(rows)}


@cloudfw.action("DescribeVpcFirewallDetail", Effect.READ)
def describe_vpc_firewall_detail(call: Call, VpcFirewallId: Id, LocalVpcId: Id = "", PeerVpcId: Id = "", Lang: Str = "") -> Answer:
    """One firewall."""
    peering = call.view.get(PEERING, get_vpc_firewall(call, VpcFirewallId)["PeeringId"])
    assert peering is not None
    row = _render(call, peering)
    return {
        name: row[name]
        for name in ("VpcFirewallId", "VpcFirewallName", "FirewallSwitchStatus", "LocalVpc", "PeerVpc", "ConnectType", "Bandwidth")
    }


@cloudfw.action("DescribeVpcFirewallAclGroupList", Effect.READ)
def describe_vpc_firewall_acl_group_list(
    call: Call, CurrentPage: Paged = 1, PageSize: Rows = 10, FirewallConfigureStatus: Str = "", FirewallId: Id = "", Lang: Str = ""
) -> Answer:
    """A group of policies for each firewall, under its id."""
    found = [one for one in call.view.find(VPC_FIREWALL) if FirewallId in ("", one.id)]
    if FirewallConfigureStatus == "notconfigured":
        found = []
    shown, _ = page(found, CurrentPage, PageSize)
    rows = [
        {
            "AclGroupId": one.id,
            "AclGroupName": one["Name"],
            "AclRuleCount": len(policies(call.view, one.id)),
            "AclConfig": {"StrictMode": int(one["Strict"])},
            "IsDefault": False,
            "MemberUid": call.runtime.account,
        }
        for one in shown
    ]
    return {"AclGroupList": rows, "TotalCount": len(found)}


def _render(call: Call, peering: Resource) -> dict[str, Any]:
    firewall = vpc_firewall_of(call.view, peering.id)
    local, peer = (firewall["LocalVpcId"], firewall["PeerVpcId"]) if firewall else (peering["VpcId"], peering["AcceptingVpcId"])
    return {
        "VpcFirewallId": firewall.id if firewall else "",
        "VpcFirewallName": firewall["Name"] if firewall else "",
        "FirewallSwitchStatus": STATES[firewall["Switch"]] if firewall else "notconfigured",
        "ConnectType": "expressconnect",
        "ConnectSubType": "vpcpeer",
        "Bandwidth": max(0, peering["Bandwidth"]),
        "RegionStatus": "enable",
        "MemberUid": call.runtime.account,
        "AclConfig": {"StrictMode": int(firewall["Strict"]) if firewall else 0},
        "IpsConfig": {"BasicRules": 0, "EnableAllPatch": 0, "RuleClass": 0, "RunMode": 0},
        "LocalVpc": _side(call, local, peering),
        "PeerVpc": _side(call, peer, peering),
    }


def _side(call: Call, id: str, peering: Resource) -> dict[str, Any]:
    vpc = call.view.get("vpc", id)
    routes = [
        {"DestinationCidr": route["DestinationCidrBlock"], "NextHopInstanceId": peering.id}
        for route in routes_to(call.view, peering.id)
        if route["VpcId"] == id
    ]
    tables = [{"RouteTableId": vpc["RouteTableId"], "RouteEntryList": routes}] if vpc else []
    return {
        "VpcId": id,
        "VpcName": vpc["VpcName"] if vpc else "",
        "RegionNo": vpc.region if vpc else "",
        "OwnerId": int(call.runtime.account),
        "AuthorizationStatus": "authorized",
        "VpcCidrTableList": tables,
    }
