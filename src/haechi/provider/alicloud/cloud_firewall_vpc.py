"""alicloud_cloud_firewall_vpc_firewall and alicloud_cloud_firewall_vpc_firewall_control_policy.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/cloud_firewall_vpc_firewall
"""

from __future__ import annotations

import json
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import sent
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Block, Fields, block, computed, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRINGS

_GONE = ("ErrorVpcFirewallNotExist", "ErrorFirewallNotFound", "ErrorAclNotExist")
_SEEN = ("vpc_name", "eni_id", "eni_private_ip_address", "router_interface_id")


def _side(end: str) -> Block:
    entry: Fields = {f"{end}_destination_cidr": required(force_new=True), f"{end}_next_hop_instance_id": required(force_new=True)}
    entries = block("set", min_items=1, fields=entry)
    table: Fields = {f"{end}_route_table_id": required(force_new=True), f"{end}_route_entry_list": entries}
    fields: Fields = {"vpc_id": required(force_new=True), "region_no": required(force_new=True)}
    return block(
        "set",
        min_items=1,
        max_items=1,
        fields={
            **fields,
            f"{end}_vpc_cidr_table_list": block("set", min_items=1, fields=table),
            **{name: computed() for name in _SEEN},
        },
    )


FIREWALL_FIELDS: Fields = {
    "vpc_firewall_name": required(),
    "status": required(check=one_of("open", "close")),
    "member_uid": optional(computed=True, force_new=True),
    "lang": optional(),
    "local_vpc": _side("local"),
    "peer_vpc": _side("peer"),
    "vpc_firewall_id": computed(),
    "connect_type": computed(),
    "bandwidth": computed(NUMBER),
    "region_status": computed(),
}


def _tables(side: dict[str, Any], end: str) -> str:
    """A side's routes as JSON of the API."""
    tables = [
        {
            "RouteTableId": table[f"{end}_route_table_id"],
            "RouteEntryList": [
                {"DestinationCidr": entry[f"{end}_destination_cidr"], "NextHopInstanceId": entry[f"{end}_next_hop_instance_id"]}
                for entry in table[f"{end}_route_entry_list"]
            ],
        }
        for table in side[f"{end}_vpc_cidr_table_list"]
    ]
    return json.dumps(tables)


def _sides(d: Data) -> tuple[dict[str, Any], dict[str, Any]]:
    return next(iter(d["local_vpc"])), next(iter(d["peer_vpc"]))


def _routes(d: Data) -> dict[str, str]:
    local, peer = _sides(d)
    return {"LocalVpcCidrTableList": _tables(local, "local"), "PeerVpcCidrTableList": _tables(peer, "peer")}


def _create_firewall(cloud: Cloud, d: Data) -> None:
    local, peer = _sides(d)
    params = {"VpcFirewallName": d["vpc_firewall_name"], "FirewallSwitch": d["status"], "MemberUid": d["member_uid"], **_routes(d)}
    params |= {"LocalVpcId": local["vpc_id"], "LocalVpcRegion": local["region_no"]}
    params |= {"PeerVpcId": peer["vpc_id"], "PeerVpcRegion": peer["region_no"]}
    d.id = cloud.call("cloudfw", "CreateVpcFirewallConfigure", params, timeout=d.timeout)["VpcFirewallId"]


def _read_firewall(cloud: Cloud, d: Data) -> None:
    found = items(
        cloud.call("cloudfw", "DescribeVpcFirewallList", {"VpcFirewallId": d.id, "CurrentPage": 1, "PageSize": 50}), "VpcFirewalls"
    )
    if not found:
        d.id = ""
        return
    row = found[0]
    d.update(vpc_firewall_id=d.id, vpc_firewall_name=row["VpcFirewallName"], member_uid=str(row["MemberUid"]))
    d.update(status={"opened": "open", "closed": "close"}.get(row["FirewallSwitchStatus"], row["FirewallSwitchStatus"]))
    d.update(connect_type=row["ConnectType"], bandwidth=row["Bandwidth"], region_status=row["RegionStatus"])
    d.update(local_vpc=[_shown(row["LocalVpc"], "local")], peer_vpc=[_shown(row["PeerVpc"], "peer")])


def _shown(side: dict[str, Any], end: str) -> dict[str, Any]:
    tables = [
        {
            f"{end}_route_table_id": table["RouteTableId"],
            f"{end}_route_entry_list": [
                {f"{end}_destination_cidr": entry["DestinationCidr"], f"{end}_next_hop_instance_id": entry["NextHopInstanceId"]}
                for entry in table["RouteEntryList"]
            ],
        }
        for table in side["VpcCidrTableList"]
    ]
    seen = {"vpc_name": side.get("VpcName"), "eni_id": None, "eni_private_ip_address": None, "router_interface_id": None}
    return {"vpc_id": side["VpcId"], "region_no": side["RegionNo"], f"{end}_vpc_cidr_table_list": tables, **seen}


