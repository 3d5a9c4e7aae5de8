"""What was measured of instances and domains: a row a minute, and attack events. SQLite, kept for thirty days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from haechi.cloud.telemetry import TelemetryFile

KEEP_SECONDS = 30 * 86400
COLUMNS = ("in_bytes", "out_bytes", "in_packets", "out_packets", "attack_bytes", "attack_packets", "requests", "attack_requests")
PEAKS = ("in_bps", "in_pps", "attack_bps", "attack_pps", "qps", "attack_qps")
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS samples (
  subject TEXT, minute INTEGER, {", ".join(f"{c} INTEGER" for c in (*COLUMNS, *PEAKS))}, PRIMARY KEY (subject, minute));
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY, instance TEXT, subject TEXT, kind TEXT,
  start INTEGER, end INTEGER, bps INTEGER, pps INTEGER, qps INTEGER, cause TEXT);
"""


@dataclass(frozen=True)
class Sample:
    """One minute of one subject (an instance's id, or a domain): sums and peaks by name."""

    minute: int  # epoch seconds
    values: dict[str, int]


@dataclass(frozen=True)
class Event:
    """One attack. `kind` is defense, blackhole or web-cc; `end` 0 while it lasts; peaks in bits, packets and requests per second."""

    number: int
    instance: str
    subject: str  # the address, or the domain
    kind: str
    start: int
    end: int = 0
    bps: int = 0
    pps: int = 0
    qps: int = 0
    cause: str = ""  # which counter rose


class Telemetry(TelemetryFile):
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA)

    def add(self, subject: str, minute: int, sums: dict[str, int], peaks: dict[str, int]) -> None:
        """Add to a minute's sums, and raise its peaks."""
        given = {**dict.fromkeys((*COLUMNS, *PEAKS), 0), **sums, **peaks}
        changes = [f"{c} = {c} + excluded.{c}" for c in COLUMNS] + [f"{c} = max({c}, excluded.{c})" for c in PEAKS]
        names = ", ".join(given)
        text = f"INSERT INTO samples (subject, minute, {names}) VALUES ({', '.join('?' * (len(given) + 2))})"
        self._ask(f"{text} ON CONFLICT DO UPDATE SET {', '.join(changes)}", (subject, minute, *given.values()))

    def samples(self, subject: str, start: int, end: int) -> list[Sample]:
        """Minutes within [start, end), oldest first."""
        names = (*COLUMNS, *PEAKS)
        query = f"SELECT minute, {', '.join(names)} FROM samples WHERE subject = ? AND minute >= ? AND minute < ? ORDER BY minute"
        rows = self._ask(query, (subject, start - start % 60, end))
        return [Sample(row[0], dict(zip(names, row[1:], strict=True))) for row in rows]

    def begin(self, event: Event) -> Event:
        """Keep a new event; it with its number."""
        values = (event.instance, event.subject, event.kind, event.start, event.end, event.bps, event.pps, event.qps, event.cause)
        with self._lock:
            done = self._db.execute(
                "INSERT INTO events (instance, subject, kind, start, end, bps, pps, qps, cause) VALUES (?,?,?,?,?,?,?,?,?)", values
            )
        return replace(event, number=done.lastrowid or 0)

    def update(self, event: Event) -> None:
        """Keep what changed of an event."""
        values = (event.end, event.bps, event.pps, event.qps, event.number)
        self._ask("UPDATE events SET end = ?, bps = ?, pps = ?, qps = ? WHERE number = ?", values)

    def events(self, start: int, end: int) -> list[Event]:
        """Events that lasted into [start, end), newest first."""
        query = "SELECT * FROM events WHERE start < ? AND (end = 0 OR end >= ?) ORDER BY start DESC, number DESC"
        return [Event(*row) for row in self._ask(query, (end, start))]

    def end_all(self, now: int) -> None:
        """At a start: attacks that were going on are over, as far as anybody knows."""
        with self._lock:
            self._db.execute("UPDATE events SET end = ? WHERE end = 0", (now,))
            self._db.execute("DELETE FROM samples WHERE minute < ?", (now - KEEP_SECONDS,))
            self._db.execute("DELETE FROM events WHERE start < ?", (now - KEEP_SECONDS,))
