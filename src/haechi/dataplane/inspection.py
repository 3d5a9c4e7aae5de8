"""Comparing one network's namespace with what it should be. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from haechi.dataplane import kernel, machine, rates, ruleset, sysctls, wiring
from haechi.dataplane.plan import Fault
from haechi.dataplane.ruleset import Ruleset
from haechi.dataplane.site import Site


def inspect_network(
    site: Site, id: str, rules: Ruleset, base: wiring.Base, plugs: Sequence[wiring.Plug], limits: rates.Limits
) -> list[Fault]:
    """Differences in the namespace of network `id` and its uplink. `plugs` are the ports of hosts that have a namespace."""
    netns, outer = site.netns(id), site.ifname("u", id)
    if not kernel.netns_exists(netns):
        return [Fault("network", id, f"Network {id} has no namespace {netns}")]
    seen = wiring.read_seen(netns)
    ways = wiring.uplink_routes(site.outside)
    faults = [Fault("network", id, f"Network {id}: {what}") for what in _differences(site, seen, base, ways)]
    if outer not in wiring.names() or "up0" not in seen.up:
        faults.append(Fault("network", id, f"Network {id} is not connected to the machine"))
    elif rates.differ(netns, outer, limits):
        faults.append(Fault("public", id, f"Network {id}: the bandwidth of its public addresses is not limited as planned"))
    faults += _inspect_ports(site, id, seen, plugs)
    if ruleset.differs(rules, netns):
        faults.append(Fault("network", id, f"Network {id}: packet rules of table {rules.table} differ"))
    values = [*machine.NAMESPACE, *machine.TRACKING]
    found = kernel.inside(netns, lambda: [(path, sysctls.read(path), value) for path, value in values])
    return faults + [Fault("sysctl", path, f"Network {id}: {path} is {is_}, not {should}") for path, is_, should in found if is_ != should]


def _differences(site: Site, seen: wiring.Seen, base: wiring.Base, ways: frozenset[str]) -> list[str]:
    # routes of ports are looked at with the ports, those of links to load balancers and other networks are not ours
    foreign = tuple(f" dev {site.prefix}{kind}" for kind in "pbq")
    routes = {route for route in seen.routes if not any(mark in route for mark in foreign)}
    return [
        *(f"address {address} is missing" for address in sorted(base.addresses - seen.addresses)),
        *(f"address {address} should not be there" for address in sorted(seen.addresses - base.addresses)),
        *(f"route {route} is missing" for route in sorted((base.routes | ways) - routes)),
        *(f"route {route} should not be there" for route in sorted(routes - base.routes - ways)),
    ]


def _inspect_ports(site: Site, id: str, seen: wiring.Seen, plugs: Sequence[wiring.Plug]) -> list[Fault]:
    faults = []
    for plug in plugs:
        port = plug.port.id
        if seen.links.get(plug.interface) != plug.mark:
            faults.append(Fault("port", port, f"Port {port} is not connected to its host"))
            continue
        if plug.interface not in seen.up:
            faults.append(Fault("port", port, f"Port {port} is down"))
        for route in sorted(set(plug.routes) - seen.routes):
            faults.append(Fault("port", port, f"Port {port}: route {route} is missing"))
    here = [plug for plug in plugs if plug.interface in seen.links]
    values = kernel.inside(site.netns(id), lambda: [(p, [sysctls.read(path) for path in _guards(p)]) for p in here])
    loose = [plug.port.id for plug, found in values if found != ["1", "1"]]
    faults += [Fault("port", port, f"Port {port} would let false source addresses in, or answer no neighbour's question") for port in loose]
    expected = {plug.interface for plug in plugs}
    extra = [name for name in seen.links if name.startswith(f"{site.prefix}p") and name not in expected]
    own = {route for plug in plugs for route in plug.routes}
    stray = [route for route in seen.routes if f" dev {site.prefix}p" in route and route not in own]
    return [
        *faults,
        *(Fault("orphan", name, f"Network {id}: interface {name} belongs to no port") for name in sorted(extra)),
        *(Fault("network", id, f"Network {id}: route {route} should not be there") for route in sorted(stray)),
    ]


def _guards(plug: wiring.Plug) -> tuple[str, str]:
    return f"net/ipv4/conf/{plug.interface}/rp_filter", f"net/ipv4/conf/{plug.interface}/proxy_arp"


def read_publics(site: Site, networks: Iterable[str]) -> dict[str, str]:
    """Uplink by address of the public routes that lead into these networks."""
    outers = {site.ifname("u", id) for id in networks}
    found = (route.split() for route in wiring.read_routes() if " via 169.254.0.2 dev " in route)
    return {words[0]: words[-1] for words in found if words[-1] in outers}


def inspect_publics(site: Site, wanted: Mapping[str, str], networks: Iterable[str]) -> list[Fault]:
    """Public addresses whose route on the machine is missing, wrong or too many. `wanted` is the uplink by address."""
    have = read_publics(site, networks)
    return [
        *(Fault("public", a, f"Public address {a} does not lead to its network") for a in sorted(wanted) if have.get(a) != wanted[a]),
        *(Fault("orphan", a, f"Public address {a} belongs to nobody") for a in sorted(have.keys() - wanted.keys())),
    ]
