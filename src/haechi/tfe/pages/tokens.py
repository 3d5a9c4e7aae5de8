"""A person's tokens: /app/settings/tokens, where `terraform login` sends people of servers without its own way."""

from __future__ import annotations

from starlette.responses import Response

from haechi.tfe.api import account
from haechi.tfe.pages.page import Page, PageRoute, to

HERE = "/app/settings/tokens"


def show(page: Page, made: str = "") -> Response:
    """GET /app/settings/tokens"""
    assert page.caller is not None, "routes.py sees to it"
    answer = page.ask(account.list_tokens, query={"page[size]": "100"}, id=page.caller.id)
    return page.render("tokens.html", tokens=answer["data"], made=made)


def create(page: Page) -> Response:
    """POST /app/settings/tokens; the token is shown this once"""
    assert page.caller is not None, "routes.py sees to it"
    attributes = {"description": page.form.get("description", "").strip()}
    document = {"data": {"type": "authentication-tokens", "attributes": attributes}}
    return show(page, page.ask(account.create_user_token, document, id=page.caller.id)["data"]["attributes"]["token"])


def revoke(page: Page) -> Response:
    """POST /app/settings/tokens/:id/revoke"""
    page.ask(account.delete_token, id=page.request.path_params["id"])
    return to(HERE)


PAGES: list[PageRoute] = [("GET", HERE, show), ("POST", HERE, create), ("POST", HERE + "/{id}/revoke", revoke)]
