"""Frequency control (CC protection): the mode of a domain, and rules of one's own."""

from __future__ import annotations

import json
import re
from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.jsontext import parse_objects, whole
from haechi.cloud.params import Id, Int, Texts
from haechi.cloud.products.ddoscoo.kinds import DomainName, Json
from haechi.cloud.products.ddoscoo.lookup import get_domain
from haechi.cloud.products.ddoscoo.product import ddoscoo
from haechi.cloud.store import Resource

TEMPLATES = ("default", "gf_under_attack", "gf_sos_verify", "gf_sos_enhance")
FIELDS = {
    "uri": "path",
    "uri_path": "path",
    "params": "query",
    "ip": "ip",
    "http-method": "method",
    "http_method": "method",
    "user-agent": "agent",
    "user_agent": "agent",
    "referer": "referer",
    "cookie": "cookie",
    "header": "header",
}
METHODS = {  # match method: how, whether it is turned round
    "equal": ("equal", False),
    "nequal": ("equal", True),
    "contain": ("contain", False),
    "ncontain": ("contain", True),
    "prefix": ("prefix", False),
    "prefixmatch": ("prefix", False),
    "suffix": ("suffix", False),
    "belong": ("net", False),
    "nbelong": ("net", True),
}
NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


@ddoscoo.action("DescribeWebCcProtectSwitch", Effect.READ)
def describe_web_cc_protect_switch(call: Call, Domains: Texts, ResourceGroupId: Id = "") -> Answer:
    """The switches of domains."""
    return {"ProtectSwitchList": [switches(get_domain(call, name)) for name in Domains]}


def switches(d: Resource) -> dict[str, Any]:
    """What is on and off of a domain."""
    on = d["CcSwitch"] == "on"
    listed = int(bool(d["IpSetSwitch"]["BlackListEnable"] or d["IpSetSwitch"]["WhiteListEnable"]))
    row = {"Domain": d["Domain"], "CcEnable": int(on), "CcGlobalSwitch": "open" if on else "close", "CcTemplate": d["CcTemplate"]}
    row |= {"CcCustomRuleEnable": int(d["CcRuleSwitch"] == "on"), "BlackWhiteListEnable": listed}
    return {**row, "AiRuleEnable": 0, "AiMode": "watch", "AiTemplate": "level60", "PreciseRuleEnable": 0, "RegionBlockEnable": 0}


@ddoscoo.action("ModifyWebCCGlobalSwitch", Effect.PACKETS)
def modify_web_cc_global_switch(call: Call, Domain: DomainName, CcGlobalSwitch: Id = "", CcSwitch: Id = "") -> Answer:
    """Frequency control on or off."""
    wanted = {"open": "on", "close": "off", "on": "on", "off": "off"}.get(CcGlobalSwitch or CcSwitch)
    if wanted is None:
        raise invalid("CcGlobalSwitch", "It is open or close.")
    call.tx.change(get_domain(call, Domain), CcSwitch=wanted)
    return {}


@ddoscoo.action("EnableWebCC", Effect.PACKETS)
def enable_web_cc(call: Call, Domain: DomainName, ResourceGroupId: Id = "") -> Answer:
    """Frequency control on."""
    call.tx.change(get_domain(call, Domain), CcSwitch="on")
    return {}


@ddoscoo.action("DisableWebCC", Effect.PACKETS)
def disable_web_cc(call: Call, Domain: DomainName, ResourceGroupId: Id = "") -> Answer:
    """Frequency control off."""
    call.tx.change(get_domain(call, Domain), CcSwitch="off")
    return {}


@ddoscoo.action("ConfigWebCCTemplate", Effect.PACKETS)
def config_web_cc_template(call: Call, Domain: DomainName, Template: Id, ResourceGroupId: Id = "") -> Answer:
    """default (normal), gf_under_attack (emergency), gf_sos_verify (strict), gf_sos_enhance (super strict)."""
    if Template not in TEMPLATES:
        raise invalid("Template", f"It must be one of {', '.join(TEMPLATES)}.")
    call.tx.change(get_domain(call, Domain), CcTemplate=Template)
    return {}


@ddoscoo.action("EnableWebCCRule", Effect.PACKETS)
def enable_web_cc_rule(call: Call, Domain: DomainName, ResourceGroupId: Id = "") -> Answer:
    """The domain's own rules on."""
    call.tx.change(get_domain(call, Domain), CcRuleSwitch="on")
    return {}


@ddoscoo.action("DisableWebCCRule", Effect.PACKETS)
def disable_web_cc_rule(call: Call, Domain: DomainName, ResourceGroupId: Id = "") -> Answer:
    """The domain's own rules off."""
    call.tx.change(get_domain(call, Domain), CcRuleSwitch="off")
    return {}


