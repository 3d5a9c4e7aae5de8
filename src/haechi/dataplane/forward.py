"""UDP listeners: kernel forwarding by nftables, and the probe that decides which backends are in it."""

from __future__ import annotations

import select
import socket
from collections.abc import Collection

from haechi.dataplane.plan import Backend, Balancer, Listener

PROBE = b"haechi"


def render(balancer: Balancer, healthy: Collection[tuple[int, str, int]]) -> str:
    """The ruleset of a balancer's namespace. `healthy` holds (listener port, backend id, backend port) that get traffic."""
    lines = ["table ip hx_udp {}", "delete table ip hx_udp"]
    udp = [listener for listener in balancer.listeners if listener.protocol == "udp"]
    if not udp:
        return "\n".join(lines) + "\n"
    lines += ["table ip hx_udp {", " chain hx_pre {", "  type nat hook prerouting priority dstnat; policy accept;"]
    for listener in udp:
        lines += _listener(balancer, listener, healthy)
    lines += [
        " }",
        " chain hx_post {",
        "  type nat hook postrouting priority srcnat; policy accept;",
        f'  oifname "net0" meta l4proto udp snat to {balancer.source}',
        " }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _listener(balancer: Balancer, listener: Listener, healthy: Collection[tuple[int, str, int]]) -> list[str]:
    match = f"ip daddr {balancer.address} udp dport {listener.port}"
    lines = []
    if listener.allow is not None:
        source = f" ip saddr != {{ {', '.join(listener.allow)} }}" if listener.allow else ""
        lines.append(f"  {match}{source} drop")
    if listener.deny:
        lines.append(f"  {match} ip saddr {{ {', '.join(listener.deny)} }} drop")
    backends = [b for b in listener.backends if b.weight and (listener.port, b.id, b.port) in healthy]
    if not backends:
        return [*lines, f"  {match} drop"]
    return [*lines, f"  {match} dnat to {_choice(listener, backends)}"]


def _choice(listener: Listener, backends: list[Backend]) -> str:
    if len(backends) == 1:
        return f"{backends[0].address}:{backends[0].port}"
    weights = [1 if listener.scheduler == "rr" else b.weight for b in backends]
    ranges, start = [], 0
    for backend, weight in zip(backends, weights, strict=True):
        span = f"{start}-{start + weight - 1}" if weight > 1 else str(start)
        ranges.append(f"{span} : {backend.address} . {backend.port}")
        start += weight
    if listener.scheduler == "sch" or listener.persistence_seconds:
        key = "jhash ip saddr"
    elif listener.scheduler == "tch":
        key = "jhash ip saddr . udp sport"
    else:
        key = "numgen inc"
    return f"{key} mod {start} map {{ {', '.join(ranges)} }}"


def probe(source: str, backend: str, port: int, timeout: float) -> bool:
    """Whether a udp port is not refused: a datagram is sent, and an ICMP "unreachable" within the timeout is a no.

    To be called inside the balancer's namespace.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((source, 0))
        one.connect((backend, port))
        try:
            one.send(PROBE)
            if select.select([one], [], [], timeout)[0]:
                one.recv(65536)
        except OSError:
            return False
    return True
