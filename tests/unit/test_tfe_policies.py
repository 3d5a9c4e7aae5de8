"""Policy sets over the API and over real plans: which sets judge which runs, what a failure stops, and hostile policies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.tfeclient import DATA
from tests.tfeworker import Server, pack, served, until

PASSING, FAILING = "main = true", "main = false"
OPEN = """import "tfplan/v2" as tfplan
import "tfrun"
param forbidden default "open"
changed = filter tfplan.resource_changes as _, rc { rc.change.actions is not ["delete"] }
main = rule { all changed as _, rc { rc.change.after.input is not forbidden } }
"""
REGO = """package acme
import rego.v1
deny contains "is open" if {
  input.plan.resource_changes[i].change.after.input == "open"
}
"""
LOOP = """package acme
import rego.v1
n := numbers.range(1, 3000)
deny contains m if { some a in n; some b in n; some c in n; a + b + c == -1; m := c }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("tfe")) as found:
        yield found


def sentinel(text: str, level: str = "hard-mandatory") -> dict[str, str]:
    return {"sentinel.hcl": f'policy "p" {{\n  source = "./p.sentinel"\n  enforcement_level = "{level}"\n}}\n', "p.sentinel": text}


def rego(text: str, level: str = "mandatory") -> dict[str, str]:
    return {"policies.hcl": f'policy "closed" {{\n  query = "data.acme.deny"\n  enforcement_level = "{level}"\n}}\n', "p.rego": text}


def policy_set(server: Server, name: str, files: dict[str, str], workspaces: list[str], **attributes: Any) -> str:
    """A ready policy set; its id."""
    links = {"workspaces": {"data": [{"type": "workspaces", "id": id} for id in workspaces]}}
    body = {"data": {"type": "policy-sets", "attributes": {"name": name, "kind": "sentinel", **attributes}, "relationships": links}}
    answer = server.client.post("/organizations/acme/policy-sets", json=body)
    assert answer.status_code == 201, answer.text
    id = str(answer.json()["data"]["id"])
    assert upload(server, id, files).status_code == 200
    return id


def upload(server: Server, id: str, files: dict[str, str]) -> httpx.Response:
    version = server.post(f"/policy-sets/{id}/versions", "policy-set-versions")
    return server.client.put(version["links"]["upload"], content=pack(files))


def judged(server: Server, workspace: str, value: str = "closed", **attributes: Any) -> tuple[str, str]:
    """(run, its status once it waits or has ended)"""
    run = server.run(workspace, {"main.tf": DATA}, variables=[{"key": "name", "value": f'"{value}"'}], **attributes)
    busy = ("pending", "plan_queued", "planning", "policy_checking", "confirmed", "apply_queued", "applying")
    until(lambda: server.status(run) not in busy)
    return run, server.status(run)


def result(server: Server, run: str) -> dict[str, Any]:
    check = server.get(f"/runs/{run}/policy-checks")[0]
    found: dict[str, Any] = {**check["attributes"]["result"], "status": check["attributes"]["status"], "id": check["id"]}
    return found


@pytest.mark.parametrize(
    ("kind", "files", "overridable", "waits"),
    [
        ("sentinel", sentinel(OPEN, "advisory"), None, "policy_checked"),
        ("sentinel", sentinel(OPEN, "soft-mandatory"), None, "policy_override"),
        ("sentinel", sentinel(OPEN), None, "errored"),
        ("opa", rego(REGO, "advisory"), None, "policy_checked"),
        ("opa", rego(REGO), True, "policy_override"),
        ("opa", rego(REGO), False, "errored"),
    ],
)
def test_levels(server: Server, kind: str, files: dict[str, str], overridable: bool | None, waits: str) -> None:
    name = f"{kind}-{waits.replace('_', '-')}"
    workspace = server.workspace(name)
    policy_set(server, name, files, [workspace], kind=kind, **({} if overridable is None else {"overridable": overridable}))
    run, status = judged(server, workspace, "open")
    assert status == waits and result(server, run)["total-failed"] == 1
    if waits != "errored":
        server.post(f"/runs/{run}/actions/discard", "")
    run, status = judged(server, workspace, auto_apply=True)
    assert status == "applied" and result(server, run)["passed"] == 1
    run, status = judged(server, workspace, auto_apply=True, is_destroy=True)
    assert status == "applied", "nothing of a destroy is open"


def test_which_sets_judge_which_runs(server: Server) -> None:
    one, two, three = (server.workspace(f"scope-{n}") for n in range(3))
    only = policy_set(server, "only-one", sentinel(FAILING), [one])
    assert [judged(server, w)[1] for w in (one, two)] == ["errored", "planned"]
    everywhere = policy_set(server, "everywhere", sentinel(FAILING), [], **{"global": True})
    excluded = {"data": [{"type": "workspaces", "id": three}]}
    answer = server.client.post(f"/policy-sets/{everywhere}/relationships/workspace-exclusions", json=excluded)
    assert answer.status_code == 204
    for run in [r["id"] for r in server.get(f"/workspaces/{two}/runs") if r["attributes"]["status"] == "planned"]:
        server.post(f"/runs/{run}/actions/discard", "")
    assert [judged(server, w)[1] for w in (one, two, three)] == ["errored", "errored", "planned"]
    for id in (everywhere, only):
        assert server.client.delete(f"/policy-sets/{id}").status_code == 204
    assert judged(server, two)[1] == "planned"