@ddoscoo.action("ConfigWebCCRuleV2", Effect.PACKETS, limit="rules count per source address; other targets and status codes are refused")
def config_web_cc_rule_v2(call: Call, Domain: DomainName, RuleList: Json, Expires: Int = 0) -> Answer:
    """Add rules, or replace those of the same names."""
    domain = get_domain(call, Domain)
    rules = {rule["name"]: rule for rule in domain["Rules"]}
    for item in parse_objects("RuleList", RuleList, 20):
        rule = _parse_rule(item)
        rules[rule["name"]] = {**rule, "Expires": call.now() + Expires if Expires else 0}
    if len(rules) > 20:
        raise ApiError("WebRuleCountLimit", "A domain has at most 20 rules.")
    call.tx.change(domain, Rules=list(rules.values()))
    return {}


def _parse_rule(item: dict[str, Any]) -> dict[str, Any]:
    name, action, limit = item.get("name"), item.get("action"), item.get("ratelimit") or {}
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise invalid("RuleList", "name holds letters, digits, _ and -, at most 128.")
    if action not in ("block", "challenge", "watch"):
        raise invalid("RuleList", "action is block, challenge or watch.")
    conditions = item.get("condition") or []
    if not isinstance(conditions, list) or not conditions or len(conditions) > 5 or not all(isinstance(c, dict) for c in conditions):
        raise invalid("RuleList", "condition is a list of one to five conditions.")
    if not isinstance(limit, dict) or limit.get("target", "ip") != "ip" or item.get("status_code") or item.get("statistics"):
        raise ApiError("UnsupportedOperation", "Rules count per source address here, and no status codes or distinct values.")
    rate = {"interval": 0, "threshold": 0, "ttl": 0, "target": "ip"}
    if limit:
        rate |= {
            "interval": whole("ratelimit.interval", limit.get("interval"), 1, 1800),
            "ttl": whole("ratelimit.ttl", limit.get("ttl"), 1, 86400),
        }
        rate |= {"threshold": whole("ratelimit.threshold", limit.get("threshold"), 2, 20000)}
    return {"name": name, "action": action, "condition": [_parse_condition(c) for c in conditions], "ratelimit": rate}


def _parse_condition(item: dict[str, Any]) -> dict[str, Any]:
    field, method, content = item.get("field"), item.get("match_method"), item.get("content")
    header = item.get("header_name") or ""
    if field not in FIELDS or method not in METHODS:
        raise invalid("RuleList", f"field is one of {', '.join(FIELDS)}; match_method one of {', '.join(METHODS)}.")
    if not isinstance(content, str) or not content or len(content) > 2048 or any(ord(c) < 32 for c in content):
        raise invalid("RuleList", "content is missing.")
    values = [v.strip() for v in content.split(",")] if method in ("belong", "nbelong") else [content]
    if any(not v or v != v.strip() or v.startswith("#") for v in values):
        raise invalid("RuleList", "content begins with # or has blanks at an end.")
    if field == "header" and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(header)):
        raise invalid("RuleList", "header_name is missing.")
    if (field == "ip") != (METHODS[method][0] == "net"):
        raise invalid("RuleList", "belong and nbelong go with ip, and nothing else does.")
    return {"field": field, "match_method": method, "content": ",".join(values), "header_name": header}


@ddoscoo.action("DescribeWebCCRulesV2", Effect.READ)
def describe_web_cc_rules_v2(call: Call, Domain: DomainName, Offset: Int = 0, PageSize: Int = 20, Owner: Id = "") -> Answer:
    """The domain's own rules."""
    domain = get_domain(call, Domain)
    rules = domain["Rules"][Offset : Offset + min(PageSize, 20)]
    return {"Domain": domain["Domain"], "TotalCount": str(len(domain["Rules"])), "WebCCRules": [_render(rule) for rule in rules]}


def _render(rule: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {"Field": c["field"], "MatchMethod": c["match_method"], "Content": c["content"], "HeaderName": c["header_name"]}
        for c in rule["condition"]
    ]
    rate = rule["ratelimit"]
    detail: dict[str, Any] = {"Name": rule["name"], "Action": rule["action"], "Condition": conditions}
    detail["RateLimit"] = {"Interval": rate["interval"], "Threshold": rate["threshold"], "Ttl": rate["ttl"], "Target": "ip", "SubKey": ""}
    return {"Name": rule["name"], "Owner": "manual", "Expires": int(rule["Expires"]), "RuleDetail": detail}


@ddoscoo.action("DeleteWebCCRuleV2", Effect.PACKETS)
def delete_web_cc_rule_v2(call: Call, Domain: DomainName, RuleNames: Json, Owner: Id = "") -> Answer:
    """Remove rules: [{"Name": ...}] or ["name"]."""
    domain = get_domain(call, Domain)
    try:
        given = json.loads(RuleNames)
    except ValueError:
        raise invalid("RuleNames", "It must be JSON.") from None
    names = {item.get("Name") if isinstance(item, dict) else item for item in given} if isinstance(given, list) else set()
    call.tx.change(domain, Rules=[rule for rule in domain["Rules"] if rule["name"] not in names])
    return {}
