"""Organizations, and an organization's workspaces and policy sets."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from haechi.tfe.api import organizations, policy_sets, runs
from haechi.tfe.api import workspaces as api
from haechi.tfe.jsonapi import Document
from haechi.tfe.pages.page import Page, PageRoute, related, to


def show_organizations(page: Page) -> Response:
    """GET /app: the only organization at once, or all"""
    found = page.ask(organizations.list_organizations, query={"page[size]": "100"})["data"]
    if len(found) == 1 and "all" not in page.request.query_params:
        return to(f"/app/{found[0]['attributes']['name']}")
    return page.render("organizations.html", organizations=found)


def show(page: Page) -> Response:
    """GET /app/:organization"""
    organization = page.request.path_params["organization"]
    wanted = {k: v for k, v in page.request.query_params.items() if k in ("search[name]", "page[number]")}
    answer = page.ask(api.list_workspaces, query={"page[size]": "100", **wanted}, organization=organization)
    return page.render(
        "workspaces.html",
        organization=organization,
        workspaces=[_row(page, item) for item in answer["data"]],
        pagination=answer["meta"]["pagination"],
        search=wanted.get("search[name]", ""),
        policy_sets=page.ask(policy_sets.list_sets, query={"page[size]": "100"}, organization=organization)["data"],
    )


def _row(page: Page, item: Document) -> dict[str, Any]:
    current = related(item, "current-run")
    readable = item["attributes"]["permissions"]["can-read-run"]
    run = page.ask(runs.show_run, id=current)["data"] if current and readable else None
    return {"id": item["id"], "run": run, **item["attributes"]}


PAGES: list[PageRoute] = [
    ("GET", "/app", show_organizations),
    ("GET", "/app/{organization}", show),
    ("GET", "/app/{organization}/workspaces", show),
]
