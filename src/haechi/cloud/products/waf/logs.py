"""The log of attacks, and the newer statistics over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.jsontext import parse_object, whole
from haechi.cloud.params import Choice, Id, Number, PageNumber, PageSize, Str, Text
from haechi.cloud.products.waf.lookup import get_instance, monitor
from haechi.cloud.products.waf.product import waf
from haechi.cloud.products.waf.statistics import domain_of, span

Filter = Annotated[str, Text(65536)]
Top = Annotated[int, Number(1, 10)]
Step = 60
FIELDS = {
    "matched_host": "domain",
    "host": "domain",
    "real_client_ip": "ip",
    "request_path": "path",
    "http_user_agent": "agent",
    "final_plugin": "scene",
    "defense_scene": "scene",
    "final_rule_id": "rule",
    "defense_scene_rule_id": "rule",
    "final_action": "action",
    "action": "action",
    "web_attack_type": "type",
    "defense_scene_rule_type": "type",
}
METRICS = {
    "real_client_ip": "ip",
    "http_user_agent": "agent",
    "matched_host": "domain",
    "request_path": "path",
    "defense_scene": "scene",
    "block_defense_scene": "scene",
    "defense_scene_rule_id": "rule",
    "defense_scene_top_rule_id": "rule",
    "defense_scene_with_rule_id": "rule",
    "defense_scene_rule_type": "type",
}
SERIES = (
    "mitigated_requests",
    "monitored_requests",
    "mitigated_requests_group_by_defense_scene",
    "mitigated_requests_group_by_block_defense_scene",
)


def _read(call: Call, instance: str, text: str) -> tuple[int, int, dict[str, Sequence[str]]]:
    """(start, end, conditions) of a Filter. Raises InvalidParameter."""
    get_instance(call, instance)
    given = parse_object("Filter", text)
    dates = given.get("DateRange") or {}
    if not isinstance(dates, dict):
        raise invalid("Filter.DateRange")
    now = int(call.now()) + 1
    start, end = (
        whole(f"Filter.DateRange.{name}", dates.get(name, other), 0, 2**41) for name, other in (("StartDate", 0), ("EndDate", now))
    )
    start, end = (value // 1000 if value > 2**33 else value for value in (start, end))
    where: dict[str, Sequence[str]] = {}
    conditions = given.get("Conditions") or []
    if not isinstance(conditions, list) or not all(isinstance(item, dict) for item in conditions):
        raise invalid("Filter.Conditions")
    for item in conditions:
        column = FIELDS.get(str(item.get("Key")))
        if column is None or item.get("OpValue") not in ("eq", "match-one", "contain"):
            raise invalid("Filter.Conditions", f"This cloud compares {', '.join(FIELDS)} by eq and match-one.")
        values = item.get("Values", "")
        texts = [str(value) for value in values] if isinstance(values, list) else str(values).split(",")
        where[column] = [domain_of(text) if column == "domain" else text for text in texts]
    return *span(call, start or end - 86400, end), where


def _meta(start: int, end: int) -> dict[str, Any]:
    return {"DateRange": {"StartDate": start, "EndDate": end}, "Units": "requests"}


@waf.action("DescribeSecurityEventLogs", Effect.READ)
def describe_security_event_logs(
    call: Call,
    InstanceId: Id,
    Filter: Filter,
    PageNumber: PageNumber,
    PageSize: PageSize,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """A page of attacks, newest first, with the log's own names of fields."""
    start, end, where = _read(call, InstanceId, Filter)
    found, count = monitor(call).telemetry.attacks(start, end, where, PageSize, (PageNumber - 1) * PageSize)
    rows = [row for row, _, _ in found]
    return {"SecurityEventLogs": rows, "SecurityEventLogsTotalCount": count, "SecurityEventMetaData": _meta(start, end)}


