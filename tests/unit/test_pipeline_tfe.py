"""`up` and its Terraform Enterprise: the settings file, what is written there, and a run taken to its end."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from haechi.clients.tfe import Tfe
from haechi.dataplane.site import read_site
from haechi.pipeline import drive as driving
from haechi.pipeline import terraformrc, tfe_setup
from haechi.pipeline.drive import Drive, render_verdicts
from haechi.pipeline.failure import Failure
from haechi.pipeline.remote_runs import is_triggered
from haechi.pipeline.run import Run
from haechi.pipeline.tfe_setup import remove_tfe, setup_tfe
from haechi.pipeline.up import blueprint
from haechi.settings import Target
from tests.tfelab import TfeLab

SERVICES = {
    "tfe.v2": "/api/v2/",
    "tfe.v2.1": "/api/v2/",
    "state.v2": "/api/v2/",
    "login.v1": {"client": "cli", "grant_types": ["authz_code"], "authz": "/oauth/a", "token": "/oauth/t", "ports": [10000, 10010]},
    "modules.v1": "/modules/",
}
OUTPUT = """Sentinel Result: false

2 policies evaluated.

## Policy 1: meow/restrict-ingress-sg-rule-cidr-blocks (soft-mandatory)

Result: false

FALSE - x.sentinel:1:1 - Rule "main"

## Policy 2: working-day (advisory)

