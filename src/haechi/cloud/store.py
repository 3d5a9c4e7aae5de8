"""Resources of the cloud: in memory for reading, in SQLite for keeping.

A reader holds a `View`, an immutable picture of everything at one commit. A writer holds the one `Transaction`, sees its own
changes, and either all of them are on disk and visible, or none. Resources are never changed in place.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
SCHEMA = """
create table if not exists resource (
  kind text not null, id text not null, region text not null, data text not null, primary key (kind, id)
) without rowid;
"""


@dataclass(frozen=True, slots=True)
class Resource:
    """One stored object. `data` is JSON: wire names in CamelCase; `Tags` (a dict) where the kind can be tagged."""

    kind: str
    id: str
    region: str
    data: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.data.get(name, default)


Tables = dict[str, dict[str, Resource]]
T = TypeVar("T")


class View:
    """Everything as of one commit."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._memory: dict[tuple[str, str], Any] = {}

    def remember(self, key: tuple[str, str], make: Callable[[], T]) -> T:
        """What `make` returns, made once per commit. `key` is (what it is, of which id)."""
        if key not in self._memory:
            self._memory[key] = make()
        value: T = self._memory[key]
        return value

    @property
    def tables(self) -> Tables:
        """Every resource by kind and id; not to be changed."""
        return self._tables

    def get(self, kind: str, id: str, region: str = "") -> Resource | None:
        """The resource, or None; with `region`, None also when it is in another one."""
        found = self._tables.get(kind, {}).get(id)
        return None if found is None or (region and found.region != region) else found

    def find(self, kind: str, region: str = "", **equal: Any) -> list[Resource]:
        """Resources of a kind in the order they were made, with these data values; "" for region means every region."""
        return [
            r
            for r in self._tables.get(kind, {}).values()
            if (not region or r.region == region) and all(r.data.get(k) == v for k, v in equal.items())
        ]


class Transaction(View):
    """The one writer: a View that sees its own changes."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(dict(tables))
        self._own: set[str] = set()
        self.changed: dict[tuple[str, str], Resource | None] = {}

    def remember(self, key: tuple[str, str], make: Callable[[], T]) -> T:
        """Made anew: what it is made of may change at any moment."""
        return make()

    def _table(self, kind: str) -> dict[str, Resource]:
        if kind not in self._own:
            self._tables[kind] = dict(self._tables.get(kind, {}))
            self._own.add(kind)
        return self._tables[kind]

    def put(self, kind: str, id: str, region: str, data: Mapping[str, Any]) -> Resource:
        """Add or replace a resource. Values must be JSON."""
        resource = Resource(kind, id, region, dict(data))
        self._table(kind)[id] = resource
        self.changed[kind, id] = resource
        return resource

    def change(self, resource: Resource, **data: Any) -> Resource:
        """Replace some data values of a resource as it stands now in this transaction."""
        current = self.get(resource.kind, resource.id) or resource
        return self.put(current.kind, current.id, current.region, {**current.data, **data})

    def delete(self, resource: Resource) -> None:
        self._table(resource.kind).pop(resource.id, None)
        self.changed[resource.kind, resource.id] = None


class Store:
    """The durable store. `now` (epoch seconds) and `token` (random lower-case text of a length) can be replaced in tests."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time.time,
        token: Callable[[int], str] = lambda n: "".join(secrets.choice(ALPHABET) for _ in range(n)),
    ) -> None:
        self.now = now
        self.token = token
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(SCHEMA)
        tables: Tables = {}
        rows = self._db.execute("select kind, id, region, data from resource").fetchall()
        loaded = [Resource(kind, id, region, json.loads(data)) for kind, id, region, data in rows]
        for resource in sorted(loaded, key=lambda r: (r.get("CreatedAt", 0), r.id)):
            tables.setdefault(resource.kind, {})[resource.id] = resource
        self._view = View(tables)

    def view(self) -> View:
        """What is committed now."""
        return self._view

    @contextmanager
    def write(self, apply: Callable[[View], None] | None = None) -> Iterator[Transaction]:
        """The exclusive transaction. An exception in the block, in `apply` or in the commit leaves everything as it was.

        `apply` makes the world match a view; it is called with the new state before the commit, and with the old one again
        when that or the commit fails.
        """
        with self._lock:
            transaction = Transaction(self._view.tables)
            yield transaction
            if not transaction.changed:
                return
            try:
                if apply is not None:
                    apply(transaction)
                self._commit(transaction)
            except BaseException:
                if apply is not None:
                    apply(self.view())
                raise

    def _commit(self, transaction: Transaction) -> None:
        self._db.execute("begin immediate")
        try:
            for (kind, id), resource in transaction.changed.items():
                if resource is None:
                    self._db.execute("delete from resource where kind = ? and id = ?", (kind, id))
                else:
                    row = (kind, id, resource.region, json.dumps(dict(resource.data)))
                    self._db.execute("insert or replace into resource values (?, ?, ?, ?)", row)
            self._db.execute("commit")
        except BaseException:
            self._db.execute("rollback")
            raise
        self._view = View(transaction.tables)

    def new_id(self, prefix: str) -> str:
        """An id as the cloud makes them: prefix, dash, 20 lower-case characters."""
        return f"{prefix}-{self.token(20)}"

    def close(self) -> None:
        with self._lock:
            self._db.close()
