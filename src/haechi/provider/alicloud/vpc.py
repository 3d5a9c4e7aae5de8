"""alicloud_vpc. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/vpc"""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, changed, changed_first, read_tags, sent, tag_params, update_tags
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, computed, objects, one_of, optional
from haechi.provider.types import BOOL, NUMBER, STRING, STRINGS

FIELDS: Fields = {
    "cidr_block": optional(computed=True),
    "classic_link_enabled": optional(BOOL),
    "create_time": computed(),
    "description": optional(),
    "dns_hostname_status": optional(computed=True, check=one_of("ENABLED", "DISABLED", "MODIFYING")),
    "dry_run": optional(BOOL),
    "enable_ipv6": optional(BOOL),
    "force_delete": optional(BOOL),
    "ipv4_cidr_mask": optional(NUMBER),
    "ipv4_ipam_pool_id": optional(),
    "ipv6_cidr_block": optional(computed=True, force_new=True),
    "ipv6_cidr_blocks": objects(ipv6_isp=STRING, ipv6_cidr_block=STRING),
    "ipv6_isp": optional(),
    "is_default": optional(BOOL),
    "name": optional(
        computed=True, deprecated="Field 'name' has been deprecated since provider version 1.119.0. New field 'vpc_name' instead."
    ),
    "region_id": computed(),
    "resource_group_id": optional(computed=True),
    "route_table_id": computed(),
    "router_id": computed(),
    "router_table_id": computed(),
    "secondary_cidr_blocks": optional(
        STRINGS,
        computed=True,
        deprecated="Field 'secondary_cidr_blocks' has been deprecated from provider version 1.185.0. "
        "Please use the new resource 'alicloud_vpc_ipv4_cidr_block'.",
    ),
    "secondary_cidr_mask": optional(NUMBER, deprecated="Field 'secondary_cidr_mask' has been deprecated from provider version 1.248.0."),
    "status": computed(),
    "system_route_table_description": optional(),
    "system_route_table_name": optional(),
    "system_route_table_route_propagation_enable": optional(BOOL, computed=True),
    "tags": TAGS,
    "user_cidrs": optional(STRINGS, computed=True, force_new=True),
    "vpc_name": optional(computed=True, conflicts_with=("name",)),
}
_BUSY = (
    "OperationFailed.LastTokenProcessing", "LastTokenProcessing", "OperationFailed.QueryCenIpv6Status", "IncorrectStatus",
    "OperationConflict", "SystemBusy", "IncorrectVpcStatus",
)  # fmt: skip
_ROUTE_TABLE = {
    "RouteTableName": "system_route_table_name",
    "Description": "system_route_table_description",
    "RoutePropagationEnable": "system_route_table_route_propagation_enable",
}


def _create(cloud: Cloud, d: Data) -> None:
    params = sent(
        d,
        {
            "CidrBlock": "cidr_block",
            "Description": "description",
            "ResourceGroupId": "resource_group_id",
            "EnableIpv6": "enable_ipv6",
            "Ipv6Isp": "ipv6_isp",
            "Ipv6CidrBlock": "ipv6_cidr_block",
            "Ipv4IpamPoolId": "ipv4_ipam_pool_id",
            "Ipv4CidrMask": "ipv4_cidr_mask",
            "DryRun": "dry_run",
        },
    )
    params |= {"VpcName": d.first("vpc_name", "name"), "UserCidr": ",".join(d["user_cidrs"] or []) or None, "Tag": tag_params(d["tags"])}
    if d["dns_hostname_status"]:
        params["EnableDnsHostname"] = d["dns_hostname_status"] == "ENABLED"
    action = "CreateDefaultVpc" if d["is_default"] else "CreateVpc"
    if d["is_default"]:
        params = sent(d, {"Ipv6CidrBlock": "ipv6_cidr_block", "EnableIpv6": "enable_ipv6", "ResourceGroupId": "resource_group_id"})
    params["ClientToken"] = client_token(action)
    d.id = cloud.call("vpc", action, params, ("TaskConflict", "UnknownError"), d.timeout)["VpcId"]
    _wait_available(cloud, d)
    _update_route_table(cloud, d)
    _update_secondary(cloud, d)


def describe(cloud: Cloud, vpc_id: str) -> dict[str, Any] | None:
    """The VPC, None if there is none."""
    found = cloud.find(
        "vpc", "DescribeVpcAttribute", {"VpcId": vpc_id}, ("InvalidVpcId.NotFound", "InvalidVpcID.NotFound", "Forbidden.VpcNotFound")
    )
    return found if found and found.get("VpcId") else None


def _wait_available(cloud: Cloud, d: Data) -> None:
    cloud.wait(f"{d.id} to be Available", lambda: describe(cloud, d.id) or {}, lambda v: v.get("Status") == "Available", d.timeout)


