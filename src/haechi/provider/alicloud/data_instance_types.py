"""alicloud_instance_types. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/instance_types"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import finish
from haechi.provider.alicloud.data_zones import available_zones, payment
from haechi.provider.resource import Data, DataSource, Problem
from haechi.provider.schema import Fields, computed, objects, one_of, optional
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_MAP, STRINGS

FIELDS: Fields = {
    "availability_zone": optional(),
    "instance_type": optional(),
    "instance_type_family": optional(),
    "cpu_core_count": optional(NUMBER),
    "memory_size": optional(NUMBER),
    "eni_amount": optional(NUMBER),
    "gpu_amount": optional(NUMBER),
    "gpu_spec": optional(),
    "minimum_eni_ipv6_address_quantity": optional(NUMBER),
    "minimum_eni_private_ip_address_quantity": optional(NUMBER),
    "instance_charge_type": optional(check=one_of("PrePaid", "PostPaid")),
    "network_type": optional(check=one_of("Vpc", "Classic")),
    "spot_strategy": optional(check=one_of("NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit")),
    "system_disk_category": optional(
        check=one_of("cloud", "ephemeral_ssd", "cloud_essd", "cloud_efficiency", "cloud_ssd", "cloud_auto", "cloud_essd_entry")
    ),
    "image_id": optional(),
    "is_outdated": optional(BOOL),
    "kubernetes_node_role": optional(check=one_of("Master", "Worker")),
    "sorted_by": optional(check=one_of("CPU", "Memory", "Price")),
    "output_file": optional(),
    "ids": computed(STRINGS),
    "instance_types": objects(
        id=STRING,
        price=STRING,
        cpu_core_count=NUMBER,
        memory_size=NUMBER,
        family=STRING,
        availability_zones=STRINGS,
        gpu=STRING_MAP,
        burstable_instance=STRING_MAP,
        eni_amount=NUMBER,
        local_storage=STRING_MAP,
        nvme_support=STRING,
        primary_eni_queue_number=NUMBER,
        secondary_eni_queue_number=NUMBER,
        eni_ipv6_address_quantity=NUMBER,
        maximum_queue_number_per_eni=NUMBER,
        total_eni_queue_quantity=NUMBER,
        eni_private_ip_address_quantity=NUMBER,
    ),
}


def _read(cloud: Cloud, d: Data) -> None:
    zones = _zones_of_types(cloud, d)
    if d["image_id"]:
        supported = items(
            cloud.call("ecs", "DescribeImageSupportInstanceTypes", {"ImageId": d["image_id"]}), "InstanceTypes", "InstanceType"
        )
        zones = {t: zones[t] for t in zones if t in {s["InstanceTypeId"] for s in supported}}
    kept = [t for t in _all_types(cloud, d) if t["InstanceTypeId"] in zones and _fits(d, t)]
    prices = _prices(cloud, d, [t["InstanceTypeId"] for t in kept]) if d["sorted_by"] == "Price" and kept else {}
    order = {"CPU": lambda t: t["CpuCoreCount"], "Memory": lambda t: t["MemorySize"], "Price": lambda t: prices[t["InstanceTypeId"]]}
    if d["sorted_by"]:
        kept.sort(key=order[d["sorted_by"]])
    results = [_result(t, zones[t["InstanceTypeId"]], prices.get(t["InstanceTypeId"])) for t in kept]
    finish(d, "instance_types", results, [r["id"] for r in results])


def _zones_of_types(cloud: Cloud, d: Data) -> dict[str, list[str]]:
    params = {"DestinationResource": "InstanceType", **payment(d)}
    params |= {
        "Cores": d["cpu_core_count"] or None,
        "Memory": d["memory_size"] or None,
        "SystemDiskCategory": d["system_disk_category"] or None,
    }
    if d["is_outdated"]:
        params["IoOptimized"] = "none"
    available = available_zones(cloud, params)
    if d["availability_zone"] and d["availability_zone"] not in available:
        valid = ", ".join(sorted(available))
        raise Problem(
            f"Availability zone {d['availability_zone']} status is not available in the region {cloud.region}", f"Expected zones: {valid}."
        )
    found: dict[str, list[str]] = {}
    for zone_id, zone in available.items():
        if d["availability_zone"] and zone_id != d["availability_zone"]:
            continue
        for resource in items(zone, "AvailableResources", "AvailableResource"):
            for offer in items(resource, "SupportedResources", "SupportedResource"):
                if offer.get("Status") != "SoldOut":
                    found.setdefault(offer["Value"], []).append(zone_id)
    return found


def _all_types(cloud: Cloud, d: Data) -> list[dict[str, Any]]:
    params = {
        "InstanceTypeFamily": d["instance_type_family"] or None,
        "InstanceType": d["instance_type"] or None,
        "GPUSpec": d["gpu_spec"] or None,
        "MinimumEniIpv6AddressQuantity": d["minimum_eni_ipv6_address_quantity"] or None,
        "MinimumEniPrivateIpAddressQuantity": d["minimum_eni_private_ip_address_quantity"] or None,
    }
    found: list[dict[str, Any]] = []
    while True:
        answer = cloud.call("ecs", "DescribeInstanceTypes", params)
        found += items(answer, "InstanceTypes", "InstanceType")
        if not answer.get("NextToken"):
            return found
        params["NextToken"] = answer["NextToken"]


def _fits(d: Data, t: dict[str, Any]) -> bool:
    pairs = {"cpu_core_count": "CpuCoreCount", "memory_size": "MemorySize", "gpu_amount": "GPUAmount", "instance_type": "InstanceTypeId"}
    if any(d[name] and d[name] != t.get(wire) for name, wire in pairs.items()):
        return False
    if d["eni_amount"] and d["eni_amount"] > (t.get("EniQuantity") or 0):
        return False
    large = bool(t["CpuCoreCount"] >= 2 and t["MemorySize"] >= 4)
    burstable = str(t.get("InstanceTypeFamily")).startswith("ecs.t")
    return not d["kubernetes_node_role"] or (large and not (burstable and d["kubernetes_node_role"] == "Master"))


def _prices(cloud: Cloud, d: Data, types: list[str]) -> dict[str, float]:
    prepaid = d["instance_charge_type"] == "PrePaid"
    prices: dict[str, float] = {}
    for start in range(0, len(types), 50):
        chunk = types[start : start + 50]
        config = "InstanceType:{},IoOptimized:IoOptimized,ImageOs:linux,Region:" + cloud.region
        module = [{"ModuleCode": "InstanceType", "Config": config.format(t), "PriceType": "Hour"} for t in chunk]
        terms = {"SubscriptionType": "Subscription" if prepaid else "PayAsYouGo", "ProductCode": "ecs", "ProductType": ""}
        action = "GetSubscriptionPrice" if prepaid else "GetPayAsYouGoPrice"
        answer = cloud.call("bssopenapi", action, {"OrderType": "NewOrder", "Region": cloud.region, "ModuleList": module, **terms})
        details = items(answer, "Data", "ModuleDetails", "ModuleDetail")
        prices |= {t: float(m["OriginalCost"]) for t, m in zip(chunk, details, strict=True)}
    return prices


def _result(t: dict[str, Any], zones: list[str], price: float | None) -> dict[str, Any]:
    return {
        "id": t["InstanceTypeId"],
        "price": "" if price is None else f"{price:.4f}",
        "cpu_core_count": t.get("CpuCoreCount"),
        "memory_size": t.get("MemorySize"),
        "family": t.get("InstanceTypeFamily"),
        "availability_zones": sorted(zones),
        "gpu": {"amount": t.get("GPUAmount") or 0, "category": t.get("GPUSpec") or ""},
        "burstable_instance": {"initial_credit": t.get("InitialCredit") or 0, "baseline_credit": t.get("BaselineCredit") or 0},
        "eni_amount": t.get("EniQuantity"),
        "local_storage": {
            "capacity": t.get("LocalStorageCapacity") or 0,
            "amount": t.get("LocalStorageAmount") or 0,
            "category": t.get("LocalStorageCategory") or "",
        },
        "nvme_support": t.get("NvmeSupport"),
        "primary_eni_queue_number": t.get("PrimaryEniQueueNumber"),
        "secondary_eni_queue_number": t.get("SecondaryEniQueueNumber"),
        "eni_ipv6_address_quantity": t.get("EniIpv6AddressQuantity"),
        "maximum_queue_number_per_eni": t.get("MaximumQueueNumberPerEni"),
        "total_eni_queue_quantity": t.get("TotalEniQueueQuantity"),
        "eni_private_ip_address_quantity": t.get("EniPrivateIpAddressQuantity"),
    }


SOURCE = DataSource(FIELDS, _read)
