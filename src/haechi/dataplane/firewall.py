"""The packet filter and address translation of one network: pure, a `plan.Plan` in, a `ruleset.Ruleset` out.

A packet between two ports passes the sender's out rules, then the receiver's in rules. Ports with the same groups share one
pair of chains. Replies follow the connection's first packet. Interfaces: ports by name, `up0` the way out; those whose name starts with
the site's prefix and "b" lead to load balancers, with "q" to other networks. Generated names carry a letter and "_" in front, because
many words are taken by nft's grammar. `verdicts` decides the same without a kernel; the tests hold the two together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from haechi.dataplane.plan import Group, Network, Plan, Port, Rule
from haechi.dataplane.ruleset import Ruleset, Set

UPLINK = "up0"
TRACKED = "ct state vmap { established : accept, related : accept, invalid : drop }"
MIRROR_PORTS = (80, 443)
WITH_PORTS = ("tcp", "udp")


def ports_of(plan: Plan, network: str) -> list[Port]:
    """The ports of one network, in the order of the plan's hosts."""
    return [host.port for host in plan.hosts.values() if host.port.network == network]


def groups_of(plan: Plan, port: Port) -> tuple[Group, ...]:
    """The groups a port is in, sorted by id; ids the plan does not have are left out."""
    return tuple(plan.groups[id] for id in sorted(set(port.groups)) if id in plan.groups)


def members_of(plan: Plan, network: str) -> dict[str, set[str]]:
    """Addresses of each group's ports in one network, secondary ones included, by group id."""
    members: dict[str, set[str]] = {id: set() for id in plan.groups}
    for port in ports_of(plan, network):
        for group in groups_of(plan, port):
            members[group.id].update((port.address, *port.secondary))
    return members


def merged(groups: Iterable[Group], direction: str) -> list[Rule]:
    """Rules of several groups for one direction, first match first: by priority, at the same priority drops before accepts."""
    rules = dict.fromkeys(rule for group in groups for rule in group.rules if rule.direction == direction)
    return sorted(rules, key=lambda rule: (rule.priority, rule.accept))


def render_rules(plan: Plan, network: Network, *, prefix: str, ifname: Callable[[str], str], mirrors: Iterable[str] = ()) -> Ruleset:
    """Everything a network's namespace does to packets. `ifname` names the interface of a port id; `mirrors` are addresses."""
    ports = ports_of(plan, network.id)
    publics = [public for public in plan.publics.values() if public.network == network.id]
    members = members_of(plan, network.id)
    chains: dict[str, tuple[str, ...]] = {}
    entering: dict[str, str] = {}
    leaving: dict[str, str] = {}
    used: set[str] = set()
    for port in ports:
        groups = groups_of(plan, port)
        key = _digest(*(group.id for group in groups))
        entering[f'"{ifname(port.id)}"'] = f"jump i_{key}"
        leaving[f'"{ifname(port.id)}"'] = f"jump o_{key}"
        chains[f"i_{key}"] = render_in(groups, plan.groups)
        chains[f"o_{key}"] = render_out(groups, plan.groups)
        used.update(group.id for group in groups if group.inner)
        used.update(rule.group for group in groups for rule in group.rules if rule.group in plan.groups)
    sets = {
        "ports": Set("ifname", dict.fromkeys(entering, "")),
        "port_in": Set("ifname : verdict", entering, "map"),
        "port_out": Set("ifname : verdict", leaving, "map"),
        "public_in": Set("ipv4_addr : ipv4_addr", {public.address: public.private for public in publics}, "map"),
        "public_out": Set("ipv4_addr : ipv4_addr", {public.private: public.address for public in publics}, "map"),
        "public_hosts": Set("ipv4_addr", {public.private: "" for public in publics}),
        "services": Set("ipv4_addr", dict.fromkeys(network.services, "")),
        "mirrors": Set("ipv4_addr", dict.fromkeys(sorted(mirrors), "")),
        **{f"g_{_digest(id)}": Set("ipv4_addr", dict.fromkeys(sorted(members[id]), "")) for id in sorted(used)},
    }
    headers = {
        "c_forward": "type filter hook forward priority filter; policy drop;",
        "c_input": "type filter hook input priority filter; policy drop;",
        "c_pre": "type nat hook prerouting priority dstnat; policy accept;",
        "c_post": "type nat hook postrouting priority srcnat; policy accept;",
    }
    base = {
        "c_sent": (
            "oifname vmap @port_in",
            f'oifname "{prefix}b*" accept',
            f'oifname "{prefix}q*" accept',
            f'oifname "{UPLINK}" ip saddr @public_hosts accept',
            *([f'oifname "{UPLINK}" ip daddr @mirrors tcp dport {{ {", ".join(map(str, MIRROR_PORTS))} }} accept'] if network.nat else []),
        ),
        "c_forward": (
            TRACKED,
            f'iifname "{UPLINK}" ct status dnat oifname vmap @port_in',
            f'iifname "{prefix}b*" oifname @ports accept',
            f'iifname "{prefix}q*" oifname vmap @port_in',
            "iifname vmap @port_out",
            "iifname @ports jump c_sent",
        ),
        "c_input": (
            TRACKED,
            'iifname "lo" accept',
            "iifname @ports ip daddr @services accept",
            "iifname @ports icmp type echo-request accept",
        ),
        "c_pre": (f'iifname "{UPLINK}" dnat ip to ip daddr map @public_in',),
        "c_post": (
            f'oifname "{UPLINK}" snat ip to ip saddr map @public_out',
            *([f'oifname "{UPLINK}" snat ip to {network.nat}'] if network.nat else []),
        ),
    }
    return Ruleset("inet", prefix, sets, headers, {**base, **chains})


