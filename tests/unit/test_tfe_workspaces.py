"""Workspaces, their locks, variables, tags and triggers over the API; and requests that make no sense."""

from __future__ import annotations

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


def names(lab: TfeLab, query: str) -> list[str]:
    return [w["attributes"]["name"] for w in lab.get(f"/organizations/acme/workspaces?{query}")["data"]]


def test_finding_by_name_prefix_and_tag(lab: TfeLab) -> None:
    tags = {"tags": {"data": [{"type": "tags", "attributes": {"name": "web"}}]}}
    bindings = {"tag-bindings": {"data": [{"type": "tag-bindings", "attributes": {"key": "env", "value": "prod"}}]}}
    for name, links in (("app-dev", tags), ("app-prod", {**tags, **bindings}), ("db_prod", bindings), ("dbxprod", {})):
        lab.create("/organizations/acme/workspaces", "workspaces", {"name": name}, links)
    assert names(lab, "search[name]=app-") == ["app-dev", "app-prod"]
    assert names(lab, "search[name]=db_") == ["db_prod"], "_ is no wildcard"
    assert names(lab, "search[wildcard-name]=*prod") == ["app-prod", "db_prod", "dbxprod"]
    assert names(lab, "search[tags]=web") == ["app-dev", "app-prod"]
    assert names(lab, "filter[tagged][0][key]=env&filter[tagged][0][value]=prod") == ["app-prod", "db_prod"]
    assert names(lab, "search[tags]=web&filter[tagged][0][key]=env") == ["app-prod"]
    assert names(lab, "page[size]=3&page[number]=2") == ["dbxprod"]


def test_a_name_is_unique_and_well_formed(lab: TfeLab) -> None:
    lab.workspace("app")
    for name in ("app", "", "a b", "a/b", "ä", "x" * 91, 7, None):
        body = {"data": {"type": "workspaces", "attributes": {"name": name}}}
        assert lab.call("POST", "/organizations/acme/workspaces", body)[0] == 422, name
    assert names(lab, "") == ["app"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"working-directory": "../x"},
        {"working-directory": "/etc"},
        {"execution-mode": "agent"},
        {"auto-apply": "yes"},
        {"terraform-version": "; rm -rf /"},
        {"description": "x" * 5000},
    ],
)
def test_settings_that_cannot_be(lab: TfeLab, attributes: dict[str, Any]) -> None:
    workspace = lab.workspace()
    before = lab.get(f"/workspaces/{workspace}")["data"]["attributes"]
    status, document = lab.call("PATCH", f"/workspaces/{workspace}", {"data": {"type": "workspaces", "attributes": attributes}})
    assert status == 422 and document["errors"][0]["source"]["pointer"] == f"/data/attributes/{next(iter(attributes))}"
    assert lab.get(f"/workspaces/{workspace}")["data"]["attributes"] == before


def test_locks_are_of_a_person(lab: TfeLab) -> None:
    workspace = lab.workspace()
    kim, lee = lab.user("kim", "acme", "write")[1], lab.user("lee", "acme", "write")[1]
    act = f"/workspaces/{workspace}/actions/"
    assert lab.call("POST", act + "lock", {"reason": "mine"}, kim)[0] == 200
    assert lab.get(f"/workspaces/{workspace}")["data"]["attributes"]["locked-reason"] == "mine"
    assert lab.call("POST", act + "lock", {}, lee)[0] == 409
    status, document = lab.call("POST", act + "unlock", token=lee)
    assert status == 409 and 'locked by User "kim"' in document["errors"][0]["detail"]
    assert lab.call("POST", act + "force-unlock", token=lee)[0] == 403
    assert lab.call("POST", act + "force-unlock")[0] == 200
    assert lab.call("POST", act + "unlock", token=kim)[0] == 409


def test_variables_of_both_kinds(lab: TfeLab) -> None:
    workspace = lab.workspace()
    path = f"/workspaces/{workspace}/vars"
    secret = lab.create(path, "vars", {"key": "k", "category": "terraform", "value": "hidden", "sensitive": True})
    assert secret["attributes"]["value"] is None and "hidden" not in str(lab.get(path))
    body = {"data": {"type": "vars", "attributes": {"value": "new"}}}
    assert lab.call("PATCH", f"{path}/{secret['id']}", body)[1]["data"]["attributes"]["value"] is None
    body["data"]["attributes"] = {"sensitive": False}
    assert lab.call("PATCH", f"{path}/{secret['id']}", body)[0] == 422
    lab.create(path, "vars", {"key": "k", "category": "env", "value": "another kind, another key"})
    other = lab.workspace("other")
    assert lab.call("GET", f"/workspaces/{other}/vars/{secret['id']}")[0] == 404
    assert lab.call("DELETE", f"{path}/{secret['id']}")[0] == 204 and len(lab.get(path)["data"]) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"key": "k"},
        {"key": "k", "category": "other"},
        {"key": "a b", "category": "terraform"},
        {"key": "", "category": "env"},
        {"key": "PATH", "category": "env"},
        {"key": "TF_CLI_CONFIG_FILE", "category": "env"},
        {"key": "TFC_RUN_ID", "category": "env"},
        {"key": "k", "category": "env", "hcl": True},
        {"key": "k", "category": "env", "value": 7},
        {"key": "taken", "category": "env"},
    ],
)
def test_variables_that_cannot_be(lab: TfeLab, attributes: dict[str, Any]) -> None:
    workspace = lab.workspace()
    lab.create(f"/workspaces/{workspace}/vars", "vars", {"key": "taken", "category": "env"})
    assert lab.call("POST", f"/workspaces/{workspace}/vars", {"data": {"type": "vars", "attributes": attributes}})[0] == 422
    assert len(lab.get(f"/workspaces/{workspace}/vars")["data"]) == 1