@waf.action("DescribeSecurityEventTopNMetric", Effect.READ)
def describe_security_event_top_n_metric(
    call: Call,
    InstanceId: Id,
    Filter: Filter,
    Metric: Annotated[str, Choice(tuple(METRICS))],
    Limit: Top,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Values of one field of attacks, most first."""
    start, end, where = _read(call, InstanceId, Filter)
    if Metric == "block_defense_scene":
        where = {**where, "action": ["block"]}
    found = monitor(call).telemetry.top_attacks(METRICS[Metric], start, end, where, Limit)
    rows = [{"Name": f"{value}-waf" if Metric == "matched_host" else value, "Value": count, "Attribute": ""} for value, count in found]
    return {"SecurityEventTopNValues": rows, "TopNMetaData": _meta(start, end)}


@waf.action("DescribeSecurityEventTimeSeriesMetric", Effect.READ)
def describe_security_event_time_series_metric(
    call: Call,
    InstanceId: Id,
    Filter: Filter,
    Metric: Annotated[str, Choice(SERIES)],
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Attacks over time: those stopped, those watched, or those stopped by scene."""
    start, end, where = _read(call, InstanceId, Filter)
    width = max(Step, -(-(end - start) // 288 // Step) * Step)
    wanted = "monitor" if Metric == "monitored_requests" else "block"
    grouped = "group_by" in Metric
    column = "scene" if grouped else "action"
    found = monitor(call).telemetry.attack_series(start, end, width, {**where, "action": [wanted]}, column)
    names = sorted({name for _, name, _ in found}) if grouped else [wanted]
    rows = [{"Metric": name if grouped else Metric, **_series(start, end, width, found, name)} for name in names]
    return {"SecurityEventTimeSeries": rows, "TimeSeriesMetaData": {**_meta(start, end), "AggregateInterval": f"{width}s"}}


@waf.action("DescribeNetworkFlowTimeSeriesMetric", Effect.READ)
def describe_network_flow_time_series_metric(
    call: Call,
    InstanceId: Id,
    Filter: Filter,
    Metric: Annotated[str, Choice(("qps", "total_requests", "top5_status", "top5_upstream_status"))],
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Requests over time: the highest rate of a second, all, or by status."""
    start, end, where = _read(call, InstanceId, Filter)
    start -= start % 60
    width = max(Step, -(-(end - start) // 288 // Step) * Step)
    domain = (list(where.get("domain", [])) or [""])[0]
    telemetry = monitor(call).telemetry
    if Metric in ("qps", "total_requests"):
        at = 2 if Metric == "qps" else 1
        found = [(start + (row[0] - start) // width * width, Metric, row[at]) for row in telemetry.minutes(start, end, domain)]
        names, most = [Metric], Metric == "qps"
    else:
        kind = "status" if Metric == "top5_status" else "upstream"
        series = [item for item in telemetry.series(kind, start, end, domain) if item[1]]
        found = [(start + (minute - start) // width * width, value, count) for minute, value, count in series]
        names, most = [value for value, _ in telemetry.top(kind, start, end, domain, 6) if value][:5], False
    rows = [{"Metric": name, **_series(start, end, width, found, name, most)} for name in names]
    return {"NetworkFlowTimeSeries": rows, "TimeSeriesMetaData": {**_meta(start, end), "AggregateInterval": f"{width}s"}}


@waf.action("DescribeNetworkFlowTopNMetric", Effect.READ)
def describe_network_flow_top_n_metric(
    call: Call,
    InstanceId: Id,
    Filter: Filter,
    Metric: Str,
    Limit: Top,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Values of one field of all requests, most first: real_client_ip, http_user_agent, request_path, status."""
    start, end, where = _read(call, InstanceId, Filter)
    kinds = {"real_client_ip": "ip", "http_user_agent": "agent", "request_path": "path", "status": "status"}
    if Metric not in kinds:
        raise invalid("Metric", f"It must be one of {', '.join(kinds)}.")
    found = monitor(call).telemetry.top(kinds[Metric], start, end, (list(where.get("domain", [])) or [""])[0], Limit)
    rows = [{"Name": value, "Value": count, "Attribute": ""} for value, count in found]
    return {"NetworkFlowTopNValues": rows, "TopNMetaData": _meta(start, end)}


def _series(start: int, end: int, width: int, found: list[tuple[int, str, int]], name: str, most: bool = False) -> dict[str, Any]:
    times = list(range(start, end, width))
    values = dict.fromkeys(times, 0)
    for time, one, count in found:
        if one == name and time in values:
            values[time] = max(values[time], count) if most else values[time] + count
    return {"Timestamps": [str(time) for time in times], "Values": [values[time] for time in times]}
