"""What a page gets and gives: the person, their language, the API's answers, and a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from haechi.tfe.access import Caller
from haechi.tfe.api.app import base_of
from haechi.tfe.api.call import Call, Handler, Services
from haechi.tfe.errors import ApiError
from haechi.tfe.jsonapi import Document
from haechi.tfe.pages.sessions import form_proof
from haechi.tfe.pages.words import LANGUAGES, translate

TEMPLATES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'{forms}; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True)
class Page:
    """One request for a page. `caller` is None and `session` empty for who has not signed in; `form` holds what was sent."""

    services: Services
    request: Request
    request_id: str
    caller: Caller | None
    session: str
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def language(self) -> str:
        """ko or en: as chosen on a page, else as the browser asks."""
        asked = self.request.query_params.get("lang") or self.request.cookies.get("lang", "")
        if asked in LANGUAGES:
            return asked
        return "ko" if self.request.headers.get("accept-language", "").lower().startswith("ko") else "en"

    @property
    def here(self) -> str:
        """Path and query of this page."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    def call(self, document: Any = None, query: Mapping[str, str] | None = None, **path: str) -> Call:
        """A request to the API in this person's name."""
        assert self.caller is not None, "routes.py lets nobody here who has not signed in"
        base = base_of(self.services, self.request)
        return Call(self.services, self.caller, path, query or {}, document, base, {}, self.request_id)

    def ask(self, handler: Handler, document: Any = None, query: Mapping[str, str] | None = None, **path: str) -> Document:
        """What a handler of the API answers this person. Raises ApiError."""
        return handler(self.call(document, query, **path)).document or {}

    def render(self, template: str, status: int = 200, forms: str = "", **values: Any) -> Response:
        """A template as a response. `forms` names other origins that a form may lead to."""
        language = self.language
        text = environment.get_template(template).render(
            t=lambda word, **names: translate(language, word, **names),
            language=language,
            caller=self.caller,
            proof=form_proof(self.services, self.session) if self.session else "",
            here=self.request.url.path,
            **values,
        )
        response = HTMLResponse(text, status, {**HEADERS, "Content-Security-Policy": POLICY.format(forms=forms)})
        if self.request.query_params.get("lang") in LANGUAGES:
            response.set_cookie("lang", language, max_age=365 * 86400, samesite="lax", httponly=True)
        return response

    def error(self, error: ApiError) -> Response:
        """A refusal, as a page."""
        return self.render("error.html", error.status, error=error)


def to(path: str) -> Response:
    """Go on to another page of ours."""
    return RedirectResponse(path, 303, HEADERS)


def own_path(path: str) -> str:
    """A path of ours as it was given, or the first page: never another server."""
    good = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if good else "/app"


PageHandler = Callable[[Page], Response]
PageRoute = tuple[str, str, PageHandler]  # method, path, handler


def names_of(document: Document) -> dict[str, str]:
    """id -> user name, of the users that an answer includes."""
    return {item["id"]: item["attributes"]["username"] for item in document.get("included", []) if item["type"] == "users"}


def related(item: Document, name: str) -> str:
    """The id of a to-one relationship, or ""."""
    data = (item.get("relationships", {}).get(name) or {}).get("data")
    return data["id"] if data else ""
