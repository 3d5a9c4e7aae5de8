"""What people and workers do to a run. Every function works inside the caller's transaction and leaves the run in a state a client may see.

After the commit ring the run's id and "jobs". A person's act takes the Caller and is written to the audit trail.
https://developer.hashicorp.com/terraform/enterprise/api-docs/run
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import Caller
from haechi.tfe.audit import record
from haechi.tfe.errors import conflict, invalid, not_found
from haechi.tfe.runs import jobs, logs, queue, states
from haechi.tfe.store import Store, Tx, new_id, now, one

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,254}")  # the name of a terraform variable
COOL_OFF_SECONDS = 10.0  # between a cancellation and the right to force it


@dataclass(frozen=True)
class Asked:
    """What a new run is to be. None takes what workspace and configuration version say."""

    workspace_id: str
    configuration_version_id: str | None = None  # None: the newest that was uploaded and is not speculative
    message: str = ""
    source: str = "tfe-api"
    trigger_reason: str = "manual"
    is_destroy: bool = False
    refresh: bool = True
    refresh_only: bool = False
    plan_only: bool | None = None
    save_plan: bool = False
    auto_apply: bool | None = None
    allow_empty_apply: bool = False
    allow_config_generation: bool = False
    target_addrs: Sequence[str] = ()
    replace_addrs: Sequence[str] = ()
    variables: Sequence[dict[str, str]] = field(default=(), repr=False)
    terraform_version: str = ""
    triggered_by_id: str | None = None


def create_run(store: Store, tx: Tx, asked: Asked, caller: Caller | None) -> str:
    """The new run's id; its turn may have come at once. Raises invalid, not_found."""
    w = schema.workspaces
    workspace = one(tx, w, w.c.id == asked.workspace_id, lock=True)
    if workspace is None:
        raise not_found("workspace")
    configuration = _configuration(tx, workspace.id, asked.configuration_version_id)
    plan_only = configuration.speculative if asked.plan_only is None else asked.plan_only
    _check(workspace, asked, plan_only)
    run_id, plan_id, apply_id = new_id("run"), new_id("plan"), new_id("apply")
    message = asked.message or ("Queued manually via the Terraform Enterprise API" if caller else "Queued automatically")
    tx.execute(
        schema.runs.insert().values(
            id=run_id,
            workspace_id=workspace.id,
            configuration_version_id=configuration.id,
            number=store.number(),
            status="pending",
            message=message,
            source=asked.source,
            trigger_reason=asked.trigger_reason,
            is_destroy=asked.is_destroy,
            refresh=asked.refresh,
            refresh_only=asked.refresh_only,
            plan_only=plan_only,
            save_plan=asked.save_plan and not plan_only,
            auto_apply=workspace.auto_apply if asked.auto_apply is None else asked.auto_apply,
            allow_empty_apply=asked.allow_empty_apply,
            allow_config_generation=asked.allow_config_generation,
            target_addrs=list(asked.target_addrs),
            replace_addrs=list(asked.replace_addrs),
            variables=list(asked.variables),
            terraform_version=asked.terraform_version or workspace.terraform_version,
            created_by_id=caller.id if caller else None,
            triggered_by_id=asked.triggered_by_id,
            created_at=now(),
            status_timestamps={},
        )
    )
    tx.execute(schema.plans.insert().values(id=plan_id, run_id=run_id))
    tx.execute(schema.applies.insert().values(id=apply_id, run_id=run_id))
    logs.create(tx, plan_id)
    logs.create(tx, apply_id)
    record(tx, caller, "create", "run", run_id, workspace.organization_id, {"message": message[:500], "source": asked.source})
    if plan_only or asked.save_plan:
        queue.queue_plan(store, tx, run_id, queue.SPECULATIVE if plan_only else queue.PLAN)
    else:
        queue.schedule(store, tx, workspace.id)
    return run_id


def _configuration(tx: Tx, workspace_id: str, id: str | None) -> Row[Any]:
    c = schema.configuration_versions
    if id is None:
        usable = sa.and_(c.c.workspace_id == workspace_id, c.c.status == "uploaded", c.c.speculative.is_(False), c.c.provisional.is_(False))
        found = tx.execute(sa.select(c).where(usable).order_by(c.c.created_at.desc(), c.c.id).limit(1)).one_or_none()
        if found is None:
            raise invalid("The workspace has no configuration version yet.", title="unprocessable entity")
        return found
    found = one(tx, c, c.c.id == id, c.c.workspace_id == workspace_id)
    if found is None:
        raise not_found("configuration version")
    if found.status != "uploaded":
        raise invalid(f"The configuration version is {found.status}, not uploaded.", title="unprocessable entity")
    return found


