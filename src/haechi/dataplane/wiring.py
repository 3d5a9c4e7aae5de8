"""Addresses, routes and ports inside a network's namespace: read from the kernel, written to it.

The namespace is the router of its network. Gateways and service addresses sit on its `lo`. Each port is one end of a veth whose
other end is the host's `eth0`: no bridge, the router answers every ARP question itself and sends to a port what its /32 routes say.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from haechi.dataplane import kernel
from haechi.dataplane.plan import Network, Port

ROUTER_MAC = "ee:ff:ff:ff:ff:ff"
# Never sent out: private addresses beyond a network are the machine's own surroundings, 169.254.169.254 may know its secrets.
PRIVATE = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"))


@dataclass(frozen=True)
class Base:
    """What a namespace has whatever ports there are: addresses on `lo`, and routes as `ip route` takes and lists them."""

    addresses: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plug:
    """A port and the host namespace it goes into. `inode` tells one namespace from a later one of the same name."""

    port: Port
    interface: str  # on the router's side
    host: str  # name of the host's namespace
    inode: int
    prefix: int
    gateway: str

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.port.address, *self.port.secondary)

    @property
    def mark(self) -> str:
        """Says which plug an interface is; kept in the kernel as the interface's alias."""
        text = f"{self.port.mac} {self.addresses} {self.host} {self.inode} {self.prefix} {self.gateway}"
        return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()

    @property
    def routes(self) -> tuple[str, ...]:
        return tuple(f"{address} dev {self.interface}" for address in self.addresses)


@dataclass(frozen=True)
class Seen:
    """What the kernel has in a namespace. `links` are aliases by interface name, `up` the interfaces that are up."""

    addresses: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    links: dict[str, str] = field(default_factory=dict)
    up: frozenset[str] = frozenset()


def render_base(network: Network, mirrors: Iterable[str], taken: Iterable[str], outside: str) -> Base:
    """Addresses and routes of a network. A mirror inside a range that is cut off gets a way out, unless a port has its address."""
    closed = {*(IPv4Network(cidr, strict=False) for cidr in network.cidrs), *PRIVATE}
    addresses = frozenset({*(subnet.gateway for subnet in network.subnets), *network.services})
    used = {*addresses, *taken}
    ways = (mirror for mirror in mirrors if mirror not in used and any(IPv4Address(mirror) in range for range in closed))
    return Base(addresses, frozenset({*(f"unreachable {range}" for range in closed), *(f"{way} via {outside} dev up0" for way in ways)}))


def uplink_routes(outside: str) -> frozenset[str]:
    """The routes `kernel.uplink` makes inside."""
    return frozenset({f"default via {outside} dev up0", f"{outside} dev up0"})


def read_seen(netns: str) -> Seen:
    """Addresses, routes and interfaces of a namespace."""
    addresses: set[str] = set()
    links: dict[str, str] = {}
    up: set[str] = set()
    for link in json.loads(kernel.run("ip", "-n", netns, "-j", "-d", "addr", "show")):
        links[link["ifname"]] = link.get("ifalias", "")
        if "UP" in link["flags"]:
            up.add(link["ifname"])
        if link["ifname"] == "lo":
            addresses = {a["local"] for a in link["addr_info"] if a["family"] == "inet" and a["local"] != "127.0.0.1"}
    return Seen(frozenset(addresses), read_routes(netns), links, frozenset(up))


def read_routes(netns: str = "") -> frozenset[str]:
    """The IPv4 routes of a namespace's main table, in the words of `Base.routes`."""
    listed = json.loads(kernel.run("ip", *(("-n", netns) if netns else ()), "-j", "-4", "route", "show") or "[]")
    return frozenset(_route(item) for item in listed)


def _route(item: dict[str, str]) -> str:
    if item.get("type", "unicast") != "unicast":
        return f"{item['type']} {item['dst']}"
    via = f" via {item['gateway']}" if "gateway" in item else ""
    return f"{item['dst']}{via} dev {item.get('dev', '?')}"


def apply_base(netns: str, have: Base, want: Base) -> None:
    """Turn one base into the other."""
    kernel.ip(
        *(f"addr del {address}/32 dev lo" for address in have.addresses - want.addresses),
        *(f"addr replace {address}/32 dev lo" for address in want.addresses - have.addresses),
        *(f"route del {route}" for route in have.routes - want.routes),
        *(f"route replace {route}" for route in want.routes - have.routes),
        netns=netns,
    )


def apply_plugs(netns: str, plugs: Sequence[Plug]) -> None:
    """Connect ports to their hosts' namespaces, anew if they were connected before. Nothing flows before all of a port is set."""
    if not plugs:
        return
    stale = names(netns)
    for plug in plugs:
        if plug.interface in stale:
            unlink(plug.interface, netns)
    with ThreadPoolExecutor(max_workers=min(len(plugs), 4)) as pool:
        list(pool.map(lambda plug: _apply_host_end(netns, plug), plugs))
    settle(netns, plugs)
    kernel.ip(*(f"link set {plug.interface} alias {plug.mark}" for plug in plugs), netns=netns)


def settle(netns: str, plugs: Sequence[Plug]) -> None:
    """Router's side of ports that are there: up, routed, a host's packets only from its own addresses."""
    values = [("ipv4/conf/{}/proxy_arp", "1"), ("ipv4/conf/{}/rp_filter", "1"), ("ipv4/neigh/{}/proxy_delay", "0")]
    kernel.sysctl([("net/" + path.format(plug.interface), value) for plug in plugs for path, value in values], netns=netns)
    kernel.ip(
        *(f"link set {plug.interface} up" for plug in plugs),
        *(f"route replace {route}" for plug in plugs for route in plug.routes),
        netns=netns,
    )


def _apply_host_end(netns: str, plug: Plug) -> None:
    # an eth0 left from a network that was removed by hand, or is still being torn down
    if "eth0" in names(plug.host):
        unlink("eth0", plug.host)
    kernel.ip(
        f"link add eth0 address {plug.port.mac} type veth peer name {plug.interface} address {ROUTER_MAC} netns {netns}",
        *(f"addr add {address}/{plug.prefix} dev eth0" for address in plug.addresses),
        "link set eth0 up",
        f"route replace default via {plug.gateway} dev eth0",
        netns=plug.host,
    )


def unlink(name: str, netns: str = "") -> None:
    """Delete an interface; nothing happens if it vanishes meanwhile (the kernel takes down dead namespaces at its leisure)."""
    try:
        kernel.ip(f"link del {name}", netns=netns)
    except kernel.KernelError:
        if name in names(netns):
            raise


def names(netns: str = "") -> set[str]:
    """Names of the interfaces in a namespace ("": the machine's own)."""
    read = socket.if_nameindex
    return {name for _, name in (kernel.inside(netns, read) if netns else read())}


def inode(netns: str) -> int:
    """Identity of a live namespace, 0 when there is none of that name."""
    return os.stat(kernel.NETNS / netns).st_ino if kernel.netns_exists(netns) else 0
