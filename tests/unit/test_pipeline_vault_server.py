"""The same steps against haechi's own server: what the little Vault of the other tests cannot be wrong about."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from haechi.clients.vault import Vault, VaultRefused
from haechi.dataplane.site import read_site
from haechi.pipeline import otp, vault_setup
from haechi.pipeline.failure import Failure
from haechi.pipeline.rows.vault import _take_through
from haechi.pipeline.run import Run
from haechi.pipeline.vault import Known, _write_known, open_vault
from haechi.pipeline.vault_setup import read_passwords, setup_vault
from haechi.settings import Target
from tests.fake_vault import FakeVault

CONFIG = 'storage "inmem" {}\ndisable_mlock = true\nlistener "tcp" {\n  address = "127.0.0.1:%d"\n  tls_disable = true\n}\n'


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "vault.hcl").write_text(CONFIG % port)
    command = [sys.executable, "-m", "haechi", "vault", "server", f"-config={tmp_path}/vault.hcl"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        with Vault(f"http://127.0.0.1:{port}", direct=True) as vault:
            deadline = time.monotonic() + 20
            while vault.seal() is None:
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.05)
        yield vault.address
        process.terminate()


@pytest.fixture
def run(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("HAECHI_VAULT_ADDR", "VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(vault_setup, "AUDIT_FILE", str(tmp_path / "audit.log"))
    site = read_site({"HAECHI_SITE": "9", "HAECHI_HOME": str(tmp_path / "home")})
    run = Run(Target("local", site, "ap-southeast-1", "LTAIx", "cloud-secret"), tmp_path, lambda line: None)
    _write_known(run.target, Known(address, True, "haechi", ""))
    return run


def test_from_nothing_to_a_one_time_password(run: Run, address: str, tmp_path: Path) -> None:
    open_vault(run)
    assert len(setup_vault(run).split("; ")) == 11
    assert setup_vault(run) == "nothing to change"
    (run.target.vault_home / "init.json").rename(tmp_path / "elsewhere.json")
    run.values.clear()
    assert setup_vault(run) == "nothing to change", "as admin"

    password = otp.issue(run.target, "198.18.144.20", "test")
    with pytest.raises(Failure, match="Username is not present is allowed users list"):
        otp.issue(run.target, "198.18.144.20", "root")
    with pytest.raises(Failure, match="IP does not belong to role"):
        otp.issue(run.target, "203.0.113.9", "test")
    with Vault(address, direct=True) as vault:
        verdict = {"ip": "198.18.144.20", "username": "test", "role_name": "otp_key_role"}
        assert vault.write("ssh-otp/verify", {"otp": password}) == verdict
        with pytest.raises(VaultRefused, match="OTP not found"):
            vault.write("ssh-otp/verify", {"otp": password})
        vault.login("operator", read_passwords(run.target)["operator"])
        answer = vault.request("PUT", "ssh-otp/creds/otp_key_role", {"ip": "198.18.144.20"})
        assert answer is not None and 500 < answer["lease_duration"] <= 600, "an unused password lives on"
        for path in ("kv-v2/data/alicloud", "ssh-otp/roles/otp_key_role", "sys/policies/acl/super-user", "auth/userpass/users/admin"):
            with pytest.raises(VaultRefused) as caught:
                vault.read(path)
            assert caught.value.status == 403
        vault.login("admin", read_passwords(run.target)["admin"])
        answer = vault.request("PUT", "auth/token/create", {"policies": ["packer"]})
        assert answer is not None
        vault.token = answer["auth"]["client_token"]
        found = vault.read("kv-v2/data/alicloud")
        assert found is not None and found["data"] == {"access_key": "LTAIx", "secret_key": "cloud-secret"}
        with pytest.raises(VaultRefused):
            vault.write("kv-v2/data/alicloud", {"data": {}})

    passwords = read_passwords(run.target).values()
    kept = json.loads((tmp_path / "elsewhere.json").read_text())
    secrets = [password, "cloud-secret", kept["root_token"], *kept["unseal_keys_hex"], *kept["unseal_keys_b64"], *passwords]
    told = (tmp_path / "audit.log").read_text() + (tmp_path / "log").read_text()
    assert '"path":"ssh-otp/verify"' in told and not [s for s in secrets if s in told]


def test_sealed_again_it_is_opened_again(run: Run, address: str) -> None:
    open_vault(run)
    setup_vault(run)
    with Vault(address, direct=True) as vault:
        vault.login("admin", read_passwords(run.target)["admin"])
        vault.request("PUT", "sys/seal")
    with pytest.raises(Failure, match="is sealed"):
        otp.issue(run.target, "198.18.144.20", "test")
    assert open_vault(run).startswith("unsealed with 3 of the shares")
    assert setup_vault(run) == "nothing to change"
    assert otp.issue(run.target, "198.18.144.20", "test")


def test_every_state_of_the_seal(address: str) -> None:
    with Vault(address, direct=True) as vault:
        assert _take_through(vault).startswith("not initialised, sealed, unsealed; ")
        with pytest.raises(AssertionError, match="not not initialised"):
            _take_through(vault)


def test_a_vault_that_takes_any_share_is_found_out() -> None:
    class Gullible(FakeVault):
        def _unseal(self, body: dict[str, str]) -> tuple[int, dict[str, object]]:
            self.keys = [*self.keys, body["key"]]
            status, answer = super()._unseal(body)
            self.keys = self.keys[:5]
            return status, answer

    gullible = Gullible()
    with Vault(gullible.address, direct=True) as vault, pytest.raises(AssertionError, match="PUT sys/unseal was accepted"):
        _take_through(vault)
    gullible.close()
