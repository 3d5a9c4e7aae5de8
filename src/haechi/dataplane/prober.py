"""Health of udp backends: a datagram at intervals, and an ICMP "unreachable" in answer to it is a no.

One thread for all balancers, which waits for no backend: a probe is a connected socket that either wakes us or runs out of time.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from haechi.dataplane import kernel
from haechi.dataplane.forward import Key, udp_listeners
from haechi.dataplane.plan import Backend, Balancer, Health

log = logging.getLogger("haechi.balancer")
PROBE = b"haechi"
TICK_SECONDS = 0.1
IP_RECVERR = 11  # Linux tells "host unreachable" (a backend that is shut down) only to sockets that ask for it


@dataclass
class _Target:
    """One backend of one listener. `count` is of equal results in a row: positive good, negative bad."""

    balancer: Balancer
    backend: Backend
    health: Health
    count: int = 0
    due: float = 0.0
    until: float = 0.0
    probe: socket.socket | None = field(default=None, repr=False)

    def finish(self, good: bool) -> None:
        if self.probe is not None:
            self.probe.close()
            self.probe = None
        if not good and not self.count:  # never answered: not put to work first, to be found out later
            self.count = -self.health.fall
        else:
            self.count = max(self.count, 0) + 1 if good else min(self.count, 0) - 1


class Prober:
    """Knows which udp backends are down. `turned` is called with a balancer's id, without a lock held, when one changes its state."""

    def __init__(self, netns: Callable[[str], str], turned: Callable[[str], None]) -> None:
        self._netns, self._turned = netns, turned
        self._lock = threading.Lock()
        self._targets: dict[str, dict[Key, _Target]] = {}
        self._down: dict[str, frozenset[Key]] = {}

    def watch(self, balancer: Balancer) -> None:
        """Probe this balancer's backends from now on, as its listeners say. What is known of those that stay is kept."""
        with self._lock:
            before = self._targets.pop(balancer.id, {})
            targets = {}
            for listener in udp_listeners(balancer):
                for backend in listener.backends if listener.health else ():
                    key = (listener.port, backend.id, backend.port)
                    known = before.get(key)
                    target = _Target(balancer, backend, listener.health)  # type: ignore[arg-type]
                    if known and known.backend.address == backend.address:
                        before.pop(key)
                        target.count, target.due, target.until, target.probe = known.count, known.due, known.until, known.probe
                    targets[key] = target
            _close(before)
            down = self._down.get(balancer.id, frozenset()) & targets.keys() - before.keys()
            if targets:
                self._targets[balancer.id] = targets
            self._down[balancer.id] = frozenset(down)

    def forget(self, id: str) -> None:
        """No longer probe a balancer."""
        with self._lock:
            _close(self._targets.pop(id, {}))
            self._down.pop(id, None)

    def down(self, id: str) -> frozenset[Key]:
        """The backends that failed their check."""
        return self._down.get(id, frozenset())

    def run(self, closing: threading.Event) -> None:
        """Probe until closed."""
        untold: set[str] = set()
        while not closing.wait(TICK_SECONDS):
            for id in list(self._targets):
                try:
                    if self._round(id):
                        untold.add(id)
                    if id in untold:
                        self._turned(id)
                        untold.discard(id)
                except (kernel.KernelError, OSError):  # the next round tries again; `inspect` tells what stays broken
                    log.exception("balancer %s", id)
        with self._lock:
            for targets in self._targets.values():
                _close(targets)

    def _round(self, id: str) -> bool:
        """Collect answers, send what is due; whether a backend changed its state."""
        now = time.monotonic()
        with self._lock:
            targets = self._targets.get(id, {})
            for target in targets.values():
                _collect(target, now)
            due = [target for target in targets.values() if target.probe is None and target.due <= now]
            if due and kernel.netns_exists(self._netns(id)):
                kernel.inside(self._netns(id), lambda: _send_all(due, now))
            before = self._down.get(id, frozenset())
            after = set(before)
            for key, target in targets.items():
                if target.count >= target.health.rise:
                    after.discard(key)
                elif -target.count >= target.health.fall:
                    after.add(key)
            if id in self._targets:
                self._down[id] = frozenset(after)
            return after != before


def _send_all(targets: list[_Target], now: float) -> None:
    """Open a probe for each. To be called inside the balancer's namespace."""
    for target in targets:
        _send(target, now)


def _send(target: _Target, now: float) -> None:
    health = target.health
    target.due, target.until = now + health.interval, now + min(health.timeout, health.interval)
    probe = target.probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        probe.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        probe.bind((target.balancer.source, 0))
        probe.connect((target.backend.address, health.port or target.backend.port))
        probe.send(PROBE)
    except OSError:  # no route to it
        target.finish(False)


def _collect(target: _Target, now: float) -> None:
    if target.probe is None:
        return
    poll = select.poll()
    poll.register(target.probe, select.POLLIN)
    if not poll.poll(0):
        if now >= target.until:
            target.finish(True)
        return
    try:
        target.probe.recv(65536)
        target.finish(True)
    except OSError:
        target.finish(False)


def _close(targets: dict[Key, _Target]) -> None:
    for target in targets.values():
        if target.probe is not None:
            target.probe.close()
            target.probe = None