def test_parameters_and_new_versions(server: Server) -> None:
    workspace = server.workspace("params")
    id = policy_set(server, "params", sentinel(OPEN), [workspace])
    parameter = {"key": "forbidden", "value": "s3cr3t-word", "category": "policy-set", "sensitive": True}
    made = server.post(f"/policy-sets/{id}/parameters", "vars", parameter)
    assert made["attributes"]["value"] is None
    run, status = judged(server, workspace, "s3cr3t-word")
    assert status == "errored" and judged(server, workspace, "open", auto_apply=True)[1] == "applied"
    output = server.client.get(f"/policy-checks/{result(server, run)['id']}/output").text
    assert "FALSE" in output and "p.sentinel" in output
    assert upload(server, id, sentinel(FAILING)).status_code == 200
    assert judged(server, workspace, "again")[1] == "errored"
    assert server.client.delete(f"/policy-sets/{id}").status_code == 204


@pytest.mark.parametrize(
    ("kind", "files", "said"),
    [
        ("sentinel", {"p.sentinel": PASSING}, "no sentinel.hcl"),
        ("sentinel", {"sentinel.hcl": 'policy "p" {\n  source = "./none.sentinel"\n}\n'}, "none.sentinel"),
        ("sentinel", sentinel("main = rule {"), "p.sentinel"),
        ("sentinel", {"sentinel.hcl": 'policy "p" {\n  source = "../../etc/passwd"\n}\n'}, "outside"),
        ("opa", {"p.rego": REGO}, "no policies.hcl"),
        ("opa", rego("package acme\ndeny contains {"), "p.rego"),
    ],
)
def test_sets_that_cannot_be(server: Server, kind: str, files: dict[str, str], said: str) -> None:
    body = {"data": {"type": "policy-sets", "attributes": {"name": f"bad-{abs(hash((kind, said))) % 10**6}", "kind": kind}}}
    id = server.client.post("/organizations/acme/policy-sets", json=body).json()["data"]["id"]
    answer = upload(server, id, files)
    assert answer.status_code == 422 and said in answer.text, answer.text
    assert server.client.delete(f"/policy-sets/{id}").status_code == 204


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("sentinel", sentinel("n = [1]\nfor range(0, 100000000, 1) as i { n = n + n }\nmain = true", "soft-mandatory")),
        ("sentinel", sentinel("f = func() { return f() }\nmain = f()", "soft-mandatory")),
        ("opa", rego(LOOP)),
    ],
)
def test_a_hostile_policy_fails_and_the_server_goes_on(server: Server, kind: str, files: dict[str, str]) -> None:
    workspace = server.workspace(f"hostile-{abs(hash(str(files))) % 10**6}")
    id = policy_set(server, f"hostile-{abs(hash(str(files))) % 10**6}", files, [workspace], kind=kind)
    began = time.monotonic()
    _, status = judged(server, workspace)
    assert status in ("errored", "policy_override") and time.monotonic() - began < 45
    assert server.client.get("/account/details").status_code == 200 and server.client.delete(f"/policy-sets/{id}").status_code == 204


def test_overriding_is_for_named_people_and_happens_once(server: Server) -> None:
    workspace = server.workspace("override")
    policy_set(server, "override", sentinel(FAILING, "soft-mandatory"), [workspace])
    run, status = judged(server, workspace)
    assert status == "policy_override"
    path = f"/policy-checks/{result(server, run)['id']}/actions/override"
    _, writer = server.user("writer", "write")
    token = server.client.post("/organizations/acme/authentication-token").json()["data"]["attributes"]["token"]
    for other in (writer, token):
        refused = httpx.post(str(server.client.base_url).rstrip("/") + path, headers={"Authorization": f"Bearer {other}"}, trust_env=False)
        assert refused.status_code == 403 and "manage-policy-overrides" in refused.text, refused.text
    answers: list[int] = []
    people = [
        threading.Thread(target=lambda: answers.append(server.client.post(path, json={"comment": "it is Friday"}).status_code))
        for _ in range(6)
    ]
    [person.start() for person in people]
    [person.join() for person in people]
    assert sorted(answers) == [200] + [409] * 5
    assert server.status(run) == "policy_checked" and result(server, run)["status"] == "overridden"
    trail = httpx.get(
        f"{server.client.base_url}organization/audit-trail", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ).json()
    told = [e for e in trail["data"] if e["resource"]["action"] == "override"]
    assert len(told) == 1 and told[0]["auth"]["description"] == "admin" and told[0]["resource"]["meta"]["comment"] == "it is Friday"
    server.post(f"/runs/{run}/actions/apply", "")
    assert server.ended(run) == "applied"


def test_a_speculative_run_only_tells(server: Server, tmp_path: Path) -> None:
    workspace = server.workspace("speculative")
    policy_set(server, "speculative", sentinel(FAILING, "soft-mandatory"), [workspace])
    assert judged(server, workspace, plan_only=True)[1] == "policy_soft_failed"
