"""Rules of security groups as values: what may be said, what is the same rule, how one is shown.

A stored rule is a dict of wire names. Its peer is SourceCidrIp or SourceGroupId on the way in, DestCidrIp or DestGroupId on the
way out; the other CIDR narrows the group's own side (five-tuple rules).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Annotated, Any

from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.params import Items, Kind, Struct, Text
from haechi.cloud.products.ecs.parameters import Function, takes
from haechi.cloud.store import Resource, View

PROTOCOLS = ("TCP", "UDP", "ICMP", "GRE", "ALL")
ANY = "-1/-1"
Rule = dict[str, Any]

NICS = ("internet", "intranet", "<nil>")  # Terraform sends the last one when nothing is configured
FIELDS: Mapping[str, Kind] = {
    **dict.fromkeys(("IpProtocol", "PortRange", "SourcePortRange", "Policy", "Priority", "NicType", "PortRangeListId"), Text(512)),
    **dict.fromkeys(("SourceCidrIp", "SourceGroupId", "SourceGroupOwnerAccount", "Ipv6SourceCidrIp", "SourcePrefixListId"), Text(512)),
    **dict.fromkeys(("DestCidrIp", "DestGroupId", "DestGroupOwnerAccount", "Ipv6DestCidrIp", "DestPrefixListId"), Text(512)),
    **dict.fromkeys(("SourceGroupOwnerId", "DestGroupOwnerId"), Text(32, 0, r"[0-9]*")),
    "Description": Text(512, code="InvalidSecurityGroupDiscription.Malformed"),
}
RuleItems = Annotated[tuple[dict[str, Any], ...], Items(Struct(FIELDS), 100)]
RuleIds = Annotated[tuple[str, ...], Items(Text(128), 100)]


@dataclass(frozen=True)
class Side:
    """The words of one direction."""

    direction: str  # ingress or egress
    peer: str  # Source or Dest
    own: str

    @property
    def cidr(self) -> str:
        return f"{self.peer}CidrIp"

    @property
    def group(self) -> str:
        return f"{self.peer}GroupId"


INGRESS, EGRESS = Side("ingress", "Source", "Dest"), Side("egress", "Dest", "Source")
SIDES = {side.direction: side for side in (INGRESS, EGRESS)}


def takes_rule(side: Side) -> Callable[[Function], Function]:
    """Give an action, in place of its `**rule`, the flat parameters that say one rule."""
    other = f"{side.own}Group", f"{side.own}Prefix"
    return takes({name: kind for name, kind in FIELDS.items() if not name.startswith(other)})


def ports(text: str) -> tuple[int, int] | None:
    """A port range as numbers; None for -1/-1. Raises ValueError."""
    if text == ANY:
        return None
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= 65535:
        raise ValueError(text)
    return int(match[1]), int(match[2])


def _port_range(name: str, text: str, protocol: str) -> str:
    try:
        span = ports(text)
    except ValueError:
        raise ApiError(
            "InvalidParam.PortRange",
            f"The specified parameter {name} is not valid. It should be two integers less than 65535 in ?/? format.",
        ) from None
    if (span is None) == (protocol in ("TCP", "UDP")):
        raise ApiError("InvalidIpProtocol.Malformed", f"The specified parameter {name} is not valid: it does not go with the IpProtocol.")
    return text


def _network(name: str, text: str, code: str) -> str:
    try:
        IPv4Network(text, strict=False)
    except ValueError:
        raise ApiError(code, f"The specified parameter {name} is not valid.") from None
    return text


def _word(text: str, words: tuple[str, ...], code: str, message: str) -> str:
    for word in words:
        if word.lower() == text.lower():
            return word
    raise ApiError(code, message)


def _refuse_unserved(sent: Mapping[str, Any]) -> None:
    """IPv6, prefix lists and port lists do not exist on this machine."""
    for name in ("Ipv6SourceCidrIp", "Ipv6DestCidrIp"):
        if sent.get(name):
            raise ApiError(f"InvalidParam.{name}", f"The specified parameter {name} is not valid. This cloud has no IPv6.")
    if sent.get("SourcePrefixListId") or sent.get("DestPrefixListId"):
        raise not_found("InvalidPrefixListId.NotFound", "The specified prefix list was not found.")
    if sent.get("PortRangeListId"):
        raise ApiError("InvalidPortRangeListId.NotFound", "The specified port range list was not found.")


def _priority(text: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ApiError("InvalidPriority.Malformed", "The parameter Priority is invalid.")
    if not 1 <= int(text) <= 100:
        raise ApiError("InvalidPriority.ValueNotSupported", "The specified parameter Priority is invalid.")
    return str(int(text))


def read_rule(side: Side, sent: Mapping[str, Any]) -> Rule:
    """A rule from flat parameters or one of Permissions.N, without an id. Raises the documented error of what is wrong."""
    _refuse_unserved(sent)
    if not sent.get("IpProtocol"):
        raise missing("IpProtocol")
    protocol = _word(
        sent["IpProtocol"],
        PROTOCOLS,
        "InvalidIpProtocol.ValueNotSupported",
        "The parameter IpProtocol must be specified with case insensitive TCP, UDP, ICMP, GRE or All.",
    )
    if not sent.get("PortRange"):
        raise ApiError("InvalidPortRange.Malformed", "The specified parameter PortRange must set.")
    policy = _word(
        sent.get("Policy") or "accept", ("Accept", "Drop"), "InvalidPolicy.Malformed", "The specified parameter Policy is not valid."
    )
    _word(sent.get("NicType") or "intranet", NICS, "InvalidNicType.ValueNotSupported", "The specified NicType does not exist.")
    peer, group = sent.get(side.cidr) or "", sent.get(side.group) or ""
    if not peer and not group:
        raise ApiError(
            f"MissingParameter.{side.peer}",
            f"One of the parameters {side.cidr}, Ipv6{side.cidr}, {side.group} or {side.peer}PrefixListId must be specified.",
        )
    own = f"{side.own}CidrIp"
    source_ports = sent.get("SourcePortRange") or ""
    rule = {
        "Direction": side.direction,
        "IpProtocol": protocol,
        "PortRange": _port_range("PortRange", sent["PortRange"], protocol),
        "SourcePortRange": _port_range("SourcePortRange", source_ports, protocol) if source_ports else "",
        "Policy": policy,
        "Priority": _priority(sent.get("Priority") or "1"),
        side.cidr: _network(side.cidr, peer, f"Invalid{side.cidr}.Malformed") if peer else "",
        own: _network(own, sent[own], f"InvalidParam.{own}") if sent.get(own) else "",
        side.group: "" if peer else group,
        "Description": sent.get("Description") or "",
    }
    if rule[side.group]:  # where a CIDR is given too, it alone counts
        rule[f"{side.peer}GroupOwnerAccount"] = sent.get(f"{side.peer}GroupOwnerAccount") or ""
        rule[f"{side.peer}GroupOwnerId"] = sent.get(f"{side.peer}GroupOwnerId") or ""
    return rule


def identity(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two rules the same one: everything but id, description and time."""
    side = SIDES[rule["Direction"]]
    networks = [str(IPv4Network(rule[n], strict=False)) if rule[n] else "" for n in (side.cidr, f"{side.own}CidrIp")]
    own_any = "" if networks[1] == "0.0.0.0/0" else networks[1]
    source = "" if rule["SourcePortRange"] in (ANY, "1/65535") else rule["SourcePortRange"]
    words = (rule["Direction"], rule["IpProtocol"], rule["PortRange"], source, rule["Policy"], rule["Priority"])
    return (*words, networks[0], own_any, rule[side.group])


