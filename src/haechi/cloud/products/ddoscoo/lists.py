"""Lists of sources: of a domain, and of an instance."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.jsontext import parse_object, parse_objects
from haechi.cloud.paging import page
from haechi.cloud.params import Id, PageNumber, PageSize, Str
from haechi.cloud.products.ddoscoo.kinds import Cidrs, DomainName, Json, Seconds
from haechi.cloud.products.ddoscoo.lookup import get_domain, get_instance
from haechi.cloud.products.ddoscoo.product import ddoscoo
from haechi.cloud.store import Resource

MOST = 2000


def _networks(name: str, texts: tuple[str, ...]) -> list[str]:
    try:
        return list(dict.fromkeys(str(IPv4Network(text, strict=False)).removesuffix("/32") for text in texts))
    except ValueError:
        raise invalid(name, "They are IPv4 addresses or CIDR blocks.") from None


@ddoscoo.action("ConfigWebIpSet", Effect.PACKETS)
def config_web_ip_set(call: Call, Domain: DomainName, BlackList: Cidrs = (), WhiteList: Cidrs = (), ResourceGroupId: Id = "") -> Answer:
    """The lists of a domain; what is not sent is emptied."""
    call.tx.change(get_domain(call, Domain), Black=_networks("BlackList", BlackList), White=_networks("WhiteList", WhiteList))
    return {}


@ddoscoo.action("ModifyWebIpSetSwitch", Effect.PACKETS)
def modify_web_ip_set_switch(call: Call, Domain: DomainName, Config: Json, ResourceGroupId: Id = "") -> Answer:
    """{BlackListEnable, WhiteListEnable} or {Bwlist_Enable}, each 0 or 1."""
    domain, given = get_domain(call, Domain), parse_object("Config", Config)
    both = given.get("Bwlist_Enable", given.get("BwlistEnable"))
    switch = {
        name: given.get(name, domain["IpSetSwitch"][name] if both is None else both) for name in ("BlackListEnable", "WhiteListEnable")
    }
    if any(value not in (0, 1) or isinstance(value, bool) for value in switch.values()):
        raise invalid("Config", "Switches are 0 or 1.")
    call.tx.change(domain, IpSetSwitch=switch)
    return {}


def _add(call: Call, instance: Resource, list_name: str, parameter: str, text: str, seconds: int) -> None:
    sources = _networks(parameter, tuple(str(item.get("src", "")) for item in parse_objects(parameter, text, MOST)))
    kept: dict[str, Any] = {entry["src"]: entry for entry in instance[list_name]}
    for source in sources:
        kept[source] = {"src": source, "until": call.now() + seconds if seconds else 0, "since": call.now()}
    if len(kept) > MOST:
        raise ApiError("ListCountLimit", f"A list holds at most {MOST} addresses.")
    call.tx.change(instance, **{list_name: list(kept.values())})


def _remove(call: Call, instance: Resource, list_name: str, parameter: str, text: str) -> None:
    gone = set(_networks(parameter, tuple(str(item.get("src", "")) for item in parse_objects(parameter, text, MOST))))
    call.tx.change(instance, **{list_name: [entry for entry in instance[list_name] if entry["src"] not in gone]})


@ddoscoo.action("AddAutoCcBlacklist", Effect.PACKETS)
def add_auto_cc_blacklist(call: Call, InstanceId: Id, Blacklist: Json, ExpireTime: Seconds = 300) -> Answer:
    """Drop sources for five minutes to seven days."""
    if not 300 <= ExpireTime <= 7 * 86400:
        raise invalid("ExpireTime", "It must be 300 to 604800 seconds.")
    _add(call, get_instance(call, InstanceId), "Black", "Blacklist", Blacklist, ExpireTime)
    return {}


@ddoscoo.action("AddAutoCcWhitelist", Effect.PACKETS)
def add_auto_cc_whitelist(call: Call, InstanceId: Id, Whitelist: Json, ExpireTime: Seconds = 0) -> Answer:
    """Let sources through, whatever else is said of them; 0 is for good."""
    _add(call, get_instance(call, InstanceId), "White", "Whitelist", Whitelist, ExpireTime)
    return {}


@ddoscoo.action("DeleteAutoCcBlacklist", Effect.PACKETS)
def delete_auto_cc_blacklist(call: Call, InstanceId: Id, Blacklist: Json) -> Answer:
    """Take sources from the list."""
    _remove(call, get_instance(call, InstanceId), "Black", "Blacklist", Blacklist)
    return {}


@ddoscoo.action("DeleteAutoCcWhitelist", Effect.PACKETS)
def delete_auto_cc_whitelist(call: Call, InstanceId: Id, Whitelist: Json) -> Answer:
    """Take sources from the list."""
    _remove(call, get_instance(call, InstanceId), "White", "Whitelist", Whitelist)
    return {}


@ddoscoo.action("EmptyAutoCcBlacklist", Effect.PACKETS)
def empty_auto_cc_blacklist(call: Call, InstanceId: Id) -> Answer:
    """Take all sources from the list."""
    call.tx.change(get_instance(call, InstanceId), Black=[])
    return {}


@ddoscoo.action("EmptyAutoCcWhitelist", Effect.PACKETS)
def empty_auto_cc_whitelist(call: Call, InstanceId: Id) -> Answer:
    """Take all sources from the list."""
    call.tx.change(get_instance(call, InstanceId), White=[])
    return {}


def _listed(call: Call, id: str, name: str, keyword: str, number: int, size: int) -> tuple[list[dict[str, Any]], int]:
    instance = get_instance(call, id)
    found = [entry for entry in instance[name] if keyword in entry["src"] and not 0 < entry["until"] <= call.now()]
    chosen, _ = page(found, number, size)
    rows = [{"SourceIp": e["src"], "DestIp": instance["Address"], "EndTime": int(e["until"]), "Type": "manual"} for e in chosen]
    return rows, len(found)


@ddoscoo.action("DescribeAutoCcBlacklist", Effect.READ)
def describe_auto_cc_blacklist(
    call: Call, InstanceId: Id, PageNumber: PageNumber, PageSize: PageSize, KeyWord: Str = "", QueryType: Id = ""
) -> Answer:
    """A page of the list."""
    rows, total = _listed(call, InstanceId, "Black", KeyWord, PageNumber, PageSize)
    return {"AutoCcBlacklist": rows, "TotalCount": total}


@ddoscoo.action("DescribeAutoCcWhitelist", Effect.READ)
def describe_auto_cc_whitelist(
    call: Call, InstanceId: Id, PageNumber: PageNumber, PageSize: PageSize, KeyWord: Str = "", QueryType: Id = ""
) -> Answer:
    """A page of the list."""
    rows, total = _listed(call, InstanceId, "White", KeyWord, PageNumber, PageSize)
    return {"AutoCcWhitelist": rows, "TotalCount": total}


@ddoscoo.action("DescribeAutoCcListCount", Effect.READ)
def describe_auto_cc_list_count(call: Call, InstanceId: Id, QueryType: Id = "") -> Answer:
    """How long both lists are."""
    instance = get_instance(call, InstanceId)
    return {"BlackCount": len(instance["Black"]), "WhiteCount": len(instance["White"])}
