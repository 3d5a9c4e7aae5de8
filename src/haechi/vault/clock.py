"""Times as Vault writes them."""

from __future__ import annotations

import datetime

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


def render_time(seconds: float) -> str:
    """Epoch seconds as RFC 3339 in UTC, with a fraction where there is one."""
    whole = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{seconds % 1:.9f}"[1:].rstrip("0").rstrip(".")
    return f"{whole}{fraction}Z"
