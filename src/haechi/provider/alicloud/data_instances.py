"""alicloud_instances. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/instances"""

from __future__ import annotations

import json
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import FILTERS, TAGS, finish, matching, read_tags, tag_params
from haechi.provider.resource import Data, DataSource
from haechi.provider.schema import Fields, computed, objects, one_of, optional
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_MAP, STRINGS, list_of, object_of

FIELDS: Fields = {
    **FILTERS,
    "enable_details": optional(BOOL, default=True),
    "availability_zone": optional(),
    "image_id": optional(),
    "instance_name": optional(),
    "ram_role_name": optional(),
    "resource_group_id": optional(),
    "status": optional(check=one_of("Pending", "Running", "Starting", "Stopped", "Stopping")),
    "tags": TAGS,
    "vpc_id": optional(),
    "vswitch_id": optional(),
    "page_number": optional(NUMBER),
    "page_size": optional(NUMBER),
    "names": computed(STRINGS),
    "total_count": computed(NUMBER),
    "instances": objects(
        id=STRING,
        name=STRING,
        region_id=STRING,
        availability_zone=STRING,
        status=STRING,
        description=STRING,
        instance_type=STRING,
        instance_charge_type=STRING,
        image_id=STRING,
        vpc_id=STRING,
        vswitch_id=STRING,
        private_ip=STRING,
        public_ip=STRING,
        eip=STRING,
        key_name=STRING,
        ram_role_name=STRING,
        resource_group_id=STRING,
        security_groups=STRINGS,
        creation_time=STRING,
        internet_charge_type=STRING,
        internet_max_bandwidth_out=NUMBER,
        spot_strategy=STRING,
        disk_device_mappings=list_of(object_of(device=STRING, size=NUMBER, type=STRING, category=STRING, disk_id=STRING, disk_name=STRING)),
        tags=STRING_MAP,
    ),
}
_SENT = {
    "VpcId": "vpc_id",
    "VSwitchId": "vswitch_id",
    "ZoneId": "availability_zone",
    "InstanceName": "instance_name",
    "Status": "status",
    "ResourceGroupId": "resource_group_id",
}


def _read(cloud: Cloud, d: Data) -> None:
    params = {wire: d[name] or None for wire, name in _SENT.items()} | {"Tag": tag_params(d["tags"])}
    if d["ids"]:
        params["InstanceIds"] = json.dumps(d["ids"])
    if d["page_number"] or d["page_size"]:
        page = cloud.call("ecs", "DescribeInstances", {**params, "PageNumber": d["page_number"] or 1, "PageSize": d["page_size"] or 20})
        found, d["total_count"] = items(page, "Instances", "Instance"), page.get("TotalCount")
    else:
        found = list(cloud.pages("ecs", "DescribeInstances", params, "Instances", "Instance", size=100))
        d["total_count"] = len(found)
    kept = matching(d, found, "InstanceId", "InstanceName")
    kept = [i for i in kept if not d["image_id"] or i.get("ImageId") == d["image_id"]]
    ids = [i["InstanceId"] for i in kept]
    detailed = d["enable_details"] is not False or bool(d["ram_role_name"])
    roles = _roles(cloud, ids, d["ram_role_name"]) if detailed and ids else {}
    disks = _disks(cloud, set(ids)) if detailed and ids else {}
    if d["ram_role_name"]:
        kept = [i for i in kept if roles.get(i["InstanceId"]) == d["ram_role_name"]]
    results = [_result(dict(i), roles, disks) for i in kept]
    finish(d, "instances", results, [r["id"] for r in results], [str(r["name"]) for r in results])


def _roles(cloud: Cloud, ids: list[str], role: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), 50):
        params = {"InstanceIds": json.dumps(ids[start : start + 50]), "RamRoleName": role or None}
        for row in cloud.pages("ecs", "DescribeInstanceRamRole", params, "InstanceRamRoleSets", "InstanceRamRoleSet"):
            found[row["InstanceId"]] = row.get("RamRoleName") or ""
    return found


def _disks(cloud: Cloud, ids: set[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for disk in cloud.pages("ecs", "DescribeDisks", {}, "Disks", "Disk", size=100):
        if disk.get("InstanceId") in ids:
            names = {
                "device": "Device",
                "size": "Size",
                "type": "Type",
                "category": "Category",
                "disk_id": "DiskId",
                "disk_name": "DiskName",
            }
            found.setdefault(disk["InstanceId"], []).append({name: disk.get(wire) for name, wire in names.items()})
    return found


def _result(i: dict[str, Any], roles: dict[str, str], disks: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    vpc = i.get("VpcAttributes") or {}
    private = items(vpc, "PrivateIpAddress", "IpAddress") or items(i, "InnerIpAddress", "IpAddress")
    eip = (i.get("EipAddress") or {}).get("IpAddress") or ""
    public = items(i, "PublicIpAddress", "IpAddress")
    return {
        "id": i["InstanceId"],
        "name": i.get("InstanceName"),
        "region_id": i.get("RegionId"),
        "availability_zone": i.get("ZoneId"),
        "status": i.get("Status"),
        "description": i.get("Description"),
        "instance_type": i.get("InstanceType"),
        "instance_charge_type": i.get("InstanceChargeType"),
        "image_id": i.get("ImageId"),
        "vpc_id": vpc.get("VpcId"),
        "vswitch_id": vpc.get("VSwitchId"),
        "private_ip": private[0] if private else "",
        "public_ip": public[0] if public else eip,
        "eip": eip,
        "key_name": i.get("KeyPairName"),
        "ram_role_name": roles.get(i["InstanceId"], ""),
        "resource_group_id": i.get("ResourceGroupId"),
        "security_groups": items(i, "SecurityGroupIds", "SecurityGroupId"),
        "creation_time": i.get("CreationTime"),
        "internet_charge_type": i.get("InternetChargeType"),
        "internet_max_bandwidth_out": i.get("InternetMaxBandwidthOut"),
        "spot_strategy": i.get("SpotStrategy"),
        "disk_device_mappings": disks.get(i["InstanceId"], []),
        "tags": read_tags(items(i, "Tags", "Tag")),
    }


SOURCE = DataSource(FIELDS, _read)
