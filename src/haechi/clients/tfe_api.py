"""JSON:API over httpx, as Terraform Enterprise speaks it: requests, pages, uploads, downloads, errors.

A resource is the plain object of an answer: {id, type, attributes, relationships}. What the server refused is TfeRefused, what is
no answer of its API is TfeSilent; neither repeats what was sent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

MEDIA = "application/vnd.api+json"
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
RETRIES = 5  # of a read that nothing answered, or that the server was too busy for
Resource = dict[str, Any]


class TfeRefused(Exception):
    """The server answered with an error; `status` is the HTTP status, `errors` its texts."""

    def __init__(self, status: int, errors: list[str], what: str) -> None:
        said = "; ".join(" ".join(e.split()) for e in errors) or "no reason given"
        super().__init__(f"{what}: HTTP {status}: {said}")
        self.status, self.errors = status, errors


class TfeSilent(Exception):
    """Nothing that speaks the API answered."""


class Connection:
    """`direct` ignores the proxies of the environment. Close it, or use it in a `with`."""

    def __init__(self, address: str, token: str, *, direct: bool = False, transport: httpx.BaseTransport | None = None) -> None:
        self.address = address.rstrip("/")
        self._host = urlsplit(self.address)[:2]
        self._token = token
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        self._http = httpx.Client(timeout=timeout, trust_env=not direct, transport=transport, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None) -> Resource:
        """The whole answer, {} for an empty one. `path` is below /api/v2/. Raises TfeRefused or TfeSilent."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": MEDIA, "Authorization": f"Bearer {self._token}"}
        if content is not None:
            headers["Content-Type"] = MEDIA
        response = self._send(method, f"{self.address}/api/v2/{path}", content, headers, params)
        if not response.content:
            return {}
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise TfeSilent(f"{method} {self.address}/api/v2/{path}: HTTP {response.status_code} that is not the API's")
        return answer

    def read(self, path: str, params: Mapping[str, str] | None = None) -> Resource | None:
        """The resource at a path, or None when there is nothing that this token may see."""
        try:
            data = self.request("GET", path, None, params).get("data")
        except TfeRefused as error:
            if error.status == 404:
                return None
            raise
        return data if isinstance(data, dict) else None

    def every(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Resource]:
        """All resources of a list, page by page."""
        number: int | None = 1
        while number is not None:
            answer = self.request("GET", path, None, {**(params or {}), "page[number]": str(number), "page[size]": "100"})
            yield from answer["data"]
            number = ((answer.get("meta") or {}).get("pagination") or {}).get("next-page")

    def create(self, path: str, type: str, attributes: Mapping[str, Any], relationships: Mapping[str, Any] | None = None) -> Resource:
        """POST a resource; what the server made of it."""
        made: Resource = self.request("POST", path, render_document(type, attributes, relationships))["data"]
        return made

    def update(self, path: str, type: str, attributes: Mapping[str, Any]) -> Resource:
        """PATCH some attributes of a resource."""
        made: Resource = self.request("PATCH", path, render_document(type, attributes))["data"]
        return made

    def upload(self, url: str, content: bytes) -> None:
        """PUT bytes to an address that the server gave; its signature is the permission."""
        self._send("PUT", urljoin(f"{self.address}/", url), content, {"Content-Type": "application/octet-stream"}, None)

    def download(self, url: str, *, authorized: bool) -> bytes:
        """The bytes at an address that the server gave. The token goes along only when asked, and only to this server."""
        whole = urljoin(f"{self.address}/", url)
        own = authorized and urlsplit(whole)[:2] == self._host
        headers = {"Authorization": f"Bearer {self._token}"} if own else {}
        response = self._send("GET", whole, None, headers, None)
        for _ in range(3):  # HCP Terraform keeps states elsewhere
            if not response.is_redirect:
                break
            response = self._send("GET", urljoin(whole, response.headers["location"]), None, {}, None)
        return response.content

    def _send(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], params: Mapping[str, str] | None
    ) -> httpx.Response:
        what = f"{method} {_without_signature(url)}"
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES or method != "GET"
            try:
                response = self._http.request(method, url, content=content, headers=dict(headers), params=params)
            except httpx.HTTPError as error:
                if last:
                    raise TfeSilent(f"{what}: {error or type(error).__name__}") from None
            else:
                busy = response.status_code == 429 or (response.status_code >= 500 and not last)
                if response.status_code < 400:
                    return response
                if not busy or attempt == RETRIES:
                    raise TfeRefused(response.status_code, _texts(response), what)
            time.sleep(0.2 * (attempt + 1))
        raise AssertionError("the last attempt returns or raises")


def render_document(type: str, attributes: Mapping[str, Any], relationships: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One resource as the body of a request."""
    data: dict[str, Any] = {"type": type, "attributes": dict(attributes)}
    if relationships:
        data["relationships"] = dict(relationships)
    return {"data": data}


def _texts(response: httpx.Response) -> list[str]:
    try:
        errors = response.json()["errors"]
        return [str(e.get("detail") or e.get("title") or "") if isinstance(e, dict) else str(e) for e in errors]
    except (ValueError, KeyError, TypeError):
        return []


def _without_signature(url: str) -> str:
    """An address for people; those outside the API carry a signature in their path and are told by their host only."""
    parts = urlsplit(url)
    return url if parts.path.startswith("/api/v2/") else f"{parts.scheme}://{parts.netloc}/..."
