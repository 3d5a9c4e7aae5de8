"""alicloud_security_group_rule. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/security_group_rule"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.security_group import attributes
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, between, computed, one_of, optional, required
from haechi.provider.types import NUMBER

ALL_PORTS = "-1/-1"


def _same_ports(old: Any, new: Any, view: Mapping[str, Any]) -> bool:
    """Only tcp and udp have ports; for others only -1/-1 counts."""
    return bool(new == ALL_PORTS) == (view["ip_protocol"] in ("tcp", "udp"))


def _same_prefix_list(old: Any, new: Any, view: Mapping[str, Any]) -> bool:
    return bool(view["cidr_ip"] or view["ipv6_cidr_ip"] or view["source_security_group_id"])


FIELDS: Fields = {
    "type": required(force_new=True, check=one_of("ingress", "egress")),
    "ip_protocol": required(force_new=True, check=one_of("tcp", "udp", "icmp", "icmpv6", "gre", "all")),
    "nic_type": optional(computed=True, force_new=True, check=one_of("internet", "intranet")),
    "policy": optional(default="accept", force_new=True, check=one_of("accept", "drop")),
    "port_range": optional(default=ALL_PORTS, force_new=True, same=_same_ports),
    "priority": optional(NUMBER, default=1, force_new=True, check=between(1, 100)),
    "security_group_id": required(force_new=True),
    "cidr_ip": optional(force_new=True, conflicts_with=("ipv6_cidr_ip", "source_security_group_id")),
    "ipv6_cidr_ip": optional(force_new=True, conflicts_with=("cidr_ip", "source_security_group_id")),
    "source_security_group_id": optional(force_new=True, conflicts_with=("cidr_ip", "ipv6_cidr_ip")),
    "source_group_owner_account": optional(force_new=True),
    "prefix_list_id": optional(computed=True, force_new=True, same=_same_prefix_list),
    "description": optional(),
    "security_group_rule_id": computed(),
}
_SIDES = {"ingress": "Source", "egress": "Dest"}


def _create(cloud: Cloud, d: Data) -> None:
    _check(d)
    group = attributes(cloud, d["security_group_id"])
    if group is None:
        raise Problem(f"The security group {d['security_group_id']} does not exist", "", ("security_group_id",))
    if group.get("VpcId") and d["nic_type"] == "internet":
        raise Problem('nic_type must be "intranet" for a security group in a VPC', "", ("nic_type",))
    action = "AuthorizeSecurityGroup" if d["type"] == "ingress" else "AuthorizeSecurityGroupEgress"
    # The cloud takes changes of one group one at a time, and terraform asks for ten.
    with cloud.lock(d["security_group_id"]):
        cloud.call("ecs", action, {"SecurityGroupId": d["security_group_id"], "Permissions": [_permission(d)]}, timeout=d.timeout)
    peer = d.first("cidr_ip", "source_security_group_id", "ipv6_cidr_ip", "prefix_list_id") or ""
    # "<nil>" is how the original writes an absent nic_type into the id.
    parts = [
        d["type"],
        d["ip_protocol"],
        d["port_range"],
        d["nic_type"] or "<nil>",
        peer.replace(":", "_"),
        d["policy"],
        str(d["priority"]),
    ]
    d.id = ":".join([d["security_group_id"], *parts])


def _check(d: Data) -> None:
    if d["ip_protocol"] in ("tcp", "udp"):
        if not d["port_range"] or d["port_range"] == ALL_PORTS:
            raise Problem("'tcp' and 'udp' can support port range: [1, 65535]. Please correct it and try again.", "", ("port_range",))
    elif d["port_range"] != ALL_PORTS:
        raise Problem("'icmp', 'gre' and 'all' only support port range '-1/-1'. Please correct it and try again.", "", ("port_range",))
    if not d.first("cidr_ip", "source_security_group_id", "ipv6_cidr_ip", "prefix_list_id"):
        text = "Either 'cidr_ip', 'ipv6_cidr_ip', 'source_security_group_id' or 'prefix_list_id' must be specified."
        raise Problem(text, "", ("cidr_ip",))


def _permission(d: Data) -> dict[str, Any]:
    side = _SIDES[d["type"]]
    return {
        "IpProtocol": d["ip_protocol"],
        "PortRange": d["port_range"],
        "Policy": d["policy"],
        "Priority": d["priority"],
        "NicType": d["nic_type"] or None,
        "Description": d["description"] or None,
        f"{side}CidrIp": d["cidr_ip"] or None,
        f"Ipv6{side}CidrIp": d["ipv6_cidr_ip"] or None,
        f"{side}GroupId": d["source_security_group_id"] or None,
        f"{side}GroupOwnerAccount": d["source_group_owner_account"] or None,
        f"{side}PrefixListId": d["prefix_list_id"] or None,
    }


def _split(rule_id: str) -> list[str]:
    parts = rule_id.split(":")
    if len(parts) == 6:  # Ids of old versions end before policy and priority.
        parts += ["accept", "1"]
    if len(parts) != 8:
        text = "It is <group>:<type>:<protocol>:<ports>:<nic type>:<source>:<policy>:<priority>, with '_' for ':' in IPv6."
        raise Problem(f"{rule_id} is not the id of a security group rule", text)
    return parts


def _read(cloud: Cloud, d: Data) -> None:
    group_id, direction, protocol, ports, nic, peer, policy, priority = _split(d.id)
    group = attributes(cloud, group_id, Direction=direction, NicType=None if nic == "<nil>" else nic or None)
    side = _SIDES[direction]
    for rule in items(group, "Permissions", "Permission"):
        peers = [rule.get(f"{side}CidrIp"), rule.get(f"{side}GroupId"), rule.get(f"Ipv6{side}CidrIp"), rule.get(f"{side}PrefixListId")]
        same = [str(rule.get(name)).lower() for name in ("IpProtocol", "PortRange", "Policy", "Priority")] == [
            protocol,
            ports,
            policy,
            priority,
        ]
        if same and peer in [p.replace(":", "_") for p in peers if p]:
            break
    else:
        d.id = ""
        return
    d.update(
        security_group_id=group_id,
        type=direction,
        ip_protocol=str(rule.get("IpProtocol")).lower(),
        nic_type=rule.get("NicType"),
        policy=str(rule.get("Policy")).lower(),
        port_range=rule.get("PortRange"),
        priority=rule.get("Priority"),
        description=rule.get("Description"),
        security_group_rule_id=rule.get("SecurityGroupRuleId"),
        cidr_ip=rule.get(f"{side}CidrIp"),
        ipv6_cidr_ip=rule.get(f"Ipv6{side}CidrIp"),
        source_security_group_id=rule.get(f"{side}GroupId"),
        source_group_owner_account=rule.get(f"{side}GroupOwnerAccount"),
        prefix_list_id=rule.get(f"{side}PrefixListId"),
    )


def _update(cloud: Cloud, d: Data) -> None:
    if d.changed("description"):
        action = "ModifySecurityGroupRule" if d["type"] == "ingress" else "ModifySecurityGroupEgressRule"
        params = {"SecurityGroupId": d["security_group_id"], **_permission(d), "Description": d["description"] or ""}
        with cloud.lock(d["security_group_id"]):
            cloud.call("ecs", action, params, timeout=d.timeout)


def _delete(cloud: Cloud, d: Data) -> None:
    action = "RevokeSecurityGroup" if d["type"] == "ingress" else "RevokeSecurityGroupEgress"
    with cloud.lock(d["security_group_id"]):
        cloud.delete("ecs", action, {"SecurityGroupId": d["security_group_id"], **_permission(d)}, ("InvalidSecurityGroupId.NotFound",))


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update)
