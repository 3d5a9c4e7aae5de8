"""Access-control policies of VPC firewalls: those of the Internet firewall without a direction, each firewall its own order."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing
from haechi.cloud.params import Choice, Id, Str
from haechi.cloud.products.cloudfw import order
from haechi.cloud.products.cloudfw.kinds import AclAction, Note, Order, Paged, PortType, Proto, Release, Rows, Seconds, Words
from haechi.cloud.products.cloudfw.lookup import get_policy, get_vpc_firewall, policies, policy_at
from haechi.cloud.products.cloudfw.policies import change_policy, describe_policies, keep_policy
from haechi.cloud.products.cloudfw.product import cloudfw

Side = Annotated[str, Choice(("net", "group"))]


def _known_side(kind: str) -> None:
    if kind == "domain":
        raise ApiError("ErrorUnsupported", "Domains are not known between VPCs on this cloud; use net or group.")


@cloudfw.action("CreateVpcFirewallControlPolicy", Effect.PACKETS)
def create_vpc_firewall_control_policy(
    call: Call,
    VpcFirewallId: Id,
    AclAction: AclAction,
    Description: Note,
    Source: Str,
    SourceType: Side,
    Destination: Str,
    DestinationType: Annotated[str, Choice(("net", "group", "domain"))],
    Proto: Proto,
    NewOrder: Order,
    ApplicationName: Str = "",
    ApplicationNameList: Words = (),
    DestPort: Str = "",
    DestPortGroup: Str = "",
    DestPortType: PortType = "port",
    DomainResolveType: Str = "",
    Release: Release = "true",
    RepeatType: Str = "Permanent",
    RepeatDays: Words = (),
    RepeatStartTime: Str = "",
    RepeatEndTime: Str = "",
    StartTime: Seconds = 0,
    EndTime: Seconds = 0,
    MemberUid: Id = "",
    Lang: Str = "",
) -> Answer:
    """A policy at a place among those of the firewall: 1 is tried first, -1 last."""
    firewall = get_vpc_firewall(call, VpcFirewallId)
    _known_side(DestinationType)
    given: dict[str, Any] = {"AclAction": AclAction, "Description": Description, "Proto": Proto, "Direction": firewall.id}
    given |= {"Source": Source, "SourceType": SourceType, "Destination": Destination, "DestinationType": DestinationType}
    given |= {"ApplicationName": ApplicationName, "ApplicationNameList": ApplicationNameList, "DestPort": DestPort}
    given |= {"DestPortGroup": DestPortGroup, "DestPortType": DestPortType, "DomainResolveType": DomainResolveType}
    given |= {"Release": Release, "RepeatType": RepeatType or "Permanent"}
    return {"AclUuid": keep_policy(call, given, NewOrder)}


@cloudfw.action("ModifyVpcFirewallControlPolicy", Effect.PACKETS)
def modify_vpc_firewall_control_policy(
    call: Call,
    VpcFirewallId: Id,
    AclUuid: Id,
    AclAction: Str = "",
    Description: Note = "",
    Source: Str = "",
    SourceType: Str = "",
    Destination: Str = "",
    DestinationType: Str = "",
    Proto: Str = "",
    ApplicationName: Str = "",
    ApplicationNameList: Words = (),
    DestPort: Str = "",
    DestPortGroup: Str = "",
    DestPortType: Str = "",
    DomainResolveType: Str = "",
    Release: Str = "",
    RepeatType: Str = "",
    RepeatDays: Words = (),
    RepeatStartTime: Str = "",
    RepeatEndTime: Str = "",
    StartTime: Seconds = 0,
    EndTime: Seconds = 0,
    Lang: Str = "",
) -> Answer:
    """Other values; what is not given stays."""
    policy = get_policy(call, AclUuid, get_vpc_firewall(call, VpcFirewallId).id)
    _known_side(DestinationType)
    given = {"AclAction": AclAction, "Description": Description, "Proto": Proto, "Release": Release, "RepeatType": RepeatType}
    given |= {"Source": Source, "SourceType": SourceType, "Destination": Destination, "DestinationType": DestinationType}
    given |= {"DestPort": DestPort, "DestPortGroup": DestPortGroup, "DestPortType": DestPortType, "DomainResolveType": DomainResolveType}
    change_policy(call, policy, given, ApplicationName, ApplicationNameList)
    return {}


@cloudfw.action("DeleteVpcFirewallControlPolicy", Effect.PACKETS)
def delete_vpc_firewall_control_policy(call: Call, VpcFirewallId: Id, AclUuid: Id, Lang: Str = "") -> Answer:
    """It decides nothing any more; those behind it move up."""
    policy = get_policy(call, AclUuid, get_vpc_firewall(call, VpcFirewallId).id)
    call.tx.delete(policy)
    order.close_ranks(call, policy["Direction"])
    return {}


@cloudfw.action("DescribeVpcFirewallControlPolicy", Effect.READ)
def describe_vpc_firewall_control_policy(
    call: Call,
    VpcFirewallId: Id,
    CurrentPage: Paged = 1,
    PageSize: Rows = 10,
    AclAction: Str = "",
    AclUuid: Id = "",
    Description: Str = "",
    Destination: Str = "",
    Proto: Str = "",
    Release: Str = "",
    RepeatType: Str = "",
    Source: Str = "",
    MemberUid: Id = "",
    Lang: Str = "",
) -> Answer:
    """A page of the firewall's policies in their order, with how often and when each was last hit."""
    everything = policies(call.view, get_vpc_firewall(call, VpcFirewallId).id)
    equal = {"AclAction": AclAction, "Proto": Proto, "Release": Release, "RepeatType": RepeatType}
    within = {"Description": Description, "Destination": Destination, "Source": Source}
    return describe_policies(call, everything, AclUuid, equal, within, (CurrentPage, PageSize))


@cloudfw.action("ModifyVpcFirewallControlPolicyPosition", Effect.PACKETS)
def modify_vpc_firewall_control_policy_position(
    call: Call, VpcFirewallId: Id, NewOrder: Order, OldOrder: Order = 0, AclUuid: Id = "", Lang: Str = ""
) -> Answer:
    """Another place for the policy, or for the one that is at a place now."""
    firewall = get_vpc_firewall(call, VpcFirewallId)
    if AclUuid:
        found = get_policy(call, AclUuid, firewall.id)
    elif OldOrder < 1:
        raise missing("AclUuid")
    else:
        at = policy_at(call.view, firewall.id, OldOrder)
        if at is None:
            raise invalid("OldOrder", "No policy is at that place.")
        found = at
    order.move(call, found, NewOrder)
    return {}


@cloudfw.action("DescribeVpcFirewallPolicyPriorUsed", Effect.READ)
def describe_vpc_firewall_policy_prior_used(call: Call, VpcFirewallId: Id, Lang: Str = "") -> Answer:
    """The first and the last place that are taken."""
    count = len(policies(call.view, get_vpc_firewall(call, VpcFirewallId).id))
    return {"Start": 1 if count else 0, "End": count}
