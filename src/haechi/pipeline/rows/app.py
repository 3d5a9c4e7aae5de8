"""Rows 4.8 and 4.11: instances by runs of Terraform Enterprise, and their page."""

from __future__ import annotations

import subprocess
import time

import httpx

from haechi.clients import tfe_runs
from haechi.clients.tfe import Resource, Tfe
from haechi.pipeline import tfe
from haechi.pipeline.cloud import ECS, connect
from haechi.pipeline.drive import render_verdicts
from haechi.pipeline.rows.balancer import read_instance
from haechi.pipeline.run import Run, operator_key

OPEN = "0.0.0.0/0"
INGRESS = "restrict-ingress-sg-rule-cidr-blocks"
COMMENT = "haechi verify: override shown, run discarded, nothing opened"
PLAN_SECONDS = 120.0
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5")


def row_4_8(run: Run) -> str:
    """The real terraform plans remotely and finds nothing to do; who confirmed the last apply is recorded; an open SSH rule is held.

    Every instance of the output is Running by the API, and lets the operator in by SSH.
    """
    outputs = run.outputs("03_app")
    assert outputs, "03_app is not applied; `haechi up` applies it"
    with tfe.client(run.target) as server:
        workspace = server.workspace(tfe.organization(run.target), "03_app")
        assert workspace is not None, "there is no workspace 03_app"
        planned = _plan_remotely(run, server, workspace["id"])
        applied = _last_applied(server, workspace["id"])
        held = _hold_open_ssh(run, server, workspace["id"])
    return f"{planned}; {applied}; {held}; {_instances(run, outputs['ecs_ids'], outputs['public_ips'])}"


def _plan_remotely(run: Run, server: Tfe, workspace: str) -> str:
    """`terraform init` and `plan -detailed-exitcode` in the working copy: run by the server, empty, judged by the policies."""
    part = run.part("03_app")
    part.copy_files(run.blueprint / "03_app")
    part.init()
    before = {each["id"] for each in tfe_runs.list_runs(server, workspace)}
    empty, text = part.plan()
    assert empty, "a second plan of 03_app is not empty"
    new = [each["id"] for each in tfe_runs.list_runs(server, workspace) if each["id"] not in before]
    assert len(new) == 1 and new[0] in text, f"terraform plan made the runs {new}"
    plan = tfe_runs.related(tfe_runs.read_run(server, new[0]), "plan")
    log = "".join(tfe_runs.follow_log(server, "plans", plan))
    assert "No changes" in log and "No changes" in text, "the plan's log does not say that nothing changes"
    return f"terraform plan ran as {new[0]} with nothing to change"


def _last_applied(server: Tfe, workspace: str) -> str:
    """The last run that was applied: its log, its policies, who confirmed it."""
    found = next((r for r in tfe_runs.list_runs(server, workspace) if r["attributes"]["status"] == "applied"), None)
    assert found is not None, "no run of 03_app was applied"
    log = "".join(tfe_runs.follow_log(server, "applies", tfe_runs.related(found, "apply")))
    assert "Apply complete!" in log, f"the apply log of {found['id']} does not end well"
    verdicts = _verdicts(server, found["id"])
    assert INGRESS in {name for name, _, _ in verdicts}, f"run {found['id']} was not judged by {INGRESS}"
    who = tfe_runs.related(found, "confirmed-by")
    assert who, f"nobody confirmed {found['id']}"
    name = (server.read(f"users/{who}") or {"attributes": {"username": who}})["attributes"]["username"]
    return f"{found['id']} judged by {len(verdicts)} policies and confirmed by {name}"


def _verdicts(server: Tfe, run: str) -> list[tuple[str, str, bool]]:
    return [v for check in tfe_runs.policy_checks(server, run) for v in render_verdicts(tfe_runs.policy_output(server, check["id"]))]


