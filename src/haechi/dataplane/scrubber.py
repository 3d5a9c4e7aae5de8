"""Scrubbers: a namespace each with a public address, a packet filter and a haproxy in it. `Scrubbers` makes the kernel match a plan."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from haechi.dataplane import kernel, links, scrubber_rules, scrubber_web
from haechi.dataplane.fleet import Fleet, link_of
from haechi.dataplane.plan import Plan, Scrubber
from haechi.dataplane.proxy import Proxy
from haechi.dataplane.scrubber_rules import TABLE
from haechi.dataplane.site import Site

log = logging.getLogger("haechi.scrubber")
LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Reading:
    """Counters of a scrubber, ever growing until they begin anew. Bytes and packets of its uplink; drops by name, in packets and bytes."""

    time: float
    bytes_in: int
    bytes_out: int
    packets_in: int
    packets_out: int
    drops: dict[str, tuple[int, int]]
    requests: dict[str, tuple[int, int]]  # by domain: requests in the last second, requests ever


class Scrubbers(Fleet[Scrubber]):
    """All scrubbers of one site."""

    kind, word, room = "scrubber", "Scrubber", "scrubbers"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._proxies: dict[str, Proxy] = {}
        self._pauses: dict[str, tuple[float, float]] = {}
        self._attacked: dict[str, set[str]] = {}  # domains that are challenged, by scrubber

    def read(self, id: str) -> Reading:
        """Its counters now. KernelError when it is not there."""
        with self._lock:
            scrubber = self._applied.get(id)
        if scrubber is None:
            raise kernel.KernelError(f"there is no scrubber {id}")
        netns = self._site.netns(id)
        drops = {name.removeprefix("d_"): count for name, count in kernel.counters(TABLE, netns).items() if name.startswith("d_")}
        device = json.loads(kernel.run("ip", "-n", netns, "-j", "-s", "link", "show", "up0"))[0]["stats64"]
        came, went = device["rx"], device["tx"]
        counts = (came["bytes"], went["bytes"], came["packets"], went["packets"])
        return Reading(time.time(), *counts, drops, self._requests(scrubber))

    def challenge(self, id: str, domains: set[str]) -> None:
        """From now on those domains are under attack, and no others."""
        with self._lock:
            self._attacked[id] = domains
            scrubber = self._applied.get(id)
            if scrubber is not None and scrubber.fronts:
                self._tell(scrubber)

    # one scrubber

    def _wanted(self, plan: Plan) -> list[Scrubber]:
        """With the name server of this site, where a plan names none."""
        return [s if s.nameserver else replace(s, nameserver=self._site.outside) for s in plan.scrubbers.values()]

    def _apply_wanted(self, scrubber: Scrubber) -> None:
        self._pauses.pop(scrubber.id, None)
        self._apply(scrubber)

    def _apply(self, scrubber: Scrubber) -> None:
        if self._in_place(scrubber):
            return
        config = self._proxy(scrubber.id).prepare(scrubber)
        self._applied.pop(scrubber.id, None)
        links.apply_links(self._site, link_of(scrubber))
        netns = self._site.netns(scrubber.id)
        if not self._is_loaded(scrubber):
            kernel.nft(scrubber_rules.render(scrubber), netns)
        self._proxy(scrubber.id).apply(config)
        self._applied[scrubber.id] = scrubber
        if scrubber.fronts:
            self._tell(scrubber)

    def _tell(self, scrubber: Scrubber) -> None:
        """A reload empties the list of attacked domains in haproxy; what is on disk never changes."""
        file = self._proxy(scrubber.id).directory / scrubber_web.ATTACKED
        names = [scrubber_web.front_name(front) for front in scrubber.fronts if front.domain in self._attacked.get(scrubber.id, set())]
        self._proxy(scrubber.id).ask(f"clear acl {file}", 2.0)
        for name in names:
            self._proxy(scrubber.id).ask(f"add acl {file} {name}", 2.0)

    def _requests(self, scrubber: Scrubber) -> dict[str, tuple[int, int]]:
        if not scrubber.fronts:
            return {}
        domains = {scrubber_web.front_name(front): front.domain for front in scrubber.fronts}
        found = {}
        for line in self._proxy(scrubber.id).ask("show table st_front", 2.0).splitlines():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if words.get("key") in domains:
                found[domains[words["key"]]] = (int(words.get("http_req_rate(1000)", 0)), int(words.get("http_req_cnt", 0)))
        return found

    def _is_loaded(self, scrubber: Scrubber) -> bool:
        netns = self._site.netns(scrubber.id)
        try:
            kernel.run("ip", "netns", "exec", netns, "nft", "list", "chain", *TABLE.split(), scrubber_rules.mark(scrubber))
        except kernel.KernelError:
            return False
        return True

    def _stop(self, id: str) -> None:
        self._attacked.pop(id, None)
        self._pauses.pop(id, None)
        self._proxy(id).stop()
        self._proxies.pop(id, None)

    def _proxy(self, id: str) -> Proxy:
        return self._proxies.setdefault(id, Proxy(self._site, id, self.room, scrubber_web.render))

    # watching

    def _look(self, id: str, scrubber: Scrubber) -> None:
        busy = scrubber.fronts or scrubber_web.tcp_relays(scrubber)
        if busy and not self._proxy(id).alive():
            try:
                self._revive(id)
            except kernel.KernelError:
                log.exception("scrubber %s", id)

    def _revive(self, id: str) -> None:
        with self._turn():
            scrubber = self._applied.get(id)
            not_before, pause = self._pauses.get(id, (0.0, 0.0))
            if scrubber is None or self._proxy(id).alive() or time.monotonic() < not_before:
                return
            log.warning("haproxy of %s died and is started again", id)
            pause = min(2 * pause or 0.5, LONGEST_PAUSE)
            self._pauses[id] = (time.monotonic() + pause, pause)
            del self._applied[id]
            try:
                self._apply(scrubber)
            finally:
                self._applied.setdefault(id, scrubber)

    # what is there

    def _differences(self, scrubber: Scrubber) -> Iterator[str]:
        yield from links.differences(self._site, link_of(scrubber))
        yield from self._proxy(scrubber.id).differences(scrubber)
        if kernel.netns_exists(self._site.netns(scrubber.id)) and not self._is_loaded(scrubber):
            yield "its packet filter differs"
