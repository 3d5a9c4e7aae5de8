"""Setting Vault up: everything once, again nothing, drift mended in our own Vault, a stranger's left as it is."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from haechi.dataplane.site import read_site
from haechi.pipeline import vault_setup
from haechi.pipeline.failure import Failure
from haechi.pipeline.run import Run
from haechi.pipeline.vault import Known, _write_known, open_vault
from haechi.pipeline.vault_setup import POLICIES, read_passwords, setup_vault
from haechi.settings import Target
from tests.fake_vault import FakeVault

KV = "kv-v2/data/alicloud"


@pytest.fixture(autouse=True)
def no_vault_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HAECHI_VAULT_ADDR", "VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeVault]:
    server = FakeVault()
    yield server
    server.close()


def new_run(home: Path) -> Run:
    target = Target("local", read_site({"HAECHI_SITE": "9", "HAECHI_HOME": str(home)}), "ap-southeast-1", "LTAIx", "cloud-secret")
    return Run(target, home, lambda line: None)


@pytest.fixture
def run(tmp_path: Path, fake: FakeVault) -> Run:
    """An initialised, unsealed Vault of our own; the run no longer has its first token in memory."""
    run = new_run(tmp_path / "home")
    _write_known(run.target, Known(fake.address, True, "haechi", ""))
    open_vault(run)
    return new_run(tmp_path / "home")


@pytest.fixture
def stranger(run: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same Vault, known only by its address and a token."""
    _write_known(run.target, Known(fake.address, False, "", ""))
    monkeypatch.setenv("VAULT_TOKEN", json.loads((run.target.vault_home / "init.json").read_text())["root_token"])
    return run


def test_everything_once(run: Run, fake: FakeVault) -> None:
    said = setup_vault(run)
    assert fake.store["sys/audit/file"] == {"type": "file", "options": {"file_path": "/var/log/vault/audit.log"}}
    assert fake.store["sys/auth/userpass"] == {"type": "userpass"}
    assert fake.store["sys/mounts/kv-v2"] == {"type": "kv", "options": {"version": "2"}, "config": {}}
    config = {"default_lease_ttl": 600, "max_lease_ttl": 600}
    assert fake.store["sys/mounts/ssh-otp"] == {"type": "ssh", "options": {}, "config": config}
    assert {name: fake.store[f"sys/policies/acl/{name}"]["policy"] for name in POLICIES} == POLICIES
    assert fake.store[KV] == {"data": {"access_key": "LTAIx", "secret_key": "cloud-secret"}}
    assert fake.store["ssh-otp/roles/otp_key_role"] == {
        "key_type": "otp",
        "default_user": "test",
        "allowed_users": "test",
        "cidr_list": "198.18.144.0/20",
        "exclude_cidr_list": "10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16",
    }
    passwords = read_passwords(run.target)
    assert fake.store["auth/userpass/users/admin"] == {"password": passwords["admin"], "token_policies": ["super-user"]}
    assert fake.store["auth/userpass/users/operator"] == {"password": passwords["operator"], "token_policies": ["otp-operator"]}
    assert passwords["admin"] != passwords["operator"] and min(map(len, passwords.values())) >= 32
    path = run.target.vault_home / "operators.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(secret in said for secret in ("cloud-secret", *passwords.values(), *fake.tokens))
    assert "audit to /var/log/vault/audit.log; enabled userpass; wrote policy super-user" in said


def test_again_nothing(run: Run, fake: FakeVault) -> None:
    setup_vault(run)
    before, passwords = dict(fake.store), (run.target.vault_home / "operators.json").stat().st_mtime_ns
    fake.writes.clear()
    assert setup_vault(run) == "nothing to change"
    assert fake.writes == [] and fake.store == before
    assert (run.target.vault_home / "operators.json").stat().st_mtime_ns == passwords


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("sys/policies/acl/packer", {"policy": 'path "*" { capabilities = ["sudo"] }'}),
        (KV, {"data": {"access_key": "LTAIold", "secret_key": "old"}}),
        ("ssh-otp/roles/otp_key_role", {"allowed_users": "*"}),
        ("ssh-otp/roles/otp_key_role", {"cidr_list": "0.0.0.0/0"}),
        ("auth/userpass/users/operator", {"token_policies": ["super-user"]}),
    ],
)
def test_drift_is_mended(run: Run, fake: FakeVault, path: str, change: dict[str, object]) -> None:
    setup_vault(run)
    right = dict(fake.store)
    fake.store[path] = fake.store[path] | change
    fake.writes.clear()
    setup_vault(run)
    assert fake.writes == [path] and fake.store == right


def test_passwords_that_would_live_for_long_are_mended(run: Run, fake: FakeVault) -> None:
    setup_vault(run)
    fake.store["sys/mounts/ssh-otp"]["config"] = {"default_lease_ttl": 2764800, "max_lease_ttl": 0}
    assert setup_vault(run) == "tuned ssh-otp/"
    assert fake.store["sys/mounts/ssh-otp"]["config"] == {"default_lease_ttl": 600, "max_lease_ttl": 600}


@pytest.mark.parametrize(
    "path", ["sys/policies/acl/otp-operator", "sys/audit/file", "auth/userpass/users/admin", KV, "ssh-otp/roles/otp_key_role"]
)
def test_what_is_gone_comes_back(run: Run, fake: FakeVault, path: str) -> None:
    setup_vault(run)
    right = dict(fake.store)
    del fake.store[path]
    fake.writes.clear()
    setup_vault(run)
    assert fake.writes == [path] and fake.store == right


