"""Variables of a workspace; sensitive values go in and never come out.

https://developer.hashicorp.com/terraform/enterprise/api-docs/workspace-variables
"""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, shown
from haechi.tfe.audit import record
from haechi.tfe.errors import bad_request, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_one
from haechi.tfe.store import Tx, new_id, now, one
from haechi.tfe.variables import parse_variable
from haechi.tfe.workspaces import find_workspace

V = schema.variables


def render_variable(row: Row[Any]) -> Document:
    """A variable; the value of a sensitive one is null."""
    attributes = {
        "key": row.key,
        "value": None if row.sensitive else row.value,
        "description": row.description,
        "category": row.category,
        "hcl": row.hcl,
        "sensitive": row.sensitive,
        "created-at": row.created_at,
        "version-id": row.version_id,
    }
    return resource(
        "vars", row.id, attributes, {"configurable": to_one("workspaces", row.workspace_id)}, {"self": f"/api/v2/vars/{row.id}"}
    )


def _find(call: Call, tx: Tx, *permissions: str) -> Row[Any]:
    """The variable of the path, below its workspace or alone."""
    row = one(tx, V, V.c.id == call.path["variable"], lock=bool(permissions))
    if row is None or call.path.get("id", row.workspace_id) != row.workspace_id:
        raise not_found("variable")
    find_workspace(tx, call.caller, row.workspace_id, *(permissions or ("read-variable",)))
    return row


def list_variables(call: Call) -> Answer:
    """workspaces/:id/vars: all of them, on one page as the real one does"""
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "read-variable")
        rows = tx.execute(sa.select(V).where(V.c.workspace_id == workspace.id).order_by(V.c.key, V.c.category)).all()
    return Answer({"data": [render_variable(row) for row in rows]})


def list_legacy(call: Call) -> Answer:
    """GET /vars?filter[organization][name]=&filter[workspace][name]="""
    o, w = schema.organizations, schema.workspaces
    organization, workspace = call.query.get("filter[organization][name]", ""), call.query.get("filter[workspace][name]", "")
    if not organization or not workspace:
        raise bad_request("filter[organization][name] and filter[workspace][name] are required.")
    with call.store.read() as tx:
        query = sa.select(w.c.id).join(o, o.c.id == w.c.organization_id).where(o.c.name == organization, w.c.name == workspace)
        found = find_workspace(tx, call.caller, tx.execute(query).scalar() or "", "read-variable")
        rows = tx.execute(sa.select(V).where(V.c.workspace_id == found.id).order_by(V.c.key, V.c.category)).all()
    return Answer({"data": [render_variable(row) for row in rows]})


def create_variable(call: Call) -> Answer:
    """POST workspaces/:id/vars, and POST /vars with the workspace as relationship"""
    sent = Sent(call.document, "vars")
    workspace_id = call.path.get("id") or sent.related("workspace", "workspaces") or ""
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, workspace_id, "update-variable", lock=True)
        values = parse_variable(sent)
        _check_free(tx, workspace.id, values)
        id = new_id("var")
        stamps = {"version_id": secrets.token_hex(16), "created_at": now()}
        tx.execute(V.insert().values(id=id, workspace_id=workspace.id, **stamps, **values))
        told = {"key": values["key"], "category": values["category"], "sensitive": values["sensitive"]}
        record(tx, call.caller, "create", "var", id, workspace.organization_id, {"workspace": workspace.id, **told})
        row = one(tx, V, V.c.id == id)
    assert row is not None, "it was just made"
    return shown(render_variable(row), 201)


def _check_free(tx: Tx, workspace_id: str, values: dict[str, Any], but: str = "") -> None:
    same = one(tx, V, V.c.workspace_id == workspace_id, V.c.category == values["category"], V.c.key == values["key"], V.c.id != but)
    if same is not None:
        raise invalid("Key has already been taken.", "key")


def show_variable(call: Call) -> Answer:
    """workspaces/:id/vars/:id"""
    with call.store.read() as tx:
        return shown(render_variable(_find(call, tx)))


def update_variable(call: Call) -> Answer:
    """PATCH workspaces/:id/vars/:id, /vars/:id"""
    sent = Sent(call.document, "vars")
    with call.store.write() as tx:
        old = _find(call, tx, "update-variable")
        values = parse_variable(sent, old)
        _check_free(tx, old.workspace_id, values, old.id)
        tx.execute(sa.update(V).where(V.c.id == old.id).values(version_id=secrets.token_hex(16), **values))
        workspace = find_workspace(tx, call.caller, old.workspace_id)
        told = {"workspace": workspace.id, "key": values["key"], "changed": sorted(sent.attributes)}
        record(tx, call.caller, "update", "var", old.id, workspace.organization_id, told)
        row = one(tx, V, V.c.id == old.id)
    assert row is not None, "it was just changed"
    return shown(render_variable(row))


def delete_variable(call: Call) -> Answer:
    """DELETE workspaces/:id/vars/:id, /vars/:id"""
    with call.store.write() as tx:
        old = _find(call, tx, "update-variable")
        workspace = find_workspace(tx, call.caller, old.workspace_id)
        tx.execute(V.delete().where(V.c.id == old.id))
        record(tx, call.caller, "destroy", "var", old.id, workspace.organization_id, {"workspace": workspace.id, "key": old.key})
    return NO_CONTENT


ROUTES: list[Route] = [
    ("GET", "/workspaces/{id}/vars", list_variables),
    ("POST", "/workspaces/{id}/vars", create_variable),
    ("GET", "/workspaces/{id}/vars/{variable}", show_variable),
    ("PATCH", "/workspaces/{id}/vars/{variable}", update_variable),
    ("DELETE", "/workspaces/{id}/vars/{variable}", delete_variable),
    ("GET", "/vars", list_legacy),
    ("POST", "/vars", create_variable),
    ("PATCH", "/vars/{variable}", update_variable),
    ("DELETE", "/vars/{variable}", delete_variable),
]
