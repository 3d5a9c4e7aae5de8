"""The control side's client of Vault: states are values, refusals are errors, secrets stay out of both."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from haechi.clients.vault import Vault, VaultRefused, VaultSilent
from tests.fake_vault import FakeVault


@pytest.fixture
def fake() -> Iterator[FakeVault]:
    vault = FakeVault()
    yield vault
    vault.close()


def test_every_state_is_a_value(fake: FakeVault) -> None:
    with Vault(fake.address, direct=True) as vault:
        seal = vault.seal()
        assert seal is not None and (seal.initialized, seal.word) == (False, "not initialised")
        keys = vault.init(5, 3)["keys"]
        seal = vault.seal()
        assert seal is not None and (seal.word, seal.threshold, seal.shares) == ("sealed", 3, 5)
        assert [vault.unseal(k).progress for k in keys[:2]] == [1, 2]
        assert vault.unseal(keys[2]).word == "unsealed"


def test_silence_is_a_value_too(fake: FakeVault) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        with Vault(f"http://127.0.0.1:{closed.getsockname()[1]}", direct=True) as vault:
            assert vault.seal() is None
            with pytest.raises(VaultSilent, match="Connection refused"):
                vault.request("GET", "sys/health")


def test_another_server_is_no_vault() -> None:
    class Other(FakeVault):
        def handle(self, method: str, path: str, token: str, body: object) -> tuple[int, object]:
            return 200, {"hello": "world"}

    other = Other()
    with Vault(other.address, direct=True) as vault:
        assert vault.seal() is None
    other.close()


def test_reading_nothing_and_being_refused_differ(fake: FakeVault) -> None:
    with Vault(fake.address, direct=True) as vault:
        with pytest.raises(VaultRefused, match="HTTP 503: Vault is sealed"):
            vault.read("kv-v2/data/alicloud")
        answer = vault.init(1, 1)
        fake.sealed = False
        with pytest.raises(VaultRefused, match="HTTP 403: permission denied") as caught:
            vault.read("kv-v2/data/alicloud")
        assert caught.value.status == 403
        vault.token = answer["root_token"]
        assert vault.read("kv-v2/data/alicloud") is None
        assert vault.write("sys/policies/acl/x", {"policy": "y"}) is None
        assert vault.read("sys/policies/acl/x") == {"policy": "y"}


def test_login_keeps_the_token(fake: FakeVault) -> None:
    with Vault(fake.address, direct=True) as vault:
        vault.token = vault.init(1, 1)["root_token"]
        fake.sealed = False
        vault.write("auth/userpass/users/admin", {"password": "right"})
        with pytest.raises(VaultRefused, match="invalid username or password"):
            vault.login("admin", "wrong")
        before = vault.token
        vault.login("admin", "right")
        assert vault.token not in ("", before)


def test_what_was_sent_is_in_no_error(fake: FakeVault) -> None:
    with Vault(fake.address, token="hvs.canary1", direct=True) as vault:
        shown = []
        for method, path, body in (("PUT", "sys/unseal", {"key": "canary2"}), ("PUT", "auth/userpass/login/a", {"password": "canary3"})):
            fake.given, fake.sealed = ["a", "b"], path == "sys/unseal"
            with pytest.raises(VaultRefused) as caught:
                vault.request(method, path, body)
            shown.append(f"{caught.value!r} {caught.value} {caught.value.args}")
        fake.close()
        with Vault(fake.address, token="hvs.canary1", direct=True) as gone, pytest.raises(VaultSilent) as silent:
            gone.request("PUT", "auth/userpass/login/a", {"password": "canary3"})
        assert "canary" not in " ".join([*shown, repr(silent.value), repr(vault)])


def test_proxies_of_the_environment_only_when_wanted(fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Vault(fake.address, direct=True) as direct, Vault(fake.address) as proxied:
        assert direct.seal() is not None
        assert proxied.seal() is None


def test_no_token_of_the_environment_is_taken(fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.of-another-vault")
    with Vault(fake.address, direct=True) as vault:
        assert vault.token == ""
