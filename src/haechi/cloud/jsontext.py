"""Parameters that carry JSON in a text, and the values in it."""

from __future__ import annotations

import json
from typing import Any

from haechi.cloud.errors import invalid


def parse_object(name: str, text: str) -> dict[str, Any]:
    """A JSON object in one parameter. Raises InvalidParameter."""
    found = _parse(name, text)
    if not isinstance(found, dict):
        raise invalid(name, "It must be a JSON object.")
    return found


def parse_objects(name: str, text: str, most: int) -> list[dict[str, Any]]:
    """A JSON array of objects in one parameter. Raises InvalidParameter."""
    found = _parse(name, text)
    if not isinstance(found, list) or len(found) > most or not all(isinstance(item, dict) for item in found):
        raise invalid(name, f"It must be a JSON array of at most {most} objects.")
    return found


def _parse(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(name, "It must be JSON.") from None


def whole(name: str, value: Any, least: int, most: int) -> int:
    """A number in a range, as clients write it in JSON. Raises InvalidParameter."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:12])
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(name, f"It must be a number from {least} to {most}.")
    return value
