"""Access-control policies of the Internet firewall."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing
from haechi.cloud.paging import page
from haechi.cloud.params import Id, Str
from haechi.cloud.products.cloudfw import order
from haechi.cloud.products.cloudfw.desired import addresses_of, ports_of
from haechi.cloud.products.cloudfw.kinds import (
    AclAction,
    DestinationType,
    Direction,
    MaybeDirection,
    Note,
    Order,
    Paged,
    PortType,
    Proto,
    Release,
    Rows,
    Seconds,
    SourceType,
    Words,
    domain,
    network,
    ports,
)
from haechi.cloud.products.cloudfw.lookup import INTERNET, POLICY, book_named, configure, get_policy, monitor, policies, policy_at
from haechi.cloud.products.cloudfw.product import cloudfw
from haechi.cloud.store import Resource
from haechi.dataplane.applications import NAMES

MOST = 10000  # policies of one direction
SHOWN = (
    "AclAction",
    "Description",
    "DestPort",
    "DestPortGroup",
    "DestPortType",
    "Destination",
    "DestinationType",
    "Direction",
    "Proto",
    "Release",
    "Source",
    "SourceType",
    "DomainResolveType",
    "RepeatType",
)


def _check(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """A policy's values, each as it is kept. Raises InvalidParameter and errors of address books."""
    values = dict(given)
    if "location" in (given["SourceType"], given["DestinationType"]):
        raise ApiError("ErrorUnsupported", "Locations are not known to this cloud; use net or group.")
    if given["RepeatType"] not in ("", "Permanent"):
        raise ApiError("ErrorUnsupported", "Policies of this cloud hold permanently; RepeatType must be Permanent.")
    values["Source"] = _side(call, "Source", given["SourceType"], given["Source"], given["Direction"])
    values["Destination"] = _side(call, "Destination", given["DestinationType"], given["Destination"], given["Direction"])
    names = list(given["ApplicationNameList"]) or ([given["ApplicationName"]] if given["ApplicationName"] else ["ANY"])
    spelled = {name.lower(): name for name in ("ANY", *NAMES)}
    if any(name.lower() not in spelled for name in names):
        raise invalid("ApplicationName", f"The applications that this cloud tells apart are {', '.join(NAMES)}.")
    values["ApplicationNameList"] = [spelled[name.lower()] for name in names]
    if values["ApplicationNameList"] != ["ANY"] and given["Proto"] != "TCP":
        raise invalid("ApplicationName", "It must be ANY unless Proto is TCP.")
    if given["Proto"] in ("ICMP",) and (given["DestPort"] not in ("", "0/0") or given["DestPortGroup"]):
        raise invalid("DestPort", "ICMP has no ports.")
    if given["DestPortType"] == "group":
        if book_named(call.view, given["DestPortGroup"], "port") is None:
            raise ApiError("ErrorAddressGroupNotExist", "There is no address book of ports with this name.", 404)
    elif given["DestPort"]:
        ports("DestPort", given["DestPort"])
    return values


def _side(call: Call, name: str, kind: str, text: str, direction: str) -> str:
    if kind == "net":
        return network(name, text)
    if kind == "group":
        types = ("ip", "domain") if name == "Destination" and direction == "out" else ("ip",)
        if book_named(call.view, text, *types) is None:
            raise ApiError("ErrorAddressGroupNotExist", f"There is no address book for {name} with this name.", 404)
        return text
    if direction != "out":
        raise invalid(f"{name}Type", "Domains are destinations of outbound policies only.")
    return domain(name, text)


