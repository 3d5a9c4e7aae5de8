"""What people do to runs: confirm, discard, cancel, force-cancel, force-execute."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.access import Caller
from haechi.tfe.api.call import Answer, Call, Route
from haechi.tfe.api.runs import find_run
from haechi.tfe.errors import bad_request, conflict
from haechi.tfe.runs import lifecycle, states
from haechi.tfe.store import Store, Tx

Act = Callable[[Store, Tx, str, Caller, str], None]


def comment_of(call: Call) -> str:
    """The comment of an action's body; "" for none. Raises bad_request."""
    comment = call.document.get("comment") if isinstance(call.document, dict) else None
    if comment is not None and (not isinstance(comment, str) or len(comment) > 4096 or "\0" in comment):
        raise bad_request("comment must be a string.")
    return comment or ""


def ring_run(store: Store, run_id: str) -> None:
    """Tell everybody who waits for something of a run: its workers, its followers, its workspace's."""
    with store.read() as tx:
        plans, applies = schema.plans, schema.applies
        logs = [tx.execute(sa.select(t.c.id).where(t.c.run_id == run_id)).scalar() for t in (plans, applies)]
    store.bell.ring("jobs", run_id, *[log for log in logs if log])


def _action(act: Act, permission: str) -> Callable[[Call], Answer]:
    def handler(call: Call) -> Answer:
        """POST runs/:id/actions/..."""
        comment = comment_of(call)
        with call.store.write() as tx:
            run = find_run(call, tx, permission)
            act(call.store, tx, run.id, call.caller, comment)
        ring_run(call.store, run.id)
        return Answer({}, 202)

    return handler


def _execute(store: Store, tx: Tx, run_id: str, caller: Caller, comment: str) -> None:
    """A pending run goes next: what waits before it is discarded, what holds the workspace for a decision as well. Raises conflict."""
    run = states.find_run(tx, run_id)
    r = schema.runs
    if run.status != "pending":
        raise conflict(f"The run is {run.status}, not pending.", "transition not allowed")
    before = sa.and_(r.c.workspace_id == run.workspace_id, r.c.number < run.number, r.c.plan_only.is_(False), r.c.save_plan.is_(False))
    for other in tx.execute(sa.select(r).where(before, r.c.status.not_in(states.FINAL)).order_by(r.c.number.desc())).all():
        if other.status in states.DISCARDABLE:
            lifecycle.discard(store, tx, other.id, caller, comment)
        else:
            raise conflict(f"The run {other.id} is {other.status}; wait for it, or cancel it.", "transition not allowed")


apply = _action(lifecycle.confirm, "queue-apply")
discard = _action(lifecycle.discard, "queue-apply")
cancel = _action(lifecycle.cancel, "cancel-run")
force_cancel = _action(lifecycle.force_cancel, "force-cancel-run")
force_execute = _action(_execute, "queue-apply")

ROUTES: list[Route] = [
    ("POST", "/runs/{id}/actions/apply", apply),
    ("POST", "/runs/{id}/actions/discard", discard),
    ("POST", "/runs/{id}/actions/cancel", cancel),
    ("POST", "/runs/{id}/actions/force-cancel", force_cancel),
    ("POST", "/runs/{id}/actions/force-execute", force_execute),
]