Result: true
"""


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    for name in ("HAECHI_TFE_ADDR", "HAECHI_TFE_TOKEN", "HAECHI_TFE_ORGANIZATION"):
        monkeypatch.delenv(name, raising=False)
    return Target("local", read_site({"HAECHI_SITE": "9", "HAECHI_HOME": str(tmp_path / "home")}), "ap-southeast-1")


def test_the_settings_file_names_what_is_there(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraformrc, "read_services", lambda address: {"tfe.v2": f"{address}/api/v2/"})
    terraformrc.write_terraformrc(target)
    assert "provider_installation" not in target.terraformrc.read_text() and "credentials" not in target.terraformrc.read_text()
    monkeypatch.setenv("HAECHI_TFE_TOKEN", "the-token")
    terraformrc.provide_mirror(target)
    terraformrc.write_terraformrc(target)
    text = target.terraformrc.read_text()
    assert terraformrc.own_providers(target) and "filesystem_mirror" in text and 'token = "the-token"' in text
    assert stat.S_IMODE(target.terraformrc.stat().st_mode) == 0o600
    terraformrc.remove_mirror(target)
    terraformrc.write_terraformrc(target)
    assert not terraformrc.own_providers(target) and "filesystem_mirror" not in target.terraformrc.read_text()
    assert 'host "app.terraform.io"' in target.terraformrc.read_text()


def test_services_are_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = httpx.Response(200, json=SERVICES, request=httpx.Request("GET", "http://x"))
    monkeypatch.setattr(httpx, "get", lambda *_, **__: answer)
    found = terraformrc.read_services("http://x:1")
    assert found["tfe.v2"] == "http://x:1/api/v2/" and "modules.v1" not in found
    assert (found["login.v1"]["authz"], found["login.v1"]["ports"]) == ("http://x:1/oauth/a", [10000, 10010])


def test_terraform_reads_the_settings_file(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad settings file is an error of every command; a good one is silent."""
    monkeypatch.setattr(terraformrc, "read_services", lambda address: {k: v for k, v in SERVICES.items() if k != "modules.v1"})
    monkeypatch.setenv("HAECHI_TFE_TOKEN", 'quo"ted')
    terraformrc.provide_mirror(target)
    terraformrc.write_terraformrc(target)
    environment = {"PATH": "/usr/bin:/usr/local/bin", "TF_CLI_CONFIG_FILE": str(target.terraformrc), "HOME": str(target.site.home)}
    done = subprocess.run(["terraform", "version"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    target.terraformrc.write_text(target.terraformrc.read_text() + "nonsense {")
    done = subprocess.run(["terraform", "version"], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr != "" or done.returncode != 0


def test_verdicts_of_policies() -> None:
    assert render_verdicts(OUTPUT) == [
        ("restrict-ingress-sg-rule-cidr-blocks", "soft-mandatory", False),
        ("working-day", "advisory", True),
    ]
    assert render_verdicts("nothing evaluated") == []


def test_what_a_trigger_queued() -> None:
    assert is_triggered({"attributes": {"source": "tfe-run-trigger", "message": ""}})
    assert is_triggered({"attributes": {"source": "tfe-api", "message": "Triggered by run run-1 in workspace 03_app"}})
    assert not is_triggered({"attributes": {"source": "tfe-api", "message": "haechi up"}})


class FakeRun:
    """One run that goes along `path`; it waits at policy_override and planned until it is answered."""

    def __init__(self, *path: str) -> None:
        self.path = list(path)
        self.posted: list[tuple[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        where = request.url.path.removeprefix("/api/v2/")
        if request.method == "POST":
            self.posted.append((where, json.loads(request.content)))
            if where.endswith(("apply", "override", "discard")):
                self.path.pop(0)
                if where.endswith("discard"):
                    self.path = ["discarded"]
            return httpx.Response(202)
        if where == "runs/run-1":
            return self._answer(self._run())
        if where == "runs/run-1/policy-checks":
            failed = self.path[0] == "policy_override"
            return self._answer([{"id": "polchk-1", "attributes": {"status": "soft_failed" if failed else "passed"}}])
        if where.endswith("/output"):
            return httpx.Response(200, text=OUTPUT)
        if where.startswith("/log"):
            return httpx.Response(200, content=b"\x02\x1b[1mTerraform\x1b[0m v1\nwill be created\n\x03")
        return self._answer({"id": "x", "attributes": {"status": "finished", "log-read-url": "http://x/log"}})

    def _run(self) -> dict[str, Any]:
        status = self.path[0]
        if status not in ("policy_override", "planned") and len(self.path) > 1:
            self.path.pop(0)
        attributes = {"status": status, "actions": {"is-confirmable": status == "planned"}, "status-timestamps": {}}
        return {"id": "run-1", "attributes": attributes, "relationships": {n: {"data": {"id": n}} for n in ("plan", "apply")}}

    def _answer(self, data: Any) -> httpx.Response:
        return httpx.Response(200, json={"data": data})


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setattr(driving, "POLL_SECONDS", 0)
    yield []


def drive(target: Target, fake: FakeRun, said: list[str], *, yes: bool) -> str:
    run = Run(target, Path("/"), said.append, yes=yes)
    with Tfe("http://x", "t", transport=httpx.MockTransport(fake)) as server:
        return str(Drive(run, server, "03_app", "run-1").to_end()["attributes"]["status"])


def test_yes_confirms_and_shows_plan_and_policies(target: Target, said: list[str]) -> None:
    fake = FakeRun("pending", "planning", "planned", "applying", "applied")
    assert drive(target, fake, said, yes=True) == "applied"
    assert fake.posted == [("runs/run-1/actions/apply", {"comment": "Confirmed by haechi up --yes"})]
    assert said.count("will be created") == 2 and "Terraform v1" in said
    assert "policy restrict-ingress-sg-rule-cidr-blocks (soft-mandatory): failed" in said
    assert said.count("policy working-day (advisory): passed") == 1


def test_yes_overrides_soft_failures_on_record(target: Target, said: list[str]) -> None:
    fake = FakeRun("planning", "policy_override", "planned", "applied")
    assert drive(target, fake, said, yes=True) == "applied"
    assert [where for where, _ in fake.posted] == [
        "runs/run-1/comments",
        "policy-checks/polchk-1/actions/override",
        "runs/run-1/actions/apply",
    ]
    assert fake.posted[1][1] == {"comment": "Overridden by haechi up --yes"} and "Overridden by haechi up --yes" in said


@pytest.mark.parametrize("path", [("planned",), ("policy_override",)])
def test_without_a_terminal_the_run_is_left_waiting(
    target: Target, said: list[str], path: tuple[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    fake = FakeRun(*path)
    with pytest.raises(Failure) as failure:
        drive(target, fake, said, yes=False)
    assert "run-1" in failure.value.what and "--yes" in failure.value.hint and "/runs/run-1" in failure.value.hint
    assert fake.posted == []


@pytest.mark.parametrize(("typed", "end"), [("yes\n", "applied"), ("no\n", ""), ("y\n", ""), ("", "")])
def test_at_a_terminal_only_yes_goes_on(target: Target, said: list[str], typed: str, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return typed

    monkeypatch.setattr("sys.stdin", Terminal())
    fake = FakeRun("planned", "applied")
    if end:
        assert drive(target, fake, said, yes=False) == end
    else:
        with pytest.raises(Failure, match="discarded"):
            drive(target, fake, said, yes=False)
        assert [where for where, _ in fake.posted] == ["runs/run-1/actions/discard"]


@pytest.mark.parametrize("end", ["errored", "canceled", "discarded", "force_canceled"])
def test_a_bad_end_is_told(target: Target, said: list[str], end: str) -> None:
    with pytest.raises(Failure, match=end):
        drive(target, FakeRun("planning", end), said, yes=True)


def test_nothing_to_change(target: Target, said: list[str]) -> None:
    assert drive(target, FakeRun("planning", "planned_and_finished"), said, yes=True) == "planned_and_finished"
    assert said[-1] == "nothing to change"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TfeLab]:
    lab = TfeLab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture
def run(lab: TfeLab, target: Target, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose Terraform Enterprise is the lab's, with keys as Vault would give them."""
    monkeypatch.setenv("HAECHI_TFE_ADDR", lab.url)
    monkeypatch.setenv("HAECHI_TFE_TOKEN", lab.admin)
    monkeypatch.setattr(tfe_setup, "_cloud_keys", lambda run: {"ALICLOUD_ACCESS_KEY": "LTAIx", "ALICLOUD_SECRET_KEY": "hidden-secret"})
    return Run(target, blueprint(), lambda line: None, values={"image": "meow-golden-1"})


def values(lab: TfeLab, name: str) -> dict[str, Any]:
    workspace = lab.get(f"/organizations/meow/workspaces/{name}")["data"]
    return {v["attributes"]["key"]: v["attributes"]["value"] for v in lab.get(f"/workspaces/{workspace['id']}/vars")["data"]}


def test_setup_makes_what_runs_need_and_a_second_one_nothing(run: Run, lab: TfeLab) -> None:
    done = setup_tfe(run)
    assert "made workspace meow/03_app" in done and "applying 03_app triggers 04_slb" in done and "hidden-secret" not in done
    assert setup_tfe(run) == "as it should be"
    app, slb = values(lab, "03_app"), values(lab, "04_slb")
    assert (app["instance_count"], app["image_name_regex"], app["ALICLOUD_SECRET_KEY"]) == ("3", "^meow-golden-1$", None)
    assert slb["organization"] == "meow" and "instance_count" not in slb and slb["HTTPS_PROXY"] == app["HTTPS_PROXY"]
    settings = lab.get("/organizations/meow/workspaces/04_slb")["data"]["attributes"]
    assert (settings["auto-apply"], settings["auto-apply-run-trigger"]) == (False, True)


def test_setup_keeps_what_a_user_changed(run: Run, lab: TfeLab) -> None:
    setup_tfe(run)
    workspace = lab.get("/organizations/meow/workspaces/03_app")["data"]["id"]
    count = next(v for v in lab.get(f"/workspaces/{workspace}/vars")["data"] if v["attributes"]["key"] == "instance_count")
    body = {"data": {"type": "vars", "id": count["id"], "attributes": {"value": "5"}}}
    assert lab.call("PATCH", f"/workspaces/{workspace}/vars/{count['id']}", body)[0] == 200
    run.values["image"] = "meow-golden-2"
    assert setup_tfe(run) == "03_app: wrote image_name_regex"
    assert (values(lab, "03_app")["instance_count"], values(lab, "03_app")["image_name_regex"]) == ("5", "^meow-golden-2$")


def test_the_state_of_an_earlier_haechi_moves(run: Run, lab: TfeLab) -> None:
    path = run.target.work / "meow" / "03_app" / "terraform.tfstate"
    path.parent.mkdir(parents=True)
    outputs = {"ecs_ids": {"value": ["i-1"], "type": ["tuple", ["string"]]}}
    path.write_text(
        json.dumps({"version": 4, "terraform_version": "1.11.4", "serial": 7, "lineage": "old", "outputs": outputs, "resources": []})
    )
    assert "moved the state of 03_app" in setup_tfe(run)
    assert not path.exists() and path.with_suffix(".tfstate.moved").exists()
    assert run.outputs("03_app") == {"ecs_ids": ["i-1"]} and run.is_applied("03_app") and not run.is_applied("04_slb")


def test_removal_takes_workspaces_and_policies(run: Run, lab: TfeLab) -> None:
    setup_tfe(run)
    remove_tfe(run)
    assert lab.get("/organizations/meow/workspaces")["data"] == [] and lab.get("/organizations/meow/policy-sets")["data"] == []
    remove_tfe(run)
