"""A backend without a server: its storage is a dictionary, its services a fixed clock."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

from haechi.vault.logical import CREATE, LIST, READ, UPDATE, Backend, Request, Response
from haechi.vault.mounts import Mount

DAY = 24 * 3600


class DictView:
    """The View of the contract over a dictionary of JSON texts."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self.entries[key]) if key in self.entries else None
        return found

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        self.entries[key] = json.dumps(dict(value))

    def delete(self, key: str) -> None:
        self.entries.pop(key, None)

    def list(self, prefix: str = "") -> list[str]:
        rests = (key[len(prefix) :] for key in self.entries if key.startswith(prefix))
        return sorted({first + slash for first, slash, _ in (rest.partition("/") for rest in rests)})

    def delete_all(self, prefix: str = "") -> None:
        self.entries = {key: value for key, value in self.entries.items() if not key.startswith(prefix)}


class FakeServices:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def keyed_hash(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def default_ttl(self, mount: Mount) -> float:
        return mount.default_lease_ttl or 32 * DAY

    def max_ttl(self, mount: Mount) -> float:
        return mount.max_lease_ttl or 32 * DAY


def ask(
    backend: Backend, operation: str, path: str, data: Mapping[str, Any] | None = None, view: Any = None, **more: Any
) -> Response | None:
    """What the backend answers. A write is a create where the route's existence check says so. VaultError passes through."""
    found = backend.find_route(path)
    route, captures = found if found else (None, {})
    request = Request("id", operation, path, dict(data or {}), view=view, mount=backend.mount, full_path=backend.mount.path + path, **more)
    request.captures = captures
    if route is not None:
        request.fields = route.fields
        if operation == UPDATE and route.exists and not getattr(backend, route.exists)(request, **captures):
            request.operation = CREATE
    result = backend.handler(route, request.operation)(request, **captures)
    answer: Response | None = asyncio.run(result) if inspect.isawaitable(result) else result
    assert operation not in (READ, LIST) or answer is not None
    return answer
