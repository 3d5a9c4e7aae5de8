"""`terraform login`: OAuth's authorization code with proof of possession (PKCE), for the one client that the discovery document names.

https://developer.hashicorp.com/terraform/internals/login-protocol ; RFC 6749 section 4.1, RFC 7636.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from haechi.tfe import schema
from haechi.tfe.access import create_token, hash_token
from haechi.tfe.api.app import read_body
from haechi.tfe.api.call import Services
from haechi.tfe.api.discovery import CLIENT, PORTS
from haechi.tfe.audit import record
from haechi.tfe.errors import ApiError, bad_request
from haechi.tfe.pages.page import HEADERS, Page, PageRoute
from haechi.tfe.store import now, one

CODE_SECONDS = 120.0
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43,128}")
C = schema.oauth_codes


def check_request(given: Mapping[str, str]) -> None:
    """An authorization request that we may answer by a redirect. Raises bad_request: never redirect where nobody asked to go."""
    target = urlsplit(given.get("redirect_uri", ""))
    try:
        port = target.port or 0
    except ValueError:
        port = 0
    own = target.scheme == "http" and target.hostname in ("localhost", "127.0.0.1") and target.username is None
    if given.get("client_id") != CLIENT:
        raise bad_request(f"client_id must be {CLIENT}.")
    if not own or not PORTS[0] <= port <= PORTS[1] or target.query or target.fragment:
        raise bad_request(f"redirect_uri must be http://localhost with a port from {PORTS[0]} to {PORTS[1]}.")
    if given.get("response_type") != "code" or given.get("code_challenge_method") != "S256":
        raise bad_request("response_type must be code, and code_challenge_method S256.")
    if not CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise bad_request("code_challenge is missing or malformed.")


def ask_consent(page: Page) -> Response:
    """GET /oauth/authorization"""
    given = dict(page.request.query_params)
    check_request(given)
    host = urlsplit(given["redirect_uri"]).netloc
    return page.render("authorize.html", given=given, forms=f" http://{host}", client=host)


def consent(page: Page) -> Response:
    """POST /oauth/authorization: back to the terraform program with a code.

    It takes no refusal (it answers 400 and waits on), so who refuses is told to stop it.
    """
    assert page.caller is not None, "routes.py sees to it"
    given = page.form
    check_request(given)
    if given.get("answer") != "yes":
        return page.render("refused.html")
    code = secrets.token_urlsafe(32)
    values = {k: given[k] for k in ("client_id", "redirect_uri", "code_challenge")}
    with page.services.store.write() as tx:
        tx.execute(sa.delete(C).where(C.c.expires_at <= now()))
        tx.execute(C.insert().values(hash=hash_token(code), user_id=page.caller.id, expires_at=now(CODE_SECONDS), **values))
    back = {"state": given.get("state", ""), "code": code}
    return RedirectResponse(f"{given['redirect_uri']}?{urlencode(back)}", 303, HEADERS)


def make_token_endpoint(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """POST /oauth/token, for programs"""

    async def endpoint(request: Request) -> Response:
        try:
            form = dict(parse_qsl((await read_body(request, 16 << 10)).decode(errors="replace"), max_num_fields=20))
            answer, status = await asyncio.to_thread(exchange, services, form)
        except (ApiError, ValueError):
            answer, status = {"error": "invalid_request"}, 400
        return Response(orjson.dumps(answer), status, {"Cache-Control": "no-store", "Pragma": "no-cache"}, "application/json")

    return endpoint


def exchange(services: Services, form: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """A code and its verifier for a token: the body and status of RFC 6749 section 5. A code is good for one try."""
    if form.get("grant_type") != "authorization_code":
        return {"error": "unsupported_grant_type"}, 400
    if form.get("client_id") != CLIENT:
        return {"error": "invalid_client"}, 401
    with services.store.write() as tx:
        row = one(tx, C, C.c.hash == hash_token(form.get("code", "")))
        if row is None or tx.execute(sa.delete(C).where(C.c.hash == row.hash)).rowcount != 1 or row.expires_at <= now():
            return {"error": "invalid_grant"}, 400
        digest = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        proven = hmac.compare_digest(digest.encode(), row.code_challenge.encode())
        if not proven or form.get("redirect_uri") != row.redirect_uri:
            return {"error": "invalid_grant"}, 400
        id, token = create_token(tx, "user", user_id=row.user_id, created_by=row.user_id, description="terraform login")
        record(tx, None, "create", "authentication_token", id, None, {"kind": "user", "by": "terraform login", "user": row.user_id})
    return {"access_token": token, "token_type": "bearer"}, 200


PAGES: list[PageRoute] = [("GET", "/oauth/authorization", ask_consent), ("POST", "/oauth/authorization", consent)]
