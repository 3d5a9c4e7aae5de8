"""Durations as Vault reads and Go writes them. Pure."""

from __future__ import annotations

import re

_LIMIT = float((1 << 63) - 1) / 1e9  # seconds; Go counts nanoseconds in 64 bits, some 292 years
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_PIECE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([^0-9.]*)")


def parse_duration(value: object) -> float:
    """Seconds from 30, "30", "30s", "1h30m", "250ms", "1.5h" or "7d"; "" and None are 0. ValueError, in Go's words, for anything else.

    A negative duration is valid here, as in Vault: whoever needs a positive one checks it.
    """
    if value is None or value == "":
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("could not parse duration from input")
    if isinstance(value, str):
        return _limited(_parse_text(value), value)
    if value != value or value % 1:  # NaN, or a fraction, which has no unit
        raise ValueError(f'time: missing unit in duration "{value}"')
    return _limited(float(value) if abs(value) <= _LIMIT else float("inf"), str(value)[:40])


def _parse_text(text: str) -> float:
    if _INTEGER.fullmatch(text):
        return float(text)
    if text.endswith("d") and _INTEGER.fullmatch(text[:-1]):
        return float(text[:-1]) * 86400
    total, at = 0.0, 1 if text[0] in "+-" else 0
    if at == len(text):
        raise ValueError(f'time: invalid duration "{text}"')
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise ValueError(f'time: invalid duration "{_short(text)}"')
        if not piece[2]:
            raise ValueError(f'time: missing unit in duration "{_short(text)}"')
        if piece[2] not in _UNITS:
            raise ValueError(f'time: unknown unit "{_short(piece[2])}" in duration "{_short(text)}"')
        total += float(piece[1]) * _UNITS[piece[2]]
        at = piece.end()
    return -total if text[0] == "-" else total


def _limited(seconds: float, text: str) -> float:
    if not -_LIMIT <= seconds <= _LIMIT:
        raise ValueError(f'time: invalid duration "{_short(text)}"')
    return seconds


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."


def render_duration(seconds: float) -> str:
    """The text Go gives a duration: "0s", "1.5s", "250ms", "2m0s", "768h0m0s"."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanoseconds else ""
    if nanoseconds < 1_000_000_000:
        for size, unit in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")):
            if nanoseconds >= size:
                return f"{sign}{_decimal(nanoseconds, size)}{unit}"
        return "0s"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, 1_000_000_000)}s"


def _decimal(amount: int, size: int) -> str:
    whole, fraction = divmod(amount, size)
    digits = str(fraction).rjust(len(str(size)) - 1, "0").rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)
