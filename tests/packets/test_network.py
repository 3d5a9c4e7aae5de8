"""Networks, ports and public addresses in the kernel: what reaches what, what a hand broke is found and mended, nothing is left."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haechi.dataplane import kernel, sysctls
from haechi.dataplane.network import Networks, open_socket
from haechi.dataplane.plan import Group, Host, Plan, Public, Rule
from haechi.dataplane.site import Site
from tests.packets.netlab import WAIT, Lab, host, kernel_state, network, plan, talks

A, B, C = "10.0.1.11", "10.0.1.12", "10.0.2.11"
OPEN = Group("web", (Rule("in", "all", peer="0.0.0.0/0"),), inner=False)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.down()


def two(lab: Lab, *, mbps: int = 0, mbps_in: int = 0, nat: int = 9) -> Plan:
    """a and b with public addresses 11 and 12, c without one."""
    publics = (Public(lab.public(11), "net1", A, mbps, mbps_in), Public(lab.public(12), "net1", B))
    hosts = (host("a", A), host("b", B), host("c", C))
    return plan(hosts, (OPEN,), publics, [network(nat=lab.public(nat) if nat else "")])


def outside_listener(lab: Lab, port: int, address: str = "") -> socket.socket:
    one = lab.socket("", "tcp", address or lab.site.outside, port)
    one.listen(8)
    return one


def caller(listener: socket.socket) -> str:
    """Address of whoever connected."""
    accepted, peer = listener.accept()
    accepted.close()
    return str(peer[0])


def test_hosts_reach_their_neighbours_and_the_services(lab: Lab) -> None:
    lab.boot("a", "b", "c")
    lab.networks.apply(two(lab))
    assert lab.reaches("a", B, 80)
    assert lab.reaches("a", C, 80)
    assert lab.pings("a", "10.0.1.253")
    assert not lab.reaches("a", "10.0.1.99", 80)
    with open_socket(lab.site, "net1", "100.100.100.200", 80, "tcp") as server:
        one = lab.socket("a")
        one.connect(("100.100.100.200", 80))
        server.settimeout(WAIT)
        assert caller(server) == A
    with open_socket(lab.site, "net1", "100.100.2.136", 53, "udp") as server:
        lab.socket("c", "udp").sendto(b"?", ("100.100.2.136", 53))
        server.settimeout(WAIT)
        assert server.recvfrom(8)[1][0] == C
    with pytest.raises(OSError):
        open_socket(lab.site, "net1", "100.100.2.1", 53, "udp")


def test_the_inside_of_a_port(lab: Lab) -> None:
    lab.boot("a")
    lab.networks.apply(plan([host("a", A, secondary=("10.0.1.40",))], (OPEN,)))
    shown = kernel.run("ip", "-n", lab.site.netns("a"), "addr", "show", "eth0")
    assert "00:16:3e:00:04:0b" in shown
    assert f"{A}/24" in shown
    assert "10.0.1.40/24" in shown
    assert "default via 10.0.1.253 dev eth0" in kernel.run("ip", "-n", lab.site.netns("a"), "route")
    assert "ee:ff:ff:ff:ff:ff" in kernel.run("ip", "-n", lab.site.netns("net1"), "link")


def test_secondary_addresses(lab: Lab) -> None:
    lab.boot("a", "b")
    hosts = [host("a", A), host("b", B, secondary=("10.0.1.40",))]
    lab.networks.apply(plan(hosts, (OPEN,)))
    assert lab.reaches("a", "10.0.1.40", 80)
    live = lab.pair("a", B, "b", 8080)
    lab.networks.apply(plan([hosts[0], host("b", B)], (OPEN,)))
    assert not lab.reaches("a", "10.0.1.40", 80)
    assert talks(*live)


def test_a_public_address_works_both_ways(lab: Lab) -> None:
    lab.boot("a", "b", "c")
    lab.networks.apply(two(lab))
    assert lab.reaches("", lab.public(11), 80)
    assert lab.pings("", lab.public(11))
    assert not lab.reaches("", lab.public(13), 80)
    listener = outside_listener(lab, 7001)
    lab.socket("a").connect((lab.site.outside, 7001))
    assert caller(listener) == lab.public(11)
    assert not lab.reaches("c", lab.site.outside, 7001)


def test_the_rules_hold_for_public_addresses(lab: Lab) -> None:
    lab.boot("a", "b", "c")
    narrow = Group("web", (Rule("in", "tcp", (80, 80), "0.0.0.0/0"),), inner=False)
    lab.networks.apply(replace(two(lab), groups={"web": narrow}))
    assert lab.reaches("", lab.public(11), 80)
    assert not lab.reaches("", lab.public(11), 81)


def test_neighbours_meet_at_their_public_addresses(lab: Lab) -> None:
    lab.boot("a", "b", "c", "d")
    base = two(lab)
    far = network("net2")
    wanted = replace(
        base,
        networks={**base.networks, "net2": far},
        hosts={**base.hosts, "d": host("d", A, network="net2")},
        publics={**base.publics, lab.public(20): Public(lab.public(20), "net2", A)},
    )
    lab.networks.apply(wanted)
    for name, address in (("b", lab.public(12)), ("d", lab.public(20))):
        listener = lab.listen(name, 7000)
        lab.socket("a").connect((address, 7000))
        assert caller(listener) == lab.public(11)
        listener.close()
    assert not lab.reaches("c", lab.public(12), 80)


def test_networks_with_the_same_addresses_are_apart(lab: Lab) -> None:
    lab.boot("a", "b", "d", "e")
    hosts = (host("a", A), host("b", B), host("d", A, network="net2"), host("e", "10.0.1.50", network="net2"))
    lab.networks.apply(plan(hosts, (OPEN,), networks=[network(), network("net2")]))
    one, other = lab.listen("b", 7000), lab.socket("d")
    assert lab.reaches("d", "10.0.1.50", 80)
    assert not lab.reaches("d", B, 7000)
    assert not lab.reaches("a", "10.0.1.50", 80)
    one.close()
    other.close()


def test_private_addresses_cannot_be_reached_from_outside(lab: Lab) -> None:
    """Not even when someone on the machine routes them in."""
    lab.boot("a", "b", "c")
    lab.networks.apply(two(lab))
    kernel.public_route(A, lab.site.ifname("u", "net1"), outside=lab.site.outside)
    assert not lab.reaches("", A, 80)
    assert lab.reaches("", lab.public(11), 80)


def real_network(lab: Lab, address: str) -> None:
    """A host "far" with `address` on a network that the machine has an interface (.1) in, as its real ones."""
    lab.boot("far")
    gateway = address.rsplit(".", 1)[0] + ".1"
    far = lab.site.netns("far")
    kernel.ip(f"link add tn12 type veth peer name eth0 netns {far}", f"addr add {gateway}/24 dev tn12", "link set tn12 up")
    kernel.ip(f"addr add {address}/24 dev eth0", "link set eth0 up", f"route add default via {gateway}", netns=far)


def test_public_hosts_reach_the_real_network_behind_the_machine(lab: Lab) -> None:
    lab.boot("a", "b", "c")
    lab.networks.apply(two(lab))
    real_network(lab, "198.51.100.2")
    listener = lab.listen("far", 7000)
    lab.socket("a").connect(("198.51.100.2", 7000))
    assert caller(listener) == "198.51.100.1"
    assert not lab.reaches("c", "198.51.100.2", 7000)
    # and nobody out there gets in, though the machine forwards and knows the way
    assert not lab.reaches("far", lab.public(11), 80)
    assert lab.reaches("far", "198.51.100.1", 80)


def test_private_ranges_do_not_leak_out(lab: Lab) -> None:
    """Not even from a host that may go anywhere: what is not in the network is nowhere."""
    lab.boot("a", "b", "c")
    lab.networks.apply(two(lab))
    real_network(lab, "192.168.77.2")
    assert lab.reaches("", "192.168.77.2", 80)
    assert not lab.reaches("a", "192.168.77.2", 80)
    assert not lab.reaches("a", "10.0.200.1", 80)
    lab.networks.allow_mirror(["192.168.77.2"])
    assert lab.reaches("c", "192.168.77.2", 80)


def test_package_mirrors_and_nothing_else_without_a_public_address(lab: Lab) -> None:
    lab.boot("a", "b", "c")
    wanted = two(lab)
    lab.networks.apply(wanted)
    mirror, other = lab.public(5), lab.public(6)
    kernel.ip(f"addr add {mirror}/32 dev lo", f"addr add {other}/32 dev lo")
    try:
        assert not lab.reaches("c", mirror, 80)
        # this site's own addresses are no mirrors; a machine's real one is
        lab.networks.allow_mirror([other])
        assert not lab.reaches("c", other, 80)
    finally:
        kernel.ip(f"addr del {mirror}/32 dev lo", f"addr del {other}/32 dev lo")
    kernel.ip("addr add 10.0.200.7/32 dev lo", "addr add 10.0.200.8/32 dev lo")  # inside the network's own range, but the machine's
    try:
        lab.networks.allow_mirror(["10.0.200.7"])
        assert lab.reaches("c", "10.0.200.7", 80)
        assert lab.reaches("c", "10.0.200.7", 443)
        assert not lab.reaches("c", "10.0.200.7", 22)
        assert not lab.reaches("c", "10.0.200.8", 80)
        listener = outside_listener(lab, 443, "10.0.200.7")
        lab.socket("c").connect(("10.0.200.7", 443))
        assert caller(listener) == lab.public(9)
        assert lab.networks.inspect(wanted) == []
        again = Networks(lab.site)
        again.apply(wanted)
        assert lab.reaches("c", "10.0.200.7", 80)
        without = two(lab, nat=0)
        again.apply(without)
        assert not lab.reaches("c", "10.0.200.7", 80)
    finally:
        kernel.ip("addr del 10.0.200.7/32 dev lo", "addr del 10.0.200.8/32 dev lo")


def test_a_public_address_that_goes_takes_its_flows_along(lab: Lab) -> None:
    lab.boot("a", "b", "c")
    wanted = two(lab)
    lab.networks.apply(wanted)
    doomed, kept = lab.pair("", lab.public(11), "a", 7000), lab.pair("", lab.public(12), "b", 7000)
    listener = outside_listener(lab, 7001)
    out = lab.socket("a")
    out.connect((lab.site.outside, 7001))
    back, _ = listener.accept()
    back.settimeout(WAIT)
    assert talks(*doomed)
    assert talks(out, back)
    moved = {lab.public(12): wanted.publics[lab.public(12)], lab.public(11): Public(lab.public(11), "net1", C)}
    lab.networks.apply(replace(wanted, publics=moved))
    assert talks(*kept)
    assert not talks(*doomed)
    assert not talks(out, back)
    assert lab.pair("", lab.public(11), "c", 7002)
    lab.networks.apply(replace(wanted, publics={}))
    assert not talks(*kept)
    assert not lab.reaches("", lab.public(12), 80)
    back.close()


def test_translated_flows_live_through_a_new_start_and_a_repair(lab: Lab) -> None:
    lab.boot("a", "b", "c")
    wanted = two(lab, mbps=50)
    lab.networks.apply(wanted)
    live = [lab.pair("", lab.public(11), "a", 7000), lab.pair("a", lab.public(12), "b", 7000)]
    again = Networks(lab.site)
    again.apply(wanted)
    assert all(talks(*pair) for pair in live)
    again.repair(wanted)
    assert all(talks(*pair) for pair in live)


@pytest.mark.parametrize("inward", [True, False])
def test_bandwidth(lab: Lab, inward: bool) -> None:
    lab.boot("a", "b", "c")
    lab.networks.apply(two(lab, mbps=20))
    outer, inner = lab.pair("", lab.public(11), "a", 7000)
    sender, receiver = (outer, inner) if inward else (inner, outer)
    assert 15 < megabits(sender, receiver, 1.5) < 26
    lab.networks.apply(two(lab, mbps=50, mbps_in=20))
    assert (megabits(sender, receiver, 1.5) < 26) is inward
    lab.networks.apply(two(lab, mbps=0))
    assert megabits(sender, receiver, 0.5) > 100


def megabits(sender: socket.socket, receiver: socket.socket, seconds: float) -> float:
    """Mbit/s received over a connection while the other end sends what it can."""
    stop = time.monotonic() + seconds

    def send() -> None:
        while time.monotonic() < stop:
            try:
                sender.send(bytes(65536))
            except TimeoutError:
                continue

    thread = threading.Thread(target=send)
    thread.start()
    total = 0
    while time.monotonic() < stop:
        total += len(receiver.recv(1 << 20))
    thread.join()
    sender.send(b"end")
    tail = b""
    while not tail.endswith(b"end"):
        tail = receiver.recv(1 << 20)
    return total * 8 / seconds / 1e6


def until(true: Callable[[], bool], seconds: float = 5) -> None:
    """The kernel takes a dead namespace apart when it finds the time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_hosts_come_and_go(lab: Lab) -> None:
    wanted = two(lab)
    lab.networks.apply(wanted)
    assert lab.networks.inspect(wanted) == []
    lab.boot("a", "b")
    assert {fault.id for fault in lab.networks.inspect(wanted)} == {"port-a", "port-b"}
    threads = [threading.Thread(target=lab.networks.attach, args=(wanted, id)) for id in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lab.reaches("a", B, 80)
    lab.halt("b")
    until(lambda: not lab.reaches("a", B, 80))
    lab.networks.apply(wanted)
    lab.boot("b")
    lab.networks.attach(wanted, "b")
    assert lab.reaches("a", B, 80)
    lab.halt("b")
    lab.boot("b")
    lab.networks.apply(wanted)
    assert lab.reaches("a", B, 80)
    assert lab.networks.inspect(wanted) == []
    with pytest.raises(kernel.KernelError, match="namespace"):
        lab.networks.attach(wanted, "c")


def test_a_plan_that_fails_and_the_one_before_again(lab: Lab) -> None:
    lab.boot("a", "b")
    wanted = two(lab)
    lab.networks.apply(wanted)
    bad = Group("web", (Rule("in", "tcp", (80, 80), "nonsense"),))
    with pytest.raises(kernel.KernelError):
        lab.networks.apply(replace(wanted, groups={"web": bad}))
    assert lab.reaches("a", B, 80)
    lab.networks.apply(wanted)
    assert lab.reaches("a", B, 80)
    assert lab.networks.inspect(wanted) == []
    astray = replace(wanted.hosts["b"], port=replace(wanted.hosts["b"].port, subnet="nowhere"))
    with pytest.raises(kernel.KernelError, match="nowhere"):
        lab.networks.apply(replace(wanted, hosts={**wanted.hosts, "b": astray}))
    lab.networks.apply(wanted)
    assert lab.networks.inspect(wanted) == []


def test_networks_and_subnets_come_and_go(lab: Lab) -> None:
    lab.boot("a")
    one, other = plan([host("a", A)], (OPEN,)), plan(networks=[network("net2")])
    lab.networks.apply(one)
    lab.networks.apply(other)
    assert not kernel.netns_exists(lab.site.netns("net1"))
    assert "eth0" not in kernel.run("ip", "-n", lab.site.netns("a"), "-br", "link")
    lab.networks.apply(one)
    assert lab.pings("a", "10.0.1.253")
    assert not kernel.netns_exists(lab.site.netns("net2"))
    less = replace(one.networks["net1"], subnets=one.networks["net1"].subnets[:1])
    lab.networks.apply(replace(one, networks={"net1": less}))
    assert "10.0.2.253" not in kernel.run("ip", "-n", lab.site.netns("net1"), "addr")
    assert lab.networks.inspect(replace(one, networks={"net1": less})) == []


BREAKS = {
    "a rule": "nft delete rule inet hx12 c_forward handle $(nft -a list chain inet hx12 c_forward | sed -n 's/.*invalid.*handle //p')",
    "a member": 'nft delete element inet hx12 port_in { $(nft list map inet hx12 port_in | grep -o \'"[^"]*"\' | head -1) }',
    "all rules": "nft flush ruleset",
    "an extra rule": "nft insert rule inet hx12 c_forward accept",
    "a route": "ip route del unreachable 10.0.0.0/16",
    "a way out": "ip route del default",
    "a port's route": f"ip route del {A}",
    "an extra route": "ip route add 10.0.1.77 dev up0",
    "a gateway": "ip addr del 10.0.1.253/32 dev lo",
    "a port": "ip link del $(ip -br link | grep -o '^hx12p[0-9a-f]*' | head -1)",
    "a port shut": "ip link set $(ip -br link | grep -o '^hx12p[0-9a-f]*' | head -1) down",
    "forwarding": "echo 0 > /proc/sys/net/ipv4/ip_forward",
    "loose tracking": "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose",
    "spoof guard": "for f in /proc/sys/net/ipv4/conf/hx12p*/rp_filter; do echo 0 > $f; done",
    "bandwidth": "tc qdisc del dev up0 root",
    "the uplink": "ip link del up0",
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_a_hand_broke_inside_is_found_and_mended(lab: Lab, name: str) -> None:
    lab.boot("a", "b", "c")
    wanted = two(lab, mbps=10)
    lab.networks.apply(wanted)
    assert lab.networks.inspect(wanted) == []
    kernel.run("ip", "netns", "exec", lab.site.netns("net1"), "sh", "-c", BREAKS[name])
    assert lab.networks.inspect(wanted)
    lab.networks.repair(wanted)
    assert lab.networks.inspect(wanted) == []
    assert lab.reaches("", lab.public(11), 80)
    assert lab.reaches("a", C, 80)


OUTER_BREAKS = {
    "the namespace": "ip netns del hx12-net1",
    "the table": "nft delete table ip hx12",
    "the address": "ip addr del {outside}/32 dev lo",
    "the kept range": "ip route del unreachable {range}",
    "a public route": "ip route del {public}",
    "forwarding": "echo 0 > /proc/sys/net/ipv4/ip_forward",
    "an uplink": "ip link del $(ip -br link | grep -o '^hx12u[0-9a-f]*')",
}


@pytest.mark.parametrize("name", OUTER_BREAKS)
def test_what_a_hand_broke_outside_is_found_and_mended(lab: Lab, name: str) -> None:
    lab.boot("a", "b", "c")
    wanted = two(lab)
    lab.networks.apply(wanted)
    command = OUTER_BREAKS[name].format(outside=lab.site.outside, range=lab.site.public, public=lab.public(11))
    kernel.run("sh", "-c", command)
    assert lab.networks.inspect(wanted)
    lab.networks.repair(wanted)
    assert lab.networks.inspect(wanted) == []
    assert lab.reaches("", lab.public(11), 80)
    assert lab.reaches("a", C, 80)


def test_what_the_plan_does_not_have_is_reported(lab: Lab) -> None:
    wanted = two(lab)
    lab.networks.apply(wanted)
    found = Networks(lab.site).inspect(Plan())
    assert {(fault.kind, fault.id) for fault in found} >= {("orphan", "net1"), ("orphan", lab.public(11))}
    Networks(lab.site).apply(Plan())
    assert Networks(lab.site).inspect(Plan()) == []
    assert not kernel.netns_exists(lab.site.netns("net1"))


def test_destroy_leaves_nothing(tmp_path: Path) -> None:
    before = kernel_state()
    lab = Lab(tmp_path)
    lab.boot("a", "b", "c")
    lab.networks.apply(two(lab, mbps=5))
    assert kernel_state() != before
    lab.halt("a", "b", "c")
    Networks(lab.site).destroy()  # of a server that was killed
    assert kernel_state() == before
    Networks(lab.site).destroy()  # and once more
    assert kernel_state() == before


def test_parameters_belong_to_the_last_who_holds_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysctls, "LEDGER", tmp_path / "ledger")
    path = "net/ipv4/conf/lo/log_martians"
    before = sysctls.read(path)
    other = "0" if before == "1" else "1"
    sysctls.hold("one", [(path, other)])
    sysctls.hold("two", [(path, other)])
    sysctls.release("one")
    assert sysctls.read(path) == other
    sysctls.release("two")
    assert sysctls.read(path) == before
    with pytest.raises(OSError):
        sysctls.hold("one", [("net/ipv4/conf/lo/log_martians", "nonsense")])
    sysctls.release("one")
    assert sysctls.read(path) == before


def test_a_hundred_ports_are_quick(lab: Lab) -> None:
    hosts: list[Host] = [host(f"h{n}", f"10.0.1.{n}") for n in range(1, 101)]
    lab.boot(*(one.id for one in hosts))
    wanted = plan(hosts, (OPEN,))
    lab.networks.apply(replace(wanted, hosts={}))
    started = time.perf_counter()
    lab.networks.apply(wanted)
    took = time.perf_counter() - started
    assert lab.reaches("h1", "10.0.1.100", 80)
    lab.halt("h1")
    lab.boot("h1")
    started = time.perf_counter()
    lab.networks.attach(wanted, "h1")
    attached = time.perf_counter() - started
    started = time.perf_counter()
    lab.networks.apply(wanted)
    idle = time.perf_counter() - started
    started = time.perf_counter()
    assert lab.networks.inspect(wanted) == []
    inspected = time.perf_counter() - started
    print(f"apply {took:.3f} attach {attached:.3f} nothing {idle:.3f} inspect {inspected:.3f}, load {os.getloadavg()[0]}")
    assert took < 1.0  # 0.3 s on a quiet machine
    assert attached < 0.1
    assert idle < 0.05
    assert lab.site == Site(12, lab.site.home, lab.site.run, lab.site.cache)
