"""Two networks and the connection between them: routes, security groups, the firewall in the middle, and what is left of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane import kernel
from haechi.dataplane.peering import Peerings
from haechi.dataplane.plan import Group, Network, Peering, Plan, Policy, Rule, Subnet
from tests.packets.netlab import SERVICES, Lab, host, kernel_state, network, plan, talks

ONE, OTHER = "10.0.1.11", "10.8.1.12"
BOTH = (("net1", "10.8.0.0/16"), ("net2", "10.0.0.0/16"))
WEB = Group("web", tuple(Rule("in", word, ports, "10.0.0.0/8") for word, ports in (("tcp", (80, 89)), ("udp", (80, 80)), ("icmp", None))))


class PeeringLab(Lab):
    """Site 12 with host a in net1 and host b in net2."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.peerings = Peerings(self.site)
        self.boot("a", "b")

    def wanted(self, *routes: tuple[str, str], **more: Any) -> Plan:
        second = Network("net2", ("10.8.0.0/16",), (Subnet("net2-1", "10.8.1.0/24", "10.8.1.253"),), "", SERVICES)
        hosts = (host("a", ONE), host("b", OTHER, network="net2"))
        made = plan(hosts, (WEB,), networks=(network(), second))
        return replace(made, peerings={"pcc-1": Peering("pcc-1", ("net1", "net2"), routes, **more)})

    def apply(self, *routes: tuple[str, str], **more: Any) -> Plan:
        wanted = self.wanted(*routes, **more)
        self.networks.apply(wanted)
        self.peerings.apply(wanted)
        return wanted

    def down(self) -> None:
        self.peerings.destroy()
        super().down()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[PeeringLab]:
    made = PeeringLab(tmp_path)
    yield made
    made.down()


def test_only_what_both_sides_route_gets_through(lab: PeeringLab) -> None:
    lab.apply()
    assert not lab.reaches("a", OTHER, 80)
    lab.apply(("net1", "10.8.0.0/16"))
    assert not lab.reaches("a", OTHER, 80)  # the answer finds no way
    wanted = lab.apply(*BOTH)
    assert lab.reaches("a", OTHER, 80) and lab.reaches("b", ONE, 80) and lab.pings("a", OTHER)
    assert not lab.reaches("a", OTHER, 90)  # the security group of b
    assert lab.peerings.inspect(wanted) == [] and lab.networks.inspect(wanted) == []
    one, other = lab.pair("a", OTHER, "b", 80)
    lab.apply(*BOTH, guarded=True)
    lab.networks.apply(lab.wanted(*BOTH))
    assert talks(one, other)  # neither a firewall without policies nor a network's new rules cut what is allowed
    lab.apply(("net1", "10.8.1.0/24"), BOTH[1])
    assert talks(one, other)
    lab.apply(BOTH[1])
    assert not lab.reaches("a", OTHER, 80)


def test_nobody_speaks_in_another_networks_name(lab: PeeringLab) -> None:
    lab.apply(*BOTH)
    inside = ["ip", "netns", "exec", lab.site.netns("a"), "python3", "-c", FORGED]
    heard = lab.listen("b", 80, "udp")
    subprocess.run([*inside, ONE, OTHER], check=True)
    assert heard.recv(16) == b"x"
    for source in ("10.9.1.1", "10.8.1.13"):
        subprocess.run([*inside, source, OTHER], check=True)
        with pytest.raises(TimeoutError):
            heard.recv(16)


FORGED = """import socket, struct, sys
source, to = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack("!HHHH", 5, 80, 9, 0) + b"x"
s.sendto(struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(to)) + udp, (to, 0))
"""


def test_policies_in_between(lab: PeeringLab) -> None:
    drop = Policy("vp-1", "in", "drop", "tcp", sources=("10.0.1.0/24",), destinations=("10.8.0.0/16",), ports=((81, 82),))
    watch = Policy("vp-2", "in", "log", "tcp", ports=((83, 83),))
    lab.apply(*BOTH, guarded=True)
    one, other = lab.pair("a", OTHER, "b", 81)
    kept, answering = lab.pair("a", OTHER, "b", 80)
    wanted = lab.apply(*BOTH, guarded=True, policies=(drop, watch))
    assert not talks(one, other) and talks(kept, answering)
    assert not lab.reaches("a", OTHER, 82) and lab.reaches("a", OTHER, 83) and lab.reaches("a", OTHER, 84)
    assert lab.reaches("b", ONE, 81)  # the other way round
    hits = lab.peerings.hits()
    assert hits["vp-1"][0] > 0 and hits["vp-2"][0] == 1
    assert lab.peerings.inspect(wanted) == []
    first = Policy("vp-0", "in", "accept", "tcp", destinations=(f"{OTHER}/32",))
    lab.apply(*BOTH, guarded=True, policies=(first, drop, watch))
    assert lab.reaches("a", OTHER, 82) and lab.peerings.hits()["vp-1"] == hits["vp-1"]  # counters live through changes
    off = lab.apply(*BOTH, policies=(drop, watch))
    assert lab.reaches("a", OTHER, 81) and lab.peerings.hits() == {} and lab.peerings.inspect(off) == []


def test_what_is_missing_is_mended(lab: PeeringLab) -> None:
    wanted = lab.apply(*BOTH, guarded=True, policies=(Policy("vp-1", "in", "drop", "tcp", ports=((81, 81),)),))
    netns = lab.site.netns("pcc-1")
    harms = (
        ("ip", "-n", netns, "link", "del", "net0"),
        ("ip", "-n", netns, "route", "del", "10.8.0.0/16"),
        ("ip", "netns", "exec", netns, "nft", "flush", "ruleset"),
        ("ip", "netns", "del", netns),
    )
    for harm in harms:
        kernel.run(*harm)
        assert lab.peerings.inspect(wanted), harm
        lab.peerings.repair(wanted)
        assert lab.peerings.inspect(wanted) == [] and lab.reaches("a", OTHER, 80) and not lab.reaches("a", OTHER, 81), harm
    again = Peerings(lab.site)  # a server that was started anew knows nothing
    again.apply(wanted)
    assert again.inspect(wanted) == [] and lab.reaches("a", OTHER, 80)


def test_nothing_is_left(tmp_path: Path) -> None:
    before = kernel_state()
    lab = PeeringLab(tmp_path)
    lab.apply(*BOTH)
    lab.peerings.apply(replace(lab.wanted(), peerings={}))
    assert not lab.reaches("a", OTHER, 80) and not kernel.netns_exists(lab.site.netns("pcc-1"))
    lab.apply(*BOTH)
    lab.down()
    assert kernel_state() == before
