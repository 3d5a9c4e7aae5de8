"""Each flood, bounded, against a scrubber: the steady visitor from another address is served all the while, and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packets.floods import FLOODS, SOURCES, VISITOR
from tests.packets.scrubberlab import ID, ScrubberLab

SECONDS = "3"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ScrubberLab]:
    made = ScrubberLab(tmp_path)
    yield made
    made.down()


def steady(lab: ScrubberLab) -> dict[str, Any]:
    """{asked, served, p50_ms} of the visitor."""
    found: dict[str, Any] = json.loads(lab.python("visitor", VISITOR, lab.address, SECONDS))
    return found


@pytest.mark.parametrize("kind", sorted(FLOODS))
def test_the_steady_visitor_is_served(lab: ScrubberLab, kind: str) -> None:
    lab.place("visitor")
    sources = lab.sources("flood", SOURCES.get(kind, 1))
    lab.apply(lab.front(per_source=400))
    before = lab.scrubbers.read(ID)
    flood = lab.start("flood", FLOODS[kind], lab.address, "4", ",".join(sources))
    during = steady(lab)
    sent = int(flood.communicate(timeout=60)[0].split()[0])
    dropped = lab.scrubbers.read(ID).drops
    assert sent > 100 and during["served"] >= 0.95 * during["asked"] > 10, (sent, during)
    if kind in ("udp", "icmp", "syn"):
        assert dropped[kind][0] > before.drops[kind][0], "nothing was dropped"
    after = steady(lab)
    assert after["served"] >= 0.95 * after["asked"]
