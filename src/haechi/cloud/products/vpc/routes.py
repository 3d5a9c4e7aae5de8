"""The system route table that every VPC has, and its entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import not_found
from haechi.cloud.paging import has_tags, iso_minute, iso_second, page, page_token
from haechi.cloud.params import Id, Items, Number, PageNumber, Str, Tags, Text
from haechi.cloud.products.vpc.kinds import MaybeFlag, PageSize50, RouteTableName, RouteTableText, given, matches, tag_list
from haechi.cloud.products.vpc.peers import ROUTE
from haechi.cloud.products.vpc.product import vpc
from haechi.cloud.store import Resource

SERVICE_CIDR = "100.64.0.0/10"
MaxResult = Annotated[int, Number(1, 100)]
CidrList = Annotated[tuple[str, ...], Items(Text(64), 20)]


def get_table_owner(call: Call, table: str) -> Resource:
    """The VPC that has this route table. Raises InvalidRouteTableId.NotFound."""
    owner = next(iter(call.find("vpc", RouteTableId=table)), None)
    if owner is None:
        raise not_found("InvalidRouteTableId.NotFound", "Specified route table does not exist.")
    return owner


def _switch_ids(call: Call, owner: Resource) -> list[str]:
    return [s.id for s in call.find("vswitch", VpcId=owner.id)]


@vpc.action("DescribeRouteTableList", Effect.READ)
def describe_route_table_list(
    call: Call,
    VpcId: Id = "",
    RouteTableId: Id = "",
    RouteTableName: Str = "",
    RouteTableType: Str = "",
    RouterId: Id = "",
    RouterType: Str = "",
    ResourceGroupId: Id = "",
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize50 = 10,
) -> Answer:
    found = [
        v
        for v in call.find("vpc")
        if VpcId in ("", v.id)
        and matches(v, RouteTableId=RouteTableId, RouteTableName=RouteTableName, VRouterId=RouterId, ResourceGroupId=ResourceGroupId)
        and RouteTableType in ("", "System")
        and RouterType in ("", "VRouter")
        and has_tags(Resource("route_table", v["RouteTableId"], v.region, {"Tags": v["RouteTableTags"]}), Tag)
    ]
    shown, counts = page(found, PageNumber, PageSize)
    return {**counts, "RouterTableList": {"RouterTableListType": [_render_table(call, v) for v in shown]}}


def _render_table(call: Call, v: Resource) -> dict[str, Any]:
    return {
        "VpcId": v.id,
        "RouteTableId": v["RouteTableId"],
        "RouteTableName": v["RouteTableName"],
        "RouteTableType": "System",
        "RouterId": v["VRouterId"],
        "RouterType": "VRouter",
        "AssociateType": "VSwitch",
        "Description": v["RouteTableDescription"],
        "ResourceGroupId": v["ResourceGroupId"],
        "RoutePropagationEnable": v["RoutePropagationEnable"],
        "Status": "Available",
        "CreationTime": iso_second(v["CreatedAt"]),
        "OwnerId": int(call.runtime.account),
        "GatewayIds": {"GatewayIds": []},
        "VSwitchIds": {"VSwitchId": _switch_ids(call, v)},
        "Tags": tag_list(v["RouteTableTags"]),
    }


@vpc.action("ModifyRouteTableAttributes", Effect.RECORD, limit="route propagation is only recorded")
def modify_route_table_attributes(
    call: Call,
    RouteTableId: Id,
    RouteTableName: RouteTableName = "",
    Description: RouteTableText = "",
    RoutePropagationEnable: MaybeFlag = None,
) -> Answer:
    """An empty RouteTableName or Description that is sent clears it."""
    owner = get_table_owner(call, RouteTableId)
    changes: dict[str, Any] = given(call, RouteTableName=RouteTableName)
    if "Description" in call.sent:
        changes["RouteTableDescription"] = Description
    if RoutePropagationEnable is not None:
        changes["RoutePropagationEnable"] = RoutePropagationEnable
    if changes:
        call.tx.change(owner, **changes)
    return {}


def _entries(call: Call, owner: Resource) -> Iterator[dict[str, Any]]:
    """The entries that the packets really follow: each vSwitch, the range of the cloud's own services, and custom ones."""
    blocks = [(s["CidrBlock"], s["CreatedAt"], "") for s in call.find("vswitch", VpcId=owner.id)]
    for cidr, made, service in [*blocks, (SERVICE_CIDR, owner["CreatedAt"], "Service")]:
        digest = hashlib.blake2s(f"{owner['RouteTableId']} {cidr}".encode(), digest_size=10).hexdigest()
        yield {
            "RouteEntryId": f"rte-{digest}",
            "RouteEntryName": "",
            "RouteTableId": owner["RouteTableId"],
            "DestinationCidrBlock": cidr,
            "Type": "Service" if service else "System",
            "Status": "Available",
            "Description": "Created with cloud services." if service else "Created with VSwitch by system.",
            "NextHopType": "local",
            "NextHopId": "",
            "Made": made,
        }
    for entry in call.find(ROUTE, VpcId=owner.id):
        names = ("RouteEntryName", "RouteTableId", "DestinationCidrBlock", "Description", "NextHopType", "NextHopId")
        shown = {name: entry[name] for name in names}
        yield {**shown, "RouteEntryId": entry.id, "Type": "Custom", "Status": "Available", "Made": entry["CreatedAt"]}