def check_peer(view: View, group: Resource, rule: Mapping[str, Any], account: str) -> None:
    """A group as peer: it exists, is another one, of the same VPC and account, and both are basic groups."""
    side = SIDES[rule["Direction"]]
    id = rule[side.group]
    if not id:
        return
    if id == group.id:
        raise ApiError("InvalidParamter.Conflict", f"The specified SecurityGroupId should be different from the {side.group}.", 403)
    owners = {rule[f"{side.peer}GroupOwnerAccount"], rule[f"{side.peer}GroupOwnerId"]} - {"", account}
    peer = None if owners else view.get("security_group", id, group.region)
    if peer is None:
        raise not_found(f"Invalid{side.group}.NotFound", f"The {side.group} provided does not exist in our records.")
    if peer["VpcId"] != group["VpcId"]:
        raise ApiError(
            f"Invalid{side.group}.Mismatch",
            f"Specified security group and {'source' if side is INGRESS else 'destination'} group are not in the same VPC.",
        )
    if "enterprise" in (group["SecurityGroupType"], peer["SecurityGroupType"]):
        raise ApiError(
            "InvalidGroupAuthParameter.OperationDenied", "The security group can not authorize to enterprise level security group."
        )


def render_rule(view: View, region: str, rule: Mapping[str, Any]) -> dict[str, str]:
    """One Permission of DescribeSecurityGroupAttribute; what a rule does not say is empty."""
    shown = {
        "SecurityGroupRuleId": rule["SecurityGroupRuleId"],
        "Direction": rule["Direction"],
        "IpProtocol": rule["IpProtocol"],
        "PortRange": rule["PortRange"],
        "SourcePortRange": rule["SourcePortRange"],
        "Policy": rule["Policy"],
        "Priority": rule["Priority"],
        "NicType": "intranet",
        "Description": rule["Description"],
        "CreateTime": rule["CreateTime"],
        "PortRangeListId": "",
        "PortRangeListName": "",
    }
    for peer in ("Source", "Dest"):
        id = rule.get(f"{peer}GroupId", "")
        group = view.get("security_group", id, region) if id else None
        shown |= {
            f"{peer}CidrIp": rule.get(f"{peer}CidrIp", ""),
            f"Ipv6{peer}CidrIp": "",
            f"{peer}GroupId": id,
            f"{peer}GroupName": group["SecurityGroupName"] if group else "",
            f"{peer}GroupOwnerAccount": rule.get(f"{peer}GroupOwnerAccount", ""),
            f"{peer}PrefixListId": "",
            f"{peer}PrefixListName": "",
        }
    return shown
