"""alicloud_vpc_peer_connection and alicloud_route_entry.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/vpc_peer_connection
"""

from __future__ import annotations

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, changed, read_tags, sent, tag_params, update_tags
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, computed, optional, required
from haechi.provider.types import BOOL, NUMBER

_GONE = ("ResourceNotFound.InstanceId",)
_BUSY = ("IncorrectStatus.VpcPeer", "OperationConflict", "SystemBusy")
PEER_FIELDS: Fields = {
    "accepting_ali_uid": optional(NUMBER, computed=True, force_new=True),
    "accepting_region_id": required(force_new=True),
    "accepting_vpc_id": required(force_new=True),
    "vpc_id": required(force_new=True),
    "peer_connection_name": optional(),
    "description": optional(),
    "bandwidth": optional(NUMBER, computed=True),
    "dry_run": optional(BOOL),
    "force_delete": optional(BOOL),
    "resource_group_id": optional(computed=True),
    "tags": TAGS,
    "create_time": computed(),
    "region_id": computed(),
    "status": computed(),
}
_CHANGING = {"Name": "peer_connection_name", "Description": "description", "Bandwidth": "bandwidth"}
_MADE_WITH = {
    **_CHANGING,
    "VpcId": "vpc_id",
    "AcceptingAliUid": "accepting_ali_uid",
    "AcceptingRegionId": "accepting_region_id",
    "AcceptingVpcId": "accepting_vpc_id",
    "ResourceGroupId": "resource_group_id",
}


def _create_peer(cloud: Cloud, d: Data) -> None:
    params = {**sent(d, _MADE_WITH), "Tag": tag_params(d["tags"])}
    d.id = cloud.call("vpcpeer", "CreateVpcPeerConnection", params, _BUSY, d.timeout)["InstanceId"]


def _read_peer(cloud: Cloud, d: Data) -> None:
    found = cloud.find("vpcpeer", "GetVpcPeerConnectionAttribute", {"InstanceId": d.id}, _GONE)
    if found is None:
        d.id = ""
        return
    d.update(accepting_ali_uid=found["AcceptingOwnerUid"], accepting_region_id=found["AcceptingRegionId"])
    d.update(accepting_vpc_id=found["AcceptingVpc"]["VpcId"], vpc_id=found["Vpc"]["VpcId"], bandwidth=found.get("Bandwidth"))
    d.update(peer_connection_name=found.get("Name") or None, description=found.get("Description") or None, status=found["Status"])
    d.update(resource_group_id=found.get("ResourceGroupId"), create_time=found.get("GmtCreate"), region_id=found.get("RegionId"))
    d["tags"] = read_tags(found.get("Tags") or []) or None


def _update_peer(cloud: Cloud, d: Data) -> None:
    params = changed(d, _CHANGING)
    if params:
        cloud.call("vpcpeer", "ModifyVpcPeerConnection", {"InstanceId": d.id, **params}, _BUSY, d.timeout)
    update_tags(cloud, d, "vpcpeer", "PEERCONNECTION")


def _delete_peer(cloud: Cloud, d: Data) -> None:
    force = {"Force": d["force_delete"]} if d["force_delete"] else {}
    cloud.delete("vpcpeer", "DeleteVpcPeerConnection", {"InstanceId": d.id, **force}, _GONE, _BUSY, d.timeout)


PEER = Resource(PEER_FIELDS, _create_peer, _read_peer, _delete_peer, _update_peer)

ROUTE_FIELDS: Fields = {
    "route_table_id": required(force_new=True),
    "destination_cidrblock": optional(force_new=True),
    "nexthop_type": optional(force_new=True),
    "nexthop_id": optional(force_new=True),
    "name": optional(force_new=True),
    "description": optional(),
    "router_id": computed(),
}
_NO_ROUTE = ("InvalidRouteEntry.NotFound", "InvalidRouteTableId.NotFound")


def _parts(d: Data) -> tuple[str, str, str, str, str]:
    """(table, router, destination, kind of hop, hop) of an id."""
    parts = d.id.split(":")
    if len(parts) != 5:
        raise Problem(f"{d.id!r} is not the id of a route entry", "It is <table>:<router>:<destination>:<hop type>:<hop>.")
    table, router, destination, kind, hop = parts
    return table, router, destination, kind, hop


def _create_route(cloud: Cloud, d: Data) -> None:
    names = {"RouteTableId": "route_table_id", "DestinationCidrBlock": "destination_cidrblock", "NextHopType": "nexthop_type"}
    names |= {"NextHopId": "nexthop_id", "RouteEntryName": "name", "Description": "description"}
    cloud.call("vpc", "CreateRouteEntry", sent(d, names), ("TaskConflict", "IncorrectRouteEntryStatus"), d.timeout)
    tables = items(
        cloud.call("vpc", "DescribeRouteTableList", {"RouteTableId": d["route_table_id"]}), "RouterTableList", "RouterTableListType"
    )
    router = tables[0]["RouterId"] if tables else ""
    hop = (d["nexthop_type"] or "Instance", d["nexthop_id"])
    d.id = ":".join((d["route_table_id"], router, d["destination_cidrblock"], *hop))


def _read_route(cloud: Cloud, d: Data) -> None:
    table, router, destination, kind, hop = _parts(d)
    asked = {"RouteTableId": table, "DestinationCidrBlock": destination, "NextHopId": hop}
    found = items(cloud.find("vpc", "DescribeRouteEntryList", asked, _NO_ROUTE), "RouteEntrys", "RouteEntry")
    if not found:
        d.id = ""
        return
    d.update(route_table_id=table, router_id=router, destination_cidrblock=destination, nexthop_type=kind, nexthop_id=hop)
    d.update(name=found[0].get("RouteEntryName") or None, description=found[0].get("Description") or None)


def _update_route(cloud: Cloud, d: Data) -> None:
    table, _, destination, _, hop = _parts(d)
    asked = {"RouteTableId": table, "DestinationCidrBlock": destination, "NextHopId": hop}
    entry = items(cloud.call("vpc", "DescribeRouteEntryList", asked), "RouteEntrys", "RouteEntry")[0]["RouteEntryId"]
    cloud.call("vpc", "ModifyRouteEntry", {"RouteEntryId": entry, **changed(d, {"Description": "description"})}, timeout=d.timeout)


def _delete_route(cloud: Cloud, d: Data) -> None:
    table, _, destination, _, hop = _parts(d)
    params = {"RouteTableId": table, "DestinationCidrBlock": destination, "NextHopId": hop}
    cloud.delete("vpc", "DeleteRouteEntry", params, _NO_ROUTE, ("TaskConflict", "IncorrectRouteEntryStatus"), d.timeout)


ROUTE = Resource(ROUTE_FIELDS, _create_route, _read_route, _delete_route, _update_route)
