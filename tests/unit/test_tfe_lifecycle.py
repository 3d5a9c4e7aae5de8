"""Runs from their making to their end: the whole table of states, the queue, and races of people and workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.errors import ApiError
from haechi.tfe.runs import jobs, lifecycle, states
from tests.tfelab import TfeLab, tfe_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TfeLab]:
    with tfe_lab(tmp_path) as lab:
        lab.organization()
        yield lab


def ready(lab: TfeLab, name: str = "app", **attributes: Any) -> str:
    workspace = lab.workspace(name, **attributes)
    lab.configuration(workspace)
    return workspace


def act(lab: TfeLab, run: str, action: str, **body: Any) -> int:
    return lab.call("POST", f"/runs/{run}/actions/{action}", body)[0]


def locked_by(lab: TfeLab, workspace: str) -> str | None:
    data = lab.get(f"/workspaces/{workspace}")["data"]["relationships"]["locked-by"]["data"]
    return data["id"] if data else None


def test_a_run_that_a_person_confirms(lab: TfeLab) -> None:
    workspace = ready(lab)
    run = lab.run(workspace, message="hello")
    assert lab.status(run) == "plan_queued" and locked_by(lab, workspace) == run
    lab.planned(run)
    shown = lab.get(f"/runs/{run}")["data"]["attributes"]
    assert shown["status"] == "planned" and shown["actions"]["is-confirmable"] and shown["actions"]["is-discardable"]
    assert act(lab, run, "apply", comment="go") == 202
    assert lab.status(run) == "apply_queued" and act(lab, run, "apply") == 409
    lab.applied(run)
    assert lab.status(run) == "applied" and locked_by(lab, workspace) is None
    stamps = lab.get(f"/runs/{run}")["data"]["attributes"]["status-timestamps"]
    assert list(stamps) == [
        f"{s}-at" for s in ("plan-queued", "planning", "planned", "confirmed", "apply-queued", "applying", "applied")
    ] and sorted(stamps.values()) == list(stamps.values())
    assert [c["attributes"]["body"] for c in lab.get(f"/runs/{run}/comments")["data"]] == ["go"]


@pytest.mark.parametrize(
    ("attributes", "changes", "policies", "verdict", "end"),
    [
        ({}, False, False, "", "planned_and_finished"),
        ({"plan_only": True}, True, False, "", "planned_and_finished"),
        ({"save_plan": True}, True, False, "", "planned_and_saved"),
        ({"auto_apply": True}, True, False, "", "apply_queued"),
        ({"allow_empty_apply": True}, False, False, "", "planned"),
        ({}, True, True, "passed", "policy_checked"),
        ({}, True, True, "soft_failed", "policy_override"),
        ({}, True, True, "hard_failed", "errored"),
        ({}, True, True, "errored", "errored"),
        ({"plan_only": True}, True, True, "passed", "planned_and_finished"),
        ({"plan_only": True}, True, True, "soft_failed", "policy_soft_failed"),
        ({"save_plan": True}, True, True, "passed", "planned_and_saved"),
        ({"auto_apply": True}, True, True, "passed", "apply_queued"),
        ({"auto_apply": True}, True, True, "soft_failed", "policy_override"),
    ],
)
def test_where_a_plan_leads(lab: TfeLab, attributes: dict[str, Any], changes: bool, policies: bool, verdict: str, end: str) -> None:
    run = lab.run(ready(lab), **attributes)
    lab.planned(run, changes, policies)
    if policies:
        assert lab.status(run) == "policy_checking"
        lab.judged(run, verdict)
    assert lab.status(run) == end
    actions = lab.get(f"/runs/{run}")["data"]["attributes"]["actions"]
    assert actions["is-confirmable"] == (end in ("planned", "policy_checked", "planned_and_saved"))


def test_no_move_that_is_not_in_the_table(lab: TfeLab) -> None:
    run = lab.run(ready(lab))
    for before, allowed in states.NEXT.items():
        for after in states.NEXT:
            with lab.store.write() as tx:
                tx.execute(sa.update(schema.runs).values(status=before, status_timestamps={}))
                row = states.find_run(tx, run)
                if after in allowed:
                    assert states.move(tx, row, after).status == after
                else:
                    with pytest.raises(ApiError, match="cannot become"):
                        states.move(tx, row, after)


def test_every_action_in_every_state(lab: TfeLab) -> None:
    """The flags a client reads say exactly what the action then does."""
    flags = {"apply": "is-confirmable", "discard": "is-discardable", "cancel": "is-cancelable", "force-cancel": "is-force-cancelable"}
    for number, status in enumerate(states.NEXT):
        for action, flag in flags.items():
            run = lab.run(ready(lab, f"w{number}-{action}"))
            with lab.store.write() as tx:
                tx.execute(sa.update(schema.runs).where(schema.runs.c.id == run).values(status=status))
            told = lab.get(f"/runs/{run}")["data"]["attributes"]["actions"][flag]
            assert (act(lab, run, action) == 202) == told, (status, action)


def test_the_queue_goes_in_order_and_speculative_plans_beside_it(lab: TfeLab) -> None:
    workspace = ready(lab)
    first, second, third = (lab.run(workspace) for _ in range(3))
    beside = lab.run(workspace, plan_only=True)
    assert [lab.status(r) for r in (first, second, third, beside)] == ["plan_queued", "pending", "pending", "plan_queued"]
    lab.planned(first)
    lab.planned(beside)
    assert act(lab, first, "discard") == 202
    assert lab.status(second) == "plan_queued" and locked_by(lab, workspace) == second
    assert act(lab, second, "cancel") == 202 and lab.status(second) == "canceled"
    assert lab.status(third) == "plan_queued" and locked_by(lab, workspace) == third


def test_applies_before_plans_before_speculative_ones(lab: TfeLab) -> None:
    one, two = ready(lab, "one"), ready(lab, "two")
    applied = lab.run(one, auto_apply=True)
    speculative = lab.run(two, plan_only=True)
    job = jobs.take(lab.store, "worker-1")
    assert job is not None and job.run_id == applied
    with lab.store.write() as tx:
        lifecycle.finish_plan(lab.store, tx, applied, lifecycle.PlanResult("finished", True), False)
    planned = lab.run(two)
    order = [jobs.take(lab.store, "worker-1") for _ in range(4)]
    assert [(j.run_id, j.phase) for j in order if j] == [(applied, "apply"), (planned, "plan"), (speculative, "plan")]


def test_an_apply_goes_to_the_worker_that_has_the_plan(lab: TfeLab) -> None:
    run = lab.run(ready(lab), auto_apply=True)
    lab.planned(run)
    assert jobs.take(lab.store, "worker-2") is None
    lab.applied(run)
    assert lab.status(run) == "applied"


def test_two_people_confirm_one_run_one_apply(lab: TfeLab) -> None:
    run = lab.run(ready(lab))
    lab.planned(run)
    answers: list[int] = []
    start = threading.Barrier(8)

    def confirm() -> None:
        start.wait()
        answers.append(act(lab, run, "apply"))

    people = [threading.Thread(target=confirm) for _ in range(8)]
    [person.start() for person in people]
    [person.join() for person in people]
    assert sorted(answers) == [202] + [409] * 7
    with lab.store.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(schema.jobs)).scalar_one() == 1


def test_workers_never_take_one_job_twice(lab: TfeLab) -> None:
    workspace = ready(lab)
    runs = {lab.run(workspace, plan_only=True) for _ in range(30)}
    taken: list[str] = []

    def work(name: str) -> None:
        while job := jobs.take(lab.store, name):
            taken.append(job.run_id)

    workers = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(6)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    assert len(taken) == 30 and set(taken) == runs


def test_a_locked_workspace_keeps_runs_waiting(lab: TfeLab) -> None:
    workspace = ready(lab)
    assert lab.call("POST", f"/workspaces/{workspace}/actions/lock", {})[0] == 200
    run = lab.run(workspace)
    assert lab.status(run) == "pending" and lab.call("POST", f"/workspaces/{workspace}/actions/lock", {})[0] == 409
    assert lab.call("POST", f"/workspaces/{workspace}/actions/unlock")[0] == 200
    assert lab.status(run) == "plan_queued"
    assert lab.call("POST", f"/workspaces/{workspace}/actions/force-unlock")[0] == 409, "a run at work keeps its lock"


def test_a_saved_plan_is_stale_once_the_state_has_changed(lab: TfeLab) -> None:
    workspace = ready(lab)
    saved = lab.run(workspace, save_plan=True)
    lab.planned(saved)
    assert lab.status(saved) == "planned_and_saved" and locked_by(lab, workspace) is None
    with lab.store.write() as tx:
        tx.execute(sa.update(schema.workspaces).values(current_state_version_id="sv-other"))
    status, document = lab.call("POST", f"/runs/{saved}/actions/apply", {})
    assert status == 409 and "out of date" in document["errors"][0]["detail"]
    other = lab.run(workspace)
    lab.planned(other, has_changes=False)
    assert lab.status(saved) == "discarded"


def test_cancel_of_a_running_plan_is_a_signal_to_its_worker(lab: TfeLab) -> None:
    run = lab.run(ready(lab))
    job = jobs.take(lab.store, "worker-1")
    assert job is not None and act(lab, run, "cancel") == 202
    assert jobs.signals(lab.store, "worker-1") == {job.id: "cancel"} and lab.status(run) == "planning"
    assert act(lab, run, "cancel") == 409
    with lab.store.write() as tx:
        lifecycle.finish_plan(lab.store, tx, run, lifecycle.PlanResult("canceled"), False)
    assert lab.status(run) == "canceled"


def test_runs_of_a_dead_worker_end_and_free_the_workspace(lab: TfeLab) -> None:
    workspace = ready(lab)
    run, waiting = lab.run(workspace), lab.run(workspace)
    jobs.take(lab.store, "worker-1")
    jobs.beat(lab.store, "worker-1")
    with lab.store.write() as tx:
        assert jobs.orphans(tx) == []
        tx.execute(sa.update(schema.workers).values(heartbeat_at="2000-01-01T00:00:00.000Z"))
        assert jobs.orphans(tx) == [run]
        lifecycle.abandon(lab.store, tx, run, "gone")
    assert lab.status(run) == "errored" and lab.status(waiting) == "plan_queued"
    assert lab.get(f"/runs/{run}/plan")["data"]["attributes"]["status"] == "unreachable"


def test_triggers_queue_runs_where_there_is_something_to_run(lab: TfeLab) -> None:
    source, target, empty = ready(lab, "source"), ready(lab, "target", **{"auto-apply-run-trigger": True}), lab.workspace("empty")
    for workspace in (target, empty):
        lab.create(
            f"/workspaces/{workspace}/run-triggers", "run-triggers", {}, {"sourceable": {"data": {"type": "workspaces", "id": source}}}
        )
    run = lab.run(source, auto_apply=True)
    lab.planned(run)
    lab.applied(run)
    triggered = lab.get(f"/workspaces/{target}/runs")["data"]
    assert len(triggered) == 1 and triggered[0]["attributes"]["auto-apply"] and run in triggered[0]["attributes"]["message"]
    assert lab.get(f"/workspaces/{empty}/runs")["data"] == []
    lab.planned(triggered[0]["id"], has_changes=False)
    failing = lab.run(source, auto_apply=True)
    lab.planned(failing)
    lab.applied(failing, "errored")
    assert len(lab.get(f"/workspaces/{target}/runs")["data"]) == 1


@pytest.mark.parametrize(
    ("attributes", "workspace", "status"),
    [
        ({"is-destroy": True}, {"allow-destroy-plan": False}, 422),
        ({"is-destroy": True, "refresh-only": True}, {}, 422),
        ({"refresh-only": True, "refresh": False}, {}, 422),
        ({"plan-only": True}, {"speculative-enabled": False}, 422),
        ({}, {"execution-mode": "local"}, 422),
        ({"variables": [{"key": "a"}]}, {}, 422),
        ({"variables": [{"key": "a b", "value": "1"}]}, {}, 422),
        ({"target-addrs": ["-destroy"]}, {}, 422),
        ({"message": 7}, {}, 422),
        ({"message": "x" * 5000}, {}, 422),
    ],
)
def test_runs_that_cannot_be(lab: TfeLab, attributes: dict[str, Any], workspace: dict[str, Any], status: int) -> None:
    id = ready(lab, **workspace)
    body = {"data": {"type": "runs", "attributes": attributes, "relationships": {"workspace": {"data": {"type": "workspaces", "id": id}}}}}
    assert lab.call("POST", "/runs", body)[0] == status
    assert lab.get(f"/workspaces/{id}/runs")["data"] == []


def test_no_run_without_an_uploaded_configuration(lab: TfeLab) -> None:
    workspace = lab.workspace()
    body = {"data": {"type": "runs", "relationships": {"workspace": {"data": {"type": "workspaces", "id": workspace}}}}}
    assert lab.call("POST", "/runs", body)[0] == 422
    version = lab.create(f"/workspaces/{workspace}/configuration-versions", "configuration-versions", {"auto-queue-runs": False})
    assert lab.client.put(version["attributes"]["upload-url"], content=b"no tarball").status_code == 422
    assert lab.get(f"/configuration-versions/{version['id']}")["data"]["attributes"]["status"] == "errored"
    body["data"]["relationships"]["configuration-version"] = {"data": {"type": "configuration-versions", "id": version["id"]}}
    assert lab.call("POST", "/runs", body)[0] == 422
