"""Runs on Terraform Enterprise as `up` and `down` queue them: planned, shown, judged by policies, confirmed, applied, told line by line."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from haechi.clients import tfe_runs
from haechi.clients.tfe import Resource, Tfe
from haechi.pipeline import sweep, tfe
from haechi.pipeline.drive import POLL_SECONDS, Drive
from haechi.pipeline.failure import Failure
from haechi.pipeline.run import Run
from haechi.pipeline.terraform import list_resources


def apply_remote(run: Run, name: str) -> dict[str, Any]:
    """Bring one part to what the blueprint says by a run in its workspace; its outputs."""
    run.part(name).copy_files(run.blueprint / name)
    with tfe.client(run.target) as server:
        workspace = _workspace(run, server, name)
        configuration = _configuration(run, server, name, workspace)
        followed = _settle(run, server, name, workspace)
        if not _is_done(followed, configuration, run.values.get("applied_at", "")):
            for line in sweep.remove_strays(run.target, name, list_resources(server.state(workspace))):
                run.say(line)
            made = tfe_runs.create_run(server, workspace, f"haechi {run.command}", configuration)
            ended = Drive(run, server, name, made["id"]).to_end()
            if name == "03_app" and ended["attributes"]["status"] == "applied":
                run.values["applied_at"] = made["attributes"]["created-at"]
        return server.outputs(workspace)


def destroy_remote(run: Run, name: str) -> bool:
    """Destroy what a workspace's state manages. Whether there was anything."""
    found = tfe.workspace(run.target, name)
    if found is None:
        return False
    with tfe.client(run.target) as server:
        _settle(run, server, name, found["id"])
        if not list_resources(server.state(found["id"])):
            return False
        run.say("destroying")
        made = tfe_runs.create_run(server, found["id"], f"haechi {run.command}", is_destroy=True)
        Drive(run, server, name, made["id"]).to_end()
    return True


def _workspace(run: Run, server: Tfe, name: str) -> str:
    found = server.workspace(tfe.organization(run.target), name)
    if found is None:
        raise Failure(f"There is no workspace {name}.", "Run `haechi up` again; it makes it.")
    return str(found["id"])


def _configuration(run: Run, server: Tfe, name: str, workspace: str) -> str:
    """The configuration version of the blueprint's part: the workspace's newest when its content is the same, else a new one."""
    archive = tfe_runs.pack(run.blueprint / name)
    digest = hashlib.sha256(archive).hexdigest()
    note = run.target.work / "meow" / f"{name}.uploaded"
    known = note.read_text().split() if note.exists() else []
    if len(known) == 2 and known[0] == digest and server.read(f"configuration-versions/{known[1]}") is not None:
        return known[1]
    id = tfe_runs.upload_configuration(server, workspace, archive)
    note.write_text(f"{digest} {id}\n")
    return id


def _settle(run: Run, server: Tfe, name: str, workspace: str) -> Resource | None:
    """Leave no run of the workspace open; the newest one that a trigger queued and that came to its end, if any.

    What a killed `up` left waiting is discarded: the plan may be old. What a trigger queued is taken to its end.
    A person's run that waits is that person's.
    """
    triggered = None
    for each in sorted(tfe_runs.list_runs(server, workspace), key=lambda r: r["attributes"]["created-at"])[-20:]:
        message = each["attributes"].get("message") or ""
        by_trigger = is_triggered(each)
        if not tfe_runs.is_final(each):
            if by_trigger:
                each = Drive(run, server, name, each["id"]).to_end()
            else:
                _end(run, server, name, each["id"], ours=message.startswith("haechi "))
        if by_trigger:
            triggered = each
    return triggered


def _end(run: Run, server: Tfe, name: str, id: str, *, ours: bool) -> None:
    """Wait for a run that is at work; discard it when it waits for an answer and is ours."""
    url = tfe.run_url(run.target, name, id)
    run.say(f"waiting for the run {id} that is there already: {url}")
    while not tfe_runs.is_final(found := tfe_runs.read_run(server, id)):
        attributes = found["attributes"]
        if attributes["actions"]["is-confirmable"] or attributes["status"] == "policy_override":
            if not ours:
                raise Failure(f"The run {id} of {name} waits for somebody's answer.", f"Confirm or discard it: {url}")
            run.say(f"discarding the run {id} that an earlier haechi left waiting")
            tfe_runs.act(server, id, "discard", "Left waiting by an earlier haechi")
        time.sleep(POLL_SECONDS)


def is_triggered(run: Resource) -> bool:
    """Whether a run trigger queued it."""
    attributes = run["attributes"]
    return "trigger" in str(attributes.get("source") or "") or str(attributes.get("message") or "").startswith("Triggered ")


def _is_done(followed: Resource | None, configuration: str, since: str) -> bool:
    """Whether the triggered run did what ours would do: the same configuration, after the apply that triggered it."""
    if followed is None or not since or followed["attributes"]["created-at"] < since:
        return False
    return tfe_runs.related(followed, "configuration-version") == configuration
