"""Passwords of people who sign in with a browser: scrypt, compared in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

LEAST = 10  # characters
_COST = {"n": 1 << 14, "r": 8, "p": 1}


def hash_password(password: str) -> str:
    """What is kept of a password. Raises ValueError when it is too short or too long."""
    if not LEAST <= len(password) <= 1000:
        raise ValueError(f"A password has {LEAST} to 1000 characters.")
    salt = os.urandom(16)
    return f"scrypt${base64.b64encode(salt).decode()}${base64.b64encode(_derive(password, salt)).decode()}"


def check_password(password: str, kept: str) -> bool:
    """Whether it is the one; as slow for a user without a password as for any other."""
    _, salt, digest = kept.split("$") if kept.count("$") == 2 else ("", "", "")
    derived = _derive(password[:1000], base64.b64decode(salt) or b"nobody")
    return bool(digest) and hmac.compare_digest(derived, base64.b64decode(digest))


def _derive(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, dklen=32, **_COST)
