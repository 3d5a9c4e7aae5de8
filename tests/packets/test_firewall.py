"""Packets through the filter of one network: for each rule one that passes and one that must not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from haechi.dataplane import flows, kernel
from haechi.dataplane.plan import Group, Plan, Public, Rule
from haechi.dataplane.verdicts import Flow, Verdicts
from tests.packets.netlab import Lab, host, plan, talks

A, B, C = "10.0.1.11", "10.0.1.12", "10.0.2.11"
EVERYONE = "0.0.0.0/0"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("site"))
    made.boot("a", "b", "c")
    yield made
    made.down()


def three(*groups: Group, a: str = "one", b: str = "two", c: str = "two", publics: tuple[Public, ...] = ()) -> Plan:
    """a and b in one subnet, c in another; `one` and `two` are closed groups unless given."""
    closed = (Group("one", inner=False), Group("two", inner=False))
    return plan((host("a", A, a.split()), host("b", B, b.split()), host("c", C, c.split())), (*closed, *groups), publics)


def accept(**more: object) -> Rule:
    return replace(Rule("in", "tcp", (80, 80), EVERYONE), **more)  # type: ignore[arg-type]


def test_nothing_comes_in_by_default(lab: Lab) -> None:
    lab.networks.apply(three())
    assert not lab.reaches("a", B, 80)
    assert not lab.reaches("a", B, 80, "udp")
    assert not lab.pings("a", B)


def test_cidr_and_ports(lab: Lab) -> None:
    lab.networks.apply(three(Group("two", (accept(peer=f"{A}/32"), accept(protocol="udp", ports=(90, 99))), inner=False)))
    assert lab.reaches("a", B, 80)
    assert not lab.reaches("c", B, 80)
    assert not lab.reaches("a", B, 81)
    assert not lab.reaches("a", B, 80, "udp")
    assert lab.reaches("c", B, 99, "udp")
    assert not lab.reaches("c", B, 100, "udp")


def test_icmp(lab: Lab) -> None:
    lab.networks.apply(three(Group("two", (Rule("in", "icmp", peer=EVERYONE),), inner=False)))
    assert lab.pings("a", B)
    assert not lab.reaches("a", B, 80)
    assert not lab.pings("b", A)


def test_group_as_source_follows_membership(lab: Lab) -> None:
    two = Group("two", (accept(peer="", group="one"),), inner=False)
    lab.networks.apply(three(two))
    assert lab.reaches("a", B, 80)
    assert not lab.reaches("c", B, 80)
    lab.networks.apply(three(two, a="two", c="one"))
    assert not lab.reaches("a", B, 80)
    assert lab.reaches("c", B, 80)


def test_priority_decides_then_drop(lab: Lab) -> None:
    early, late = accept(priority=1), accept(accept=False, priority=2, peer=f"{A}/32")
    lab.networks.apply(three(Group("two", (late, early), inner=False)))
    assert lab.reaches("a", B, 80)
    lab.networks.apply(three(Group("two", (replace(late, priority=1), early), inner=False)))
    assert not lab.reaches("a", B, 80)
    assert lab.reaches("c", B, 80)


def test_rules_of_several_groups_are_merged(lab: Lab) -> None:
    deny = Group("deny", (accept(accept=False, priority=5, peer=f"{A}/32"),), inner=False)
    two = Group("two", (accept(priority=10),), inner=False)
    lab.networks.apply(three(deny, two, b="two deny"))
    assert not lab.reaches("a", B, 80)
    assert lab.reaches("c", B, 80)
    assert lab.reaches("a", C, 80)


def test_what_a_host_may_send(lab: Lab) -> None:
    two = Group("two", (accept(), accept(ports=(81, 81))), inner=False)
    one = Group("one", (Rule("out", "tcp", (80, 80), f"{B}/32", accept=False),), inner=False)
    lab.networks.apply(three(one, two))
    assert not lab.reaches("a", B, 80)
    assert lab.reaches("a", B, 81)
    assert lab.reaches("a", C, 80)
    shut = Group("one", (Rule("out", "tcp", (80, 80), f"{B}/32"),), inner=False, open_out=False)
    lab.networks.apply(three(shut, two))
    assert lab.reaches("a", B, 80)
    assert not lab.reaches("a", B, 81)


def test_inner(lab: Lab) -> None:
    lab.networks.apply(three(Group("two", inner=True)))
    assert lab.reaches("b", C, 80)
    assert not lab.reaches("a", C, 80)
    lab.networks.apply(three(Group("two", inner=False)))
    assert not lab.reaches("b", C, 80)


def test_source_ports_and_target(lab: Lab) -> None:
    lab.networks.apply(three(Group("two", (accept(source_ports=(4000, 4010), target="10.0.1.0/24"),), inner=False)))
    assert lab.reaches("a", B, 80, source_port=4005)
    assert not lab.reaches("a", B, 80, source_port=4011)
    assert not lab.reaches("a", C, 80, source_port=4005)


def test_revoking_cuts_live_flows_and_only_those(lab: Lab) -> None:
    two = Group("two", (accept(), accept(ports=(81, 81))), inner=False)
    lab.networks.apply(three(two))
    doomed, kept = lab.pair("a", B, "b", 80), lab.pair("a", B, "b", 81)
    assert talks(*doomed)
    assert talks(*kept)
    lab.networks.apply(three(replace(two, rules=two.rules[1:])))
    assert talks(*kept)
    assert not talks(*doomed)
    # the server's side speaks first: its packets are from the middle of nothing and must not open the flow again
    assert not talks(doomed[1], doomed[0])
    assert not talks(*doomed)
    lab.networks.apply(three(two))
    assert talks(*kept)


def test_leaving_a_group_cuts(lab: Lab) -> None:
    two = Group("two", (accept(peer="", group="one"),), inner=False)
    lab.networks.apply(three(two))
    live = lab.pair("a", B, "b", 80)
    assert talks(*live)
    lab.networks.apply(three(two, a="two"))
    assert not talks(*live)


def test_a_new_network_object_keeps_flows(lab: Lab) -> None:
    """A server that starts again finds everything running and changes nothing."""
    wanted = three(Group("two", (accept(),), inner=False))
    lab.networks.apply(wanted)
    live = lab.pair("a", B, "b", 80)
    again = type(lab.networks)(lab.site)
    again.apply(wanted)
    assert talks(*live)
    assert again.inspect(wanted) == []
    again.apply(three())
    assert not talks(*live)
    lab.networks.repair(wanted)


def test_a_false_source_address(lab: Lab) -> None:
    lab.networks.apply(three(Group("two", (accept(protocol="udp"),), inner=False)))
    heard = lab.listen("b", 80, "udp")
    netns = lab.site.netns("a")
    kernel.ip("addr add 10.0.2.77/32 dev lo", netns=netns)
    lab.socket("a", "udp", "10.0.2.77", 0).sendto(b"false", (B, 80))
    lab.socket("a", "udp", A, 0).sendto(b"true", (B, 80))
    assert heard.recvfrom(16)[0] == b"true"
    with pytest.raises(TimeoutError):
        heard.recvfrom(16)
    kernel.ip("addr del 10.0.2.77/32 dev lo", netns=netns)


def test_a_host_that_the_plan_does_not_know(lab: Lab) -> None:
    two = Group("two", (accept(),), inner=False)
    lab.networks.apply(three(two))
    assert lab.reaches("a", B, 80)
    without = three(two)
    lab.networks.apply(replace(without, hosts={id: one for id, one in without.hosts.items() if id != "a"}))
    assert not lab.reaches("a", B, 80)
    lab.networks.apply(three(two))
    assert lab.reaches("a", B, 80)


def test_balancers_are_let_in_and_reached(lab: Lab) -> None:
    """A link whose name says it leads to a balancer; its packets need no rule, a host's packets to it pass its own out rules."""
    outer, netns = f"{lab.site.prefix}b12345678", lab.site.netns("net1")
    lab.boot("balancer")
    kernel.ip(f"link add eth0 type veth peer name {outer} netns {netns}", netns=lab.site.netns("balancer"))
    inner = ("addr add 100.64.0.9/32 dev eth0", "link set eth0 up", "route add default dev eth0 src 100.64.0.9")
    kernel.ip(*inner, netns=lab.site.netns("balancer"))
    kernel.ip(f"link set {outer} up", "route add 100.64.0.9/32 dev " + outer, netns=netns)
    kernel.sysctl([(f"net/ipv4/conf/{outer}/proxy_arp", "1"), (f"net/ipv4/neigh/{outer}/proxy_delay", "0")], netns=netns)
    lab.networks.apply(three())
    assert lab.reaches("balancer", B, 80)
    assert not lab.reaches("balancer", "198.18.0.1", 80)
    assert lab.reaches("a", "100.64.0.9", 80)
    live = lab.pair("balancer", B, "b", 8080)
    shut = three(Group("one", (Rule("out", "all", peer="100.64.0.0/10", accept=False),), inner=False))
    lab.networks.apply(shut)
    assert not lab.reaches("a", "100.64.0.9", 80)
    assert talks(*live)
    assert lab.networks.inspect(shut) == []
    lab.halt("balancer")


