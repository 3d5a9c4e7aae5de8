"""What a rule's JSON may hold in each scene, and how it reads in the data plane."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Any

from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.jsontext import whole
from haechi.dataplane.waf_plan import Condition, Limit, WafRule
from haechi.dataplane.waf_rules import TYPES

POLICIES = {1011: "strict", 1012: "medium", 1013: "loose"}
KEYS = {
    "url": "url",
    "urlpath": "path",
    "uri": "url",
    "uripath": "path",
    "ip": "ip",
    "referer": "referer",
    "user-agent": "agent",
    "params": "query",
    "query": "query",
    "query string": "query",
    "cookie": "cookie",
    "content-type": "type",
    "content-length": "length",
    "x-forwarded-for": "forwarded",
    "post-body": "body",
    "body": "body",
    "http-method": "method",
    "header": "header",
    "host": "host",
    "query-arg": "argument",
    "query string parameter": "argument",
    "cookie-exact": "cookie",
}
HOW = {  # operator: how, whether it is turned round
    "contain": ("contain", False),
    "not-contain": ("contain", True),
    "contain-one": ("contain", False),
    "all-not-contain": ("contain", True),
    "eq": ("eq", False),
    "ne": ("eq", True),
    "match-one": ("eq", False),
    "all-not-match": ("eq", True),
    "exists": ("exists", False),
    "none": ("exists", True),
    "empty": ("eq", False),
    "regex": ("regex", False),
    "not-regex": ("regex", True),
    "regex-one": ("regex", False),
    "all-not-regex": ("regex", True),
    "prefix-match": ("prefix", False),
    "suffix-match": ("suffix", False),
    "len-gt": ("longer", False),
    "len-lt": ("shorter", False),
    "gt": ("above", False),
    "lt": ("below", False),
    "in-list": ("in", False),
    "not-in-list": ("in", True),
}
SEVERAL = ("contain-one", "all-not-contain", "match-one", "all-not-match", "regex-one", "all-not-regex", "in-list", "not-in-list")
TAGS = {  # module that an exception passes over: the data plane's word
    "waf": "all",
    "customrule": "custom",
    "blacklist": "black",
    "cc": "cc",
    "regular": "core",
    "waf_base": "core",
    "waf_group": "core",
}
ASKING = ("block", "monitor", "js", "captcha")
CC = {0: Limit(10, 600, 300), 1: Limit(10, 100, 300)}  # normal, emergency
TARGETS = {"remote_addr": "ip", "header": "header", "queryarg": "argument", "cookie": "cookie", "cookie.acw_tc": "cookie"}


def _actions(value: Any, words: tuple[str, ...] = ("block", "monitor")) -> str:
    if value not in words:
        raise ApiError("Defense.Control.Unsupported", f"The actions of this cloud are {', '.join(words)} here.")
    return "watch" if value == "monitor" else str(value)


def _conditions(given: Any) -> tuple[Condition, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= 5 or not all(isinstance(item, dict) for item in given):
        raise invalid("conditions", "A rule has one to five of them.")
    return tuple(_condition(item) for item in given)


def _condition(item: dict[str, Any]) -> Condition:
    key, operator, name = str(item.get("key", "")), str(item.get("opValue", "")), str(item.get("subKey") or "")
    field = KEYS.get(key.lower())
    if field is None:
        raise invalid("conditions.key", f"It must be one of {', '.join(KEYS)}.")
    if operator not in HOW:
        raise invalid("conditions.opValue", f"It must be one of {', '.join(HOW)}.")
    how, negate = HOW[operator]
    if field in ("header", "argument") and not name:
        raise invalid("conditions.subKey", "This field needs the name of one.")
    if len(name) > 128 or (field in ("header", "cookie") and name and not re.fullmatch(r"[A-Za-z0-9_-]+", name)):
        raise invalid("conditions.subKey", "It is not a name.")
    raw = item.get("values", "")
    texts = [str(value) for value in raw] if isinstance(raw, list) else str(raw).split(",") if operator in SEVERAL else [str(raw)]
    if field == "ip":
        how, texts = "in", [part.strip() for text in texts for part in text.split(",")]
        if len(texts) > 200:
            raise invalid("conditions.values", "There are too many addresses.")
        texts = [_network(text) for text in texts]
    elif operator == "empty":
        texts = [""]
    elif how == "exists":
        texts = []
    elif not texts or len(texts) > 50 or not all(1 <= len(text) <= 1024 for text in texts):
        raise invalid("conditions.values", "A condition has one to fifty values of at most 1024 characters.")
    if how in ("longer", "shorter", "above", "below"):
        texts = [str(whole("conditions.values", text, 0, 2**31 - 1)) for text in texts]
    if how == "regex":
        for text in texts:
            _check_regex(text)
    return Condition(field, how, tuple(texts), name, negate)


def _check_regex(text: str) -> None:
    """Refuse what cannot be an expression, and look-around that costs without bound."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError):
        raise invalid("conditions.values", "One is not a regular expression.") from None
    if re.search(r"\([^()]*[+*][^()]*\)[+*{]", text):
        raise invalid("conditions.values", "One repeats a repetition, which can take for ever.")


