"""Security groups as the data plane's filters."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from haechi.cloud.products.ecs.security_rules import SIDES, ports
from haechi.cloud.store import View
from haechi.dataplane.plan import Group, Rule


def render_groups(view: View) -> dict[str, Group]:
    """Every security group, by id. Without rules an enterprise group drops both ways, a basic one only what comes in."""
    return {
        group.id: Group(
            id=group.id,
            rules=tuple(_rule(rule) for rule in group["Rules"]),
            inner=group["InnerAccessPolicy"] == "Accept",
            open_out=group["SecurityGroupType"] != "enterprise",
        )
        for group in view.find("security_group")
    }


def _rule(rule: Mapping[str, Any]) -> Rule:
    side = SIDES[rule["Direction"]]
    return Rule(
        direction="in" if rule["Direction"] == "ingress" else "out",
        protocol=rule["IpProtocol"].lower(),
        ports=ports(rule["PortRange"]),
        peer=_network(rule[side.cidr]),
        group=rule[side.group],
        accept=rule["Policy"] == "Accept",
        priority=int(rule["Priority"]),
        source_ports=ports(rule["SourcePortRange"]) if rule["SourcePortRange"] else None,
        target=_network(rule[f"{side.own}CidrIp"]),
    )


def _network(text: str) -> str:
    return str(IPv4Network(text, strict=False)) if text else ""
