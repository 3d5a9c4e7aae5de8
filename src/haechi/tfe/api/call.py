"""What a handler gets and gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from haechi.tfe.access import Caller
from haechi.tfe.jsonapi import Document, Page
from haechi.tfe.settings import Settings
from haechi.tfe.signing import Signer
from haechi.tfe.store import Store


@dataclass(frozen=True)
class Services:
    """What all handlers share."""

    settings: Settings
    store: Store
    signer: Signer


@dataclass(frozen=True)
class Call:
    """One request. `path` holds the route's parameters, `document` the parsed JSON body (None without one)."""

    services: Services
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    document: Any
    base: str  # scheme://host[:port] as the client reached us
    headers: Mapping[str, str]
    request_id: str

    @property
    def store(self) -> Store:
        return self.services.store

    @property
    def page(self) -> Page:
        return Page(self.query)

    @property
    def include(self) -> frozenset[str]:
        """Names of `include=`, in any order."""
        return frozenset(name for name in self.query.get("include", "").split(",") if name)

    def signed(self, kind: str, id: str) -> str:
        """The absolute address of an object that needs no token."""
        return self.base + self.services.signer.path(kind, id)


@dataclass(frozen=True)
class Answer:
    """`document` is rendered as JSON:API; `body` goes out as it is; neither is an empty body."""

    document: Document | None = None
    status: int = 200
    body: bytes | None = None
    type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]
Route = tuple[str, str, Handler]  # method, path below /api/v2, handler
OpenRoute = tuple[list[str], str, Callable[[Services, Request, str], Awaitable[Response]]]  # methods, path, function; no token is asked


def listed(items: list[Document], call_page: Page, total: int, included: list[Document] | None = None) -> Answer:
    """A page of a list."""
    document: Document = {"data": items, "meta": call_page.meta(total)}
    if included:
        document["included"] = included
    return Answer(document)


def shown(item: Document, status: int = 200, included: list[Document] | None = None) -> Answer:
    """One resource."""
    document: Document = {"data": item}
    if included:
        document["included"] = included
    return Answer(document, status)


NO_CONTENT = Answer(status=204)
