"""Runs on the worker, with the real terraform program and its built-in resource; a server process that is stopped, never mocked."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tfeworker import Server, is_alive, served, until

DATA = 'resource "terraform_data" "a" {\n  input = var.name\n}\nvariable "name" { default = "none" }\noutput "name" { value = var.name }\n'
BACKEND = 'terraform {\n  backend "remote" {\n    organization = "acme"\n    workspaces { name = "other" }\n  }\n}\n'


def sleeping(file: Path, then: str = "true") -> str:
    """A resource whose creation says so in a file and then lasts until it is stopped."""
    return f"""resource "terraform_data" "first" {{}}
resource "terraform_data" "slow" {{
  depends_on = [terraform_data.first]
  provisioner "local-exec" {{ command = "touch {file}; for i in $(seq 1200); do test -e {file}.go && break; sleep 0.05; done; {then}" }}
}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("tfe")) as found:
        yield found


def test_plan_apply_and_destroy(server: Server) -> None:
    workspace = server.workspace("life", [{"key": "name", "value": "sun"}])
    files = {"main.tf": DATA + BACKEND + 'output "where" { value = terraform.workspace }\n'}
    run = server.run(workspace, files)
    until(lambda: server.status(run) == "planned")
    plan = server.get(f"/runs/{run}/plan")
    assert (plan["attributes"]["resource-additions"], plan["attributes"]["status"]) == (1, "finished")
    log = server.log(run, "plan")
    assert log.startswith("\x02Terraform v") and log.split("\n")[2] == "Initializing plugins and modules..." and log.endswith("\x03")
    server.post(f"/runs/{run}/actions/apply", "runs")
    assert server.ended(run) == "applied"
    assert server.log(run, "apply").count("Apply complete! Resources: 1 added") == 1
    state = server.state(workspace)
    assert state is not None and state["outputs"]["where"]["value"] == "life" and state["outputs"]["name"]["value"] == "sun"
    assert not server.is_locked(workspace) and not (server.home / "runs" / run).exists()
    assert server.ended(server.run(workspace, files, auto_apply=True)) == "planned_and_finished"
    assert server.ended(server.run(workspace, files, auto_apply=True, is_destroy=True)) == "applied"
    gone = server.state(workspace)
    assert gone is not None and gone["resources"] == [] and gone["serial"] > state["serial"]


def test_variables_of_run_beat_the_workspace_and_the_archive(server: Server) -> None:
    given = [{"key": "name", "value": "workspace"}, {"key": "unknown", "value": "x"}, {"key": "list", "value": "[1, 2]", "hcl": True}]
    workspace = server.workspace("variables", given)
    files = {
        "main.tf": DATA + 'variable "list" { type = list(number) }\noutput "n" { value = length(var.list) }',
        "a.auto.tfvars": 'name="file"',
    }
    assert server.ended(server.run(workspace, files, auto_apply=True)) == "applied"
    state = server.state(workspace)
    assert state is not None and state["outputs"]["name"]["value"] == "workspace" and state["outputs"]["n"]["value"] == 2
    run = server.run(workspace, files, auto_apply=True, variables=[{"key": "name", "value": '"run"'}])
    assert server.ended(run) == "applied"
    state = server.state(workspace)
    assert state is not None and state["outputs"]["name"]["value"] == "run"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"main.tf": "resource {"}, "terraform init failed"),
        ({"main.tf": 'output "x" { value = file("none") }'}, "Invalid function argument"),
        ({"main.tf": 'provider "none" {}\nterraform { required_providers { none = { source = "local.invalid/x/none" } } }'}, "init failed"),
    ],
)
def test_bad_configuration_says_why(server: Server, files: dict[str, str], said: str) -> None:
    workspace = server.workspace("bad-" + str(abs(hash(said)) % 100000))
    run = server.run(workspace, files)
    assert server.ended(run) == "errored"
    assert said in server.log(run, "plan") and server.log(run, "plan").endswith("\x03") and not server.is_locked(workspace)


def test_working_directory(server: Server) -> None:
    workspace = server.workspace("below", working_directory="env/prod")
    assert server.ended(server.run(workspace, {"env/prod/main.tf": DATA, "main.tf": "broken {"}, auto_apply=True)) == "applied"
    missing = server.run(workspace, {"main.tf": DATA})
    assert server.ended(missing) == "errored" and "no directory 'env/prod'" in server.log(missing, "plan")


def test_failed_apply_keeps_its_state(server: Server, tmp_path: Path) -> None:
    workspace = server.workspace("fails")
    (tmp_path / "x.go").touch()
    run = server.run(workspace, {"main.tf": sleeping(tmp_path / "x", "exit 3")}, auto_apply=True)
    assert server.ended(run) == "errored"
    state = server.state(workspace)
    assert state is not None and {r["name"] for r in state["resources"]} == {"first", "slow"}
    assert "exit status 3" in server.log(run, "apply") and not server.is_locked(workspace)


