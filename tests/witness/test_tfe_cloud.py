"""The `cloud` block of the real terraform: names, tags, saved plans, values on the command line, states shared between workspaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tfeclient import DATA, Terraform, cloud, remote
from tests.tfeworker import Server, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("tfe")) as found:
        yield found


def workspace(server: Server, name: str) -> str:
    return str(server.get(f"/organizations/acme/workspaces/{name}")["id"])


def test_the_life_of_a_workspace(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=DATA, cloud=cloud('name = "life"'))
    assert "has been successfully initialized" in terraform("init", "-input=false")
    assert "1 to add" in terraform("plan", "-input=false", "-detailed-exitcode", code=2)
    assert "Apply complete! Resources: 1 added" in terraform("apply", say="yes\n")
    assert "No changes" in terraform("plan", "-input=false", "-detailed-exitcode")
    changed = terraform("apply", "-auto-approve", "-input=false", "-var", "name=moon")
    assert "1 changed" in changed and terraform("output", "-raw", "name") == "moon"
    assert "1 added, 0 changed, 1 destroyed" in terraform(
        "apply", "-auto-approve", "-input=false", "-var", "name=moon", "-replace=terraform_data.a"
    )
    assert "No changes" in terraform("plan", "-refresh-only", "-input=false", "-var", "name=moon")
    assert terraform("state", "list").split() == ["terraform_data.a"]
    terraform("state", "mv", "terraform_data.a", "terraform_data.b")
    assert "1 destroyed" in terraform("destroy", "-auto-approve", "-input=false")
    assert terraform.complaints() == []


def test_a_saved_plan(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=DATA, cloud=cloud('name = "saved"'))
    terraform("init", "-input=false")
    assert "1 to add" in terraform("plan", "-input=false", "-out=tfplan")
    assert "terraform_data.a will be created" in terraform("show", "tfplan")
    assert terraform.json("show", "-json", "tfplan")["resource_changes"][0]["change"]["actions"] == ["create"]
    assert not server.is_locked(workspace(server, "saved"))
    stale = terraform("plan", "-input=false", "-out=stale")
    assert "1 to add" in stale
    assert "Apply complete! Resources: 1 added" in terraform("apply", "-input=false", "tfplan")
    assert "Apply complete" not in terraform("apply", "-input=false", "stale", code=1)
    assert "Apply complete" not in terraform("apply", "-input=false", "tfplan", code=1)
    assert terraform.complaints() == []


def test_workspaces_of_a_tag(server: Server, tmp_path: Path) -> None:
    for name in ("tagged-one", "tagged-two"):
        links = {"tags": {"data": [{"type": "tags", "attributes": {"name": "web"}}]}}
        document = {"data": {"type": "workspaces", "attributes": {"name": name}, "relationships": links}}
        server.client.post("/organizations/acme/workspaces", json=document).raise_for_status()
    server.workspace("untagged")
    terraform = Terraform(server, tmp_path / "app", main=DATA, cloud=cloud('tags = ["web"]'))
    terraform("init", "-input=false", TF_WORKSPACE="tagged-one")
    listed = {line.strip("* ") for line in terraform("workspace", "list").split("\n") if line.strip()}
    assert listed == {"tagged-one", "tagged-two"}
    terraform("workspace", "select", "tagged-two")
    assert "Apply complete!" in terraform("apply", "-auto-approve", "-input=false")
    terraform("workspace", "new", "tagged-three")
    assert server.get("/organizations/acme/workspaces/tagged-three")["attributes"]["tag-names"] == ["web"]
    assert terraform.complaints() == []


def test_a_local_state_moves_in(server: Server, tmp_path: Path) -> None:
    terraform = Terraform(server, tmp_path / "app", main=DATA)
    terraform("init", "-input=false")
    terraform("apply", "-auto-approve", "-input=false")
    terraform.write(cloud=cloud('name = "migrated"'))
    assert "successfully initialized" in terraform("init", say="yes\n")
    assert terraform("state", "list").split() == ["terraform_data.a"]
    assert "No changes" in terraform("plan", "-input=false", "-detailed-exitcode")


def test_execution_on_the_client(server: Server, tmp_path: Path) -> None:
    server.workspace("local", execution_mode="local")
    terraform = Terraform(server, tmp_path / "app", main=DATA, cloud=cloud('name = "local"'))
    terraform("init", "-input=false")
    assert "Apply complete!" in terraform("apply", "-auto-approve", "-input=false", "-var", "name=here")
    assert terraform("output", "-raw", "name") == "here" and server.get(f"/workspaces/{workspace(server, 'local')}/runs") == []
    assert not server.is_locked(workspace(server, "local"))


READS = """data "terraform_remote_state" "other" {
  backend = "remote"
  config  = { organization = "acme", workspaces = { name = "producer" } }
}
output "seen" { value = data.terraform_remote_state.other.outputs.name }
"""


def test_the_state_of_another_workspace(server: Server, tmp_path: Path) -> None:
    producer = Terraform(server, tmp_path / "producer", main=DATA, backend=remote('name = "producer"'))
    producer("init", "-input=false")
    producer("apply", "-auto-approve", "-input=false")
    reader = Terraform(server, tmp_path / "reader", main=READS, backend=remote('name = "reader"'))
    reader("init", "-input=false")
    assert "does not share its state" in reader("plan", "-input=false", code=1)
    body = {"data": {"type": "workspaces", "attributes": {"global-remote-state": True}}}
    server.client.patch(f"/workspaces/{workspace(server, 'producer')}", json=body).raise_for_status()
    assert 'seen = "none"' in reader("apply", "-auto-approve", "-input=false")
