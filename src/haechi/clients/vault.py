"""A client of one Vault by its address, local or real: hvac carries the requests.

What a server may be (silent, not initialised, sealed) is a value; a request that it refused is VaultRefused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0


@dataclass(frozen=True)
class Seal:
    """What sys/seal-status says: `threshold` of `shares` open it, `progress` of them were given."""

    initialized: bool
    sealed: bool
    threshold: int
    shares: int
    progress: int
    version: str

    @property
    def word(self) -> str:
        """For people: not initialised, sealed or unsealed."""
        return "not initialised" if not self.initialized else "sealed" if self.sealed else "unsealed"


class VaultRefused(Exception):
    """Vault answered with an error; `status` is the HTTP status, `errors` its texts."""

    def __init__(self, status: int, errors: list[str], what: str) -> None:
        said = "; ".join(" ".join(e.split()) for e in errors) or "no reason given"
        super().__init__(f"{what}: HTTP {status}: {said}")
        self.status, self.errors = status, errors


class VaultSilent(Exception):
    """Nothing that speaks Vault's API answered."""


class Vault:
    """`direct` ignores the proxies of the environment. Close it, or use it in a `with`."""

    def __init__(self, address: str, token: str = "", *, direct: bool = False) -> None:
        import hvac  # type: ignore[import-untyped]
        import requests

        session = requests.Session()
        session.trust_env = not direct
        session.verify = verify = _authorities()
        self.address = address.rstrip("/")
        self._failures = requests.exceptions.RequestException
        self._client = hvac.Client(
            url=self.address,
            token=token,
            verify=verify,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            session=session,
            adapter=hvac.adapters.RawAdapter,
            namespace=None if direct else os.environ.get("VAULT_NAMESPACE") or None,
        )

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.adapter.close()

    @property
    def token(self) -> str:
        """The token that goes with every request; "" for none."""
        token: str = self._client.token
        return token

    @token.setter
    def token(self, token: str) -> None:
        self._client.token = token

    def seal(self) -> Seal | None:
        """Its state, or None when nothing answers there."""
        try:
            return _seal(self.request("GET", "sys/seal-status"))
        except (VaultSilent, VaultRefused):
            return None

    def init(self, shares: int, threshold: int) -> dict[str, Any]:
        """{keys: [hex], keys_base64, root_token}, told once and never again."""
        return self.request("PUT", "sys/init", {"secret_shares": shares, "secret_threshold": threshold}) or {}

    def unseal(self, share: str) -> Seal:
        """Give one share. Raises VaultRefused when the last one makes no key."""
        return _seal(self.request("PUT", "sys/unseal", {"key": share}))

    def login(self, user: str, password: str) -> None:
        """Log in by userpass and keep the token."""
        answer = self.request("PUT", f"auth/userpass/login/{user}", {"password": password}) or {}
        self.token = answer["auth"]["client_token"]

    def read(self, path: str) -> dict[str, Any] | None:
        """The data at a path, or None when there is nothing."""
        try:
            answer = self.request("GET", path)
        except VaultRefused as error:
            if error.status == 404:
                return None
            raise
        return None if answer is None else answer["data"]

    def write(self, path: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """The data of the answer, or None when there is none."""
        answer = self.request("PUT", path, data)
        return None if answer is None else answer["data"]

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The whole answer, None for an empty one. Raises VaultRefused or VaultSilent; neither repeats what was sent."""
        what = f"{method} {self.address}/v1/{path}"
        try:
            response = self._client.adapter.request(method, f"/v1/{path}", raise_exception=False, json=body)
        except self._failures as error:
            raise VaultSilent(f"{what}: {_reason(error)}") from None
        if response.status_code == 204:
            return None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise VaultSilent(f"{what}: HTTP {response.status_code} that is not Vault's")
        if response.status_code >= 400:
            raise VaultRefused(response.status_code, [str(e) for e in answer.get("errors") or []], what)
        return answer


def _seal(answer: dict[str, Any] | None) -> Seal:
    known = answer or {}
    if "sealed" not in known:
        raise VaultSilent("the answer says nothing about a seal")
    names = ("initialized", "sealed", "t", "n", "progress", "version")
    initialized, sealed, threshold, shares, progress, version = (known.get(name) for name in names)
    return Seal(bool(initialized), bool(sealed), int(threshold or 0), int(shares or 0), int(progress or 0), str(version or ""))


def _authorities() -> str | bool:
    """Whom to trust over TLS, by the variables that Vault's own tools read."""
    skip = os.environ.get("VAULT_SKIP_VERIFY", "").lower() in ("1", "t", "true")
    return os.environ.get("VAULT_CACERT") or os.environ.get("VAULT_CAPATH") or not skip


def _reason(error: Exception) -> str:
    """The last cause of a failed request, in a few words."""
    if "Timeout" in type(error).__name__:
        return "no answer in time"
    return str(error).rsplit(": ", 1)[-1].strip("'\")(> ") or type(error).__name__
