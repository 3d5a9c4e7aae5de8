"""What of many attacks is blocked and of many ordinary requests is not; the rates are printed (pytest -s)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.packets import wafcorpus
from tests.packets.waflab import WafLab


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    lab = WafLab(tmp_path_factory.mktemp("waf"))
    try:
        lab.apply(lab.domain())
        with httpx.Client(base_url=f"http://{lab.address}", trust_env=False, timeout=10) as one:
            yield one
    finally:
        lab.down()


def test_most_attacks_are_blocked(client: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    cases = wafcorpus.read("attacks")
    passed = [(kind, what) for kind, what in cases if wafcorpus.send(client, kind, what) not in (*wafcorpus.BLOCKED, 0)]
    with capsys.disabled():
        print(f"\nattacks blocked: {len(cases) - len(passed)} of {len(cases)}; by kind, not blocked: {dict(Counter(k for k, _ in passed))}")
    assert len(cases) >= 200 and len(passed) / len(cases) < 0.15, passed


def test_ordinary_requests_pass(client: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    cases = wafcorpus.read("benign")
    stopped = [(kind, what) for kind, what in cases if wafcorpus.send(client, kind, what) in (*wafcorpus.BLOCKED, 0)]
    with capsys.disabled():
        print(f"\nordinary requests blocked: {len(stopped)} of {len(cases)}: {stopped}")
    assert len(cases) >= 200 and len(stopped) / len(cases) < 0.08, stopped
