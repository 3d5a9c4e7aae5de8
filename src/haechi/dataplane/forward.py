"""UDP listeners: kernel forwarding by nftables, as text and as values. `prober` says which backends are in it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection
from functools import reduce

from haechi.dataplane.flows import Tracked
from haechi.dataplane.plan import Backend, Balancer, Listener
from haechi.dataplane.ruleset import Ruleset

TABLE = "hx_udp"
MOST_TURNS = 256  # entries in a map of turns; larger sums of weights are scaled down
SLOTS = 256  # entries in a map of hashes
SEED = 0x68786368  # without one the kernel draws a new one at each load, and clients change their backends
HEADERS = {
    # before translation, and for every packet: what a list refuses is cut off also in the middle of a flow
    "c_guard": "type filter hook prerouting priority dstnat - 10; policy accept;",
    "c_forward": "type nat hook prerouting priority dstnat; policy accept;",
    "c_source": "type nat hook postrouting priority srcnat; policy accept;",
}
Key = tuple[int, str, int]  # listener port, backend id, backend port


def udp_listeners(balancer: Balancer) -> list[Listener]:
    """The listeners that are forwarded here and not by haproxy."""
    return [listener for listener in balancer.listeners if listener.protocol == "udp"]


def render(balancer: Balancer, down: Collection[Key]) -> Ruleset:
    """The rules of a balancer's namespace; none when it has no udp listener. Backends in `down` get nothing."""
    listeners = udp_listeners(balancer)
    if not listeners:
        return Ruleset("ip", TABLE)
    guard: list[str] = []
    forward: list[str] = []
    for listener in listeners:
        match = f"ip daddr {balancer.address} udp dport {listener.port}"
        if listener.allow is not None:
            guard.append(f"{match} ip saddr != {{ {', '.join(listener.allow)} }} drop" if listener.allow else f"{match} drop")
        if listener.deny:
            guard.append(f"{match} ip saddr {{ {', '.join(listener.deny)} }} drop")
        backends = [b for b in listener.backends if b.weight and _key(listener, b) not in down]
        if backends:
            forward.append(f"{match} dnat to {_choice(listener, backends)}")
        else:
            guard.append(f"{match} drop")
    source = (f'oifname "net0" ct status dnat meta l4proto udp snat to {balancer.source}',) if balancer.source else ()
    return Ruleset("ip", TABLE, {}, HEADERS, {"c_guard": tuple(guard), "c_forward": tuple(forward), "c_source": source})


def stale(balancer: Balancer, down: Collection[Key]) -> Callable[[Tracked], bool]:
    """Tells of a tracked flow to the balancer whether its backend is dead or gone, or it came before there was a listener.

    Weight 0 keeps what it has.
    """
    ports = {listener.port for listener in udp_listeners(balancer)}
    targets = {
        (listener.port, b.address, b.port)
        for listener in udp_listeners(balancer)
        for b in listener.backends
        if _key(listener, b) not in down
    }

    def forbidden(flow: Tracked) -> bool:
        if flow.protocol != "udp" or flow.original.destination != balancer.address:
            return False
        if flow.original.port not in ports and not flow.destination_translated:
            return False
        return (flow.original.port, flow.reply.source, flow.reply.source_port) not in targets

    return forbidden


def _key(listener: Listener, backend: Backend) -> Key:
    return listener.port, backend.id, backend.port


def _choice(listener: Listener, backends: list[Backend]) -> str:
    if len(backends) == 1:
        return f"{backends[0].address}:{backends[0].port}"
    weights = [1 if listener.scheduler == "rr" else b.weight for b in backends]
    if listener.scheduler == "tch":
        key, turns = "jhash ip saddr . udp sport", _slots(backends, weights)
    elif listener.scheduler == "sch" or listener.persistence_seconds:
        key, turns = "jhash ip saddr", _slots(backends, weights)
    else:
        key, turns = "numgen inc", _turns(weights)
    seed = f" seed {SEED:#x}" if key.startswith("jhash") else ""
    return f"{key} mod {len(turns)}{seed} map {{ {', '.join(_spans(backends, turns))} }}"


def _turns(weights: list[int]) -> list[int]:
    """Whose turn it is, evenly mixed: 3 and 1 give 0 0 1 0 and not 0 0 0 1."""
    divisor = reduce(math.gcd, weights)
    shares = [weight // divisor for weight in weights]
    if sum(shares) > MOST_TURNS:
        shares = [max(1, round(share * MOST_TURNS / sum(shares))) for share in shares]
    total, credit, turns = sum(shares), [0] * len(shares), []
    for _ in range(total):
        credit = [have + share for have, share in zip(credit, shares, strict=True)]
        best = max(range(len(shares)), key=lambda i: (credit[i], -i))
        credit[best] -= total
        turns.append(best)
    return turns


def _slots(backends: list[Backend], weights: list[int]) -> list[int]:
    """Who owns each value of a hash. Weighted rendezvous: a backend that comes or goes moves only its own share of the clients."""

    def score(slot: int, index: int) -> float:
        backend = backends[index]
        text = f"{slot} {backend.address}:{backend.port}"
        draw = int.from_bytes(hashlib.blake2s(text.encode(), digest_size=8).digest(), "big")
        return -weights[index] / math.log((draw + 1) / (2**64 + 2))

    return [max(range(len(backends)), key=lambda index: score(slot, index)) for slot in range(SLOTS)]


def _spans(backends: list[Backend], turns: list[int]) -> list[str]:
    """The elements of the map, equal neighbours joined."""
    spans, start = [], 0
    for at in range(1, len(turns) + 1):
        if at == len(turns) or turns[at] != turns[start]:
            span = f"{start}-{at - 1}" if at - start > 1 else str(start)
            spans.append(f"{span} : {backends[turns[start]].address} . {backends[turns[start]].port}")
            start = at
    return spans
