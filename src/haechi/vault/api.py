"""Vault's HTTP: what arrives becomes a logical request, what comes back becomes status, headers and JSON. An ASGI application."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, NoReturn
from urllib.parse import parse_qsl, quote, unquote

from haechi.vault.core import Core
from haechi.vault.durations import parse_duration
from haechi.vault.errors import Unavailable, VaultError, invalid
from haechi.vault.logical import DELETE, LIST, PATCH, READ, UPDATE, Request
from haechi.vault.operator import Operator
from haechi.vault.render import encode, envelope, status_of

log = logging.getLogger("haechi.vault.api")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
OPERATION = {"GET": READ, "HEAD": READ, "PUT": UPDATE, "POST": UPDATE, "PATCH": PATCH, "DELETE": DELETE, "LIST": LIST}
MERGE_PATCH = "application/merge-patch+json"
FORM = "application/x-www-form-urlencoded"
DEEPEST = 300  # levels of a JSON body
CLOSE = (b"connection", b"close")
MOST_VALUES = 100_000  # of a JSON body
HALF_PAIR = re.compile("[\ud800-\udfff]")
LONGEST_WRAP = 100 * 365 * 24 * 3600  # seconds


class _Moved(Exception):
    """The request is for another spelling of its path, which this says."""


class Api:
    """Serves one Vault. Bodies larger than `max_body` bytes are refused, and those that take longer than `max_seconds` to arrive.

    0 or less: no such limit.
    """

    def __init__(self, core: Core, operator: Operator, max_body: int = 32 << 20, max_seconds: float = 90.0) -> None:
        self._core, self._operator = core, operator
        self._max_body, self._max_seconds = max_body, max_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in reversed(scope["headers"])}  # of several the first counts
        method = "LIST" if scope["method"] == "LINK" else scope["method"]  # see http.py
        content_type = "application/json"
        more: list[tuple[bytes, bytes]] = []
        try:
            body = b""
            if "content-length" in headers or "transfer-encoding" in headers:
                async with asyncio.timeout(self._max_seconds if self._max_seconds > 0 else None):
                    body = await _read_body(receive, self._max_body)
            status, payload, content_type = await self._answer(scope, method, headers, body)
        except _Moved as moved:
            status, payload, more = 301, b"", [(b"location", str(moved).encode())]
        except VaultError as error:
            status, payload = error.status, _render_error(error)
            more = [CLOSE] if status == 413 else []  # the rest of the body is not waited for
        except TimeoutError:
            status, payload, more = 408, encode({"errors": ["the request took too long to arrive"]}), [CLOSE]
        except Unavailable as error:
            log.error("%s", error)
            status, payload = 500, encode({"errors": ["internal error: the storage or the audit log is not available"]})
        except Exception as error:
            log.error("a request failed: %s", type(error).__name__, exc_info=_bare(error))
            status, payload = 500, encode({"errors": ["internal error"]})
        await _respond(send, status, b"" if method == "HEAD" or status == 204 else payload, content_type, headers, more)

    async def _answer(self, scope: Scope, method: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, str]:
        path, query = _parse_target(scope)
        if method not in OPERATION:
            raise VaultError(405)
        listing = method == "LIST" or (method == "GET" and query.get("list", "").lower() in ("true", "1", "t"))
        written = method in ("PUT", "POST", "PATCH")
        data: dict[str, Any] = _parse_body(headers, body) if written else dict(query)
        own = self._operator.find(method, path)
        if own is not None:
            status, answer = await own(data)
            return status, b"" if answer is None else encode(answer), "application/json"
        if method == "PATCH" and headers.get("content-type", "").split(";")[0].strip() != MERGE_PATCH:
            raise VaultError(415, f"PATCH requires Content-Type of {MERGE_PATCH}, provided {headers.get('content-type', '')[:100]!r}")
        if listing:
            data.pop("list", None)
        client = scope.get("client") or ("", 0)
        request = Request(
            str(uuid.uuid4()),
            LIST if listing else OPERATION[method],
            path,
            data,
            headers,
            method,
            client[0],
            client[1],
            _parse_wrap(headers.get("x-vault-wrap-ttl", "")),
            _find_token(headers),
        )
        outcome = await self._core.respond(request)
        status, response = status_of(outcome), outcome.response
        if response is None or status == 204 or (status == 202 and not response.warnings):
            return status, b"", "application/json"
        if response.raw is not None and outcome.wrap is None:
            return status, response.raw, response.content_type
        return status, encode(envelope(outcome)), "application/json"


def _bare(error: Exception) -> Exception:
    """The error without its text: what it says may hold a secret. Its trace names files and lines only."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)


