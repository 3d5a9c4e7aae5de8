"""DescribeLoadBalancers and DescribeLoadBalancerAttribute."""

from __future__ import annotations

import json
from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.paging import has_tags, iso_second, page
from haechi.cloud.params import Choice, Id, PageNumber, PageSize, Str, Tags, Text
from haechi.cloud.products.slb.kinds import AddressType, AnyStatus, InternetCharge, IpVersion, Pay
from haechi.cloud.products.slb.lookup import get_balancer, listeners_of, render_tags
from haechi.cloud.products.slb.product import slb
from haechi.cloud.products.slb.server_lists import render_server, server_address
from haechi.cloud.store import Resource, View

NEVER = 32493801600  # 2999-09-08T16:00:00Z: when a balancer that is paid on demand ends
MONTH = 30 * 86400
SHOWN = (
    *("LoadBalancerName", "LoadBalancerStatus", "Address", "AddressType", "AddressIPVersion", "NetworkType", "VpcId", "VSwitchId"),
    *("MasterZoneId", "SlaveZoneId", "PayType", "InternetChargeType", "InstanceChargeType", "LoadBalancerSpec", "Bandwidth"),
    *("DeleteProtection", "ModificationProtectionStatus", "ModificationProtectionReason", "ResourceGroupId"),
)

NetworkType = Annotated[str, Choice(("vpc", "classic"))]
TenIds = Annotated[str, Text(1500)]


@slb.action("DescribeLoadBalancers", Effect.READ)
def describe_load_balancers(
    call: Call,
    LoadBalancerId: TenIds = "",
    LoadBalancerName: TenIds = "",
    LoadBalancerStatus: AnyStatus = "",
    Address: Str = "",
    AddressType: AddressType = "",
    AddressIPVersion: IpVersion = "",
    NetworkType: NetworkType = "",
    InternetChargeType: InternetCharge = "",
    PayType: Pay = "",
    VpcId: Id = "",
    VSwitchId: Id = "",
    MasterZoneId: Id = "",
    SlaveZoneId: Id = "",
    ResourceGroupId: Id = "",
    ServerId: Id = "",
    ServerIntranetAddress: Str = "",
    Tag: Tags = (),
    Tags: Str = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
) -> Answer:
    """Balancers of the region, newest first. Ids, names and server addresses may be up to ten, separated by commas."""
    equal = {
        "LoadBalancerStatus": LoadBalancerStatus,
        "Address": Address,
        "AddressType": AddressType,
        "AddressIPVersion": AddressIPVersion,
        "NetworkType": NetworkType,
        "InternetChargeType": InternetChargeType,
        "PayType": PayType,
        "VpcId": VpcId,
        "VSwitchId": VSwitchId,
        "MasterZoneId": MasterZoneId,
        "SlaveZoneId": SlaveZoneId,
        "ResourceGroupId": ResourceGroupId,
    }
    found = call.find("load_balancer", **{k: v for k, v in equal.items() if v})
    ids, names = _split("LoadBalancerId", LoadBalancerId), _split("LoadBalancerName", LoadBalancerName)
    wanted_addresses = _split("ServerIntranetAddress", ServerIntranetAddress)
    wanted_tags = (*Tag, *_json_tags(Tags))
    kept = [
        b
        for b in found
        if (not ids or b.id in ids)
        and (not names or b["LoadBalancerName"] in names)
        and has_tags(b, wanted_tags)
        and (not ServerId or any(s["ServerId"] == ServerId for s in _servers(call.view, b)))
        and (not wanted_addresses or any(server_address(call.view, s) in wanted_addresses for s in _servers(call.view, b)))
    ]
    chosen, numbers = page(kept[::-1], PageNumber, PageSize)
    return {**numbers, "LoadBalancers": {"LoadBalancer": [{**render_balancer(b), "Tags": render_tags(b)} for b in chosen]}}


def _split(name: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > 10:
        raise invalid(name, "It holds more than 10 values.")
    return parts


def _json_tags(text: str) -> list[dict[str, str]]:
    """Tags=[{"TagKey": .., "TagValue": ..}] as the older clients send them."""
    if not text:
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid("Tags", "It must be a JSON array.") from None
    if not isinstance(value, list) or len(value) > 10 or not all(isinstance(t, dict) and isinstance(t.get("TagKey"), str) for t in value):
        raise invalid("Tags", "It must be a JSON array of at most 10 objects of TagKey and TagValue.")
    return [{"Key": t["TagKey"], "Value": str(t.get("TagValue") or "")} for t in value]


def _servers(view: View, balancer: Resource) -> list[dict[str, str]]:
    """Every server behind a balancer: its own list's and its groups'."""
    groups = view.find("vserver_group", LoadBalancerId=balancer.id)
    return [*balancer["Servers"], *(server for group in groups for server in group["Servers"])]


def render_balancer(balancer: Resource) -> Answer:
    """What both read actions show."""
    return {
        "LoadBalancerId": balancer.id,
        **{name: balancer[name] for name in SHOWN},
        "RegionId": balancer.region,
        "RegionIdAlias": balancer.region,
        "InternetChargeTypeAlias": balancer["InternetChargeType"],
        "CreateTime": iso_second(balancer["CreatedAt"]),
        "CreateTimeStamp": int(balancer["CreatedAt"] * 1000),
    }


@slb.action("DescribeLoadBalancerAttribute", Effect.READ)
def describe_load_balancer_attribute(call: Call, LoadBalancerId: Id) -> Answer:
    """One balancer with its servers and its listeners' ports."""
    balancer = get_balancer(call, LoadBalancerId)
    listeners = listeners_of(call.view, balancer.id)
    ends = balancer["CreatedAt"] + balancer["Months"] * MONTH if balancer["Months"] else NEVER
    return {
        **render_balancer(balancer),
        "EndTime": iso_second(ends),
        "EndTimeStamp": int(ends * 1000),
        "RenewalStatus": "Normal",
        "RenewalCycUnit": "Month",
        "RenewalDuration": 0,
        "Tags": render_tags(balancer),
        "BackendServers": {"BackendServer": [render_server(server) for server in balancer["Servers"]]},
        "ListenerPorts": {"ListenerPort": sorted({r["ListenerPort"] for r in listeners})},
        "ListenerPortsAndProtocal": {
            "ListenerPortAndProtocal": [{"ListenerPort": r["ListenerPort"], "ListenerProtocal": r["ListenerProtocol"]} for r in listeners]
        },
        "ListenerPortsAndProtocol": {"ListenerPortAndProtocol": [_render_port(r) for r in listeners]},
    }


def _render_port(listener: Resource) -> Answer:
    answer = {
        "ListenerPort": listener["ListenerPort"],
        "ListenerProtocol": listener["ListenerProtocol"],
        "Description": listener["Description"],
        "ListenerForward": listener.get("ListenerForward", "off"),
    }
    return {**answer, "ForwardPort": listener["ForwardPort"]} if answer["ListenerForward"] == "on" else answer
