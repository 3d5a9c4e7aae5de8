"""What workers take: the plan or the apply of one run. Two workers never get the same one, and what a dead worker held is not forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.runs import states
from haechi.tfe.store import Store, Tx, now, one

DEAD_SECONDS = 60.0  # without a heartbeat


@dataclass(frozen=True)
class Job:
    """One phase of one run. `log_id` is its plan's or apply's id."""

    id: str
    run_id: str
    workspace_id: str
    phase: Literal["plan", "apply"]
    log_id: str


def take(store: Store, worker_id: str) -> Job | None:
    """The most urgent job that is free for this worker, with the run moved to planning or applying; None when there is none."""
    j = schema.jobs
    with store.write() as tx:
        free = sa.and_(j.c.taken.is_(False), j.c.worker_id.in_(("", worker_id)))
        query = sa.select(j).where(free).order_by(j.c.priority, j.c.number).limit(1).with_for_update(skip_locked=True)
        found = tx.execute(query).one_or_none()
        if found is None:
            return None
        tx.execute(sa.update(j).where(j.c.id == found.id).values(taken=True, worker_id=worker_id, heartbeat_at=now()))
        run = states.find_run(tx, found.run_id)
        table = schema.plans if found.phase == "plan" else schema.applies
        values = {"worker_id": worker_id} if found.phase == "plan" else {}
        states.move(tx, run, "planning" if found.phase == "plan" else "applying", **values)
        states.move_phase(tx, table, run.id, "running")
        job = _job(tx, found)
    store.bell.ring(job.run_id)
    return job


def held(store: Store, worker_id: str) -> list[Job]:
    """Jobs this worker had taken when it last stopped."""
    j = schema.jobs
    with store.read() as tx:
        return [_job(tx, row) for row in tx.execute(sa.select(j).where(j.c.taken.is_(True), j.c.worker_id == worker_id))]


def beat(store: Store, worker_id: str) -> None:
    """Say that the worker lives, and that its jobs are in good hands."""
    j, k = schema.jobs, schema.workers
    with store.write() as tx:
        if tx.execute(sa.update(k).where(k.c.id == worker_id).values(heartbeat_at=now())).rowcount == 0:
            tx.execute(k.insert().values(id=worker_id, heartbeat_at=now()))
        tx.execute(sa.update(j).where(j.c.taken.is_(True), j.c.worker_id == worker_id).values(heartbeat_at=now()))


def signals(store: Store, worker_id: str) -> dict[str, str]:
    """What people want of the worker's jobs, by job id: "", "cancel" or "force"."""
    j = schema.jobs
    with store.read() as tx:
        return dict(tx.execute(sa.select(j.c.id, j.c.signal).where(j.c.taken.is_(True), j.c.worker_id == worker_id)).all())


def orphans(tx: Tx) -> list[str]:
    """Runs whose job belongs to a worker that has not been heard of for DEAD_SECONDS."""
    j, k = schema.jobs, schema.workers
    dead = sa.select(k.c.id).where(k.c.heartbeat_at < now(-DEAD_SECONDS))
    return list(tx.execute(sa.select(j.c.run_id).where(j.c.worker_id.in_(dead))).scalars())


def drop(tx: Tx, run_id: str) -> None:
    """The phase is over."""
    tx.execute(schema.jobs.delete().where(schema.jobs.c.run_id == run_id))


def _job(tx: Tx, row: sa.Row[tuple[object, ...]]) -> Job:
    table = schema.plans if row.phase == "plan" else schema.applies
    phase = one(tx, table, table.c.run_id == row.run_id)
    assert phase is not None, "a run has a plan and an apply from the start"
    return Job(row.id, row.run_id, row.workspace_id, row.phase, phase.id)
