"""What the packet filter of one network decides, without a kernel: pure, used to find live flows that a change has forbidden."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from haechi.dataplane import firewall
from haechi.dataplane.plan import Group, Plan, Port, Rule

Match = Callable[["Flow"], bool]


@dataclass(frozen=True, slots=True)
class Flow:
    """One connection in the direction of its first packet, addresses as the filter sees them: a public destination is already
    translated, a source not yet."""

    network: str
    protocol: str  # tcp udp icmp gre, or the number of another
    source: str
    destination: str
    source_port: int = 0
    port: int = 0  # destination port
    entry: str = "port"  # port, outside (came to a public address), balancer, peer, machine (the namespace itself)
    exit: str = "port"  # port, outside, balancer, peer, machine (service addresses and gateways)
    public: str = ""  # the public address it used; "": the one the plan gives


def allows(plan: Plan, flow: Flow, mirrors: Collection[str] = ()) -> bool:
    """Whether the filter lets a new connection through. For many flows make one `Verdicts`."""
    return Verdicts(plan, flow.network, mirrors).allows(flow)


class Verdicts:
    """The filter of one network, prepared for many questions."""

    def __init__(self, plan: Plan, network: str, mirrors: Collection[str] = ()) -> None:
        one = plan.networks[network]
        self._plan, self._nat, self._mirrors = plan, one.nat, mirrors
        self._members = firewall.members_of(plan, network)
        self._ports = {address: port for port in firewall.ports_of(plan, network) for address in (port.address, *port.secondary)}
        self._publics = {public.address: public.private for public in plan.publics.values() if public.network == network}
        self._public_of = {private: address for address, private in self._publics.items()}
        self._cidrs = [IPv4Network(cidr, strict=False) for cidr in one.cidrs]
        self._services = set(one.services)
        self._machine = {*one.services, *(subnet.gateway for subnet in one.subnets)}
        balancers = [balancer for balancer in plan.balancers.values() if balancer.network == network]
        self._balancers = {address for balancer in balancers for address in (balancer.source, balancer.address)}
        peers = (cidr for peering in plan.peerings.values() for to, cidr in peering.routes if to == network)
        self._peers = [IPv4Network(cidr, strict=False) for cidr in peers]
        self._chains: dict[tuple[str, tuple[str, ...]], list[tuple[Match, bool]]] = {}

    def ends(self, source: str, destination: str, *, translated_source: bool, translated_destination: bool) -> tuple[str, str]:
        """`entry` and `exit` of a flow that the kernel tracks, from its addresses and which of them were translated."""
        if source in self._ports:
            entry = "port"
        elif source in self._machine:
            entry = "machine"
        else:
            entry = "outside" if translated_destination else self._beyond(source)
        if destination in self._ports:
            exit = "port"
        elif destination in self._machine:
            exit = "machine"
        else:
            exit = "outside" if translated_source else self._beyond(destination)
        return entry, exit

    def _beyond(self, address: str) -> str:
        return "peer" if any(IPv4Address(address) in cidr for cidr in self._peers) else "balancer"

    def allows(self, flow: Flow) -> bool:
        """Whether a new connection like this gets through."""
        if flow.entry == "machine":
            return True
        if flow.exit == "machine":
            return flow.entry == "port" and (flow.destination in self._services or flow.protocol == "icmp")
        return self._may_enter(flow) and self._may_leave(flow)

    def _may_enter(self, flow: Flow) -> bool:
        if flow.entry == "port":
            port = self._ports.get(flow.source)
            return port is not None and self._decides(port, "out", flow)
        if flow.entry == "outside":
            return flow.exit == "port" and self._publics.get(flow.public or self._public_of.get(flow.destination, "")) == flow.destination
        if flow.entry == "peer":
            return flow.exit == "port"
        # balancers may pass the client's own address on, but never one of this network that no port has
        inside = any(IPv4Address(flow.source) in cidr for cidr in self._cidrs)
        return flow.exit == "port" and (flow.source in self._balancers or not inside)

    def _may_leave(self, flow: Flow) -> bool:
        if flow.exit == "port":
            port = self._ports.get(flow.destination)
            return port is not None and (flow.entry == "balancer" or self._decides(port, "in", flow))
        if flow.exit == "peer":
            return flow.entry == "port"
        if flow.exit == "balancer":
            return flow.destination in self._balancers
        own = self._public_of.get(flow.source, "")
        if own and flow.public in ("", own):
            return True
        if not self._nat or flow.public not in ("", self._nat):
            return False
        return flow.destination in self._mirrors and flow.protocol == "tcp" and flow.port in firewall.MIRROR_PORTS

    def _decides(self, port: Port, direction: str, flow: Flow) -> bool:
        groups = firewall.groups_of(self._plan, port)
        key = direction, tuple(group.id for group in groups)
        if key not in self._chains:
            self._chains[key] = list(self._chain(groups, direction))
        return next(accept for match, accept in self._chains[key] if match(flow))

    def _chain(self, groups: tuple[Group, ...], direction: str) -> Iterable[tuple[Match, bool]]:
        for rule in firewall.merged(groups, direction):
            if (not rule.group or rule.group in self._members) and ":" not in rule.peer + rule.target:
                yield self._match(rule), rule.accept
        for group in groups:
            if group.inner:
                yield _peer_in(self._members[group.id], direction), True
        yield (lambda flow: True), direction == "out" and any(group.open_out for group in groups)

    def _match(self, rule: Rule) -> Match:
        tests: list[Match] = []
        if rule.group:
            tests.append(_peer_in(self._members[rule.group], rule.direction))
        else:
            tests.append(_within(rule.peer, source=rule.direction == "in"))
        if rule.target:
            tests.append(_within(rule.target, source=rule.direction == "out"))
        if rule.protocol != "all":
            tests.append(lambda flow: flow.protocol == rule.protocol)
        if rule.protocol in firewall.WITH_PORTS:
            low, high = rule.ports or (0, 65535)
            first, last = rule.source_ports or (0, 65535)
            tests.append(lambda flow: low <= flow.port <= high and first <= flow.source_port <= last)
        return lambda flow: all(test(flow) for test in tests)


def _peer_in(members: set[str], direction: str) -> Match:
    return (lambda flow: flow.source in members) if direction == "in" else (lambda flow: flow.destination in members)


def _within(cidr: str, *, source: bool) -> Match:
    network = IPv4Network(cidr, strict=False)
    low, high = int(network.network_address), int(network.broadcast_address)
    if source:
        return lambda flow: low <= int(IPv4Address(flow.source)) <= high
    return lambda flow: low <= int(IPv4Address(flow.destination)) <= high
