"""What is said about a run: comments of people, and events."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.api.call import Answer, Call, Route, listed, shown
from haechi.tfe.api.runs import find_run
from haechi.tfe.audit import record
from haechi.tfe.errors import forbidden, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_one
from haechi.tfe.runs.states import organization_of
from haechi.tfe.store import new_id, now, one
from haechi.tfe.workspaces import find_workspace

C, A = schema.comments, schema.audit


def render_comment(row: Row[Any]) -> Document:
    """A comment."""
    relationships = {"run-event": to_one("run-events", None), "created-by": to_one("users", row.created_by_id)}
    attributes = {"body": row.body, "created-at": row.created_at}
    return resource("comments", row.id, attributes, relationships, {"self": f"/api/v2/comments/{row.id}"})


def list_comments(call: Call) -> Answer:
    """runs/:id/comments"""
    with call.store.read() as tx:
        run = find_run(call, tx)
        rows = tx.execute(sa.select(C).where(C.c.run_id == run.id).order_by(C.c.created_at, C.c.id)).all()
    return Answer({"data": [render_comment(row) for row in rows]})


def create_comment(call: Call) -> Answer:
    """POST runs/:id/comments"""
    body = Sent(call.document, "comments").text("body", most=4096)
    if not body.strip():
        raise invalid("Body is missing.", "body")
    with call.store.write() as tx:
        run = find_run(call, tx)
        if call.caller.kind == "run":
            raise forbidden("A run does not comment.")
        id = new_id("wsc")
        tx.execute(C.insert().values(id=id, run_id=run.id, body=body, created_by_id=call.caller.id, created_at=now()))
        record(tx, call.caller, "create", "comment", id, organization_of(tx, run.workspace_id), {"run": run.id})
        row = one(tx, C, C.c.id == id)
    assert row is not None, "it was just made"
    return shown(render_comment(row), 201)


def show_comment(call: Call) -> Answer:
    """comments/:id"""
    with call.store.read() as tx:
        row = one(tx, C, C.c.id == call.path["comment"])
        run = one(tx, schema.runs, schema.runs.c.id == row.run_id) if row is not None else None
        if row is None or run is None:
            raise not_found("comment")
        find_workspace(tx, call.caller, run.workspace_id, "read-run")
    return shown(render_comment(row))


def render_event(row: Row[Any]) -> Document:
    """An event: a line of the audit trail that tells of this run."""
    attributes = {"action": row.action, "created-at": row.timestamp, "description": f"{row.action.replace('_', ' ')} by {row.actor}"}
    actor = to_one("users", row.actor_id if row.actor_type == "Client" else None)
    return resource("run-events", f"re-{row.id}", attributes, {"actor": actor, "comment": to_one("comments", None)})


def list_events(call: Call) -> Answer:
    """runs/:id/run-events"""
    with call.store.read() as tx:
        run = find_run(call, tx)
        rows = tx.execute(sa.select(A).where(A.c.resource_id == run.id).order_by(A.c.number)).all()
        page = call.page
    return listed([render_event(row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def show_event(call: Call) -> Answer:
    """run-events/:id"""
    with call.store.read() as tx:
        row = one(tx, A, A.c.id == call.path["event"].removeprefix("re-"), A.c.resource_type == "run")
        run = one(tx, schema.runs, schema.runs.c.id == row.resource_id) if row is not None else None
        if row is None or run is None:
            raise not_found("run event")
        find_workspace(tx, call.caller, run.workspace_id, "read-run")
    return shown(render_event(row))


ROUTES: list[Route] = [
    ("GET", "/runs/{id}/comments", list_comments),
    ("POST", "/runs/{id}/comments", create_comment),
    ("GET", "/comments/{comment}", show_comment),
    ("GET", "/runs/{id}/run-events", list_events),
    ("GET", "/run-events/{event}", show_event),
]
