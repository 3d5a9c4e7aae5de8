"""Configurations for haproxy: each case in tests/cases/haproxy is a balancer (.json) and what it becomes (.cfg)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane import haproxy
from haechi.dataplane.kernel import KernelError
from haechi.dataplane.plan import Backend, Balancer, Health, Listener

CASES = Path(__file__).parents[1] / "cases" / "haproxy"
FOLDER = Path("/run/x")
ONE = (Backend("i-1", "10.0.1.11", 80),)


def read_balancer(name: str) -> Balancer:
    case = json.loads((CASES / f"{name}.json").read_text())["balancer"]
    listeners = tuple(_listener(one) for one in case.pop("listeners"))
    return Balancer("lb-1", "198.18.208.20", network="net-a", source="100.64.0.9", listeners=listeners, **case)


def _listener(values: dict[str, Any]) -> Listener:
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    made = Listener(**{**values, **lists})
    health = Health(**{k: tuple(v) if isinstance(v, list) else v for k, v in values["health"].items()}) if "health" in values else None
    return replace(made, backends=tuple(Backend(*one) for one in made.backends), health=health)  # type: ignore[misc]


def render(*listeners: Listener, descriptors: int = 20000) -> haproxy.Config:
    return haproxy.render(Balancer("lb-1", "198.18.208.20", True, "net-a", "100.64.0.9", listeners), FOLDER, descriptors)


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("*.json")))
def test_case(name: str) -> None:
    config = haproxy.render(read_balancer(name), FOLDER, 20000)
    assert config.text == (CASES / f"{name}.cfg").read_text()
    assert all(f"{FOLDER}/{file}" in config.text for file in config.files)
    assert not any(content in config.text for content in config.files.values())


@pytest.mark.parametrize("name", ["web", "tcp"])
def test_haproxy_takes_it(name: str, tmp_path: Path) -> None:
    config = haproxy.render(read_balancer(name), tmp_path, 20000)
    (tmp_path / "haproxy.cfg").write_text(config.text)
    (tmp_path / "state").write_text("1\n")
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "NOTICE" not in line]) == (0, []), done.stderr


@pytest.mark.parametrize(
    "bad",
    [
        Listener("http", 80, ONE, health=Health("http", path="/\n  server evil 127.0.0.1:22")),
        Listener("http", 80, ONE, sticky="server", cookie="a\rb"),
        Listener("http", 80, ONE, health=Health("http", host="a\0b")),
    ],
    ids=["path", "cookie", "host"],
)
def test_control_characters_end_no_line(bad: Listener) -> None:
    with pytest.raises(KernelError, match="control character"):
        render(bad)


def test_a_change_of_certificate_is_a_change_of_text() -> None:
    one = Listener("https", 443, ONE, certificate="SECRET-1")
    first, second = render(one), render(replace(one, certificate="SECRET-2"))
    assert first.text != second.text
    assert first.digest != second.digest
    assert first.files.keys().isdisjoint(second.files)
    assert "SECRET" not in repr(first)


def test_connections_fit_the_descriptors() -> None:
    """haproxy needs two for each connection and one for each checked server, and does not start when they do not fit."""
    many = tuple(Backend(f"i-{n}", f"10.0.1.{n}", 80) for n in range(200))
    few, all_ = ([Listener("http", 80 + n, backends) for n in range(50)] for backends in (ONE, many))
    counts = [haproxy.connection_limit(Balancer("lb", "", True, listeners=tuple(some)), 20000) for some in (few, all_)]
    assert counts[0] > 9500
    assert all(2 * count + 200 <= 20000 for count in counts)
    assert 2 * counts[1] + 50 * 200 + 50 + 28 <= 20000
    assert haproxy.connection_limit(Balancer("lb", "", True), 1 << 20) == 20000


def test_servers_keep_name_and_number() -> None:
    one = Backend("i-1", "10.0.1.11", 80, 100)
    assert haproxy.server_name(one) == haproxy.server_name(replace(one, weight=3))
    others = [replace(one, port=81), replace(one, address="10.0.1.12"), replace(one, id="i-2")]
    assert len({haproxy.server_name(each) for each in (one, *others)}) == 4
    assert len({haproxy.server_number(each) for each in (one, *others)}) == 4
    assert 0 < haproxy.server_number(one) < 1 << 31


def test_what_a_reload_remembers() -> None:
    checked, plain = Listener("http", 80, ONE, health=Health("tcp")), Listener("http", 81, ONE)
    name = haproxy.server_name(ONE[0])
    rows = [f"{n} b_http_{port} 7 {name} 10.0.1.11 0 0 100 100 5" for n, port in ((3, 80), (4, 81), (5, 82))]
    state = "\n".join(["1", "# be_id be_name srv_id srv_name", *rows, "", ""])
    kept = haproxy.kept_state(state, render(checked, plain).text)
    assert kept.splitlines() == ["1", "# be_id be_name srv_id srv_name", rows[0]]
