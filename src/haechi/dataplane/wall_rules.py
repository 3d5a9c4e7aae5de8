"""Firewalls as rules of nft, and the same decisions in Python for connections that live already.

The Internet firewall's rules lie in the machine's own namespace, which every packet to and from a public address of the site passes; those
of a firewall between two networks in the namespace of their peering. A connection is decided by its first packet; by its first payload,
where a policy asks for an application.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from haechi.dataplane import applications
from haechi.dataplane.applications import DONE, NUMBERS, PENDING, UNKNOWN
from haechi.dataplane.flows import End
from haechi.dataplane.plan import Peering, Policy, Wall
from haechi.dataplane.ruleset import Ruleset, Set

LOG_GROUP = 700  # plus the site's number; netlink group that dropped and watched packets are told to
LOGGED = "limit rate 200/second burst 200 packets"  # of one policy
PORTED = ("tcp", "udp")
LATELY = 65536  # decisions and addresses that are remembered
Judge = Callable[[str, End], list[Policy]]


def table_name(prefix: str) -> str:
    return f"{prefix}w"


def counter_of(policy: Policy) -> str:
    return f"p_{policy.id.replace('-', '_')}"


def domain_set(policy: Policy) -> str:
    return f"d_{policy.id.replace('-', '_')}"


def render(prefix: str, site: int, wall: Wall, learned: Mapping[str, Collection[str]]) -> Ruleset:
    """The table; empty without protected addresses. `learned` are addresses by domain name, as resolvers told them."""
    if not wall.protected:
        return Ruleset("ip", table_name(prefix))
    group = LOG_GROUP + site
    headers = {name: f"type filter hook {name[2:]} priority filter - 5; policy accept;" for name in ("h_input", "h_forward", "h_output")}
    sets = {"on": Set("ipv4_addr", dict.fromkeys(wall.protected, ""))}
    for policy in wall.policies:
        if policy.domains:
            known = {address for name, found in learned.items() if covers(policy, name) for address in found}
            sets[domain_set(policy)] = Set("ipv4_addr", dict.fromkeys(sorted(known), ""))
    chains: dict[str, tuple[str, ...]] = {"c_application": tuple(applications.rules())}
    for direction in ("in", "out"):
        policies = [policy for policy in wall.policies if policy.direction == direction]
        chains[f"c_{direction}"] = tuple(rule for policy in policies for rule in _rules(policy, wall.strict, group))
    here = "ip saddr != @on ip daddr != @on accept"
    jumps = ("ip saddr @on jump c_out", "ip daddr @on jump c_in")
    chains["c_wall"] = (here, *_wall(any(policy.applications for policy in wall.policies), jumps))
    chains |= {name: ("jump c_wall",) for name in headers}
    return Ruleset("ip", table_name(prefix), sets, headers, chains, frozenset(counter_of(policy) for policy in wall.policies))


def render_between(prefix: str, site: int, peering: Peering) -> Ruleset:
    """The table of a firewall between networks. Switched off it still tracks connections, so that they live on when it is switched on."""
    headers = {"h_forward": "type filter hook forward priority filter - 5; policy accept;"}
    if not peering.guarded:
        return Ruleset("ip", table_name(prefix), {}, headers, {"h_forward": ("ct state established accept",)})
    policies = peering.policies
    chains: dict[str, tuple[str, ...]] = {"c_application": tuple(applications.rules())}
    chains["c_in"] = tuple(rule for policy in policies for rule in _rules(policy, peering.strict, LOG_GROUP + site))
    chains["h_forward"] = tuple(_wall(any(policy.applications for policy in policies), ("jump c_in",)))
    return Ruleset("ip", table_name(prefix), {}, headers, chains, frozenset(counter_of(policy) for policy in policies))


def _wall(with_applications: bool, jumps: tuple[str, ...]) -> Iterator[str]:
    waiting = f"{{ {PENDING:#x}, {UNKNOWN:#x}, {', '.join(f'{number:#x}' for number in NUMBERS.values())} }}"
    undecided = f" ct mark != {waiting}" if with_applications else ""
    yield f"ct state established,related{undecided} accept"
    # what comes of a connection that was cut must not open it again
    yield "ct state invalid drop"
    yield "ct state new meta l4proto tcp tcp flags & (fin | syn | rst | ack) != syn drop"
    if with_applications:
        yield f"ct mark {PENDING:#x} jump c_application"
        yield f"ct mark {PENDING:#x} accept"
        yield "ct direction reply accept"
    yield from jumps
    if with_applications:
        yield f"ct state established ct mark {waiting} ct mark != {PENDING:#x} ct mark set {DONE:#x}"


def _rules(policy: Policy, strict: bool, group: int) -> Iterator[str]:
    match, name = _match(policy), counter_of(policy)
    told = f'log prefix "{policy.id} {policy.action} " group {group} snaplen 64'
    if policy.applications:
        marks = ", ".join(f"{NUMBERS[application]:#x}" for application in policy.applications)
        if not strict:
            yield f"{match}ct mark {UNKNOWN:#x} return".strip()
        yield f"{match}ct state new ct mark set {PENDING:#x} return".strip()
        match = f"{match}ct mark {{ {marks} }} "
    if policy.action != "accept":
        yield f"{match}{LOGGED} {told}"
    yield f"{match}counter name {name} {'drop' if policy.action == 'drop' else 'return'}"


def _match(policy: Policy) -> str:
    """Conditions with a blank behind each."""
    parts = []
    if policy.protocol != "any":
        parts.append(f"meta l4proto {policy.protocol}")
    elif policy.ports:
        parts.append("meta l4proto { tcp, udp }")
    for side, cidrs in (("saddr", policy.sources), ("daddr", policy.destinations)):
        merged = [str(network) for network in _merge(cidrs)]
        if merged and merged != ["0.0.0.0/0"]:
            parts.append(f"ip {side} {{ {', '.join(merged)} }}")
    if policy.domains:
        parts.append(f"ip daddr @{domain_set(policy)}")
    if policy.ports and policy.protocol in ("any", *PORTED):
        parts.append(f"th dport {{ {', '.join(_span(low, high) for low, high in _join(policy.ports))} }}")
    return "".join(f"{part} " for part in parts)


def _merge(cidrs: Collection[str]) -> list[IPv4Network]:
    return list(collapse_addresses(IPv4Network(cidr, strict=False) for cidr in cidrs))


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _join(ports: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without overlaps, which a set of nft does not take."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ports):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined


def covers(policy: Policy, name: str) -> bool:
    """Whether a policy's domains hold a name."""
    return any(name == domain or (domain.startswith("*.") and name.endswith(domain[1:])) for domain in policy.domains)