def _update_firewall(cloud: Cloud, d: Data) -> None:
    if d.changed("vpc_firewall_name"):
        params = {"VpcFirewallId": d.id, "VpcFirewallName": d["vpc_firewall_name"], **_routes(d)}
        cloud.call("cloudfw", "ModifyVpcFirewallConfigure", params, timeout=d.timeout)
    if d.changed("status"):
        switch = {"VpcFirewallId": d.id, "FirewallSwitch": d["status"]}
        cloud.call("cloudfw", "ModifyVpcFirewallSwitchStatus", switch, timeout=d.timeout)


def _delete_firewall(cloud: Cloud, d: Data) -> None:
    cloud.delete("cloudfw", "DeleteVpcFirewallConfigure", {"VpcFirewallIdList": [d.id]}, _GONE, timeout=d.timeout)


FIREWALL = Resource(FIREWALL_FIELDS, _create_firewall, _read_firewall, _delete_firewall, _update_firewall)

POLICY_FIELDS: Fields = {
    "vpc_firewall_id": required(force_new=True),
    "application_name": required(),
    "description": required(),
    "acl_action": required(check=one_of("accept", "drop", "log")),
    "source": required(),
    "source_type": required(check=one_of("net", "group")),
    "destination": required(),
    "destination_type": required(check=one_of("net", "group", "domain")),
    "proto": required(check=one_of("ANY", "TCP", "UDP", "ICMP")),
    "order": required(NUMBER, force_new=True),
    "dest_port": optional(computed=True),
    "dest_port_group": optional(),
    "dest_port_type": optional(computed=True, check=one_of("port", "group")),
    "release": optional(BOOL, computed=True),
    "member_uid": optional(force_new=True),
    "lang": optional(),
    "acl_uuid": computed(),
    "application_id": computed(),
    "source_group_cidrs": computed(STRINGS),
    "source_group_type": computed(),
    "destination_group_cidrs": computed(STRINGS),
    "destination_group_type": computed(),
    "dest_port_group_ports": computed(STRINGS),
    "hit_times": computed(NUMBER),
}
_WIRE = {
    "ApplicationName": "application_name",
    "Description": "description",
    "AclAction": "acl_action",
    "Source": "source",
    "SourceType": "source_type",
    "Destination": "destination",
    "DestinationType": "destination_type",
    "Proto": "proto",
    "DestPort": "dest_port",
    "DestPortGroup": "dest_port_group",
    "DestPortType": "dest_port_type",
}


def _place(d: Data) -> dict[str, str]:
    firewall, _, uuid = d.id.partition(":")
    if not uuid:
        raise Problem(f"{d.id!r} is not the id of a policy", "It is <vpc_firewall_id>:<acl_uuid>.")
    return {"VpcFirewallId": firewall, "AclUuid": uuid}


def _policy(d: Data) -> dict[str, Any]:
    release = {} if d["release"] is None else {"Release": "true" if d["release"] else "false"}
    return {**sent(d, _WIRE), **release}


def _create_policy(cloud: Cloud, d: Data) -> None:
    params = {**_policy(d), **sent(d, {"VpcFirewallId": "vpc_firewall_id", "MemberUid": "member_uid", "NewOrder": "order"})}
    made = cloud.call("cloudfw", "CreateVpcFirewallControlPolicy", params, timeout=d.timeout)
    d.id = f"{d['vpc_firewall_id']}:{made['AclUuid']}"


def _read_policy(cloud: Cloud, d: Data) -> None:
    place = _place(d)
    answer = cloud.find("cloudfw", "DescribeVpcFirewallControlPolicy", {**place, "CurrentPage": 1, "PageSize": 50}, _GONE)
    found = items(answer, "Policys")
    if not found:
        d.id = ""
        return
    row = found[0]
    d.update(**{name: row.get(wire) or None for wire, name in _WIRE.items()})
    d.update(vpc_firewall_id=place["VpcFirewallId"], acl_uuid=place["AclUuid"], order=row["Order"], hit_times=row.get("HitTimes"))
    d.update(release=str(row["Release"]).lower() == "true", application_id=row.get("ApplicationId"))
    d.update(source_group_cidrs=row.get("SourceGroupCidrs"), source_group_type=row.get("SourceGroupType"))
    d.update(destination_group_cidrs=row.get("DestinationGroupCidrs"), destination_group_type=row.get("DestinationGroupType"))
    d.update(dest_port_group_ports=row.get("DestPortGroupPorts"))


def _update_policy(cloud: Cloud, d: Data) -> None:
    cloud.call("cloudfw", "ModifyVpcFirewallControlPolicy", {**_place(d), **_policy(d)}, timeout=d.timeout)


def _delete_policy(cloud: Cloud, d: Data) -> None:
    cloud.delete("cloudfw", "DeleteVpcFirewallControlPolicy", _place(d), _GONE, timeout=d.timeout)


POLICY = Resource(POLICY_FIELDS, _create_policy, _read_policy, _delete_policy, _update_policy)
