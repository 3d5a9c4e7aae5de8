"""UDP forwarding as text and values: turns, owners of hashes, guards, and which flows are to be forgotten."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from haechi.dataplane import forward
from haechi.dataplane.flows import End, Tracked
from haechi.dataplane.plan import Backend, Balancer, Listener

A, B, C = (Backend(name, f"10.0.1.{n}", 53) for n, name in enumerate("abc", 11))
HERE = Balancer("lb", "198.18.208.9", True, "net", "100.64.0.1")


def render(*listeners: Listener, down: set[forward.Key] = frozenset()) -> dict[str, tuple[str, ...]]:  # type: ignore[assignment]
    return dict(forward.render(replace(HERE, listeners=listeners), down).chains)


def test_nothing_without_a_udp_listener() -> None:
    assert render(Listener("tcp", 53, (A,))) == {}


def test_one_backend_and_guards() -> None:
    got = render(
        Listener("udp", 53, (A,), allow=("10.0.0.0/8", "192.0.2.0/24"), deny=("10.1.0.0/16",)), Listener("udp", 54, (A,), allow=())
    )
    assert got["c_guard"] == (
        "ip daddr 198.18.208.9 udp dport 53 ip saddr != { 10.0.0.0/8, 192.0.2.0/24 } drop",
        "ip daddr 198.18.208.9 udp dport 53 ip saddr { 10.1.0.0/16 } drop",
        "ip daddr 198.18.208.9 udp dport 54 drop",
    )
    assert got["c_forward"][0] == "ip daddr 198.18.208.9 udp dport 53 dnat to 10.0.1.11:53"
    assert got["c_source"] == ('oifname "net0" ct status dnat meta l4proto udp snat to 100.64.0.1',)


@pytest.mark.parametrize(
    ("weights", "scheduler", "choice"),
    [
        ((100, 100), "wrr", "numgen inc mod 2 map { 0 : 10.0.1.11 . 53, 1 : 10.0.1.12 . 53 }"),
        ((90, 30), "wlc", "numgen inc mod 4 map { 0-1 : 10.0.1.11 . 53, 2 : 10.0.1.12 . 53, 3 : 10.0.1.11 . 53 }"),
        ((90, 30), "rr", "numgen inc mod 2 map { 0 : 10.0.1.11 . 53, 1 : 10.0.1.12 . 53 }"),
        ((90, 0), "wrr", "10.0.1.11:53"),
    ],
)
def test_turns(weights: tuple[int, int], scheduler: str, choice: str) -> None:
    backends = tuple(replace(one, weight=weight) for one, weight in zip((A, B), weights, strict=True))
    assert render(Listener("udp", 53, backends, scheduler))["c_forward"] == (f"ip daddr 198.18.208.9 udp dport 53 dnat to {choice}",)


def test_large_sums_of_weights_are_scaled() -> None:
    turns = Counter(forward._turns([97, 89, 83, 79, 1]))
    assert sum(turns.values()) <= forward.MOST_TURNS + 5
    assert turns[4] == 1
    assert turns[0] >= turns[1] >= turns[2] >= turns[3] > 50


def test_the_dead_and_the_empty() -> None:
    assert render(Listener("udp", 53, (A, B)), down={(53, "a", 53)})["c_forward"][0].endswith("dnat to 10.0.1.12:53")
    got = render(Listener("udp", 53, (A,)), down={(53, "a", 53)})
    assert (got["c_guard"], got["c_forward"]) == (("ip daddr 198.18.208.9 udp dport 53 drop",), ())


def test_hashes_keep_clients() -> None:
    for more in ({"scheduler": "sch"}, {"persistence_seconds": 5}):
        assert "jhash ip saddr mod 256 seed 0x68786368 map" in render(Listener("udp", 53, (A, B), **more))["c_forward"][0]  # type: ignore[arg-type]
    assert "jhash ip saddr . udp sport mod" in render(Listener("udp", 53, (A, B), "tch"))["c_forward"][0]
    two, three = forward._slots([A, B], [100, 100]), forward._slots([A, B, C], [100, 100, 100])
    assert all(after in (before, 2) for before, after in zip(two, three, strict=True))  # only C's share moved
    assert 60 < three.count(2) < 115
    heavy = forward._slots([A, B], [300, 100])
    assert 160 < heavy.count(0) < 225


def test_which_flows_are_stale() -> None:
    listeners = (Listener("udp", 53, (A, replace(B, weight=0), C)), Listener("tcp", 54, (A,)))
    stale = forward.stale(replace(HERE, listeners=listeners), {(53, "c", 53)})

    def flow(port: int, server: str, server_port: int = 53, protocol: str = "udp") -> Tracked:
        return Tracked(protocol, End("1.1.1.1", HERE.address, 999, port), End(server, HERE.source, server_port, 999))

    assert not stale(flow(53, A.address))
    assert not stale(flow(53, B.address))  # weight 0 keeps what it has
    assert stale(flow(53, C.address))  # dead
    assert stale(flow(53, A.address, 54))
    assert stale(flow(54, A.address))  # no such listener
    assert not stale(flow(54, A.address, protocol="tcp"))
    assert not stale(Tracked("udp", End(HERE.source, C.address, 1, 53), End(C.address, HERE.source, 53, 1)))  # a probe
    assert stale(Tracked("udp", End("1.1.1.1", HERE.address, 9, 53), End(HERE.address, "1.1.1.1", 53, 9)))  # before there was a listener
    assert not stale(Tracked("udp", End("1.1.1.1", HERE.address, 9, 55), End(HERE.address, "1.1.1.1", 55, 9)))
