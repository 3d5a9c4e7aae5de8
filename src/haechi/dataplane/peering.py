"""Connections between networks: a namespace each, linked to both, with a firewall's rules in it. `Peerings` makes the kernel match a plan.

No link carries addresses: ends know each other by fixed MACs, as balancers' links do. The namespace checks that what comes from a network
is from its ranges. The far end of a link says in its alias which namespace it leads to, because a network can be made anew under its name.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from haechi.dataplane import flows, kernel, links, machine, ruleset, wall_rules, wiring
from haechi.dataplane.links import INNER, INNER_MAC, OUTER, OUTER_MAC
from haechi.dataplane.plan import Fault, Peering, Plan
from haechi.dataplane.ruleset import Ruleset
from haechi.dataplane.site import Site

STRICT = [  # a source that would not be answered the way it came is dropped
    ("net/ipv4/ip_forward", "1"),
    *((f"net/ipv4/conf/{which}/rp_filter", "1") for which in ("all", "default")),
    *((f"net/ipv4/conf/{which}/send_redirects", "0") for which in ("all", "default")),
]


@dataclass(frozen=True)
class Applied:
    """What a peering was last given. `inodes` tell its namespace and its networks' from later ones of the same names."""

    peering: Peering
    inodes: tuple[int, int, int]
    cidrs: tuple[tuple[str, ...], tuple[str, ...]]
    rules: Ruleset


