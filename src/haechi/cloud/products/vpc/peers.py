"""Which VPCs are connected, and the route entries that lead to connections (made by the product vpcpeer, guarded by Cloud Firewall)."""

from __future__ import annotations

from haechi.cloud.errors import ApiError
from haechi.cloud.products.vpc.cidrs import overlapping, vpc_cidrs
from haechi.cloud.store import Resource, View

PEERING, ROUTE = "vpc_peering", "route_entry"


def peerings_of(view: View, vpc: str) -> list[Resource]:
    """The connections that a VPC is an end of."""
    return [one for one in view.find(PEERING) if vpc in (one["VpcId"], one["AcceptingVpcId"])]


def other_end(peering: Resource, vpc: str) -> str:
    """The VPC at the other end."""
    return str(peering["AcceptingVpcId"] if peering["VpcId"] == vpc else peering["VpcId"])


def peering_between(view: View, one: str, other: str) -> Resource | None:
    """The connection of two VPCs; there is at most one."""
    return next((peering for peering in peerings_of(view, one) if other_end(peering, one) == other), None)


def routes_to(view: View, peering: str) -> list[Resource]:
    """The route entries that lead to a connection."""
    return view.find(ROUTE, NextHopId=peering)


def check_clear_of_peers(view: View, vpc: Resource, cidr: str) -> None:
    """A VPC gets no range that one it is connected with has, or that it routes elsewhere. Raises InvalidCidrBlock.Overlapped."""
    others = [view.get("vpc", other_end(peering, vpc.id)) for peering in peerings_of(view, vpc.id)]
    ranges = [block for other in others if other is not None for block in vpc_cidrs(other)]
    if overlapping(cidr, ranges):
        raise ApiError("InvalidCidrBlock.Overlapped", "Specified CIDR block overlaps with one of a VPC that this VPC is connected with.")
