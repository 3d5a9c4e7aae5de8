"""Packer's own vault() function reads keys from our Vault: the real program, a template that a user could have written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vaultserver import VaultServer

TEMPLATE = """
locals {
  key    = vault("/kv-v2/data/alicloud", "access_key")
  old    = vault("/kv-v1/alicloud", "access_key")
}
source "null" "here" {
  communicator = "none"
}
build {
  sources = ["source.null.here"]
  provisioner "shell-local" {
    inline = ["test '${local.key}' = LTAIcanary", "test '${local.old}' = LTAIold", "touch done"]
  }
}
"""


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultServer]:
    server = VaultServer(tmp_path)
    server.start()
    server.initialize()
    for version in ("1", "2"):
        server.call("POST", f"sys/mounts/kv-v{version}", {"type": "kv", "options": {"version": version}})
    server.call("POST", "kv-v1/alicloud", {"access_key": "LTAIold"})
    server.call("POST", "kv-v2/data/alicloud", {"data": {"access_key": "LTAIcanary", "secret_key": "canary-secret"}})
    yield server
    server.close()


def packer(vault: VaultServer, token: str, *words: str) -> subprocess.CompletedProcess[str]:
    place = vault.place / "template"
    place.mkdir(exist_ok=True)
    (place / "image.pkr.hcl").write_text(TEMPLATE)
    own = {"VAULT_ADDR": vault.address, "VAULT_TOKEN": token, "CHECKPOINT_DISABLE": "1", "HOME": str(vault.place)}
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()} | own
    return subprocess.run(["packer", *words, "."], cwd=place, env=environment, capture_output=True, text=True, timeout=300)


def test_packer_builds_with_keys_from_vault(vault: VaultServer) -> None:
    for words in (("validate",), ("build", "-color=false")):
        done = packer(vault, vault.root, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (vault.place / "template" / "done").exists()


def test_a_token_that_may_not_read_is_refused(vault: VaultServer) -> None:
    weak = vault.call("POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    done = packer(vault, weak, "build", "-color=false")
    assert done.returncode != 0 and "permission denied" in done.stdout + done.stderr
    assert not (vault.place / "template" / "done").exists()


def test_a_burst_against_a_sealed_vault_is_refused_and_survived(vault: VaultServer) -> None:
    """Packer evaluates locals again and again: some hundred requests, each of which must be refused cleanly."""
    vault.call("PUT", "sys/seal")
    refused = [vault.http.get("kv-v2/data/alicloud", headers={"X-Vault-Token": vault.root}) for _ in range(306)]
    assert {(r.status_code, r.text) for r in refused} == {(503, '{"errors":["Vault is sealed"]}\n')}
    vault.unseal()
    assert packer(vault, vault.root, "validate").returncode == 0
    assert "canary-secret" not in vault.log.read_text()
