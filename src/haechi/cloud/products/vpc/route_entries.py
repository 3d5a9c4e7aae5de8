"""Custom entries of route tables: to another VPC by a connection of the product vpcpeer."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing, not_found
from haechi.cloud.params import Id, Str
from haechi.cloud.products.vpc.cidrs import inside, overlapping, vpc_cidrs
from haechi.cloud.products.vpc.kinds import Block, RouteTableName, RouteTableText, given
from haechi.cloud.products.vpc.peers import PEERING, ROUTE, other_end
from haechi.cloud.products.vpc.product import vpc
from haechi.cloud.products.vpc.routes import get_table_owner
from haechi.cloud.store import Resource

QUOTA = 200  # custom entries of a table
PEER = "VpcPeer"


@vpc.action("CreateRouteEntry", Effect.PACKETS, idempotent=True, limit="the next hop is a VPC peering connection (VpcPeer)")
def create_route_entry(
    call: Call,
    RouteTableId: Id,
    DestinationCidrBlock: Block,
    NextHopId: Id = "",
    NextHopType: Str = "Instance",
    RouteEntryName: RouteTableName = "",
    Description: RouteTableText = "",
) -> Answer:
    """Packets for this range, which must be the other VPC's, go to the connection."""
    owner = get_table_owner(call, RouteTableId)
    if NextHopType != PEER:
        raise ApiError("OperationUnsupported.NextHopType", f"Next hops of this cloud are connections between VPCs ({PEER}).")
    if not NextHopId:
        raise missing("NextHopId")
    peering = call.view.get(PEERING, NextHopId)
    if peering is None or owner.id not in (peering["VpcId"], peering["AcceptingVpcId"]):
        raise not_found("InvalidNextHopId.NotFound", "The specified NextHopId does not exist.")
    there = call.view.find(ROUTE, RouteTableId=RouteTableId)
    if len(there) >= QUOTA:
        raise ApiError("QuotaExceeded.RouteEntry", f"A route table has at most {QUOTA} custom entries.")
    if overlapping(DestinationCidrBlock, vpc_cidrs(owner)):
        raise ApiError("InvalidCidrBlock.Overlapped", "The destination overlaps with the VPC's own CIDR blocks.")
    if any(entry["DestinationCidrBlock"] == DestinationCidrBlock for entry in there):
        raise ApiError("RouterEntryConflict.Duplicated", "The route entry already exists.")
    other = call.view.get("vpc", other_end(peering, owner.id))
    if other is None or not inside(DestinationCidrBlock, vpc_cidrs(other)):
        raise invalid("DestinationCidrBlock", "It must lie in the CIDR blocks of the VPC at the other end.")
    values = {"VpcId": owner.id, "RouteTableId": RouteTableId, "DestinationCidrBlock": DestinationCidrBlock, "NextHopId": NextHopId}
    made = call.create(ROUTE, "rte", {**values, "NextHopType": PEER, "RouteEntryName": RouteEntryName, "Description": Description})
    return {"RouteEntryId": made.id}


@vpc.action("ModifyRouteEntry", Effect.RECORD)
def modify_route_entry(call: Call, RouteEntryId: Id, RouteEntryName: RouteTableName = "", Description: RouteTableText = "") -> Answer:
    """Another name or description; an empty one that is sent clears it."""
    call.tx.change(_get(call, RouteEntryId), **given(call, RouteEntryName=RouteEntryName, Description=Description))
    return {}


@vpc.action("DeleteRouteEntry", Effect.PACKETS)
def delete_route_entry(
    call: Call, RouteEntryId: Id = "", RouteTableId: Id = "", DestinationCidrBlock: Str = "", NextHopId: Id = ""
) -> Answer:
    """By its id, or by its table, destination and next hop."""
    if not RouteEntryId and not (RouteTableId and DestinationCidrBlock):
        raise missing("RouteEntryId")
    if RouteEntryId:
        call.tx.delete(_get(call, RouteEntryId))
        return {}
    found = call.find(ROUTE, RouteTableId=RouteTableId, DestinationCidrBlock=DestinationCidrBlock)
    if not found or NextHopId not in ("", found[0]["NextHopId"]):
        raise not_found("InvalidRouteEntry.NotFound", "The specified route entry does not exist.")
    call.tx.delete(found[0])
    return {}


def _get(call: Call, id: str) -> Resource:
    found = call.get(ROUTE, id)
    if found is None:
        raise not_found("InvalidRouteEntry.NotFound", "The specified route entry does not exist.")
    return found
