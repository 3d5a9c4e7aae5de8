"""alicloud_vswitch. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/vswitch"""

from __future__ import annotations

import ipaddress
from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, changed, changed_first, read_tags, sent, update_tags
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, computed, optional
from haechi.provider.types import BOOL, NUMBER

FIELDS: Fields = {
    "availability_zone": optional(
        computed=True,
        force_new=True,
        conflicts_with=("zone_id",),
        deprecated="Field 'availability_zone' has been deprecated from provider version 1.119.0. New field 'zone_id' instead.",
    ),
    "cidr_block": optional(computed=True, force_new=True),
    "create_time": computed(),
    "description": optional(),
    "enable_ipv6": optional(BOOL, computed=True),
    "ipv6_cidr_block": computed(),
    "ipv6_cidr_block_mask": optional(NUMBER),
    "is_default": optional(BOOL),
    "name": optional(
        computed=True,
        conflicts_with=("vswitch_name",),
        deprecated="Field 'name' has been deprecated from provider version 1.119.0. New field 'vswitch_name' instead.",
    ),
    "status": computed(),
    "tags": TAGS,
    "vpc_id": optional(computed=True, force_new=True),
    "vpc_ipv6_cidr_block": optional(),
    "vswitch_name": optional(computed=True, conflicts_with=("name",)),
    "zone_id": optional(computed=True, force_new=True, conflicts_with=("availability_zone",)),
}
_BUSY_CREATE = (
    "TaskConflict", "IncorrectStatus.cbnStatus", "InvalidStatus.RouteEntry", "OperationFailed.IdempotentTokenProcessing", "IncorrectStatus",
    "CreateVSwitch.IncorrectStatus.cbnStatus", "IncorrectVSwitchStatus", "OperationConflict", "OperationFailed.DistibuteLock",
    "OperationFailed.NotifyCenCreate",
)  # fmt: skip
_BUSY = ("OperationConflict", "OperationFailed.LastTokenProcessing", "IncorrectStatus.VSwitch", "IncorrectStatus.VpcRouteEntry")
_BUSY_DELETE = (
    "DependencyViolation", "OperationConflict", "IncorrectRouteEntryStatus", "InternalError", "TaskConflict", "SystemBusy",
    "IncorrectVSwitchStatus", "LastTokenProcessing", "OperationDenied.OtherSubnetProcessing", "DeleteVSwitch.IncorrectStatus.cbnStatus",
)  # fmt: skip
_GONE = ("InvalidVswitchID.NotFound", "InvalidVSwitchId.NotFound")


def describe(cloud: Cloud, vswitch_id: str) -> dict[str, Any] | None:
    """The vSwitch, None if there is none."""
    found = cloud.find("vpc", "DescribeVSwitchAttributes", {"VSwitchId": vswitch_id}, _GONE)
    return found if found and found.get("VSwitchId") else None


def _wait_available(cloud: Cloud, d: Data) -> None:
    cloud.wait(f"{d.id} to be Available", lambda: describe(cloud, d.id) or {}, lambda v: v.get("Status") == "Available", d.timeout)


def _create(cloud: Cloud, d: Data) -> None:
    names = {"CidrBlock": "cidr_block", "VpcId": "vpc_id", "Description": "description", "Ipv6CidrBlock": "ipv6_cidr_block_mask"}
    params = sent(d, names | {"VpcIpv6CidrBlock": "vpc_ipv6_cidr_block"})
    params |= {"VSwitchName": d.first("vswitch_name", "name"), "ZoneId": d.first("zone_id", "availability_zone")}
    action = "CreateDefaultVSwitch" if d["is_default"] else "CreateVSwitch"
    if d["is_default"]:
        params = {"ZoneId": params["ZoneId"], "Ipv6CidrBlock": params.get("Ipv6CidrBlock")}
    params["ClientToken"] = client_token(action)
    d.id = cloud.call("vpc", action, params, _BUSY_CREATE, d.timeout)["VSwitchId"]
    _wait_available(cloud, d)
    update_tags(cloud, d, "vpc", "VSWITCH")


def _read(cloud: Cloud, d: Data) -> None:
    vswitch = describe(cloud, d.id)
    if vswitch is None:
        d.id = ""
        return
    ipv6 = vswitch.get("Ipv6CidrBlock") or ""
    d.update(
        cidr_block=vswitch.get("CidrBlock"),
        create_time=vswitch.get("CreationTime"),
        description=vswitch.get("Description"),
        enable_ipv6=bool(ipv6),
        ipv6_cidr_block=ipv6,
        is_default=vswitch.get("IsDefault"),
        status=vswitch.get("Status"),
        vpc_id=vswitch.get("VpcId"),
        vswitch_name=vswitch.get("VSwitchName"),
        name=vswitch.get("VSwitchName"),
        zone_id=vswitch.get("ZoneId"),
        availability_zone=vswitch.get("ZoneId"),
        tags=read_tags(items(vswitch, "Tags", "Tag")),
    )
    if ipv6:
        network = ipaddress.IPv6Network(ipv6, strict=False)
        d["ipv6_cidr_block_mask"] = network.network_address.packed[network.prefixlen // 8 - 1]


def _update(cloud: Cloud, d: Data) -> None:
    params = changed(d, {"Description": "description", "EnableIPv6": "enable_ipv6", "Ipv6CidrBlock": "ipv6_cidr_block_mask"})
    if (name := changed_first(d, "vswitch_name", "name")) is not None:
        params["VSwitchName"] = name
    if params:
        cloud.call("vpc", "ModifyVSwitchAttribute", {"VSwitchId": d.id, **params}, _BUSY, d.timeout)
        _wait_available(cloud, d)
    update_tags(cloud, d, "vpc", "VSWITCH")


def _delete(cloud: Cloud, d: Data) -> None:
    cloud.delete("vpc", "DeleteVSwitch", {"VSwitchId": d.id}, _GONE, _BUSY_DELETE, d.timeout)
    cloud.wait(f"{d.id} to be deleted", lambda: describe(cloud, d.id), lambda v: v is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 600, "update": 300, "delete": 600})