def _parse_target(scope: Scope) -> tuple[str, dict[str, str]]:
    """Path below /v1/ and query. Raises VaultError."""
    raw = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    try:
        path = unquote(raw.decode("ascii"), errors="strict")
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:
        raise invalid("the request target is not valid UTF-8") from None
    if not path.startswith("/v1/"):
        raise VaultError(404)
    clean = _clean(path)
    if clean != path:  # as Go's server does: policies see one spelling of a path only
        query = scope["query_string"]
        raise _Moved(quote(clean) + (f"?{query.decode()}" if query else ""))
    return path[4:], dict(pairs)


def _clean(path: str) -> str:
    """Without empty, "." and ".." segments; a "/" at the end stays."""
    if "//" not in path and "/." not in path:
        return path
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    end = "/" if segments and path.rpartition("/")[2] in ("", ".", "..") else ""
    return "/" + "/".join(segments) + end


def _parse_body(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """A JSON object, or a form where the content type says so. Nothing is an empty object. Raises VaultError 400."""
    if headers.get("content-type", "").split(";")[0].strip().lower() == FORM:
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=1000)
        except ValueError:
            raise invalid("error parsing form data") from None
        return dict(fields)
    if not body.strip():
        return {}
    try:
        data = json.loads(body.decode("utf-8", "replace"), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise invalid("failed to parse JSON input: the body is not valid JSON") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise invalid("failed to parse JSON input: the body must be a JSON object")
    brackets = body.count(b"[") + body.count(b"{")
    if brackets > DEEPEST or brackets + body.count(b",") >= MOST_VALUES:
        _check_size(data)
    return _whole_text(data) if b"\\u" in body else data


def _check_size(data: object) -> None:
    """Refuse what is nested deeper than DEEPEST, so that nothing behind here can run out of stack, and more than MOST_VALUES values:
    each text is hashed for the audit log before anybody knows who asks."""
    level, depth, values = [data], 0, 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise invalid("failed to parse JSON input: the body is nested too deeply")
        below = [v for outer in level for v in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())]
        values += len(below)
        if values > MOST_VALUES:
            raise invalid(f"failed to parse JSON input: the body has more than {MOST_VALUES} values")
        level = [v for v in below if isinstance(v, dict | list)]


def _whole_text(value: Any) -> Any:
    """Halves of surrogate pairs, which JSON can spell and nothing else can carry, become U+FFFD as in Go."""
    if isinstance(value, str):
        return HALF_PAIR.sub("\ufffd", value)
    if isinstance(value, dict):
        return {HALF_PAIR.sub("\ufffd", name): _whole_text(inner) for name, inner in value.items()}
    return [_whole_text(inner) for inner in value] if isinstance(value, list) else value


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _parse_wrap(text: str) -> float:
    if not text:
        return 0.0
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise invalid("error parsing X-Vault-Wrap-TTL header") from None
    if not 0 <= seconds <= LONGEST_WRAP:
        raise invalid("requested wrap ttl is out of range")
    return seconds


def _find_token(headers: Mapping[str, str]) -> str:
    bearer = headers.get("authorization", "")
    return headers.get("x-vault-token", "") or (bearer[7:].strip() if bearer[:7].lower() == "bearer " else "")


def _render_error(error: VaultError) -> bytes:
    body: dict[str, Any]
    if error.data is not None or error.warnings:  # such as a deleted version: an envelope, with status 404
        empty = {"lease_id": "", "renewable": False, "lease_duration": 0, "wrap_info": None, "auth": None}
        data = None if error.data is None else dict(error.data)
        told = {"data": data, "warnings": error.warnings or None, "mount_type": error.mount_type}
        body = {"request_id": str(uuid.uuid4()), **empty, **told}
    else:
        body = {"errors": error.errors}
    return encode(body)


async def _read_body(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise invalid("the request ended before its body was complete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if 0 < limit < size:
            raise VaultError(413, "request body too large")
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(
    send: Send, status: int, payload: bytes, content_type: str, asked: Mapping[str, str], more: Sequence[tuple[bytes, bytes]]
) -> None:
    headers = [(b"cache-control", b"no-store"), (b"strict-transport-security", b"max-age=31536000; includeSubDomains"), *more]
    if "x-vault-namespace" in asked:
        headers.append((b"x-vault-namespace", asked["x-vault-namespace"].encode("latin-1")))
    if payload:
        headers.append((b"content-type", content_type.encode()))
    if status != 204:
        headers.append((b"content-length", str(len(payload)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
