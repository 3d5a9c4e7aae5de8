"""The rules of KV version 2, without storage: a key's metadata, how versions are added, dropped and deleted. Times are epoch seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from haechi.vault.clock import render_time
from haechi.vault.durations import render_duration
from haechi.vault.errors import invalid, listed

KEPT = 10  # versions of a key, where neither the key nor the mount says otherwise
DISABLED = -1  # delete_version_after of a mount that switches it off for all keys
MAX_KEYS, MAX_KEY, MAX_VALUE = 64, 128, 512  # of custom_metadata; the latter in bytes
CUSTOM = "custom_metadata validation failed"


class Version(TypedDict):
    created: float
    deleted: float  # when it ends or ended; 0: never
    destroyed: bool


@dataclass
class Config:
    """What a mount sets for all its keys. `delete_version_after` in seconds; 0: none, -1: none, whatever the key says."""

    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: int = 0


@dataclass
class Key:
    """The metadata of one key. `vars(key)` is what is stored; `Key(**stored)` gives it back."""

    current: int = 0  # number of the newest version; 0: none was written yet
    oldest: int = 0
    created: float = 0.0
    updated: float = 0.0
    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: int = 0
    custom_metadata: dict[str, str] | None = None
    versions: dict[str, Version] = field(default_factory=dict)  # by number

    def known(self, numbers: Iterable[int]) -> dict[int, Version]:
        """Those of the numbered versions that there are."""
        return {number: self.versions[str(number)] for number in numbers if str(number) in self.versions}


def add_version(key: Key, config: Config, now: float) -> list[int]:
    """Count one version up. Returns the numbers of the versions that are too many now: their data must go."""
    key.current += 1
    key.versions[str(key.current)] = {"created": now, "deleted": deletion(key, config, now), "destroyed": False}
    key.updated = now
    key.created = key.created or now
    keep = max(key.max_versions, config.max_versions) or KEPT
    if key.current - key.oldest < keep:
        return []
    first, key.oldest = key.oldest, key.current - keep + 1
    dropped = [number for number in range(first, key.oldest) if str(number) in key.versions]
    for number in dropped:
        del key.versions[str(number)]
    return dropped


def deletion(key: Key, config: Config, start: float) -> float:
    """When a version that begins now will count as deleted: the shorter of the key's and the mount's time. 0: never."""
    times = [seconds for seconds in (key.delete_version_after, config.delete_version_after) if seconds]
    return start + min(times) if times and config.delete_version_after != DISABLED else 0.0


def is_deleted(version: Version, now: float) -> bool:
    return 0 < version["deleted"] <= now


def check_cas(options: Mapping[str, Any], key: Key, config: Config) -> None:
    """Raises VaultError 400 unless `cas` names the current version, or is absent where that is allowed."""
    if "cas" not in options:
        if config.cas_required or key.cas_required:
            raise invalid("check-and-set parameter required for this call")
        return
    cas = options["cas"]
    try:
        number = int(cas or "0", 0) if isinstance(cas, str) else int(0 if cas is None else cas)
    except (ValueError, TypeError, OverflowError):
        raise invalid("error parsing check-and-set parameter") from None
    if number != key.current:
        raise invalid("check-and-set parameter did not match the current version")


def render_version(key: Key, number: int) -> dict[str, Any]:
    """What is said of a version beside its data."""
    return {**_times(key.versions[str(number)]), "custom_metadata": key.custom_metadata, "version": number}


def render_key(key: Key) -> dict[str, Any]:
    """The answer to a read of metadata."""
    return {
        "cas_required": key.cas_required,
        "created_time": render_time(key.created),
        "current_version": key.current,
        "custom_metadata": key.custom_metadata,
        "delete_version_after": render_duration(key.delete_version_after),
        "max_versions": key.max_versions,
        "oldest_version": key.oldest,
        "updated_time": render_time(key.updated),
        "versions": {number: _times(version) for number, version in key.versions.items()},
    }


def _times(version: Version) -> dict[str, Any]:
    return {
        "created_time": render_time(version["created"]),
        "deletion_time": render_time(version["deleted"]) if version["deleted"] else "",
        "destroyed": version["destroyed"],
    }


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396 for objects: null removes, objects merge, everything else replaces. Any depth."""
    merged = dict(target)
    pending: list[tuple[dict[str, Any], Mapping[str, Any]]] = [(merged, patch)]
    while pending:
        place, changes = pending.pop()
        for name, value in changes.items():
            if value is None:
                place.pop(name, None)
            elif isinstance(value, dict):
                old = place.get(name)
                place[name] = dict(old) if isinstance(old, dict) else {}
                pending.append((place[name], value))
            else:
                place[name] = value
    return merged


def without_values(data: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """The keys of an object, null for every leaf. Objects below level `depth` (0: no limit) count as leaves, and so do empty ones."""
    names: dict[str, Any] = {}
    pending: list[tuple[dict[str, Any], Mapping[str, Any], int]] = [(names, data, 1)]
    while pending:
        place, values, level = pending.pop()
        for name, value in values.items():
            place[name] = None
            if isinstance(value, dict) and value and (depth == 0 or level < depth):
                place[name] = {}
                pending.append((place[name], value, level + 1))
    return names


def parse_custom_metadata(sent: Mapping[str, Any], old: Mapping[str, str] | None = None) -> dict[str, str] | None:
    """Checked texts; None when empty. With `old` it is a patch: null removes a key. Raises VaultError 400."""
    merged = dict(old or {})
    for name, value in sent.items():
        if value is None and old is not None:
            merged.pop(name, None)
        elif value is None:
            merged[name] = ""
        elif isinstance(value, dict | list):
            raise invalid(f"{CUSTOM}: value for key {_quote(name)} expected type 'string'")
        else:
            merged[name] = str(int(value)) if isinstance(value, bool) else str(value)
    if len(merged) > MAX_KEYS:
        raise invalid(listed(f"{CUSTOM}: payload must contain at most {MAX_KEYS} keys, provided {len(merged)}"))
    faults = [f"{CUSTOM}: {fault}" for name, value in merged.items() for fault in _faults(name, value)]
    if faults:
        raise invalid(listed(*faults))
    return merged or None


def _faults(name: str, value: str) -> list[str]:
    key, size, length = _quote(name), len(name.encode(errors="replace")), len(value.encode(errors="replace"))
    faults = []
    if not 0 < size <= MAX_KEY:
        faults.append(f"length of key {key} is {size} but must be 0 < len(key) <= {MAX_KEY}")
    if not 0 < length <= MAX_VALUE:
        faults.append(f"length of value for key {key} is {length} but must be 0 < len(value) <= {MAX_VALUE}")
    if not name.isprintable():
        faults.append(f"key {key} ({name}) contains unprintable characters")
    if not value.isprintable():
        faults.append(f"value for key {key} contains unprintable characters")
    return faults


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
