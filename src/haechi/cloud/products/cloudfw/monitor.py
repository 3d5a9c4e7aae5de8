"""Looks every two seconds at connections, told packets and counters of the firewall, and writes down what grew."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from ipaddress import IPv4Address

from haechi.cloud.products.cloudfw.telemetry import DROP, PASS, WATCH, Flow, FlowTelemetry
from haechi.dataplane.flows import Tracked
from haechi.dataplane.nflog import Told
from haechi.dataplane.plan import Policy

log = logging.getLogger("haechi.cloudfw")
PERIOD = 2.0
PRUNE_TURNS = 1800
MOST_NAMES = 20000
Read = Callable[[], list[tuple[Tracked, tuple[Policy, ...]]]]


class FlowMonitor:
    """One thread. `read`, `told` and `hits` are the data plane's; `guarded` tells the protected addresses; `learn` is told names."""

    def __init__(
        self,
        telemetry: FlowTelemetry,
        now: Callable[[], float],
        read: Read,
        told: Callable[[], list[Told]],
        hits: Callable[[], dict[str, tuple[int, int]]],
        guarded: Callable[[], frozenset[str]],
        learn: Callable[[str, set[str]], None],
    ) -> None:
        self.telemetry = telemetry
        self._now, self._read, self._told, self._hits, self._guarded, self._learn = now, read, told, hits, guarded, learn
        self._living: dict[bytes, Flow] = {}
        self._counted: dict[str, int] = {}
        self._names: dict[str, str] = {}  # the last name that was answered with an address
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="cloudfw-monitor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self.telemetry.close()

    def answered(self, name: str, addresses: set[str]) -> None:
        """A resolver answers a name with these addresses; before the client hears of it."""
        for address in addresses:
            self._names.pop(address, None)
            self._names[address] = name
        while len(self._names) > MOST_NAMES:
            del self._names[next(iter(self._names))]
        self._learn(name, addresses)

    def addresses_of(self, domain: str) -> list[str]:
        """What a domain (or "*." and one) was answered with."""
        below = domain[1:] if domain.startswith("*.") else ""
        found = [a for a, name in list(self._names.items()) if name == domain or (below and name.endswith(below))]
        return sorted(found, key=IPv4Address)

    def _run(self) -> None:
        turn = 0
        while not self._closing.wait(PERIOD):
            try:
                self.look()
                turn += 1
                if turn % PRUNE_TURNS == 1:
                    self.telemetry.prune(int(self._now()))
            except Exception:
                log.exception("the monitor goes on")

    def look(self) -> None:
        """One turn: read, write down what grew."""
        now, guarded = int(self._now()), self._guarded()
        minute = now // 60 * 60
        minutes: dict[tuple[int, str, str], dict[str, int]] = {}
        changed: list[Flow] = []

        def add(direction: str, asset: str, **sums: int) -> None:
            row = minutes.setdefault((minute, direction, asset), {})
            for name, value in sums.items():
                row[name] = row.get(name, 0) + value

        found = self._read()
        for tracked, policies in found:
            flow = self._living.get(tracked.key)
            if flow is None:
                flow = self._living[tracked.key] = self._begin(tracked, policies, guarded, now)
                add(flow.direction, flow.asset, sessions=1)
            (gone, come), (packets_gone, packets_come) = tracked.bytes, tracked.packets
            if flow.direction == "in":
                gone, come, packets_gone, packets_come = come, gone, packets_come, packets_gone
            if (come, gone) != (flow.in_bytes, flow.out_bytes):
                grown = {"in_bytes": max(0, come - flow.in_bytes), "out_bytes": max(0, gone - flow.out_bytes)}
                grown |= {"in_packets": max(0, packets_come - flow.in_packets), "out_packets": max(0, packets_gone - flow.out_packets)}
                add(flow.direction, flow.asset, **grown)
                flow.in_bytes, flow.out_bytes, flow.in_packets, flow.out_packets = come, gone, packets_come, packets_gone
                flow.last = now
                changed.append(flow)
        here = {tracked.key for tracked, _ in found}
        self._living = {key: flow for key, flow in self._living.items() if key in here}
        for flow in self._dropped(now, guarded):
            add(flow.direction, flow.asset, **({"drops": flow.in_packets} if flow.result == DROP else {"watched": flow.in_packets}))
            if flow.result == DROP:
                changed.append(flow)
        hits = self._grown(now)
        if changed or minutes or hits:
            self.telemetry.write(changed, minutes, hits)

    def _begin(self, tracked: Tracked, policies: tuple[Policy, ...], guarded: frozenset[str], now: int) -> Flow:
        end = tracked.original
        direction, asset, peer = ("out", end.source, end.destination) if end.source in guarded else ("in", end.destination, end.source)
        name = self._names.get(peer, "") if direction == "out" else ""
        watched = any(policy.action == "log" for policy in policies)
        return Flow(
            now,
            now,
            direction,
            asset,
            end.source,
            end.destination,
            end.source_port,
            end.port,
            tracked.protocol,
            policy=policies[0].id if policies else "",
            result=WATCH if watched else PASS,
            domain=name,
        )

    def _dropped(self, now: int, guarded: frozenset[str]) -> list[Flow]:
        """Told packets, those of one kind together."""
        rows: dict[tuple[str, ...], Flow] = {}
        for told in self._told():
            policy, _, action = told.prefix.strip().rpartition(" ")
            end = told.end
            direction, asset = ("out", end.source) if end.source in guarded else ("in", end.destination)
            key = (policy, end.source, end.destination, str(end.port), told.protocol)
            if key not in rows:
                result = DROP if action == "drop" else WATCH
                rows[key] = Flow(now, now, direction, asset, end.source, end.destination, end.source_port, end.port, told.protocol)
                rows[key].policy, rows[key].result = policy, result
                rows[key].domain = self._names.get(end.destination, "") if direction == "out" else ""
            rows[key].in_packets += 1
            rows[key].in_bytes += told.size
        return list(rows.values())

    def _grown(self, now: int) -> dict[str, tuple[int, int]]:
        """Policies whose counters grew: by how much, and now."""
        found = {policy: packets for policy, (packets, _) in self._hits().items()}
        grown = {}
        for policy, packets in found.items():
            before = self._counted.get(policy, 0)
            more = packets - before if packets >= before else packets
            if more:
                grown[policy] = (more, now)
        self._counted = found
        return grown
