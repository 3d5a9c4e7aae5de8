"""The packet filter without a kernel: texts from rules, and what they decide. Cases are in tests/cases/firewall."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane import firewall
from haechi.dataplane.plan import Balancer, Group, Host, Network, Plan, Port, Public, Rule, Subnet
from haechi.dataplane.ruleset import Ruleset, Set, render_change, render_whole
from haechi.dataplane.site import Site
from haechi.dataplane.verdicts import Flow, Verdicts, allows
from haechi.dataplane.wiring import render_base

CASES = Path(__file__).parents[1] / "cases" / "firewall"
SITE = Site(12, Path("/nowhere"), Path("/nowhere"), Path("/nowhere"))


def read(name: str) -> Any:
    return json.loads((CASES / name).read_text())


def rule(values: dict[str, Any]) -> Rule:
    return Rule(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def group(values: dict[str, Any]) -> Group:
    return Group(**{**values, "rules": tuple(map(rule, values.get("rules", ())))})


def named(lines: list[str]) -> tuple[str, ...]:
    """Lines with `@{id}` replaced by the name of the group's set."""
    return tuple(re.sub(r"@\{(\w+)\}", lambda found: "@g_" + firewall._digest(found[1]), line) for line in lines)


@pytest.mark.parametrize("case", read("rules.json"), ids=lambda case: case["about"])
def test_rules(case: dict[str, Any]) -> None:
    one = rule(case["rule"])
    assert firewall.render_rule(one, {"web"}, "accept" if one.direction == "in" else "return") == named(case["text"])


@pytest.mark.parametrize("case", read("chains.json"), ids=lambda case: case["about"])
def test_chains(case: dict[str, Any]) -> None:
    groups = [group(values) for values in case["groups"]]
    known = {"web", "db"}
    assert firewall.render_in(groups, known) == named(case["in"])
    assert firewall.render_out(groups, known) == named(case["out"])


def plan() -> Plan:
    values = read("verdicts.json")["plan"]
    network = values["networks"][0]
    subnets = tuple(Subnet(**subnet) for subnet in network["subnets"])
    return Plan(
        networks={"net1": Network("net1", tuple(network["cidrs"]), subnets, network["nat"], tuple(network["services"]))},
        groups={one["id"]: group(one) for one in values["groups"]},
        hosts={id: Host(id, id, "", Port(f"p-{id}", "net1", "s1", at, "", tuple(groups))) for id, (at, groups) in values["ports"].items()},
        publics={address: Public(address, "net1", private) for address, private in values["publics"].items()},
        balancers={one["id"]: Balancer(**one) for one in values["balancers"]},
    )


@pytest.mark.parametrize("case", read("verdicts.json")["flows"], ids=lambda case: case["about"])
def test_verdicts(case: dict[str, Any]) -> None:
    protocol, source, destination, port = case["flow"]
    more = {key: case[key] for key in ("entry", "exit", "public", "source_port") if key in case}
    flow = Flow("net1", protocol, source, destination, port=port, **more)
    assert allows(plan(), flow, read("verdicts.json")["plan"]["mirrors"]) is case["allowed"]


def test_where_a_tracked_flow_comes_from_and_goes() -> None:
    verdicts = Verdicts(plan(), "net1")

    def ends(source: str, destination: str, *, source_changed: bool = False, destination_changed: bool = False) -> tuple[str, str]:
        return verdicts.ends(source, destination, translated_source=source_changed, translated_destination=destination_changed)

    assert ends("10.0.1.11", "10.0.1.12") == ("port", "port")
    assert ends("203.0.113.1", "10.0.1.11", destination_changed=True) == ("outside", "port")
    assert ends("10.0.1.11", "203.0.113.1", source_changed=True) == ("port", "outside")
    assert ends("203.0.113.1", "10.0.1.11") == ("balancer", "port")
    assert ends("10.0.1.11", "10.0.1.100") == ("port", "balancer")
    assert ends("10.0.1.11", "100.100.2.136") == ("port", "machine")
    assert ends("10.0.1.253", "10.0.1.11") == ("machine", "port")


def ruleset(values: dict[str, Any]) -> Ruleset:
    sets = {name: Set(**one) for name, one in values.get("sets", {}).items()}
    return Ruleset("inet", "t", sets, {}, {name: tuple(rules) for name, rules in values.get("chains", {}).items()})


@pytest.mark.parametrize("case", read("changes.json"), ids=lambda case: case["about"])
def test_changes(case: dict[str, Any]) -> None:
    assert render_change(ruleset(case["old"]), ruleset(case["new"])).splitlines() == case["text"]


def whole(given: Plan) -> Ruleset:
    mirrors = read("verdicts.json")["plan"]["mirrors"]
    return firewall.render_rules(given, given.networks["net1"], prefix="hx12", ifname=lambda id: SITE.ifname("p", id), mirrors=mirrors)


def test_a_whole_network() -> None:
    assert render_whole(whole(plan())) == (CASES / "whole.nft").read_text()


def test_ports_with_the_same_groups_share_their_chains() -> None:
    rules = whole(plan())
    entering = rules.sets["port_in"].elements
    assert entering[f'"{SITE.ifname("p", "p-a")}"'] == entering[f'"{SITE.ifname("p", "p-b")}"']
    assert len(entering) == 6
    assert sum(name.startswith("i_") for name in rules.chains) == 5


def test_a_mirror_gets_a_way_out_only_where_there_is_none() -> None:
    network = plan().networks["net1"]
    base = render_base(network, ["203.0.113.80", "10.0.1.50", "10.0.1.11", "192.168.1.1", "10.0.1.253"], ["10.0.1.11"], SITE.outside)
    assert base.addresses == {"10.0.1.253", "100.100.2.136"}
    assert {route for route in base.routes if "via" in route} == {f"{a} via 198.18.192.1 dev up0" for a in ("10.0.1.50", "192.168.1.1")}
    assert "unreachable 10.0.0.0/16" in base.routes
    assert "unreachable 169.254.0.0/16" in base.routes
