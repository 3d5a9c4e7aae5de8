"""Filters that listings share."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether a text is what a name filter asks for: "" is anything, * stands for any run of characters."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern in ("", text)
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
