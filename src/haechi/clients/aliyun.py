"""A client of Alibaba Cloud's RPC APIs, the local ones or the real ones.

Signs with ACS3-HMAC-SHA256 (https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature)
itself: the vendor's SDK core takes 0.22 s to import (urllib3 0.06 s, measured), and terraform starts our provider two or
three times a command. Proxy variables and SSL_CERT_FILE are honoured; connections are kept; safe to use from many threads.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import random
import secrets
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import urllib3

from haechi.clients.endpoints import endpoint_of

_TRIES = 4
_SAFE = ("Describe", "List", "Get", "Query")


class Keys(NamedTuple):
    """Credentials of one request."""

    access_key_id: str
    access_key_secret: str
    security_token: str = ""

    def __repr__(self) -> str:
        return f"Keys({self.access_key_id!r})"


class ApiError(Exception):
    """The API refused a request, or could not be reached (code `Unreachable`, status 0)."""

    def __init__(self, code: str, message: str, status: int, request_id: str, action: str = "") -> None:
        super().__init__(f"{action}: {code}: {message} (HTTP {status}, RequestId {request_id})" if action else f"{code}: {message}")
        self.code, self.message, self.status, self.request_id, self.action = code, message, status, request_id, action

    @property
    def is_throttling(self) -> bool:
        """Whether asking again a little later is what the API wants."""
        return "Throttling" in self.code or self.code == "ServiceUnavailable"


class Aliyun:
    """One account in one region.

    `endpoints` maps product codes (`ecs`, `waf_openapi`) to host[:port]; other products use `endpoint_of`. `credentials`
    replaces the fixed keys by a function that is asked before every request (short-lived keys).
    """

    def __init__(
        self,
        region: str,
        access_key_id: str = "",
        access_key_secret: str = "",
        security_token: str = "",
        *,
        endpoints: Mapping[str, str] | None = None,
        protocol: str = "https",
        credentials: Callable[[], Keys] | None = None,
        user_agent: str = "haechi",
        timeout: float = 60,
        connect_timeout: float = 60,
        ca_file: str | None = None,
        use_proxy: bool = True,
    ) -> None:
        fixed = Keys(access_key_id, access_key_secret, security_token)
        self.region, self.endpoints, self.protocol = region, dict(endpoints or {}), protocol.lower()
        self.credentials = credentials or (lambda: fixed)
        self._user_agent = user_agent
        self._pools: dict[str, urllib3.PoolManager] = {}
        options = {"maxsize": 16, "retries": False, "timeout": urllib3.Timeout(connect=connect_timeout, read=timeout), "ca_certs": ca_file}
        self._direct = urllib3.PoolManager(**options)  # type: ignore[arg-type]
        proxy = urllib.request.getproxies_environment().get(self.protocol) if use_proxy else None
        self._proxied = urllib3.ProxyManager(_with_scheme(proxy), **options) if proxy else None  # type: ignore[arg-type]

    def call(
        self, product: str, version: str, action: str, params: Mapping[str, Any] | None = None, region: str | None = None
    ) -> dict[str, Any]:
        """Call an action; nested lists and maps in `params` are flattened, None is left out. Raises ApiError.

        Throttling, HTTP 5xx and connection failures are tried a few times when repeating is safe: reading actions, and those
        with a ClientToken (the same one each time).
        """
        region = region or self.region
        form = {"RegionId": region, **dict(flatten(params or {}))}
        repeatable = action.startswith(_SAFE) or "ClientToken" in form
        for attempt in range(1, _TRIES + 1):
            try:
                return self._request(endpoint_of(product, region, self.endpoints), version, action, form)
            except ApiError as error:
                again = error.is_throttling or (repeatable and (error.status >= 500 or error.status == 0))
                if not again or attempt == _TRIES:
                    raise
            time.sleep(0.2 * 2**attempt * (0.5 + random.random()))
        raise AssertionError("unreachable")

    def _request(self, host: str, version: str, action: str, form: Mapping[str, str]) -> dict[str, Any]:
        body = urllib.parse.urlencode(form).encode()
        headers = {
            "host": host,
            "content-type": "application/x-www-form-urlencoded",
            "x-acs-action": action,
            "x-acs-version": version,
            "x-acs-date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        }
        keys = self.credentials()
        if keys.security_token:
            headers["x-acs-security-token"] = keys.security_token
        headers["authorization"] = sign(keys, headers, "POST", "/", "")
        headers |= {"accept": "application/json", "user-agent": self._user_agent}
        bypass = urllib.request.proxy_bypass(host.rpartition(":")[0] or host)
        pool = self._direct if self._proxied is None or bypass else self._proxied
        try:
            response = pool.request("POST", f"{self.protocol}://{host}/", body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError("Unreachable", f"{self.protocol}://{host}: {error}", 0, "", action) from error
        return _parse(response.status, response.data, action)


def sign(keys: Keys, headers: Mapping[str, str], method: str, path: str, query: str) -> str:
    """The Authorization header over the given lower-case headers; the body counts through x-acs-content-sha256."""
    names = sorted(name for name in headers if name.startswith("x-acs-") or name in ("host", "content-type"))
    canonical = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    signed = ";".join(names)
    request = f"{method}\n{path}\n{query}\n{canonical}\n{signed}\n{headers['x-acs-content-sha256']}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
    signature = hmac.new(keys.access_key_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"ACS3-HMAC-SHA256 Credential={keys.access_key_id},SignedHeaders={signed},Signature={signature}"


def flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Parameters as the wire wants them: {"Tag": [{"Key": "a"}]} is ("Tag.1.Key", "a"); booleans are true and false."""
    for name, value in params.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten(value, key + ".")
        elif isinstance(value, list | tuple):
            yield from flatten({str(i): v for i, v in enumerate(value, 1)}, key + ".")
        elif isinstance(value, bool):
            yield key, "true" if value else "false"
        elif isinstance(value, bytes):
            yield key, base64.b64encode(value).decode()
        elif value is not None:
            yield key, str(value)


def client_token(action: str) -> str:
    """A token that makes repeats of one creating request answer the same."""
    return f"TF-{action}-{int(time.time())}-{uuid.uuid4().hex}"[:64]


def vendor_credentials() -> Callable[[], Keys]:
    """The vendor's own default chain (environment, profile file, OIDC, instance role), for targets without fixed keys."""
    from alibabacloud_credentials.client import Client  # type: ignore[import-untyped]

    client = Client()

    def keys() -> Keys:
        found = client.get_credential()
        return Keys(found.access_key_id, found.access_key_secret, found.security_token or "")

    return keys


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _parse(status: int, data: bytes, action: str) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ApiError("InvalidResponse", "the answer is not a JSON object", max(status, 500), "", action)
    if status >= 400:
        texts = [str(answer.get(name) or "") for name in ("Code", "Message", "RequestId")]
        raise ApiError(texts[0] or "Unknown", texts[1], status, texts[2], action)
    return answer