def test_a_run_cut_off_before_the_user_sets_the_same_password(run: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(path: Path, text: str) -> None:
        write(path, text)
        raise KeyboardInterrupt

    write = vault_setup.write_private
    with monkeypatch.context() as patch:
        patch.setattr(vault_setup, "write_private", dies)
        with pytest.raises(KeyboardInterrupt):
            setup_vault(run)
    written = read_passwords(run.target)
    assert set(written) == {"admin"} and "auth/userpass/users/admin" not in fake.store
    setup_vault(run)
    assert fake.store["auth/userpass/users/admin"]["password"] == written["admin"] == read_passwords(run.target)["admin"]


def test_lost_passwords_are_set_anew_in_our_own(run: Run, fake: FakeVault) -> None:
    setup_vault(run)
    (run.target.vault_home / "operators.json").unlink()
    setup_vault(run)
    assert fake.store["auth/userpass/users/operator"]["password"] == read_passwords(run.target)["operator"]


def test_the_admin_serves_where_no_root_token_is_kept(run: Run, fake: FakeVault) -> None:
    setup_vault(run)
    (run.target.vault_home / "init.json").unlink()
    assert setup_vault(run) == "nothing to change"
    fake.store["auth/userpass/users/admin"]["password"] = "changed by hand"
    with pytest.raises(Failure, match=r"No token for the Vault at .* is at hand that it still knows.\nSet VAULT_TOKEN"):
        setup_vault(run)


def test_without_any_token(run: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = run.target.vault_home / "init.json"
    token = json.loads(kept.read_text())["root_token"]
    kept.unlink()
    with pytest.raises(Failure, match=r"No token for the Vault at .* is at hand\.\nSet VAULT_TOKEN"):
        setup_vault(run)
    monkeypatch.setenv("VAULT_TOKEN", "hvs.unknown")
    with pytest.raises(Failure, match="that it still knows") as caught:
        setup_vault(run)
    assert "hvs.unknown" not in str(caught.value) and fake.writes == []
    monkeypatch.setenv("VAULT_TOKEN", token)
    assert "mounted kv-v2/" in setup_vault(run)


def test_a_token_that_may_not_is_two_lines(run: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fake, "_write", lambda path, token, body: (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}))
        with pytest.raises(
            Failure, match=r"Vault refused PUT .*/sys/audit/file: HTTP 403: 1 error occurred: \* permission denied\nUse a token"
        ):
            setup_vault(run)


def test_sealed_meanwhile(run: Run, fake: FakeVault) -> None:
    fake.seal()
    with pytest.raises(Failure, match="No token"):
        setup_vault(run)


def test_a_new_kv_makes_itself_versioned_first(run: Run, fake: FakeVault) -> None:
    fake.upgrading = 2
    setup_vault(run)
    assert fake.upgrading == 0 and fake.store[KV]["data"]["access_key"] == "LTAIx"


def test_a_path_that_is_something_else(run: Run, fake: FakeVault) -> None:
    fake.store["sys/mounts/kv-v2"] = {"type": "kv", "options": {"version": "1"}, "config": {}}
    with pytest.raises(Failure, match=r"kv-v2/ of the Vault at .* is something else"):
        setup_vault(run)
    assert KV not in fake.store


def test_into_a_strangers_vault_only_what_is_missing(stranger: Run, fake: FakeVault) -> None:
    theirs: dict[str, dict[str, object]] = {
        "sys/policies/acl/packer": {"policy": "theirs"},
        "sys/mounts/kv-v2": {"type": "kv", "options": {"version": "2"}, "config": {}},
        KV: {"data": {"access_key": "theirs", "secret_key": "theirs"}},
        "auth/userpass/users/operator": {"password": "theirs", "token_policies": ["theirs"]},
    }
    fake.store |= theirs
    said = setup_vault(stranger)
    for words in ("policy packer differs", "kv-v2/alicloud differs", "user operator exists"):
        assert f"{words} and is left alone" in said
    assert theirs.items() <= fake.store.items()
    assert {"sys/auth/userpass", "sys/policies/acl/otp-operator", "sys/mounts/ssh-otp", "ssh-otp/roles/otp_key_role"} == set(fake.writes)
    assert read_passwords(stranger.target) == {}


def test_a_strangers_vault_gets_an_operator_and_no_owner(stranger: Run, fake: FakeVault) -> None:
    setup_vault(stranger)
    assert set(read_passwords(stranger.target)) == {"operator"}
    assert not {"sys/policies/acl/super-user", "auth/userpass/users/admin", "sys/audit/file"} & set(fake.store)
    fake.writes.clear()
    assert setup_vault(stranger) == "nothing to change" and fake.writes == []
    fake.store["ssh-otp/roles/otp_key_role"]["cidr_list"] = "10.0.0.0/8"
    assert setup_vault(stranger) == "role otp_key_role differs and is left alone" and fake.writes == []


def test_only_the_given_token_opens_a_strangers_vault(stranger: Run, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    with pytest.raises(Failure, match="Set VAULT_TOKEN"):
        setup_vault(stranger)
    assert fake.writes == []
