"""Response wrapping: an answer behind a token that opens it once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vaultlab import VaultLab

WRAP = {"X-Vault-Wrap-TTL": "5m"}
GONE = (400, ["wrapping token is not valid or does not exist"])
INFO = {"token", "accessor", "ttl", "creation_time", "creation_path"}


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    made = VaultLab()
    made.ok("POST", "sys/mounts/kv", {"type": "kv"})
    made.ok("POST", "kv/a", {"b": "c"})
    yield made
    made.close()


def wrapped(vault: VaultLab, method: str = "GET", path: str = "kv/a", body: Any = None, token: str | None = None) -> dict[str, Any]:
    answer = vault.ok(method, path, body, token=token, headers=WRAP)
    assert answer["data"] is None and answer["auth"] is None and answer["lease_id"] == ""
    return dict(answer["wrap_info"])


def unwrap(vault: VaultLab, token: str) -> Any:
    return vault.ok("POST", "sys/wrapping/unwrap", token=token)


def test_a_wrapped_answer_opens_once(vault: VaultLab) -> None:
    info = wrapped(vault)
    assert set(info) == INFO and info["token"].startswith("hvs.")
    assert (info["ttl"], info["creation_path"], info["creation_time"]) == (300, "kv/a", "2023-11-14T22:13:20Z")
    opened = unwrap(vault, info["token"])
    assert opened["data"] == {"b": "c"} and opened["wrap_info"] is None
    assert vault.refused("POST", "sys/wrapping/unwrap", token=info["token"]) == GONE
    assert vault.refused("POST", "sys/wrapping/lookup", {"token": info["token"]}, token="") == GONE
    assert vault.core.store.begin().paths("cubbyhole/") == []


def test_a_third_party_opens_it_if_it_may(vault: VaultLab) -> None:
    user = vault.ok("POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    nobody = vault.ok("POST", "auth/token/create", {"policies": ["none"], "no_default_policy": True})["auth"]["client_token"]
    info = wrapped(vault)
    body = {"token": info["token"]}
    assert vault.refused("POST", "sys/wrapping/unwrap", body, token="") == (400, ["missing client token"])
    assert vault.refused("POST", "sys/wrapping/unwrap", body, token=nobody)[0] == 403
    assert vault.ok("POST", "sys/wrapping/unwrap", body, token=user)["data"] == {"b": "c"}


def test_of_many_at_once_one_opens_it(vault: VaultLab) -> None:
    token = wrapped(vault)["token"]

    async def all_at_once() -> list[int]:
        answers = await asyncio.gather(*(vault.send("POST", "sys/wrapping/unwrap", token=token) for _ in range(30)))
        return sorted(answer.status_code for answer in answers)

    assert vault.run(all_at_once()) == [200] + [400] * 29


def test_looking_does_not_open(vault: VaultLab) -> None:
    info = wrapped(vault)
    expected = {"creation_ttl": 300, "creation_time": info["creation_time"], "creation_path": "kv/a"}
    for _ in range(3):
        assert vault.ok("POST", "sys/wrapping/lookup", {"token": info["token"]}, token="")["data"] == expected
    assert vault.ok("GET", "sys/wrapping/lookup", token=info["token"])["data"] == expected
    assert unwrap(vault, info["token"])["data"] == {"b": "c"}


def test_rewrapping_gives_a_new_token_for_the_same(vault: VaultLab) -> None:
    info = wrapped(vault)
    vault.clock.advance(100)
    again = vault.ok("POST", "sys/wrapping/rewrap", {"token": info["token"]})["wrap_info"]
    assert again["token"] != info["token"] and again["ttl"] == 300 and again["creation_path"] == "kv/a"
    assert vault.refused("POST", "sys/wrapping/unwrap", token=info["token"]) == GONE
    vault.clock.advance(250)
    assert unwrap(vault, again["token"])["data"] == {"b": "c"}


def test_it_ends_unopened_with_its_time(vault: VaultLab) -> None:
    info = wrapped(vault)
    vault.clock.advance(301)
    assert vault.refused("POST", "sys/wrapping/unwrap", token=info["token"]) == GONE
    vault.sweep()
    assert vault.core.store.begin().paths("cubbyhole/") == []


def test_a_wrapping_token_serves_for_nothing_else(vault: VaultLab) -> None:
    info = wrapped(vault)
    assert vault.refused("GET", "kv/a", token=info["token"])[0] == 403
    assert vault.refused("POST", "sys/wrapping/unwrap", token=info["token"]) == GONE  # that was its one use
    info = wrapped(vault)
    assert vault.ok("GET", "cubbyhole/response", token=info["token"])  # the old way to unwrap
    assert vault.refused("GET", "cubbyhole/response", token=info["token"])[0] == 403


def test_a_login_can_be_wrapped_without_a_token(vault: VaultLab) -> None:
    vault.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    vault.ok("POST", "auth/userpass/users/bob", {"password": "pw"})
    info = wrapped(vault, "POST", "auth/userpass/login/bob", {"password": "pw"}, token="")
    opened = unwrap(vault, info["token"])
    assert info["wrapped_accessor"] == opened["auth"]["accessor"]
    assert vault.ok("GET", "auth/token/lookup-self", token=opened["auth"]["client_token"])["data"]["display_name"] == "userpass-bob"
    before = vault.core.store.begin().paths("cubbyhole/")
    assert vault.refused("POST", "auth/userpass/login/bob", {"password": "wrong"}, token="", headers=WRAP)[0] == 400
    assert vault.core.store.begin().paths("cubbyhole/") == before


def test_anyone_may_ask_but_only_tokens_fill_the_storage(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    vault.ok("POST", "ssh/roles/r", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
    otp = vault.ok("POST", "ssh/creds/r", {"ip": "10.0.0.1"})["data"]["key"]
    entries = dict(vault.storage.entries)  # type: ignore[attr-defined]
    text = (400, ["response wrapping of this answer needs a token"])
    assert vault.refused("GET", "sys/internal/ui/mounts", token="", headers=WRAP) == text
    assert vault.refused("GET", "sys/internal/ui/mounts", token="hvs.x", headers=WRAP) == text
    assert vault.refused("PUT", "ssh/verify", {"otp": otp}, token="", headers=WRAP) == text
    assert vault.storage.entries == entries  # type: ignore[attr-defined]
    assert vault.ok("GET", "sys/internal/ui/mounts", headers=WRAP)["wrap_info"]
    assert vault.ok("PUT", "ssh/verify", {"otp": otp}, token="")["data"]["ip"] == "10.0.0.1"  # not spent by the refusal


def test_data_of_ones_own_can_be_wrapped(vault: VaultLab) -> None:
    data = {"a": [1, {"b": None}], "token": "x"}
    info = wrapped(vault, "POST", "sys/wrapping/wrap", data)
    assert info["creation_path"] == "sys/wrapping/wrap"
    assert unwrap(vault, info["token"])["data"] == data
    assert vault.refused("POST", "sys/wrapping/wrap", data) == (400, ["endpoint requires response wrapping to be used"])


def test_an_answer_without_a_body_is_not_wrapped(vault: VaultLab) -> None:
    assert vault.call("POST", "kv/b", {"x": "y"}, headers=WRAP) == (204, None)
    assert vault.refused("GET", "kv/none", headers=WRAP) == (404, [])


@pytest.mark.parametrize("ttl", ["soon", "-5", "5x", "1e3", "9" * 30, "200y"])
def test_an_impossible_ttl_is_refused(vault: VaultLab, ttl: str) -> None:
    status, errors = vault.refused("GET", "kv/a", headers={"X-Vault-Wrap-TTL": ttl})
    assert (status == 400 and "X-Vault-Wrap-TTL" in errors[0]) or "wrap ttl" in errors[0]


def test_a_policy_may_demand_wrapping(vault: VaultLab) -> None:
    rule = 'path "kv/a" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "10m" }'
    vault.ok("PUT", "sys/policies/acl/w", {"policy": rule})
    token = vault.ok("POST", "auth/token/create", {"policies": ["w"]})["auth"]["client_token"]
    assert vault.refused("GET", "kv/a", token=token)[0] == 403
    assert vault.refused("GET", "kv/a", token=token, headers={"X-Vault-Wrap-TTL": "11m"})[0] == 403
    assert wrapped(vault, token=token)["ttl"] == 300