def test_cancel_interrupts_an_apply_and_keeps_the_state(server: Server, tmp_path: Path) -> None:
    workspace = server.workspace("cancel")
    run = server.run(workspace, {"main.tf": sleeping(tmp_path / "x")}, auto_apply=True)
    until((tmp_path / "x").exists)
    server.post(f"/runs/{run}/actions/cancel", "runs")
    until(lambda: "Interrupt received" in server.log(run, "apply"))
    assert server.ended(run) == "canceled"
    state = server.state(workspace)
    assert state is not None and "first" in {r["name"] for r in state["resources"]} and not server.is_locked(workspace)


def test_stop_leaves_no_terraform(tmp_path: Path) -> None:
    with served(tmp_path / "home") as server:
        workspace = server.workspace("stop")
        run = server.run(workspace, {"main.tf": sleeping(tmp_path / "x")}, auto_apply=True)
        until((tmp_path / "x").exists)
        pids = server.command_pids(run, "apply")
        server.end()
        assert not any(is_alive(pid) for pid in pids)
        server.start()
        assert server.status(run) == "errored" and not server.is_locked(workspace)
        assert server.state(workspace) is not None


def test_sensitive_values_are_in_no_log_and_no_document(server: Server) -> None:
    secret, other = "tr0ub4dor&3-unseen", "correct-horse-battery"
    given = [
        {"key": "name", "value": secret, "sensitive": True},
        {"key": "TOLD", "value": other, "sensitive": True, "category": "env"},
        {"key": "nested", "value": f'{{ a = "{other}-in-hcl" }}', "sensitive": True, "hcl": True},
    ]
    workspace = server.workspace("secrets", given)
    loud = """variable "nested" {}
resource "terraform_data" "b" {
  input = var.nested
  provisioner "local-exec" { command = "echo $TOLD; env" }
}
"""
    run = server.run(workspace, {"main.tf": DATA + loud}, auto_apply=True)
    assert server.ended(run) == "applied"
    text = server.log(run, "plan") + server.log(run, "apply")
    assert "(sensitive value)" in text
    text += server.client.get(f"/runs/{run}/plan/json-output-redacted").text + server.client.get(f"/runs/{run}/plan/json-output").text
    assert secret not in text and other not in text
    for name in ("log_chunks", "audit"):
        with sqlite3.connect(server.home / "tfe.db") as database:
            assert secret not in str(database.execute(f"SELECT * FROM {name}").fetchall())


def test_a_run_sees_nothing_of_others_and_cannot_lead_the_server_astray(server: Server, tmp_path: Path) -> None:
    holder = server.workspace("holder", [{"key": "name", "value": "s3cr3t-of-another", "sensitive": True}])
    held = server.run(holder, {"main.tf": DATA})
    until(lambda: server.status(held) == "planned")
    home = server.home
    victim = tmp_path / "victim"
    victim.write_text("mine")
    spy = f"""resource "terraform_data" "spy" {{
  provisioner "local-exec" {{
    command = <<-EOT
      cat {home}/tfe.db {home}/token {home}/runs/{held}/cli.tfrc; ls -R {home}; ls /proc | grep -c '^[0-9]'
      echo x > $TF_CLI_CONFIG_FILE; rm -f $TF_CLI_CONFIG_FILE; ln -sf {victim} $TF_CLI_CONFIG_FILE
      mount -t tmpfs none /mnt && echo MOUNTED; kill -0 {os.getpid()} && echo KILLED
      grep -r s3cr3t-of-anothe[r] {home} && echo FOUND
      true
    EOT
  }}
}}
"""
    workspace = server.workspace("spy")
    run = server.run(workspace, {"main.tf": spy}, auto_apply=True)
    assert server.ended(run) == "applied"
    log = server.log(run, "apply")
    output = "\n".join(line for line in log.splitlines() if "Executing" not in line)
    assert "No such file" in output and held not in output.replace(f"runs/{held}/cli.tfrc: No such", "")
    assert not any(f": {word}" in output or f"(local-exec):\x1b[0m \x1b[0m{word}" in output for word in ("MOUNTED", "KILLED", "FOUND"))
    assert victim.read_text() == "mine"


def test_a_state_that_is_a_link_out_is_not_followed(server: Server) -> None:
    holder = server.workspace("owner")
    assert server.ended(server.run(holder, {"main.tf": DATA}, auto_apply=True)) == "applied"
    held = server.run(holder, {"main.tf": DATA.replace('"none"', '"more"')})
    until(lambda: server.status(held) == "planned")
    target = server.home / "runs" / held / "files" / "state" / "owner" / "terraform.tfstate"
    assert target.exists()
    later = "sleep 1; f=$(ls -d $HOME/../state/thief); rm -rf $f; mkdir $f; ln -s {} $f/terraform.tfstate; kill -9 $PPID"
    main = f'resource "terraform_data" "t" {{\n  provisioner "local-exec" {{ command = "{later.format(target)}" }}\n}}\n'
    workspace = server.workspace("thief")
    run = server.run(workspace, {"main.tf": main}, auto_apply=True)
    server.ended(run)
    state = server.state(workspace)
    assert state is None or state["lineage"] != (server.state(holder) or {})["lineage"]
