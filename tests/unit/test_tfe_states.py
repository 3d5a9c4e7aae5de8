"""States over the API: who may store one, what must follow what, and that no version is lost."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tfelab import TfeLab, tfe_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TfeLab]:
    with tfe_lab(tmp_path) as lab:
        lab.organization()
        yield lab


def state(serial: int, lineage: str = "one", **outputs: Any) -> bytes:
    values = {k: {"value": v, "type": "string", "sensitive": k.startswith("secret")} for k, v in outputs.items()}
    instance = {"schema_version": 0, "attributes": {}}
    resources = [{"mode": "managed", "type": "null", "name": "a", "provider": "p", "instances": [instance] * serial}]
    made = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": lineage, "outputs": values, "resources": resources}
    return json.dumps(made).encode()


def offer(lab: TfeLab, workspace: str, data: bytes, token: str | None = None, **attributes: Any) -> tuple[int, Any]:
    given = {"serial": json.loads(data)["serial"], "lineage": json.loads(data)["lineage"], "md5": md5(data), **attributes}
    return lab.call("POST", f"/workspaces/{workspace}/state-versions", {"data": {"type": "state-versions", "attributes": given}}, token)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def put(lab: TfeLab, workspace: str, data: bytes, **attributes: Any) -> str:
    status, document = offer(lab, workspace, data, **attributes)
    assert status == 201, document
    answer = lab.client.put(document["data"]["attributes"]["hosted-state-upload-url"], content=data)
    assert answer.status_code == 200, answer.text
    return str(document["data"]["id"])


def lock(lab: TfeLab, workspace: str) -> None:
    assert lab.call("POST", f"/workspaces/{workspace}/actions/lock", {"reason": "x"})[0] == 200


def current(lab: TfeLab, workspace: str) -> bytes:
    found = lab.get(f"/workspaces/{workspace}/current-state-version")["data"]["attributes"]
    return lab.client.get(found["hosted-state-download-url"], headers={"Authorization": f"Bearer {lab.admin}"}).content


def test_two_steps_and_the_bytes_come_back_as_they_were(lab: TfeLab) -> None:
    workspace = lab.workspace()
    assert lab.call("GET", f"/workspaces/{workspace}/current-state-version")[0] == 404
    lock(lab, workspace)
    data = state(1, name="sun", secret_key="hidden") + b"\n "
    status, document = offer(lab, workspace, data)
    assert status == 201 and document["data"]["attributes"]["status"] == "pending"
    assert lab.call("GET", f"/workspaces/{workspace}/current-state-version")[0] == 404, "a version without its state is none"
    urls = document["data"]["attributes"]
    assert lab.client.put(urls["hosted-json-state-upload-url"], content=b'{"format_version": "1.0"}').status_code == 200
    assert lab.client.put(urls["hosted-state-upload-url"], content=data).status_code == 200
    assert lab.client.put(urls["hosted-state-upload-url"], content=data).status_code == 409, "only once"
    assert current(lab, workspace) == data
    outputs = {o["attributes"]["name"]: o for o in lab.get(f"/workspaces/{workspace}/current-state-version-outputs")["data"]}
    assert outputs["name"]["attributes"]["value"] == "sun" and outputs["secret_key"]["attributes"]["value"] is None
    assert lab.get(f"/state-version-outputs/{outputs['secret_key']['id']}")["data"]["attributes"]["value"] == "hidden"


def test_resources_by_their_addresses(lab: TfeLab) -> None:
    workspace = lab.workspace()
    assert lab.get(f"/workspaces/{workspace}/resources")["data"] == []
    lock(lab, workspace)
    document = json.loads(state(1))
    document["resources"] = [
        {
            "mode": "managed",
            "type": "null",
            "name": "a",
            "provider": 'provider["registry.terraform.io/x/null"]',
            "instances": [{"index_key": 0}],
        },
        {"mode": "managed", "type": "null", "name": "b", "module": "module.m", "instances": [{"index_key": "k"}, {}]},
        {"mode": "data", "type": "null", "name": "c", "instances": [{}]},
    ]
    put(lab, workspace, json.dumps(document).encode())
    found = [r["attributes"] for r in lab.get(f"/workspaces/{workspace}/resources")["data"]]
    assert [r["address"] for r in found] == ["null.a[0]", 'module.m.null.b["k"]', "module.m.null.b", "data.null.c"]
    assert found[0]["provider"] == "x/null" and found[0]["name-index"] == "0"


def test_old_clients_send_the_state_inside_the_document(lab: TfeLab) -> None:
    workspace = lab.workspace()
    lock(lab, workspace)
    data = state(1)
    status, document = offer(lab, workspace, data, state=base64.b64encode(data).decode())
    assert status == 201 and document["data"]["attributes"]["status"] == "finalized" and current(lab, workspace) == data
    assert offer(lab, workspace, state(2), state="not base64!")[0] == 422


def test_what_does_not_follow_is_refused(lab: TfeLab) -> None:
    workspace = lab.workspace()
    lock(lab, workspace)
    put(lab, workspace, state(3))
    assert offer(lab, workspace, state(2))[0] == 409
    assert offer(lab, workspace, state(3, name="other"))[0] == 409
    assert offer(lab, workspace, state(4, lineage="two"))[0] == 409
    put(lab, workspace, state(3)), put(lab, workspace, state(4))
    put(lab, workspace, state(1, lineage="two"), force=True)
    assert json.loads(current(lab, workspace))["lineage"] == "two"


def test_what_was_not_said_is_refused(lab: TfeLab) -> None:
    workspace = lab.workspace()
    lock(lab, workspace)
    _, document = offer(lab, workspace, state(1))
    url = document["data"]["attributes"]["hosted-state-upload-url"]
    assert lab.client.put(url, content=state(1, name="other")).status_code == 422
    for data in (b"", b"{", b'{"version": 3}', b'{"version": 4, "serial": "1", "lineage": "one"}'):
        document = {"serial": 1, "lineage": "one", "md5": md5(data)}
        status, made = lab.call(
            "POST", f"/workspaces/{workspace}/state-versions", {"data": {"type": "state-versions", "attributes": document}}
        )
        assert status == 201
        assert lab.client.put(made["data"]["attributes"]["hosted-state-upload-url"], content=data).status_code == 422
    assert lab.call("GET", f"/workspaces/{workspace}/current-state-version")[0] == 404


def test_two_pending_versions_the_slower_one_loses(lab: TfeLab) -> None:
    workspace = lab.workspace()
    lock(lab, workspace)
    one, two = state(1, name="one"), state(1, name="two")
    first, second = offer(lab, workspace, one)[1], offer(lab, workspace, two)[1]
    assert lab.client.put(second["data"]["attributes"]["hosted-state-upload-url"], content=two).status_code == 200
    assert lab.client.put(first["data"]["attributes"]["hosted-state-upload-url"], content=one).status_code == 409
    assert current(lab, workspace) == two


def test_only_who_holds_the_lock(lab: TfeLab) -> None:
    workspace = lab.workspace()
    assert offer(lab, workspace, state(1))[0] == 409
    lock(lab, workspace)
    _, writer = lab.user("writer", "acme", "write")
    status, document = offer(lab, workspace, state(1), writer)
    assert status == 409 and "locked by User" in document["errors"][0]["detail"]
    assert offer(lab, workspace, state(1), lab.user("planner", "acme", "plan")[1])[0] == 403
    assert offer(lab, workspace, state(1), lab.user("stranger")[1])[0] == 404


def test_rollback_makes_a_new_version_and_loses_none(lab: TfeLab) -> None:
    workspace = lab.workspace()
    lock(lab, workspace)
    old = put(lab, workspace, state(1, name="old"))
    put(lab, workspace, state(2, name="new"))
    body = {
        "data": {"type": "state-versions", "relationships": {"rollback-state-version": {"data": {"type": "state-versions", "id": old}}}}
    }
    assert lab.call("PATCH", f"/workspaces/{workspace}/state-versions", body)[0] == 200
    document = json.loads(current(lab, workspace))
    assert document["serial"] == 3 and document["outputs"]["name"]["value"] == "old"
    listed = lab.get(f"/workspaces/{workspace}/state-versions")["data"]
    assert [v["attributes"]["serial"] for v in listed] == [3, 2, 1]
    assert listed[0]["relationships"]["rollback-state-version"]["data"]["id"] == old


def test_signed_addresses_are_for_one_thing_and_for_a_while(lab: TfeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = lab.workspace()
    lock(lab, workspace)
    url = offer(lab, workspace, state(1))[1]["data"]["attributes"]["hosted-state-upload-url"]
    assert lab.client.get(url).status_code == 405
    assert lab.client.put(url[:-1] + ("0" if url[-1] != "0" else "1"), content=state(1)).status_code == 404
    monkeypatch.setattr("haechi.tfe.signing.time.time", lambda: 4e9)
    assert lab.client.put(url, content=state(1)).status_code == 404
