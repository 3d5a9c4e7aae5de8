"""The database: one transaction at a time for writers, as many readers as like. SQLite by default, PostgreSQL by URL.

    with store.write() as tx: ...    # all or nothing; SQLite takes its one write lock at the start
    with store.read() as tx: ...     # one consistent picture

`tx` is a SQLAlchemy connection. What is committed is told to waiters by `ring(topic)`, within this process at once; waiters look again
by themselves every second, for what other processes did.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets as random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from haechi.tfe import schema

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BUSY_SECONDS = 30.0
LOOK_SECONDS = 1.0
Tx = Connection


def now(after: float = 0.0) -> str:
    """This moment, or `after` seconds later: ISO 8601, UTC, milliseconds."""
    moment = datetime.fromtimestamp(time.time() + after, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def new_id(prefix: str) -> str:
    """An id as the vendor's: run-CZcmD7eagjhyX0vN."""
    return f"{prefix}-" + "".join(random.choice(ALPHABET) for _ in range(16))


class Store:
    """Tables of `schema`, made at the first start. Raises sqlalchemy.exc.SQLAlchemyError when the database cannot be reached."""

    def __init__(self, url: str) -> None:
        self.url = sa.engine.make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        if self.sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            Path(self.url.database).touch(mode=0o600)
        self.engine = _engine(self.url, self.sqlite)
        with self.write() as tx:
            schema.metadata.create_all(tx)
        self.bell = Bell()
        self._ticks = itertools.count()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A transaction that changes nothing."""
        with self.engine.connect() as tx:
            yield tx
            tx.rollback()

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A transaction that is committed at the end and rolled back by an exception."""
        with self.engine.connect().execution_options(haechi_write=True) as tx, tx.begin():
            yield tx

    def number(self) -> int:
        """Larger than every number before, also across restarts and processes (to a microsecond)."""
        return time.time_ns() // 1000 * 1000 + next(self._ticks) % 1000

    def secret(self, name: str, size: int = 32) -> bytes:
        """A random key of this installation, made on first use and the same for every process."""
        with self.write() as tx:
            found = tx.execute(sa.select(schema.secrets.c.value).where(schema.secrets.c.name == name)).scalar_one_or_none()
            if found is None:
                found = random.token_bytes(size)
                tx.execute(schema.secrets.insert().values(name=name, value=found))
        return bytes(found)


def one(tx: Tx, table: sa.Table, *where: sa.ColumnElement[bool], lock: bool = False) -> Row[Any] | None:
    """The row that fits, if there is one; `lock` keeps it ours until the end of the transaction (PostgreSQL; SQLite has one writer)."""
    query = sa.select(table).where(*where)
    return tx.execute(query.with_for_update() if lock else query).one_or_none()


def put_blob(tx: Tx, key: str, data: bytes) -> None:
    """Keep bytes under a key, in place of what was there."""
    tx.execute(schema.blobs.delete().where(schema.blobs.c.key == key))
    tx.execute(schema.blobs.insert().values(key=key, data=data))


def get_blob(tx: Tx, key: str) -> bytes | None:
    """The bytes under a key."""
    found = tx.execute(sa.select(schema.blobs.c.data).where(schema.blobs.c.key == key)).scalar_one_or_none()
    return None if found is None else bytes(found)


def delete_blobs(tx: Tx, keys: list[str]) -> None:
    """Forget bytes."""
    if keys:
        tx.execute(schema.blobs.delete().where(schema.blobs.c.key.in_(keys)))


class Bell:
    """Wakes who waits for a topic (a log's id, a run's id, "jobs"). Ring after the commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._listeners: dict[str, set[threading.Event]] = {}

    def ring(self, *topics: str) -> None:
        """From any thread."""
        with self._lock:
            asyncs = [pair for topic in topics for pair in self._waiting.get(topic, ())]
            threads = [event for topic in topics for event in self._listeners.get(topic, ())]
        for loop, event in asyncs:
            loop.call_soon_threadsafe(event.set)
        for listener in threads:
            listener.set()

    def listen(self, topic: str) -> threading.Event:
        """An event for a thread, set at every ring; `unlisten` gives it back."""
        event = threading.Event()
        with self._lock:
            self._listeners.setdefault(topic, set()).add(event)
        return event

    def unlisten(self, topic: str, event: threading.Event) -> None:
        with self._lock:
            self._listeners.get(topic, set()).discard(event)

    @contextmanager
    def following(self, topic: str) -> Iterator[asyncio.Event]:
        """An event for a coroutine, set at every ring. Clear it, look, then wait at most LOOK_SECONDS: no ring is missed."""
        pair = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.setdefault(topic, set()).add(pair)
        try:
            yield pair[1]
        finally:
            with self._lock:
                self._waiting[topic].discard(pair)
                if not self._waiting[topic]:
                    del self._waiting[topic]


def _engine(url: sa.engine.URL, sqlite: bool) -> Engine:
    if not sqlite:
        return sa.create_engine(url, pool_size=20, max_overflow=20, pool_pre_ping=True)
    engine = sa.create_engine(url, pool_size=20, max_overflow=40, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _opened(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN itself, see below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begun(tx: Connection) -> None:
        tx.exec_driver_sql("BEGIN IMMEDIATE" if tx.get_execution_options().get("haechi_write") else "BEGIN")

    return engine
