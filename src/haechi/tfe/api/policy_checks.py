"""Policy checks of a run, and overriding them. https://developer.hashicorp.com/terraform/enterprise/api-docs/policy-checks"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import Caller, organization_access
from haechi.tfe.api.call import Answer, Call, Route, listed, shown
from haechi.tfe.api.run_actions import comment_of, ring_run
from haechi.tfe.api.runs import find_run
from haechi.tfe.audit import record
from haechi.tfe.errors import conflict, forbidden, not_found
from haechi.tfe.jsonapi import Document, resource, to_one
from haechi.tfe.runs import lifecycle
from haechi.tfe.runs.states import organization_of
from haechi.tfe.store import Store, Tx, new_id, now, one
from haechi.tfe.workspaces import find_workspace

C, R = schema.policy_checks, schema.runs
PERMISSION = "manage-policy-overrides"


def may_override(tx: Tx, caller: Caller, workspace_id: str) -> bool:
    """Whether a caller may let a failed soft-mandatory policy pass: a named person with the permission."""
    id = organization_of(tx, workspace_id)
    return caller.kind == "user" and id is not None and organization_access(tx, caller, id).may(PERMISSION)


def render_check(call: Call, tx: Tx, row: Row[Any]) -> Document:
    """A policy check; `overridden-by` and `override-comment` are extensions."""
    run = one(tx, R, R.c.id == row.run_id)
    assert run is not None, "checks go with their run"
    user = one(tx, schema.users, schema.users.c.id == row.overridden_by_id) if row.overridden_by_id else None
    attributes = {
        "scope": row.scope,
        "status": row.status,
        "status-timestamps": row.status_timestamps,
        "result": row.result or {"result": False, "passed": 0, "total-failed": 0, "hard-failed": 0, "soft-failed": 0, "advisory-failed": 0},
        "actions": {"is-overridable": row.status == "soft_failed" and run.status == "policy_override"},
        "permissions": {"can-override": may_override(tx, call.caller, run.workspace_id)},
        "overridden-by": user.username if user else None,
        "override-comment": row.override_comment or None,
        "finished-at": max(row.status_timestamps.values(), default=row.created_at),
    }
    links = {"self": f"/api/v2/policy-checks/{row.id}", "output": f"/api/v2/policy-checks/{row.id}/output"}
    return resource("policy-checks", row.id, attributes, {"run": to_one("runs", run.id)}, links)


def _find(call: Call, tx: Tx, lock: bool = False) -> Row[Any]:
    row = one(tx, C, C.c.id == call.path["id"], lock=lock)
    run = one(tx, R, R.c.id == row.run_id) if row is not None else None
    if row is None or run is None:
        raise not_found("policy check")
    find_workspace(tx, call.caller, run.workspace_id, "read-run")
    return row


def list_checks(call: Call) -> Answer:
    """runs/:id/policy-checks"""
    with call.store.read() as tx:
        run = find_run(call, tx)
        rows, page = tx.execute(sa.select(C).where(C.c.run_id == run.id)).all(), call.page
        return listed([render_check(call, tx, row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def show_check(call: Call) -> Answer:
    """policy-checks/:id"""
    with call.store.read() as tx:
        return shown(render_check(call, tx, _find(call, tx)))


def show_output(call: Call) -> Answer:
    """policy-checks/:id/output: the text for people"""
    with call.store.read() as tx:
        return Answer(body=_find(call, tx).output.encode(), type="text/plain; charset=utf-8")


def override(call: Call) -> Answer:
    """POST policy-checks/:id/actions/override; {"comment"} is an extension"""
    comment = comment_of(call)
    with call.store.write() as tx:
        row = _find(call, tx, lock=True)
        override_check(call.store, tx, row, call.caller, comment)
        answer = shown(render_check(call, tx, _find(call, tx)))
    ring_run(call.store, row.run_id)
    return answer


def override_check(store: Store, tx: Tx, check: Row[Any], caller: Caller, comment: str) -> None:
    """Let a failed soft-mandatory check pass, and write down who did and why. Raises forbidden, conflict."""
    run = one(tx, R, R.c.id == check.run_id)
    assert run is not None, "checks go with their run"
    if not may_override(tx, caller, run.workspace_id):
        raise forbidden(f"It needs the permission {PERMISSION} in the organization, and a user's token.")
    if check.status != "soft_failed":
        raise conflict(f"The policy check is {check.status}; there is nothing to override.", "transition not allowed")
    stamps = {**check.status_timestamps, "overridden-at": now()}
    values = {"status": "overridden", "overridden_by_id": caller.id, "override_comment": comment, "status_timestamps": stamps}
    if tx.execute(sa.update(C).where(C.c.id == check.id, C.c.status == "soft_failed").values(**values)).rowcount != 1:
        raise conflict("Somebody else overrode it at the same moment.", "transition not allowed")
    if comment:
        tx.execute(
            schema.comments.insert().values(id=new_id("wsc"), run_id=run.id, body=comment, created_by_id=caller.id, created_at=now())
        )
    told = {"run": run.id, **({"comment": comment[:500]} if comment else {})}
    record(tx, caller, "override", "policy_check", check.id, organization_of(tx, run.workspace_id), told)
    lifecycle.override_policies(store, tx, run.id, caller)


ROUTES: list[Route] = [
    ("GET", "/runs/{id}/policy-checks", list_checks),
    ("GET", "/policy-checks/{id}", show_check),
    ("GET", "/policy-checks/{id}/output", show_output),
    ("POST", "/policy-checks/{id}/actions/override", override),
]
