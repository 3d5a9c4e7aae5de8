"""The states of a run, as a table, and the one function that moves a run from one to the next.

https://developer.hashicorp.com/terraform/cloud-docs/run/states
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.audit import record
from haechi.tfe.errors import conflict, not_found
from haechi.tfe.store import Tx, now, one

END = ("errored", "canceled", "force_canceled")
NEXT: dict[str, tuple[str, ...]] = {
    "pending": ("plan_queued", "discarded", "canceled"),
    "plan_queued": ("planning", *END),
    "planning": ("planned", "planned_and_finished", "planned_and_saved", "policy_checking", *END),
    "policy_checking": ("policy_checked", "policy_override", "policy_soft_failed", *END),
    "policy_override": ("policy_checked", "discarded"),
    "policy_checked": ("confirmed", "planned_and_finished", "planned_and_saved", "discarded"),
    "planned": ("confirmed", "discarded"),
    "planned_and_saved": ("confirmed", "discarded"),
    "confirmed": ("apply_queued", "discarded", *END),
    "apply_queued": ("applying", *END),
    "applying": ("applied", *END),
    "applied": (),
    "planned_and_finished": (),
    "policy_soft_failed": (),
    "discarded": (),
    "errored": (),
    "canceled": (),
    "force_canceled": (),
}
FINAL = frozenset(state for state, following in NEXT.items() if not following)
CONFIRMABLE = frozenset({"planned", "policy_checked", "planned_and_saved"})
DISCARDABLE = frozenset({"pending", "planned", "planned_and_saved", "policy_checked", "policy_override"})
CANCELABLE = frozenset({"pending", "plan_queued", "planning", "policy_checking", "confirmed", "apply_queued", "applying"})
WAITING = frozenset({"pending", "confirmed"})  # for the workspace's queue
PLAN_FINAL = frozenset({"finished", "errored", "canceled", "unreachable"})


def stamp(state: str) -> str:
    """The key of `status-timestamps` for a state."""
    return state.replace("_", "-") + "-at"


def find_run(tx: Tx, run_id: str) -> Row[Any]:
    """The run, ours until the end of the transaction. Raises not_found."""
    found = one(tx, schema.runs, schema.runs.c.id == run_id, lock=True)
    if found is None:
        raise not_found("run")
    return found


def move(tx: Tx, run: Row[Any], to: str, **values: Any) -> Row[Any]:
    """The run in its new state. Raises conflict when it is not (any more) in the state it was read in, or `to` cannot follow."""
    if to not in NEXT[run.status]:
        raise conflict(f"The run is {run.status}; it cannot become {to}.")
    r = schema.runs
    stamps = {**run.status_timestamps, stamp(to): now()}
    query = sa.update(r).where(r.c.id == run.id, r.c.status == run.status).values(status=to, status_timestamps=stamps, **values)
    if tx.execute(query).rowcount != 1:
        raise conflict("The run was changed by somebody else at the same moment.")
    if to in FINAL:
        tx.execute(schema.tokens.delete().where(schema.tokens.c.run_id == run.id))
        record(tx, None, to, "run", run.id, organization_of(tx, run.workspace_id))
    return find_run(tx, run.id)


def organization_of(tx: Tx, workspace_id: str) -> str | None:
    """The id of a workspace's organization."""
    w = schema.workspaces
    return tx.execute(sa.select(w.c.organization_id).where(w.c.id == workspace_id)).scalar_one_or_none()


def move_phase(tx: Tx, table: sa.Table, run_id: str, status: str, **values: Any) -> None:
    """Give the plan or the apply of a run a new status."""
    found = one(tx, table, table.c.run_id == run_id, lock=True)
    assert found is not None, "a run has a plan and an apply from the start"
    stamps = {**found.status_timestamps, f"{'started' if status == 'running' else status}-at": now()}
    tx.execute(sa.update(table).where(table.c.id == found.id).values(status=status, status_timestamps=stamps, **values))
