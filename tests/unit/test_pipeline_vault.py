"""Initialising and unsealing: once, by shares that lie where the operator said, and never lost in silence."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane.site import read_site
from haechi.pipeline import shares, vault
from haechi.pipeline.failure import Failure
from haechi.pipeline.run import Run, VaultOptions
from haechi.pipeline.vault import Known, admit_clients, apply_vault, forget_vault, open_vault, read_known
from haechi.settings import Target
from tests.fake_vault import FakeVault


@pytest.fixture
def fake() -> Iterator[FakeVault]:
    server = FakeVault()
    yield server
    server.close()


def make_run(home: Path, name: str = "local", **options: str) -> Run:
    """A run whose lines of progress are kept in `run.lines`."""
    target = Target(name, read_site({"HAECHI_SITE": "9", "HAECHI_HOME": str(home)}), "ap-southeast-1", "LTAIx", "cloud-secret")
    lines: list[str] = []
    run = Run(target, home / "blueprint", lines.append, VaultOptions(**options))
    run.lines = lines  # type: ignore[attr-defined]
    return run


@pytest.fixture
def run(tmp_path: Path, fake: FakeVault) -> Run:
    run = make_run(tmp_path / "home")
    know(run, fake)
    return run


def know(run: Run, fake: FakeVault, managed: bool = True, place: str = "") -> None:
    vault._write_known(run.target, Known(fake.address, managed, "haechi", place))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_initialised_once_and_unsealed_whenever_sealed(run: Run, fake: FakeVault) -> None:
    assert "initialised with 5 shares, threshold 3" in open_vault(run)
    path = run.target.vault_home / "init.json"
    known = json.loads(path.read_text())
    assert (known["unseal_keys_hex"], known["unseal_shares"], known["unseal_threshold"]) == (fake.keys, 5, 3)
    assert known["root_token"] in fake.tokens and run.values["vault_token"] == known["root_token"]
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert not fake.sealed
    assert open_vault(run) == "unsealed already, 3 of 5 shares open it"
    fake.seal()
    assert open_vault(run) == f"unsealed with 3 of the shares in {path}"
    assert not fake.sealed and json.loads(path.read_text()) == known


def test_the_demonstration_says_where_its_shares_lie(run: Run, fake: FakeVault) -> None:
    said = open_vault(run)
    lines: list[str] = run.lines  # type: ignore[attr-defined]
    path = run.target.vault_home / "init.json"
    assert lines == [f"demonstration: unseal shares and root token lie in {path}; keep real ones apart"]
    assert not any(secret in " ".join([said, *lines, repr(run)]) for secret in (*fake.keys, *fake.tokens))


def test_a_named_file_is_written_once(run: Run, fake: FakeVault, tmp_path: Path) -> None:
    path = tmp_path / "usb" / "shares.json"
    know(run, fake, place=str(path))
    with pytest.raises(Failure, match="cannot be written: No such file"):
        open_vault(run)
    assert not fake.keys, "Vault was initialised although its shares had no place"
    path.parent.mkdir()
    path.write_text("of another Vault")
    with pytest.raises(Failure, match="exists already"):
        open_vault(run)
    assert not fake.keys and path.read_text() == "of another Vault"
    path.unlink()
    open_vault(run)
    assert json.loads(path.read_text())["unseal_keys_hex"] == fake.keys
    assert mode(path) == 0o600 and os.listdir(path.parent) == ["shares.json"]
    assert not (run.target.vault_home / "init.json").exists()
    assert run.lines == []  # type: ignore[attr-defined]


def test_shares_of_a_vault_that_is_no_more_are_put_aside(run: Run, fake: FakeVault) -> None:
    path = run.target.vault_home / "init.json"
    path.write_text("old")
    open_vault(run)
    assert path.with_name("init.json.previous").read_text() == "old"
    assert json.loads(path.read_text())["unseal_keys_hex"] == fake.keys


def test_shown_on_the_terminal_and_stored_nowhere(run: Run, fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(run, fake, place="-")
    monkeypatch.setattr(shares, "TERMINAL", str(tmp_path / "none" / "tty"))
    with pytest.raises(Failure, match="no terminal"):
        open_vault(run)
    assert not fake.keys
    terminal = tmp_path / "tty"
    terminal.touch()
    monkeypatch.setattr(shares, "TERMINAL", str(terminal))
    open_vault(run)
    shown = terminal.read_text()
    assert shown.count("Unseal Key ") == 5 and f"Initial Root Token: {run.values['vault_token']}" in shown
    stored = "".join(p.read_text() for p in run.target.site.home.rglob("*") if p.is_file())
    assert not any(secret in stored for secret in (*fake.keys, *fake.tokens))
    fake.seal()
    with pytest.raises(Failure, match=r"sealed and its unseal shares are not here.\n`haechi vault operator unseal` with 3 of them"):
        open_vault(run)


def test_cut_off_between_vaults_answer_and_the_file(run: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(answer: dict[str, Any], n: int, t: int) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shares, "render", dies)
        with pytest.raises(KeyboardInterrupt):
            open_vault(run)
    assert fake.keys and os.listdir(run.target.vault_home) == ["vault.json"]
    with pytest.raises(Failure, match=r"cut off before it wrote the shares down.*\n`haechi down`, then `haechi up`"):
        open_vault(run)


def test_cut_off_before_the_file_has_its_name(run: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            open_vault(run)
    assert sorted(os.listdir(run.target.vault_home)) == ["init.json.tmp", "vault.json"]
    assert open_vault(run).startswith("unsealed with 3")
    assert sorted(os.listdir(run.target.vault_home)) == ["init.json", "vault.json"]


def test_a_half_written_file_is_no_shares(run: Run, fake: FakeVault) -> None:
    open_vault(run)
    path = run.target.vault_home / "init.json"
    path.rename(path.with_name("init.json.tmp")).write_text('{"unseal_keys_b64": ["abc')
    fake.seal()
    with pytest.raises(Failure, match="cut off before"):
        open_vault(run)


def test_wrong_shares_open_nothing_and_are_not_told(run: Run, fake: FakeVault) -> None:
    open_vault(run)
    fake.seal()
    path = run.target.vault_home / "init.json"
    wrong = json.loads(path.read_text()) | {"unseal_keys_hex": ["canary" + "0" * 60 + str(n) for n in range(5)]}
    path.write_text(json.dumps(wrong))
    with pytest.raises(Failure) as caught:
        open_vault(run)
    assert "do not open" in caught.value.what and "canary" not in str(caught.value)
    assert fake.sealed


def test_too_few_shares(run: Run, fake: FakeVault) -> None:
    open_vault(run)
    fake.seal()
    path = run.target.vault_home / "init.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"unseal_keys_hex": fake.keys[:2]}))
    with pytest.raises(Failure, match="2 are not enough"):
        open_vault(run)
    path.write_text("[]")
    with pytest.raises(Failure, match="does not hold unseal shares"):
        open_vault(run)


def test_what_somebody_began_to_give_does_not_stand_in_the_way(run: Run, fake: FakeVault) -> None:
    open_vault(run)
    fake.seal()
    fake.given = ["a wrong share"]
    open_vault(run)
    assert not fake.sealed


def test_a_standby_becomes_active_first(run: Run, fake: FakeVault) -> None:
    fake.standby = 3
    open_vault(run)
    assert fake.standby == 0


def test_an_existing_vault_is_neither_initialised_nor_unsealed(run: Run, fake: FakeVault) -> None:
    know(run, fake, managed=False)
    with pytest.raises(Failure, match=r"is not initialised.\nInitialise it: `haechi vault operator init`"):
        open_vault(run)
    assert not fake.keys
    know(run, fake)
    open_vault(run)
    know(run, fake, managed=False)
    assert open_vault(run).startswith("unsealed already")
    fake.seal()
    with pytest.raises(Failure, match="its unseal shares are not here"):
        open_vault(run)
    assert fake.sealed


def test_a_silent_vault_is_two_lines(run: Run, fake: FakeVault) -> None:
    fake.close()
    with pytest.raises(Failure, match="does not answer any more"):
        open_vault(run)


class Terraform:
    """Stands in for apply_part: keeps the variables, answers with outputs."""

    def __init__(self, address: str) -> None:
        self.calls: list[dict[str, Any]] = []
        self.address = address

    def __call__(self, run: Run, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        assert name == "01_vault"
        self.calls.append(variables)
        return {"vault_addr": self.address, "instance_id": "i-1", "public_ip": "198.18.144.16"}


@pytest.fixture
def terraform(fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terraform]:
    from haechi.pipeline.bundle import Published

    stub = Terraform(fake.address)
    monkeypatch.setattr(vault, "apply_part", stub)
    monkeypatch.setattr(vault, "publish", lambda mirror: Published("http://m/v", "aa", "http://m/h", "bb"))
    monkeypatch.setattr(vault, "operator_key", key_of)
    yield stub


def key_of(target: Target) -> Path:
    path = target.site.home / "operator"
    path.with_suffix(".pub").write_text("ssh-ed25519 AAAA\n")
    return path


def test_01_vault_gets_its_variables(run: Run, fake: FakeVault, terraform: Terraform) -> None:
    assert apply_vault(run) == f"{fake.address} answers, not initialised"
    assert terraform.calls == [
        {
            "region": "ap-southeast-1",
            "public_key": "ssh-ed25519 AAAA",
            "vault_package": "haechi",
            "operator_cidr": "198.18.144.1/32",
            "client_cidrs": ["198.18.144.0/20"],
            "vault_package_url": "http://m/v",
            "vault_package_sha256": "aa",
        }
    ]
    assert read_known(run.target) == Known(fake.address, True, "haechi", "")
    admit_clients(run, ["198.18.144.20"])
    assert len(terraform.calls) == 1, "a local site's range is let in from the beginning"


def test_what_was_chosen_once_stays_chosen(tmp_path: Path, run: Run, terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    apply_vault(make_run(run.target.site.home, package="hashicorp", shares="mine.json"))
    apply_vault(run)
    assert [c["vault_package"] for c in terraform.calls] == ["hashicorp", "hashicorp"]
    assert read_known(run.target) == Known(terraform.address, True, "hashicorp", str(tmp_path / "mine.json"))
    with pytest.raises(Failure, match=r"no Vault package 'openbao'.\nUse --vault-package haechi or hashicorp"):
        apply_vault(make_run(run.target.site.home, package="openbao"))


def test_the_real_cloud_needs_a_place_for_the_shares_first(tmp_path: Path, fake: FakeVault, terraform: Terraform) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(Failure, match="--vault-shares FILE"):
        apply_vault(make_run(home, "alibaba"))
    assert terraform.calls == []
    run = make_run(home, "alibaba", shares=str(tmp_path / "shares.json"))
    apply_vault(run)
    assert terraform.calls == [{"region": "ap-southeast-1", "public_key": "ssh-ed25519 AAAA", "vault_package": "hashicorp"}]
    admit_clients(run, ["203.0.113.7", "203.0.113.8"])
    assert terraform.calls[1]["client_cidrs"] == ["203.0.113.7/32", "203.0.113.8/32"]


def test_an_existing_vault_is_not_built(run: Run, fake: FakeVault, terraform: Terraform) -> None:
    given = make_run(run.target.site.home, address=fake.address)
    assert apply_vault(given) == f"using the Vault at {fake.address}, not initialised"
    assert apply_vault(run) == f"using the Vault at {fake.address}, not initialised", "the choice is remembered"
    admit_clients(run, ["198.18.144.20"])
    assert terraform.calls == []
    with pytest.raises(Failure, match=r"Nothing that speaks Vault's API answers at http://127.0.0.1:9"):
        apply_vault(make_run(run.target.site.home, address="http://127.0.0.1:9"))
    assert run.target.vault_addr == fake.address


def test_a_vault_that_does_not_come_up_shows_why(run: Run, terraform: Terraform, monkeypatch: pytest.MonkeyPatch) -> None:
    class Health:
        def __init__(self, socket: Path) -> None:
            pass

        def health(self) -> dict[str, Any]:
            return {"ok": True}

    terraform.address = "http://127.0.0.1:9"
    monkeypatch.setattr(vault, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(vault, "ControlClient", Health)
    monkeypatch.setattr(vault.remote, "run", lambda *args: subprocess.CompletedProcess([], 0, "curl: (7)\nuser data ended\n", ""))
    with pytest.raises(Failure, match=r"Vault does not answer at http://127.0.0.1:9 after .*\nLook there: ssh -i \S+ root@198.18.144.16"):
        apply_vault(run)
    lines: list[str] = run.lines  # type: ignore[attr-defined]
    assert lines[0].startswith("waiting for Vault") and lines[1:] == ["i-1: curl: (7)", "i-1: user data ended"]


@pytest.mark.parametrize(
    ("managed", "destroyed", "gone"),
    [
        (True, True, {"vault.json", "init.json", "operators.json"}),
        (True, False, {"vault.json"}),
        (False, True, {"vault.json", "init.json"}),
        (False, False, {"vault.json"}),
    ],
)
def test_down_forgets_what_went_with_the_instance(run: Run, fake: FakeVault, managed: bool, destroyed: bool, gone: set[str]) -> None:
    know(run, fake, managed=managed)
    for name in ("init.json", "operators.json", "init.json.previous", "known_hosts"):
        (run.target.vault_home / name).write_text("{}")
    before = set(os.listdir(run.target.vault_home))
    forget_vault(run.target, destroyed)
    assert before - set(os.listdir(run.target.vault_home)) == gone


def test_tools_are_led_to_this_vault(run: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    values = run.target.environment()
    assert values["VAULT_ADDR"] == fake.address and "VAULT_TOKEN" not in values
    assert "127.0.0.1" in values["NO_PROXY"].split(",") and values["no_proxy"] == values["NO_PROXY"]
    monkeypatch.setenv("HAECHI_VAULT_ADDR", "https://vault.example:8200")
    assert run.target.environment()["VAULT_ADDR"] == "https://vault.example:8200"
    assert "vault.example" in run.target.environment()["NO_PROXY"].split(",")
    monkeypatch.delenv("HAECHI_VAULT_ADDR")
    forget_vault(run.target, True)
    assert "VAULT_ADDR" not in run.target.environment()


@pytest.fixture(autouse=True)
def no_vault_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HAECHI_VAULT_ADDR", "VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_files_are_private_and_whole(tmp_path: Path) -> None:
    from haechi.pipeline.files import write_private

    path = tmp_path / "new" / "secret.json"
    for text in ("one", "two"):
        write_private(path, text)
        assert path.read_text() == text and mode(path) == 0o600
    assert mode(path.parent) == 0o700 and os.listdir(path.parent) == ["secret.json"]
    path.chmod(0o644)
    write_private(path, "three")
    assert mode(path) == 0o600
