"""Outputs of state versions. https://developer.hashicorp.com/terraform/enterprise/api-docs/state-version-outputs"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.api.call import Answer, Call, Route, listed, shown
from haechi.tfe.errors import not_found
from haechi.tfe.jsonapi import Document, resource, to_one
from haechi.tfe.state.versions import find_current
from haechi.tfe.store import Tx, one
from haechi.tfe.workspaces import find_workspace

OUT, S = schema.state_outputs, schema.state_versions


def outputs_of(tx: Tx, version_id: str) -> Sequence[Row[Any]]:
    """A version's outputs by name."""
    return tx.execute(sa.select(OUT).where(OUT.c.state_version_id == version_id).order_by(OUT.c.name)).all()


def render_output(row: Row[Any], version_id: str, hide: bool) -> Document:
    """An output; in lists the value of a sensitive one is hidden."""
    attributes = {
        "name": row.name,
        "sensitive": row.sensitive,
        "type": row.type,
        "value": None if hide and row.sensitive else row.value,
        "detailed-type": row.detailed_type,
    }
    relationships = {"configurable": to_one("state-versions", version_id)}
    return resource("state-version-outputs", row.id, attributes, relationships, {"self": f"/api/v2/state-version-outputs/{row.id}"})


def _list(call: Call, tx: Tx, version_id: str) -> Answer:
    rows, page = outputs_of(tx, version_id), call.page
    return listed([render_output(row, version_id, hide=True) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def list_current(call: Call) -> Answer:
    """workspaces/:id/current-state-version-outputs"""
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "read-state-outputs")
        row = find_current(tx, workspace.id)
        if row is None:
            raise not_found("state version")
        return _list(call, tx, row.id)


def list_outputs(call: Call) -> Answer:
    """state-versions/:id/outputs"""
    with call.store.read() as tx:
        row = one(tx, S, S.c.id == call.path["id"])
        if row is None:
            raise not_found("state version")
        find_workspace(tx, call.caller, row.workspace_id, "read-state-outputs")
        return _list(call, tx, row.id)


def show_output(call: Call) -> Answer:
    """state-version-outputs/:id, the value in any case"""
    with call.store.read() as tx:
        row = one(tx, OUT, OUT.c.id == call.path["id"])
        version = one(tx, S, S.c.id == row.state_version_id) if row is not None else None
        if row is None or version is None:
            raise not_found("output")
        find_workspace(tx, call.caller, version.workspace_id, "read-state-outputs")
        return shown(render_output(row, version.id, hide=False))


ROUTES: list[Route] = [
    ("GET", "/workspaces/{id}/current-state-version-outputs", list_current),
    ("GET", "/state-versions/{id}/outputs", list_outputs),
    ("GET", "/state-version-outputs/{id}", show_output),
]