def render_in(groups: Iterable[Group], known: Iterable[str]) -> tuple[str, ...]:
    """What a port with these groups accepts. Every packet gets a verdict."""
    groups, known = tuple(groups), set(known)
    rules = [line for rule in merged(groups, "in") for line in render_rule(rule, known, "accept")]
    inner = [f"ip saddr @g_{_digest(group.id)} accept" for group in groups if group.inner]
    return (*rules, *inner, "drop")


def render_out(groups: Iterable[Group], known: Iterable[str]) -> tuple[str, ...]:
    """What a port with these groups may send: dropped, or handed back for the receiver to decide."""
    groups, known = tuple(groups), set(known)
    rules = [line for rule in merged(groups, "out") for line in render_rule(rule, known, "return")]
    inner = [f"ip daddr @g_{_digest(group.id)} return" for group in groups if group.inner]
    return (*rules, "return") if any(group.open_out for group in groups) else (*rules, *inner, "drop")


def render_rule(rule: Rule, known: Iterable[str], accept: str) -> tuple[str, ...]:
    """One rule as nft text with the verdict `accept` or drop; nothing when it can match no packet (unknown group, IPv6 peer)."""
    peer, own = ("saddr", "daddr") if rule.direction == "in" else ("daddr", "saddr")
    if (rule.group and rule.group not in known) or ":" in rule.peer + rule.target:
        return ()
    match: list[str] = []
    if rule.group:
        match += [f"ip {peer} @g_{_digest(rule.group)}"]
    elif not rule.peer.endswith("/0"):
        match += [f"ip {peer} {rule.peer}"]
    if rule.target and not rule.target.endswith("/0"):
        match += [f"ip {own} {rule.target}"]
    if rule.protocol in WITH_PORTS and (rule.ports or rule.source_ports):
        match += [f"{rule.protocol} sport {_span(rule.source_ports)}"] if rule.source_ports else []
        match += [f"{rule.protocol} dport {_span(rule.ports)}"] if rule.ports else []
    elif rule.protocol != "all":
        match += [f"meta l4proto {rule.protocol}"]
    return (" ".join([*match, accept if rule.accept else "drop"]),)


def _span(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"


def _digest(*ids: str) -> str:
    """Eight hexadecimal digits for a list of ids."""
    return hashlib.blake2s("\n".join(ids).encode(), digest_size=4).hexdigest()
