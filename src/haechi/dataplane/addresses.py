"""Telling addresses from names."""

from __future__ import annotations

from ipaddress import IPv4Address


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
