"""Helper programs: started, adopted by another object, stopped whole; a record that lies is not believed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from haechi.dataplane import kernel
from haechi.dataplane.process import LOG_LIMIT, Process, cgroup_root, start_time

NETNS = "hx13-process"
PARENT = "hx13-process-test"
SLEEPS = ("sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")  # a program with a child


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    kernel.netns_add(NETNS)
    yield tmp_path
    make(tmp_path).stop()
    kernel.netns_delete(NETNS)


def make(folder: Path, *command: str) -> Process:
    return Process("one", command or SLEEPS, NETNS, folder, PARENT)


def alive() -> list[str]:
    path = cgroup_root(PARENT) / "one" / "cgroup.procs"
    return path.read_text().split() if path.exists() else []


def wait(what: object) -> None:
    deadline = time.monotonic() + 3
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_life(folder: Path) -> None:
    one = make(folder)
    assert (one.pid(), one.in_place()) == (0, False)
    one.start()
    pid = one.pid()
    wait(lambda: len(alive()) == 2)
    assert one.in_place()
    one.start()  # runs already
    assert make(folder).pid() == pid  # another object, as in another server
    one.stop()
    assert (one.pid(), alive(), cgroup_root(PARENT).exists()) == (0, [], False)
    assert not (folder / "one.json").exists()
    one.stop()  # again is nothing


def test_children_of_a_killed_program_go_at_once(folder: Path) -> None:
    one = make(folder)
    one.start()
    wait(lambda: len(alive()) == 2)
    os.kill(one.pid(), signal.SIGKILL)
    wait(lambda: not one.pid())
    assert alive()
    start = time.monotonic()
    one.stop()
    assert time.monotonic() - start < 4  # it is not asked first, for 5 s
    assert not alive()
    one.start()
    assert one.pid()


@pytest.mark.parametrize("change", [{"start": "1"}, {"start": ""}, {"boot": "another"}, {"pid": "x"}, {"pid": None}])
def test_records_that_lie(folder: Path, change: dict[str, object]) -> None:
    one = make(folder)
    one.start()
    assert one.pid()
    record = json.loads((folder / "one.json").read_text())
    (folder / "one.json").write_text(json.dumps({**record, **change}))
    assert one.pid() == 0
    one.signal(signal.SIGKILL)
    assert start_time(record["pid"])  # nobody was hit
    (folder / "one.json").write_text("{")
    assert one.pid() == 0
    one.stop()  # the group still knows
    assert not alive()


def test_a_program_that_ends_at_once(folder: Path) -> None:
    one = make(folder, "sh", "-c", "echo why >&2; exit 3")
    one.start()
    wait(lambda: not one.pid())
    wait(lambda: "why" in (folder / "one.log").read_text())
    one.reap()
    one.reap()


def test_a_long_log_starts_anew(folder: Path) -> None:
    (folder / "one.log").write_text("x" * (LOG_LIMIT + 1))
    one = make(folder, "sh", "-c", "while :; do echo word; sleep 0.02; done")
    one.start()
    assert (folder / "one.log").stat().st_size < 1000
    with (folder / "one.log").open("a") as log:
        log.write("x" * (LOG_LIMIT + 1))
    one.trim()
    wait(lambda: (folder / "one.log").read_text().startswith("word\nword\n"))


def test_a_namespace_made_anew_is_another_place(folder: Path) -> None:
    one = make(folder)
    one.start()
    wait(one.in_place)
    kernel.netns_delete(NETNS)
    assert not one.in_place()
    kernel.netns_add(NETNS)
    assert one.pid()
    assert not one.in_place()


def test_who_catches_a_signal(folder: Path) -> None:
    one = make(folder)
    assert not one.catches(signal.SIGTERM)
    one.start()
    wait(lambda: one.catches(signal.SIGTERM))
    assert not one.catches(signal.SIGUSR2)
