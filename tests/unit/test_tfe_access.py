"""Who may do what: every kind of caller against every kind of request, and tokens from their making to their end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.tfe import schema
from haechi.tfe.access import create_token
from haechi.tfe.store import now
from tests.tfelab import TfeLab, tfe_lab

RUN = {"type": "runs", "relationships": {"workspace": {"data": {"type": "workspaces", "id": "{ws}"}}}}
VAR = {"type": "vars", "attributes": {"key": "k{n}", "category": "env", "value": "v"}}
CV = {"type": "configuration-versions", "attributes": {}}
STATE = {"type": "state-versions", "attributes": {"serial": 1, "md5": "0" * 32, "lineage": "x"}}
NEW = {"type": "workspaces", "attributes": {"name": "new{n}"}}
SET = {"type": "policy-sets", "attributes": {"name": "set{n}"}}
CALLERS = ("none", "wrong", "stranger", "nothing", "reader", "planner", "writer", "admin", "organization", "run", "other_run", "owner")
# (method, path, body): the answers in the order of CALLERS
TABLE: list[tuple[str, str, Any, str]] = [
    ("GET", "/organizations/acme", None, "401 401 404 200 200 200 200 200 200 200 200 200"),
    ("GET", "/organizations/acme/entitlement-set", None, "401 401 404 200 200 200 200 200 200 200 200 200"),
    ("GET", "/workspaces/{ws}", None, "401 401 404 404 200 200 200 200 200 200 403 200"),
    ("GET", "/organizations/acme/workspaces/app", None, "401 401 404 404 200 200 200 200 200 200 403 200"),
    ("GET", "/workspaces/{ws}/vars", None, "401 401 404 404 200 200 200 200 200 403 403 200"),
    ("GET", "/runs/{run}", None, "401 401 404 404 200 200 200 200 200 200 404 200"),
    ("GET", "/runs/{run}/plan", None, "401 401 404 404 200 200 200 200 200 200 403 200"),
    ("GET", "/runs/{run}/plan/json-output", None, "401 401 404 404 403 403 403 204 204 403 403 204"),
    ("GET", "/workspaces/{ws}/current-state-version", None, "401 401 404 404 404 404 404 404 404 404 403 404"),
    ("POST", "/workspaces/{ws}/configuration-versions", CV, "401 401 404 404 403 201 201 201 201 403 403 201"),
    ("POST", "/runs", RUN, "401 401 404 404 403 201 201 201 403 403 403 201"),
    ("POST", "/runs/{run}/actions/apply", None, "401 401 404 404 403 403 409 409 403 403 403 409"),
    ("POST", "/runs/{run}/actions/force-cancel", None, "401 401 404 404 403 403 403 409 403 403 403 409"),
    ("POST", "/workspaces/{ws}/vars", VAR, "401 401 404 404 403 403 201 201 201 403 403 201"),
    ("POST", "/workspaces/{ws}/state-versions", STATE, "401 401 404 404 403 403 409 409 403 403 403 409"),
    ("PATCH", "/workspaces/{ws}", {"type": "workspaces"}, "401 401 404 404 403 403 403 200 200 403 403 200"),
    ("POST", "/organizations/acme/workspaces", NEW, "401 401 404 403 403 403 403 403 201 403 403 201"),
    ("POST", "/organizations/acme/policy-sets", SET, "401 401 404 403 403 403 403 403 201 403 403 201"),
    ("GET", "/organizations/acme/policy-sets", None, "401 401 404 200 200 200 200 200 200 403 403 200"),
    ("POST", "/organizations/acme/authentication-token", None, "401 401 404 403 403 403 403 403 403 403 403 201"),
    ("GET", "/admin/users", None, "401 401 404 404 404 404 404 404 404 404 404 404"),
    ("DELETE", "/organizations/acme", None, "401 401 404 403 403 403 403 403 403 403 403 204"),
]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TfeLab]:
    with tfe_lab(tmp_path) as lab:
        lab.organization()
        yield lab


def callers(lab: TfeLab, run: str, other: str) -> dict[str, str]:
    levels = {"nothing": "none", "reader": "read", "planner": "plan", "writer": "write", "admin": "admin"}
    found = {name: lab.user(f"{name}-1", "acme", level)[1] for name, level in levels.items()}
    found |= {
        "none": "",
        "wrong": "no.atlasv1.such",
        "stranger": lab.user("stranger")[1],
        "owner": lab.user("own", "acme", role="owner")[1],
    }
    token = lab.call("POST", "/organizations/acme/authentication-token")[1]["data"]["attributes"]["token"]
    with lab.store.write() as tx:
        runs = {name: create_token(tx, "run", run_id=id)[1] for name, id in (("run", run), ("other_run", other))}
    return {**found, "organization": token, **runs}


def filled(item: Any, names: dict[str, str]) -> Any:
    if isinstance(item, dict):
        return {key: filled(value, names) for key, value in item.items()}
    if not isinstance(item, str):
        return item
    for name, value in names.items():
        item = item.replace("{" + name + "}", value)
    return item


@pytest.mark.parametrize(("method", "path", "body", "answers"), TABLE, ids=[f"{row[0]} {row[1]}" for row in TABLE])
def test_every_caller(lab: TfeLab, method: str, path: str, body: Any, answers: str) -> None:
    workspace, other = lab.workspace("app"), lab.workspace("other")
    for each in (workspace, other):
        lab.configuration(each)
    run, other_run = lab.run(workspace), lab.run(other)
    tokens = callers(lab, run, other_run)
    got = []
    for number, name in enumerate(CALLERS):
        names = {"ws": workspace, "run": run, "n": str(number)}
        document = {"data": filled(body, names)} if body else None
        got.append(str(lab.call(method, filled(path, names), document, tokens[name])[0]))
    assert dict(zip(CALLERS, got, strict=True)) == dict(zip(CALLERS, answers.split(), strict=True))


def test_a_refusal_names_the_permission(lab: TfeLab) -> None:
    workspace = lab.workspace()
    _, reader = lab.user("reader", "acme")
    status, document = lab.call("POST", f"/workspaces/{workspace}/vars", {"data": filled(VAR, {"n": "1"})}, reader)
    assert status == 403 and "update-variable" in document["errors"][0]["detail"]


def test_states_are_shared_as_the_workspace_says(lab: TfeLab) -> None:
    producer, consumer = lab.workspace("producer"), lab.workspace("consumer")
    lab.configuration(consumer)
    run = lab.run(consumer)
    with lab.store.write() as tx:
        token = create_token(tx, "run", run_id=run)[1]
    address = f"/workspaces/{producer}/current-state-version"
    status, document = lab.call("GET", address, token=token)
    assert status == 403 and "does not share its state" in document["errors"][0]["detail"]
    body = {"data": [{"type": "workspaces", "id": consumer}]}
    assert lab.call("POST", f"/workspaces/{producer}/relationships/remote-state-consumers", body)[0] == 204
    assert lab.call("GET", address, token=token)[0] == 404, "allowed; there is no state"
    assert lab.call("DELETE", f"/workspaces/{producer}/relationships/remote-state-consumers", body)[0] == 204
    assert lab.call("GET", address, token=token)[0] == 403
    assert (
        lab.call("PATCH", f"/workspaces/{producer}", {"data": {"type": "workspaces", "attributes": {"global-remote-state": True}}})[0]
        == 200
    )
    assert lab.call("GET", address, token=token)[0] == 404


def test_a_runs_token_ends_with_the_run(lab: TfeLab) -> None:
    workspace = lab.workspace()
    lab.configuration(workspace)
    run = lab.run(workspace)
    with lab.store.write() as tx:
        token = create_token(tx, "run", run_id=run)[1]
    assert lab.call("GET", f"/runs/{run}", token=token)[0] == 200
    assert lab.call("POST", f"/runs/{run}/actions/cancel", {})[0] == 202
    assert lab.call("GET", f"/runs/{run}", token=token)[0] == 401


def test_tokens_are_shown_once_expire_and_are_revoked(lab: TfeLab) -> None:
    id, token = lab.user("kim", "acme")
    status, document = lab.call("POST", f"/users/{id}/authentication-tokens", {"data": {"type": "authentication-tokens"}}, token)
    made = document["data"]
    assert status == 201 and ".atlasv1." in made["attributes"]["token"]
    assert lab.get(f"/authentication-tokens/{made['id']}", token)["data"]["attributes"]["token"] is None
    assert lab.call("GET", "/account/details", token=made["attributes"]["token"])[1]["data"]["attributes"]["username"] == "kim"
    assert lab.get(f"/authentication-tokens/{made['id']}", token)["data"]["attributes"]["last-used-at"] is not None
    assert lab.call("DELETE", f"/authentication-tokens/{made['id']}", token=token)[0] == 204
    assert lab.call("GET", "/account/details", token=made["attributes"]["token"])[0] == 401
    with lab.store.write() as tx:
        old = create_token(tx, "user", user_id=id, expired_at=now(-1))[1]
    assert lab.call("GET", "/account/details", token=old)[0] == 401
    for when in ("2001-01-01T00:00:00Z", "tomorrow"):
        body = {"data": {"type": "authentication-tokens", "attributes": {"expired-at": when}}}
        assert lab.call("POST", f"/users/{id}/authentication-tokens", body, token)[0] == 422
    other, _ = lab.user("lee", "acme")
    assert lab.call("GET", f"/users/{other}/authentication-tokens", token=token)[0] == 404


def test_no_token_is_kept_readable(lab: TfeLab) -> None:
    _, token = lab.user("kim")
    with lab.store.read() as tx:
        rows = tx.execute(schema.tokens.select()).all()
    assert len(rows) == 2 and token not in str(rows) and lab.admin not in str(rows)


def test_everything_is_on_record_and_nothing_secret(lab: TfeLab) -> None:
    workspace = lab.workspace()
    secret = {"key": "password", "category": "env", "value": "s3cr3t-value", "sensitive": True}
    lab.create(f"/workspaces/{workspace}/vars", "vars", secret)
    token = lab.call("POST", "/organizations/acme/authentication-token")[1]["data"]["attributes"]["token"]
    events = lab.get("/organization/audit-trail", token)["data"]
    assert {("create", "workspace"), ("create", "var"), ("create", "organization")} <= {
        (e["resource"]["action"], e["resource"]["type"]) for e in events
    }
    assert lab.get("/organization/audit-trail")["data"] == [], "only the organization's token reads it"
    assert "s3cr3t-value" not in str(events) and token not in str(events)
