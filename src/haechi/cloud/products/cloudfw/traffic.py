"""The flow log, and who has the most traffic."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.params import Choice, Id, Int, Number, Str
from haechi.cloud.products.cloudfw.assets import assets
from haechi.cloud.products.cloudfw.kinds import MaybeDirection, Paged, Rows, Seconds
from haechi.cloud.products.cloudfw.lookup import POLICY, monitor
from haechi.cloud.products.cloudfw.product import cloudfw
from haechi.cloud.products.cloudfw.telemetry import KEEP_SECONDS, Flow

SOURCE_CODE = Annotated[str, Choice(("yundun",))]
RULE_SOURCE = 3  # access control
TOPS = {"srcip": "src", "dstip": "dst", "dstport": "dport", "domain": "domain", "asset": "asset", "proto": "protocol"}
TopType = Annotated[str, Choice(tuple(TOPS))]
Limit = Annotated[int, Number(1, 100)]


def span(start: int, end: int) -> tuple[int, int]:
    """A range of time. Raises InvalidParameter."""
    if end <= start:
        raise invalid("EndTime", "It must be after StartTime.")
    if end - start > KEEP_SECONDS + 86400:
        raise invalid("StartTime", "What was seen is kept for seven days.")
    return start, end


@cloudfw.action("DescribeTrafficLog", Effect.READ, limit="looked at every two seconds; of a policy's drops 200 a second are told")
def describe_traffic_log(
    call: Call,
    SourceCode: SOURCE_CODE,
    StartTime: Seconds,
    EndTime: Seconds,
    CurrentPage: Paged = 1,
    PageNo: Int = 0,
    PageSize: Rows = 10,
    Direction: MaybeDirection = "",
    SrcIP: Str = "",
    SrcPort: Str = "",
    DstIP: Str = "",
    DstPort: Str = "",
    IpProtocol: Str = "",
    IPProtocol: Str = "",
    DomainName: Str = "",
    RuleId: Id = "",
    RuleResult: Str = "",
    RuleSource: Str = "",
    SrcPrivateIP: Str = "",
    AssetRegion: Str = "",
    FlowType: Str = "",
    FirewallType: Str = "",
    IpVersion: Str = "",
    AppId: Str = "",
    Isp: Str = "",
    Location: Str = "",
    VulLevel: Str = "",
    AttackType: Str = "",
    MemberUid: Int = 0,
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """A page of connections and drops, newest first. RuleResult: 0 passed, 1 watched, 2 dropped."""
    start, end = span(StartTime, EndTime)
    private = {asset.private: asset.address for asset in assets(call.view) if asset.private}
    given: dict[str, Any] = {"direction": Direction, "src": SrcIP or private.get(SrcPrivateIP, SrcPrivateIP), "dst": DstIP}
    given |= {"sport": SrcPort, "dport": DstPort, "protocol": (IpProtocol or IPProtocol).lower(), "domain": DomainName, "policy": RuleId}
    given |= {"result": {"pass": "0", "alert": "1", "drop": "2"}.get(RuleResult, RuleResult)}
    where = {name: value for name, value in given.items() if value != ""}
    if RuleSource in ("3", "acl"):
        where["!policy"] = ""
    elif RuleSource not in ("", "0"):
        return _page([], 0, CurrentPage, PageSize)
    number = PageNo or CurrentPage
    found, count = monitor(call).telemetry.flows(start, end, where, PageSize, (number - 1) * PageSize)
    owners = {asset.address: (asset.private, asset.instance, asset.region) for asset in assets(call.view)}
    names = {policy.id: policy["Description"] for policy in call.view.find(POLICY)}
    return _page([_render(flow, owners, names) for flow in found], count, number, PageSize)


def _page(rows: list[dict[str, Any]], count: int, number: int, size: int) -> Answer:
    return {"DataList": rows, "PageInfo": {"CurrentPage": number, "PageSize": size, "TotalCount": count}, "QueryId": ""}


def _render(flow: Flow, owners: dict[str, tuple[str, str, str]], names: dict[str, str]) -> dict[str, Any]:
    private, instance, region = owners.get(flow.asset, ("", "", ""))
    return {
        "StartTime": flow.first,
        "EndTime": flow.last,
        "Direction": flow.direction,
        "SrcIP": flow.src,
        "SrcPort": flow.sport,
        "SrcPrivateIP": private if flow.direction == "out" else "",
        "DstIP": flow.dst,
        "DstPort": flow.dport,
        "IpProtocol": flow.protocol,
        "PrivateIp": private,
        "CloudInstanceId": instance,
        "RegionId": region,
        "DomainName": flow.domain,
        "InBytes": str(flow.in_bytes),
        "OutBytes": str(flow.out_bytes),
        "InPackets": str(flow.in_packets),
        "OutPackets": str(flow.out_packets),
        "PacketBytes": flow.in_bytes + flow.out_bytes,
        "PacketCount": flow.in_packets + flow.out_packets,
        "RuleId": flow.policy,
        "RuleName": names.get(flow.policy, ""),
        "RuleResult": flow.result,
        "RuleSource": str(RULE_SOURCE if flow.policy else 0),
    }


@cloudfw.action("DescribeInternetTrafficTop", Effect.READ)
def describe_internet_traffic_top(
    call: Call,
    SourceCode: SOURCE_CODE,
    DataType: TopType,
    StartTime: Seconds,
    EndTime: Seconds,
    Direction: MaybeDirection = "",
    Limit: Limit = 10,
    RuleResult: Str = "",
    RuleSource: Str = "",
    ShowCountryName: Str = "",
    Sort: Str = "",
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """The values of one kind with the most bytes: srcIP, dstIP, dstPort, domain, asset or proto."""
    start, end = span(StartTime, EndTime)
    column = TOPS[DataType]
    where: dict[str, Any] = {"direction": Direction} if Direction else {}
    if RuleResult:
        where["result"] = RuleResult
    if column == "domain":
        where["!domain"] = ""
    rows = []
    for name, sessions, come, gone, _ in monitor(call).telemetry.top(column, start, end, where, Limit):
        counts = {"DataValue": str(come + gone), "SessionCount": sessions, "TotalBytes": come + gone}
        rows.append({"DataName": name, **counts, "LabelList": [], "IsSubscribed": False})
    return {"DataType": DataType, "DataCount": len(rows), "DataList": rows}
