"""What goes into the firewall's engines: our rules as data for waf.lua, exceptions of core rules, the core rules' settings."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from haechi.dataplane.waf_plan import Condition, Guarded, Waf, WafRule

UNICODE = Path("/etc/nginx/unicode.mapping")
GROUPS = {"loose": (1, 10), "medium": (1, 5), "strict": (2, 5)}  # paranoia level, anomaly score that blocks
TYPES = {  # attack type: prefixes of rule ids
    "sqli": ("942", "91009"),
    "xss": ("941",),
    "cmdi": ("932", "91007"),
    "code_exec": ("933", "934", "91001", "91004"),
    "expression_injection": ("91003",),
    "java_deserialization": ("944",),
    "ssrf": ("91002",),
    "lfilei": ("930",),
    "rfilei": ("931",),
    "scanner_behavior": ("913",),
    "protocol_violation": ("911", "920", "921", "922"),
    "csrf": ("943",),
    "xxe": ("91006",),
    "webshell": ("955",),
}
OURS = 9100000
# Classes of attack that this version of the core rules does not know; reference/edge.md 3.3 says which it misses.
_OWN = (
    (  # look-ups in log messages, nested or written in pieces
        "ARGS|ARGS_NAMES|REQUEST_HEADERS|REQUEST_COOKIES|REQUEST_URI|REQUEST_BODY",
        r"(?i)\$\{(?:[^}]{0,40}\$\{[^}]{0,40}\}|jndi|(?:lower|upper|env|sys|java|date|ctx|base64):)",
        9100101,
        "t:none,t:urlDecodeUni",
        "look-up expression",
    ),
    (  # addresses of this machine, of metadata services, and schemes that no browser sends
        "ARGS",
        r"(?i)^\s*(?:gopher|dict|file|ldaps?|netdoc|jar|phar|expect)://"
        r"|^\s*https?://(?:[^/@\s]*@)?(?:169\.254\.\d+\.\d+|100\.100\.100\.200|127\.\d+\.\d+\.\d+|0x7f|2130706433|0\.0\.0\.0|localhost|\[::)",
        9100201,
        "t:none,t:urlDecodeUni",
        "request to an inner address",
    ),
    (  # template and expression languages
        "ARGS|REQUEST_URI",
        r"(?i)\{\{[^}]{0,200}(?:\d\s*[*+-]\s*\d|constructor|__\w+__|config\b|self\b|request\b|\bcycler\b|range\()"
        r"|\$\{\s*(?:\d+\s*[*+]\s*\d+|T\(|class\.|new\s)|[#*%]\{[^}]{0,80}(?:T\(|new\s+java|@java|\d+\s*\*\s*\d+)|<%=?\s*\S|\{%\s*\w+",
        9100301,
        "t:none,t:urlDecodeUni",
        "template expression",
    ),
    ("ARGS_NAMES", r"(?i)^class\.(?:module|classloader|protectiondomain)", 9100401, "t:none", "class loader"),
    ("ARGS|ARGS_NAMES", r"(?i)__proto__|constructor\s*[\[.]\s*[\"']?prototype", 9100402, "t:none,t:urlDecodeUni", "prototype pollution"),
    (  # documents that define entities
        "REQUEST_BODY|XML:/*|ARGS",
        r"(?i)<!(?:doctype|entity)[^>]{0,200}(?:system|public|<!entity|%\s)",
        9100601,
        "t:none,t:urlDecodeUni",
        "external entity",
    ),
    (  # a shell's separator, then a command with something that a sentence does not have
        "ARGS",
        r"(?i)(?:[;|`&\n]|\$\()\s*(?:/(?:usr/)?s?bin/)?(?:id|whoami|uname|ls|ping|nc|ncat|curl|wget|bash|sh|cat|sleep|python3?|perl|nslookup)"
        r"(?:\s*$|\s*[;|`)&]|\s+[-/.$\d]|\s+https?:)",
        9100701,
        "t:none,t:urlDecodeUni",
        "shell command",
    ),
    (  # operators of document databases in names or in JSON
        "ARGS_NAMES",
        r"(?i)(?:^|\[|\.)\$(?:ne|gt|gte|lt|lte|regex|where|nin|in|or|and|exists|expr|func)(?:\]|\.|$)",
        9100901,
        "t:none,t:urlDecodeUni",
        "database operator",
    ),
    ("ARGS", r"(?i)\*\)\s*\(\s*[|&!]?\s*\(?\w+=|\)\(\|\(\w+=\*", 9100902, "t:none,t:urlDecodeUni", "directory filter"),
    ("ARGS", r"%0[ad]\s*(?:set-cookie|location|content-\w+)\s*:", 9100903, "t:none,t:lowercase", "header in a value"),
)


def attack_type(rule: str) -> str:
    """The vendor's word for what a core rule is about."""
    return next((name for name, prefixes in TYPES.items() if rule.startswith(prefixes)), "other")


def rules_json(waf: Waf) -> str:
    """For waf.lua: rules by the name of their domain, in the order of their scenes."""
    order = ("white", "black", "custom", "cc")
    content = {
        domain.domain: [_rule(rule) for scene in order for rule in domain.rules if rule.scene == scene] if not waf.paused else []
        for domain in waf.domains
    }
    return json.dumps(content, ensure_ascii=True, sort_keys=True)


