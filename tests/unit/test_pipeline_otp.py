"""`haechi ssh`: which host, whose token, which options of ssh; and what it says when there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane.site import read_site
from haechi.pipeline import otp
from haechi.pipeline.failure import Failure
from haechi.pipeline.files import write_private
from haechi.pipeline.vault import Known, _write_known
from haechi.settings import Target
from tests.fake_vault import FakeVault

OTP = "2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c"


def instance(id: str, name: str, private: str, public: str = "", eip: str = "") -> dict[str, Any]:
    return {
        "InstanceId": id,
        "InstanceName": name,
        "PublicIpAddress": {"IpAddress": [public] if public else []},
        "EipAddress": {"IpAddress": eip},
        "VpcAttributes": {"PrivateIpAddress": {"IpAddress": [private]}},
    }


INSTANCES = [
    instance("i-1", "meow-app-01", "172.16.0.1", "198.18.144.20"),
    instance("i-2", "meow-app-02", "172.16.0.2", eip="198.18.144.21"),
    instance("i-3", "hidden", "172.16.0.3"),
    instance("i-4", "twin", "172.16.0.4"),
    instance("i-5", "twin", "172.16.0.5"),
]


@pytest.fixture
def fake() -> Iterator[FakeVault]:
    server = FakeVault()
    server.sealed, server.keys, server.tokens = False, ["k"] * 5, {"hvs.root": "root", "hvs.weak": "nobody"}
    server.store["auth/userpass/users/operator"] = {"password": "pass"}
    yield server
    server.close()


@pytest.fixture
def target(tmp_path: Path, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HAECHI_VAULT_ADDR", "VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(otp, "connect", lambda target: None)
    monkeypatch.setattr(otp, "every", lambda *args: iter(INSTANCES))
    found = Target("local", read_site({"HAECHI_SITE": "9", "HAECHI_HOME": str(tmp_path / "home")}), "ap-southeast-1")
    _write_known(found, Known(fake.address, True, "haechi", ""))
    return found


@pytest.mark.parametrize(
    ("wanted", "id", "address"),
    [
        ("meow-app-01", "i-1", "198.18.144.20"),
        ("i-1", "i-1", "198.18.144.20"),
        ("172.16.0.1", "i-1", "198.18.144.20"),
        ("meow-app-02", "i-2", "198.18.144.21"),
        ("198.18.144.21", "i-2", "198.18.144.21"),
        ("hidden", "i-3", "172.16.0.3"),
        ("203.0.113.9", "203.0.113.9", "203.0.113.9"),
    ],
)
def test_a_host_by_name_id_or_address(target: Target, wanted: str, id: str, address: str) -> None:
    assert otp.find_host(target, wanted) == otp.Host(id, address)


def test_a_host_that_is_not_one(target: Target) -> None:
    with pytest.raises(Failure, match=r"There is no instance 'meow-app-09'.\n`haechi status` lists them"):
        otp.find_host(target, "meow-app-09")
    with pytest.raises(Failure, match=r"twin is the name of 2 instances.\nUse an id: i-4, i-5"):
        otp.find_host(target, "twin")


def passwords(target: Target, **known: str) -> None:
    write_private(target.vault_home / "operators.json", json.dumps(known))


def test_tokens_in_their_order(target: Target, fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passwords(target, operator="pass", admin="never used")
    assert otp.issue(target, "198.18.144.20", "test") == OTP  # the operator, for lack of better
    assert fake.issued == [{"ip": "198.18.144.20", "username": "test"}]
    operator = [t for t, who in fake.tokens.items() if who == "operator"]
    assert len(operator) == 1
    (tmp_path / ".vault-token").write_text("hvs.root\n")
    otp.issue(target, "198.18.144.20", "test")
    monkeypatch.setenv("VAULT_TOKEN", "hvs.root")
    otp.issue(target, "198.18.144.20", "test")
    assert [t for t, who in fake.tokens.items() if who == "operator"] == operator, "the operator logged in needlessly"


@pytest.mark.parametrize("stale", ["hvs.of-yesterday", "hvs.weak"])
def test_a_token_that_no_longer_does_is_passed_over(target: Target, fake: FakeVault, tmp_path: Path, stale: str) -> None:
    (tmp_path / ".vault-token").write_text(stale)
    with pytest.raises(Failure, match=r"\.vault-token: permission denied") as caught:
        otp.issue(target, "198.18.144.20", "test")
    assert stale not in str(caught.value)
    passwords(target, operator="wrong")
    with pytest.raises(Failure, match=r"permission denied, operator: invalid username or password") as caught:
        otp.issue(target, "198.18.144.20", "test")
    assert "wrong" not in str(caught.value) and fake.issued == []
    passwords(target, operator="pass")
    assert otp.issue(target, "198.18.144.20", "test") == OTP


def test_a_request_that_vault_refuses_is_not_tried_with_every_token(target: Target, fake: FakeVault, tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("hvs.root")
    passwords(target, operator="pass")
    with pytest.raises(Failure, match=r"no one-time password for root@198.18.144.20 \(.*Username is not present"):
        otp.issue(target, "198.18.144.20", "root")
    assert "operator" not in fake.tokens.values()


def test_a_person_is_asked_last(target: Target, fake: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda prompt: "operator ")
    monkeypatch.setattr("getpass.getpass", lambda prompt: "pass")
    assert otp.issue(target, "198.18.144.20", "test") == OTP


def test_a_sealed_vault_gives_none(target: Target, fake: FakeVault) -> None:
    passwords(target, operator="pass")
    fake.seal()
    with pytest.raises(Failure, match=r"is sealed.\n`haechi up` brings it back; `haechi vault operator unseal`"):
        otp.issue(target, "198.18.144.20", "test")
    fake.close()
    with pytest.raises(Failure, match="does not answer"):
        _write_known(target, Known("http://127.0.0.1:9", True, "haechi", ""))
        otp.issue(target, "198.18.144.20", "test")
    (target.vault_home / "vault.json").unlink()
    with pytest.raises(Failure, match="There is no Vault"):
        otp.issue(target, "198.18.144.20", "test")


def test_logging_in(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(otp, "ssh_with_otp", lambda *args: calls.append(args) or 42)
    monkeypatch.setattr(otp, "issue", lambda target, address, user: f"otp for {user} at {address}")
    assert otp.log_in(target, "meow-app-01", ["-v", "uptime"], ask=False) == 42
    options = [
        *("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={target.vault_home}/known_hosts"),
        *("-o", "HostKeyAlias=i-1", "-o", "CheckHostIP=no"),
    ]
    assert calls == [("otp for test at 198.18.144.20", "test", "198.18.144.20", [*options, "-v", "uptime"])]
    otp.log_in(target, "root@172.16.0.3", [], ask=False)
    assert calls[1][:3] == ("otp for root at 172.16.0.3", "root", "172.16.0.3")
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"typed after {prompt}")
    otp.log_in(target, "i-2", [], ask=True)
    assert calls[2][0] == "typed after One-time password for test@198.18.144.21: "
