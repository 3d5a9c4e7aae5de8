"""Virtual networks: one namespace each, with its ports, public addresses and packet rules. `Networks` makes the kernel match a plan.

What was applied is remembered, so that a change touches only what differs; what fails is forgotten, so that the next `apply` starts
from what the kernel really has.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from haechi.dataplane import firewall, flows, inspection, kernel, machine, rates, wiring
from haechi.dataplane.plan import Fault, Host, Network, Plan
from haechi.dataplane.ruleset import Ruleset, render_change, render_whole
from haechi.dataplane.site import Site
from haechi.dataplane.verdicts import Flow, Verdicts


@dataclass(frozen=True)
class Applied:
    """What one network's namespace (told by its inode) was last given."""

    inode: int
    rules: Ruleset
    base: wiring.Base
    plugs: Mapping[str, str]  # marks by interface
    limits: rates.Limits


class Networks:
    """All networks of one site. Thread-safe; every method raises KernelError when the kernel refuses, and can be called again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.RLock()
        self._plan = Plan()
        self._applied: dict[str, Applied] = {}
        self._publics: dict[str, str] | None = None  # uplink by public address; None: ask the kernel
        self._machine_ready = False
        self._register = site.run / "networks"  # one empty file per network made here: which namespaces are ours to remove
        self._mirror_file = site.run / "mirrors"
        self._mirrors: set[str] | None = None

    def apply(self, plan: Plan) -> None:
        """Make the kernel match the plan's networks, ports of hosts that have a namespace, rules and public addresses.

        Live connections stay, except those the plan's rules forbid. Stops at the first network that fails; applying the plan
        before then brings everything back.
        """
        with self._lock, kernel.refusals():
            if not self._machine_ready:
                machine.apply_machine(self._site)
                self._machine_ready = True
            for id in self._registered() - plan.networks.keys():
                self._remove(id)
            for network in plan.networks.values():
                self._apply_network(plan, network)
            self._apply_publics(plan)
            self._plan = plan

    def attach(self, plan: Plan, host_id: str) -> None:
        """Connect a host's port to the namespace just made for it. The plan's network must have been applied."""
        with self._lock, kernel.refusals():
            host = plan.hosts[host_id]
            applied = self._applied.get(host.port.network)
            plug = self._plug(plan, host)
            if applied is None or plug is None:
                raise kernel.KernelError(f"host {host_id}: {'its namespace' if applied else f'network {host.port.network}'} is not there")
            wiring.apply_plugs(self._site.netns(host.port.network), [plug])
            plugs = {**applied.plugs, plug.interface: plug.mark}
            self._applied[host.port.network] = Applied(applied.inode, applied.rules, applied.base, plugs, applied.limits)

    def allow_mirror(self, addresses: Iterable[str]) -> None:
        """Let hosts without a public address reach these package mirrors, from now on and in every network."""
        with self._lock, kernel.refusals():
            mirrors = self._read_mirrors()
            if new := {address for address in addresses if _usable(address, self._site)} - mirrors:
                mirrors |= new
                self._site.run.mkdir(parents=True, exist_ok=True)
                self._mirror_file.write_text("\n".join(sorted(mirrors)) + "\n")
                for id in list(self._applied):
                    if id in self._plan.networks:
                        self._apply_network(self._plan, self._plan.networks[id])

    def inspect(self, plan: Plan) -> list[Fault]:
        """What in the kernel differs from the plan. Changes nothing."""
        with self._lock, kernel.refusals():
            extra = self._registered() - plan.networks.keys()
            faults = [Fault("orphan", id, f"Network {id} is not in the plan") for id in sorted(extra)]
            faults += machine.inspect_machine(self._site)
            for network in plan.networks.values():
                rules, base, plugs, limits = self._wanted(plan, network)
                faults += inspection.inspect_network(self._site, network.id, rules, base, plugs, limits)
            return faults + inspection.inspect_publics(self._site, self._uplinks(plan), self._registered())

    def repair(self, plan: Plan) -> None:
        """Apply the plan as if nothing were known about the kernel."""
        with self._lock, kernel.refusals():
            self._applied.clear()
            self._publics, self._machine_ready = None, False
            self.apply(plan)

    def destroy(self) -> None:
        """Remove every network of this site, known or left over, and give the machine its own settings back."""
        with self._lock, kernel.refusals():
            for id in self._registered():
                self._remove(id)
            machine.destroy_machine(self._site)
            self._mirror_file.unlink(missing_ok=True)
            self._mirrors, self._plan, self._publics, self._machine_ready = None, Plan(), None, False

    # one network

    def _apply_network(self, plan: Plan, network: Network) -> None:
        netns, outer = self._site.netns(network.id), self._site.ifname("u", network.id)
        known = self._applied.pop(network.id, None)  # recorded again when all is done
        inode = wiring.inode(netns)
        if known and known.inode != inode:
            known = None
        rules, base, plugs, limits = self._wanted(plan, network)
        if known is None:
            self._prepare(network.id, netns, outer, new=not inode)
            change = render_whole(rules)
        else:
            change = render_change(known.rules, rules)
        if change:
            kernel.nft(change, netns)  # before ports, so that rules hold from the first packet
        if known is None:
            known = self._adopt(netns, outer, rules, plugs)
        wiring.apply_base(netns, known.base, base)
        marks = self._apply_plugs(netns, known.plugs, plugs)
        if limits != known.limits:
            rates.apply_rates(netns, outer, limits)
        if change and inode:
            self._cut(plan, network.id)
        self._applied[network.id] = Applied(wiring.inode(netns), rules, base, marks, limits)

    def _wanted(self, plan: Plan, network: Network) -> tuple[Ruleset, wiring.Base, list[wiring.Plug], rates.Limits]:
        mirrors = self._read_mirrors()
        rules = firewall.render_rules(
            plan, network, prefix=self._site.prefix, ifname=lambda id: self._site.ifname("p", id), mirrors=mirrors
        )
        hosts = [host for host in plan.hosts.values() if host.port.network == network.id]
        taken = [address for host in hosts for address in (host.port.address, *host.port.secondary)]
        base = wiring.render_base(network, mirrors, taken, self._site.outside)
        plugs = [plug for host in hosts if (plug := self._plug(plan, host))]
        publics = [public for public in plan.publics.values() if public.network == network.id and public.mbps]
        limits = {public.address: (public.mbps, public.mbps_in or public.mbps) for public in publics}
        return rules, base, plugs, limits

    def _plug(self, plan: Plan, host: Host) -> wiring.Plug | None:
        """How a host's port is to be connected; None while the host has no namespace."""
        netns = self._site.netns(host.id)
        inode = wiring.inode(netns)
        if not inode:
            return None
        subnets = {subnet.id: subnet for subnet in plan.networks[host.port.network].subnets}
        if host.port.subnet not in subnets:
            raise kernel.KernelError(f"port {host.port.id}: network {host.port.network} has no subnet {host.port.subnet}")
        subnet = subnets[host.port.subnet]
        prefix = IPv4Network(subnet.cidr, strict=False).prefixlen
        return wiring.Plug(host.port, self._site.ifname("p", host.port.id), netns, inode, prefix, subnet.gateway)

    def _prepare(self, id: str, netns: str, outer: str, *, new: bool) -> None:
        """The namespace, and the record that it is ours."""
        self._register.mkdir(parents=True, exist_ok=True)
        (self._register / id).touch()
        if new and outer in wiring.names():  # the other end of a namespace that is being torn down
            wiring.unlink(outer)
        kernel.netns_add(netns, machine.NAMESPACE)

    def _adopt(self, netns: str, outer: str, rules: Ruleset, plugs: list[wiring.Plug]) -> Applied:
        """Take over a namespace whose state is unknown: what it has, with the uplink mended and its ports settled."""
        kernel.sysctl(machine.TRACKING, netns=netns)
        seen = wiring.read_seen(netns)
        ways = wiring.uplink_routes(self._site.outside)
        if not (ways <= seen.routes and "up0" in seen.up and outer in wiring.names()):
            if outer in wiring.names():
                wiring.unlink(outer)
            kernel.uplink(netns, outer, outside=self._site.outside)
            self._publics = None  # their routes went with the old uplink
        else:
            kernel.ip(f"link set {outer} up")
        ports = {name: mark for name, mark in seen.links.items() if name.startswith(f"{self._site.prefix}p")}
        wiring.settle(netns, [plug for plug in plugs if ports.get(plug.interface) == plug.mark])
        routes = frozenset(route for route in seen.routes - ways if " dev " not in route or route.endswith(" dev up0"))
        unknown = {"": (0, 0)}  # whatever limits there are, set them anew
        return Applied(0, rules, wiring.Base(seen.addresses, routes), ports, unknown)

    def _apply_plugs(self, netns: str, have: Mapping[str, str], plugs: list[wiring.Plug]) -> dict[str, str]:
        """Connect and disconnect ports; the marks of those now connected."""
        wanted = {plug.interface for plug in plugs}
        if gone := [name for name in have if name not in wanted]:
            present = wiring.names(netns)  # a port goes by itself when its host's namespace does
            for name in gone:
                if name in present:
                    wiring.unlink(name, netns)
        new = [plug for plug in plugs if have.get(plug.interface) != plug.mark]
        try:
            wiring.apply_plugs(netns, new)
        except (kernel.KernelError, OSError):
            lost = [plug for plug in new if wiring.inode(plug.host) != plug.inode]
            if not lost:
                raise
            wiring.apply_plugs(netns, [plug for plug in new if plug not in lost])  # hosts may stop at any moment
            plugs = [plug for plug in plugs if plug not in lost]
        return {plug.interface: plug.mark for plug in plugs}

    def _cut(self, plan: Plan, id: str) -> None:
        verdicts = Verdicts(plan, id, self._read_mirrors())

        def forbidden(flow: flows.Tracked) -> bool:
            source, destination = flow.original.source, flow.reply.source  # as the filter saw them
            entry, exit = verdicts.ends(
                source,
                destination,
                translated_source=flow.source_translated,
                translated_destination=flow.destination_translated,
            )
            public = flow.original.destination if flow.destination_translated else ""
            public = flow.reply.destination if flow.source_translated else public
            ports = flow.original.source_port, flow.reply.source_port
            return not verdicts.allows(Flow(id, flow.protocol, source, destination, *ports, entry, exit, public))

        flows.cut(self._site.netns(id), forbidden)

    def _remove(self, id: str) -> None:
        netns, outer = self._site.netns(id), self._site.ifname("u", id)
        self._applied.pop(id, None)
        self._publics = None
        # interfaces first: a socket somewhere may keep the namespace alive, and it dies slowly anyway
        if outer in wiring.names():
            wiring.unlink(outer)
        if kernel.netns_exists(netns):
            for name in wiring.names(netns):
                if name.startswith(f"{self._site.prefix}p"):
                    wiring.unlink(name, netns)
        kernel.netns_delete(netns)
        (self._register / id).unlink(missing_ok=True)

    # across networks

    def _apply_publics(self, plan: Plan) -> None:
        wanted = self._uplinks(plan)
        have = self._publics
        self._publics = None
        if have is None or have.keys() - wanted.keys():
            have = inspection.read_publics(self._site, self._registered())
        kernel.ip(*(f"route del {address}/32 dev {outer}" for address, outer in have.items() if address not in wanted))
        for address, outer in wanted.items():
            if have.get(address) != outer:
                kernel.public_route(address, outer, outside=self._site.outside)
        self._publics = wanted

    def _uplinks(self, plan: Plan) -> dict[str, str]:
        """The uplink each public address lies behind."""
        found = {network.nat: network.id for network in plan.networks.values() if network.nat}
        found |= {public.address: public.network for public in plan.publics.values() if public.network in plan.networks}
        return {address: self._site.ifname("u", id) for address, id in found.items()}

    def _registered(self) -> set[str]:
        return {path.name for path in self._register.iterdir()} if self._register.exists() else set()

    def _read_mirrors(self) -> set[str]:
        if self._mirrors is None:
            self._mirrors = set(self._mirror_file.read_text().split()) if self._mirror_file.exists() else set()
        return self._mirrors


def open_socket(site: Site, network_id: str, address: str, port: int, kind: str) -> socket.socket:
    """A bound, non-blocking socket inside a network, for the machine's own servers there; "tcp" ones listen, "udp" is the other kind.

    Raises OSError (the address must be one of the network's services) or FileNotFoundError when the network is not there.
    """

    def work() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if kind == "tcp":
                made.listen(128)
            made.setblocking(False)
        except OSError:
            made.close()
            raise
        return made

    return kernel.inside(site.netns(network_id), work)


def _usable(address: str, site: Site) -> bool:
    """Whether an address that a name server gave can be a mirror's: IPv4, not this machine's, not special."""
    try:
        one = IPv4Address(address)
    except ValueError:
        return False
    return not (one.is_loopback or one.is_link_local or one.is_multicast or one.is_unspecified or one in site.public)
