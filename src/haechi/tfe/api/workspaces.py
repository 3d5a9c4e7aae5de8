"""Workspaces: their settings. https://developer.hashicorp.com/terraform/enterprise/api-docs/workspaces"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import require_organization, wire, workspace_permissions
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.api.workspace_tags import parse_bindings, parse_tags, put_bindings, put_tags, tags_of
from haechi.tfe.jsonapi import Document, Sent, resource, to_many, to_one
from haechi.tfe.store import Tx, one
from haechi.tfe.workspaces import count_resources, create_workspace, delete_workspace, find_named, find_workspace, update_workspace

PERMISSIONS = {
    "can-update": "update",
    "can-destroy": "destroy",
    "can-force-delete": "force-delete",
    "can-queue-run": "queue-run",
    "can-queue-apply": "queue-apply",
    "can-queue-destroy": "queue-destroy",
    "can-lock": "lock",
    "can-unlock": "unlock",
    "can-force-unlock": "force-unlock",
    "can-read-settings": "read-settings",
    "can-read-run": "read-run",
    "can-read-variable": "read-variable",
    "can-update-variable": "update-variable",
    "can-read-state-versions": "read-state-versions",
    "can-create-state-versions": "create-state-versions",
    "can-read-state-outputs": "read-state-outputs",
    "can-manage-tags": "manage-tags",
    "can-manage-run-tasks": "none",
    "can-read-assessment-results": "none",
    "can-manage-assessments": "none",
    "can-manage-health-assessments": "none",
}
SORTS = {
    "name": schema.workspaces.c.name.asc(),
    "-name": schema.workspaces.c.name.desc(),
    "latest-change-at": schema.workspaces.c.updated_at.asc(),
    "-latest-change-at": schema.workspaces.c.updated_at.desc(),
}


def render_workspace(call: Call, tx: Tx, row: Row[Any]) -> Document:
    """A workspace as this caller sees it."""
    count = count_resources(tx, row)
    organization = one(tx, schema.organizations, schema.organizations.c.id == row.organization_id)
    assert organization is not None, "workspaces go with their organization"
    attributes = {
        "name": row.name,
        "description": row.description,
        "auto-apply": row.auto_apply,
        "auto-apply-run-trigger": row.auto_apply_run_trigger,
        "auto-destroy-at": None,
        "allow-destroy-plan": row.allow_destroy_plan,
        "assessments-enabled": False,
        "can-queue-destroy-plan": row.allow_destroy_plan,
        "created-at": row.created_at,
        "updated-at": row.updated_at,
        "environment": "default",
        "execution-mode": row.execution_mode,
        "file-triggers-enabled": False,
        "global-remote-state": row.global_remote_state,
        "latest-change-at": row.updated_at,
        "locked": row.locked_by != "",
        "locked-reason": row.lock_reason,
        "migration-environment": "",
        "operations": row.execution_mode == "remote",
        "queue-all-runs": row.queue_all_runs,
        "resource-count": count,
        "setting-overwrites": {"execution-mode": True, "agent-pool": False},
        "source": row.source,
        "source-name": row.source_name,
        "source-url": row.source_url,
        "speculative-enabled": row.speculative_enabled,
        "structured-run-output-enabled": row.structured_run_output_enabled,
        "tag-names": [f"{key}:{value}" if value else key for key, value in tags_of(tx, row.id)],
        "terraform-version": row.terraform_version,
        "trigger-prefixes": [],
        "trigger-patterns": [],
        "vcs-repo": None,
        "vcs-repo-identifier": None,
        "working-directory": row.working_directory,
        "actions": {"is-destroyable": count == 0},
        "permissions": wire(workspace_permissions(tx, call.caller, row), PERMISSIONS),
    }
    relationships = {
        "organization": to_one("organizations", organization.name),
        "project": to_one("projects", row.project_id),
        "current-run": to_one("runs", row.current_run_id, f"/api/v2/runs/{row.current_run_id}" if row.current_run_id else ""),
        "latest-run": to_one("runs", row.current_run_id),
        "current-state-version": to_one("state-versions", row.current_state_version_id),
        "current-configuration-version": to_one("configuration-versions", None),
        "agent-pool": to_one("agent-pools", None),
        "locked-by": to_one(f"{row.locked_by}s", row.locked_by_id) if row.locked_by else to_one("users", None),
        "outputs": to_many("workspace-outputs", []),
        "remote-state-consumers": {"links": {"related": f"/api/v2/workspaces/{row.id}/relationships/remote-state-consumers"}},
        "vars": {"links": {"related": f"/api/v2/workspaces/{row.id}/vars"}},
        "tag-bindings": {"links": {"related": f"/api/v2/workspaces/{row.id}/tag-bindings"}},
    }
    page = f"/app/{organization.name}/{row.name}"
    links = {"self": f"/api/v2/organizations/{organization.name}/workspaces/{row.name}", "self-html": page}
    return resource("workspaces", row.id, attributes, relationships, links)


def included_of(call: Call, tx: Tx, row: Row[Any]) -> list[Document]:
    """What `include=` asks for of a workspace: organization, current_run."""
    from haechi.tfe.api.organizations import render_organization
    from haechi.tfe.api.runs import render_run

    found: list[Document] = []
    asked = {name.replace("-", "_") for name in call.include}
    if "organization" in asked:
        organization = one(tx, schema.organizations, schema.organizations.c.id == row.organization_id)
        assert organization is not None, "workspaces go with their organization"
        found.append(render_organization(call, tx, organization))
    if "current_run" in asked and row.current_run_id:
        run = one(tx, schema.runs, schema.runs.c.id == row.current_run_id)
        found += [render_run(call, tx, run)] if run is not None else []
    return found


def list_workspaces(call: Call) -> Answer:
    """organizations/:name/workspaces; only those the caller may read."""
    w, r = schema.workspaces, schema.runs
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
        query = sa.select(w).where(w.c.organization_id == organization.id, *_filters(call))
        status = [s for s in call.query.get("filter[current-run][status]", "").split(",") if s]
        if status:
            query = query.join(r, r.c.id == w.c.current_run_id).where(r.c.status.in_(status))
        rows = [row for row in tx.execute(query.order_by(SORTS.get(call.query.get("sort", ""), SORTS["name"]))) if _seen(call, tx, row)]
        page = call.page
        shown_rows = rows[page.offset : page.offset + page.size]
        included = {item["id"]: item for row in shown_rows for item in included_of(call, tx, row)}
        return listed([render_workspace(call, tx, row) for row in shown_rows], page, len(rows), list(included.values()))


def _seen(call: Call, tx: Tx, row: Row[Any]) -> bool:
    return bool(workspace_permissions(tx, call.caller, row))


def _filters(call: Call) -> list[sa.ColumnElement[bool]]:
    w, t = schema.workspaces, schema.workspace_tags
    found: list[sa.ColumnElement[bool]] = []
    name, wild = call.query.get("search[name]", ""), call.query.get("search[wildcard-name]", "")
    if name:
        found.append(w.c.name.icontains(name, autoescape=True))
    if wild:
        pattern = wild.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
        found.append(w.c.name.ilike(pattern, escape="\\"))
    if call.query.get("filter[project][id]"):
        found.append(w.c.project_id == call.query["filter[project][id]"])

    def tagged(*where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.exists().where(t.c.workspace_id == w.c.id, *where)

    for tag in [tag for tag in call.query.get("search[tags]", "").split(",") if tag]:
        found.append(tagged(t.c.key == tag, t.c.value == ""))
    for tag in [tag for tag in call.query.get("search[exclude-tags]", "").split(",") if tag]:
        found.append(~tagged(t.c.key == tag, t.c.value == ""))
    index = 0
    while key := call.query.get(f"filter[tagged][{index}][key]"):
        value = call.query.get(f"filter[tagged][{index}][value]")
        found.append(tagged(t.c.key == key, *([t.c.value == value] if value is not None else [])))
        index += 1
    return found


def create(call: Call) -> Answer:
    """POST organizations/:name/workspaces"""
    sent = Sent(call.document, "workspaces")
    with call.store.write() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"], "manage-workspaces")
        id = create_workspace(tx, call.caller, organization, sent)
        put_tags(tx, id, parse_tags(call.document, "tags"))
        put_bindings(tx, id, parse_bindings(call.document, "tag-bindings"))
        row = find_workspace(tx, call.caller, id)
        return shown(render_workspace(call, tx, row), 201)


def _by_id(call: Call, tx: Tx, *permissions: str) -> Row[Any]:
    return find_workspace(tx, call.caller, call.path["id"], *permissions, lock=call.document is not None)


def _by_name(call: Call, tx: Tx, *permissions: str) -> Row[Any]:
    organization = require_organization(tx, call.caller, call.path["organization"])
    return find_named(tx, call.caller, organization.id, call.path["name"], *permissions)


Find = Callable[..., Row[Any]]


def _show(find: Find) -> Callable[[Call], Answer]:
    def show(call: Call) -> Answer:
        """A workspace."""
        with call.store.read() as tx:
            row = find(call, tx)
            return shown(render_workspace(call, tx, row), included=included_of(call, tx, row))

    return show


def _update(find: Find) -> Callable[[Call], Answer]:
    def update(call: Call) -> Answer:
        """Change settings; tag bindings that are sent are added."""
        sent = Sent(call.document, "workspaces")
        with call.store.write() as tx:
            row = find(call, tx, "update")
            update_workspace(tx, call.caller, row, sent)
            put_bindings(tx, row.id, parse_bindings(call.document, "tag-bindings"))
            return shown(render_workspace(call, tx, find_workspace(tx, call.caller, row.id)))

    return update


def _delete(find: Find, safe: bool = False) -> Callable[[Call], Answer]:
    def delete(call: Call) -> Answer:
        """Delete it; the safe way only while it manages nothing."""
        with call.store.write() as tx:
            delete_workspace(tx, call.caller, find(call, tx, "destroy"), safe)
        return NO_CONTENT

    return delete


show_named = _show(_by_name)

NAMED = "/organizations/{organization}/workspaces/{name}"
ROUTES: list[Route] = [
    ("GET", "/organizations/{organization}/workspaces", list_workspaces),
    ("POST", "/organizations/{organization}/workspaces", create),
    ("GET", NAMED, show_named),
    ("PATCH", NAMED, _update(_by_name)),
    ("DELETE", NAMED, _delete(_by_name)),
    ("POST", NAMED + "/actions/safe-delete", _delete(_by_name, safe=True)),
    ("GET", "/workspaces/{id}", _show(_by_id)),
    ("PATCH", "/workspaces/{id}", _update(_by_id)),
    ("DELETE", "/workspaces/{id}", _delete(_by_id)),
    ("POST", "/workspaces/{id}/actions/safe-delete", _delete(_by_id, safe=True)),
]
