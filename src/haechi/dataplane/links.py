"""A balancer's namespace and its ways: up to this machine for a public address, into its network for its backends.

Neither link carries addresses of its own: both ends know each other by fixed MACs, what a balancer answers on and speaks from sits
on its `lo`. The far end of `net0` says in its alias which namespace it leads to, because a network can be made anew under its name.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from haechi.dataplane import kernel, wiring
from haechi.dataplane.plan import Balancer
from haechi.dataplane.site import Site

SYSCTLS = (
    ("net/ipv4/ip_forward", "1"),
    *((f"net/ipv4/conf/{which}/{name}", "0") for which in ("all", "default") for name in ("rp_filter", "send_redirects")),
    ("net/ipv4/ip_local_port_range", "1024 65535"),
    ("net/ipv4/tcp_tw_reuse", "1"),
    ("net/core/somaxconn", "8192"),
)
INNER_MAC, OUTER_MAC = "02:68:78:00:00:04", "02:68:78:00:00:03"
INNER, OUTER = "169.254.0.4", "169.254.0.3"  # names for the two ends of net0 in routes; no one has these addresses
UPLINK_MAC, UPLINK = "02:68:78:00:00:02", "169.254.0.2"


@dataclass(frozen=True)
class Links:
    """What of a balancer decides its namespace and links; two equal ones need no work."""

    id: str
    address: str
    internet: bool
    network: str
    source: str
    cidrs: tuple[str, ...]  # of the network

    @property
    def addresses(self) -> frozenset[str]:
        """Its own, without those that nothing can come to or leave from yet."""
        source = {self.source} if self.source and self.network else set()
        return frozenset({self.address, *source})


def links_of(balancer: Balancer, cidrs: tuple[str, ...]) -> Links:
    """The links a balancer needs, given the ranges of its network."""
    return Links(balancer.id, balancer.address, balancer.internet, balancer.network, balancer.source, cidrs)


def identity(site: Site, links: Links) -> tuple[int, int]:
    """Which namespaces now stand behind the names: the balancer's and its network's; 0 for one that is not there."""
    return wiring.inode(site.netns(links.id)), wiring.inode(site.netns(links.network)) if links.network else 0


@dataclass(frozen=True)
class _Ways:
    """Names of the links, and the routes: as the kernel lists them, with the rest of what a route command needs."""

    outer: str  # on the machine
    link: str  # in the network
    inside: dict[str, str]
    machine: dict[str, str]
    network: dict[str, str]


def _ways(site: Site, links: Links) -> _Ways:
    outer, link = site.ifname("x", links.id), site.ifname("b", links.id)
    source = f" src {links.source}" if links.source else ""
    inside = {f"{cidr} via {OUTER} dev net0": f"onlink{source}" for cidr in links.cidrs} if links.network else {}
    machine = {f"{links.address} via {UPLINK} dev {outer}": f"onlink src {site.outside}"} if links.internet else {}
    back = links.addresses - ({links.address} if links.internet else set()) if links.network else set()
    return _Ways(outer, link, inside, machine, {f"{address} via {INNER} dev {link}": "onlink" for address in back})


@dataclass(frozen=True)
class _There:
    """What is there of it."""

    seen: wiring.Seen = field(default_factory=wiring.Seen)
    machine: frozenset[str] = frozenset()
    network: frozenset[str] = frozenset()

    def connected(self, inode: int) -> bool:
        return self.seen.links.get("net0") == str(inode)


def _read(site: Site, links: Links, ways: _Ways) -> _There:
    network = site.netns(links.network) if links.network else ""
    return _There(
        wiring.read_seen(site.netns(links.id)),
        frozenset(route for route in wiring.read_routes() if route.endswith(f" dev {ways.outer}")),
        frozenset(route for route in wiring.read_routes(network) if route.endswith(f" dev {ways.link}")) if network else frozenset(),
    )


def apply_links(site: Site, links: Links) -> None:
    """Make namespace, links, addresses and routes match, whatever of them is there. KernelError when the network is not."""
    netns, network, ways = site.netns(links.id), site.netns(links.network), _ways(site, links)
    inode = wiring.inode(network) if links.network else 0
    if links.network and not inode:
        raise kernel.KernelError(f"balancer {links.id}: network {links.network} is not there")
    kernel.netns_add(netns, SYSCTLS)
    there = _read(site, links, ways)
    _apply_uplink(site, links, ways, there)
    if not (inode and there.connected(inode)):
        if "net0" in there.seen.links:
            wiring.unlink("net0", netns)
        if inode:
            connect(netns, "net0", network, ways.link, inode)
    routes = {route for route in there.seen.routes if route.endswith(" dev net0")}
    up = ["link set net0 up", f"neigh replace {OUTER} lladdr {OUTER_MAC} dev net0 nud permanent"] if inode else []
    kernel.ip(
        *up,
        *(f"addr replace {address}/32 dev lo" for address in sorted(links.addresses)),
        *(f"route replace {route} {rest}" for route, rest in ways.inside.items()),
        *(f"route del {route}" for route in sorted(routes - ways.inside.keys()) if inode and there.connected(inode)),
        *(f"addr del {address}/32 dev lo" for address in sorted(there.seen.addresses - links.addresses)),
        netns=netns,
    )
    if inode:
        kernel.ip(
            f"link set {ways.link} up",
            f"neigh replace {INNER} lladdr {INNER_MAC} dev {ways.link} nud permanent",
            *(f"route replace {route} {rest}" for route, rest in ways.network.items()),
            *(f"route del {route}" for route in sorted(there.network - ways.network.keys()) if there.connected(inode)),
            netns=network,
        )
        settle(ways.link, network)


def _apply_uplink(site: Site, links: Links, ways: _Ways, there: _There) -> None:
    present = ways.outer in wiring.names()
    whole = present and "up0" in there.seen.up and wiring.uplink_routes(site.outside) <= there.seen.routes
    if present and not (links.internet and whole):
        wiring.unlink(ways.outer)  # also the other end of a namespace that is being torn down
    if links.internet:
        kernel.uplink(site.netns(links.id), ways.outer, outside=site.outside)
        kernel.ip(
            f"link set {ways.outer} up",
            f"neigh replace {UPLINK} lladdr {UPLINK_MAC} dev {ways.outer} nud permanent",
            *(f"route replace {route} {rest}" for route, rest in ways.machine.items()),
            *(f"route del {route}" for route in sorted(there.machine - ways.machine.keys()) if whole),
        )


def connect(netns: str, device: str, network: str, link: str, inode: int) -> None:
    """A link from `device` in a namespace to `link` in a network's, whose inode becomes its alias; one of that name there goes."""
    if link in wiring.names(network):
        wiring.unlink(link, network)
    kernel.ip(
        f"link add {device} address {INNER_MAC} type veth peer name {link} address {OUTER_MAC} netns {network}",
        f"link set {device} alias {inode}",
        netns=netns,
    )