def _rule(rule: WafRule) -> dict[str, Any]:
    found: dict[str, Any] = {"id": rule.id, "scene": rule.scene, "action": rule.action, "skips": list(rule.skips)}
    found["conditions"] = [_condition(condition) for condition in rule.conditions]
    if rule.limit:
        limit = rule.limit
        found["limit"] = {"interval": limit.interval, "threshold": limit.threshold, "hold": limit.hold, "target": limit.target}
        found["limit"]["name"] = limit.name
    return found


def _condition(condition: Condition) -> dict[str, Any]:
    found: dict[str, Any] = {"key": condition.key, "how": condition.how, "values": list(condition.values), "name": condition.name}
    if condition.how == "in":
        networks = [IPv4Network(value, strict=False) for value in condition.values]
        found["networks"] = [{"base": int(n.network_address), "bits": n.prefixlen} for n in networks]
    return {**found, "negate": condition.negate}


def core_settings(directory: Path, core: Path) -> str:
    """ModSecurity's own settings, our supplement and the core rules in `core`: loaded once for all domains."""
    supplement = [
        f'SecRule {where} "@rx {_quoted(pattern)}" "id:{id},phase:2,{transforms},pass,log,auditlog,msg:\'{what}\','
        'severity:CRITICAL,setvar:tx.anomaly_score_pl1=+5,setvar:tx.inbound_anomaly_score_pl1=+5"'  # the core rules' 3 and 4
        for where, pattern, id, transforms, what in _OWN
    ]
    lines = [
        "SecRuleEngine On",
        "SecRequestBodyAccess On",
        'SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\\+|/)|text/)xml" '
        '"id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"',
        'SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z.+-]+\\+)?json" '
        '"id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"',
        "SecRequestBodyLimit 13107200",
        "SecRequestBodyNoFilesLimit 131072",
        "SecRequestBodyLimitAction ProcessPartial",
        "SecRequestBodyJsonDepthLimit 512",
        "SecArgumentsLimit 1000",
        "SecPcreMatchLimit 100000",  # Debian's 1000 gives up on ordinary requests
        "SecPcreMatchLimitRecursion 100000",
        "SecResponseBodyAccess Off",
        f"SecTmpDir {directory}",
        f"SecDataDir {directory}",
        "SecAuditEngine RelevantOnly",
        'SecAuditLogRelevantStatus "^$"',
        "SecAuditLogParts AHZ",
        "SecAuditLogFormat JSON",
        "SecAuditLogType Serial",
        f"SecAuditLog {directory}/audit.json",
        "SecArgumentSeparator &",
        "SecCookieFormat 0",
        f"SecUnicodeMapFile {directory}/unicode.mapping 20127",
        "SecStatusEngine Off",
        'SecDefaultAction "phase:1,log,auditlog,pass"',
        'SecDefaultAction "phase:2,log,auditlog,pass"',
        "SecAction \"id:900200,phase:1,nolog,pass,t:none,setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PUT PATCH DELETE'\"",
        'SecAction "id:900990,phase:1,nolog,pass,t:none,setvar:tx.crs_setup_version=334"',
        "SecCollectionTimeout 600",
        *supplement,
    ]
    # responses are not read, and exclusions for other people's applications are nobody's here
    names = sorted(path.name for path in core.glob("REQUEST-*.conf") if not path.name.startswith("REQUEST-903"))
    lines += [f"Include {core}/{name}" for name in names]
    return "\n".join([*lines, 'SecRuleUpdateActionById 949110 "deny,status:405"', ""])


def domain_settings(waf: Waf, domain: Guarded) -> str:
    """What of the core rules is a domain's own; "" when they are off."""
    if waf.paused or domain.mode == "off":
        return ""
    level, threshold = GROUPS[domain.group]
    lines = [f"SecRuleEngine {'On' if domain.mode == 'block' else 'DetectionOnly'}"]
    sets = {"inbound_anomaly_score_threshold": threshold, "paranoia_level": level, "executing_paranoia_level": level}
    sets |= {"blocking_paranoia_level": level, "detection_paranoia_level": level}
    changes = ",".join(f"setvar:tx.{name}={value}" for name, value in sets.items())
    lines.append(f'SecAction "id:9200000,phase:1,nolog,pass,t:none,{changes}"')
    skips = sorted({skip for rule in domain.rules if rule.scene == "white" for skip in rule.skips if ":" in skip})
    for number, skip in enumerate(skips, 9200001):
        kind, _, name = skip.partition(":")
        spans = [_span(prefix) for prefix in TYPES.get(name, ())]
        ids = spans if kind == "type" else [name]
        removed = ",".join(f"ctl:ruleRemoveById={id}" for id in ids)
        if removed:
            lines.append(f'SecRule REQUEST_HEADERS:X-Hx-Skip "@contains <{skip}>" "id:{number},phase:1,nolog,pass,t:none,{removed}"')
    return "\n".join([*lines, ""])


def _span(prefix: str) -> str:
    """Every rule id that begins so: core rules have six digits, ours seven."""
    digits = 6 if len(prefix) == 3 else 7
    return f"{prefix.ljust(digits, '0')}-{prefix.ljust(digits, '9')}"


def _quoted(pattern: str) -> str:
    return pattern.replace('"', "\\x22")
