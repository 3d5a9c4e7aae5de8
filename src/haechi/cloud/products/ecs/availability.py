"""DescribeAvailableResource: what of one kind can be had in each zone, given other choices."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.params import Choice, Id, Int
from haechi.cloud.products.ecs.catalog import ResourceType, SpotStrategy
from haechi.cloud.products.ecs.disk_making import sizes
from haechi.cloud.products.ecs.instance_types import TYPES, InstanceType, find_type
from haechi.cloud.products.ecs.kinds import CATEGORIES, ChargeType
from haechi.cloud.products.ecs.parameters import Fraction
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.regions import zones

Destination = Annotated[str, Choice(("Zone", "IoOptimized", "InstanceType", "Network", "ddh", "SystemDisk", "DataDisk"))]
IoOptimized = Annotated[str, Choice(("none", "optimized"), "InvalidIoOptimized.ValueNotSupported")]
NetworkCategory = Annotated[str, Choice(("vpc", "classic"))]
Gibibytes = Annotated[float, Fraction()]
SystemCategory = Annotated[str, Choice((*CATEGORIES, "ephemeral_ssd"), "InvalidSystemDiskCategory.ValueNotSupported")]
DataCategory = Annotated[str, Choice((*CATEGORIES, "ephemeral_ssd"), "InvalidDataDiskCategory.ValueNotSupported")]
Scope = Annotated[str, Choice(("Region", "Zone"))]


@ecs.action("DescribeAvailableResource", Effect.READ)
def describe_available_resource(
    call: Call,
    DestinationResource: Destination,
    ResourceType: ResourceType = "instance",
    ZoneId: Id = "",
    InstanceType: Id = "",
    Cores: Int = 0,
    Memory: Gibibytes = 0.0,
    IoOptimized: IoOptimized = "optimized",
    NetworkCategory: NetworkCategory = "vpc",
    SystemDiskCategory: SystemCategory = "",
    DataDiskCategory: DataCategory = "",
    InstanceChargeType: ChargeType = "PostPaid",
    SpotStrategy: SpotStrategy = "NoSpot",
    SpotDuration: Int = 1,
    DedicatedHostId: Id = "",
    Scope: Scope = "Region",
) -> Answer:
    """Per zone, the values of the destination that go with the other choices; a zone without any is left out."""
    if ZoneId and ZoneId not in zones(call.region):
        raise not_found("InvalidZoneId.NotFound", "The specified ZoneId does not exist.")
    if InstanceType and find_type(InstanceType) is None:
        raise ApiError("InvalidInstanceType.ValueNotSupported", "The specified InstanceType does not exist or beyond the permitted range.")
    if DestinationResource == "SystemDisk" and ResourceType == "instance" and not InstanceType:
        raise missing("InstanceType")
    types = [t for t in TYPES.values() if _matches(t, InstanceType, Cores, Memory, IoOptimized)]
    possible = bool(types) and NetworkCategory == "vpc" and "ephemeral_ssd" not in (SystemDiskCategory, DataDiskCategory)
    rows = []
    for zone in zones(call.region) if possible else []:
        supported = _supported(DestinationResource, zone, types, SystemDiskCategory, DataDiskCategory)
        if supported and ZoneId in ("", zone):
            available = [{"Type": DestinationResource, "SupportedResources": {"SupportedResource": supported}}]
            stock = {"Status": "Available", "StatusCategory": "WithStock"}
            rows.append({"RegionId": call.region, "ZoneId": zone, **stock, "AvailableResources": {"AvailableResource": available}})
    return {"AvailableZones": {"AvailableZone": rows}}


def _matches(kind: InstanceType, id: str, cores: int, memory: float, optimized: str) -> bool:
    outdated = kind.family.generation == "ecs-1"
    return (
        (not id or kind.id == id)
        and (not cores or kind.cores == cores)
        and (not memory or kind.memory_gib == memory)
        and (optimized == "optimized" or outdated)
    )


def _supported(destination: str, zone: str, types: list[InstanceType], system: str, data: str) -> list[dict[str, Any]]:
    if destination in ("SystemDisk", "DataDisk"):
        wanted = system if destination == "SystemDisk" else data
        return [_disk(c, destination == "SystemDisk") for c in CATEGORIES if wanted in ("", c)]
    values: dict[str, list[str]] = {
        "Zone": [zone],
        "IoOptimized": ["optimized"],
        "InstanceType": [t.id for t in types],
        "Network": ["vpc"],
    }
    return [{"Value": v, "Status": "Available", "StatusCategory": "WithStock"} for v in values.get(destination, [])]


def _disk(category: str, system: bool) -> dict[str, Any]:
    least, most = sizes(category, "PL0", system)
    return {"Value": category, "Min": least, "Max": most, "Unit": "GiB", "Status": "Available", "StatusCategory": "WithStock"}