def judge(wall: Wall, learned: Mapping[str, Collection[str]]) -> Judge:
    """Tells which policies decide a connection of a protocol: that of each direction it is subject to, if any, out before in.

    A policy for an application is passed over: what a connection carries is not known here.
    """
    protected = set(wall.protected)

    def directions_of(end: End) -> list[str]:
        return [d for d, address in (("out", end.source), ("in", end.destination)) if address in protected]

    return _judge(wall.policies, directions_of, learned)


def judge_between(policies: tuple[Policy, ...]) -> Judge:
    """The same for a firewall between networks."""
    return _judge(policies, lambda end: ["in"], {})


def _judge(policies: tuple[Policy, ...], directions_of: Callable[[End], list[str]], learned: Mapping[str, Collection[str]]) -> Judge:
    tests: dict[str, list[tuple[Policy, Callable[[str, End], bool]]]] = {"in": [], "out": []}
    for policy in policies:
        if not policy.applications:
            tests[policy.direction].append((policy, _test(policy, learned)))

    @lru_cache(LATELY)
    def decided(protocol: str, end: End) -> list[Policy]:
        found = (next((policy for policy, test in tests[d] if test(protocol, end)), None) for d in directions_of(end))
        return [policy for policy in found if policy is not None]

    def decide(protocol: str, end: End) -> list[Policy]:
        return decided(protocol, replace(end, source_port=0))  # no policy asks for it

    return decide


def _test(policy: Policy, learned: Mapping[str, Collection[str]]) -> Callable[[str, End], bool]:
    sources, destinations = _ranges(policy.sources), _ranges(policy.destinations)
    named = {address for name, found in learned.items() if covers(policy, name) for address in found} if policy.domains else None
    ports = _join(policy.ports)

    def test(protocol: str, end: End) -> bool:
        if policy.protocol not in ("any", protocol):
            return False
        if ports and not (protocol in PORTED and any(low <= end.port <= high for low, high in ports)):
            return False
        if named is not None and end.destination not in named:
            return False
        return _in(sources, end.source) and _in(destinations, end.destination)

    return test


def _ranges(cidrs: Collection[str]) -> list[tuple[int, int]]:
    return [(int(network.network_address), int(network.broadcast_address)) for network in _merge(cidrs)]


def _in(ranges: list[tuple[int, int]], address: str) -> bool:
    if not ranges:
        return True
    number = _number(address)
    return any(low <= number <= high for low, high in ranges)


@lru_cache(LATELY)
def _number(address: str) -> int:
    return int(IPv4Address(address))
