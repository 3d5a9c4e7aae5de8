"""Figures of the edge: policies of Cloud Firewall, requests through longer chains, a rule's way to its effect."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from haechi.dataplane.plan import Plan, Policy
from haechi.dataplane.waf_plan import Condition, WafRule
from tests.bench.chains import chain_figures
from tests.bench.floods import flood_figures
from tests.packets.waflab import WafLab
from tests.packets.walllab import WallLab

SECONDS = 3.0
CLIENTS = 8
SIZES = (10, 1000, 10000)


def edge_figures() -> dict[str, object]:
    """Everything below; about ten minutes."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        walls, wafs = wall_figures(place / "wall"), waf_figures(place / "waf")
        return {**walls, **wafs, **chain_figures(place / "chains"), **flood_figures(place / "floods")}


def wall_figures(folder: Path) -> dict[str, object]:
    """Seconds that 10, 1 000 and 10 000 policies take to apply."""
    folder.mkdir()
    lab = WallLab(folder)
    try:
        found: dict[str, object] = {}
        for size in SIZES:
            policies = tuple(
                Policy(f"p{n}", "in", "drop", "tcp", sources=(f"203.{n // 62500}.{n // 250 % 250}.{n % 250}/32",)) for n in range(size)
            )
            lab.wall.apply(Plan())
            started = time.monotonic()
            lab.apply(*policies)
            found[f"{size} policies, first applied, s"] = round(time.monotonic() - started, 3)
            started = time.monotonic()
            lab.apply(Policy("one-more", "in", "drop", "tcp", ports=((9999, 9999),)), *policies)
            found[f"{size} policies, one more in front, s"] = round(time.monotonic() - started, 3)
        return found
    finally:
        lab.down()


def waf_figures(folder: Path) -> dict[str, object]:
    """Requests per second and milliseconds with the core rules off, watching and blocking; a rule to its effect."""
    folder.mkdir()
    lab = WafLab(folder)
    try:
        origin = f"http://{lab.places['a']}:8080"
        found: dict[str, object] = {"origin itself, requests/s, p50 ms, p99 ms": _load(origin)}
        for mode in ("off", "watch", "block"):
            lab.apply(lab.domain(mode=mode))
            found[f"through WAF, core rules {mode}, requests/s, p50 ms, p99 ms"] = _load(f"http://{lab.address}")
        found["custom rule to its effect, s, median of 7"] = _effect(lab)
        return found
    finally:
        lab.down()


def _load(url: str) -> tuple[int, float, float]:
    times: list[float] = []
    end = time.monotonic() + SECONDS

    def visit() -> None:
        with httpx.Client(base_url=url, trust_env=False, headers={"Host": "shop.test"}) as client:
            while time.monotonic() < end:
                started = time.monotonic()
                client.get("/?q=cat+pictures&page=2").raise_for_status()
                times.append(time.monotonic() - started)

    _together([visit] * CLIENTS)
    ordered = sorted(times)
    p50, p99 = (round(ordered[int(len(ordered) * share)] * 1000, 1) for share in (0.5, 0.99))
    return round(len(times) / SECONDS), p50, p99


def _effect(lab: WafLab) -> float:
    seconds = []
    for number in range(7):
        rule = WafRule(number, "custom", conditions=(Condition("path", "eq", (f"/{number}",)),))
        started = time.monotonic()
        lab.apply(lab.domain(rules=(rule,)))
        while httpx.get(f"http://{lab.address}/{number}", headers={"Host": "shop.test"}, trust_env=False).status_code != 405:
            time.sleep(0.01)
        seconds.append(time.monotonic() - started)
    return round(statistics.median(seconds), 3)


def _together(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
