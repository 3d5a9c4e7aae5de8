"""Signing in with a name and a password, or with a token; and out."""

from __future__ import annotations

from starlette.responses import Response

from haechi.tfe.pages.page import Page, PageRoute, own_path, to
from haechi.tfe.pages.sessions import COOKIE, SECONDS, Attempts, is_proof, sign_in, sign_out


def show(page: Page) -> Response:
    """GET /session"""
    following = own_path(page.request.query_params.get("next", "/app"))
    if page.caller is not None:
        return to(following)
    return page.render("sign_in.html", following=following, wrong=False, name="")


def make_pages(attempts: Attempts) -> list[PageRoute]:
    """The pages that one may see without a session."""

    def begin(page: Page) -> Response:
        """POST /session"""
        following, name = own_path(page.form.get("next", "/app")), page.form.get("name", "").strip()
        secret = page.form.get("token", "").strip() if not name else page.form.get("password", "")
        token = sign_in(page.services, attempts, name, secret)
        if token is None:
            return page.render("sign_in.html", 401, following=following, wrong=True, name=name)
        response = to(following)
        secure = page.request.url.scheme == "https"
        response.set_cookie(COOKIE, token, max_age=int(SECONDS), httponly=True, samesite="lax", secure=secure)
        return response

    return [("GET", "/session", show), ("POST", "/session", begin), ("POST", "/session/end", end)]


def end(page: Page) -> Response:
    """POST /session/end"""
    if page.caller is not None and is_proof(page.services, page.session, page.form.get("proof", "")):
        sign_out(page.services, page.session)
    response = to("/session")
    response.delete_cookie(COOKIE)
    return response
