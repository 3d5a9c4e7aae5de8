"""Whose turn it is: one run at a time holds a workspace, the others wait in the order they came.

Speculative plans, and plans that are to be saved, take neither queue nor lock. A saved plan joins the queue when it is confirmed.
"""

from __future__ import annotations

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.runs import states
from haechi.tfe.store import Store, Tx, new_id, now, one

APPLY, PLAN, SPECULATIVE = 1, 2, 3


def schedule(store: Store, tx: Tx, workspace_id: str) -> None:
    """Give the workspace to the next run that waits, if nobody has it. Ring "jobs" after the commit."""
    w, r = schema.workspaces, schema.runs
    workspace = one(tx, w, w.c.id == workspace_id, lock=True)
    if workspace is None or workspace.locked_by:
        return
    waiting = sa.and_(r.c.workspace_id == workspace_id, r.c.plan_only.is_(False))
    plans = sa.and_(r.c.status == "pending", r.c.save_plan.is_(False))
    next_run = tx.execute(sa.select(r.c.id).where(waiting, sa.or_(r.c.status == "confirmed", plans)).order_by(r.c.number).limit(1)).scalar()
    if next_run is None:
        return
    run = states.find_run(tx, next_run)
    tx.execute(sa.update(w).where(w.c.id == workspace_id).values(locked_by="run", locked_by_id=run.id, current_run_id=run.id))
    if run.status == "confirmed":
        queue_apply(store, tx, run.id)
    else:
        queue_plan(store, tx, run.id, PLAN)


def queue_plan(store: Store, tx: Tx, run_id: str, priority: int) -> None:
    """Hand the plan of a pending run to the workers."""
    run = states.move(tx, states.find_run(tx, run_id), "plan_queued")
    states.move_phase(tx, schema.plans, run.id, "queued")
    _add_job(store, tx, run.id, run.workspace_id, "plan", priority, "")


def queue_apply(store: Store, tx: Tx, run_id: str) -> None:
    """Hand the apply of a confirmed run to the worker that made its plan."""
    run = states.move(tx, states.find_run(tx, run_id), "apply_queued")
    states.move_phase(tx, schema.applies, run.id, "queued")
    _add_job(store, tx, run.id, run.workspace_id, "apply", APPLY, run.worker_id or "")


def _add_job(store: Store, tx: Tx, run_id: str, workspace_id: str, phase: str, priority: int, worker_id: str) -> None:
    values = {"run_id": run_id, "workspace_id": workspace_id, "phase": phase, "priority": priority, "worker_id": worker_id}
    tx.execute(schema.jobs.insert().values(id=new_id("job"), number=store.number(), created_at=now(), **values))


def release(store: Store, tx: Tx, run_id: str, workspace_id: str) -> None:
    """A run is over: its lock goes, and the next run's turn comes."""
    w = schema.workspaces
    held = sa.update(w).where(w.c.id == workspace_id, w.c.locked_by == "run", w.c.locked_by_id == run_id)
    tx.execute(held.values(locked_by="", locked_by_id=None, lock_reason=""))
    schedule(store, tx, workspace_id)
