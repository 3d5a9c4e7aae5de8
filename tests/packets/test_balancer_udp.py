"""Forwarding of udp: who gets a datagram, what happens when a backend dies, flows that go on and flows that do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haechi.dataplane import kernel
from haechi.dataplane.balancer import Balancers
from tests.packets.balancerlab import SOURCE, UDP_HEALTH, Lab, UdpServer, on, udp, until, web


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.down()


def names(lab: Lab, count: int, **more: int | str) -> str:
    """First letters of the servers that answered datagrams from new ports each; "-" for none."""
    return "".join((lab.datagram(**more) or "-")[0] for _ in range(count))  # type: ignore[arg-type]


def state(lab: Lab, name: str, port: int = 53) -> str:
    return lab.balancers.health("lb-1")["udp", 5300, name, port]


def test_datagrams_are_shared_by_weight_and_answered(lab: Lab) -> None:
    lab.apply(udp(*on("a", "b", "c", port=53, a=30, b=10, c=0)), udp(*on("a", "b", port=53, a=90, b=1), port=5301, scheduler="rr"))
    assert Counter(names(lab, 16)) == {"a": 12, "b": 4}
    assert Counter(names(lab, 8, port=5301)) == {"a": 4, "b": 4}
    assert lab.datagram().split()[1] == SOURCE, "backends see the balancer"
    assert lab.datagram(port=5302, wait=0.2) == ""


def test_flows_stay_with_their_backend(lab: Lab) -> None:
    lab.apply(udp())
    first = {port: lab.datagram(source_port=port)[0] for port in range(40000, 40006)}
    assert set(first.values()) == {"a", "b"}
    lab.apply(udp(*on("a", "b", "c", port=53)), web())
    assert {port: lab.datagram(source_port=port)[0] for port in first} == first, "another backend, the same flows"
    lab.apply(udp(*on("a", "b", "c", port=53, a=0)))
    assert {port: lab.datagram(source_port=port)[0] for port in first} == first, "weight 0 keeps what it has"
    assert "a" not in names(lab, 6)
    lab.apply(udp(*on("b", "c", port=53)))
    after = {port: lab.datagram(source_port=port)[0] for port in first}
    assert all(after[port] == "b" for port, name in first.items() if name == "b")
    assert "a" not in after.values()


def test_clients_stick_by_their_address(lab: Lab) -> None:
    three = on("a", "b", "c", port=53)
    lab.apply(udp(*three, scheduler="sch"), udp(*three, port=5301, persistence_seconds=60), udp(*three, port=5302, scheduler="tch"))
    before = {client: names(lab, 3, source=client) for client in lab.clients[:20]}
    assert all(len(set(found)) == 1 for found in before.values())
    assert len({found[0] for found in before.values()}) == 3
    assert len(set(names(lab, 4, port=5301, source=lab.clients[2]))) == 1
    assert set(names(lab, 30, port=5302)) == {"a", "b", "c"}
    lab.apply(udp(*on("b", "c", port=53), scheduler="sch"))
    for client, found in before.items():
        now = names(lab, 1, source=client)
        assert now == found[0] if found[0] != "a" else now in "bc"


def test_a_dead_backend_is_left_alone_until_it_is_back(lab: Lab) -> None:
    lab.balancers.start_watching()
    lab.apply(udp(health=UDP_HEALTH), udp(*on("a", "b", port=53), port=5301))
    until(lambda: len(lab.servers["a", 53].log) > 0)
    assert set(names(lab, 6)) == {"a", "b"}
    flows = {port: lab.datagram(source_port=port)[0] for port in range(41000, 41006)}
    lab.stop("a", 53)
    took = until(lambda: state(lab, "a") == "abnormal", 6)
    assert took < 4
    assert state(lab, "b") == "normal"
    assert names(lab, 6) == "b" * 6
    assert {port: lab.datagram(source_port=port)[0] for port in flows} == dict.fromkeys(flows, "b"), (
        "flows to the dead move, the others stay"
    )
    assert lab.balancers.health("lb-1")["udp", 5301, "a", 53] == "unavailable"
    assert "-" in names(lab, 4, port=5301, wait=0.2), "what nobody checks is not taken out"
    lab.serve("a", 53, UdpServer)
    until(lambda: state(lab, "a") == "normal", 6)
    assert set(names(lab, 6)) == {"a", "b"}


def test_all_are_dead(lab: Lab) -> None:
    lab.balancers.start_watching()
    lab.apply(udp(*on("a", port=53), health=UDP_HEALTH))
    lab.stop("a", 53)
    until(lambda: state(lab, "a") == "abnormal", 6)
    assert lab.datagram(source_port=42000, wait=0.2) == ""
    lab.serve("a", 53, UdpServer)
    until(lambda: state(lab, "a") == "normal", 6)
    assert lab.datagram(source_port=42000)[0] == "a", "a client that kept trying is served"


def test_a_host_that_is_off_is_noticed(lab: Lab) -> None:
    lab.balancers.start_watching()
    lab.apply(udp(health=UDP_HEALTH))
    network = lab.site.netns("net-a")
    kernel.ip("route del 10.0.1.11 dev p-a", "route add unreachable 10.0.0.0/16", netns=network)
    until(lambda: state(lab, "a") == "abnormal", 6)
    assert names(lab, 4) == "bbbb"
    kernel.ip("route add 10.0.1.11 dev p-a", netns=network)
    until(lambda: state(lab, "a") == "normal", 6)


def test_a_backend_dead_from_the_start(lab: Lab) -> None:
    """A new server finds out at the first probe, not after as many failures as take a living one out."""
    lab.stop("a", 53)
    lab.apply(udp(health=replace(UDP_HEALTH, fall=10)))
    lab.balancers.start_watching()
    until(lambda: state(lab, "a") == "abnormal", 3)
    lab.balancers.close()
    again = Balancers(lab.site)
    again.apply(lab.plan(udp(health=replace(UDP_HEALTH, fall=10))))
    again.start_watching()
    lab.balancers = again
    until(lambda: state(lab, "a") == "abnormal", 3)
    assert names(lab, 4) == "bbbb"


def test_access_lists(lab: Lab) -> None:
    friend, foe = lab.clients[1], lab.clients[2]
    lab.apply(
        udp(allow=(f"{friend}/32", "10.0.0.0/8", "10.1.0.0/16")),
        udp(port=5301, deny=(f"{foe}/32", "10.0.0.0/8", "10.1.0.0/16")),
        udp(port=5302, allow=()),
    )
    for port in (5300, 5301):
        assert names(lab, 1, port=port, source=friend) in "ab"
        assert lab.datagram(port, source=foe, wait=0.2) == ""
    assert lab.datagram(5302, source=friend, wait=0.2) == ""
    assert lab.datagram(source=friend, source_port=43000)
    lab.apply(udp(deny=(f"{friend}/32",)))
    assert lab.datagram(source=friend, source_port=43000, wait=0.2) == "", "also in the middle of a flow"
    assert lab.datagram(source=foe)


def test_a_listener_that_comes_later_serves_those_who_tried_before(lab: Lab) -> None:
    lab.apply(udp(port=5309))
    assert lab.datagram(source_port=44000, wait=0.2) == ""
    lab.apply(udp(port=5309), udp())
    assert lab.datagram(source_port=44000)


def test_inside_a_network(lab: Lab) -> None:
    lab.address = "10.0.1.100"
    lab.apply(udp(*on("b", port=53)), internet=False)
    assert lab.datagram(netns="a") == f"b {SOURCE}"
    assert lab.datagram(netns="b") == f"b {SOURCE}", "a backend as its own client"
