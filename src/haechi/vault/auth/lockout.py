"""Failed logins by name, in memory: after some of them a name is locked for a while, whatever is presented for it.

Only names that exist are counted (so the table is as large as the user list), as in Vault. A seal or a restart forgets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haechi.vault.errors import VaultError, invalid
from haechi.vault.fields import Fields, convert
from haechi.vault.logical import Services
from haechi.vault.mounts import Mount

THRESHOLD = 5  # failures
DURATION = RESET = 15 * 60.0  # seconds


@dataclass(frozen=True)
class Rules:
    """What a mount's user_lockout_config says. Durations are seconds."""

    threshold: int = THRESHOLD
    duration: float = DURATION
    reset: float = RESET
    disabled: bool = False


_FIELDS: Fields = {
    "lockout_threshold": "int",
    "lockout_duration": "seconds",
    "lockout_counter_reset_duration": "seconds",
    "lockout_disable": "bool",
}


def parse_rules(config: Mapping[str, Any]) -> Rules:
    """From the map as it is tuned; what is absent or 0 has its default. Raises VaultError 400."""
    values = convert(_FIELDS, config)
    if values.get("lockout_threshold", 0) < 0:
        raise invalid("lockout_threshold cannot be negative")
    return Rules(
        values.get("lockout_threshold") or THRESHOLD,
        values.get("lockout_duration") or DURATION,
        values.get("lockout_counter_reset_duration") or RESET,
        values.get("lockout_disable", False),
    )


@dataclass
class _Failures:
    count: int
    last: float  # epoch seconds


class Lockout:
    """The failures of one mount, under its tuned user_lockout_config."""

    def __init__(self, services: Services, mount: Mount) -> None:
        self._services, self._mount = services, mount
        self._failures: dict[str, _Failures] = {}

    @property
    def _rules(self) -> Rules:
        return parse_rules(self._mount.config.get("user_lockout_config") or {})

    def is_locked(self, name: str) -> bool:
        found = self._failures.get(name)
        if found is None:
            return False
        rules = self._rules
        return not rules.disabled and found.count >= rules.threshold and self._services.now() < found.last + rules.duration

    def check(self, name: str) -> None:
        """Raises VaultError 403 for a name that is locked."""
        if self.is_locked(name):
            raise VaultError(403, "permission denied")

    def fail(self, name: str) -> None:
        """Count one more failure; the count starts anew when the last one is long ago."""
        now, found = self._services.now(), self._failures.get(name)
        fresh = found is not None and now <= found.last + self._rules.reset
        self._failures[name] = _Failures(found.count + 1 if found is not None and fresh else 1, now)

    def unlock(self, name: str) -> None:
        """Forget its failures; after a login, or by an operator."""
        self._failures.pop(name, None)

    def locked(self) -> list[str]:
        """Names that are locked now, sorted."""
        return sorted(name for name in self._failures if self.is_locked(name))
