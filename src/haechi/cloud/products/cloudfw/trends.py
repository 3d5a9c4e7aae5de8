"""Traffic, drops and hits of policies as they went, minute by minute or in larger steps."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.params import Str
from haechi.cloud.products.cloudfw.assets import assets
from haechi.cloud.products.cloudfw.kinds import MaybeDirection, Seconds
from haechi.cloud.products.cloudfw.lookup import monitor
from haechi.cloud.products.cloudfw.product import cloudfw
from haechi.cloud.products.cloudfw.telemetry import COLUMNS
from haechi.cloud.products.cloudfw.traffic import SOURCE_CODE, span

POINTS = 288  # at most, of one chart


def _steps(call: Call, start: int, end: int, direction: str = "", asset: str = "") -> tuple[int, list[dict[str, int]]]:
    """(seconds of a step, sums by step with its `time`), steps without traffic too."""
    start, end = span(start, end)
    start -= start % 60
    width = max(60, -(-(end - start) // POINTS // 60) * 60)
    rows = [{"time": time, **dict.fromkeys(COLUMNS, 0)} for time in range(start, end, width)]
    for minute in monitor(call).telemetry.minutes(start, end, direction, asset):
        row = rows[(minute["minute"] - start) // width]
        for name in COLUMNS:
            row[name] += minute[name]
    return width, rows


@cloudfw.action("DescribeInternetTrafficTrend", Effect.READ)
def describe_internet_traffic_trend(
    call: Call,
    SourceCode: SOURCE_CODE,
    StartTime: Seconds,
    EndTime: Seconds,
    Direction: MaybeDirection = "",
    SrcPublicIP: Str = "",
    SrcPrivateIP: Str = "",
    TrafficType: Str = "",
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """Bits, packets and new connections per second, of all guarded addresses or one."""
    private = {asset.private: asset.address for asset in assets(call.view) if asset.private}
    width, rows = _steps(call, StartTime, EndTime, Direction, SrcPublicIP or private.get(SrcPrivateIP, SrcPrivateIP))
    points: list[dict[str, Any]] = []
    for row in rows:
        come, gone = row["in_bytes"] * 8 // width, row["out_bytes"] * 8 // width
        point = {"Time": row["time"], "InBps": come, "OutBps": gone, "TotalBps": come + gone, "InBytes": row["in_bytes"]}
        point |= {"OutBytes": row["out_bytes"], "InPps": row["in_packets"] // width, "OutPps": row["out_packets"] // width}
        points.append({**point, "NewConn": row["sessions"], "SessionCount": row["sessions"]})
    highest = max(points, key=lambda point: point["TotalBps"], default={"Time": 0, "TotalBps": 0})

    def average(name: str) -> int:
        return int(sum(point[name] for point in points)) // max(1, len(points))

    def most(name: str) -> int:
        return max((point[name] for point in points), default=0)

    come, gone = sum(row["in_bytes"] for row in rows), sum(row["out_bytes"] for row in rows)
    return {
        "DataList": points,
        "AvgInBps": average("InBps"),
        "AvgOutBps": average("OutBps"),
        "AvgTotalBps": average("TotalBps"),
        "AvgSession": average("SessionCount"),
        "MaxInBps": most("InBps"),
        "MaxOutBps": most("OutBps"),
        "MaxTotalBps": most("TotalBps"),
        "MaxSession": most("SessionCount"),
        "MaxBandwidthTime": highest["Time"],
        "TotalInBytes": come,
        "TotalOutBytes": gone,
        "TotalBytes": come + gone,
        "TotalSession": sum(row["sessions"] for row in rows),
        "TotalExceedBytes": 0,
        "MaxDayExceedBytes": 0,
    }


@cloudfw.action("DescribeInternetDropTrafficTrend", Effect.READ)
def describe_internet_drop_traffic_trend(
    call: Call,
    SourceCode: SOURCE_CODE,
    StartTime: Seconds,
    EndTime: Seconds,
    Direction: MaybeDirection = "",
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """Dropped packets that began a connection, beside the connections that came to be; and the same span before."""
    width, rows = _steps(call, StartTime, EndTime, Direction)
    _, earlier = _steps(call, 2 * StartTime - EndTime, StartTime, Direction) if 2 * StartTime > EndTime else (width, [])
    points = []
    for index, row in enumerate(rows):
        before = earlier[index] if index < len(earlier) else dict.fromkeys(("drops", "sessions", "time"), 0)
        point = {"Time": row["time"], "DataTime": str(row["time"]), "AclDrop": row["drops"], "IpsDrop": 0, "DropSession": row["drops"]}
        point |= {"TotalSession": row["sessions"] + row["drops"], "DropRatio": _ratio(row), "DropRing": before["drops"]}
        points.append({**point, "DropRingRatio": _ratio(before), "RingTime": before["time"], "RingDataTime": str(before["time"])})

    def overall(given: list[dict[str, int]]) -> str:
        return _ratio({name: sum(row[name] for row in given) for name in ("drops", "sessions")})

    highest = max((row["drops"] for row in rows), default=0)
    return {"DataList": points, "DropSessionMax": highest, "RatioAverage": overall(rows), "RingRatioAverage": overall(earlier)}


def _ratio(row: dict[str, int]) -> str:
    total = row["drops"] + row["sessions"]
    return f"{row['drops'] / total:.4f}" if total else "0"


@cloudfw.action("DescribeACLProtectTrend", Effect.READ)
def describe_acl_protect_trend(call: Call, StartTime: Seconds, EndTime: Seconds, Lang: Str = "", SourceIp: Str = "") -> Answer:
    """What policies stopped, watched and let through."""
    if not EndTime:
        raise invalid("EndTime")
    width, rows = _steps(call, StartTime, EndTime)
    points = [{"Time": r["time"], "ProtectCnt": r["drops"], "AlertCnt": r["watched"], "PassCnt": r["sessions"]} for r in rows]
    counts = {d: sum(row["drops"] for row in _steps(call, StartTime, EndTime, d)[1]) for d in ("in", "out")}
    return {
        "Interval": width,
        "TrendList": points,
        "InProtectCnt": counts["in"],
        "OutProtectCnt": counts["out"],
        "InterVPCProtectCnt": 0,
        "TotalProtectCnt": sum(counts.values()),
        "TotalAlertCnt": sum(row["watched"] for row in rows),
        "TotalPassCnt": sum(row["sessions"] for row in rows),
    }
