"""One request from top to bottom: size, token, body, handler, answer. Every error of every handler leaves through here."""

from __future__ import annotations

import asyncio
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence

import orjson
from sqlalchemy.exc import IntegrityError, OperationalError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from haechi.tfe import jsonapi
from haechi.tfe.access import Caller, find_caller, note_use
from haechi.tfe.api.call import Answer, Call, Handler, Services
from haechi.tfe.errors import ApiError, bad_request, conflict, forbidden, not_found, too_large

log = logging.getLogger("haechi.tfe.api")
BASE = "/api/v2"
BODY_LIMIT = 64 << 20  # old clients send the state inside the document
VERSION_HEADERS = {"TFP-API-Version": "2.6", "TFP-AppName": "Terraform Enterprise", "X-TFE-Version": "v202511-1"}


def make_app(services: Services, pages: Sequence[BaseRoute] = ()) -> Starlette:
    """The ASGI application; `pages` are for people."""
    from haechi.tfe.api.routes import OPEN_ROUTES, ROUTES

    routes: list[BaseRoute] = [Route(BASE + path, _endpoint(services, handler), methods=[method]) for method, path, handler in ROUTES]
    routes += [Route(path, _open(services, function), methods=methods) for methods, path, function in OPEN_ROUTES]
    middleware = [Middleware(_Slashless)]
    app = Starlette(routes=[*routes, *pages], middleware=middleware, exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    app.state.services = services
    return app


class _Slashless:
    """A slash at the end of a path means nothing, as to the vendor's server; Python clients send it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)


def base_of(services: Services, request: Request) -> str:
    """scheme://host[:port] as the client reached us."""
    return services.settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises too_large as soon as it is, without taking the rest."""
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and len(said) < 19 and int(said) > limit:
        raise too_large(f"At most {limit} bytes are taken.")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(f"At most {limit} bytes are taken.")
        parts.append(part)
    return b"".join(parts)


def caller_of(services: Services, authorization: str) -> Caller:
    """The caller, read from the database. Raises unauthorized."""
    with services.store.read() as tx:
        caller = find_caller(tx, authorization)
    note_use(services.store, caller)
    return caller


def render(answer: Answer, request_id: str) -> Response:
    """An Answer as a response."""
    headers = {**VERSION_HEADERS, "X-Request-Id": request_id, "Cache-Control": "no-store", **answer.headers}
    if answer.document is not None:
        return Response(orjson.dumps(answer.document), answer.status, headers, jsonapi.TYPE)
    return Response(answer.body or b"", answer.status, headers, answer.type or None)


def refuse(error: ApiError, request_id: str) -> Response:
    """An ApiError as a response."""
    return render(Answer(jsonapi.error_document(error), error.status), request_id)


def _endpoint(services: Services, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    def run(request: Request, body: bytes, request_id: str) -> Answer:
        caller = caller_of(services, request.headers.get("authorization", ""))
        if caller.kind == "run" and request.method != "GET":
            raise forbidden("A run's token only reads.")
        call = Call(
            services,
            caller,
            request.path_params,
            request.query_params,
            _parse(body),
            base_of(services, request),
            request.headers,
            request_id,
        )
        return handler(call)

    async def endpoint(request: Request) -> Response:
        async def answer(request_id: str) -> Response:
            body = await read_body(request, BODY_LIMIT) if request.method not in ("GET", "HEAD") else b""
            return render(await asyncio.to_thread(run, request, body, request_id), request_id)

        return await _guard(request, answer)

    return endpoint


def _open(
    services: Services, function: Callable[[Services, Request, str], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await _guard(request, lambda request_id: function(services, request, request_id))

    return endpoint


async def _guard(request: Request, answer: Callable[[str], Awaitable[Response]]) -> Response:
    request_id = str(uuid.uuid4())
    try:
        return await answer(request_id)
    except ApiError as error:
        return refuse(error, request_id)
    except IntegrityError:
        return refuse(conflict("It was changed by somebody else at the same moment."), request_id)
    except OperationalError as error:  # clients ask again after a 503
        log.error("%s %s: the database does not answer (request %s): %s", request.method, _told(request.url.path), request_id, error.orig)
        return refuse(ApiError(503, "service unavailable", "The database is busy or away; nothing was changed."), request_id)
    except ClientDisconnect:
        return Response(status_code=499)
    except Exception:
        log.exception("%s %s failed (request %s)", request.method, _told(request.url.path), request_id)
        return refuse(ApiError(500, "internal server error", f"The server's log tells more of request {request_id}."), request_id)


def _told(path: str) -> str:
    return path if not path.startswith("/_archivist") else "/_archivist/..."  # a signed path is as good as a token


def _parse(body: bytes) -> object:
    if not body.strip():
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("The body is not JSON.") from None


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return refuse(not_found(), secrets.token_hex(16))
    return refuse(ApiError(error.status_code, error.detail.lower()), secrets.token_hex(16))
