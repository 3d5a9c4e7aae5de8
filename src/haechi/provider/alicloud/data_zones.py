"""alicloud_zones. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/zones"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import finish
from haechi.provider.resource import Data, DataSource, Problem
from haechi.provider.schema import Fields, computed, objects, one_of, optional
from haechi.provider.types import BOOL, STRING, STRINGS

FIELDS: Fields = {
    "available_instance_type": optional(),
    "available_resource_creation": optional(),
    "available_slb_address_ip_version": optional(check=one_of("ipv4", "ipv6")),
    "available_slb_address_type": optional(check=one_of("vpc", "classic_internet", "classic_intranet")),
    "available_disk_category": optional(
        check=one_of(
            "all", "cloud", "ephemeral_ssd", "cloud_essd", "cloud_efficiency", "cloud_ssd", "local_disk", "cloud_auto", "cloud_essd_entry"
        )
    ),
    "multi": optional(BOOL),
    "instance_charge_type": optional(check=one_of("PrePaid", "PostPaid")),
    "network_type": optional(check=one_of("Vpc", "Classic")),
    "spot_strategy": optional(check=one_of("NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit")),
    "enable_details": optional(BOOL),
    "output_file": optional(),
    "ids": computed(STRINGS),
    "zones": objects(
        id=STRING,
        local_name=STRING,
        available_instance_types=STRINGS,
        available_resource_creation=STRINGS,
        available_disk_categories=STRINGS,
        multi_zone_ids=STRINGS,
        slb_slave_zone_ids=STRINGS,
    ),
}


def payment(d: Data) -> dict[str, Any]:
    """The terms every availability question carries."""
    return {
        "IoOptimized": "optimized",
        "InstanceChargeType": d["instance_charge_type"] or "PostPaid",
        "SpotStrategy": d["spot_strategy"] or "NoSpot",
        "NetworkCategory": (d["network_type"] or "").lower() or None,
    }


def available_zones(cloud: Cloud, params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Zones that are not sold out, by id."""
    found = items(cloud.call("ecs", "DescribeAvailableResource", params), "AvailableZones", "AvailableZone")
    zones = {z["ZoneId"]: z for z in found if z.get("Status") != "SoldOut"}
    if not zones:
        raise Problem("There are no available resources", "The zones of this region are sold out, or do not offer what was asked for.")
    return zones


def _read(cloud: Cloud, d: Data) -> None:
    slaves: dict[str, list[str]] | None = _slb_zones(cloud, d) if (d["available_resource_creation"] or "").lower() == "slb" else None
    terms = payment(d)
    available = available_zones(cloud, {"DestinationResource": "Zone", **terms})
    asked = {"InstanceChargeType": terms["InstanceChargeType"], "SpotStrategy": terms["SpotStrategy"], "Verbose": True}
    described = items(cloud.call("ecs", "DescribeZones", asked), "Zones", "Zone")
    kept: list[dict[str, Any]] = []
    for zone in sorted(described, key=lambda z: str(z["ZoneId"])):
        types = items(zone, "AvailableInstanceTypes", "InstanceTypes")
        disks = items(zone, "AvailableDiskCategories", "DiskCategories")
        wanted_type, wanted_disk = d["available_instance_type"], d["available_disk_category"]
        fits = zone["ZoneId"] in available and (slaves is None or zone["ZoneId"] in slaves) and types and disks
        if not fits or (wanted_type and wanted_type not in types) or (wanted_disk and wanted_disk not in disks):
            continue
        kept.append(
            {
                "id": zone["ZoneId"],
                "local_name": zone.get("LocalName"),
                "available_instance_types": types,
                "available_resource_creation": items(zone, "AvailableResourceCreation", "ResourceTypes"),
                "available_disk_categories": disks,
                "multi_zone_ids": [],
                "slb_slave_zone_ids": (slaves or {}).get(zone["ZoneId"], []),
            }
        )
    ids = [z["id"] for z in kept]
    if not d["enable_details"]:
        kept = [{"id": i, "slb_slave_zone_ids": z["slb_slave_zone_ids"]} for i, z in zip(ids, kept, strict=True)]
    finish(d, "zones", kept, ids)


def _slb_zones(cloud: Cloud, d: Data) -> dict[str, list[str]]:
    """Slave zones of each zone where a load balancer can be."""
    params = {"AddressIPVersion": d["available_slb_address_ip_version"] or None, "AddressType": d["available_slb_address_type"] or None}
    zones: dict[str, list[str]] = {}
    for pair in items(cloud.call("slb", "DescribeAvailableResource", params), "AvailableResources", "AvailableResource"):
        zones.setdefault(pair["MasterZoneId"], []).append(pair.get("SlaveZoneId") or "")
    return zones


SOURCE = DataSource(FIELDS, _read)
