"""What monitors of products keep of what they saw: one SQLite file each, shared by threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class TelemetryFile:
    """Thread-safe. `schema` makes tables that are not there yet."""

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + schema)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _ask(self, text: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of one statement."""
        with self._lock:
            return self._db.execute(text, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Statements that hold all or none."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
