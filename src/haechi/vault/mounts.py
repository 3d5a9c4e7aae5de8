"""The mount table: which backend answers below which path, how it is tuned, where its data lies."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from haechi.vault.store import Transaction


@dataclass
class Mount:
    """One entry. `path` ends with "/"; for auth methods it starts with "auth/"."""

    path: str
    type: str
    description: str = ""
    accessor: str = ""
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    local: bool = False
    seal_wrap: bool = False
    external_entropy_access: bool = False
    options: dict[str, str] | None = None
    default_lease_ttl: int = 0  # seconds; 0: the system's
    max_lease_ttl: int = 0
    config: dict[str, Any] = field(default_factory=dict)  # what else was tuned: listing_visibility, audit_non_hmac_request_keys, ...

    def __post_init__(self) -> None:
        self.accessor = self.accessor or f"{'auth_' if self.auth else ''}{self.type}_{secrets.token_hex(4)}"

    @property
    def auth(self) -> bool:
        return self.path.startswith("auth/")

    @property
    def prefix(self) -> str:
        """Where its data lies in the storage. The cubbyhole's is known to the token store, which empties it."""
        if self.type == "cubbyhole":
            return "cubbyhole/"
        return f"{'auth' if self.auth else 'logical'}/{self.uuid}/"

    def stored(self) -> dict[str, Any]:
        """As JSON; `Mount(**stored)` gives it back."""
        return asdict(self)


class MountTable:
    """Mounts by path, in memory and at core/mount/<uuid> in the store. `find` takes the longest path that fits."""

    PREFIX = "core/mount/"

    def __init__(self) -> None:
        self._by_path: dict[str, Mount] = {}
        self._deepest = 0  # segments of the longest path

    def _take(self, mounts: dict[str, Mount]) -> None:
        self._by_path = mounts
        self._deepest = max((path.count("/") for path in mounts), default=0)

    def load(self, transaction: Transaction) -> None:
        """Read the table from the storage."""
        entries = (transaction.get(self.PREFIX + uuid) for uuid in transaction.list(self.PREFIX))
        self._take({mount.path: mount for mount in (Mount(**entry) for entry in entries if entry)})

    def save(self, transaction: Transaction, mount: Mount) -> None:
        """Add a mount, or keep what was changed in one. The table changes at once; a failed commit loads it anew."""
        transaction.put(self.PREFIX + mount.uuid, mount.stored())
        self._take({path: m for path, m in self._by_path.items() if m.uuid != mount.uuid} | {mount.path: mount})

    def remove(self, transaction: Transaction, mount: Mount) -> None:
        transaction.delete(self.PREFIX + mount.uuid)
        self._by_path.pop(mount.path, None)

    def all(self, auth: bool | None = None) -> list[Mount]:
        """Sorted by path; only secrets engines or only auth methods when told."""
        return [m for _, m in sorted(self._by_path.items()) if auth is None or m.auth == auth]

    def get(self, path: str) -> Mount | None:
        return self._by_path.get(path)

    def find(self, path: str) -> Mount | None:
        """The mount that answers for a request path; one that lacks only the mount's last "/" fits too."""
        segments = path.split("/", self._deepest)[: self._deepest]  # a path may have thousands, a mount has few
        while segments:
            found = self._by_path.get("/".join(segments) + "/")
            if found is not None:
                return found
            segments.pop()
        return None

    def conflict(self, path: str) -> str:
        """The path of an existing mount that `path` would hide or be hidden by, or ""."""
        return next((other for other in self._by_path if other.startswith(path) or path.startswith(other)), "")

    def by_accessor(self, accessor: str) -> Mount | None:
        return next((m for m in self._by_path.values() if m.accessor == accessor), None)