def _hold_open_ssh(run: Run, server: Tfe, workspace: str) -> str:
    """A run that would open SSH to everybody fails softly, is overridden with a comment on record, and is discarded."""
    variable = {"key": "operator_cidr", "value": f'"{OPEN}"'}
    made = server.create(
        "runs",
        "runs",
        {"message": "haechi verify: SSH open to everybody", "auto-apply": False, "variables": [variable]},
        {"workspace": {"data": {"type": "workspaces", "id": workspace}}},
    )
    id = str(made["id"])
    try:
        _wait(server, id, "policy_override")
        failed = [name for name, _, passed in _verdicts(server, id) if not passed]
        assert INGRESS in failed, f"{INGRESS} is not among what failed: {failed}"
        check = next(c for c in tfe_runs.policy_checks(server, id) if c["attributes"]["status"] == "soft_failed")
        tfe_runs.override(server, id, check["id"], COMMENT)
        found = _wait(server, id, "policy_checked")
        assert found["attributes"]["actions"]["is-confirmable"], "an overridden run cannot be confirmed"
        status = tfe_runs.policy_checks(server, id)[0]["attributes"]["status"]
        assert status == "overridden", f"the policy check is {status}"
        comments = [c["attributes"]["body"] for c in server.every(f"runs/{id}/comments")]
        assert COMMENT in comments, "the override's comment is not on record"
    finally:
        if tfe_runs.read_run(server, id)["attributes"]["actions"]["is-discardable"]:
            tfe_runs.act(server, id, "discard", COMMENT)
    _wait(server, id, "discarded")
    return f"with ssh from {OPEN} {id} failed {INGRESS} softly, was overridden on record and discarded"


def _wait(server: Tfe, id: str, status: str) -> Resource:
    deadline = time.monotonic() + PLAN_SECONDS
    while True:
        found = tfe_runs.read_run(server, id)
        if found["attributes"]["status"] == status:
            return found
        assert not tfe_runs.is_final(found), f"run {id} ended {found['attributes']['status']}, not {status}"
        assert time.monotonic() < deadline, f"run {id} is still {found['attributes']['status']}"
        time.sleep(0.2)


def _instances(run: Run, ids: list[str], addresses: list[str]) -> str:
    asked = "[" + ",".join(f'"{id}"' for id in ids) + "]"
    answer = connect(run.target).call("ecs", ECS, "DescribeInstances", {"InstanceIds": asked, "PageSize": 50})
    states = {i["InstanceId"]: i["Status"] for i in answer["Instances"]["Instance"]}
    assert states == {id: "Running" for id in ids}, f"instances are {states}"
    names = []
    for address in addresses:
        key = str(operator_key(run.target))
        done = subprocess.run([*SSH, "-i", key, f"root@{address}", "hostname"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"ssh to {address}: {done.stderr.strip()[-200:]}"
        names.append(done.stdout.strip())
    refused = subprocess.run([*SSH, "-i", "/dev/null", f"root@{addresses[0]}", "true"], capture_output=True, timeout=30)
    assert refused.returncode != 0, "ssh let a caller in without a key"
    return f"{len(ids)} instances Running; ssh to {', '.join(names)}; without the key refused"


def row_4_11(run: Run) -> str:
    """The page and its picture come from the public address, and a closed port of it does not answer."""
    url = run.outputs("04_slb")["url"]
    page = httpx.get(url, trust_env=False, timeout=10)
    picture = httpx.get(f"{url}cat.svg", trust_env=False, timeout=10)
    assert page.status_code == 200 and 'src="cat.svg"' in page.text, f"the page is HTTP {page.status_code}"
    assert picture.status_code == 200 and picture.text.lstrip().startswith("<svg"), f"the picture is HTTP {picture.status_code}"
    try:
        httpx.get(url.rstrip("/") + ":81/", trust_env=False, timeout=2)
    except httpx.TransportError:
        return f"{url} shows the cat, served by {read_instance(page.text)}; port 81 is closed"
    raise AssertionError("port 81 of the load balancer answers")