def test_triggers(lab: TfeLab) -> None:
    one, two = lab.workspace("one"), lab.workspace("two")

    def trigger(target: str, source: str) -> int:
        links = {"sourceable": {"data": {"type": "workspaces", "id": source}}}
        return lab.call("POST", f"/workspaces/{target}/run-triggers", {"data": {"type": "run-triggers", "relationships": links}})[0]

    assert [trigger(two, one), trigger(two, one), trigger(one, one), trigger(two, "ws-none")] == [201, 422, 422, 404]
    inbound = lab.get(f"/workspaces/{two}/run-triggers?filter[run-trigger][type]=inbound")["data"]
    outbound = lab.get(f"/workspaces/{one}/run-triggers?filter[run-trigger][type]=outbound")["data"]
    assert [t["id"] for t in inbound] == [t["id"] for t in outbound]
    assert inbound[0]["attributes"]["sourceable-name"] == "one"
    assert lab.call("GET", f"/workspaces/{two}/run-triggers")[0] in (400, 422)
    assert lab.call("DELETE", f"/run-triggers/{inbound[0]['id']}")[0] == 204
    assert lab.get(f"/workspaces/{two}/run-triggers?filter[run-trigger][type]=inbound")["data"] == []


def test_deleting_takes_everything_along_and_never_what_is_at_work(lab: TfeLab) -> None:
    workspace = lab.workspace()
    lab.configuration(workspace)
    run = lab.run(workspace)
    lab._take(run)
    assert lab.call("DELETE", f"/workspaces/{workspace}")[0] == 409
    assert lab.call("POST", f"/runs/{run}/actions/cancel", {})[0] == 202
    other = lab.workspace("other")
    lab.configuration(other)
    lab.run(other)
    assert lab.call("DELETE", f"/workspaces/{other}")[0] == 204
    assert lab.call("GET", f"/workspaces/{other}")[0] == 404
    assert names(lab, "") == ["app"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/organizations/acme/workspaces", b"{", 400),
        ("POST", "/organizations/acme/workspaces", b"[]", 400),
        ("POST", "/organizations/acme/workspaces", b'{"data": []}', 400),
        ("POST", "/organizations/acme/workspaces", b'{"data": {"type": "runs"}}', 422),
        ("POST", "/organizations/acme/workspaces", b'{"data": {"attributes": []}}', 422),
        ("POST", "/organizations/acme/workspaces", b'{"data": {"attributes": {"name": "a\\u0000b"}}}', 422),
        ("POST", "/runs", b'{"data": {"relationships": {"workspace": {"data": 7}}}}', 422),
        ("GET", "/organizations/acme/workspaces?page[size]=0", b"", 400),
        ("GET", "/organizations/acme/workspaces?page[number]=x", b"", 400),
        ("GET", "/no/such/page", b"", 404),
        ("PUT", "/runs", b"", 405),
    ],
)
def test_requests_that_make_no_sense(lab: TfeLab, method: str, path: str, content: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {lab.admin}", "Content-Type": "application/vnd.api+json"}
    answer = lab.client.request(method, "/api/v2" + path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["status"] == str(status)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(lab: TfeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haechi.tfe.api.app.BODY_LIMIT", 1000)
    headers = {"Authorization": f"Bearer {lab.admin}"}
    for content in (b"x" * 1001, iter([b"x" * 600] * 2)):
        answer = lab.client.post("/api/v2/runs", content=content, headers=headers)
        assert answer.status_code == 413


def test_an_upload_that_is_too_large_is_refused(lab: TfeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    from haechi.tfe.api import objects

    take = objects.UPLOADS["configuration"][1]
    monkeypatch.setitem(objects.UPLOADS, "configuration", (1000, take))
    workspace = lab.workspace()
    version = lab.create(f"/workspaces/{workspace}/configuration-versions", "configuration-versions")
    for content in (b"x" * 1001, iter([b"x" * 600] * 2)):
        assert lab.client.put(version["attributes"]["upload-url"], content=content).status_code == 413
    assert lab.get(f"/configuration-versions/{version['id']}")["data"]["attributes"]["status"] == "pending"
