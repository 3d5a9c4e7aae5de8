"""One run: what was planned, what the policies said, what was applied, with logs as they grow, and what a person may do with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from haechi.tfe.api import plans, policy_checks, run_actions, run_events, runs
from haechi.tfe.api.call import Handler
from haechi.tfe.errors import invalid, not_found
from haechi.tfe.jsonapi import Document
from haechi.tfe.pages import workspace
from haechi.tfe.pages.page import Page, PageRoute, names_of, related, to
from haechi.tfe.runs.states import FINAL


def find(page: Page) -> tuple[Document, dict[str, str]]:
    """(the run of the path, names of its people). Raises not_found where it is not of that workspace."""
    found = page.ask(runs.show_run, query={"include": "created_by,confirmed_by"}, id=page.request.path_params["id"])
    if related(found["data"], "workspace") != workspace.find(page)["id"]:
        raise not_found("run")
    return found["data"], names_of(found)


def show(page: Page) -> Response:
    """GET /app/:organization/:workspace/runs/:id"""
    run, names = find(page)
    id = run["id"]
    return page.render(
        "run.html",
        organization=page.request.path_params["organization"],
        workspace=page.request.path_params["workspace"],
        run={"id": id, **run["attributes"]},
        by=names.get(related(run, "created-by"), ""),
        confirmed_by=names.get(related(run, "confirmed-by"), ""),
        final=run["attributes"]["status"] in FINAL,
        plan=page.ask(plans.show_plan, run=id)["data"]["attributes"],
        apply=page.ask(plans.show_apply, run=id)["data"]["attributes"],
        checks=[_check(page, item) for item in page.ask(policy_checks.list_checks, id=id)["data"]],
        record=_record(page, id),
    )


def _record(page: Page, id: str) -> list[Document]:
    """What happened to the run and what was said of it, in order."""
    said = page.ask(run_events.list_comments, id=id)["data"]
    happened = page.ask(run_events.list_events, query={"page[size]": "100"}, id=id)["data"]
    return sorted((item["attributes"] for item in [*happened, *said]), key=lambda item: str(item["created-at"]))


def _check(page: Page, item: Document) -> dict[str, Any]:
    attributes = item["attributes"]
    output = policy_checks.show_output(page.call(id=item["id"])).body or b""
    return {"id": item["id"], "policies": list(_policies(attributes["result"])), "output": output.decode(), **attributes}


def _policies(result: Document) -> Iterator[tuple[str, str, str, bool]]:
    """(set, policy, enforcement level, whether it passed), of both kinds of sets."""
    for name, found in result.get("sentinel", {}).get("data", {}).items():
        for policy in found["policies"]:
            yield name, policy["policy"], policy["enforcement_level"], policy["result"]
    for name, rules in result.get("opa", {}).items():
        for rule in rules:
            yield name, rule["policy_name"], rule["enforcement_level"], rule["status"] == "passed"


ACTIONS: dict[str, Handler] = {
    "apply": run_actions.apply,
    "discard": run_actions.discard,
    "cancel": run_actions.cancel,
    "force-cancel": run_actions.force_cancel,
}


def act(page: Page) -> Response:
    """POST /app/:organization/:workspace/runs/:id/:action, one of ACTIONS, or comment"""
    run, _ = find(page)
    name, comment = page.request.path_params["action"], page.form.get("comment", "").strip()
    if name == "comment":
        page.ask(run_events.create_comment, {"data": {"type": "comments", "attributes": {"body": comment}}}, id=run["id"])
    elif name in ACTIONS:
        page.ask(ACTIONS[name], {"comment": comment}, id=run["id"])
    else:
        raise not_found("page")
    return to(_path(page))


def override(page: Page) -> Response:
    """POST .../runs/:id/policy-checks/:check: let a failed soft-mandatory policy pass, with the reason"""
    find(page)
    comment = page.form.get("comment", "").strip()
    if not comment:
        raise invalid("Say why the policies are overridden: it is put on record.", "comment")
    page.ask(policy_checks.override, {"comment": comment}, id=page.request.path_params["check"])
    return to(_path(page))


def _path(page: Page) -> str:
    path = page.request.path_params
    return f"/app/{path['organization']}/{path['workspace']}/runs/{path['id']}"


RUN = "/app/{organization}/{workspace}/runs/{id}"
PAGES: list[PageRoute] = [
    ("GET", RUN, show),
    ("GET", "/app/{organization}/workspaces/{workspace}/runs/{id}", show),
    ("POST", RUN + "/policy-checks/{check}", override),
    ("POST", RUN + "/{action}", act),
]
