"""A Python client of others (terrasnek), and many users at once: what automation does with the API."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from terrasnek.api import TFC

from tests.tfeclient import DATA
from tests.tfeworker import Server, pack, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("tfe"), worker_slots=20) as found:
        yield found


@pytest.fixture(scope="module")
def tfc(server: Server) -> TFC:
    client = TFC((server.home / "token").read_text().strip(), url=f"http://127.0.0.1:{server.port}")
    client.set_org("acme")
    return client


def test_a_pipeline_of_terrasnek(server: Server, tfc: TFC, tmp_path: Path) -> None:
    workspace = tfc.workspaces.create({"data": {"type": "workspaces", "attributes": {"name": "snek", "auto-apply": False}}})["data"]
    variable = {"type": "vars", "attributes": {"key": "name", "value": "moon", "category": "terraform", "sensitive": True}}
    made = tfc.workspace_vars.create(workspace["id"], {"data": variable})["data"]
    assert tfc.workspace_vars.list(workspace["id"])["data"][0]["attributes"]["value"] is None and made["id"].startswith("var-")
    version = tfc.config_versions.create(
        workspace["id"], {"data": {"type": "configuration-versions", "attributes": {"auto-queue-runs": False}}}
    )["data"]
    (tmp_path / "a.tar.gz").write_bytes(pack({"main.tf": DATA}))
    tfc.config_versions.upload(str(tmp_path / "a.tar.gz"), version["attributes"]["upload-url"])
    assert tfc.config_versions.show(version["id"])["data"]["attributes"]["status"] == "uploaded"
    links = {
        "workspace": {"data": {"type": "workspaces", "id": workspace["id"]}},
        "configuration-version": {"data": {"type": "configuration-versions", "id": version["id"]}},
    }
    run = tfc.runs.create({"data": {"type": "runs", "attributes": {"message": "snek"}, "relationships": links}})["data"]
    until(lambda: tfc.runs.show(run["id"])["data"]["attributes"]["status"] == "planned")
    plan = tfc.plans.show(run["relationships"]["plan"]["data"]["id"])["data"]
    assert plan["attributes"]["resource-additions"] == 1
    tfc.runs.apply(run["id"], {"comment": "from Python"})
    until(lambda: tfc.runs.show(run["id"])["data"]["attributes"]["status"] == "applied")
    state = tfc.state_versions.get_current(workspace["id"])["data"]
    assert state["attributes"]["serial"] >= 1 and state["attributes"]["status"] == "finalized"
    raw = json.loads(server.client.get(state["attributes"]["hosted-state-download-url"]).content)
    assert raw["resources"][0]["type"] == "terraform_data"
    assert [w["attributes"]["name"] for w in tfc.workspaces.list(search={"name": "sne"})["data"]] == ["snek"]
    tfc.workspaces.lock(workspace["id"], {"reason": "audit"})
    serial = raw["serial"] + 1
    data = json.dumps({**raw, "serial": serial}).encode()
    body = {
        "type": "state-versions",
        "attributes": {
            "serial": serial,
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "lineage": raw["lineage"],
            "state": base64.b64encode(data).decode(),
        },
    }
    assert tfc.state_versions.create(workspace["id"], {"data": body})["data"]["attributes"]["serial"] == serial
    tfc.workspaces.unlock(workspace["id"])
    assert tfc.account.show()["data"]["attributes"]["username"] == "admin"


def test_twenty_workspaces_at_once(server: Server) -> None:
    ids: dict[str, str] = {}

    def one(number: int) -> None:
        with httpx.Client(base_url=server.client.base_url, headers=server.client.headers, trust_env=False, timeout=60) as client:
            me = Server.__new__(Server)
            me.client = client
            workspace = me.workspace(f"many-{number}", [{"key": "name", "value": f"value-{number}"}])
            ids[workspace] = me.run(workspace, {"main.tf": DATA}, auto_apply=True)

    people = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    [person.start() for person in people]
    [person.join() for person in people]
    assert len(ids) == 20 and {server.ended(run) for run in ids.values()} == {"applied"}
    values = set()
    for workspace in ids:
        state = server.state(workspace)
        assert state is not None and not server.is_locked(workspace)
        values.add(state["outputs"]["name"]["value"])
    assert values == {f"value-{number}" for number in range(20)}


def test_a_hundred_clients_follow_one_live_log(server: Server, tmp_path: Path) -> None:
    go = tmp_path / "go"
    noise = f"for i in $(seq 200); do echo line $i; done; while ! test -e {go}; do sleep 0.05; done"
    main = f'resource "terraform_data" "a" {{\n  provisioner "local-exec" {{ command = "{noise}" }}\n}}\n'
    run = server.run(server.workspace("loud"), {"main.tf": main}, auto_apply=True)
    until(lambda: server.status(run) == "applying")
    url = server.get(f"/runs/{run}/apply")["attributes"]["log-read-url"]
    got: list[bytes] = []

    def follow() -> None:
        text, deadline = b"", time.monotonic() + 60
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not text.endswith(b"\x03") and time.monotonic() < deadline:
                text += client.get(url, params={"limit": 65536, "offset": len(text)}).content
        got.append(text)

    people = [threading.Thread(target=follow) for _ in range(100)]
    [person.start() for person in people]
    time.sleep(1)
    go.touch()
    [person.join() for person in people]
    assert len(got) == 100 and len(set(got)) == 1
    assert got[0].count(b"line 200\n") == 1 and got[0].endswith(b"\x03")
    assert server.ended(run) == "applied"


def test_curl_by_the_documents_of_the_vendor(server: Server) -> None:
    """The vendor's examples are lines of curl; the headers and the errors are as they are told there."""
    token = (server.home / "token").read_text().strip()
    address = f"http://127.0.0.1:{server.port}/api/v2/organizations/none"
    command = ["curl", "-s", "-i", "--noproxy", "*", "-H", "@-", address]
    out = subprocess.run(command, input=f"Authorization: Bearer {token}\n", capture_output=True, text=True, check=True).stdout
    head, _, body = out.partition("\n\n")
    assert head.startswith("HTTP/1.1 404") and "application/vnd.api+json" in head and "tfp-api-version: 2.6" in head.lower()
    assert json.loads(body)["errors"][0]["title"] == "not found"