def _check(workspace: Row[Any], asked: Asked, plan_only: bool) -> None:
    if workspace.execution_mode == "local":
        raise invalid("The workspace's execution mode is local; runs are made by the client.", title="unprocessable entity")
    if asked.is_destroy and not workspace.allow_destroy_plan:
        raise invalid("The workspace does not allow destroy plans.", "is-destroy")
    if asked.is_destroy and asked.refresh_only:
        raise invalid("A refresh-only run cannot destroy.", "refresh-only")
    if asked.refresh_only and not asked.refresh:
        raise invalid("A refresh-only run has to refresh.", "refresh")
    if plan_only and not workspace.speculative_enabled:
        raise invalid("The workspace does not allow speculative plans.", "plan-only")


def confirm(store: Store, tx: Tx, run_id: str, caller: Caller, comment: str = "") -> None:
    """A person says yes to the plan. Raises conflict unless the run waits for that."""
    run = states.find_run(tx, run_id)
    if run.status not in states.CONFIRMABLE:
        raise conflict(f"The run is {run.status}; it does not wait for a confirmation.", "transition not allowed")
    if run.save_plan and run.state_version_id != _current_state(tx, run.workspace_id):
        raise conflict("The state has changed since the plan was made; the plan is out of date.", "transition not allowed")
    _act(tx, run, caller, "apply", comment)
    run = states.move(tx, run, "confirmed", confirmed_by_id=caller.id)
    _to_apply(store, tx, run)


def discard(store: Store, tx: Tx, run_id: str, caller: Caller | None, comment: str = "") -> None:
    """Nobody will apply this. Raises conflict unless the run waits for a decision, or for its turn."""
    run = states.find_run(tx, run_id)
    if run.status not in states.DISCARDABLE:
        raise conflict(f"The run is {run.status}; it cannot be discarded.", "transition not allowed")
    _act(tx, run, caller, "discard", comment)
    states.move(tx, run, "discarded", discarded_by_id=caller.id if caller else None)
    _end_logs(tx, run_id)
    queue.release(store, tx, run_id, run.workspace_id)


def cancel(store: Store, tx: Tx, run_id: str, caller: Caller | None, comment: str = "") -> None:
    """Stop it: at once where no worker has begun, else the worker interrupts terraform once. Raises conflict."""
    run = states.find_run(tx, run_id)
    if run.status not in states.CANCELABLE or run.canceled_at:
        raise conflict(f"The run is {run.status}; it cannot be canceled.", "transition not allowed")
    _act(tx, run, caller, "cancel", comment)
    j = schema.jobs
    signalled = sa.update(j).where(j.c.run_id == run_id, j.c.taken.is_(True)).values(signal="cancel")
    if tx.execute(signalled).rowcount:
        values = {"canceled_at": now(), "force_cancel_available_at": now(COOL_OFF_SECONDS), "canceled_by_id": caller.id if caller else None}
        tx.execute(sa.update(schema.runs).where(schema.runs.c.id == run_id).values(**values))
        return
    states.move(tx, run, "canceled", canceled_at=now(), canceled_by_id=caller.id if caller else None)
    _close_phases(tx, run_id, "canceled")
    _leave(store, tx, run)


def force_cancel(store: Store, tx: Tx, run_id: str, caller: Caller, comment: str = "") -> None:
    """The worker kills terraform; state that it had not written is lost. Raises conflict before the cool-off is over."""
    run = states.find_run(tx, run_id)
    if not is_force_cancelable(run):
        raise conflict("The run has not been canceled, or not long enough ago.", "transition not allowed")
    _act(tx, run, caller, "force_cancel", comment)
    j = schema.jobs
    if tx.execute(sa.update(j).where(j.c.run_id == run_id, j.c.taken.is_(True)).values(signal="force")).rowcount == 0:
        raise conflict("The run is about to end by itself.", "transition not allowed")


def is_force_cancelable(run: Row[Any]) -> bool:
    """Whether a cancelled run may be killed now."""
    waited = run.force_cancel_available_at is not None and run.force_cancel_available_at <= now()
    return waited and run.status not in states.FINAL


def note_version(tx: Tx, run_id: str, version: str) -> None:
    """Which terraform a run got, where it asked for the latest or for none."""
    tx.execute(sa.update(schema.runs).where(schema.runs.c.id == run_id).values(terraform_version=version))


@dataclass(frozen=True)
class PlanResult:
    """What came of a plan. Counts are None where there is no plan."""

    status: str  # finished | errored | canceled | force_canceled
    has_changes: bool = False
    additions: int | None = None
    changes: int | None = None
    destructions: int | None = None
    imports: int | None = None
    error: str = ""


