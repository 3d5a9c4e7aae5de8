"""Load balancers: a namespace each, haproxy for tcp, http and https in it, nftables for udp. `Balancers` makes the kernel match a plan.

What was applied is remembered, so that a change touches only what differs; what failed half-way is forgotten, so that the next `apply`
starts from what is really there.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from haechi.dataplane import flows, forward, kernel, links, ruleset
from haechi.dataplane.forward import Key
from haechi.dataplane.haproxy import name_of, proxied, server_name
from haechi.dataplane.links import Links
from haechi.dataplane.plan import Balancer, Fault, Plan
from haechi.dataplane.prober import Prober
from haechi.dataplane.process import cgroup_root
from haechi.dataplane.proxy import Proxy
from haechi.dataplane.ruleset import Ruleset
from haechi.dataplane.site import Site

log = logging.getLogger("haechi.balancer")
WATCH_SECONDS = 0.2
LONGEST_PAUSE = 30.0  # between attempts to start a haproxy that does not stay up
Health = dict[tuple[str, int, str, int], str]


@dataclass(frozen=True)
class Applied:
    """What one balancer was last given. `identity` tells its namespace and its network's from later ones of the same names."""

    balancer: Balancer
    links: Links
    identity: tuple[int, int]
    rules: Ruleset


class Balancers:
    """All balancers of one site. Thread-safe; failures raise KernelError, and every method can be called again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.RLock()
        self._home = site.run / "balancers"
        self._applied: dict[str, Applied] = {}
        self._shown: dict[str, Balancer] = {}  # what `health` speaks of: the last that was applied as a whole
        self._down: dict[str, frozenset[Key]] = {}  # udp backends that the forwarding leaves out by now
        self._proxies: dict[str, Proxy] = {}
        self._pauses: dict[str, tuple[float, float]] = {}  # of revival: not before, seconds of the last pause
        self._prober = Prober(site.netns, self._turned)
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def apply(self, plan: Plan) -> None:
        """Make namespaces, links, routes, haproxy and forwarding match; connections of unchanged listeners live on.

        A balancer that fails holds up no other; a configuration that haproxy refuses leaves its balancer as it was.
        """
        with self._turn():
            errors = []
            for id in self._known() - plan.balancers.keys():
                self._remove(id)
            for balancer in plan.balancers.values():
                self._pauses.pop(balancer.id, None)
                try:
                    self._apply(balancer, self._links(plan, balancer))
                except (kernel.KernelError, OSError) as error:
                    errors.append(str(error))
            if errors:
                raise kernel.KernelError("; ".join(errors))

    def health(self, id: str) -> Health:
        """normal, abnormal or unavailable (not checked) by (protocol, port, backend id, backend port).

        Waits for nothing: while haproxy restarts, the answer is what was known before.
        """
        balancer = self._shown.get(id)
        if balancer is None:
            return {}
        down = self._down.get(id, frozenset())
        servers = self._proxy(id).servers() if proxied(balancer) else {}
        result: Health = {}
        for listener in balancer.listeners:
            for backend in listener.backends:
                key = (listener.protocol, listener.port, backend.id, backend.port)
                if listener.health is None:
                    result[key] = "unavailable"
                    continue
                if listener.protocol == "udp":
                    good = key[1:] not in down
                else:
                    good = servers.get((f"b_{name_of(listener)}", server_name(backend)), False)
                result[key] = "normal" if good else "abnormal"
        return result

    def stats(self, id: str) -> dict[tuple[str, int], dict[str, int]]:
        """Connections, active ones, bytes and requests since the last change, by (protocol, port) of the haproxy listeners."""
        names = {"connections": "stot", "active": "scur", "bytes_in": "bin", "bytes_out": "bout", "requests": "req_tot"}
        found = {}
        for row in self._proxy(id).frontends():
            _, protocol, port = row["pxname"].split("_")
            found[protocol, int(port)] = {name: int(row[column] or 0) for name, column in names.items()}
        return found

    def inspect(self, plan: Plan) -> list[Fault]:
        """What in the kernel differs from the plan. Changes nothing."""
        with self._turn():
            faults = [Fault("orphan", id, f"Balancer {id} is not in the plan") for id in sorted(self._known() - plan.balancers.keys())]
            for balancer in plan.balancers.values():
                faults += [Fault("balancer", balancer.id, what) for what in self._differences(balancer, self._links(plan, balancer))]
            return faults

    def repair(self, plan: Plan) -> None:
        """Apply the plan as if nothing were known about the kernel where it differs."""
        with self._turn():
            for fault in self.inspect(plan):
                self._applied.pop(fault.id, None)
            self.apply(plan)

    def start_watching(self) -> None:
        """From now on restart a haproxy that dies, and probe udp backends."""
        self._threads = [
            threading.Thread(target=self._watch, name="balancer-watch", daemon=True),
            threading.Thread(target=self._prober.run, args=(self._closing,), name="balancer-probe", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop watching; everything keeps running."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def destroy(self) -> None:
        """Remove every balancer of this site, known or left over."""
        self.close()
        with self._turn():
            for id in self._known():
                self._remove(id)
            shutil.rmtree(self._home, ignore_errors=True)

    # one balancer

    def _apply(self, balancer: Balancer, wanted: Links) -> None:
        id = balancer.id
        known = self._applied.get(id)
        same = known is not None and known.links == wanted and known.identity == links.identity(self._site, wanted)
        if known and same and known.balancer == balancer:
            return
        config = self._proxy(id).prepare(balancer)  # before anything else: a configuration that is refused changes nothing
        self._applied.pop(id, None)  # recorded again when all is done
        if not same:
            links.apply_links(self._site, wanted)
        self._proxy(id).apply(config)
        self._prober.watch(balancer)
        rules = self._forward(balancer, known.rules if known and same else None)
        self._applied[id] = Applied(balancer, wanted, links.identity(self._site, wanted), rules)
        self._shown[id] = balancer

    def _forward(self, balancer: Balancer, known: Ruleset | None) -> Ruleset:
        """Load the forwarding unless it is `known` to be there, and forget flows to backends that are dead or gone."""
        netns = self._site.netns(balancer.id)
        down = self._prober.down(balancer.id)
        rules = forward.render(balancer, down)
        if rules != known:
            whole = ruleset.render_whole(rules)
            kernel.nft(whole if rules.chains else f"table {rules.name}\ndelete table {rules.name}\n", netns)
        if rules.chains or known is None or known.chains:  # also for the same rules: a backend of weight 0 is in none and may have gone
            flows.cut(netns, forward.stale(balancer, down))
        self._down[balancer.id] = down
        return rules

    def _remove(self, id: str) -> None:
        self._applied.pop(id, None)
        self._shown.pop(id, None)
        self._down.pop(id, None)
        self._pauses.pop(id, None)
        self._prober.forget(id)
        self._proxy(id).stop()
        self._proxies.pop(id, None)
        links.remove_links(self._site, id)
        shutil.rmtree(self._home / id, ignore_errors=True)

    def _links(self, plan: Plan, balancer: Balancer) -> Links:
        network = plan.networks.get(balancer.network)
        return links.links_of(balancer, network.cidrs if network else ())

    def _proxy(self, id: str) -> Proxy:
        return self._proxies.setdefault(id, Proxy(self._site, id))

    # watching

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            for id, applied in list(self._applied.items()):
                if proxied(applied.balancer) and not self._proxy(id).alive():
                    try:
                        self._revive(id)
                    except kernel.KernelError:  # tried again after a pause; `inspect` tells what stays broken
                        log.exception("balancer %s", id)

    def _revive(self, id: str) -> None:
        with self._turn():
            applied = self._applied.get(id)
            not_before, pause = self._pauses.get(id, (0.0, 0.0))
            # looked at again: whoever had the lock until now may have brought it back or taken it away
            if applied is None or not proxied(applied.balancer) or self._proxy(id).alive() or time.monotonic() < not_before:
                return
            log.warning("haproxy of %s died and is started again", id)
            pause = min(2 * pause or 0.5, LONGEST_PAUSE)
            self._pauses[id] = (time.monotonic() + pause, pause)
            del self._applied[id]
            try:
                self._apply(applied.balancer, applied.links)
            finally:
                self._applied.setdefault(id, applied)  # to be tried again

    def _turned(self, id: str) -> None:
        """A udp backend came or went."""
        with self._turn():
            applied = self._applied.get(id)
            if applied is not None:
                rules = self._forward(applied.balancer, applied.rules)
                self._applied[id] = Applied(applied.balancer, applied.links, applied.identity, rules)

    # what is there

    def _known(self) -> set[str]:
        places = (self._home, cgroup_root(f"{self._site.prefix}-helpers"))
        return {path.name for place in places if place.exists() for path in place.iterdir() if path.is_dir()}

    def _differences(self, balancer: Balancer, wanted: Links) -> Iterator[str]:
        yield from links.differences(self._site, wanted)
        yield from self._proxy(balancer.id).differences(balancer)
        netns = self._site.netns(balancer.id)
        rules = forward.render(balancer, self._prober.down(balancer.id))
        if rules.chains and kernel.netns_exists(netns) and ruleset.differs(rules, netns):
            yield "its udp forwarding differs"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One caller at a time, and one kind of error for whatever the kernel refuses."""
        with self._lock:
            try:
                with kernel.refusals():
                    yield
            finally:
                with contextlib.suppress(OSError):  # others still use it, or it was never made
                    cgroup_root(f"{self._site.prefix}-helpers").rmdir()
