"""Regions, zones, and what can be made where."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud import regions
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.params import Text
from haechi.cloud.products.slb.kinds import AddressType, IpVersion
from haechi.cloud.products.slb.product import slb

Language = Annotated[str, Text(16)]


@slb.action("DescribeRegions", Effect.READ)
def describe_regions(call: Call, AcceptLanguage: Language = "") -> Answer:
    rows = [{"RegionId": id, "LocalName": name, "RegionEndpoint": f"slb.{id}.aliyuncs.com"} for id, (name, _) in regions.REGIONS.items()]
    return {"Regions": {"Region": rows}}


@slb.action("DescribeZones", Effect.READ)
def describe_zones(call: Call, AcceptLanguage: Language = "") -> Answer:
    """Each zone with the zones that can stand in for it."""
    zones = regions.zones(call.region)
    rows = [
        {**_zone(call.region, id), "SlaveZones": {"SlaveZone": [_zone(call.region, other) for other in zones if other != id]}}
        for id in zones
    ]
    return {"Zones": {"Zone": rows}}


def _zone(region: str, id: str) -> dict[str, str]:
    return {"ZoneId": id, "LocalName": f"{regions.REGIONS[region][0]} {id[-1].upper()}"}


@slb.action("DescribeAvailableResource", Effect.READ)
def describe_available_resource(call: Call, AddressType: AddressType = "", AddressIPVersion: IpVersion = "ipv4") -> Answer:
    """Pairs of zones; a region with one zone has that one alone, and nothing is made for ipv6."""
    zones = regions.zones(call.region)
    pairs = [(a, b) for a in zones for b in zones if a != b] or [(zones[0], "")]
    kinds = (AddressType,) if AddressType else ("internet", "intranet")
    supported = [{"AddressType": kind, "AddressIPVersion": AddressIPVersion} for kind in kinds]
    rows = [{"MasterZoneId": a, "SlaveZoneId": b, "SupportResources": {"SupportResource": supported}} for a, b in pairs]
    return {"AvailableResources": {"AvailableResource": rows if AddressIPVersion == "ipv4" else []}}
