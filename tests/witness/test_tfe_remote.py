"""`backend "remote"` of the real terraform: every command of it, and what it does when a person says no, stop, or override."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tfeclient import DATA, Terraform, remote
from tests.tfeworker import Server, served, until
from tests.unit.test_tfe_worker import sleeping


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("tfe")) as found:
        yield found


def test_the_life_of_a_workspace(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=DATA, backend=remote('name = "life"'))
    assert "successfully initialized" in terraform("init", "-input=false")
    assert "1 to add" in terraform("plan", "-input=false")
    assert "1 to add" in terraform("plan", "-input=false", "-detailed-exitcode", code=2)
    applied = terraform("apply", say="yes\n")
    assert "Apply complete! Resources: 1 added" in applied and "terraform_data.a: Creating..." in applied
    assert "No changes" in terraform("plan", "-input=false", "-detailed-exitcode")
    assert terraform.json("output", "-json")["name"]["value"] == "none"
    assert terraform("output", "-raw", "name") == "none"
    assert terraform("state", "list").split() == ["terraform_data.a"]
    assert 'output = "none"' in terraform("state", "show", "terraform_data.a")
    assert 'input  = "none"' in terraform("show")
    state = json.loads(terraform("state", "pull"))
    state["serial"] += 1
    (terraform.directory / "new.tfstate").write_text(json.dumps(state))
    terraform("state", "push", "new.tfstate")
    assert json.loads(terraform("state", "pull"))["serial"] >= state["serial"]
    state["serial"] -= 1
    (terraform.directory / "old.tfstate").write_text(json.dumps(state))
    assert "serial" in terraform("state", "push", "old.tfstate", code=1)
    terraform("state", "mv", "terraform_data.a", "terraform_data.b")
    terraform.write(main=DATA.replace('"a"', '"b"').replace(".a.", ".b."))
    assert "No changes" in terraform("plan", "-input=false", "-detailed-exitcode")
    terraform("taint", "terraform_data.b")
    assert "1 to add, 0 to change, 1 to destroy" in terraform("plan", "-input=false")
    terraform("untaint", "terraform_data.b")
    terraform("state", "rm", "terraform_data.b")
    assert terraform("state", "list").strip() == ""
    terraform("apply", "-auto-approve", "-input=false", "-target=terraform_data.b")
    assert "1 to destroy" in terraform("plan", "-destroy", "-input=false")
    assert "1 destroyed" in terraform("apply", "-destroy", "-auto-approve", "-input=false")
    assert "No changes" in terraform("destroy", "-auto-approve", "-input=false")
    assert terraform.complaints() == []


def test_workspaces_of_a_prefix(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=DATA, backend=remote('prefix = "stage-"'))
    assert "No existing workspaces" in terraform("init", "-input=false", code=1)
    server.workspace("stage-dev")
    terraform("init", "-input=false")
    assert terraform("workspace", "show").strip() == "dev"
    terraform("workspace", "new", "prod")
    assert {line.strip("* ") for line in terraform("workspace", "list").split("\n") if line.strip()} == {"dev", "prod"}
    terraform("apply", "-auto-approve", "-input=false")
    terraform("workspace", "select", "dev")
    assert "1 to add" in terraform("plan", "-input=false")
    assert "not empty" in terraform("workspace", "delete", "prod", code=1)
    terraform("workspace", "delete", "-force", "prod")
    assert "prod" not in terraform("workspace", "list")
    assert terraform.complaints() == []


def test_saying_no_discards_the_run(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=DATA, backend=remote('name = "no"'))
    terraform("init", "-input=false")
    assert "Apply discarded" in terraform("apply", say="no\n", code=1)
    runs = server.get(f"/workspaces/{workspace(server, 'no')}/runs")
    assert [run["attributes"]["status"] for run in runs] == ["discarded"]
    assert not server.is_locked(workspace(server, "no"))


def workspace(server: Server, name: str) -> str:
    return str(server.get(f"/organizations/acme/workspaces/{name}")["id"])


def test_an_error_in_the_plan_and_in_the_apply(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main='output "x" { value = file("none") }', backend=remote('name = "error"'))
    terraform("init", "-input=false")
    assert "Invalid function argument" in terraform("plan", "-input=false", code=1)
    (tmp_path / "x.go").touch()
    terraform.write(main=sleeping(tmp_path / "x", "exit 7"))
    assert "exit status 7" in terraform("apply", "-auto-approve", "-input=false", code=1)
    assert "terraform_data.first" in terraform("state", "list")


def test_interrupting_the_client_cancels_the_run(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=sleeping(tmp_path / "x"), backend=remote('name = "stop"'))
    terraform("init", "-input=false")
    process = terraform.start("apply", "-auto-approve")
    until((tmp_path / "x").exists)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert "The remote operation was successfully cancelled." in out
    run = server.get(f"/workspaces/{workspace(server, 'stop')}/runs")[0]["id"]
    assert server.ended(run) == "canceled"
    assert "terraform_data.first" in terraform("state", "list")


def test_a_locked_workspace_waits_and_force_unlock_frees_it(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=DATA, backend=remote('name = "locked"'))
    terraform("init", "-input=false")
    terraform("apply", "-auto-approve", "-input=false")
    server.post(f"/workspaces/{workspace(server, 'locked')}/actions/lock", "")
    (tmp_path / "x.tfstate").write_text(terraform("state", "pull"))
    assert "locked" in terraform("state", "rm", "terraform_data.a", code=1)
    terraform("force-unlock", "-force", "acme/locked")
    assert not server.is_locked(workspace(server, "locked"))
    assert "No changes" in terraform("plan", "-input=false")


def test_without_a_token_and_with_a_bad_one(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", token="no.atlasv1.such", main=DATA, backend=remote('name = "x"'))
    assert "unauthorized" in terraform("init", "-input=false", code=1)


def test_policies_at_the_terminal(server: Server, tmp_path: Path) -> None:
    policy = 'import "tfplan/v2" as tfplan\nmain = rule { all tfplan.resource_changes as _, rc { rc.change.after.input is not "open" } }\n'
    for level in ("advisory", "soft-mandatory", "hard-mandatory"):
        policy_set(server, level, {"sentinel.hcl": f'policy "closed" {{\n  enforcement_level = "{level}"\n}}\n', "closed.sentinel": policy})
    open_up = DATA.replace('"none"', '"open"')

    def client(level: str, main: str) -> Terraform:
        terraform = Terraform(server, tmp_path / level, main=main, backend=remote(f'name = "{level}"'))
        terraform("init", "-input=false")
        assign(server, level)
        return terraform

    told = client("advisory", open_up)("apply", "-auto-approve", "-input=false")
    assert "closed (advisory)" in told and "Result: false" in told and "Apply complete!" in told
    soft = client("soft-mandatory", open_up)
    _, writer = server.user("writer", workspace_access="write")
    other = Terraform(server, tmp_path / "writer", token=writer, main=open_up, backend=remote('name = "soft-mandatory"'))
    other("init", "-input=false")
    assert "soft failed" in other("apply", "-auto-approve", "-input=false", code=1)
    held = server.get(f"/workspaces/{workspace(server, 'soft-mandatory')}/runs")[0]["id"]
    server.post(f"/runs/{held}/actions/discard", "")
    assert "discarded" in soft("apply", say="no\n", code=1).lower()
    assert "Apply complete!" in soft.converse("apply", "Only 'override'", "override", "Only 'yes'", "yes")
    hard = client("hard-mandatory", open_up)
    assert "hard failed" in hard("apply", say="override\nyes\n", code=1)
    hard.write(main=DATA)
    assert "Apply complete!" in hard("apply", "-auto-approve", "-input=false")
    assert hard.complaints() == []


def policy_set(server: Server, name: str, files: dict[str, str]) -> None:
    """A policy set of one version, for no workspace yet."""
    from tests.tfeworker import pack

    made = server.post("/organizations/acme/policy-sets", "policy-sets", {"name": name, "kind": "sentinel"})
    version = server.post(f"/policy-sets/{made['id']}/versions", "policy-set-versions")
    server.client.put(version["links"]["upload"], content=pack(files)).raise_for_status()


def assign(server: Server, name: str) -> None:
    """The policy set of a name judges the workspace of that name."""
    found = next(s for s in server.get("/organizations/acme/policy-sets") if s["attributes"]["name"] == name)
    body = {"data": [{"type": "workspaces", "id": workspace(server, name)}]}
    answer = server.client.post(f"/policy-sets/{found['id']}/relationships/workspaces", json=body)
    assert answer.status_code == 204, answer.text