@vpc.action("DescribeRouteTables", Effect.READ)
def describe_route_tables(
    call: Call,
    VpcId: Id = "",
    VRouterId: Id = "",
    RouterId: Id = "",
    RouterType: Str = "",
    RouteTableId: Id = "",
    RouteTableName: Str = "",
    Type: Str = "",
    ResourceGroupId: Id = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize50 = 10,
) -> Answer:
    found = [
        v
        for v in call.find("vpc")
        if VpcId in ("", v.id)
        and matches(v, VRouterId=VRouterId, RouteTableId=RouteTableId, RouteTableName=RouteTableName, ResourceGroupId=ResourceGroupId)
        and matches(v, VRouterId=RouterId)
        and RouterType in ("", "VRouter")
    ]
    shown, counts = page(found, PageNumber, PageSize)
    tables = [
        {
            "RouteTableId": v["RouteTableId"],
            "VRouterId": v["VRouterId"],
            "RouteTableType": "System",
            "ResourceGroupId": v["ResourceGroupId"],
            "Status": "Available",
            "CreationTime": iso_second(v["CreatedAt"]),
            "VSwitchIds": {"VSwitchId": _switch_ids(call, v)},
            "RouteEntrys": {"RouteEntry": [_table_entry(e) for e in _entries(call, v)]},
        }
        for v in shown
    ]
    return {**counts, "RouteTables": {"RouteTable": tables}}


def _table_entry(entry: dict[str, Any]) -> dict[str, Any]:
    known = {k: v for k, v in entry.items() if k not in ("Made", "NextHopId")}
    return {**known, "InstanceId": entry["NextHopId"], "NextHops": {"NextHop": []}}


@vpc.action("DescribeRouteEntryList", Effect.READ)
def describe_route_entry_list(
    call: Call,
    RouteTableId: Id,
    RouteEntryId: Id = "",
    RouteEntryName: Str = "",
    RouteEntryType: Str = "",
    DestinationCidrBlock: Str = "",
    DestCidrBlockList: CidrList = (),
    IpVersion: Str = "",
    NextHopType: Str = "",
    NextHopId: Id = "",
    ServiceType: Str = "",
    MaxResult: MaxResult = 50,
    NextToken: Str = "",
) -> Answer:
    owner = get_table_owner(call, RouteTableId)
    found = [
        e
        for e in _entries(call, owner)
        if RouteEntryId in ("", e["RouteEntryId"])
        and RouteEntryName in ("", e["RouteEntryName"])
        and RouteEntryType in ("", e["Type"])
        and DestinationCidrBlock in ("", e["DestinationCidrBlock"])
        and (not DestCidrBlockList or e["DestinationCidrBlock"] in DestCidrBlockList)
        and IpVersion.lower() in ("", "ipv4")
        and NextHopType in ("", e["NextHopType"])
        and NextHopId in ("", e["NextHopId"])
        and ServiceType == ""
    ]
    shown, token = page_token(found, NextToken, MaxResult, lambda e: str(e["RouteEntryId"]))
    return {"TotalCount": len(found), "NextToken": token, "RouteEntrys": {"RouteEntry": [_list_entry(e) for e in shown]}}


def _list_entry(entry: dict[str, Any]) -> dict[str, Any]:
    known = {k: v for k, v in entry.items() if k not in ("Made", "NextHopId", "NextHopType")}
    hop = {
        "NextHopId": entry["NextHopId"],
        "NextHopType": entry["NextHopType"],
        "NextHopRegionId": "",
        "Enabled": 1,
        "Weight": 0,
        "NextHopRelatedInfo": {"InstanceId": "", "InstanceType": "", "RegionId": ""},
    }
    more = {"IpVersion": "IPv4", "Origin": "", "ServiceType": "", "GmtModified": iso_minute(entry["Made"])}
    return {**known, **more, "NextHops": {"NextHop": [hop]}}
