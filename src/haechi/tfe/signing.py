"""Addresses that need no token: what they are for, and until when, is signed into the path.

The terraform program replaces the whole query of a log's address and sends no Authorization with logs and uploads, so the path carries it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from haechi.tfe.errors import not_found

PREFIX = "/_archivist/v1/object/"
SECONDS = 24 * 3600.0  # a run may wait long for its confirmation, and a client follows its log all the while


class Signer:
    """Signs with one key, which every process of an installation shares."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def path(self, kind: str, id: str, seconds: float = SECONDS) -> str:
        """The path of an object: /_archivist/v1/object/<kind.id.expiry>.<signature>."""
        text = f"{kind}.{id}.{int(time.time() + seconds)}"
        return PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") + "." + self._signature(text)

    def read(self, token: str) -> tuple[str, str]:
        """(kind, id) of the last part of such a path. Raises not_found when it is not ours or too old."""
        encoded, _, signature = token.partition(".")
        try:
            text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            kind, id, expiry = text.split(".")
            good = hmac.compare_digest(signature.encode(), self._signature(text).encode()) and int(expiry) > time.time()
        except ValueError:
            good = False
        if not good:
            raise not_found("object")
        return kind, id

    def seal(self, text: str) -> str:
        """What only this installation can make of a text; hex."""
        return self._signature(f"seal {text}")

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
