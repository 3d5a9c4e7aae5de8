"""A steady visitor before, during and after each flood, with the scrubber's limits and without; and how soon floods are met."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.packets.floods import FLOODS, SOURCES, VISITOR
from tests.packets.scrubberlab import ID, ScrubberLab

SECONDS = 5


def flood_figures(folder: Path) -> dict[str, object]:
    """{"<kind> flood, <limits>": "before/during/after served of asked, p50 ms, sent by the flood, seconds until it was met"}."""
    folder.mkdir()
    lab = ScrubberLab(folder)
    try:
        lab.place("visitor")
        many = lab.sources("flood", max(SOURCES.values()))
        return {
            f"{kind} flood, {'limits on' if limited else 'no limits'}": _one(lab, kind, many[: SOURCES.get(kind, 1)], limited)
            for kind in FLOODS
            for limited in (False, True)
        }
    finally:
        lab.down()


def _one(lab: ScrubberLab, kind: str, sources: list[str], limited: bool) -> str:
    if limited:
        lab.apply(lab.front(per_source=400))
    else:
        lab.apply(lab.front(per_source=0), syn_per_source=0, concurrent=0)
    before, start = _steady(lab), lab.scrubbers.read(ID).drops.get(kind, (0, 0))[0]
    flood = lab.start("flood", FLOODS[kind], lab.address, str(SECONDS + 2), ",".join(sources))
    visitor = lab.start("visitor", VISITOR, lab.address, str(SECONDS))
    began, met = time.monotonic(), None
    while visitor.poll() is None:
        if met is None and lab.scrubbers.read(ID).drops.get(kind, (0, 0))[0] > start:
            met = round(time.monotonic() - began, 2)
        time.sleep(0.05)
    during: dict[str, Any] = json.loads(visitor.communicate()[0])
    sent, *refused = flood.communicate(timeout=60)[0].split()
    if refused and float(refused[0]) >= 0:
        met = float(refused[0])
    after = _steady(lab)
    told = "; ".join(f"{one['served']}/{one['asked']} {one['p50_ms']} ms" for one in (before, during, after))
    return f"{told}; {int(sent) // (SECONDS + 2)}/s sent; met after {met} s"


def _steady(lab: ScrubberLab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.python("visitor", VISITOR, lab.address, "3"))
    return found
