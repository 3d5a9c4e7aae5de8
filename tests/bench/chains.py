"""Requests per second and milliseconds through longer and longer chains, beside plain proxies and bare nginx with ModSecurity."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.chainlab import HOST, ChainLab

SECONDS = 4
ROUNDS = 3  # every chain in every round, so that the machine's moods meet all of them
CONNECTIONS = 32
POLICIES = (0, 10, 1000, 10000)
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
BROWSER = {
    "Host": HOST,
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml",
    "Accept-Language": "ko,en;q=0.8",
    "Cookie": "session=0123456789abcdef",
}


@dataclass(frozen=True)
class Speed:
    """Requests per second; milliseconds that half and 99 of 100 take at most; how many were not answered with 2xx or 3xx."""

    rate: float
    p50: float
    p99: float
    failed: int

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.rate:.0f}/s p50 {self.p50:.1f} p99 {self.p99:.1f} ms{failed}"


def chain_figures(folder: Path) -> dict[str, object]:
    """{chain: "requests/s, p50 ms, p99 ms"} and the two ratios that matter; about three minutes."""
    folder.mkdir()
    lab = ChainLab(folder)
    chains: dict[str, Callable[[], str]] = {
        "plain nginx": lambda: lab.plain("nginx"),
        "plain haproxy": lambda: lab.plain("haproxy"),
        "bare nginx + ModSecurity + core rules": lambda: lab.plain("modsecurity"),
        "SLB": lambda: lab.edge(),
        "SLB, Cloud Firewall with 100 policies": lambda: lab.edge(policies=100),
        "Anti-DDoS, SLB": lambda: lab.edge(scrubber=True),
        "WAF off, SLB": lambda: lab.edge("off"),
        "WAF watching, SLB": lambda: lab.edge("watch"),
        "WAF blocking, SLB": lambda: lab.edge("block"),
        "Anti-DDoS, Cloud Firewall, WAF off, SLB": lambda: lab.edge("off", scrubber=True, policies=100),
        "Anti-DDoS, Cloud Firewall, WAF blocking, SLB": lambda: lab.edge("block", scrubber=True, policies=100),
    }
    measured: dict[str, list[Speed]] = {name: [] for name in chains}
    try:
        for _ in range(ROUNDS):
            for name, prepare in chains.items():
                url = prepare()
                wrk(url, 1)  # workers of before end, new ones fill their caches
                measured[name].append(wrk(url))
        memory = lab.memory_mib()
        connections = {size: wrk(lab.edge(policies=size), closing=True) for size in POLICIES}
    finally:
        lab.down()
    middle = {name: _middle(found) for name, found in measured.items()}
    rate = {name: speed.rate for name, speed in middle.items()}
    told: dict[str, object] = {f"chain: {name}": str(speed) for name, speed in middle.items()}
    whole = "Anti-DDoS, Cloud Firewall, WAF blocking, SLB"
    return {
        **told,
        **{f"new connections through SLB past {size} policies": str(speed) for size, speed in connections.items()},
        **{f"{hop}, PSS MiB": mib for hop, mib in memory.items()},
        "WAF blocking, of bare ModSecurity's throughput": _share(rate["WAF blocking, SLB"], rate["bare nginx + ModSecurity + core rules"]),
        "all hops, of the throughput with WAF alone": _share(rate[whole], rate["WAF blocking, SLB"]),
        "SLB, of plain haproxy's throughput": _share(rate["SLB"], rate["plain haproxy"]),
        "Anti-DDoS and SLB, of plain nginx's throughput": _share(rate["Anti-DDoS, SLB"], rate["plain nginx"]),
    }


def wrk(url: str, seconds: int = SECONDS, *, closing: bool = False) -> Speed:
    """A browser's page view with three arguments, over and over on keep-alive connections; `closing`: one a connection."""
    more = {"Connection": "close"} if closing else {}
    headers = [word for name, value in {**BROWSER, **more}.items() for word in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", *headers, f"{url}/?q=cat+pictures&page=2&sort=new"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {name: float(value) * UNITS[unit] for name, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", text)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if rate is None:
        raise RuntimeError(f"wrk says: {text}")
    return Speed(float(rate[1]), found["50"], found["99"], int(failed[1]) if failed else 0)


def _middle(found: list[Speed]) -> Speed:
    return Speed(
        statistics.median(one.rate for one in found),
        statistics.median(one.p50 for one in found),
        statistics.median(one.p99 for one in found),
        sum(one.failed for one in found),
    )


def _share(one: float, other: float) -> str:
    return f"{100 * one / other:.0f} %"
