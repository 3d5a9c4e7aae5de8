"""What was measured: traffic, requests, attacks."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.paging import page
from haechi.cloud.params import Id, PageNumber, PageSize, Str
from haechi.cloud.products.ddoscoo.kinds import InstanceIds, Seconds
from haechi.cloud.products.ddoscoo.lookup import DOMAIN, get_domain, get_instances, monitor
from haechi.cloud.products.ddoscoo.product import ddoscoo
from haechi.cloud.products.ddoscoo.telemetry import Event, Sample

MOST_ROWS = 10000


def _range(start: int, end: int, interval: int = 60) -> tuple[int, int]:
    if end <= start:
        raise invalid("EndTime", "It must be after StartTime.")
    if interval < 60 or (end - start) // interval > MOST_ROWS:
        raise invalid("Interval", f"It is 60 seconds or more, and the range holds at most {MOST_ROWS} of it.")
    return start // 60 * 60, end


def _buckets(samples: list[Sample], start: int, end: int, interval: int) -> list[list[Sample]]:
    found: list[list[Sample]] = [[] for _ in range(start, end, interval)]
    for sample in samples:
        found[(sample.minute - start) // interval].append(sample)
    return found


def _sum(bucket: list[Sample], name: str) -> int:
    return sum(sample.values[name] for sample in bucket)


def _peak(bucket: list[Sample], name: str) -> int:
    return max((sample.values[name] for sample in bucket), default=0)


@ddoscoo.action("DescribePortFlowList", Effect.READ)
def describe_port_flow_list(
    call: Call, InstanceIds: InstanceIds, StartTime: Seconds, EndTime: Seconds, Interval: Seconds, ResourceGroupId: Id = ""
) -> Answer:
    """In, out and dropped, bits and packets per second on the average of each interval."""
    start, end = _range(StartTime, EndTime, Interval)
    merged = [s for i in get_instances(call, InstanceIds) for s in monitor(call).telemetry.samples(i.id, start, end)]
    rows = []
    for index, bucket in enumerate(_buckets(merged, start, end, Interval)):
        rates: dict[str, Any] = {
            "InBps": _sum(bucket, "in_bytes") * 8 // Interval,
            "OutBps": _sum(bucket, "out_bytes") * 8 // Interval,
            "InPps": _sum(bucket, "in_packets") // Interval,
            "OutPps": _sum(bucket, "out_packets") // Interval,
            "AttackBps": _sum(bucket, "attack_bytes") * 8 // Interval,
            "AttackPps": _sum(bucket, "attack_packets") // Interval,
        }
        rows.append({"Index": index, "Time": start + index * Interval, "Region": "cn", **rates})
    return {"PortFlowList": rows}


@ddoscoo.action("DescribePortAttackMaxFlow", Effect.READ)
def describe_port_attack_max_flow(
    call: Call, InstanceIds: InstanceIds, StartTime: Seconds, EndTime: Seconds, ResourceGroupId: Id = ""
) -> Answer:
    """The highest dropped rates of one second."""
    start, end = _range(StartTime, EndTime)
    merged = [s for i in get_instances(call, InstanceIds) for s in monitor(call).telemetry.samples(i.id, start, end)]
    return {"Bps": _peak(merged, "attack_bps"), "Pps": _peak(merged, "attack_pps")}


def _domain_samples(call: Call, domain: str, start: int, end: int) -> list[Sample]:
    names = [get_domain(call, domain)["Domain"]] if domain else [d["Domain"] for d in call.view.find(DOMAIN)]
    return [sample for name in names for sample in monitor(call).telemetry.samples(name, start, end)]


@ddoscoo.action("DescribeDomainQPSList", Effect.READ)
def describe_domain_qps_list(
    call: Call, StartTime: Seconds, EndTime: Seconds, Interval: Seconds, Domain: Str = "", ResourceGroupId: Id = ""
) -> Answer:
    """Requests per second of a domain, or of all."""
    start, end = _range(StartTime, EndTime, Interval)
    rows = []
    for index, bucket in enumerate(_buckets(_domain_samples(call, Domain, start, end), start, end, Interval)):
        total, attack = _sum(bucket, "requests"), _sum(bucket, "attack_requests")
        row = {
            "Index": index,
            "Time": start + index * Interval,
            "TotalCount": total,
            "TotalQps": total // Interval,
            "AttackQps": attack // Interval,
        }
        highest = _peak(bucket, "qps")
        rows.append(
            {
                **row,
                "MaxQps": highest,
                "MaxAttackQps": _peak(bucket, "attack_qps"),
                "MaxNormalQps": 0 if attack else highest,
                "CacheHits": 0,
            }
        )
    return {"DomainQPSList": rows}


@ddoscoo.action("DescribeDomainOverview", Effect.READ)
def describe_domain_overview(call: Call, StartTime: Seconds, EndTime: Seconds = 0, Domain: Str = "", ResourceGroupId: Id = "") -> Answer:
    """The highest rate of requests; both schemes are counted together here."""
    start, end = _range(StartTime, EndTime or int(call.now()) + 1)
    highest = _peak(_domain_samples(call, Domain, start, end), "qps")
    return {"MaxHttp": highest, "MaxHttps": highest}


def _events(call: Call, start: int, end: int, kinds: tuple[str, ...] = (), subject: str = "") -> list[Event]:
    found = monitor(call).telemetry.events(start, end)
    return [e for e in found if (not kinds or e.kind in kinds) and (not subject or e.subject == subject)]


def _ended(call: Call, event: Event) -> int:
    return event.end or int(call.now())


@ddoscoo.action("DescribeDDoSEvents", Effect.READ)
def describe_ddos_events(
    call: Call,
    InstanceIds: InstanceIds,
    StartTime: Seconds,
    PageNumber: PageNumber,
    PageSize: PageSize,
    EndTime: Seconds = 0,
    ResourceGroupId: Id = "",
) -> Answer:
    """Attacks on the network and blackholes of instances."""
    ids = {i.id for i in get_instances(call, InstanceIds)}
    start, end = _range(StartTime, EndTime or int(call.now()) + 1)
    found = [e for e in _events(call, start, end, ("defense", "blackhole")) if e.instance in ids]
    chosen, _ = page(found, PageNumber, PageSize)
    rows = [
        {
            "EventType": e.kind,
            "Ip": e.subject,
            "Port": "",
            "Region": "cn",
            "StartTime": e.start,
            "EndTime": _ended(call, e),
            "Bps": e.bps,
            "Pps": e.pps,
        }
        for e in chosen
    ]
    return {"DDoSEvents": rows, "Total": len(found)}


@ddoscoo.action("DescribeDDosAllEventList", Effect.READ)
def describe_ddos_all_event_list(
    call: Call, StartTime: Seconds, EndTime: Seconds, PageNumber: PageNumber, PageSize: PageSize, EventType: Str = "", Ip: Str = ""
) -> Answer:
    """Attacks of every kind."""
    start, end = _range(StartTime, EndTime)
    found = _events(call, start, end, (EventType,) if EventType else (), Ip)
    chosen, _ = page(found, PageNumber, PageSize)
    rows = [
        {
            "EventType": e.kind,
            "Ip": e.subject,
            "Port": "",
            "Area": "cn",
            "StartTime": e.start,
            "EndTime": _ended(call, e),
            "Mbps": e.bps // 10**6,
            "Pps": e.pps,
        }
        for e in chosen
    ]
    return {"AttackEvents": rows, "Total": len(found)}


@ddoscoo.action("DescribeDDosEventMax", Effect.READ)
def describe_ddos_event_max(call: Call, StartTime: Seconds, EndTime: Seconds, Ip: Str = "") -> Answer:
    """The highest peaks of all attacks."""
    found = _events(call, *_range(StartTime, EndTime), subject=Ip)
    highest = {name: max((getattr(e, name) for e in found), default=0) for name in ("bps", "pps", "qps")}
    return {"Mbps": highest["bps"] // 10**6, "Cps": highest["pps"], "Qps": highest["qps"]}


@ddoscoo.action("DescribeDomainAttackEvents", Effect.READ)
def describe_domain_attack_events(
    call: Call, StartTime: Seconds, EndTime: Seconds, PageNumber: PageNumber, PageSize: PageSize, Domain: Str = "", ResourceGroupId: Id = ""
) -> Answer:
    """Floods of requests."""
    found = _events(call, *_range(StartTime, EndTime), ("web-cc",), Domain)
    chosen, _ = page(found, PageNumber, PageSize)
    rows = [{"Domain": e.subject, "StartTime": e.start, "EndTime": _ended(call, e), "MaxQps": e.qps} for e in chosen]
    return {"DomainAttackEvents": rows, "TotalCount": len(found)}
