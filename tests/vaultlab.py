"""A whole Vault in this process, spoken to as HTTP clients do but without sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import httpx

from haechi.vault.api import Api
from haechi.vault.core import Core, Settings
from haechi.vault.operator import Operator
from haechi.vault.storage import MemoryStorage, Storage

T = TypeVar("T")


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class VaultLab:
    """Initialised and unsealed unless told otherwise. `root` is the root token, `keys` the unseal shares in hex."""

    def __init__(self, storage: Storage | None = None, shares: int = 1, threshold: int = 1, fresh: bool = True) -> None:
        self.clock = Clock()
        self.storage = storage if storage is not None else MemoryStorage()
        self.loop = asyncio.new_event_loop()
        self.core = Core(self.storage, Settings(), self.clock)
        self.operator = Operator(self.core)
        self.api = Api(self.core, self.operator)
        transport = httpx.ASGITransport(self.api, client=("127.0.0.1", 1234))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://vault")
        self.root, self.keys = "", []
        if fresh:
            made = self.ok("PUT", "sys/init", {"secret_shares": shares, "secret_threshold": threshold})
            self.root, self.keys = made["root_token"], made["keys"]
            for key in self.keys[:threshold]:
                self.ok("PUT", "sys/unseal", {"key": key})

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def send(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        own = {"X-Vault-Token": self.root if token is None else token}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body)
        return await self._http.request(method, f"/v1/{path}", content=content, headers={**own, **(headers or {})})

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and parsed body (None where there is none). `token`: the root token unless given, "" for none."""
        response = self.run(self.send(method, path, body, token, headers))
        if response.content and response.headers["content-type"] != "application/json":
            return response.status_code, response.text
        return response.status_code, json.loads(response.content) if response.content else None

    def ok(self, method: str, path: str, body: Any = None, token: str | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """The body of an answer that must be a success."""
        status, answer = self.call(method, path, body, token, headers)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def refused(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, list[str]]:
        """Status and errors of an answer that must be a refusal."""
        status, answer = self.call(method, path, body, token, headers)
        assert status >= 400, f"{method} {path}: {status} {answer}"
        return status, answer["errors"]

    def sweep(self) -> None:
        """End what is due, as the server does every second."""
        transaction = self.core.store.begin()
        self.core.leases.end_due(transaction, self.clock())
        self.run(self.core.store.settle(transaction))

    def close(self) -> None:
        self.run(self.core.close())
        self.run(self._http.aclose())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
