"""The server, the supervisor, terraform: whoever is killed, terraform runs once, the state is kept, the workspace is free."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.tfeworker import Server, is_alive, pack, served, until
from tests.unit.test_tfe_worker import DATA, sleeping


def test_apply_goes_on_without_the_server(tmp_path: Path) -> None:
    with served(tmp_path / "home") as server:
        workspace = server.workspace("app")
        main = sleeping(tmp_path / "x", f"echo once >> {tmp_path}/times; seq 1 3000")
        run = server.run(workspace, {"main.tf": main}, auto_apply=True)
        until((tmp_path / "x").exists)
        server.end(signal.SIGKILL)
        (tmp_path / "x.go").touch()
        server.start()
        assert server.ended(run) == "applied"
        assert (tmp_path / "times").read_text() == "once\n"
        log = server.log(run, "apply")
        shown = [line.rsplit(" ", 1)[-1].replace("\x1b[0m", "") for line in log.splitlines() if "(local-exec):" in line]
        assert [int(word) for word in shown if word.isdigit()] == list(range(1, 3001))
        assert log.count("Initializing plugins") == log.count("Apply complete!") == 1
        state = server.state(workspace)
        assert state is not None and len(state["resources"]) == 2 and not server.is_locked(workspace)


@pytest.mark.parametrize("terraform_too", [False, True])
def test_plan_goes_on_without_the_server(tmp_path: Path, terraform_too: bool) -> None:
    program = slow_terraform(tmp_path)
    with served(tmp_path / "home", terraform=str(program)) as server:
        workspace = server.workspace("app")
        run = server.run(workspace, {"main.tf": DATA}, auto_apply=True)
        until((tmp_path / "planning").exists)
        supervisor, pid = server.command_pids(run, "plan")
        server.end(signal.SIGKILL)
        if terraform_too:
            os.kill(supervisor, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
            until(lambda: not is_alive(pid))
        (tmp_path / "go").touch()
        server.start()
        assert server.ended(run) == ("errored" if terraform_too else "applied")
        assert (tmp_path / "planning").read_text() == "once\n" and server.log(run, "plan").endswith("\x03")
        assert not server.is_locked(workspace)


def slow_terraform(directory: Path, before: str = "") -> Path:
    """The real program, but its plan waits for a file."""
    script = directory / "terraform"
    real = shutil.which("terraform")
    script.write_text(
        f'#!/bin/sh\nif [ "$1" = plan ]; then {before}echo once >> {directory}/planning; '
        f'for i in $(seq 1200); do test -e {directory}/go && break; sleep 0.05; done; fi\nexec {real} "$@"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def test_terraform_and_its_supervisor_are_killed(tmp_path: Path) -> None:
    with served(tmp_path / "home") as server:
        workspace = server.workspace("app")
        run = server.run(workspace, {"main.tf": sleeping(tmp_path / "x")}, auto_apply=True)
        until((tmp_path / "x").exists)
        for pid in server.command_pids(run, "apply"):
            os.kill(pid, signal.SIGKILL)
        assert server.ended(run) == "errored"
        state = server.state(workspace)
        assert state is not None and "first" in {r["name"] for r in state["resources"]} and not server.is_locked(workspace)
        assert server.log(run, "apply").endswith("\x03")


def test_force_cancel_kills(tmp_path: Path) -> None:
    program = slow_terraform(tmp_path, before="trap '' INT; ")
    with served(tmp_path / "home", terraform=str(program)) as server:
        workspace = server.workspace("app")
        run = server.run(workspace, {"main.tf": DATA}, auto_apply=True)
        until((tmp_path / "planning").exists)
        _, pid = server.command_pids(run, "plan")
        server.post(f"/runs/{run}/actions/cancel", "runs")
        refused = server.client.post(f"/runs/{run}/actions/force-cancel")
        assert refused.status_code == 409 and "not long enough ago" in refused.text
        with sqlite3.connect(server.home / "tfe.db") as database:  # the cool-off is over
            database.execute("UPDATE runs SET force_cancel_available_at = '2000-01-01T00:00:00.000Z'")
        assert is_alive(pid)
        server.post(f"/runs/{run}/actions/force-cancel", "runs")
        assert server.ended(run) == "force_canceled" and not is_alive(pid) and not server.is_locked(workspace)


def test_two_workers_never_take_the_same_job(tmp_path: Path) -> None:
    program = tmp_path / "terraform"
    plan = json.dumps({"format_version": "1.2", "resource_changes": [], "output_changes": {}})
    program.write_text(
        f'#!/bin/sh\ncase $1 in\nversion) echo \'{{"terraform_version": "1.11.4"}}\';;\n'
        f"plan) echo \"$TFC_RUN_ID\" >> {tmp_path}/planned; sleep 0.1;;\nshow) echo '{plan}';;\nesac\n"
    )
    program.chmod(0o755)
    database = f"sqlite:///{tmp_path}/shared.db"
    with served(tmp_path / "one", terraform=str(program), database=database) as first:
        second = Server(tmp_path / "two", terraform=str(program), database=database)
        shutil.copytree(tmp_path / "one", tmp_path / "two", ignore=shutil.ignore_patterns("worker*", "runs"))
        second.start()
        try:
            workspace = first.workspace("busy")
            runs = [first.run(workspace, {"main.tf": ""}, plan_only=True) for _ in range(40)]
            assert {first.ended(run) for run in runs} == {"planned_and_finished"}
            with sqlite3.connect(tmp_path / "shared.db") as shared:
                workers = dict(shared.execute("SELECT worker_id, count(*) FROM runs GROUP BY worker_id").fetchall())
        finally:
            second.end()
    assert sorted((tmp_path / "planned").read_text().split()) == sorted(runs)
    assert len(workers) == 2 and None not in workers


def test_policies_are_judged_again_over_the_whole_plan(tmp_path: Path) -> None:
    """The server is killed while a policy is at work; the one after it must not judge a plan whose secrets are blanked."""
    slow = 'import "tfplan/v2" as tfplan\nfor range(0, 3000000) as i { x = i }\n'
    policy = slow + 'main = rule { tfplan.resource_changes["terraform_data.a"].change.after.input is not "secret-but-open" }\n'
    files = {"sentinel.hcl": 'policy "p" {\n  source = "./p.sentinel"\n  enforcement_level = "hard-mandatory"\n}\n', "p.sentinel": policy}
    with served(tmp_path / "home") as server:
        workspace = server.workspace("app", [{"key": "name", "value": "secret-but-open", "sensitive": True}])
        made = server.post("/organizations/acme/policy-sets", "policy-sets", {"name": "p", "global": True})
        version = server.post(f"/policy-sets/{made['id']}/versions", "policy-set-versions")
        server.client.put(version["links"]["upload"], content=pack(files)).raise_for_status()
        run = server.run(workspace, {"main.tf": DATA}, auto_apply=True)
        until(lambda: server.status(run) == "policy_checking")
        server.end(signal.SIGKILL)
        server.start()
        assert server.ended(run) == "errored"
        check = server.get(f"/runs/{run}/policy-checks")[0]
        assert check["attributes"]["status"] == "hard_failed"
        assert "Result: false" in server.client.get(f"/policy-checks/{check['id']}/output").text
        assert not server.is_locked(workspace) and server.state(workspace) is None
