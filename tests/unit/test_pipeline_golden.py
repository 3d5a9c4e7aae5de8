"""The golden image's step, with a stand-in for packer and a real Vault: what it is given, what it is not, and how it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from haechi.dataplane.site import read_site
from haechi.pipeline import golden
from haechi.pipeline.failure import Failure
from haechi.pipeline.run import Run
from haechi.pipeline.up import blueprint
from haechi.pipeline.vault import Known, _write_known
from haechi.settings import Target, read_target
from tests.vaultserver import VaultServer

FAKE = """#!/bin/sh
env > {place}/environment
printf '%s\\n' "$@" > {place}/words
{script}
"""


class Control:
    """Stands for the local cloud's controls; `alive` and `temporaries` are what it tells."""

    alive = True
    temporaries: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, socket: Path) -> None:
        pass

    def health(self) -> dict[str, Any] | None:
        return {"ok": True} if Control.alive else None

    def doctor(self, fix: bool) -> dict[str, Any]:
        return {"faults": [], "mended": [], "temporaries": Control.temporaries}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(golden, "ControlClient", Control)
    monkeypatch.setattr(Control, "alive", True)
    for name in ("HAECHI_VAULT_ADDR", "VAULT_ADDR", "VAULT_TOKEN", "HAECHI_TARGET"):
        monkeypatch.delenv(name, raising=False)
    server = VaultServer(tmp_path)
    server.start()
    server.initialize()
    server.call("PUT", "sys/policies/acl/packer", {"policy": 'path "kv-v2/data/alicloud" { capabilities = ["read"] }'})
    site = read_site({"HAECHI_SITE": "9", "HAECHI_HOME": str(tmp_path / "home")})
    _write_known(Target("local", site, "ap-southeast-1"), Known(server.address, True, "haechi", ""))
    target = read_target("local", {"HAECHI_SITE": "9", "HAECHI_HOME": str(tmp_path / "home")})
    yield Run(target, blueprint(), lambda line: None, values={"vault_token": server.root})
    server.close()


def fake_packer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "packer").write_text(FAKE.format(place=tmp_path, script=script))
    (folder / "packer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_packer_gets_a_token_that_dies_and_no_key(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICLOUD_SECRET_KEY", "canary")
    fake_packer(tmp_path, monkeypatch, "echo '==> alicloud-ecs.golden: hello'")
    said: list[str] = []
    run.say = said.append
    golden.copy_template(run, tmp_path / "place")
    with golden.vault_token(run) as token:
        golden.build(run, tmp_path / "place", token, "-force")
        held = httpx.get(f"{run.target.vault_addr}/v1/auth/token/lookup-self", headers={"X-Vault-Token": token}, trust_env=False)
        assert held.json()["data"]["policies"] == ["default", "packer"]
    gone = httpx.get(f"{run.target.vault_addr}/v1/auth/token/lookup-self", headers={"X-Vault-Token": token}, trust_env=False)
    assert gone.status_code == 403
    given = (tmp_path / "environment").read_text()
    assert f"VAULT_TOKEN={token}" in given and "canary" not in given
    words = (tmp_path / "words").read_text()
    assert "-force" in words and token not in words
    assert f"release={golden.image_name(run).rpartition('-')[2]}" in words
    assert said == ["hello"]
    assert (tmp_path / "place" / "vault-ssh-helper").exists()


def test_the_name_follows_what_the_image_is_made_of(run: Run, tmp_path: Path) -> None:
    name = golden.image_name(run)
    assert name == golden.image_name(run)
    golden.copy_template(run, tmp_path / "copy" / "02_image")
    (tmp_path / "copy" / "02_image" / "vault-ssh-helper").unlink()
    run.blueprint = tmp_path / "copy"
    assert golden.image_name(run) == name
    script = tmp_path / "copy" / "02_image" / "scripts" / "clean.sh"
    script.write_text(script.read_text() + "# more\n")
    assert golden.image_name(run) != name


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo \"Build 'x' errored after 3 seconds 2 milliseconds: Script exited with status: 3\"; exit 1", "Script exited with status: 3"),
        ("echo 'Error: no such variable'; echo; exit 1", "Error: no such variable"),
        ("echo last; exit 1", "last"),
        ("exit 1", "it said nothing"),
    ],
)
def test_packers_own_reason_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    fake_packer(tmp_path, monkeypatch, script)
    (tmp_path / "place").mkdir()
    with pytest.raises(Failure) as raised:
        golden.build(run, tmp_path / "place", "token")
    assert raised.value.what == f"packer build failed: {reason}"


def test_without_packer_it_says_how_to_get_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="apt-get install packer"):
        golden.build(run, tmp_path, "token")


def test_interrupted_packer_is_told_and_waited_for(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = f"trap 'sleep 0.3; touch {tmp_path}/cleaned; exit 1' INT"
    fake_packer(tmp_path, monkeypatch, f"{trap}\necho begun\nfor i in $(seq 600); do sleep 0.05; done")
    begun = threading.Event()
    run.say = lambda line: begun.set()

    def interrupt() -> None:
        begun.wait(20)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    (tmp_path / "place").mkdir()
    with pytest.raises(KeyboardInterrupt):
        golden.build(run, tmp_path / "place", "token")
    thread.join()
    assert (tmp_path / "cleaned").exists()


def test_a_build_whose_cloud_is_gone_ends(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "MISSES", 1)
    fake_packer(tmp_path, monkeypatch, "sleep 60 & sleep 60")
    monkeypatch.setattr(Control, "alive", False)
    (tmp_path / "place").mkdir()
    with pytest.raises(Failure, match="cloud server is gone"):
        golden.build(run, tmp_path / "place", "token")


def test_what_a_cut_off_build_left_is_removed_and_nothing_older(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def temporary(id: str, created: float) -> dict[str, Any]:
        return {"kind": "vpc", "id": id, "region": "ap-southeast-1", "agent": "HashiCorp-Packer/1.6.6", "created": created}

    now = time.time() - 5
    monkeypatch.setattr(Control, "temporaries", [temporary("vpc-old", now - 100), temporary("vpc-ours", now)])
    removed: list[str] = []
    monkeypatch.setattr(golden, "connect", lambda target: None)
    monkeypatch.setattr(golden, "remove_leftovers", lambda cloud, found: removed.extend(one.id for one in found) or iter(()))
    monkeypatch.setattr(golden, "find_images", lambda cloud, name: [{"ImageId": "m-1"}] if built else [])
    built: list[bool] = []
    monkeypatch.setattr(golden, "build", lambda *words: built.append(True))
    mark = run.target.work / "meow" / "02_image.building"
    mark.parent.mkdir(parents=True)
    mark.write_text(str(now - 1))
    golden.bake(run)
    assert removed == ["vpc-ours"] and not mark.exists()