def _network(text: str) -> str:
    try:
        return str(IPv4Network(text, strict=False))
    except ValueError:
        raise invalid("values", "One is not an IPv4 address or CIDR block.") from None


def _limit(given: Any) -> Limit:
    if not isinstance(given, dict):
        raise invalid("ratelimit", "A rule with ccStatus 1 has it.")
    target = str(given.get("target", ""))
    if target not in TARGETS:
        raise invalid("ratelimit.target", f"It must be one of {', '.join(TARGETS)}.")
    if given.get("status"):
        raise ApiError("Defense.Control.Unsupported", "Rates by response code are not supported by this cloud.")
    name = "acw_tc" if target == "cookie.acw_tc" else str(given.get("subKey") or "")
    if target in ("header", "queryarg", "cookie") and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise invalid("ratelimit.subKey", "It must be the name of one.")
    interval = whole("ratelimit.interval", given.get("interval"), 1, 1800)
    threshold = whole("ratelimit.threshold", given.get("threshold"), 1, 5_000_000)
    return Limit(interval, threshold, whole("ratelimit.ttl", given.get("ttl", 60), 60, 86400), TARGETS[target], name)


def rule_of(scene: str, number: int, config: dict[str, Any]) -> WafRule | None:
    """The data plane's rule of a configuration; None for core rules, which are a setting. Raises InvalidParameter and the like."""
    if scene in ("waf_group", "waf_base"):
        whole("policyId", config.get("policyId", 1012), 1011, 1013)
        _actions(config.get("action", "block"))
        return None
    if scene == "ip_blacklist":
        addresses = config.get("remoteAddr")
        if not isinstance(addresses, list) or not 1 <= len(addresses) <= 200:
            raise invalid("remoteAddr", "It holds 1 to 200 addresses.")
        networks = tuple(_network(str(address)) for address in addresses)
        return WafRule(number, "black", _actions(config.get("action")), (Condition("ip", "in", networks),))
    if scene == "whitelist":
        return WafRule(number, "white", "watch", _conditions(config.get("conditions")), skips=_skips(config))
    if scene == "cc":
        mode = whole("mode", config.get("mode", 0), 0, 1)
        return WafRule(number, "cc", _actions(config.get("action", "block"), ASKING), limit=CC[mode])
    limit = _limit(config.get("ratelimit")) if str(config.get("ccStatus", 0)) == "1" else None
    if config.get("timeConfig") or config.get("grayConfig"):
        raise ApiError("Defense.Control.Unsupported", "Rules of this cloud hold always and for everybody.")
    return WafRule(number, "custom", _actions(config.get("action"), ASKING), _conditions(config.get("conditions")), limit)


def _skips(config: dict[str, Any]) -> tuple[str, ...]:
    tags = config.get("tags")
    if not isinstance(tags, list) or not tags:
        raise invalid("tags", "An exception names the modules that it passes over.")
    skips: list[str] = []
    for tag in tags:
        if tag in TAGS:
            skips.append(TAGS[tag])
        elif tag == "regular_type":
            types = [str(name) for name in config.get("regularTypes") or []]
            if not types or any(name not in TYPES for name in types):
                raise invalid("regularTypes", f"It holds some of {', '.join(TYPES)}.")
            skips += [f"type:{name}" for name in types]
        elif tag == "regular_rule":
            ids = [str(id) for id in config.get("regularRules") or []]
            if not ids or not all(re.fullmatch(r"9\d{5,6}", id) for id in ids):
                raise invalid("regularRules", "It holds ids of core rules.")
            skips += [f"rule:{id}" for id in ids]
        else:
            raise ApiError(
                "Defense.Control.Unsupported", f"The modules of this cloud are {', '.join([*TAGS, 'regular_type', 'regular_rule'])}."
            )
    return tuple(dict.fromkeys(skips))


def core_of(config: dict[str, Any]) -> tuple[str, str]:
    """(mode, group) of a core rule's configuration."""
    return _actions(config.get("action", "block")), POLICIES[int(config.get("policyId", 1012))]
