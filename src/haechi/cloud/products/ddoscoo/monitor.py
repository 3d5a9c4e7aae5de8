"""Watches every instance once a second: samples, attacks and their ends, challenges meanwhile, blackholes, entries that expire."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from haechi.cloud.products.ddoscoo.desired import MODES
from haechi.cloud.products.ddoscoo.lookup import DOMAIN, INSTANCE
from haechi.cloud.products.ddoscoo.telemetry import Event, Telemetry
from haechi.cloud.store import Resource, Store, View
from haechi.dataplane.scrubber import Reading

log = logging.getLogger("haechi.ddoscoo")
PERIOD = 1.0
DROPS_PER_SECOND = 100  # of packets: an attack on the network
CALM_SECONDS = 20  # without one, and it is over
HOLE_SECONDS = 1800


@dataclass
class _Watch:
    """What is remembered of one instance."""

    last: Reading | None = None
    events: dict[str, Event] = field(default_factory=dict)  # going on, by subject and kind
    calm: dict[str, float] = field(default_factory=dict)  # since when
    challenged: set[str] | None = None  # domains whose visitors are challenged; None: what an earlier server left is not known


class Monitor:
    """One thread. `read` and `challenge` are the data plane's; `apply` makes it match a view."""

    def __init__(
        self,
        store: Store,
        telemetry: Telemetry,
        read: Callable[[str], Reading],
        challenge: Callable[[str, set[str]], None],
        apply: Callable[[View], None],
    ) -> None:
        self.telemetry = telemetry
        self._store, self._read, self._challenge, self._apply = store, read, challenge, apply
        self._watches: dict[str, _Watch] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self.telemetry.end_all(int(self._store.now()))
        self._thread = threading.Thread(target=self._run, name="ddoscoo-monitor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self.telemetry.close()

    def under_attack(self, instance: str) -> bool:
        """Whether traffic to an instance is scrubbed now."""
        watch = self._watches.get(instance)
        return watch is not None and bool(watch.events)

    def _run(self) -> None:
        while not self._closing.wait(PERIOD):
            try:
                self.look()
            except Exception:
                log.exception("the monitor goes on")

    def look(self) -> None:
        """One turn: read, write down, decide."""
        view, now = self._store.view(), self._store.now()
        instances = view.find(INSTANCE)
        for gone in self._watches.keys() - {instance.id for instance in instances}:
            del self._watches[gone]
        for instance in instances:
            try:
                reading = self._read(instance.id)
            except RuntimeError as error:  # it is being made, or mended
                log.debug("%s: %s", instance.id, error)
                continue
            watch = self._watches.setdefault(instance.id, _Watch())
            before, watch.last = watch.last, reading
            if before is not None and reading.time > before.time:
                self._judge(view, instance, watch, before, reading, now)
        self._expire(view, now)

    def _judge(self, view: View, instance: Resource, watch: _Watch, before: Reading, reading: Reading, now: float) -> None:
        seconds = reading.time - before.time
        bytes_in, packets_in = _grown(before.bytes_in, reading.bytes_in), _grown(before.packets_in, reading.packets_in)
        drops = {
            name: (_grown(before.drops.get(name, (0, 0))[0], p), _grown(before.drops.get(name, (0, 0))[1], b))
            for name, (p, b) in reading.drops.items()
        }
        dropped, dropped_bytes = sum(p for p, _ in drops.values()), sum(b for _, b in drops.values())
        minute = int(now) // 60 * 60
        sums = {"in_bytes": bytes_in, "in_packets": packets_in, "attack_bytes": dropped_bytes, "attack_packets": dropped}
        sums |= {"out_bytes": _grown(before.bytes_out, reading.bytes_out), "out_packets": _grown(before.packets_out, reading.packets_out)}
        rates = {"in_bps": bytes_in * 8, "in_pps": packets_in, "attack_bps": dropped_bytes * 8, "attack_pps": dropped}
        peaks = {name: round(value / seconds) for name, value in rates.items()}
        if bytes_in or packets_in:
            self.telemetry.add(instance.id, minute, sums, peaks)
        cause = max(drops, key=lambda name: drops[name][0]) if dropped else ""
        attacked = peaks["attack_pps"] >= DROPS_PER_SECOND and cause != "hole"
        self._turn(watch, instance, instance["Address"], "defense", attacked, now, peaks["attack_bps"], peaks["attack_pps"], 0, cause)
        self._judge_domains(view, instance, watch, before, reading, now)
        if peaks["in_bps"] > instance["Bandwidth"] * 1_000_000 and instance["HoleUntil"] <= now:
            self._fall(instance, now, peaks)

    def _judge_domains(self, view: View, instance: Resource, watch: _Watch, before: Reading, reading: Reading, now: float) -> None:
        seconds = reading.time - before.time
        challenged = set()
        for name, (_, count) in reading.requests.items():
            domain = view.get(DOMAIN, name)
            if domain is None:
                continue
            requests = _grown(before.requests.get(name, (0, 0))[1], count)
            qps = round(requests / seconds)
            attack = qps if f"{name} web-cc" in watch.events else 0
            if requests:
                sums = {"requests": requests, "attack_requests": round(attack * seconds)}
                self.telemetry.add(name, int(now) // 60 * 60, sums, {"qps": qps, "attack_qps": attack})
            limit = MODES[domain["CcTemplate"]][2] if domain["CcSwitch"] == "on" else 0
            if self._turn(watch, instance, name, "web-cc", bool(limit) and qps >= limit, now, 0, 0, qps, "requests"):
                challenged.add(name)
        if challenged != watch.challenged:
            self._challenge(instance.id, challenged)
            watch.challenged = challenged

    def _turn(
        self,
        watch: _Watch,
        instance: Resource,
        subject: str,
        kind: str,
        attacked: bool,
        now: float,
        bps: int,
        pps: int,
        qps: int,
        cause: str,
    ) -> bool:
        """Begin, go on with or end an event. True while it lasts."""
        key = f"{subject} {kind}"
        event = watch.events.get(key)
        if attacked:
            watch.calm.pop(key, None)
            if event is None:
                log.warning("%s: %s of %s begins (%s)", instance.id, kind, subject, cause)
                watch.events[key] = self.telemetry.begin(Event(0, instance.id, subject, kind, int(now), 0, bps, pps, qps, cause))
            elif bps > event.bps or pps > event.pps or qps > event.qps:
                watch.events[key] = replace(event, bps=max(bps, event.bps), pps=max(pps, event.pps), qps=max(qps, event.qps))
                self.telemetry.update(watch.events[key])
        elif event is not None:
            since = watch.calm.setdefault(key, now)
            if now - since >= CALM_SECONDS:
                self.telemetry.update(replace(event, end=int(since)))
                del watch.events[key], watch.calm[key]
        return key in watch.events

    def _fall(self, instance: Resource, now: float, peaks: dict[str, int]) -> None:
        """More than was bought: nothing gets through for half an hour."""
        with self._store.write(self._apply) as tx:
            current = tx.get(INSTANCE, instance.id)
            if current is not None:
                tx.change(current, HoleSince=now, HoleUntil=now + HOLE_SECONDS)
        event = Event(0, instance.id, instance["Address"], "blackhole", int(now), int(now + HOLE_SECONDS), peaks["in_bps"], peaks["in_pps"])
        self.telemetry.begin(event)

    def _expire(self, view: View, now: float) -> None:
        """What was given a time, and whose time is over."""
        for instance in view.find(INSTANCE):
            kept = {name: [entry for entry in instance[name] if not 0 < entry["until"] <= now] for name in ("Black", "White")}
            ended = 0 < instance["HoleUntil"] <= now
            if ended or any(len(entries) != len(instance[name]) for name, entries in kept.items()):
                with self._store.write(self._apply) as tx:
                    current = tx.get(INSTANCE, instance.id)
                    if current is not None:
                        tx.change(current, **kept, **({"HoleUntil": 0} if ended else {}))
        for domain in view.find(DOMAIN):
            rules = [rule for rule in domain["Rules"] if not 0 < rule["Expires"] <= now]
            if len(rules) != len(domain["Rules"]):
                with self._store.write(self._apply) as tx:
                    current = tx.get(DOMAIN, domain.id)
                    if current is not None:
                        tx.change(current, Rules=rules)


def _grown(before: int, after: int) -> int:
    """How much a counter grew; one that is lower than before began anew."""
    return after - before if after >= before else after