class Peerings:
    """All peerings of one site. Thread-safe; failures raise KernelError, and every method can be called again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.RLock()
        self._register = site.run / "peerings"  # one empty file per peering made here
        self._applied: dict[str, Applied] = {}

    def apply(self, plan: Plan) -> None:
        """Make namespaces, links, routes and rules match. Policies change all at once; connections that they forbid are cut."""
        with self._lock, kernel.refusals():
            for id in self._registered() - plan.peerings.keys():
                self._remove(id)
            for peering in plan.peerings.values():
                self._apply(peering, self._cidrs(plan, peering))

    def hits(self) -> dict[str, tuple[int, int]]:
        """Packets and bytes by policy id since its counter was made; those of connections' first packets."""
        found: dict[str, tuple[int, int]] = {}
        with self._lock:
            guarded = [one.peering for one in self._applied.values() if one.peering.guarded and one.peering.policies]
        for peering in guarded:
            netns = self._site.netns(peering.id)
            try:
                counted = kernel.counters(f"ip {wall_rules.table_name(self._site.prefix)}", netns)
            except kernel.KernelError:
                if kernel.netns_exists(netns):
                    raise
                continue  # it went meanwhile
            found |= {p.id: counted[name] for p in peering.policies if (name := wall_rules.counter_of(p)) in counted}
        return found

    def inspect(self, plan: Plan) -> list[Fault]:
        """What in the kernel differs from the plan. Changes nothing."""
        with self._lock, kernel.refusals():
            faults = [Fault("orphan", id, f"Peering {id} is not in the plan") for id in sorted(self._registered() - plan.peerings.keys())]
            for peering in plan.peerings.values():
                cidrs = self._cidrs(plan, peering)
                faults += [Fault("peering", peering.id, f"Peering {peering.id}: {what}") for what in self._differences(peering, cidrs)]
            return faults

    def repair(self, plan: Plan) -> None:
        """Apply the plan as if nothing were known about the kernel."""
        with self._lock, kernel.refusals():
            self._applied.clear()
            self.apply(plan)

    def destroy(self) -> None:
        """Remove every peering of this site, known or left over."""
        with self._lock, kernel.refusals():
            for id in self._registered():
                self._remove(id)

    def _apply(self, peering: Peering, cidrs: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        netns, inodes = self._site.netns(peering.id), self._inodes(peering)
        if not all(inodes[1:]):
            raise kernel.KernelError(f"peering {peering.id}: one of its networks is not there")
        rules = wall_rules.render_between(self._site.prefix, self._site.index, peering)
        known = self._applied.pop(peering.id, None)
        if known == Applied(peering, inodes, cidrs, rules):
            self._applied[peering.id] = known
            return
        self._register.mkdir(parents=True, exist_ok=True)
        (self._register / peering.id).touch()
        kernel.netns_add(netns, STRICT)
        self._load(netns, known.rules if known and known.inodes == inodes else None, rules)
        for number, network in enumerate(peering.networks):
            self._connect(peering, number, self._site.netns(network), inodes[1 + number], cidrs[number])
        self._applied[peering.id] = Applied(peering, self._inodes(peering), cidrs, rules)
        if peering.guarded:
            decide = wall_rules.judge_between(peering.policies)
            flows.cut(netns, lambda flow: any(policy.action == "drop" for policy in decide(flow.protocol, flow.original)))

    def _load(self, netns: str, before: Ruleset | None, rules: Ruleset) -> None:
        """Rules come before links: what they forbid never gets through."""
        change = ruleset.render_whole(rules) if before is None else ruleset.render_change(before, rules)
        if change:
            kernel.nft(change, netns)
        kernel.sysctl(machine.TRACKING, netns=netns)

    def _connect(self, peering: Peering, number: int, network: str, inode: int, cidrs: tuple[str, ...]) -> None:
        netns, device, link = self._site.netns(peering.id), f"net{number}", self._link(peering.id, number)
        seen = wiring.read_seen(netns)
        if seen.links.get(device) != str(inode):
            if device in seen.links:
                wiring.unlink(device, netns)
            links.connect(netns, device, network, link, inode)
        kernel.ip(
            f"link set {device} up",
            f"neigh replace {OUTER} lladdr {OUTER_MAC} dev {device} nud permanent",
            *(f"route replace {cidr} via {OUTER} dev {device} onlink" for cidr in cidrs),
            *(f"route del {route}" for route in self._stray(seen.routes, device, OUTER, cidrs)),
            netns=netns,
        )
        wanted = _halved(cidr for to, cidr in peering.routes if to == peering.networks[number])
        kernel.ip(
            f"link set {link} up",
            f"neigh replace {INNER} lladdr {INNER_MAC} dev {link} nud permanent",
            *(f"route replace {cidr} via {INNER} dev {link} onlink" for cidr in wanted),
            *(f"route del {route}" for route in self._stray(wiring.read_routes(network), link, INNER, wanted)),
            netns=network,
        )
        links.settle(link, network)

    def _stray(self, routes: frozenset[str], device: str, via: str, cidrs: tuple[str, ...]) -> list[str]:
        kept = {f"{cidr} via {via} dev {device}" for cidr in cidrs}
        return sorted(route for route in routes if route.endswith(f" dev {device}") and route not in kept)

    def _remove(self, id: str) -> None:
        self._applied.pop(id, None)
        netns = self._site.netns(id)
        if kernel.netns_exists(netns):
            for device in ("net0", "net1"):
                if device in wiring.names(netns):
                    wiring.unlink(device, netns)
        kernel.netns_delete(netns)
        (self._register / id).unlink(missing_ok=True)

    def _differences(self, peering: Peering, cidrs: tuple[tuple[str, ...], tuple[str, ...]]) -> Iterator[str]:
        netns, inodes = self._site.netns(peering.id), self._inodes(peering)
        if not all(inodes):
            yield "its namespace or one of its networks is missing"
            return
        seen = wiring.read_seen(netns)
        for number, network in enumerate(peering.networks):
            device, link = f"net{number}", self._link(peering.id, number)
            if seen.links.get(device) != str(inodes[1 + number]) or device not in seen.up:
                yield f"its link to {network} is missing or down"
                continue
            there = {route for route in seen.routes if route.endswith(f" dev {device}")}
            if there != {f"{cidr} via {OUTER} dev {device}" for cidr in cidrs[number]}:
                yield f"its routes into {network} differ"
            back = {route for route in wiring.read_routes(self._site.netns(network)) if route.endswith(f" dev {link}")}
            if back != {f"{c} via {INNER} dev {link}" for c in _halved(c for to, c in peering.routes if to == network)}:
                yield f"the routes of {network} to it differ"
        rules = wall_rules.render_between(self._site.prefix, self._site.index, peering)
        if ruleset.differs(rules, netns):
            yield "its firewall's rules differ"

    def _link(self, id: str, number: int) -> str:
        return self._site.ifname("q", f"{id} {number}")

    def _inodes(self, peering: Peering) -> tuple[int, int, int]:
        one, other = peering.networks
        return wiring.inode(self._site.netns(peering.id)), wiring.inode(self._site.netns(one)), wiring.inode(self._site.netns(other))

    def _cidrs(self, plan: Plan, peering: Peering) -> tuple[tuple[str, ...], tuple[str, ...]]:
        one, other = (tuple(plan.networks[id].cidrs) if id in plan.networks else () for id in peering.networks)
        return one, other

    def _registered(self) -> set[str]:
        return {path.name for path in self._register.iterdir()} if self._register.exists() else set()


def _halved(cidrs: Iterator[str]) -> tuple[str, ...]:
    """Routes for these; in place of a whole private range its halves, since the network keeps a route of its own for that range."""
    found: list[str] = []
    for cidr in cidrs:
        network = IPv4Network(cidr)
        found += map(str, network.subnets()) if network in wiring.PRIVATE else [cidr]
    return tuple(found)
