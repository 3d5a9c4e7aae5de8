"""One workspace: its runs, outputs, variables and states; its lock; a new run of what was uploaded last."""

from __future__ import annotations

from starlette.responses import Response

from haechi.tfe.api import runs, state_outputs, state_versions, variables, workspace_actions
from haechi.tfe.api import workspaces as api
from haechi.tfe.api.call import Handler
from haechi.tfe.errors import ApiError, not_found
from haechi.tfe.jsonapi import Document
from haechi.tfe.pages.page import Page, PageRoute, names_of, related, to


def find(page: Page) -> Document:
    """The workspace of the path. Raises not_found."""
    path = page.request.path_params
    found: Document = page.ask(api.show_named, organization=path["organization"], name=path["workspace"])["data"]
    return found


def show(page: Page) -> Response:
    """GET /app/:organization/:workspace"""
    workspace, query = find(page), page.request.query_params
    may = workspace["attributes"]["permissions"]
    listing = {"page[number]": query["page[number]"]} if "page[number]" in query else {}
    empty: Document = {"data": [], "meta": {"pagination": {"total-count": 0, "total-pages": 1, "current-page": 1}}}
    found = page.ask(runs.list_runs, query={"include": "created_by", **listing}, id=workspace["id"]) if may["can-read-run"] else empty
    names = names_of(found)
    return page.render(
        "workspace.html",
        organization=page.request.path_params["organization"],
        workspace={"id": workspace["id"], **workspace["attributes"]},
        may=may,
        runs=[{"id": run["id"], "by": names.get(related(run, "created-by"), ""), **run["attributes"]} for run in found["data"]],
        pagination=found["meta"]["pagination"],
        outputs=_optional(page, state_outputs.list_current, workspace["id"]) if may["can-read-state-outputs"] else [],
        variables=_optional(page, variables.list_variables, workspace["id"]) if may["can-read-variable"] else [],
        states=_states(page, workspace["id"]) if may["can-read-state-versions"] else [],
    )


def _optional(page: Page, handler: Handler, id: str) -> list[Document]:
    """A list; empty where there is no state yet."""
    try:
        found: list[Document] = page.ask(handler, query={"page[size]": "100"}, id=id)["data"]
    except ApiError as error:
        if error.status != 404:
            raise
        return []
    return found


def _states(page: Page, id: str) -> list[Document]:
    answer = page.ask(state_versions.list_versions, query={"page[size]": "10"}, id=id)
    return [{"id": item["id"], "run": related(item, "run"), **item["attributes"]} for item in answer["data"]]


def start(page: Page) -> Response:
    """POST /app/:organization/:workspace/runs: a run of the newest configuration"""
    workspace = find(page)
    attributes = {
        "message": page.form.get("message", "").strip(),
        "is-destroy": page.form.get("kind") == "destroy",
        "plan-only": page.form.get("kind") == "plan",
        "refresh-only": page.form.get("kind") == "refresh",
    }
    related_to = {"workspace": {"data": {"type": "workspaces", "id": workspace["id"]}}}
    data = {"type": "runs", "attributes": {k: v for k, v in attributes.items() if v}, "relationships": related_to}
    run = page.ask(runs.create_run, {"data": data})["data"]
    return to(f"{_path(page)}/runs/{run['id']}")


def _path(page: Page) -> str:
    return f"/app/{page.request.path_params['organization']}/{page.request.path_params['workspace']}"


LOCKING: dict[str, Handler] = {
    "lock": workspace_actions.lock_workspace,
    "unlock": workspace_actions.unlock_workspace,
    "force-unlock": workspace_actions.force_unlock_workspace,
}


def lock(page: Page) -> Response:
    """POST /app/:organization/:workspace/:action, one of LOCKING"""
    action = LOCKING.get(page.request.path_params["action"])
    if action is None:
        raise not_found("page")
    reason = page.form.get("reason", "").strip()
    page.ask(action, {"reason": reason} if reason else None, id=find(page)["id"])
    return to(_path(page))


PAGES: list[PageRoute] = [
    ("GET", "/app/{organization}/workspaces/{workspace}", show),
    ("GET", "/app/{organization}/{workspace}", show),
    ("GET", "/app/{organization}/{workspace}/runs", show),
    ("POST", "/app/{organization}/{workspace}/runs", start),
    ("POST", "/app/{organization}/{workspace}/actions/{action}", lock),
]
