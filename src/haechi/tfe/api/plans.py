"""Plans and applies, with their logs and plan documents.

https://developer.hashicorp.com/terraform/enterprise/api-docs/plans
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, shown
from haechi.tfe.errors import not_found
from haechi.tfe.jsonapi import Document, resource, to_many
from haechi.tfe.runs.blobs import plan_json_key, plan_redacted_key
from haechi.tfe.store import Tx, get_blob, one
from haechi.tfe.workspaces import find_workspace

P, A = schema.plans, schema.applies


def _counts(row: Row[Any]) -> dict[str, Any]:
    return {
        "resource-additions": row.resource_additions,
        "resource-changes": row.resource_changes,
        "resource-destructions": row.resource_destructions,
        "resource-imports": row.resource_imports,
    }


def render_plan(call: Call, row: Row[Any]) -> Document:
    """A plan, with the address of its log."""
    attributes = {
        "execution-details": {"mode": "remote"},
        "generated-configuration": row.generated_configuration,
        "has-changes": row.has_changes,
        "log-read-url": call.signed("log", row.id),
        "status": row.status,
        "status-timestamps": row.status_timestamps,
        "permissions": {"can-export": False},
        **_counts(row),
    }
    links = {"self": f"/api/v2/plans/{row.id}", "json-output": f"/api/v2/plans/{row.id}/json-output"}
    return resource("plans", row.id, attributes, {"exports": to_many("plan-exports", [])}, links)


def render_apply(call: Call, tx: Tx, row: Row[Any]) -> Document:
    """An apply, with the address of its log and the states it left."""
    s = schema.state_versions
    versions = tx.execute(sa.select(s.c.id).where(s.c.run_id == row.run_id).order_by(s.c.number.desc())).scalars()
    attributes = {
        "execution-details": {"mode": "remote"},
        "log-read-url": call.signed("log", row.id),
        "status": row.status,
        "status-timestamps": row.status_timestamps,
        **_counts(row),
    }
    return resource(
        "applies", row.id, attributes, {"state-versions": to_many("state-versions", versions)}, {"self": f"/api/v2/applies/{row.id}"}
    )


def _find(call: Call, tx: Tx, table: sa.Table, what: str, *permissions: str) -> Row[Any]:
    """The plan or apply of an id, or of the run in the path."""
    row = one(tx, table, table.c.run_id == call.path["run"] if "run" in call.path else table.c.id == call.path["id"])
    run = one(tx, schema.runs, schema.runs.c.id == row.run_id) if row is not None else None
    if row is None or run is None:
        raise not_found(what)
    find_workspace(tx, call.caller, run.workspace_id, *(permissions or ("read-run",)))
    return row


def show_plan(call: Call) -> Answer:
    """plans/:id, runs/:id/plan"""
    with call.store.read() as tx:
        return shown(render_plan(call, _find(call, tx, P, "plan")))


def show_apply(call: Call) -> Answer:
    """applies/:id, runs/:id/apply"""
    with call.store.read() as tx:
        return shown(render_apply(call, tx, _find(call, tx, A, "apply")))


def show_json(call: Call) -> Answer:
    """plans/:id/json-output, runs/:id/plan/json-output: with every value, so for administrators of the workspace, as the vendor has it"""
    return _document(call, plan_json_key, "update")


def show_redacted(call: Call) -> Answer:
    """plans/:id/json-output-redacted: what a client renders; sensitive values are blanked"""
    return _document(call, plan_redacted_key, "read-run")


def _document(call: Call, key: Callable[[str], str], permission: str) -> Answer:
    with call.store.read() as tx:
        plan = _find(call, tx, P, "plan", "read-run", permission)
        data = get_blob(tx, key(plan.id))
    return NO_CONTENT if data is None else Answer(body=data, type="application/json")


ROUTES: list[Route] = [
    ("GET", "/plans/{id}", show_plan),
    ("GET", "/plans/{id}/json-output", show_json),
    ("GET", "/plans/{id}/json-output-redacted", show_redacted),
    ("GET", "/runs/{run}/plan", show_plan),
    ("GET", "/runs/{run}/plan/json-output", show_json),
    ("GET", "/runs/{run}/plan/json-output-redacted", show_redacted),
    ("GET", "/runs/{run}/apply", show_apply),
    ("GET", "/applies/{id}", show_apply),
]
