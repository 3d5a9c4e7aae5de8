"""What the firewall saw: connections, drops, and hits of policies. SQLite, kept for seven days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from haechi.cloud.telemetry import TelemetryFile

KEEP_SECONDS = 7 * 86400
PASS, WATCH, DROP = 0, 1, 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS flows (
  id INTEGER PRIMARY KEY, first INTEGER, last INTEGER, direction TEXT, asset TEXT, src TEXT, dst TEXT, sport INTEGER, dport INTEGER,
  protocol TEXT, in_bytes INTEGER, out_bytes INTEGER, in_packets INTEGER, out_packets INTEGER, policy TEXT, result INTEGER, domain TEXT);
CREATE INDEX IF NOT EXISTS flows_last ON flows (last);
CREATE TABLE IF NOT EXISTS minutes (
  minute INTEGER, direction TEXT, asset TEXT, in_bytes INTEGER, out_bytes INTEGER, in_packets INTEGER, out_packets INTEGER,
  sessions INTEGER, drops INTEGER, watched INTEGER, PRIMARY KEY (minute, direction, asset));
CREATE TABLE IF NOT EXISTS hits (policy TEXT PRIMARY KEY, times INTEGER, last INTEGER);
"""
COLUMNS = ("in_bytes", "out_bytes", "in_packets", "out_packets", "sessions", "drops", "watched")


@dataclass
class Flow:
    """One connection, or one row of dropped packets. `direction` and bytes as the protected address `asset` sees them."""

    first: int
    last: int
    direction: str
    asset: str
    src: str
    dst: str
    sport: int
    dport: int
    protocol: str
    in_bytes: int = 0
    out_bytes: int = 0
    in_packets: int = 0
    out_packets: int = 0
    policy: str = ""
    result: int = PASS
    domain: str = ""
    id: int = 0


FIELDS = tuple(field.name for field in fields(Flow) if field.name != "id")


class FlowTelemetry(TelemetryFile):
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA)

    def write(self, flows: Iterable[Flow], minutes: dict[tuple[int, str, str], dict[str, int]], hits: dict[str, tuple[int, int]]) -> None:
        """Keep flows (new ones get their id), add to minutes and to hits (times, last), all at once."""
        names = ", ".join(FIELDS)
        with self._transaction() as db:
            for flow in flows:
                values = [getattr(flow, name) for name in FIELDS]
                if flow.id:
                    sets = ", ".join(f"{name} = ?" for name in FIELDS)
                    db.execute(f"UPDATE flows SET {sets} WHERE id = ?", [*values, flow.id])
                else:
                    done = db.execute(f"INSERT INTO flows ({names}) VALUES ({', '.join('?' * len(FIELDS))})", values)
                    flow.id = done.lastrowid or 0
            for (minute, direction, asset), sums in minutes.items():
                given = [sums.get(name, 0) for name in COLUMNS]
                grow = ", ".join(f"{name} = {name} + excluded.{name}" for name in COLUMNS)
                text = f"INSERT INTO minutes VALUES ({', '.join('?' * (3 + len(COLUMNS)))}) ON CONFLICT DO UPDATE SET {grow}"
                db.execute(text, [minute, direction, asset, *given])
            for policy, (times, last) in hits.items():
                text = "INSERT INTO hits VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET times = times + excluded.times, last = excluded.last"
                db.execute(text, (policy, times, last))

    def hits(self) -> dict[str, tuple[int, int]]:
        """How often and when last (epoch seconds), by policy."""
        return {policy: (times, last) for policy, times, last in self._ask("SELECT * FROM hits")}

    def forget_hits(self, policy: str) -> None:
        """Count from 0 again."""
        with self._lock:
            self._db.execute("DELETE FROM hits WHERE policy = ?", (policy,))

    def flows(self, start: int, end: int, where: dict[str, Any], limit: int, offset: int) -> tuple[list[Flow], int]:
        """A page of flows that lived in [start, end), newest first, with these values; and how many there are."""
        condition, values = _where(start, end, where)
        (count,) = self._ask(f"SELECT count(*) FROM flows WHERE {condition}", values)[0]
        rows = self._ask(
            f"SELECT {', '.join(FIELDS)}, id FROM flows WHERE {condition} ORDER BY last DESC, id DESC LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return [Flow(*row) for row in rows], int(count)

    def top(self, column: str, start: int, end: int, where: dict[str, Any], limit: int) -> list[tuple[str, int, int, int, int]]:
        """(value, sessions, bytes in, bytes out, distinct assets) by a column of flows, most bytes first."""
        assert column in FIELDS
        condition, values = _where(start, end, where)
        text = f"SELECT {column}, count(*), sum(in_bytes), sum(out_bytes), count(DISTINCT asset) FROM flows WHERE {condition}"
        rows = self._ask(f"{text} GROUP BY {column} ORDER BY sum(in_bytes + out_bytes) DESC, count(*) DESC LIMIT ?", [*values, limit])
        return [(str(row[0]), *row[1:]) for row in rows]

    def distinct(self, column: str, key: str, start: int, end: int, where: dict[str, Any]) -> dict[str, list[str]]:
        """Values of a column by values of another."""
        assert column in FIELDS and key in FIELDS
        condition, values = _where(start, end, where)
        found: dict[str, list[str]] = {}
        for name, value in self._ask(f"SELECT DISTINCT {key}, {column} FROM flows WHERE {condition} ORDER BY 2", values):
            found.setdefault(str(name), []).append(str(value))
        return found

    def minutes(self, start: int, end: int, direction: str = "", asset: str = "") -> list[dict[str, int]]:
        """Sums by minute in [start, end), oldest first."""
        text = f"SELECT minute, {', '.join(f'sum({name})' for name in COLUMNS)} FROM minutes WHERE minute >= ? AND minute < ?"
        values: list[Any] = [start - start % 60, end]
        for name, value in (("direction", direction), ("asset", asset)):
            if value:
                text += f" AND {name} = ?"
                values.append(value)
        rows = self._ask(f"{text} GROUP BY minute ORDER BY minute", values)
        return [dict(zip(("minute", *COLUMNS), row, strict=True)) for row in rows]

    def sent_by_asset(self, start: int, end: int) -> dict[str, int]:
        """Bytes that left, by address."""
        text = "SELECT asset, sum(out_bytes) FROM minutes WHERE minute >= ? AND minute < ? GROUP BY asset"
        return dict(self._ask(text, [start, end]))

    def prune(self, now: int) -> None:
        """Forget what is too old."""
        with self._lock:
            self._db.execute("DELETE FROM flows WHERE last < ?", (now - KEEP_SECONDS,))
            self._db.execute("DELETE FROM minutes WHERE minute < ?", (now - KEEP_SECONDS,))


def _where(start: int, end: int, where: dict[str, Any]) -> tuple[str, list[Any]]:
    """A condition for flows; a list of values means any of them, and "!" in front of a name turns it round."""
    parts, values = ["last >= ? AND first < ?"], [start, end]
    for name, value in where.items():
        column = name.removeprefix("!")
        assert column in FIELDS
        several = list(value) if isinstance(value, (list, tuple)) else [value]
        parts.append(f"{column} {'NOT ' if name != column else ''}IN ({', '.join('?' * len(several))})")
        values += several
    return " AND ".join(parts), values