def random_plan(random_: random.Random) -> Plan:
    ids = [f"g{n}" for n in range(4)]
    peers = [EVERYONE, "10.0.1.0/24", f"{A}/32", f"{B}/31", f"{C}/32", "::/0"]

    def rule() -> Rule:
        grouped = random_.random() < 0.4
        low = random_.choice([1, 50, 80, 81])
        source = (4000, 4000 + random_.choice([10, 60000 - 4000])) if random_.random() < 0.2 else None
        return Rule(
            random_.choice(["in", "in", "out"]),
            random_.choice(["tcp", "udp", "icmp", "all"]),
            (low, random_.choice([low, 81, 65535])) if random_.random() < 0.8 and low <= 81 else None,
            "" if grouped else random_.choice(peers),
            random_.choice([*ids, "unknown"]) if grouped else "",
            random_.random() < 0.75,
            random_.choice([1, 1, 2, 50, 100]),
            source,
            random_.choice(["", "", "", "10.0.1.0/24", f"{C}/32"]),
        )

    groups = [Group(id, tuple(rule() for _ in range(random_.randint(2, 7))), random_.random() < 0.3, random_.random() < 0.7) for id in ids]
    member = [[id for id in ids if random_.random() < 0.6] for _ in range(3)]
    return plan((host("a", A, member[0]), host("b", B, member[1]), host("c", C, member[2])), groups)


