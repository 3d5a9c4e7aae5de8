"""Shamir's secret sharing over GF(2^8), polynomial 0x11B, as Vault splits its unseal key.

A share is one y byte per byte of the secret, then its x byte. Products come from shifts and masks, never from a table or a branch on
the secret; all bytes of a secret are worked on at once, as lanes of one large integer.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence


def multiply(a: int, b: int) -> int:
    """Product in GF(2^8)."""
    product = 0
    for bit in range(8):
        product ^= -((b >> bit) & 1) & a
        a = ((a << 1) ^ (-(a >> 7) & 0x11B)) & 0xFF
    return product


def inverse(a: int) -> int:
    """a^254, which is 1/a (and 0 for 0)."""
    result, power = 1, a
    for _ in range(7):
        power = multiply(power, power)
        result = multiply(result, power)
    return result


def _scale(lanes: int, factor: int, ones: int) -> int:
    """Every byte of `lanes` times `factor`, which is public. `ones` has a 1 in each byte."""
    product = 0
    for bit in range(8):
        product ^= -((factor >> bit) & 1) & lanes
        high = (lanes >> 7) & ones
        lanes = ((lanes ^ (high << 7)) << 1) ^ (high * 0x1B)
    return product


def split(secret: bytes, shares: int, threshold: int) -> list[bytes]:
    """`shares` shares of len(secret) + 1 bytes, any `threshold` of which give the secret back. Raises ValueError on bad numbers."""
    if not 2 <= threshold <= shares <= 255:
        raise ValueError("threshold must be 2 to the number of shares, which is at most 255")
    if not secret:
        raise ValueError("cannot split an empty secret")
    places = list(range(1, 256))
    for i in range(255 - 1, 0, -1):  # Fisher-Yates with a cryptographic source
        j = secrets.randbelow(i + 1)
        places[i], places[j] = places[j], places[i]
    size = len(secret)
    ones = int.from_bytes(b"\x01" * size)
    coefficients = [int.from_bytes(each) for each in (secret, *(secrets.token_bytes(size) for _ in range(threshold - 1)))]
    shared = []
    for x in places[:shares]:
        value = 0
        for coefficient in reversed(coefficients):
            value = _scale(value, x, ones) ^ coefficient
        shared.append(value.to_bytes(size) + bytes([x]))
    return shared


def combine(parts: Sequence[bytes]) -> bytes:
    """What the shares interpolate to at 0: the secret, if they are enough and right. Raises ValueError on malformed shares."""
    if len(parts) < 2:
        raise ValueError("less than two parts cannot be used to reconstruct the secret")
    size = len(parts[0])
    if size < 2:
        raise ValueError("parts must be at least two bytes")
    if any(len(part) != size for part in parts):
        raise ValueError("all parts must be the same length")
    places = [part[-1] for part in parts]
    if 0 in places:
        raise ValueError("invalid part detected")
    if len(set(places)) != len(places):
        raise ValueError("duplicate part detected")
    ones = int.from_bytes(b"\x01" * (size - 1))
    secret = 0
    for part, x in zip(parts, places, strict=True):
        above, below = 1, 1
        for other in places:
            if other != x:
                above, below = multiply(above, other), multiply(below, x ^ other)
        secret ^= _scale(int.from_bytes(part[:-1]), multiply(above, inverse(below)), ones)
    return secret.to_bytes(size - 1)
