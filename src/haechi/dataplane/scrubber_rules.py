"""The packet filter of a scrubber, as text: lists, floods, and named counters of what was dropped. `scrubber` loads it.

Packets of its tcp ports are not tracked: a flood would fill the table of connections, which is the whole machine's.
"""

from __future__ import annotations

from collections.abc import Iterator

from haechi.dataplane.haproxy import digest_of
from haechi.dataplane.plan import Relay, Scrubber
from haechi.dataplane.scrubber_web import tcp_ports

TABLE = "inet hx_scrub"
DROPS = ("black", "hole", "fragment", "icmp", "udp", "syn", "other")  # counters d_<name>
SYN = "tcp flags & (fin | syn | rst | ack) == syn"
LINK = "169.254.0.0/16"  # addresses of links, which nobody outside may see
FRAGMENTS, PINGS = 50, 50  # per second, of everybody together


def udp_relays(scrubber: Scrubber) -> list[Relay]:
    """The relays that the kernel forwards."""
    return [relay for relay in scrubber.relays if relay.protocol == "udp"]


def mark_of(text: str) -> str:
    """Name of the empty chain that tells which text is loaded."""
    return f"is_{digest_of(text)}"


def render(scrubber: Scrubber) -> str:
    """The table, in place of whatever had its name. Counters and meters begin anew."""
    body = "\n".join([*_objects(scrubber), *_early(scrubber), *_late(scrubber), *_forwarding(scrubber)])
    return f"table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{body}\n chain {mark_of(body)} {{\n }}\n}}\n"


def mark(scrubber: Scrubber) -> str:
    """Which chain shows that the wanted table is loaded."""
    text = render(scrubber)
    return next(line.split()[1] for line in text.splitlines() if line.startswith(" chain is_"))


def _objects(scrubber: Scrubber) -> Iterator[str]:
    for name in DROPS:
        yield f" counter d_{name} {{\n }}"
    yield " counter seen {\n }"
    for name, cidrs in (("white", scrubber.white), ("black", scrubber.black)):
        elements = f"  elements = {{ {', '.join(cidrs)} }}\n" if cidrs else ""
        yield f" set {name} {{\n  type ipv4_addr\n  flags interval\n  auto-merge\n{elements} }}"
    yield " set syns {\n  type ipv4_addr\n  size 65535\n  flags dynamic,timeout\n  timeout 30s\n }"
    for relay in udp_relays(scrubber):
        if relay.per_second:
            yield f" set udp_{relay.port} {{\n  type ipv4_addr\n  size 65535\n  flags dynamic,timeout\n  timeout 30s\n }}"


def _early(scrubber: Scrubber) -> Iterator[str]:
    """Before anything is put together or tracked."""
    yield " chain early {"
    yield "  type filter hook prerouting priority -450; policy accept;"
    yield '  iifname != "up0" accept'
    yield "  counter name seen"
    yield "  ip saddr @white accept"
    if scrubber.hole:
        yield "  counter name d_hole drop"
    yield "  ip saddr @black counter name d_black drop"
    yield f"  ip frag-off & 0x3fff != 0 limit rate over {FRAGMENTS}/second burst {FRAGMENTS} packets counter name d_fragment drop"
    yield f"  ip protocol icmp limit rate over {PINGS}/second burst {PINGS} packets counter name d_icmp drop"
    if scrubber.syn_per_source:
        limit = f"limit rate over {scrubber.syn_per_source}/second burst {scrubber.syn_per_source} packets"
        yield f"  {SYN} add @syns {{ ip saddr {limit} }} counter name d_syn drop"
    yield from (f"  tcp dport {_ports(tcp_ports(scrubber))} notrack",) if tcp_ports(scrubber) else ()
    yield " }"
    if tcp_ports(scrubber):
        yield " chain answers {"
        yield "  type filter hook output priority -450; policy accept;"
        yield f'  oifname "up0" ip saddr {scrubber.address} tcp sport {_ports(tcp_ports(scrubber))} notrack'
        yield " }"


def _late(scrubber: Scrubber) -> Iterator[str]:
    """What is not one of its ports, nor an answer to what it asked itself, is dropped."""
    yield " chain late {"
    yield "  type filter hook prerouting priority -150; policy accept;"
    yield '  iifname != "up0" accept'
    if tcp_ports(scrubber):
        yield f"  ip daddr {scrubber.address} tcp dport {_ports(tcp_ports(scrubber))} accept"
    yield "  ct state established,related accept"
    yield "  ip protocol icmp accept"
    for relay in udp_relays(scrubber):
        match = f"ip daddr {scrubber.address} udp dport {relay.port}"
        if relay.least:
            yield f"  {match} udp length < {relay.least + 8} counter name d_udp drop"
        if relay.most:
            yield f"  {match} udp length > {relay.most + 8} counter name d_udp drop"
        yield f"  {match} accept"
    yield "  ip protocol udp counter name d_udp drop"
    yield "  counter name d_other drop"
    yield " }"


def _forwarding(scrubber: Scrubber) -> Iterator[str]:
    relays = udp_relays(scrubber)
    yield " chain source {"
    yield "  type nat hook postrouting priority srcnat; policy accept;"
    if relays:
        yield f'  oifname "up0" ct status dnat meta l4proto udp snat ip to {scrubber.address}'
    yield f'  oifname "up0" ip saddr {LINK} snat ip to {scrubber.address}'  # what it asks itself: names
    yield " }"
    if not relays:
        return
    yield " chain metered {"
    yield "  type filter hook prerouting priority -160; policy accept;"
    yield '  iifname != "up0" accept'
    yield "  ip saddr @white accept"
    for relay in relays:
        if relay.per_second:
            limit = f"limit rate over {relay.per_second}/second burst {relay.per_second} packets"
            yield f"  udp dport {relay.port} add @udp_{relay.port} {{ ip saddr {limit} }} counter name d_udp drop"
    yield " }"
    yield " chain relays {"
    yield "  type nat hook prerouting priority dstnat; policy accept;"
    for relay in relays:
        targets = [f"{origin.host} . {origin.port or relay.port}" for origin in relay.origins]
        turns = ", ".join(f"{n} : {target}" for n, target in enumerate(targets))
        choice = f"jhash ip saddr mod {len(targets)} seed 0x68786368 map {{ {turns} }}"
        yield f"  ip daddr {scrubber.address} udp dport {relay.port} dnat ip to {choice}"
    yield " }"


def _ports(ports: set[int]) -> str:
    return "{ " + ", ".join(map(str, sorted(ports))) + " }"