def finish_plan(store: Store, tx: Tx, run_id: str, result: PlanResult, has_policies: bool) -> bool:
    """Record the plan. True where policies come next: the caller evaluates them and calls finish_policies, holding the job until then.

    Otherwise the run has moved to where it waits or ends, and the job is gone. Log documents are the caller's, in the same transaction.
    """
    run = states.find_run(tx, run_id)
    counts = {
        "has_changes": result.has_changes,
        "resource_additions": result.additions,
        "resource_changes": result.changes,
        "resource_destructions": result.destructions,
        "resource_imports": result.imports,
    }
    finished = result.status == "finished"
    states.move_phase(tx, schema.plans, run_id, "finished" if finished else _phase_end(result.status), **(counts if finished else {}))
    if not finished:
        _fail(store, tx, run, result.status, result.error)
        return False
    values = {"has_changes": result.has_changes, "state_version_id": _current_state(tx, run.workspace_id)}
    tx.execute(sa.update(schema.runs).where(schema.runs.c.id == run_id).values(**values))
    run = states.find_run(tx, run_id)
    if not result.has_changes and not run.allow_empty_apply:
        states.move(tx, run, "planned_and_finished")
        _leave(store, tx, run)
        return False
    if has_policies:
        states.move(tx, run, "policy_checking")
        stamps = {"queued-at": now()}
        tx.execute(schema.policy_checks.insert().values(id=new_id("polchk"), run_id=run_id, created_at=now(), status_timestamps=stamps))
        return True
    jobs.drop(tx, run_id)
    _after_checks(store, tx, run, "planned")
    return False


def finish_policies(store: Store, tx: Tx, run_id: str, status: str, result: dict[str, Any], output: str) -> None:
    """Record the policy check (`status` passed, soft_failed, hard_failed or errored) and move the run accordingly."""
    run = states.find_run(tx, run_id)
    p = schema.policy_checks
    check = one(tx, p, p.c.run_id == run_id, lock=True)
    assert check is not None, "finish_plan made it"
    signalled = run.canceled_at is not None
    stamps = {**check.status_timestamps, states.stamp(status): now()}
    tx.execute(sa.update(p).where(p.c.id == check.id).values(status=status, result=result, output=output, status_timestamps=stamps))
    jobs.drop(tx, run_id)
    if signalled:
        _fail(store, tx, run, "canceled", "")
    elif status == "passed":
        _after_checks(store, tx, run, "policy_checked")
    elif status == "soft_failed":
        ended = states.move(tx, run, "policy_soft_failed" if run.plan_only else "policy_override")
        if ended.status in states.FINAL:
            _leave(store, tx, ended)
    else:
        _fail(store, tx, run, "errored", "A mandatory policy failed.")


def override_policies(store: Store, tx: Tx, run_id: str, caller: Caller) -> None:
    """Somebody with the permission lets a soft-mandatory failure pass. Raises conflict unless the run waits for that."""
    run = states.find_run(tx, run_id)
    if run.status != "policy_override":
        raise conflict(f"The run is {run.status}; no policy of it waits to be overridden.", "transition not allowed")
    record(tx, caller, "override_policies", "run", run_id, states.organization_of(tx, run.workspace_id))
    _after_checks(store, tx, run, "policy_checked")


def _after_checks(store: Store, tx: Tx, run: Row[Any], passed: str) -> None:
    """The plan is good: a speculative one is done, a saved one waits, an automatic one goes on, any other waits for a person."""
    if run.plan_only and passed == "planned":
        states.move(tx, run, "planned_and_finished")
        _leave(store, tx, run)
        return
    if run.save_plan and passed == "planned":
        states.move(tx, run, "planned_and_saved")
        return
    run = states.move(tx, run, passed)
    if run.plan_only:
        states.move(tx, run, "planned_and_finished")
        _leave(store, tx, run)
    elif run.save_plan:
        states.move(tx, run, "planned_and_saved")
    elif run.auto_apply:
        _to_apply(store, tx, states.move(tx, run, "confirmed"))


def _to_apply(store: Store, tx: Tx, run: Row[Any]) -> None:
    """A confirmed run: it holds the workspace already, or as a saved plan waits for it."""
    if run.save_plan:
        queue.schedule(store, tx, run.workspace_id)
    else:
        queue.queue_apply(store, tx, run.id)


@dataclass(frozen=True)
class ApplyResult:
    """What came of an apply. Counts are None where terraform did not say."""

    status: str  # finished | errored | canceled | force_canceled
    additions: int | None = None
    changes: int | None = None
    destructions: int | None = None
    imports: int | None = None
    error: str = ""


