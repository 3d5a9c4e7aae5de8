"""Tokens: made, found, used, revoked. The token itself is never stored; entries lie under keyed hashes.

Storage: sys/token/id/<hash> the entry, sys/token/accessor/<hash of the accessor> {"id"}, sys/token/child/<parent>/<child> {}.
A batch token is not stored at all: it is its own sealed entry.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from haechi.vault.barrier import BarrierError
from haechi.vault.store import Store, Transaction

LETTERS = string.ascii_letters + string.digits
ID, ACCESSOR, CHILD = "sys/token/id/", "sys/token/accessor/", "sys/token/child/"
BATCH = "batch-token"
SPENT = -1  # num_uses of a token in its last use


def random_text(length: int) -> str:
    """Base62, each letter as likely as any other: bytes beyond the last whole round of letters are left out."""
    found = ""
    while len(found) < length:
        found += "".join(LETTERS[byte % 62] for byte in secrets.token_bytes(2 * length) if byte < 248)
    return found[:length]


@dataclass
class Token:
    """An entry. Times are epoch seconds, durations seconds; `id` is a keyed hash and safe to use as a key."""

    id: str
    accessor: str
    policies: list[str]
    path: str
    display_name: str = "token"
    meta: dict[str, str] | None = None
    num_uses: int = 0  # 0: unlimited
    parent: str = ""  # hash of the parent; "": orphan
    created: float = 0.0
    ttl: float = 0.0  # as issued; 0: never ends
    explicit_max_ttl: float = 0.0
    period: float = 0.0
    type: str = "service"
    role: str = ""
    bound_cidrs: list[str] = field(default_factory=list)
    renewable: bool = True
    expires: float = 0.0  # 0: never
    renewed: float = 0.0  # 0: not yet
    wrapped_accessor: str = ""
    mount: str = ""  # path of the auth mount that made it, and what its renew_login needs
    login: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def root(self) -> bool:
        return "root" in self.policies

    @property
    def orphan(self) -> bool:
        return not self.parent


class Tokens:
    """The token store, within transactions of the sealed store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def hash(self, token: str) -> str:
        return self._store.barrier.keyed_hash(f"token:{token}")

    def create(self, transaction: Transaction, token: Token, id: str = "") -> str:
        """Store a new entry (its `id` and `accessor` are filled in here) and return the token. `id` chooses the token's text."""
        if token.type == "batch":
            return self._seal_batch(token)
        text = id or f"hvs.{random_text(24)}"
        token.id, token.accessor = self.hash(text), random_text(24)
        self.save(transaction, token)
        transaction.put(ACCESSOR + self._accessor_key(token.accessor), {"id": token.id})
        if token.parent:
            transaction.put(f"{CHILD}{token.parent}/{token.id}", {})
        return text

    def _seal_batch(self, token: Token) -> str:
        token.id, token.accessor = random_text(24), ""
        blob = self._store.barrier.seal_value(BATCH, json.dumps(vars(token)).encode())
        return "hvb." + base64.urlsafe_b64encode(blob).decode().rstrip("=")

    def _open_batch(self, text: str) -> Token | None:
        try:
            blob = base64.urlsafe_b64decode(text[4:] + "=" * (-len(text[4:]) % 4))
            return Token(**json.loads(self._store.barrier.open_value(BATCH, blob)))
        except (BarrierError, binascii.Error, ValueError):
            return None

    def save(self, transaction: Transaction, token: Token) -> None:
        transaction.put(ID + token.id, vars(token))

    def find(self, transaction: Transaction, text: str, now: float) -> Token | None:
        """The living token with this text, or None. One in its last use does not live."""
        if not text or not text.isascii() or len(text) > 8192:
            return None
        if text.startswith("hvb."):
            token = self._open_batch(text)
            parent_lives = token is not None and (not token.parent or self.get(transaction, token.parent, now) is not None)
            return token if token is not None and parent_lives and token.expires > now else None
        return self.get(transaction, self.hash(text), now)

    def get(self, transaction: Transaction, id: str, now: float) -> Token | None:
        """The living token of this hash."""
        entry = transaction.get(ID + id)
        if entry is None:
            return None
        token = Token(**entry)
        return token if token.num_uses != SPENT and not (token.expires and token.expires <= now) else None

    def find_accessor(self, transaction: Transaction, accessor: str, now: float) -> Token | None:
        entry = transaction.get(ACCESSOR + self._accessor_key(accessor))
        return None if entry is None else self.get(transaction, entry["id"], now)

    def _accessor_key(self, accessor: str) -> str:
        return self._store.barrier.keyed_hash(f"accessor:{accessor}")

    def all(self, transaction: Transaction) -> Iterator[Token]:
        """Every stored entry, dead ones included."""
        for id in transaction.list(ID):
            entry = transaction.get(ID + id)
            if entry is not None:
                yield Token(**entry)

    def children(self, transaction: Transaction, id: str) -> list[str]:
        return transaction.list(f"{CHILD}{id}/")

    def forget(self, transaction: Transaction, id: str) -> Token | None:
        """Remove an entry and its indexes; its children become orphans. What it was, or None."""
        entry = transaction.get(ID + id)
        if entry is None:
            return None
        token = Token(**entry)
        transaction.delete(ID + id)
        transaction.delete(ACCESSOR + self._accessor_key(token.accessor))
        if token.parent:
            transaction.delete(f"{CHILD}{token.parent}/{id}")
        for child in self.children(transaction, id):
            transaction.delete(f"{CHILD}{id}/{child}")
            found = transaction.get(ID + child)
            if found is not None:
                transaction.put(ID + child, {**found, "parent": ""})
        return token
