"""Every page in one list, and the way of a request to it: session, form and its proof, handler, page or refusal."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from haechi.tfe.access import find_session
from haechi.tfe.api.app import base_of, read_body
from haechi.tfe.api.call import Services
from haechi.tfe.errors import ApiError, forbidden
from haechi.tfe.pages import login, run, sign_in, tokens, workspace, workspaces
from haechi.tfe.pages.page import Page, PageHandler, PageRoute, to
from haechi.tfe.pages.sessions import COOKIE, Attempts, is_proof

log = logging.getLogger("haechi.tfe.pages")
FORM_LIMIT = 64 << 10
STATIC = Path(__file__).parent / "static"
PAGES: list[PageRoute] = [
    *login.PAGES,
    *tokens.PAGES,
    *workspaces.PAGES,
    *workspace.PAGES,
    *run.PAGES,
]


def make_pages(services: Services) -> list[BaseRoute]:
    """All pages, for `make_app`."""
    attempts = Attempts()
    found: list[BaseRoute] = [
        Route("/", _endpoint(services, lambda page: to("/app"), signed_in=False)),
        Route("/oauth/token", login.make_token_endpoint(services), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    for method, path, handler in sign_in.make_pages(attempts):
        found.append(Route(path, _endpoint(services, handler, signed_in=False), methods=[method]))
    for method, path, handler in PAGES:
        found.append(Route(path, _endpoint(services, handler, signed_in=True), methods=[method]))
    return found


def _endpoint(services: Services, handler: PageHandler, signed_in: bool) -> Callable[[Request], Awaitable[Response]]:
    def answer(request: Request, body: bytes) -> Response:
        session = request.cookies.get(COOKIE, "")
        with services.store.read() as tx:
            caller = find_session(tx, session)
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=100))
        page = Page(services, request, str(uuid.uuid4()), caller, session if caller else "", form)
        try:
            if request.method == "POST":
                _check_form(services, page, signed_in)
            if signed_in and caller is None:
                return to("/session?next=" + quote(page.here, safe=""))
            return handler(page)
        except ApiError as error:
            return page.error(error)
        except Exception:
            log.exception("%s %s failed (request %s)", request.method, request.url.path, page.request_id)
            return page.error(ApiError(500, "internal server error", f"The server's log tells more of request {page.request_id}."))

    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request, FORM_LIMIT) if request.method == "POST" else b""
        except ApiError as error:
            return Response(error.detail, error.status, media_type="text/plain")
        return await asyncio.to_thread(answer, request, body)

    return endpoint


def _check_form(services: Services, page: Page, signed_in: bool) -> None:
    """A form comes from a page of ours and, signed in, of this session. Raises forbidden."""
    origin = page.request.headers.get("origin")
    own = urlsplit(base_of(services, page.request)).netloc
    if origin is not None and urlsplit(origin).netloc != own:
        raise forbidden("The form came from another site.")
    if signed_in and page.caller is not None and not is_proof(services, page.session, page.form.get("proof", "")):
        raise forbidden("The form is not of this session. Load the page again.")
