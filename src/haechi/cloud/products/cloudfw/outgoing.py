"""Where guarded addresses connect to, and what of them is reached from outside."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.paging import page
from haechi.cloud.params import Str
from haechi.cloud.products.cloudfw.assets import assets
from haechi.cloud.products.cloudfw.kinds import Paged, Rows, Seconds
from haechi.cloud.products.cloudfw.lookup import monitor
from haechi.cloud.products.cloudfw.product import cloudfw
from haechi.cloud.products.cloudfw.telemetry import DROP, PASS, WATCH
from haechi.cloud.products.cloudfw.traffic import span

MOST = 1000
OUT: dict[str, Any] = {"direction": "out", "result": [PASS, WATCH]}
Row = tuple[str, int, int, int, int]


def _top(call: Call, column: str, start: int, end: int, where: dict[str, Any]) -> list[Row]:
    return monitor(call).telemetry.top(column, *span(start, end), where, MOST)


@cloudfw.action("DescribeOutgoingStatistic", Effect.READ)
def describe_outgoing_statistic(call: Call, StartTime: Seconds, EndTime: Seconds, Lang: Str = "", SourceIp: Str = "") -> Answer:
    """How many addresses, names and assets outbound connections had."""
    named = {**OUT, "!domain": ""}
    counts = {
        "TotalAssetCount": len(_top(call, "asset", StartTime, EndTime, OUT)),
        "TotalDstIPCount": len(_top(call, "dst", StartTime, EndTime, OUT)),
        "TotalDomainCount": len(_top(call, "domain", StartTime, EndTime, named)),
        "TotalProtocolCount": len(_top(call, "protocol", StartTime, EndTime, OUT)),
        "UncoveredAclDstIP": len(_top(call, "dst", StartTime, EndTime, {**OUT, "policy": ""})),
        "UncoveredAclDomain": len(_top(call, "domain", StartTime, EndTime, {**named, "policy": ""})),
    }
    zeros = (
        "RiskAssetCount",
        "RiskDomainCount",
        "RiskDstIPCount",
        "IgnoreAssetCount",
        "IgnoreDomainCount",
        "IgnoreDstIPCount",
        "SubscribeAssetCount",
        "SubscribeDomainCount",
        "SubscribeDstIPCount",
        "PrivateRiskAssetCount",
    )
    private = {asset.address for asset in assets(call.view) if asset.private}
    inside = sum(1 for row in _top(call, "asset", StartTime, EndTime, OUT) if row[0] in private)
    return {**counts, **dict.fromkeys(zeros, 0), "PrivateTotalAssetCount": inside, "UnknownProtocolRadio": "0"}


def _connected(call: Call, column: str, name: str, start: int, end: int, where: dict[str, Any]) -> list[dict[str, Any]]:
    """What was connected to, by a column of flows that the wire calls `name`, most bytes first."""
    rows = _top(call, column, start, end, where)
    ports = monitor(call).telemetry.distinct("dport", column, start, end, where)
    covered = monitor(call).telemetry.distinct("policy", column, start, end, {**where, "!policy": ""})
    return [{name: row[0], **_counts(row), **_coverage(covered.get(row[0], [])), **_ports(ports.get(row[0], []))} for row in rows]


@cloudfw.action("DescribeOutgoingDestinationIP", Effect.READ)
def describe_outgoing_destination_ip(
    call: Call,
    StartTime: Seconds,
    EndTime: Seconds,
    CurrentPage: Paged = 1,
    PageSize: Rows = 10,
    DstIP: Str = "",
    Port: Str = "",
    PrivateIP: Str = "",
    PublicIP: Str = "",
    ApplicationName: Str = "",
    CategoryId: Str = "",
    TagIdNew: Str = "",
    Order: Str = "",
    Sort: Str = "",
    Lang: Str = "",
) -> Answer:
    """Addresses that were connected to, most bytes first."""
    where = {**OUT, **_asset(call, PublicIP, PrivateIP), **({"dst": DstIP} if DstIP else {}), **({"dport": Port} if Port else {})}
    listed = _connected(call, "dst", "DstIP", StartTime, EndTime, where)
    return {"DstIPList": page(listed, CurrentPage, PageSize)[0], "TotalCount": len(listed)}


@cloudfw.action("DescribeOutgoingDomain", Effect.READ, limit="names are those that this cloud's resolvers answered with the address")
def describe_outgoing_domain(
    call: Call,
    StartTime: Seconds,
    EndTime: Seconds,
    CurrentPage: Paged = 1,
    PageSize: Rows = 10,
    Domain: Str = "",
    PublicIP: Str = "",
    DataType: Str = "",
    CategoryId: Str = "",
    TagIdNew: Str = "",
    IsAITraffic: Str = "",
    Order: Str = "",
    Sort: Str = "",
    Lang: Str = "",
) -> Answer:
    """Names that were connected to, most bytes first."""
    where: dict[str, Any] = {**OUT, "!domain": "", **_asset(call, PublicIP, ""), **({"domain": Domain} if Domain else {})}
    listed = _connected(call, "domain", "Domain", StartTime, EndTime, where)
    return {"DomainList": page(listed, CurrentPage, PageSize)[0], "TotalCount": len(listed)}


@cloudfw.action("DescribeOutgoingAssetList", Effect.READ)
def describe_outgoing_asset_list(
    call: Call,
    StartTime: Seconds,
    EndTime: Seconds,
    CurrentPage: Paged = 1,
    PageSize: Rows = 10,
    PublicIP: Str = "",
    PrivateIP: Str = "",
    AssetsRegion: Str = "",
    ResourceType: Str = "",
    SecurityRisk: Str = "",
    IPType: Str = "",
    GroupName: Str = "",
    NatGatewayId: Str = "",
    NatGatewayName: Str = "",
    Order: Str = "",
    Sort: Str = "",
    Lang: Str = "",
) -> Answer:
    """Guarded addresses that connected to others, most bytes first."""
    owners = {asset.address: asset for asset in assets(call.view)}
    telemetry = monitor(call).telemetry
    names = telemetry.distinct("domain", "asset", StartTime, EndTime, {**OUT, "!domain": ""})
    places = telemetry.distinct("dst", "asset", StartTime, EndTime, OUT)
    listed = []
    for address, sessions, come, gone, _ in _top(call, "asset", StartTime, EndTime, {**OUT, **_asset(call, PublicIP, PrivateIP)}):
        owner = owners.get(address)
        region, kind = (owner.region, owner.type) if owner else ("", "")
        if AssetsRegion not in ("", region) or ResourceType not in ("", kind):
            continue
        row: dict[str, Any] = {"PublicIP": address, "SessionCount": sessions, "InBytes": come, "OutBytes": gone, "TotalBytes": come + gone}
        row |= {"OutgoingDomainCnt": len(names.get(address, [])), "OutgoingDstIPCnt": len(places.get(address, [])), "IpsHitCnt": 0}
        if owner is not None:
            row |= {"PrivateIP": owner.private, "PrivateIPList": [owner.private] if owner.private else [], "ResourceType": owner.type}
            row |= {"AssetInstanceId": owner.instance, "AssetInstanceName": owner.name, "AssetsRegion": owner.region}
        listed.append({**row, "SecurityRisk": "safe"})
    return {"AssetList": page(listed, CurrentPage, PageSize)[0], "TotalCount": len(listed)}


@cloudfw.action("DescribeInternetOpenIp", Effect.READ, limit="ports are those that somebody reached while the address was guarded")
def describe_internet_open_ip(
    call: Call,
    CurrentPage: Paged,
    PageSize: Rows,
    StartTime: Seconds = 0,
    EndTime: Seconds = 0,
    PublicIp: Str = "",
    Port: Str = "",
    AssetsInstanceId: Str = "",
    AssetsInstanceName: Str = "",
    AssetsType: Str = "",
    RegionNo: Str = "",
    RiskLevel: Str = "",
    ServiceName: Str = "",
    Lang: Str = "",
) -> Answer:
    """Guarded addresses that were reached from outside, with the ports."""
    start, end = _recent(call, StartTime, EndTime)
    where: dict[str, Any] = {"direction": "in", "result": [PASS, WATCH], **({"asset": PublicIp} if PublicIp else {})}
    where |= {"dport": Port} if Port else {}
    telemetry = monitor(call).telemetry
    ports, sources = telemetry.distinct("dport", "asset", start, end, where), telemetry.distinct("src", "asset", start, end, where)
    owners = {asset.address: asset for asset in assets(call.view)}
    rows = []
    for address, _, come, gone, _ in _top(call, "asset", start, end, where):
        owner = owners.get(address)
        if owner is None or any(wanted and wanted != has for wanted, has in ((AssetsInstanceId, owner.instance), (RegionNo, owner.region))):
            continue
        row: dict[str, Any] = {"PublicIp": address, "AssetsInstanceId": owner.instance, "AssetsName": owner.name, "AssetsType": owner.type}
        row |= {"RegionNo": owner.region, "PortList": ports.get(address, []), "DetailNum": len(ports.get(address, [])), "RiskLevel": 0}
        rows.append({**row, "SrcIpCnt": len(sources.get(address, [])), "InBytes": come, "OutBytes": gone, "TotalBytes": come + gone})
    chosen, _ = page(rows, CurrentPage, PageSize)
    return {"DataList": chosen, "PageInfo": {"CurrentPage": CurrentPage, "PageSize": PageSize, "TotalCount": len(rows)}}


@cloudfw.action("DescribeInternetOpenStatistic", Effect.READ)
def describe_internet_open_statistic(
    call: Call, StartTime: Seconds = 0, EndTime: Seconds = 0, Lang: Str = "", SourceIp: Str = ""
) -> Answer:
    """How many addresses and ports are reached from outside."""
    start, end = _recent(call, StartTime, EndTime)
    reached = monitor(call).telemetry.distinct("dport", "asset", start, end, {"direction": "in", "!result": DROP})
    balancers = {asset.address for asset in assets(call.view) if asset.type.startswith("Slb")}
    every = {port for ports in reached.values() for port in ports}
    return {
        "InternetIpNum": len(reached),
        "InternetPortNum": len(every),
        "InternetServiceNum": len(every),
        "InternetSlbIpNum": len(reached.keys() & balancers),
        "InternetSlbIpPortNum": sum(len(ports) for address, ports in reached.items() if address in balancers),
        "InternetRiskIpNum": 0,
        "InternetRiskPortNum": 0,
        "InternetRiskServiceNum": 0,
        "InternetUnprotectedPortNum": 0,
    }


def _recent(call: Call, start: int, end: int) -> tuple[int, int]:
    """The range that was asked for, or the last seven days."""
    end = end or int(call.now()) + 1
    return span(start or end - 7 * 86400, end)


def _asset(call: Call, public: str, private: str) -> dict[str, Any]:
    if private:
        public = next((asset.address for asset in assets(call.view) if asset.private == private), private)
    return {"asset": public} if public else {}


def _counts(row: Row) -> dict[str, Any]:
    _, sessions, come, gone, owners = row
    return {"SessionCount": sessions, "InBytes": come, "OutBytes": gone, "TotalBytes": str(come + gone), "AssetCount": owners}


def _coverage(policies: list[str]) -> dict[str, Any]:
    has, coverage = ("true", "FullCoverage") if policies else ("false", "Uncovered")
    return {"HasAcl": has, "AclCoverage": coverage, "RuleId": ",".join(policies)}


def _ports(ports: list[str]) -> dict[str, Any]:
    return {"ApplicationPortList": [{"ApplicationName": "Unknown", "Port": int(port)} for port in ports]}
