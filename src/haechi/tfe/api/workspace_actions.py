"""Locking workspaces, and who may read their state."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.access import require_workspace
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.api.workspaces import render_workspace
from haechi.tfe.audit import record
from haechi.tfe.errors import bad_request, invalid
from haechi.tfe.jsonapi import identities
from haechi.tfe.store import Tx, one
from haechi.tfe.workspaces import find_workspace, lock, unlock

C = schema.remote_state_consumers


def lock_workspace(call: Call) -> Answer:
    """POST workspaces/:id/actions/lock {"reason"}"""
    reason = call.document.get("reason") if isinstance(call.document, dict) else None
    if reason is not None and (not isinstance(reason, str) or len(reason) > 4096):
        raise bad_request("reason must be a string.")
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "lock", lock=True)
        lock(tx, call.caller, workspace, reason or "")
        return shown(render_workspace(call, tx, find_workspace(tx, call.caller, workspace.id)))


def _unlock(force: bool) -> Callable[[Call], Answer]:
    def act(call: Call) -> Answer:
        """POST workspaces/:id/actions/unlock, force-unlock"""
        with call.store.write() as tx:
            workspace = find_workspace(tx, call.caller, call.path["id"], "force-unlock" if force else "unlock", lock=True)
            unlock(call.store, tx, call.caller, workspace, force)
            answer = shown(render_workspace(call, tx, find_workspace(tx, call.caller, workspace.id)))
        call.store.bell.ring("jobs")
        return answer

    return act


def list_consumers(call: Call) -> Answer:
    """workspaces/:id/relationships/remote-state-consumers"""
    w = schema.workspaces
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"])
        query = sa.select(w).join(C, C.c.consumer_id == w.c.id).where(C.c.workspace_id == workspace.id).order_by(w.c.name)
        rows = tx.execute(query).all()
        page = call.page
        return listed([render_workspace(call, tx, row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def _change_consumers(remove: bool, replace: bool) -> Callable[[Call], Answer]:
    def change(call: Call) -> Answer:
        """POST adds, PATCH replaces, DELETE removes."""
        ids = identities(call.document, "workspaces")
        with call.store.write() as tx:
            workspace = find_workspace(tx, call.caller, call.path["id"], "update", lock=True)
            for id in ids:
                consumer = require_workspace(tx, call.caller, one(tx, schema.workspaces, schema.workspaces.c.id == id))
                if consumer.organization_id != workspace.organization_id:
                    raise invalid("A consumer is a workspace of the same organization.")
            gone = C.c.workspace_id == workspace.id
            tx.execute(C.delete().where(gone if replace else sa.and_(gone, C.c.consumer_id.in_(ids))))
            if not remove:
                _add(tx, workspace.id, ids)
            record(tx, call.caller, "update_remote_state_consumers", "workspace", workspace.id, workspace.organization_id, {"ids": ids})
        return NO_CONTENT

    return change


def _add(tx: Tx, workspace_id: str, ids: list[str]) -> None:
    for id in dict.fromkeys(ids):
        tx.execute(C.insert().values(workspace_id=workspace_id, consumer_id=id))


unlock_workspace = _unlock(force=False)
force_unlock_workspace = _unlock(force=True)

CONSUMERS = "/workspaces/{id}/relationships/remote-state-consumers"
ROUTES: list[Route] = [
    ("POST", "/workspaces/{id}/actions/lock", lock_workspace),
    ("POST", "/workspaces/{id}/actions/unlock", unlock_workspace),
    ("POST", "/workspaces/{id}/actions/force-unlock", force_unlock_workspace),
    ("GET", CONSUMERS, list_consumers),
    ("POST", CONSUMERS, _change_consumers(remove=False, replace=False)),
    ("PATCH", CONSUMERS, _change_consumers(remove=False, replace=True)),
    ("DELETE", CONSUMERS, _change_consumers(remove=True, replace=False)),
]
