"""Logs: what a client gets for any offset and limit, live and afterwards, alone and as one of a hundred."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from haechi.tfe.runs import logs
from tests.tfelab import TfeLab, tfe_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TfeLab]:
    with tfe_lab(tmp_path) as lab:
        lab.organization()
        yield lab


@pytest.fixture
def run(lab: TfeLab) -> str:
    workspace = lab.workspace()
    lab.configuration(workspace)
    return lab.run(workspace)


def plan(lab: TfeLab, run: str) -> tuple[str, str]:
    """(the log's id, its address)"""
    found = lab.get(f"/runs/{run}/plan")["data"]
    return str(found["id"]), str(found["attributes"]["log-read-url"])


def append(lab: TfeLab, log: str, data: bytes, close: bool = False) -> None:
    with lab.store.write() as tx:
        logs.append(tx, log, data, close)
    lab.store.bell.ring(log)


def follow(lab: TfeLab, url: str, limit: int = 65536) -> bytes:
    """As the terraform program does, without its rest. Its own client: httpx's pool may close a connection another thread just took."""
    data, deadline = b"", time.monotonic() + 60
    with httpx.Client(trust_env=False, timeout=60) as client:
        while not data.endswith(b"\x03"):
            assert time.monotonic() < deadline
            data += client.get(url, params={"limit": limit, "offset": len(data)}).content
    return data


def test_any_cut_of_the_log(lab: TfeLab, run: str) -> None:
    log, url = plan(lab, run)
    dice = random.Random(3)
    pieces = [bytes(dice.choices(b"abc\n", k=dice.choice((1, 10, 3000, 70_000)))) for _ in range(12)]
    for piece in pieces:
        append(lab, log, piece)
    append(lab, log, b"", close=True)
    whole = b"\x02" + b"".join(pieces) + b"\x03"
    assert follow(lab, url) == whole and follow(lab, url, limit=1234) == whole
    for _ in range(50):
        offset, limit = dice.randrange(len(whole) + 10), dice.randrange(1, 70_000)
        got = lab.client.get(url, params={"limit": limit, "offset": offset}).content
        assert got == whole[offset : offset + min(limit, 65536)]
    assert lab.client.get(url, params={"limit": "many", "offset": "-1"}).content == whole[:65536]


def test_marks_in_the_output_do_not_end_the_log(lab: TfeLab, run: str) -> None:
    log, url = plan(lab, run)
    append(lab, log, b"a\x03b\x02c")
    append(lab, log, b"", close=True)
    append(lab, log, b"too late")
    assert follow(lab, url) == b"\x02abc\x03"


def test_what_is_longer_than_is_kept_is_left_out_and_said(lab: TfeLab, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST", 1000)
    log, url = plan(lab, run)
    for _ in range(5):
        append(lab, log, b"x" * 400)
    append(lab, log, b"", close=True)
    text = follow(lab, url)
    assert text.count(b"the rest is left out") == 1 and text.startswith(b"\x02" + b"x" * 800) and len(text) < 1200


def test_an_answer_waits_for_the_next_line_and_no_longer(lab: TfeLab, run: str) -> None:
    log, url = plan(lab, run)
    threading.Timer(0.3, append, (lab, log, b"line\n")).start()
    began = time.monotonic()
    assert lab.client.get(url, params={"offset": 0}).content == b"\x02line\n"
    assert 0.25 < time.monotonic() - began < 5


def test_an_idle_log_answers_empty_after_a_while(lab: TfeLab, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haechi.tfe.api.logs.HOLD_SECONDS", 0.2)
    assert lab.client.get(plan(lab, run)[1], params={"offset": 0}).content == b""


def test_a_hundred_followers_get_the_same(lab: TfeLab, run: str) -> None:
    log, url = plan(lab, run)
    got: list[bytes] = []
    people = [threading.Thread(target=lambda: got.append(follow(lab, url))) for _ in range(100)]
    [person.start() for person in people]
    lines = [f"line {n}\n".encode() for n in range(100)]
    for line in lines:
        append(lab, log, line)
    append(lab, log, b"", close=True)
    [person.join() for person in people]
    assert len(got) == 100 and set(got) == {b"\x02" + b"".join(lines) + b"\x03"}


def test_the_log_of_a_run_that_never_began_ends_at_once(lab: TfeLab, run: str) -> None:
    assert lab.call("POST", f"/runs/{run}/actions/cancel", {})[0] == 202
    for phase in ("plan", "apply"):
        url = lab.get(f"/runs/{run}/{phase}")["data"]["attributes"]["log-read-url"]
        assert follow(lab, url) == b"\x02\x03"


def test_the_address_needs_its_signature_and_no_token(lab: TfeLab, run: str) -> None:
    log, url = plan(lab, run)
    append(lab, log, b"x", close=True)
    head, _, signature = url.rpartition(".")
    assert lab.client.get(url).status_code == 200
    assert lab.client.get(head + "." + signature[::-1]).status_code == 404
    assert lab.client.put(url, content=b"x").status_code == 405
