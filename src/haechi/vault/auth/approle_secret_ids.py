"""Secret IDs of AppRole roles: stored under keyed hashes, found by the secret or by its accessor, counted, ended.

Storage: secret_id/<role>/<hash of the secret> the entry, accessor/<hash of the accessor> {"role", "secret"}.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from haechi.vault.auth.common import parse_block, quoted, within
from haechi.vault.clock import NEVER, render_time
from haechi.vault.errors import invalid
from haechi.vault.logical import Services, View

LONGEST = 4096  # bytes of a secret ID


@dataclass
class SecretID:
    """An entry. Times are epoch seconds; expires 0: never. num_uses 0: unlimited. ttl as asked, seconds."""

    accessor: str
    num_uses: int
    ttl: int
    created: float
    updated: float
    expires: float
    metadata: dict[str, str] = field(default_factory=dict)
    cidr_list: list[str] = field(default_factory=list)
    token_bound_cidrs: list[str] = field(default_factory=list)

    def render(self) -> dict[str, Any]:
        """As the lookup endpoints show it."""
        return {
            "secret_id_accessor": self.accessor,
            "secret_id_num_uses": self.num_uses,
            "secret_id_ttl": self.ttl,
            "creation_time": render_time(self.created),
            "expiration_time": render_time(self.expires) if self.expires else NEVER,
            "last_updated_time": render_time(self.updated),
            "metadata": self.metadata,
            "cidr_list": self.cidr_list,
            "token_bound_cidrs": self.token_bound_cidrs,
        }


class SecretIDs:
    """The secret IDs of one mount. `role` is a stored role: its name and hmac_key decide where its secrets lie."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @staticmethod
    def _folder(role: dict[str, Any]) -> str:
        return f"secret_id/{role['name']}/"

    def key(self, role: dict[str, Any], secret: str) -> str:
        """Where the entry of a secret lies. Raises VaultError 400 for what can be no secret ID."""
        try:
            if len(secret.encode()) > LONGEST:
                raise invalid(f"failed to create HMAC of secret_id: value is longer than maximum of {LONGEST} bytes")
        except UnicodeEncodeError:
            raise invalid("invalid role or secret ID") from None
        return self._folder(role) + self._services.keyed_hash(f"approle-secret:{role['hmac_key']}:{secret}")

    def _accessor_key(self, accessor: str) -> str:
        return "accessor/" + self._services.keyed_hash(f"approle-accessor:{accessor}")

    def get(self, view: View, key: str) -> SecretID | None:
        """The entry at a key, unless it has expired."""
        entry = view.get(key)
        found = None if entry is None else SecretID(**entry)
        return found if found is not None and not self._is_over(found) else None

    def _is_over(self, entry: SecretID) -> bool:
        return bool(entry.expires) and entry.expires <= self._services.now()

    def by_accessor(self, view: View, accessor: str) -> tuple[str, str] | None:
        """Role name and key of the secret ID with this accessor."""
        if not accessor.isascii():
            return None
        found = view.get(self._accessor_key(accessor))
        return None if found is None else (found["role"], found["secret"])

    def add(self, view: View, role: dict[str, Any], secret: str, entry: SecretID) -> None:
        """Store a new one and fill in its accessor. Raises VaultError 400 when the secret is already in use."""
        key = self.key(role, secret)
        if self.get(view, key) is not None:
            raise invalid("failed to store secret_id: SecretID is already registered")
        self.delete(view, key)  # an expired one with the same secret
        entry.accessor = str(uuid.uuid4())
        view.put(key, asdict(entry))
        view.put(self._accessor_key(entry.accessor), {"role": role["name"], "secret": key})

    def delete(self, view: View, key: str) -> None:
        """Remove the entry at a key and its accessor, if it is there."""
        entry = view.get(key)
        if entry is not None:
            view.delete(self._accessor_key(entry["accessor"]))
            view.delete(key)

    def spend(self, view: View, key: str, entry: SecretID) -> None:
        """Count one use; the last one deletes the entry."""
        if entry.num_uses == 1:
            self.delete(view, key)
        elif entry.num_uses > 1:
            entry.num_uses -= 1
            entry.updated = self._services.now()
            view.put(key, asdict(entry))

    def _keys(self, view: View, folder: str) -> Iterator[str]:
        return (folder + name for name in view.list(folder))

    def accessors(self, view: View, role: dict[str, Any]) -> list[str]:
        """Of all living secret IDs of a role, sorted."""
        found = (self.get(view, key) for key in self._keys(view, self._folder(role)))
        return sorted(entry.accessor for entry in found if entry is not None)

    def delete_all(self, view: View, role: dict[str, Any]) -> None:
        for key in list(self._keys(view, self._folder(role))):
            self.delete(view, key)

    def tidy(self, view: View) -> int:
        """Delete what has expired; how many there were."""
        count = 0
        for folder in view.list("secret_id/"):
            for key in list(self._keys(view, f"secret_id/{folder}")):
                entry = view.get(key)
                if entry is not None and self._is_over(SecretID(**entry)):
                    self.delete(view, key)
                    count += 1
        return count


def check_subset(inner: list[str], outer: list[str]) -> None:
    """Raises VaultError 400 unless each of the secret ID's blocks lies in one of the role's. An empty list demands nothing."""
    if inner and outer and not all(within(block, outer) for block in inner):
        ours = " ".join(quoted(block if "/" in block else f"{block}/{parse_block(block).prefixlen}") for block in outer)
        theirs = " ".join(map(quoted, inner))
        raise invalid(
            f"failed to verify subset relationship between CIDR blocks on the role [{ours}] and CIDR blocks on the secret ID [{theirs}]"
        )


def parse_metadata(value: Any) -> dict[str, str]:
    """Metadata from a JSON object, its text, base64 of that, or "k=v,k=v". Raises VaultError 400."""
    if value is None or value == "":
        return {}
    if isinstance(value, dict):
        return _text_values(value)
    if not isinstance(value, str):
        raise invalid("failed to parse metadata: expected an object")
    text = value.strip()
    try:
        decoded = base64.b64decode(text, validate=True).decode()
        text = decoded if decoded.lstrip().startswith("{") else text
    except (binascii.Error, ValueError):
        pass  # it was not base64
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise invalid("failed to parse metadata: not a valid JSON object") from None
        return _text_values(found)
    pairs = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, equals, content = item.partition("=")
        if not equals or not name.strip():
            raise invalid("failed to parse metadata: expected key=value pairs")
        pairs[name.strip()] = content.strip()
    return pairs


def _text_values(found: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in found.values()):
        raise invalid("failed to parse metadata: values must be texts")
    return found
