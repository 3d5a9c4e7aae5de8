"""Regions and zones, and ClassicLink, which this cloud refuses."""

from __future__ import annotations

from haechi.cloud import regions
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.params import Id, Str
from haechi.cloud.products.vpc.kinds import get_vpc
from haechi.cloud.products.vpc.product import vpc


@vpc.action("DescribeRegions", Effect.READ)
def describe_regions(call: Call, ProductType: Str = "VPC") -> Answer:
    return {
        "Regions": {
            "Region": [
                {"RegionId": id, "LocalName": name, "RegionEndpoint": f"vpc.{id}.aliyuncs.com"} for id, (name, _) in regions.REGIONS.items()
            ]
        }
    }


@vpc.action("DescribeZones", Effect.READ)
def describe_zones(call: Call, ZoneType: Str = "AvailabilityZone") -> Answer:
    return {
        "Zones": {
            "Zone": [
                {"ZoneId": zone, "LocalName": f"{regions.REGIONS[call.region][0]} {zone[-1].upper()}", "ZoneType": "AvailabilityZone"}
                for zone in regions.zones(call.region)
            ]
        }
    }


@vpc.action("EnableVpcClassicLink", Effect.RECORD, limit="always refused")
def enable_vpc_classic_link(call: Call, VpcId: Id) -> Answer:
    get_vpc(call, VpcId)
    raise ApiError("OperationUnsupported.ClassicLink", "ClassicLink is not supported: this cloud has no classic network.")


@vpc.action("DisableVpcClassicLink", Effect.RECORD, limit="nothing to disable")
def disable_vpc_classic_link(call: Call, VpcId: Id) -> Answer:
    """What was never enabled is disabled."""
    get_vpc(call, VpcId)
    return {}
