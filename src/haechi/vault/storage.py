"""Where sealed bytes lie: keys are texts with "/" between segments, values opaque. What stands here is safe to read by anyone.

`SqliteStorage` keeps them in one file, `MemoryStorage` in a dictionary (configuration "inmem", for tests). Another database is
another class with these five methods.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from haechi.vault.errors import Unavailable

CHUNK = 512  # keys read at a time by a listing


class Storage(Protocol):
    """A durable map. `get` and `children` see what was committed last; `commit` may be called from another thread than they are."""

    kind: str

    def get(self, key: str) -> bytes | None: ...

    def children(self, prefix: str) -> list[str]:
        """Names directly below `prefix` ("" or ending with "/"); folders end with "/"."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """Every key below `prefix`."""
        ...

    def commit(self, changes: Mapping[str, bytes | None]) -> None:
        """All of the changes (None: delete) or none, on disk before this returns. Raises Unavailable."""
        ...

    def close(self) -> None: ...


def end_of(prefix: str) -> str:
    """The first text that sorts after everything that starts with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"


class SqliteStorage:
    """One SQLite file, `vault.db`, in a directory of its own. Raises Unavailable when another server has it open."""

    def __init__(self, directory: Path, kind: str = "sqlite") -> None:
        self.kind = kind
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_file = open(directory / "vault.lock", "w")  # noqa: SIM115 (held while this lives)
            os.chmod(directory / "vault.lock", 0o600)
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock_file.close()
            raise Unavailable(f"another server uses the storage in {directory}") from None
        except OSError as error:
            raise Unavailable(f"the storage in {directory} cannot be opened: {error.strerror}") from None
        path = directory / "vault.db"
        try:
            path.touch(mode=0o600, exist_ok=True)
            self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._writer.execute("pragma journal_mode=wal")
            self._writer.execute("pragma synchronous=full")
            self._writer.execute("create table if not exists entry (key text primary key, value blob not null) without rowid")
            self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._reader.execute("select count(*) from entry where key = ''").fetchone()
        except (sqlite3.Error, OSError) as error:
            self._lock_file.close()
            raise Unavailable(f"{path} cannot be opened: {error}") from None
        self._write_lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        try:
            row = self._reader.execute("select value from entry where key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise Unavailable(f"the storage could not be read: {error}") from None
        return row[0] if row else None

    def children(self, prefix: str) -> list[str]:
        found: list[str] = []
        start, end = prefix, end_of(prefix)
        while True:
            rows = self._range(start, end, CHUNK)
            for key in rows:
                if key < start:  # below a folder that is listed already
                    continue
                name, slash, _ = key[len(prefix) :].partition("/")
                found.append(name + slash)
                start = prefix + name + "0" if slash else key + "\0"  # "0" follows "/"
            if len(rows) < CHUNK:
                return found

    def keys(self, prefix: str) -> list[str]:
        return self._range(prefix, end_of(prefix), -1)

    def _range(self, start: str, end: str, limit: int) -> list[str]:
        try:
            query = "select key from entry where key >= ? and key < ? order by key limit ?"
            return [row[0] for row in self._reader.execute(query, (start, end, limit))]
        except sqlite3.Error as error:
            raise Unavailable(f"the storage could not be read: {error}") from None

    def commit(self, changes: Mapping[str, bytes | None]) -> None:
        with self._write_lock:
            try:
                self._writer.execute("begin immediate")
                gone = [(key,) for key, value in changes.items() if value is None]
                kept = [(key, value) for key, value in changes.items() if value is not None]
                self._writer.executemany("delete from entry where key = ?", gone)
                self._writer.executemany("insert or replace into entry values (?, ?)", kept)
                self._writer.execute("commit")
            except Exception as error:
                with contextlib.suppress(sqlite3.Error):  # such as: there is none, or the disk fails here too
                    self._writer.execute("rollback")
                raise Unavailable(f"the storage could not be written: {error}") from None

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._lock_file.close()


class MemoryStorage:
    """Forgets everything at the end of the process."""

    kind = "inmem"

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def children(self, prefix: str) -> list[str]:
        rests = (key[len(prefix) :].partition("/") for key in self.keys(prefix))
        return sorted({name + slash for name, slash, _ in rests})

    def keys(self, prefix: str) -> list[str]:
        return [key for key in list(self.entries) if key.startswith(prefix)]

    def commit(self, changes: Mapping[str, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value

    def close(self) -> None:
        """Nothing is open."""
