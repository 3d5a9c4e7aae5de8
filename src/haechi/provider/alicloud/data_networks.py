"""alicloud_vpcs and alicloud_vswitches. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/vpcs"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import FILTERS, TAGS, finish, matching, read_tags, tag_params
from haechi.provider.alicloud.vpc import system_route_table
from haechi.provider.resource import Data, DataSource
from haechi.provider.schema import Fields, computed, objects, one_of, optional
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_MAP, STRINGS, list_of, object_of

VPCS_FIELDS: Fields = {
    **FILTERS,
    "enable_details": optional(BOOL, default=True),
    "cidr_block": optional(),
    "dhcp_options_set_id": optional(),
    "dry_run": optional(BOOL),
    "is_default": optional(BOOL),
    "resource_group_id": optional(),
    "status": optional(check=one_of("Available", "Pending")),
    "tags": TAGS,
    "vpc_name": optional(),
    "vpc_owner_id": optional(NUMBER),
    "vswitch_id": optional(),
    "page_number": optional(NUMBER),
    "page_size": optional(NUMBER),
    "names": computed(STRINGS),
    "total_count": computed(NUMBER),
    "vpcs": objects(
        id=STRING,
        vpc_id=STRING,
        vpc_name=STRING,
        region_id=STRING,
        creation_time=STRING,
        cidr_block=STRING,
        ipv6_cidr_block=STRING,
        ipv6_cidr_blocks=list_of(object_of(ipv6_isp=STRING, ipv6_cidr_block=STRING)),
        secondary_cidr_blocks=STRINGS,
        user_cidrs=STRINGS,
        description=STRING,
        is_default=BOOL,
        resource_group_id=STRING,
        route_table_id=STRING,
        router_id=STRING,
        vrouter_id=STRING,
        status=STRING,
        vswitch_ids=STRINGS,
        tags=STRING_MAP,
    ),
}


def _read_vpcs(cloud: Cloud, d: Data) -> None:
    params = {
        "IsDefault": d["is_default"],
        "VpcName": d["vpc_name"] or None,
        "VpcOwnerId": d["vpc_owner_id"],
        "ResourceGroupId": d["resource_group_id"] or None,
        "DhcpOptionsSetId": d["dhcp_options_set_id"] or None,
        "DryRun": d["dry_run"],
        "Tag": tag_params(d["tags"]),
    }
    found = [v for v in cloud.pages("vpc", "DescribeVpcs", params, "Vpcs", "Vpc") if _fits(d, v)]
    kept = matching(d, found, "VpcId", "VpcName")
    results = [_vpc(cloud, dict(v), d["enable_details"] is not False) for v in kept]
    d["total_count"] = len(results)
    finish(d, "vpcs", results, [r["id"] for r in results], [str(r["vpc_name"]) for r in results])


def _fits(d: Data, v: dict[str, Any]) -> bool:
    vswitches = items(v, "VSwitchIds", "VSwitchId")
    pairs = [(d["cidr_block"], [v.get("CidrBlock")]), (d["status"], [v.get("Status")]), (d["vswitch_id"], vswitches)]
    return all(not wanted or wanted in has for wanted, has in pairs)


def _vpc(cloud: Cloud, v: dict[str, Any], detailed: bool) -> dict[str, Any]:
    return {
        "id": v["VpcId"],
        "vpc_id": v["VpcId"],
        "vpc_name": v.get("VpcName"),
        "region_id": v.get("RegionId"),
        "creation_time": v.get("CreationTime"),
        "cidr_block": v.get("CidrBlock"),
        "ipv6_cidr_block": v.get("Ipv6CidrBlock"),
        "ipv6_cidr_blocks": [
            {"ipv6_isp": b.get("Ipv6Isp"), "ipv6_cidr_block": b.get("Ipv6CidrBlock")} for b in items(v, "Ipv6CidrBlocks", "Ipv6CidrBlock")
        ],
        "secondary_cidr_blocks": items(v, "SecondaryCidrBlocks", "SecondaryCidrBlock"),
        "user_cidrs": items(v, "UserCidrs", "UserCidr"),
        "description": v.get("Description"),
        "is_default": v.get("IsDefault"),
        "resource_group_id": v.get("ResourceGroupId"),
        "route_table_id": system_route_table(cloud, v["VpcId"]).get("RouteTableId") if detailed else "",
        "router_id": v.get("VRouterId"),
        "vrouter_id": v.get("VRouterId"),
        "status": v.get("Status"),
        "vswitch_ids": items(v, "VSwitchIds", "VSwitchId"),
        "tags": read_tags(items(v, "Tags", "Tag")),
    }


VPCS = DataSource(VPCS_FIELDS, _read_vpcs)

VSWITCHES_FIELDS: Fields = {
    **{name: field for name, field in FILTERS.items() if name != "enable_details"},
    "cidr_block": optional(),
    "dry_run": optional(BOOL),
    "is_default": optional(BOOL),
    "resource_group_id": optional(),
    "route_table_id": optional(),
    "status": optional(check=one_of("Available", "Pending")),
    "tags": TAGS,
    "vpc_id": optional(),
    "vswitch_name": optional(),
    "vswitch_owner_id": optional(NUMBER),
    "zone_id": optional(),
    "page_number": optional(NUMBER),
    "page_size": optional(NUMBER),
    "names": computed(STRINGS),
    "total_count": computed(NUMBER),
    "vswitches": objects(
        id=STRING,
        vswitch_id=STRING,
        name=STRING,
        vswitch_name=STRING,
        vpc_id=STRING,
        zone_id=STRING,
        cidr_block=STRING,
        ipv6_cidr_block=STRING,
        creation_time=STRING,
        available_ip_address_count=NUMBER,
        description=STRING,
        is_default=BOOL,
        resource_group_id=STRING,
        route_table_id=STRING,
        status=STRING,
        tags=STRING_MAP,
    ),
}


def _read_vswitches(cloud: Cloud, d: Data) -> None:
    names = {
        "VpcId": "vpc_id",
        "ZoneId": "zone_id",
        "VSwitchName": "vswitch_name",
        "RouteTableId": "route_table_id",
        "ResourceGroupId": "resource_group_id",
        "VSwitchOwnerId": "vswitch_owner_id",
    }
    params = {wire: d[name] or None for wire, name in names.items()} | {"IsDefault": d["is_default"], "Tag": tag_params(d["tags"])}
    found = matching(d, cloud.pages("vpc", "DescribeVSwitches", params, "VSwitches", "VSwitch"), "VSwitchId", "VSwitchName")
    pairs = {"cidr_block": "CidrBlock", "status": "Status"}
    kept = [v for v in found if all(not d[name] or d[name] == v.get(wire) for name, wire in pairs.items())]
    results = [
        {
            "id": v["VSwitchId"],
            "vswitch_id": v["VSwitchId"],
            "name": v.get("VSwitchName"),
            "vswitch_name": v.get("VSwitchName"),
            "vpc_id": v.get("VpcId"),
            "zone_id": v.get("ZoneId"),
            "cidr_block": v.get("CidrBlock"),
            "ipv6_cidr_block": v.get("Ipv6CidrBlock"),
            "creation_time": v.get("CreationTime"),
            "available_ip_address_count": v.get("AvailableIpAddressCount"),
            "description": v.get("Description"),
            "is_default": v.get("IsDefault"),
            "resource_group_id": v.get("ResourceGroupId"),
            "route_table_id": (v.get("RouteTable") or {}).get("RouteTableId"),
            "status": v.get("Status"),
            "tags": read_tags(items(v, "Tags", "Tag")),
        }
        for v in kept
    ]
    d["total_count"] = len(results)
    finish(d, "vswitches", results, [r["id"] for r in results], [str(r["name"]) for r in results])


VSWITCHES = DataSource(VSWITCHES_FIELDS, _read_vswitches)
