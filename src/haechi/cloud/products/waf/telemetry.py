"""Requests and attacks as they were logged: sums by minute, and a row for each attack. SQLite, kept for thirty days."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from haechi.cloud.telemetry import TelemetryFile

KEEP_SECONDS = 30 * 86400
SCHEMA = """
CREATE TABLE IF NOT EXISTS minutes (
  minute INTEGER, domain TEXT, requests INTEGER, peak INTEGER, in_bytes INTEGER, out_bytes INTEGER, PRIMARY KEY (minute, domain));
CREATE TABLE IF NOT EXISTS counts (
  minute INTEGER, domain TEXT, kind TEXT, value TEXT, count INTEGER, PRIMARY KEY (minute, domain, kind, value));
CREATE TABLE IF NOT EXISTS attacks (
  id INTEGER PRIMARY KEY, time INTEGER, domain TEXT, ip TEXT, path TEXT, agent TEXT,
  scene TEXT, rule TEXT, type TEXT, action TEXT, row TEXT);
CREATE INDEX IF NOT EXISTS attacks_time ON attacks (time);
CREATE TABLE IF NOT EXISTS places (path TEXT PRIMARY KEY, inode INTEGER, offset INTEGER);
"""
COLUMNS = ("time", "domain", "ip", "path", "agent", "scene", "rule", "type", "action")


class WafTelemetry(TelemetryFile):
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA)

    def write(
        self,
        minutes: dict[tuple[int, str], list[int]],
        counts: dict[tuple[int, str, str, str], int],
        attacks: Iterable[dict[str, Any]],
        places: dict[str, tuple[int, int]],
    ) -> None:
        """Add to sums, keep attacks (COLUMNS and `row`), and remember how far each file was read: all or nothing."""
        with self._transaction() as db:
            for (minute, domain), sums in minutes.items():
                grow = "requests = requests + excluded.requests, peak = max(peak, excluded.peak)"
                grow += ", in_bytes = in_bytes + excluded.in_bytes, out_bytes = out_bytes + excluded.out_bytes"
                db.execute(f"INSERT INTO minutes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET {grow}", (minute, domain, *sums))
            for key, count in counts.items():
                text = "INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
                db.execute(text, (*key, count))
            for attack in attacks:
                values = [*(attack[name] for name in COLUMNS), json.dumps(attack["row"])]
                text = f"INSERT INTO attacks ({', '.join(COLUMNS)}, row) VALUES ({', '.join('?' * len(values))})"
                db.execute(text, values)
            for path, (inode, offset) in places.items():
                db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (path, inode, offset))

    def place(self, path: str) -> tuple[int, int]:
        """(inode, offset) up to which a file was read."""
        found = self._ask("SELECT inode, offset FROM places WHERE path = ?", (path,))
        return (int(found[0][0]), int(found[0][1])) if found else (0, 0)

    def minutes(self, start: int, end: int, domain: str = "") -> list[tuple[int, int, int, int, int]]:
        """(minute, requests, peak per second, bytes in, bytes out) in [start, end), oldest first."""
        condition, values = ("AND domain = ?", [domain]) if domain else ("", [])
        text = "SELECT minute, sum(requests), sum(peak), sum(in_bytes), sum(out_bytes) FROM minutes WHERE minute >= ? AND minute < ?"
        return list(self._ask(f"{text} {condition} GROUP BY minute ORDER BY minute", [start - start % 60, end, *values]))

    def series(self, kind: str, start: int, end: int, domain: str = "") -> list[tuple[int, str, int]]:
        """(minute, value, count) of one kind of count."""
        condition, values = ("AND domain = ?", [domain]) if domain else ("", [])
        text = f"SELECT minute, value, sum(count) FROM counts WHERE kind = ? AND minute >= ? AND minute < ? {condition}"
        return list(self._ask(f"{text} GROUP BY minute, value ORDER BY minute", [kind, start - start % 60, end, *values]))

    def top(self, kind: str, start: int, end: int, domain: str = "", limit: int = 10) -> list[tuple[str, int]]:
        """Values of a kind of count, most first."""
        condition, values = ("AND domain = ?", [domain]) if domain else ("", [])
        text = f"SELECT value, sum(count) FROM counts WHERE kind = ? AND minute >= ? AND minute < ? {condition}"
        rows = self._ask(f"{text} GROUP BY value ORDER BY 2 DESC, 1 LIMIT ?", [kind, start - start % 60, end, *values, limit])
        return [(str(value), int(count)) for value, count in rows]

    def attacks(
        self, start: int, end: int, where: Mapping[str, Sequence[str]], limit: int, offset: int = 0
    ) -> tuple[list[tuple[dict[str, Any], str, str]], int]:
        """A page of attacks as (row, type, action), newest first, and how many there are."""
        condition, values = _where(start, end, where)
        (count,) = self._ask(f"SELECT count(*) FROM attacks WHERE {condition}", values)[0]
        text = f"SELECT row, type, action FROM attacks WHERE {condition} ORDER BY time DESC, id DESC LIMIT ? OFFSET ?"
        return [(json.loads(row), kind, action) for row, kind, action in self._ask(text, [*values, limit, offset])], int(count)

    def top_attacks(self, column: str, start: int, end: int, where: Mapping[str, Sequence[str]], limit: int = 10) -> list[tuple[str, int]]:
        """Values of a column of attacks, most first."""
        assert column in COLUMNS
        condition, values = _where(start, end, where)
        text = f"SELECT {column}, count(*) FROM attacks WHERE {condition} GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT ?"
        return [(str(value), int(count)) for value, count in self._ask(text, [*values, limit])]

    def attack_series(
        self, start: int, end: int, width: int, where: Mapping[str, Sequence[str]], column: str = "action"
    ) -> list[tuple[int, str, int]]:
        """(start of a step, value of the column, count)."""
        assert column in COLUMNS
        condition, values = _where(start, end, where)
        text = f"SELECT (time - ?) / ? * ? + ?, {column}, count(*) FROM attacks WHERE {condition} GROUP BY 1, 2 ORDER BY 1"
        return list(self._ask(text, [start, width, width, start, *values]))

    def prune(self, now: int) -> None:
        """Forget what is too old."""
        with self._lock:
            for table, column in (("minutes", "minute"), ("counts", "minute"), ("attacks", "time")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} < ?", (now - KEEP_SECONDS,))


def _where(start: int, end: int, where: Mapping[str, Sequence[str]]) -> tuple[str, list[Any]]:
    parts = ["time >= ? AND time < ?"]
    values: list[Any] = [start, end]
    for column, several in where.items():
        assert column in COLUMNS
        parts.append(f"{column} IN ({', '.join('?' * len(several))})")
        values += list(several)
    return " AND ".join(parts), values
