"""The Internet firewall of a site: one table in the machine's own namespace. `InternetFirewall` makes the kernel match a plan."""

from __future__ import annotations

import threading
import time

from haechi.dataplane import flows, kernel, ruleset, sysctls, wall_rules
from haechi.dataplane.flows import Tracked
from haechi.dataplane.nflog import Listener, Told
from haechi.dataplane.plan import Fault, Plan, Policy, Wall
from haechi.dataplane.ruleset import Ruleset
from haechi.dataplane.site import Site
from haechi.dataplane.wall_rules import Judge

ACCOUNTING = [("net/netfilter/nf_conntrack_acct", "1")]
LEARNED_SECONDS = 1800.0  # how long an address stands for a name
MOST_LEARNED = 4096


class InternetFirewall:
    """Thread-safe; failures raise KernelError, and every method can be called again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._table = wall_rules.table_name(site.prefix)
        self._lock = threading.RLock()
        self._wall = Wall()
        self._applied: Ruleset | None = None  # None: the kernel's is not known
        self._learned: dict[str, dict[str, float]] = {}  # until when, by name and address
        self._listener: Listener | None = None
        self._judged: tuple[Ruleset, Judge] | None = None  # decisions that go with a ruleset

    def apply(self, plan: Plan) -> None:
        """Put policies in force, all at once. Connections that they forbid are cut, others live on."""
        with self._lock:
            before, self._wall = self._wall, plan.wall
            try:
                changed = self._load()
            except kernel.KernelError:
                self._wall = before  # nft loads all or nothing: the policies before are still in force
                raise
            if changed and plan.wall != before and plan.wall.protected:
                self._cut()

    def learn(self, name: str, addresses: set[str]) -> None:
        """A resolver is about to answer a name with these addresses: policies for it hold for them from now on."""
        # before the lock: a resolver does not wait for policies being loaded when none of them asks for the name
        if not any(wall_rules.covers(policy, name) for policy in self._wall.policies if policy.domains):
            return
        with self._lock:
            now = time.monotonic()
            known = self._learned.setdefault(name, {})
            known.update(dict.fromkeys(addresses, now + LEARNED_SECONDS))
            self._learned = {n: {a: t for a, t in found.items() if t > now} for n, found in self._learned.items()}
            while len(self._learned) > MOST_LEARNED:
                del self._learned[next(iter(self._learned))]
            self._load()

    def hits(self) -> dict[str, tuple[int, int]]:
        """Packets and bytes by policy id since its counter was made; those of connections' first packets."""
        with self._lock:
            if not self._wall.protected or not self._wall.policies:
                return {}
            counted = kernel.counters(f"ip {self._table}")
            names = {wall_rules.counter_of(policy): policy.id for policy in self._wall.policies}
            return {names[name]: count for name, count in counted.items() if name in names}

    def read(self) -> list[tuple[Tracked, tuple[Policy, ...]]]:
        """The connections of protected addresses that live now or ended a moment ago, with the policies that let them through."""
        with self._lock:
            if not self._wall.protected:
                return []
            protected, decide = set(self._wall.protected), self._judge()
        found = [flow for flow in flows.read_flows("") if flow.original.source in protected or flow.original.destination in protected]
        return [(flow, tuple(decide(flow.protocol, flow.original))) for flow in found]

    def told(self) -> list[Told]:
        """Packets that policies dropped or watched since the last time, at most some hundred a second of each policy."""
        with self._lock:
            return self._listener.read() if self._listener else []

    def start_watching(self) -> None:
        """From now on hear of packets that policies drop or watch; one process of a site can."""
        with self._lock:
            if self._listener is None:
                self._listener = Listener(wall_rules.LOG_GROUP + self._site.index)

    def close(self) -> None:
        """Hear of packets no more; policies stay in force."""
        with self._lock:
            if self._listener is not None:
                self._listener.close()
            self._listener = None

    def inspect(self, plan: Plan) -> list[Fault]:
        """Whether the kernel's table is the plan's."""
        with self._lock:
            wanted = self._render(plan.wall)
            wrong = ruleset.differs(wanted) if wanted.chains else self._exists()
            return [Fault("wall", self._table, f"Packet rules of table {self._table} differ")] if wrong else []

    def repair(self, plan: Plan) -> None:
        """Load the plan's table anew where the kernel has another."""
        with self._lock:
            if self.inspect(plan):
                self._applied = None
            self.apply(plan)

    def destroy(self) -> None:
        """Remove the table."""
        with self._lock:
            self.close()
            self._wall, self._learned, self._applied = Wall(), {}, None
            self._load()

    def _render(self, wall: Wall) -> Ruleset:
        return wall_rules.render(self._site.prefix, self._site.index, wall, self._learned)

    def _load(self) -> bool:
        """Make the kernel match; whether anything was to be done."""
        wanted, before = self._render(self._wall), self._applied
        if wanted == before:
            return False
        if not wanted.chains:
            if before is None or before.chains:
                kernel.nft(f"table ip {self._table}\ndelete table ip {self._table}\n")
                sysctls.release(self._owner)
        elif before is None or not before.chains:
            sysctls.hold(self._owner, ACCOUNTING)
            kernel.nft(ruleset.render_whole(wanted))
        else:
            kernel.nft(ruleset.render_change(before, wanted))
        self._applied = wanted
        return True

    @property
    def _owner(self) -> str:
        return f"{self._site.prefix}-wall"

    def _judge(self) -> Judge:
        """What the loaded policies decide; worked out once for each change of them."""
        applied = self._applied
        if applied is None:
            return wall_rules.judge(self._wall, self._learned)
        if self._judged is None or self._judged[0] is not applied:
            self._judged = applied, wall_rules.judge(self._wall, self._learned)
        return self._judged[1]

    def _cut(self) -> None:
        decide = self._judge()
        flows.cut("", lambda flow: any(policy.action == "drop" for policy in decide(flow.protocol, flow.original)))

    def _exists(self) -> bool:
        return f"table ip {self._table}\n" in kernel.run("nft", "list", "tables") + "\n"