def system_route_table(cloud: Cloud, vpc_id: str) -> dict[str, Any]:
    """The VPC's own route table, empty if it is not shown."""
    tables = items(cloud.find("vpc", "DescribeRouteTableList", {"VpcId": vpc_id}), "RouterTableList", "RouterTableListType")
    return next((t for t in tables if t.get("RouteTableType") == "System" and t.get("VpcId", vpc_id) == vpc_id), {})


def _read(cloud: Cloud, d: Data) -> None:
    vpc = describe(cloud, d.id)
    if vpc is None:
        d.id = ""
        return
    d.update(
        cidr_block=vpc.get("CidrBlock"),
        classic_link_enabled=vpc.get("ClassicLinkEnabled"),
        create_time=vpc.get("CreationTime"),
        description=vpc.get("Description"),
        dns_hostname_status=vpc.get("DnsHostnameStatus"),
        enable_ipv6=vpc.get("EnabledIpv6"),
        ipv6_cidr_block=vpc.get("Ipv6CidrBlock"),
        is_default=vpc.get("IsDefault"),
        region_id=vpc.get("RegionId"),
        resource_group_id=vpc.get("ResourceGroupId"),
        router_id=vpc.get("VRouterId"),
        status=vpc.get("Status"),
        vpc_name=vpc.get("VpcName"),
        name=vpc.get("VpcName"),
        ipv6_cidr_blocks=[
            {"ipv6_isp": b.get("Ipv6Isp"), "ipv6_cidr_block": b.get("Ipv6CidrBlock")} for b in items(vpc, "Ipv6CidrBlocks", "Ipv6CidrBlock")
        ],
        secondary_cidr_blocks=items(vpc, "SecondaryCidrBlocks", "SecondaryCidrBlock"),
        user_cidrs=items(vpc, "UserCidrs", "UserCidr"),
        tags=read_tags(items(vpc, "Tags", "Tag")),
    )
    table = system_route_table(cloud, d.id)
    d.update(
        route_table_id=table.get("RouteTableId"),
        router_table_id=table.get("RouteTableId"),
        system_route_table_name=table.get("RouteTableName"),
        system_route_table_description=table.get("Description"),
        system_route_table_route_propagation_enable=table.get("RoutePropagationEnable"),
    )


def _update(cloud: Cloud, d: Data) -> None:
    params = changed(d, {"Description": "description", "CidrBlock": "cidr_block", "EnableIPv6": "enable_ipv6"})
    if (name := changed_first(d, "vpc_name", "name")) is not None:
        params["VpcName"] = name
    if d.changed("dns_hostname_status"):
        params["EnableDnsHostname"] = d["dns_hostname_status"] == "ENABLED"
    if params:
        cloud.call("vpc", "ModifyVpcAttribute", {"VpcId": d.id, "Ipv6Isp": d["ipv6_isp"] or None, **params}, _BUSY, d.timeout)
        _wait_available(cloud, d)
    if d.changed("classic_link_enabled"):
        action = "EnableVpcClassicLink" if d["classic_link_enabled"] else "DisableVpcClassicLink"
        cloud.call("vpc", action, {"VpcId": d.id, "ClientToken": client_token(action)}, ("IncorrectVpcStatus", "InternalError"), d.timeout)
    if d.changed("resource_group_id") and d["resource_group_id"]:
        cloud.call("vpc", "MoveResourceGroup", {"ResourceId": d.id, "NewResourceGroupId": d["resource_group_id"], "ResourceType": "VPC"})
    _update_route_table(cloud, d)
    _update_secondary(cloud, d)
    update_tags(cloud, d, "vpc", "VPC")


def _update_route_table(cloud: Cloud, d: Data) -> None:
    params = sent(d, _ROUTE_TABLE) if d.new else changed(d, _ROUTE_TABLE)
    if params and (table := system_route_table(cloud, d.id)):
        cloud.call("vpc", "ModifyRouteTableAttributes", {"RouteTableId": table["RouteTableId"], **params}, _BUSY, d.timeout)


def _update_secondary(cloud: Cloud, d: Data) -> None:
    before, wanted = set(d.old("secondary_cidr_blocks") or []), set(d["secondary_cidr_blocks"] or [])
    for action, cidrs in (("UnassociateVpcCidrBlock", before - wanted), ("AssociateVpcCidrBlock", wanted - before)):
        for cidr in sorted(cidrs):
            cloud.call("vpc", action, {"VpcId": d.id, "SecondaryCidrBlock": cidr}, _BUSY, d.timeout)


def _delete(cloud: Cloud, d: Data) -> None:
    params = {"VpcId": d.id, "ClientToken": client_token("DeleteVpc"), "ForceDelete": d["force_delete"] or None}
    busy = ("DependencyViolation.VSwitch", "DependencyViolation.SecurityGroup", "IncorrectVpcStatus")
    cloud.delete(
        "vpc", "DeleteVpc", params, ("InvalidResource.NotFound", "InvalidVpcID.NotFound", "InvalidVpcId.NotFound"), busy, d.timeout
    )
    cloud.wait(f"{d.id} to be deleted", lambda: describe(cloud, d.id), lambda v: v is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 600, "update": 300, "delete": 300})