@cloudfw.action("AddControlPolicy", Effect.PACKETS)
def add_control_policy(
    call: Call,
    AclAction: AclAction,
    Description: Note,
    Destination: Str,
    DestinationType: DestinationType,
    Direction: Direction,
    NewOrder: Order,
    Proto: Proto,
    Source: Str,
    SourceType: SourceType,
    ApplicationName: Str = "",
    ApplicationNameList: Words = (),
    DestPort: Str = "",
    DestPortGroup: Str = "",
    DestPortType: PortType = "port",
    DomainResolveType: Str = "",
    IpVersion: Str = "4",
    Release: Release = "true",
    RepeatType: Str = "Permanent",
    RepeatDays: Words = (),
    RepeatStartTime: Str = "",
    RepeatEndTime: Str = "",
    StartTime: Seconds = 0,
    EndTime: Seconds = 0,
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """A policy at a place among those of its direction: 1 is tried first, -1 last."""
    if IpVersion != "4":
        raise ApiError("ErrorUnsupported", "This cloud speaks IPv4 only.")
    given = {
        "AclAction": AclAction,
        "Description": Description,
        "Destination": Destination,
        "DestinationType": DestinationType,
        "Direction": Direction,
        "Proto": Proto,
        "Source": Source,
        "SourceType": SourceType,
        "ApplicationName": ApplicationName,
        "ApplicationNameList": ApplicationNameList,
        "DestPort": DestPort,
        "DestPortGroup": DestPortGroup,
        "DestPortType": DestPortType,
        "DomainResolveType": DomainResolveType,
        "Release": Release,
        "RepeatType": RepeatType or "Permanent",
    }
    return {"AclUuid": keep_policy(call, given, NewOrder)}


def keep_policy(call: Call, given: dict[str, Any], place: int) -> str:
    """Keep a new policy at a place of its direction; its id. Raises as `_check`, and ErrorAclCountExceed."""
    values = _check(call, given)
    if len(policies(call.view, given["Direction"])) >= MOST:
        raise ApiError("ErrorAclCountExceed", "There are too many policies.")
    now, id = int(call.now()), call.store.new_id("acl")
    made = call.tx.put(POLICY, id, "", {**values, "Order": 0, "CreatedAt": now, "ModifiedAt": now})
    order.move(call, made, place)
    return id


@cloudfw.action("ModifyControlPolicy", Effect.PACKETS)
def modify_control_policy(
    call: Call,
    AclUuid: Id,
    Direction: MaybeDirection = "",
    AclAction: Str = "",
    Description: Note = "",
    Destination: Str = "",
    DestinationType: Str = "",
    Proto: Str = "",
    Source: Str = "",
    SourceType: Str = "",
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
    policy = get_policy(call, AclUuid, Direction)
    given = {
        "AclAction": AclAction,
        "Description": Description,
        "Destination": Destination,
        "DestinationType": DestinationType,
        "Proto": Proto,
        "Source": Source,
        "SourceType": SourceType,
        "DestPort": DestPort,
        "DestPortGroup": DestPortGroup,
        "DestPortType": DestPortType,
        "DomainResolveType": DomainResolveType,
        "Release": Release,
        "RepeatType": RepeatType,
    }
    change_policy(call, policy, given, ApplicationName, ApplicationNameList)
    return {"DryRun": False}


def change_policy(call: Call, policy: Resource, given: dict[str, str], name: str, names: tuple[str, ...]) -> None:
    """Put what is given in place of a policy's values. Raises as `_check`."""
    choices = {
        "AclAction": ("accept", "drop", "log"),
        "DestinationType": ("net", "group", "domain", "location"),
        "Proto": ("ANY", "TCP", "UDP", "ICMP"),
        "SourceType": ("net", "group", "location"),
        "DestPortType": ("port", "group"),
        "Release": ("true", "false"),
    }
    for word, allowed in choices.items():
        if given[word] and given[word] not in allowed:
            raise invalid(word, f"It must be one of {', '.join(allowed)}.")
    values = {**policy.data, **{word: value for word, value in given.items() if value}}
    if name or names:
        values |= {"ApplicationName": name, "ApplicationNameList": names}
    else:
        values["ApplicationName"] = ""
    call.tx.change(policy, **{**_check(call, values), "ModifiedAt": int(call.now())})


@cloudfw.action("DeleteControlPolicy", Effect.PACKETS)
def delete_control_policy(call: Call, AclUuid: Id, Direction: MaybeDirection = "", Lang: Str = "", SourceIp: Str = "") -> Answer:
    """It decides nothing any more; those behind it move up."""
    policy = get_policy(call, AclUuid, Direction)
    call.tx.delete(policy)
    order.close_ranks(call, policy["Direction"])
    return {"DryRun": False}


@cloudfw.action("DescribeControlPolicy", Effect.READ)
def describe_control_policy(
    call: Call,
    CurrentPage: Paged,
    PageSize: Rows,
    Direction: MaybeDirection = "",
    AclAction: Str = "",
    AclUuid: Id = "",
    Description: Str = "",
    Destination: Str = "",
    IpVersion: Str = "",
    Lang: Str = "",
    Proto: Str = "",
    Release: Str = "",
    RepeatType: Str = "",
    Source: Str = "",
) -> Answer:
    """A page of policies in their order, with how often and when each was last hit. Numbers of pages are texts."""
    everything = [policy for direction in INTERNET if Direction in ("", direction) for policy in policies(call.view, direction)]
    equal = {"AclAction": AclAction, "Proto": Proto, "Release": Release, "RepeatType": RepeatType}
    within = {"Description": Description, "Destination": Destination, "Source": Source}
    return describe_policies(call, everything if IpVersion in ("", "4") else [], AclUuid, equal, within, (CurrentPage, PageSize))


def describe_policies(
    call: Call, everything: list[Resource], id: str, equal: dict[str, str], within: dict[str, str], numbers: tuple[int, int]
) -> Answer:
    """Those with this id ("": any) and these values, and texts within others; of them the page with this number and size."""
    found = [
        policy
        for policy in everything
        if id in ("", policy.id)
        and all(not value or policy[name] == value for name, value in equal.items())
        and all(value in policy[name] for name, value in within.items())
    ]
    chosen, _ = page(found, *numbers)
    hits = monitor(call).telemetry.hits()
    rows = [_render(call, policy, *hits.get(policy.id, (0, 0))) for policy in chosen]
    return {"PageNo": str(numbers[0]), "PageSize": str(numbers[1]), "TotalCount": str(len(found)), "Policys": rows}


def _render(call: Call, policy: Resource, times: int, last: int) -> dict[str, Any]:
    spans = ports_of(call.view, policy)
    sides = {name: addresses_of(call.view, policy, name) for name in ("Source", "Destination")}
    names = policy["ApplicationNameList"]
    found: dict[str, Any] = {name: policy[name] for name in SHOWN}
    found |= {"AclUuid": policy.id, "Order": policy["Order"], "IpVersion": 4, "ApplicationNameList": names, "ApplicationName": names[0]}
    for name, addresses in sides.items():
        grouped = policy[f"{name}Type"] == "group"
        book = book_named(call.view, policy[name], "ip", "domain") if grouped else None
        found[f"{name}GroupCidrs"] = addresses if grouped else []
        found[f"{name}GroupType"] = book["GroupType"] if book else ""
    found["DestPortGroupPorts"] = [f"{low}/{high}" for low, high in spans] if policy["DestPortType"] == "group" else []
    found["DnsResult"] = ",".join(monitor(call).addresses_of(policy["Destination"])) if policy["DestinationType"] == "domain" else ""
    found["SpreadCnt"] = len(sides["Source"]) * len(sides["Destination"]) * max(1, len(spans)) * len(names)
    found |= {"HitTimes": times, "HitLastTime": last, "CreateTime": policy["CreatedAt"], "ModifyTime": policy["ModifiedAt"]}
    return {name: value for name, value in found.items() if value != "" or name in ("Description", "DestPort")}


@cloudfw.action("ResetRuleHitCount", Effect.RECORD)
def reset_rule_hit_count(call: Call, AclUuid: Id, Lang: Str = "", SourceIp: Str = "") -> Answer:
    """Hits of a policy are counted from 0 again."""
    monitor(call).telemetry.forget_hits(get_policy(call, AclUuid).id)
    return {"Module": "acl"}


@cloudfw.action("ModifyPolicyAdvancedConfig", Effect.PACKETS, limit="of all addresses together; Eips is refused")
def modify_policy_advanced_config(call: Call, InternetSwitch: Str, Eips: Words = (), Lang: Str = "", SourceIp: Str = "") -> Answer:
    """on: strict, a connection whose application is not known is not let through by a policy for applications."""
    if InternetSwitch not in ("on", "off"):
        raise invalid("InternetSwitch", "It must be on or off.")
    if Eips:
        raise ApiError("ErrorUnsupported", "The mode is of all addresses together on this cloud.")
    configure(call, Strict=InternetSwitch == "on")
    return {}


@cloudfw.action("ModifyControlPolicyPriority", Effect.PACKETS)
def modify_control_policy_priority(
    call: Call, AclUuid: Id, Order: Order, Direction: MaybeDirection = "", Lang: Str = "", SourceIp: Str = ""
) -> Answer:
    """Another place for a policy; the others close ranks."""
    order.move(call, get_policy(call, AclUuid, Direction), Order)
    return {}


@cloudfw.action("ModifyControlPolicyPosition", Effect.PACKETS)
def modify_control_policy_position(
    call: Call, Direction: Direction, OldOrder: Order, NewOrder: Order, Lang: Str = "", SourceIp: Str = ""
) -> Answer:
    """The same, for the policy that is at a place now."""
    found = policy_at(call.view, Direction, OldOrder)
    if found is None:
        raise missing("OldOrder") if OldOrder < 1 else ApiError("ErrorAclNotExist", "No policy is at that place.", 404)
    order.move(call, found, NewOrder)
    return {}


@cloudfw.action("DescribePolicyPriorUsed", Effect.READ)
def describe_policy_prior_used(call: Call, Direction: Direction, IpVersion: Str = "4", Lang: Str = "", SourceIp: Str = "") -> Answer:
    """The first and the last place that are taken."""
    count = len(policies(call.view, Direction))
    return {"Start": 1 if count else 0, "End": count}
