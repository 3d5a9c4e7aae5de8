"""Run triggers: an apply here queues a run there. https://developer.hashicorp.com/terraform/enterprise/api-docs/run-triggers"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import require_workspace
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.audit import record
from haechi.tfe.errors import bad_request, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_one
from haechi.tfe.store import Tx, new_id, now, one
from haechi.tfe.workspaces import find_workspace

T, W = schema.run_triggers, schema.workspaces
MOST = 20  # sources of one workspace


def render_trigger(tx: Tx, row: Row[Any]) -> Document:
    """A run trigger."""
    rows = tx.execute(sa.select(W.c.id, W.c.name).where(W.c.id.in_((row.workspace_id, row.sourceable_id)))).all()
    names = {each.id: each.name for each in rows}
    attributes = {"workspace-name": names[row.workspace_id], "sourceable-name": names[row.sourceable_id], "created-at": row.created_at}
    relationships = {"workspace": to_one("workspaces", row.workspace_id), "sourceable": to_one("workspaces", row.sourceable_id)}
    return resource("run-triggers", row.id, attributes, relationships, {"self": f"/api/v2/run-triggers/{row.id}"})


def create_trigger(call: Call) -> Answer:
    """POST workspaces/:id/run-triggers"""
    source_id = Sent(call.document, "run-triggers").related("sourceable", "workspaces")
    if source_id is None:
        raise invalid("The relationship sourceable is missing.", title="unprocessable entity")
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "manage-run-triggers", lock=True)
        source = require_workspace(tx, call.caller, one(tx, W, W.c.id == source_id), "read-run", what="sourceable workspace")
        if source.id == workspace.id or source.organization_id != workspace.organization_id:
            raise invalid("The source is another workspace of the same organization.", title="unprocessable entity")
        known = list(tx.execute(sa.select(T.c.sourceable_id).where(T.c.workspace_id == workspace.id)).scalars())
        if source.id in known:
            raise invalid("The sourceable has already been added.", title="unprocessable entity")
        if len(known) >= MOST:
            raise invalid(f"A workspace has at most {MOST} sources.", title="unprocessable entity")
        id = new_id("rt")
        tx.execute(T.insert().values(id=id, workspace_id=workspace.id, sourceable_id=source.id, created_at=now()))
        told = {"workspace": workspace.id, "sourceable": source.id}
        record(tx, call.caller, "create", "run_trigger", id, workspace.organization_id, told)
        row = one(tx, T, T.c.id == id)
        assert row is not None, "it was just made"
        return shown(render_trigger(tx, row), 201)


def list_triggers(call: Call) -> Answer:
    """workspaces/:id/run-triggers?filter[run-trigger][type]=inbound|outbound"""
    kind = call.query.get("filter[run-trigger][type]", "")
    if kind not in ("inbound", "outbound"):
        raise bad_request("filter[run-trigger][type] must be inbound or outbound.")
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "read-settings")
        column = T.c.workspace_id if kind == "inbound" else T.c.sourceable_id
        rows = tx.execute(sa.select(T).where(column == workspace.id).order_by(T.c.created_at, T.c.id)).all()
        page = call.page
        return listed([render_trigger(tx, row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def _find(call: Call, tx: Tx, *permissions: str) -> Row[Any]:
    row = one(tx, T, T.c.id == call.path["id"])
    if row is None:
        raise not_found("run trigger")
    find_workspace(tx, call.caller, row.workspace_id, *permissions)
    return row


def show_trigger(call: Call) -> Answer:
    """run-triggers/:id"""
    with call.store.read() as tx:
        return shown(render_trigger(tx, _find(call, tx, "read-settings")))


def delete_trigger(call: Call) -> Answer:
    """DELETE run-triggers/:id"""
    with call.store.write() as tx:
        row = _find(call, tx, "manage-run-triggers")
        workspace = find_workspace(tx, call.caller, row.workspace_id)
        tx.execute(T.delete().where(T.c.id == row.id))
        record(tx, call.caller, "destroy", "run_trigger", row.id, workspace.organization_id, {"workspace": workspace.id})
    return NO_CONTENT


ROUTES: list[Route] = [
    ("POST", "/workspaces/{id}/run-triggers", create_trigger),
    ("GET", "/workspaces/{id}/run-triggers", list_triggers),
    ("GET", "/run-triggers/{id}", show_trigger),
    ("DELETE", "/run-triggers/{id}", delete_trigger),
]
