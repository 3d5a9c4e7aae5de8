"""Connections: made, described, changed, deleted. Both VPCs are of this account, so that a connection needs nobody's consent."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, in_use, invalid
from haechi.cloud.paging import has_tags, iso_second, page_token, tag_dict
from haechi.cloud.params import Flag, Id, Items, Number, Str, Tags, Text
from haechi.cloud.products.cloudfw.lookup import vpc_firewall_of
from haechi.cloud.products.vpc.cidrs import overlapping, vpc_cidrs
from haechi.cloud.products.vpc.kinds import DEFAULT_GROUP, NO_URL, GroupId
from haechi.cloud.products.vpc.peers import PEERING, peering_between, peerings_of, routes_to
from haechi.cloud.products.vpcpeer.lookup import get_peering
from haechi.cloud.products.vpcpeer.product import vpcpeer
from haechi.cloud.store import Resource

Name = Annotated[str, Text(128, 1, NO_URL, "InvalidName.Malformed")]
Words = Annotated[str, Text(256, 1, NO_URL, "InvalidDescription.Malformed")]
Results = Annotated[int, Number(1, 100)]
VpcIds = Annotated[tuple[str, ...], Items(Text(64), 20)]
QUOTA = 10  # connections of a VPC


@vpcpeer.action("CreateVpcPeerConnection", Effect.PACKETS, idempotent=True, limit="bandwidth and link type are only recorded")
def create_vpc_peer_connection(
    call: Call,
    VpcId: Id,
    AcceptingVpcId: Id,
    AcceptingRegionId: Id,
    AcceptingAliUid: Id = "",
    Name: Name = "",
    Description: Words = "",
    Bandwidth: Annotated[int, Number(-1, 10**6)] = -1,
    LinkType: Str = "",
    ResourceGroupId: GroupId = DEFAULT_GROUP,
    Tag: Tags = (),
) -> Answer:
    """Two VPCs whose ranges do not overlap. Packets flow once both have a route to it."""
    if AcceptingAliUid not in ("", call.runtime.account):
        raise ApiError("OperationDenied.CrossAccount", "Connections to VPCs of other accounts are not supported by this cloud.")
    one, other = call.get("vpc", VpcId), call.view.get("vpc", AcceptingVpcId, AcceptingRegionId)
    if one is None:
        raise ApiError("ResourceNotFound.VpcId", "The specified resource of VpcId is not found.", 404)
    if other is None:
        raise ApiError("ResourceNotFound.AcceptingVpcId", "The specified resource of AcceptingVpcId is not found.", 404)
    if one.id == other.id:
        raise invalid("AcceptingVpcId", "A VPC is not connected with itself.")
    if peering_between(call.view, one.id, other.id) is not None:
        raise ApiError("ResourceAlreadyExist.VpcPeer", "The VPCs are connected already.")
    for vpc in (one, other):
        if len(peerings_of(call.view, vpc.id)) >= QUOTA:
            raise ApiError("QuotaExceeded.VpcPeer", f"A VPC has at most {QUOTA} connections.")
    if any(overlapping(cidr, vpc_cidrs(other)) for cidr in vpc_cidrs(one)):
        raise ApiError("OperationDenied.CidrOverlapped", "The CIDR blocks of the VPCs overlap; this cloud does not connect such VPCs.")
    values: dict[str, Any] = {
        "VpcId": one.id,
        "AcceptingVpcId": other.id,
        "AcceptingRegionId": other.region,
        "Name": Name,
        "Description": Description,
    }
    values |= {"Bandwidth": Bandwidth, "LinkType": LinkType or "Gold", "ResourceGroupId": ResourceGroupId, "Tags": tag_dict(Tag)}
    return {"InstanceId": call.create(PEERING, "pcc", {**values, "ModifiedAt": call.now()}).id}


@vpcpeer.action("AcceptVpcPeerConnection", Effect.RECORD)
def accept_vpc_peer_connection(call: Call, InstanceId: Id, ResourceGroupId: GroupId = DEFAULT_GROUP) -> Answer:
    """There is nothing to accept: connections within an account are active at once."""
    get_peering(call, InstanceId)
    raise ApiError("IncorrectStatus.VpcPeer", "The status of the connection does not support the operation.")


@vpcpeer.action("RejectVpcPeerConnection", Effect.RECORD)
def reject_vpc_peer_connection(call: Call, InstanceId: Id) -> Answer:
    """There is nothing to reject, either."""
    get_peering(call, InstanceId)
    raise ApiError("IncorrectStatus.VpcPeer", "The status of the connection does not support the operation.")


@vpcpeer.action("ModifyVpcPeerConnection", Effect.RECORD)
def modify_vpc_peer_connection(
    call: Call,
    InstanceId: Id,
    Name: Name = "",
    Description: Words = "",
    Bandwidth: Annotated[int, Number(-1, 10**6)] = -1,
    LinkType: Str = "",
) -> Answer:
    """Another name or description; an empty one that is sent clears it."""
    given = {"Name": Name, "Description": Description, "Bandwidth": Bandwidth, "LinkType": LinkType}
    changes = {name: value for name, value in given.items() if name in call.sent}
    call.tx.change(get_peering(call, InstanceId), **changes, ModifiedAt=call.now())
    return {}


@vpcpeer.action("DeleteVpcPeerConnection", Effect.PACKETS, idempotent=True)
def delete_vpc_peer_connection(call: Call, InstanceId: Id, Force: Flag = False) -> Answer:
    """Force takes the routes to it along. Raises OperationDenied.* while there are routes, or a VPC firewall."""
    peering = get_peering(call, InstanceId)
    if vpc_firewall_of(call.view, peering.id) is not None:
        raise in_use("OperationDenied.VpcFirewallExist", "A VPC firewall guards the connection; delete it first.")
    routes = routes_to(call.view, peering.id)
    if routes and not Force:
        raise in_use("OperationDenied.RouteEntryExist", "Route entries lead to the connection; delete them first, or use Force.")
    for route in routes:
        call.tx.delete(route)
    call.tx.delete(peering)
    return {}


@vpcpeer.action("GetVpcPeerConnectionAttribute", Effect.READ)
def get_vpc_peer_connection_attribute(call: Call, InstanceId: Id) -> Answer:
    return _render(call, get_peering(call, InstanceId))


@vpcpeer.action("ListVpcPeerConnections", Effect.READ)
def list_vpc_peer_connections(
    call: Call,
    InstanceId: Id = "",
    VpcId: VpcIds = (),
    Name: Str = "",
    ResourceGroupId: Id = "",
    Tags: Tags = (),
    MaxResults: Results = 20,
    NextToken: Str = "",
) -> Answer:
    """Those that begin or end in this region."""
    found = [
        one
        for one in call.view.find(PEERING)
        if call.region in (one.region, one["AcceptingRegionId"])
        and InstanceId in ("", one.id)
        and (not VpcId or one["VpcId"] in VpcId or one["AcceptingVpcId"] in VpcId)
        and Name in ("", one["Name"])
        and ResourceGroupId in ("", one["ResourceGroupId"])
        and has_tags(one, Tags)
    ]
    shown, token = page_token(found, NextToken, MaxResults, lambda one: one.id)
    rows = [_render(call, one) for one in shown]
    return {"VpcPeerConnects": rows, "TotalCount": len(found), "MaxResults": MaxResults, "NextToken": token}


def _render(call: Call, peering: Resource) -> dict[str, Any]:
    names = ("Name", "Description", "Bandwidth", "LinkType", "AcceptingRegionId", "ResourceGroupId")
    return {
        **{name: peering[name] for name in names},
        "InstanceId": peering.id,
        "RegionId": peering.region,
        "OwnerId": int(call.runtime.account),
        "AcceptingOwnerUid": int(call.runtime.account),
        "Vpc": _end(call, peering["VpcId"]),
        "AcceptingVpc": _end(call, peering["AcceptingVpcId"]),
        "Status": "Activated",
        "BizStatus": "Normal",
        "ManagedService": "",
        "GmtCreate": iso_second(peering["CreatedAt"]),
        "GmtModified": iso_second(peering["ModifiedAt"]),
        "GmtExpired": "",
        "Tags": [{"Key": key, "Value": value} for key, value in peering["Tags"].items()],
    }


def _end(call: Call, id: str) -> dict[str, Any]:
    vpc = call.view.get("vpc", id)
    return {"VpcId": id, "Ipv4Cidrs": vpc_cidrs(vpc) if vpc else [], "Ipv6Cidrs": []}
