"""Typed parameters of endpoints, with Vault's weak conversions (a number may come as text, a list as comma-separated text)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from haechi.vault.durations import parse_duration
from haechi.vault.errors import VaultError

Fields = Mapping[str, str]  # name: kind, one of KINDS


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("expected type 'string'")


def _int(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("expected a whole number")
    if isinstance(value, bool | int | float | str):
        number = int(value) if not isinstance(value, str) or value.strip() else 0
        if -(1 << 63) <= number < 1 << 63:
            return number
    raise ValueError("expected type 'int'")


def _bool(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return bool(value)
    if isinstance(value, str):
        if value in ("1", "t", "T", "true", "TRUE", "True"):
            return True
        if value in ("", "0", "f", "F", "false", "FALSE", "False"):
            return False
    raise ValueError("expected type 'bool'")


def _seconds(value: Any) -> int:
    if value is None or value == "":
        return 0
    seconds = parse_duration(value)
    if seconds < 0:
        raise ValueError("cannot provide negative value")
    return int(seconds)


def _signed_seconds(value: Any) -> int:
    return 0 if value is None or value == "" else int(parse_duration(value))


def _list(value: Any) -> list[str]:
    """Comma-separated text, or a list; entries are stripped, empty ones left out."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    return [text for text in (_text(item).strip() for item in items if item is not None) if text]


def _map(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = json.loads(value) if value.strip() else {}
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise ValueError("expected a map")


def _pairs(value: Any) -> dict[str, str]:
    """A map of texts, or "k=v" texts in a list or comma-separated."""
    if isinstance(value, dict):
        return {str(k): _text(v) for k, v in value.items()}
    pairs = {}
    for item in _list(value):
        name, equals, text = item.partition("=")
        if not equals:
            raise ValueError("expected key=value")
        pairs[name] = text
    return pairs


KINDS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "lower": lambda value: _text(value).lower(),
    "int": _int,
    "bool": _bool,
    "seconds": _seconds,  # int or duration text, not negative
    "signed seconds": _signed_seconds,
    "list": _list,
    "map": _map,
    "pairs": _pairs,
    "any": lambda value: value,
}


def convert(fields: Fields, data: Mapping[str, Any]) -> dict[str, Any]:
    """The declared fields that `data` holds, converted. null counts as absent. Raises VaultError 400."""
    values = {}
    for name, kind in fields.items():
        if data.get(name) is None:
            continue
        try:
            values[name] = KINDS[kind](data[name])
        except (ValueError, TypeError, RecursionError, OverflowError):
            raise VaultError(400, f'Field validation failed: error converting input for field "{name}": expected {kind}') from None
    return values