def sent(lab: Lab, source: str, flow: Flow) -> bool:
    return lab.reaches(source, flow.destination, flow.port, flow.protocol, source_port=flow.source_port)


def test_the_kernel_and_the_evaluator_agree(lab: Lab) -> None:
    chosen = random.Random(20)
    where = {"a": A, "b": B, "c": C}
    allowed = 0
    for turn in range(6):
        wanted = random_plan(chosen)
        lab.networks.apply(wanted)
        verdicts = Verdicts(wanted, "net1")
        asked = []
        for n in range(14):
            source, destination = chosen.sample(sorted(where), 2)
            protocol = chosen.choice(["tcp", "tcp", "udp", "udp", "icmp"])
            ports = (0, 0) if protocol == "icmp" else (chosen.choice([4005, 4500]) + 16 * turn + n, chosen.choice([50, 80, 81, 443]))
            asked.append((source, Flow("net1", protocol, where[source], where[destination], *ports)))
        flows.cut(lab.site.netns("net1"), lambda flow: True)
        with ThreadPoolExecutor(14) as pool:
            seen = list(pool.map(lambda one: sent(lab, *one), asked))
        for (_, flow), passed in zip(asked, seen, strict=True):
            assert verdicts.allows(flow) == passed, (flow, wanted.groups, wanted.hosts)
        assert lab.networks.inspect(wanted) == []  # changes step by step led to what loading the whole would
        allowed += sum(seen)
    assert 15 < allowed < 70


def test_thousands_of_flows_are_looked_through(lab: Lab) -> None:
    two = Group("two", (Rule("in", "udp", (1000, 7000), EVERYONE),), inner=False)
    lab.networks.apply(three(two))
    one = lab.socket("a", "udp", A, 0)
    for port in range(1000, 6000):
        one.sendto(b"x", (B, port))
    assert len(flows.read_flows(lab.site.netns("net1"))) >= 5000
    for last in (6999, 6998, 6997, 3499):
        lab.networks.apply(three(replace(two, rules=(replace(two.rules[0], ports=(1000, last)),))))
    left = [flow for flow in flows.read_flows(lab.site.netns("net1")) if flow.original.source_port == one.getsockname()[1]]
    assert {flow.original.port for flow in left} == set(range(1000, 3500))
