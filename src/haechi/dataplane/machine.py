"""A site's share of the machine's own namespace: its address, forwarding, and the way from public addresses to the real network."""

from __future__ import annotations

import json

from haechi.dataplane import kernel, ruleset, sysctls, wiring
from haechi.dataplane.plan import Fault
from haechi.dataplane.ruleset import Ruleset
from haechi.dataplane.site import Site

FORWARDING = [("net/ipv4/ip_forward", "1")]
# Of every network's namespace. Without tcp_loose=0 a packet from the middle of a connection that was cut would open it again,
# in the direction it comes from; the parameter exists only once rules that track connections are loaded.
NAMESPACE = [
    ("net/ipv4/ip_forward", "1"),
    *((f"net/ipv4/conf/{which}/{name}", "0") for which in ("all", "default") for name in ("rp_filter", "send_redirects")),
]
TRACKING = [("net/netfilter/nf_conntrack_tcp_loose", "0")]
BENCHMARK_SPACE = "198.18.0.0/15"


def render_machine(site: Site) -> Ruleset:
    """What the machine's own namespace does with packets of this site's public addresses; other packets are not touched."""
    ours, inner = str(site.public), 'oifname != "hx*"'
    headers = {
        "c_post": "type nat hook postrouting priority srcnat; policy accept;",
        "c_mss": "type filter hook forward priority mangle; policy accept;",
        "c_forward": "type filter hook forward priority filter; policy accept;",
    }
    chains = {
        "c_post": (f'ip saddr {ours} {inner} oifname != "lo" masquerade',),
        "c_mss": (f"ip saddr {ours} {inner} tcp flags syn tcp option maxseg size set rt mtu",),
        "c_forward": (
            "ct state established,related accept",
            # forwarding is on for this machine's sake; its neighbours on the real network get no way in
            f'iifname != "hx*" ip daddr {ours} drop',
            f'iifname "{site.prefix}u*" ip saddr != {ours} drop',
            f"ip saddr {ours} {inner} ip daddr {BENCHMARK_SPACE} drop",
        ),
    }
    return Ruleset("ip", site.prefix, {}, headers, chains)


def apply_machine(site: Site) -> None:
    """Everything of this site in the machine's own namespace but the uplinks. Idempotent."""
    sysctls.hold(site.prefix, FORWARDING)
    kernel.ip(f"addr replace {site.outside}/32 dev lo", f"route replace unreachable {site.public}")
    kernel.nft(ruleset.render_whole(render_machine(site)))


def inspect_machine(site: Site) -> list[Fault]:
    """What of `apply_machine` is not as it should be."""
    faults = [
        Fault("sysctl", path, f"{path} is {value}, not {wanted}") for path, wanted in FORWARDING if (value := sysctls.read(path)) != wanted
    ]
    if site.outside not in _addresses():
        faults.append(Fault("network", site.prefix, f"The machine has lost its address {site.outside}"))
    if f"unreachable {site.public}" not in wiring.read_routes():
        faults.append(Fault("network", site.prefix, f"Unused public addresses of {site.public} are not kept on the machine"))
    if ruleset.differs(render_machine(site)):
        faults.append(Fault("network", site.prefix, f"Packet rules of table {site.prefix} differ"))
    return faults


def destroy_machine(site: Site) -> None:
    """Undo `apply_machine`, whatever of it is there."""
    if f"unreachable {site.public}" in wiring.read_routes():
        kernel.ip(f"route del unreachable {site.public}")
    if site.outside in _addresses():
        kernel.ip(f"addr del {site.outside}/32 dev lo")
    kernel.nft(f"table ip {site.prefix}\ndelete table ip {site.prefix}\n")
    sysctls.release(site.prefix)


def _addresses() -> set[str]:
    return {address["local"] for link in json.loads(kernel.run("ip", "-j", "-4", "addr", "show", "lo")) for address in link["addr_info"]}