def finish_apply(store: Store, tx: Tx, run_id: str, result: ApplyResult) -> None:
    """Record the apply; the state is stored by the caller before, in the same transaction. Success fires the run triggers."""
    run = states.find_run(tx, run_id)
    counts = {
        "resource_additions": result.additions,
        "resource_changes": result.changes,
        "resource_destructions": result.destructions,
        "resource_imports": result.imports,
    }
    states.move_phase(tx, schema.applies, run_id, "finished" if result.status == "finished" else _phase_end(result.status), **counts)
    if result.status != "finished":
        _fail(store, tx, run, result.status, result.error)
        return
    run = states.move(tx, run, "applied")
    _leave(store, tx, run)
    _fire_triggers(store, tx, run)


def abandon(store: Store, tx: Tx, run_id: str, error: str) -> None:
    """The worker of a run is gone: its phase is unreachable, the run errored, the lock released."""
    run = states.find_run(tx, run_id)
    if run.status in states.FINAL:
        jobs.drop(tx, run_id)
        return
    _close_phases(tx, run_id, "unreachable")
    _fail(store, tx, run, "errored", error)


def _fire_triggers(store: Store, tx: Tx, run: Row[Any]) -> None:
    t, w = schema.run_triggers, schema.workspaces
    source = one(tx, w, w.c.id == run.workspace_id)
    assert source is not None, "the run's workspace is there"
    query = sa.select(w).join(t, t.c.workspace_id == w.c.id).where(t.c.sourceable_id == source.id).order_by(t.c.created_at)
    for target in tx.execute(query).all():
        asked = Asked(
            target.id,
            message=f"Triggered by run {run.id} in workspace {source.name}",
            source="tfe-run-trigger",
            trigger_reason="run_trigger",
            auto_apply=target.auto_apply_run_trigger,
            triggered_by_id=run.id,
        )
        c = schema.configuration_versions
        usable = sa.and_(c.c.workspace_id == target.id, c.c.status == "uploaded", c.c.speculative.is_(False), c.c.provisional.is_(False))
        if target.execution_mode == "local" or tx.execute(sa.select(c.c.id).where(usable).limit(1)).scalar() is None:
            record(tx, None, "trigger_skipped", "workspace", target.id, target.organization_id, {"run": run.id})  # nothing to run there yet
            continue
        create_run(store, tx, asked, None)


def _fail(store: Store, tx: Tx, run: Row[Any], status: str, error: str) -> None:
    jobs.drop(tx, run.id)
    states.move(tx, run, status if status in states.END else "errored", error_text=error[:2000])
    _leave(store, tx, run)


def _leave(store: Store, tx: Tx, run: Row[Any]) -> None:
    """A run is over: its job and its unused logs end, plans that its state made stale are discarded, the next run's turn comes."""
    jobs.drop(tx, run.id)
    _end_logs(tx, run.id)
    if not run.plan_only:
        _discard_stale(store, tx, run.workspace_id)
        queue.release(store, tx, run.id, run.workspace_id)


def _discard_stale(store: Store, tx: Tx, workspace_id: str) -> None:
    r = schema.runs
    current = _current_state(tx, workspace_id)
    stale = sa.and_(r.c.workspace_id == workspace_id, r.c.status == "planned_and_saved", r.c.state_version_id.is_distinct_from(current))
    for id in list(tx.execute(sa.select(r.c.id).where(stale)).scalars()):
        states.move(tx, states.find_run(tx, id), "discarded")


def _end_logs(tx: Tx, run_id: str) -> None:
    """Logs that no worker will ever write, so that nobody waits for them."""
    for table in (schema.plans, schema.applies):
        found = one(tx, table, table.c.run_id == run_id)
        if found is not None and found.status in ("pending", "queued", "canceled", "unreachable"):
            logs.append(tx, found.id, b"", close=True)


def _close_phases(tx: Tx, run_id: str, status: str) -> None:
    for table in (schema.plans, schema.applies):
        found = one(tx, table, table.c.run_id == run_id)
        if found is not None and found.status in ("queued", "running"):
            states.move_phase(tx, table, run_id, status)


def _phase_end(status: str) -> str:
    return "canceled" if status in ("canceled", "force_canceled") else "errored"


def _current_state(tx: Tx, workspace_id: str) -> str | None:
    w = schema.workspaces
    return tx.execute(sa.select(w.c.current_state_version_id).where(w.c.id == workspace_id)).scalar_one_or_none()


def _act(tx: Tx, run: Row[Any], caller: Caller | None, action: str, comment: str) -> None:
    """Write down what somebody does, and what they say about it."""
    record(tx, caller, action, "run", run.id, states.organization_of(tx, run.workspace_id), {"comment": comment[:500]} if comment else {})
    if comment:
        values = {"run_id": run.id, "body": comment, "created_by_id": caller.id if caller else None}
        tx.execute(schema.comments.insert().values(id=new_id("wsc"), created_at=now(), **values))
