"""The client of Terraform Enterprise: against haechi's server over HTTP, and against answers that server does not give."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from haechi.clients import tfe_runs
from haechi.clients.tfe import Tfe, TfeRefused, TfeSilent
from tests.tfelab import TfeLab

STATE = {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "one", "outputs": {}, "resources": []}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TfeLab]:
    lab = TfeLab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture
def tfe(lab: TfeLab) -> Iterator[Tfe]:
    with Tfe(lab.url, lab.admin, direct=True) as tfe:
        tfe.ensure_organization("meow", "cat@meow.example")
        yield tfe


def test_ensuring_twice_makes_one(tfe: Tfe) -> None:
    again = tfe.ensure_organization("meow", "cat@meow.example")
    made = tfe.ensure_workspace("meow", "03_app", {"auto-apply": False})
    assert again["id"] == "meow" and made["attributes"]["name"] == "03_app"
    assert tfe.ensure_workspace("meow", "03_app", {"auto-apply": True})["attributes"]["auto-apply"] is True
    assert [w["id"] for w in tfe.every("organizations/meow/workspaces")] == [made["id"]]
    assert tfe.workspace("meow", "04_slb") is None


def test_variables_are_written_when_they_differ(tfe: Tfe) -> None:
    id = tfe.ensure_workspace("meow", "w", {})["id"]
    plain = {"key": "region", "value": "here", "category": "terraform", "hcl": False, "sensitive": False}
    secret = {"key": "SECRET", "value": "hidden-value", "category": "env", "hcl": False, "sensitive": True}
    assert tfe.write_variable(id, [], plain) and tfe.write_variable(id, [], secret)
    there = tfe.variables(id)
    assert not tfe.write_variable(id, there, plain)
    assert tfe.write_variable(id, there, {**plain, "value": "there"})
    assert tfe.write_variable(id, there, secret)
    assert {v["attributes"]["key"]: v["attributes"]["value"] for v in tfe.variables(id)} == {"region": "there", "SECRET": None}
    assert tfe.write_variable(id, there, {**secret, "sensitive": False, "value": "open"})
    assert {v["attributes"]["key"]: v["attributes"]["value"] for v in tfe.variables(id)}["SECRET"] == "open"


def test_triggers_and_consumers(tfe: Tfe) -> None:
    one, two = (tfe.ensure_workspace("meow", name, {"global-remote-state": False})["id"] for name in ("one", "two"))
    assert tfe.ensure_trigger(two, one) is True
    assert tfe.ensure_trigger(two, one) is False
    tfe.ensure_consumers(one, [two])
    tfe.ensure_consumers(one, [two])
    assert [w["id"] for w in tfe.every(f"workspaces/{one}/relationships/remote-state-consumers")] == [two]


def test_states_come_back_as_they_were_pushed(tfe: Tfe) -> None:
    id = tfe.ensure_workspace("meow", "w", {})["id"]
    assert (tfe.state(id), tfe.outputs(id), tfe.current_state(id)) == ({}, {}, None)
    outputs = {
        "plain": {"value": ["a", 1], "type": ["tuple", ["string", "number"]]},
        "hidden": {"value": "x", "type": "string", "sensitive": True},
    }
    state = {**STATE, "outputs": outputs}
    tfe.push_state(id, json.dumps(state).encode())
    assert tfe.state(id) == state
    assert tfe.outputs(id) == {"plain": ["a", 1], "hidden": "x"}
    with pytest.raises(TfeRefused) as refused:  # an older serial
        tfe.push_state(id, json.dumps({**state, "serial": 2}).encode())
    assert refused.value.status in (409, 422)
    assert tfe.workspace("meow", "w")["attributes"]["locked"] is False  # type: ignore[index]


def test_what_is_refused_says_why_and_not_what_was_sent(lab: TfeLab, tfe: Tfe) -> None:
    with pytest.raises(TfeRefused) as refused:
        tfe.create("organizations/meow/workspaces", "workspaces", {"name": "no spaces please"})
    assert refused.value.status == 422 and refused.value.errors
    with Tfe(lab.url, "not-a-token-of-anybody", direct=True) as stranger, pytest.raises(TfeRefused) as refused:
        stranger.request("GET", "organizations")
    assert refused.value.status == 401 and "not-a-token" not in str(refused.value)


def test_nobody_there_is_silence() -> None:
    with Tfe("http://127.0.0.1:1", "t", direct=True) as tfe, pytest.raises(TfeSilent):
        tfe.create("organizations", "organizations", {})


def test_a_configuration_is_uploaded(tfe: Tfe, tmp_path: Path) -> None:
    id = tfe.ensure_workspace("meow", "w", {})["id"]
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.tf").write_text("# nothing\n")
    made = tfe_runs.upload_configuration(tfe, id, tfe_runs.pack(source))
    assert tfe.request("GET", f"configuration-versions/{made}")["data"]["attributes"]["status"] == "uploaded"
    with pytest.raises((TfeRefused, TfeSilent)):
        tfe_runs.upload_configuration(tfe, id, b"no archive at all")


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / ".terraform" / "x").mkdir(parents=True)
        (tmp_path / name / "files").mkdir()
        (tmp_path / name / ".terraform" / "x" / "plugin").write_text("large")
        (tmp_path / name / ".terraform.lock.hcl").write_text("lock")
        (tmp_path / name / "terraform.tfstate").write_text("secret")
        (tmp_path / name / "terraform.tfstate.backup").write_text("secret")
        (tmp_path / name / "files" / "run.sh").write_text("#!/bin/sh\n")
        (tmp_path / name / "files" / "run.sh").chmod(0o755 if name == "a" else 0o700)
        (tmp_path / name / "main.tf").write_text("# nothing\n")
        (tmp_path / name / "link").symlink_to("/etc/passwd")
    first, second = (tfe_runs.pack(tmp_path / name) for name in ("a", "b"))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert {m.name: m.mode for m in tar} == {".terraform.lock.hcl": 0o644, "files/run.sh": 0o755, "main.tf": 0o644}
    (tmp_path / "b" / "main.tf").write_text("# something\n")
    assert tfe_runs.pack(tmp_path / "b") != first


class Script:
    """A server of one plan whose log comes in the given pieces; an exception among them is a broken connection."""

    def __init__(self, pieces: list[bytes | Exception | int], status: str = "running", ends: str = "finished") -> None:
        self.pieces, self.status, self.ends = list(pieces), status, ends
        self.offsets: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/v2/"):
            assert request.headers["authorization"] == "Bearer t"
            return httpx.Response(
                200, json={"data": {"id": "p", "attributes": {"status": self.status, "log-read-url": "http://x/log/signed"}}}
            )
        assert "authorization" not in request.headers
        self.offsets.append(int(request.url.params["offset"]))
        piece = self.pieces.pop(0) if self.pieces else b""
        if not self.pieces:
            self.status = self.ends
        if isinstance(piece, Exception):
            raise piece
        return httpx.Response(piece, text="refused") if isinstance(piece, int) else httpx.Response(200, content=piece)


def follow(script: Callable[[httpx.Request], httpx.Response], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with Tfe("http://x", "t", transport=httpx.MockTransport(script)) as tfe:
        return "".join(tfe_runs.follow_log(tfe, "plans", "p"))


def test_a_log_is_joined_whatever_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "\x02고양이 says meow\n끝\x03".encode()
    for cut in range(1, len(whole)):
        script = Script([whole[:cut], b"", whole[cut:]])
        assert follow(script, monkeypatch) == "고양이 says meow\n끝"
        assert script.offsets == [0, cut, cut]


def test_a_log_survives_broken_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([b"\x02one ", httpx.ConnectError("gone"), 503, httpx.ReadTimeout("late"), b"two\x03"])
    assert follow(script, monkeypatch) == "one two"


def test_a_log_without_an_end_ends_with_its_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    assert follow(Script([b"\x02cut off", b""], ends="errored"), monkeypatch) == "cut off"
    assert follow(Script([b""], ends="canceled"), monkeypatch) == ""


def test_a_log_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[Any] = [400]
    with pytest.raises(TfeRefused):
        follow(Script(pieces), monkeypatch)
    with pytest.raises(TfeSilent):
        follow(Script([httpx.ConnectError("gone")] * 100), monkeypatch)
