"""Leases: secrets that end, and the tokens that end with them. One list in memory says what ends next; the storage says what is true.

Storage: sys/lease/id/<lease id> the entry, sys/lease/token/<token hash>/<hash of the lease id> {"lease_id"}.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from haechi.vault.logical import Backend, Lease, View
from haechi.vault.store import Store, Transaction
from haechi.vault.tokens import ID, Tokens, random_text

log = logging.getLogger("haechi.vault.leases")
LEASE, BY_TOKEN = "sys/lease/id/", "sys/lease/token/"
BATCH = 200  # ended at once in one transaction
AGAIN_SECONDS = 60.0  # after a revocation that failed


@dataclass
class LeaseEntry:
    """A stored lease. Times are epoch seconds, `ttl` the seconds of the last grant."""

    id: str
    mount: str  # accessor of the mount that issued it
    token: str
    issued: float
    ttl: float
    expires: float
    max_ttl: float = 0.0
    renewable: bool = False
    renewed: float = 0.0
    data: dict[str, Any] = field(default_factory=dict, repr=False)


FindBackend = Callable[[Transaction, str], tuple[Backend, View] | None]  # by the mount's accessor


class Leases:
    """Issues, renews and revokes. `find_backend` gives the backend that a lease belongs to, None when its mount is gone."""

    def __init__(self, store: Store, tokens: Tokens, find_backend: FindBackend) -> None:
        self._store, self._tokens, self._find_backend = store, tokens, find_backend
        self._ending: list[tuple[float, str, str]] = []  # (when to look, "lease" or "token", id): a heap
        self._looks: dict[tuple[str, str], float] = {}  # (kind, id): when it will be looked at; what was renewed meanwhile, once more

    def watch(self, kind: str, id: str, expires: float) -> None:
        """A lease or token of which this is (now) the end."""
        if expires and expires < self._looks.get((kind, id), float("inf")):
            self._looks[kind, id] = expires
            heapq.heappush(self._ending, (expires, kind, id))

    def forget_all(self) -> None:
        self._ending.clear()
        self._looks.clear()

    def load(self, transaction: Transaction) -> None:
        """Learn every end from the storage."""
        for token in self._tokens.all(transaction):
            self.watch("token", token.id, token.expires)
        for path in transaction.paths(LEASE):
            entry = transaction.get(path)
            if entry is not None:
                self.watch("lease", entry["id"], entry["expires"])

    def issue(self, transaction: Transaction, path: str, mount: str, token: str, lease: Lease, ttl: float, now: float) -> LeaseEntry:
        """Store a new lease of a secret that was read at `path`."""
        entry = LeaseEntry(f"{path}/{random_text(24)}", mount, token, now, ttl, now + ttl, lease.max_ttl, lease.renewable, 0.0, lease.data)
        self.save(transaction, entry)
        transaction.put(self._index(entry), {"lease_id": entry.id})
        return entry

    def save(self, transaction: Transaction, entry: LeaseEntry) -> None:
        transaction.put(LEASE + entry.id, vars(entry))
        self.watch("lease", entry.id, entry.expires)

    def get(self, transaction: Transaction, lease_id: str) -> LeaseEntry | None:
        found = transaction.get(LEASE + lease_id) if lease_id else None
        return LeaseEntry(**found) if found else None

    def revoke(self, transaction: Transaction, lease_id: str, force: bool = False) -> None:
        """End a lease: its backend undoes what it stands for. `force`: errors of the backend are logged and passed over."""
        entry = self.get(transaction, lease_id)
        if entry is None:
            return
        found = self._find_backend(transaction, entry.mount)
        if found is not None:
            backend, view = found
            try:
                backend.revoke(view, entry.data)
            except Exception as error:
                if not force:
                    raise
                log.warning("a lease was revoked by force although %s failed", type(error).__name__)
        transaction.delete(LEASE + lease_id)
        transaction.delete(self._index(entry))

    def revoke_prefix(self, transaction: Transaction, prefix: str, force: bool = False) -> None:
        """End every lease whose id starts with `prefix` (whole segments), or is it."""
        folder = prefix.rstrip("/")
        for path in transaction.paths(f"{LEASE}{folder}/" if folder else LEASE):
            self.revoke(transaction, path[len(LEASE) :], force)
        self.revoke(transaction, folder, force)

    def revoke_token(self, transaction: Transaction, id: str, with_children: bool = True) -> None:
        """End a token with its leases and, unless told otherwise, all tokens below it."""
        tree, order = [id], []
        while tree:
            current = tree.pop()
            order.append(current)
            if with_children:
                tree += self._tokens.children(transaction, current)
        for current in reversed(order):  # the youngest first: nothing is orphaned on the way
            for name in transaction.list(f"{BY_TOKEN}{current}/"):
                entry = transaction.get(f"{BY_TOKEN}{current}/{name}")
                if entry is not None:
                    self.revoke(transaction, entry["lease_id"])
            self._tokens.forget(transaction, current)
            transaction.delete_all(f"cubbyhole/{current}/")

    def end_due(self, transaction: Transaction, now: float) -> bool:
        """End what is due, at most BATCH of it; True when there may be more. One that fails is tried again later."""
        due: list[tuple[float, str, str]] = []
        while self._ending and self._ending[0][0] <= now and len(due) < BATCH:
            when, kind, id = heapq.heappop(self._ending)
            if self._looks.get((kind, id)) == when:
                del self._looks[kind, id]
                due.append((when, kind, id))
        for _, kind, id in due:
            before = dict(transaction.changes)
            try:
                found = transaction.get((LEASE if kind == "lease" else ID) + id)
                if found is None:  # gone
                    continue
                if not found["expires"] or found["expires"] > now:  # renewed
                    self.watch(kind, id, found["expires"])
                    continue
                if kind == "lease":
                    self.revoke(transaction, id)
                else:
                    self.revoke_token(transaction, id)
            except Exception:
                transaction.changes = before
                log.exception("a %s could not be ended; again in %d s", kind, AGAIN_SECONDS)
                self.watch(kind, id, now + AGAIN_SECONDS)
        return len(due) == BATCH

    def list(self, transaction: Transaction, prefix: str) -> list[str]:
        return transaction.list(LEASE + prefix)

    def _index(self, entry: LeaseEntry) -> str:
        return f"{BY_TOKEN}{entry.token}/{self._store.barrier.keyed_hash(entry.id)}"
