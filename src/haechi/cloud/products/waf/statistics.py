"""Traffic and hits over time, and who leads: the older statistics actions."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.params import Choice, Id, Number, Str
from haechi.cloud.products.waf.lookup import get_instance, monitor
from haechi.cloud.products.waf.product import waf

Seconds = Annotated[int, Number(0, 2**31 - 1)]
Which = Annotated[str, Choice(("waf", "upstream"))]
SCENES = {"waf_base": "Waf", "waf_group": "Waf", "custom_acl": "AclCustom", "cc": "CcSystem", "ip_blacklist": "Blacklist"}
MOST_STEPS = 10000


def span(call: Call, start: int, end: int) -> tuple[int, int]:
    """A range of time; the end may be left out. Raises InvalidParameter."""
    end = end or int(call.now()) + 1
    if end <= start or end - start > 31 * 86400:
        raise invalid("EndTimestamp", "It must be after StartTimestamp, by at most 30 days.")
    return start, end


def domain_of(resource: str) -> str:
    """The domain of a protected object; "" for all."""
    return resource.removesuffix("-waf")


def _where(resource: str, rule_type: str = "") -> dict[str, list[str]]:
    where = {"domain": [domain_of(resource)]} if resource else {}
    scenes = {"waf": ["waf_base"], "acl": ["custom_acl"], "custom_acl": ["custom_acl"], "cc": ["cc"], "blacklist": ["ip_blacklist"]}
    return {**where, **({"scene": scenes.get(rule_type, [rule_type])} if rule_type else {})}


def _steps(start: int, end: int, interval: int) -> int:
    if interval < 60 or interval % 60 or (end - start) // interval > MOST_STEPS:
        raise invalid("Interval", "It is a multiple of 60 seconds.")
    return -(-(end - start) // interval)


@waf.action("DescribeFlowChart", Effect.READ)
def describe_flow_chart(
    call: Call,
    InstanceId: Id,
    StartTimestamp: Seconds,
    Interval: Seconds,
    EndTimestamp: Seconds = 0,
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Requests, bytes and hits of each step."""
    get_instance(call, InstanceId)
    start, end = span(call, StartTimestamp, EndTimestamp)
    start -= start % 60
    rows: list[dict[str, Any]] = [_empty(index) for index in range(_steps(start, end, Interval))]
    for minute, requests, peak, come, gone in monitor(call).telemetry.minutes(start, end, domain_of(Resource)):
        row = rows[(minute - start) // Interval]
        row["Count"] += requests
        row["MaxPv"] = max(row["MaxPv"], peak)
        row["InBytes"] += come
        row["OutBytes"] += gone
    for action in ("block", "js", "captcha", "monitor"):
        where = {**_where(Resource), "action": [action]}
        for time, scene, count in monitor(call).telemetry.attack_series(start, end, Interval, where, "scene"):
            name = SCENES.get(scene, "AclCustom") + ("ReportsSum" if action == "monitor" else "BlockSum")
            name = {"WafReportsSum": "WafReportSum", "CcSystemBlockSum": "CcSystemBlocksSum"}.get(name, name)
            rows[(time - start) // Interval][name] = int(rows[(time - start) // Interval][name]) + count
    texts = ("BlacklistBlockSum", "WafReportSum", "AntibotReportSum")
    return {"FlowChart": [{name: str(v) if name in texts else v for name, v in row.items()} for row in rows]}


_SUMS = (
    *("Count", "MaxPv", "InBytes", "OutBytes", "WafBlockSum", "WafReportSum", "AclCustomBlockSum", "AclCustomReportsSum"),
    *("CcSystemBlocksSum", "CcSystemReportsSum", "CcCustomBlockSum", "CcCustomReportsSum", "BlacklistBlockSum", "BlacklistReportsSum"),
    *("AntiScanBlockSum", "AntiscanReportsSum", "AntibotBlockSum", "AntibotReportSum", "RegionBlockBlocksSum"),
    *("RegionBlockReportsSum", "RatelimitBlockSum", "RatelimitReportSum", "RobotCount"),
)


def _empty(index: int) -> dict[str, Any]:
    return {"Index": index, **dict.fromkeys(_SUMS, 0)}


@waf.action("DescribePeakTrend", Effect.READ)
def describe_peak_trend(
    call: Call,
    InstanceId: Id,
    StartTimestamp: Seconds,
    Interval: Seconds,
    EndTimestamp: Seconds = 0,
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """The highest requests per second of each step, and hits."""
    get_instance(call, InstanceId)
    start, end = span(call, StartTimestamp, EndTimestamp)
    start -= start % 60
    sums = ("Count", "WafSum", "AclSum", "CcSum", "AntiScanSum")
    rows: list[dict[str, int]] = [{"Index": index, **dict.fromkeys(sums, 0)} for index in range(_steps(start, end, Interval))]
    for minute, _, peak, _, _ in monitor(call).telemetry.minutes(start, end, domain_of(Resource)):
        row = rows[(minute - start) // Interval]
        row["Count"] = max(row["Count"], peak)
    for time, scene, count in monitor(call).telemetry.attack_series(start, end, Interval, _where(Resource), "scene"):
        name = {"waf_base": "WafSum", "cc": "CcSum"}.get(scene, "AclSum")
        rows[(time - start) // Interval][name] += count
    return {"FlowChart": rows}


@waf.action("DescribeResponseCodeTrendGraph", Effect.READ)
def describe_response_code_trend_graph(
    call: Call,
    InstanceId: Id,
    StartTimestamp: Seconds,
    Interval: Seconds,
    Type: Which,
    EndTimestamp: Seconds = 0,
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """How many answers had which status, as the firewall gave them or as origins did."""
    get_instance(call, InstanceId)
    start, end = span(call, StartTimestamp, EndTimestamp)
    start -= start % 60
    names = ("5xxPv", "499Pv", "302Pv", "405Pv", "444Pv")
    rows: list[dict[str, int]] = [{"Index": index, **dict.fromkeys(names, 0)} for index in range(_steps(start, end, Interval))]
    kind = "status" if Type == "waf" else "upstream"
    for minute, value, count in monitor(call).telemetry.series(kind, start, end, domain_of(Resource)):
        name = "5xxPv" if value.startswith("5") else f"{value}Pv"
        if name in names:
            rows[(minute - start) // Interval][name] += count
    return {"ResponseCodes": rows}


def _visits(call: Call, kind: str, instance: str, start: int, end: int, resource: str) -> list[tuple[str, int]]:
    get_instance(call, instance)
    return monitor(call).telemetry.top(kind, *span(call, start, end), domain_of(resource))


@waf.action("DescribeVisitTopIp", Effect.READ)
def describe_visit_top_ip(
    call: Call,
    InstanceId: Id,
    StartTimestamp: Seconds,
    EndTimestamp: Seconds = 0,
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Clients with the most requests."""
    found = _visits(call, "ip", InstanceId, StartTimestamp, EndTimestamp, Resource)
    return {"TopIp": [{"Ip": ip, "Count": count, "Area": "", "Isp": ""} for ip, count in found]}


@waf.action("DescribeVisitUas", Effect.READ)
def describe_visit_uas(
    call: Call,
    InstanceId: Id,
    StartTimestamp: Seconds,
    EndTimestamp: Seconds = 0,
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """User agents with the most requests."""
    found = _visits(call, "agent", InstanceId, StartTimestamp, EndTimestamp, Resource)
    return {"Uas": [{"Ua": agent, "Count": count} for agent, count in found]}


@waf.action("DescribeFlowTopUrl", Effect.READ)
def describe_flow_top_url(
    call: Call,
    InstanceId: Id,
    StartTimestamp: Seconds,
    EndTimestamp: Seconds = 0,
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Paths with the most requests, in base64."""
    found = _visits(call, "path", InstanceId, StartTimestamp, EndTimestamp, Resource)
    return {"RuleHitsTopUrl": [{"Url": b64encode(path.encode()).decode(), "Count": count} for path, count in found]}


@waf.action("DescribeFlowTopResource", Effect.READ)
def describe_flow_top_resource(
    call: Call,
    InstanceId: Id,
    StartTimestamp: Seconds,
    EndTimestamp: Seconds = 0,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Protected objects with the most requests."""
    get_instance(call, InstanceId)
    start, end = span(call, StartTimestamp, EndTimestamp)
    domains = {d["Domain"] for d in call.view.find("waf_domain", InstanceId=InstanceId)}
    sums = {d: sum(row[1] for row in monitor(call).telemetry.minutes(start, end, d)) for d in domains}
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return {"RuleHitsTopResource": [{"Resource": f"{domain}-waf", "Count": count} for domain, count in ordered if count][:10]}


TOPS = {  # action: column, the answer's key, the value's name
    "DescribeRuleHitsTopClientIp": ("ip", "RuleHitsTopClientIp", "ClientIp"),
    "DescribeRuleHitsTopUa": ("agent", "RuleHitsTopUa", "Ua"),
    "DescribeRuleHitsTopUrl": ("path", "RuleHitsTopUrl", "Url"),
    "DescribeRuleHitsTopResource": ("domain", "RuleHitsTopResource", "Resource"),
    "DescribeRuleHitsTopTuleType": ("scene", "RuleHitsTopTuleType", "RuleType"),
    "DescribeRuleHitsTopRuleId": ("rule", "RuleHitsTopRuleId", "RuleId"),
}


def _register(name: str, column: str, key: str, label: str) -> None:
    @waf.action(name, Effect.READ)
    def describe(
        call: Call,
        InstanceId: Id,
        StartTimestamp: Seconds,
        EndTimestamp: Seconds = 0,
        Resource: Str = "",
        RuleType: Str = "",
        IsGroupResource: Str = "",
        RegionId: Id = "",
        ResourceManagerResourceGroupId: Id = "",
    ) -> Answer:
        """Hits of rules by one of their features, most first."""
        get_instance(call, InstanceId)
        start, end = span(call, StartTimestamp, EndTimestamp)
        found = monitor(call).telemetry.top_attacks(column, start, end, _where(Resource, RuleType))
        rows: list[dict[str, Any]] = []
        for value, count in found:
            shown = b64encode(value.encode()).decode() if column == "path" else f"{value}-waf" if column == "domain" else value
            rows.append({label: shown, "Count": count, **({"Resource": Resource} if column == "rule" else {})})
        return {key: rows}


for _name, (_column, _key, _label) in TOPS.items():
    _register(_name, _column, _key, _label)