def settle(link: str, network: str, seconds: float = 1.0) -> None:
    """No source check on the network's end. A link of its name that is still going away hides the parameter for an instant."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            kernel.sysctl([(f"net/ipv4/conf/{link}/rp_filter", "0")], netns=network)
            return
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def remove_links(site: Site, id: str) -> None:
    """Take the namespace and its links away, at once: what keeps the namespace alive may linger, the links do not."""
    netns, outer = site.netns(id), site.ifname("x", id)
    if outer in wiring.names():
        wiring.unlink(outer)
    if kernel.netns_exists(netns) and "net0" in wiring.names(netns):
        wiring.unlink("net0", netns)
    kernel.netns_delete(netns)


def differences(site: Site, links: Links) -> Iterator[str]:
    """Each sentence one thing that is not as `apply_links` leaves it."""
    if not kernel.netns_exists(site.netns(links.id)):
        yield "its namespace is missing"
        return
    inode = identity(site, links)[1]
    if links.network and not inode:
        yield f"its network {links.network} is missing"
        return
    ways = _ways(site, links)
    there = _read(site, links, ways)
    if links.internet and not ("up0" in there.seen.up and wiring.uplink_routes(site.outside) <= there.seen.routes):
        yield "its uplink is missing or has lost its routes"
    if there.machine != ways.machine.keys():
        yield f"this machine's routes to it are {sorted(there.machine)}, not {sorted(ways.machine)}"
    if there.seen.addresses != links.addresses:
        yield f"its addresses are {sorted(there.seen.addresses)}, not {sorted(links.addresses)}"
    if inode and not (there.connected(inode) and "net0" in there.seen.up):
        yield "its link to its network is missing or down"
    elif {route for route in there.seen.routes if route.endswith(" dev net0")} != ways.inside.keys():
        yield "its routes into its network differ"
    elif there.network != ways.network.keys():
        yield "its network's routes back to it differ"
