"""Init, unseal, seal, health, rekey, rotate and root generation, with the refusals of each."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from haechi.vault.errors import Unavailable
from haechi.vault.seal import CONFIG, KEYRING, ROOT_KEY, SealConfig
from haechi.vault.storage import MemoryStorage
from tests.vaultlab import VaultLab

SEALED = (503, ["Vault is sealed"])


@pytest.fixture
def empty() -> Iterator[VaultLab]:
    vault = VaultLab(fresh=False)
    yield vault
    vault.close()


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    """Five shares, three of which open."""
    made = VaultLab(shares=5, threshold=3)
    yield made
    made.close()


def unseal(vault: VaultLab, *keys: str) -> dict[str, Any]:
    answers = [vault.ok("PUT", "sys/unseal", {"key": key}, token="") for key in keys]
    return dict(answers[-1])


# Init.


def test_init_gives_shares_and_a_root_token_once_and_leaves_it_sealed(empty: VaultLab) -> None:
    assert empty.ok("GET", "sys/init", token="") == {"initialized": False}
    made = empty.ok("PUT", "sys/init", {"secret_shares": 5, "secret_threshold": 3}, token="")
    assert set(made) == {"keys", "keys_base64", "root_token"}
    assert [base64.b64decode(key).hex() for key in made["keys_base64"]] == made["keys"]
    assert len(set(made["keys"])) == 5 and {len(key) for key in made["keys"]} == {66}
    assert made["root_token"].startswith("hvs.") and len(made["root_token"]) == 28
    assert empty.ok("GET", "sys/init", token="") == {"initialized": True}
    assert empty.refused("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}) == (400, ["Vault is already initialized"])
    assert empty.refused("GET", "auth/token/lookup-self", token=made["root_token"]) == SEALED
    unseal(empty, *made["keys"][2:])
    assert empty.ok("GET", "auth/token/lookup-self", token=made["root_token"])["data"]["policies"] == ["root"]


def test_a_single_share_is_the_key_itself(empty: VaultLab) -> None:
    made = empty.ok("POST", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
    assert [len(key) for key in made["keys"]] == [64]
    assert not unseal(empty, made["keys"][0])["sealed"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "shares must be at least one"),
        ({"secret_shares": 0, "secret_threshold": 0}, "shares must be at least one"),
        ({"secret_shares": 5, "secret_threshold": 0}, "threshold must be at least one"),
        ({"secret_shares": 5, "secret_threshold": -1}, "threshold must be at least one"),
        ({"secret_shares": 5, "secret_threshold": 1}, "threshold must be greater than one for multiple shares"),
        ({"secret_shares": 2, "secret_threshold": 3}, "threshold cannot be larger than shares"),
        ({"secret_shares": 256, "secret_threshold": 3}, "shares must be less than 256"),
        ({"secret_shares": 255, "secret_threshold": 256}, "threshold must be less than 256"),
        ({"secret_shares": "five", "secret_threshold": 3}, "failed to parse JSON input: secret_shares must be a number"),
        ({"secret_shares": 5.5, "secret_threshold": 3}, "failed to parse JSON input: secret_shares must be a number"),
        ({"secret_shares": True, "secret_threshold": True}, "failed to parse JSON input: secret_shares must be a number"),
        ({"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["x"]}, "pgp_keys is not supported by this server"),
        ({"secret_shares": 1, "secret_threshold": 1, "root_token_pgp_key": "x"}, "root_token_pgp_key is not supported by this server"),
        (
            {"secret_shares": 1, "secret_threshold": 1, "recovery_shares": 1},
            "parameters recovery_shares,recovery_threshold not applicable to seal type shamir",
        ),
        ({"secret_shares": 5, "secret_threshold": 3, "stored_shares": 2}, "parameters stored_shares not applicable to seal type shamir"),
    ],
)
def test_init_refuses_what_makes_no_sense_and_stores_nothing(empty: VaultLab, body: dict[str, Any], text: str) -> None:
    assert empty.refused("PUT", "sys/init", body) == (400, [text])
    assert empty.ok("GET", "sys/init") == {"initialized": False}
    assert isinstance(empty.storage, MemoryStorage) and not empty.storage.entries


def test_the_extreme_numbers_of_shares_work(empty: VaultLab) -> None:
    made = empty.ok("PUT", "sys/init", {"secret_shares": 255, "secret_threshold": 255})
    assert len(made["keys"]) == 255
    assert not unseal(empty, *made["keys"])["sealed"]


def test_of_many_inits_at_once_one_wins_and_its_keys_open(empty: VaultLab) -> None:
    body = {"secret_shares": 3, "secret_threshold": 2}

    async def all_at_once() -> list[Any]:
        watching = [empty.send("GET", path) for path in ("sys/health", "sys/seal-status", "sys/init", "auth/token/lookup-self")]
        return list(await asyncio.gather(*(empty.send("PUT", "sys/init", body) for _ in range(8)), *watching))

    answers = empty.run(all_at_once())
    won = [answer for answer in answers[:8] if answer.status_code == 200]
    assert len(won) == 1 and all(
        answer.json() == {"errors": ["Vault is already initialized"]} for answer in answers[:8] if answer not in won
    )
    assert [answer.status_code for answer in answers[8:]] in ([501, 200, 200, 503], [503, 200, 200, 503])
    made = won[0].json()
    assert not unseal(empty, *made["keys"][:2])["sealed"]
    assert empty.ok("GET", "auth/token/lookup-self", token=made["root_token"])["data"]["policies"] == ["root"]


def test_an_init_that_cannot_be_stored_leaves_nothing(empty: VaultLab) -> None:
    def fail(changes: Mapping[str, bytes | None]) -> None:
        raise Unavailable("the disk is full")

    commit, empty.storage.commit = empty.storage.commit, fail  # type: ignore[method-assign]
    assert empty.refused("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[0] == 500
    empty.storage.commit = commit  # type: ignore[method-assign]
    assert empty.ok("GET", "sys/init") == {"initialized": False}
    assert empty.ok("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})["root_token"]


# Unseal.


def test_the_status_counts_what_was_given(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/seal")
    first = vault.ok("GET", "sys/seal-status", token="")
    assert {name: first[name] for name in ("type", "initialized", "sealed", "t", "n", "progress", "nonce")} == {
        "type": "shamir",
        "initialized": True,
        "sealed": True,
        "t": 3,
        "n": 5,
        "progress": 0,
        "nonce": "",
    }
    assert first["storage_type"] == "inmem" and first["migration"] is False and first["recovery_seal"] is False
    assert "cluster_name" not in first
    one = unseal(vault, vault.keys[0])
    assert (one["progress"], one["sealed"]) == (1, True) and one["nonce"]
    two = unseal(vault, vault.keys[4])
    assert (two["progress"], two["nonce"]) == (2, one["nonce"])
    done = unseal(vault, vault.keys[2])
    assert (done["progress"], done["sealed"], done["nonce"]) == (0, False, "") and done["cluster_name"] and done["cluster_id"]
    assert unseal(vault, vault.keys[2]) == done  # an open one stays as it is
    assert vault.ok("GET", "sys/seal-status", token="") == done


def test_all_sets_of_three_shares_in_any_form_and_order_open(vault: VaultLab) -> None:
    for number, keys in enumerate(itertools.combinations(vault.keys, 3)):
        vault.ok("PUT", "sys/seal")
        given = list(keys) if number % 2 else [base64.b64encode(bytes.fromhex(key)).decode() for key in reversed(keys)]
        assert not unseal(vault, *given)["sealed"]


def test_a_share_given_twice_counts_once(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/seal")
    assert unseal(vault, *[vault.keys[0]] * 5)["progress"] == 1
    assert unseal(vault, vault.keys[1], vault.keys[0].upper())["progress"] == 2
    assert not unseal(vault, vault.keys[2])["sealed"]


def test_two_shares_and_a_wrong_one_open_nothing_and_begin_anew(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/seal")
    unseal(vault, *vault.keys[:2])
    wrong = "ab" * 32 + "fe"
    status, errors = vault.refused("PUT", "sys/unseal", {"key": wrong}, token="")
    assert status == 400 and errors[0].startswith("failed to decrypt encrypted stored keys")
    assert vault.ok("GET", "sys/seal-status")["progress"] == 0
    assert vault.refused("GET", "sys/mounts") == SEALED
    assert not unseal(vault, *vault.keys[2:])["sealed"]


def test_another_share_of_the_same_place_is_refused(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/seal")
    unseal(vault, *vault.keys[:2])
    forged = "00" * 32 + vault.keys[0][-2:]
    answer = (400, ["failed to compute unseal key: duplicate part detected"])
    assert vault.refused("PUT", "sys/unseal", {"key": forged}) == answer
    assert vault.ok("GET", "sys/seal-status")["progress"] == 0
    unseal(vault, *vault.keys[:2])
    mixed = (400, ["failed to compute unseal key: all parts must be the same length"])
    assert vault.refused("PUT", "sys/unseal", {"key": "11" * 32}) == mixed


def test_shares_of_another_vault_do_not_open(vault: VaultLab) -> None:
    other = VaultLab(shares=5, threshold=3)
    vault.ok("PUT", "sys/seal")
    unseal(vault, *other.keys[:2])
    assert vault.refused("PUT", "sys/unseal", {"key": other.keys[2]})[0] == 400
    assert not unseal(vault, *vault.keys[:3])["sealed"]
    other.close()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ({"key": ""}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ({"key": None, "reset": False}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ({"key": 5}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ({"key": "not a key!"}, "'key' must be a valid hex or base64 string"),
        ({"key": "é" * 40}, "'key' must be a valid hex or base64 string"),
        ({"key": "ab" * 31}, "key is shorter than minimum 32 bytes"),
        ({"key": "ab" * 34}, "key is longer than maximum 33 bytes"),
    ],
)
def test_what_is_no_share_is_refused_and_does_not_count(vault: VaultLab, body: dict[str, Any], text: str) -> None:
    vault.ok("PUT", "sys/seal")
    unseal(vault, vault.keys[0])
    assert vault.refused("PUT", "sys/unseal", body, token="") == (400, [text])
    assert vault.ok("GET", "sys/seal-status")["progress"] == 1


def test_a_reset_forgets_the_shares(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/seal")
    unseal(vault, *vault.keys[:2])
    assert vault.ok("PUT", "sys/unseal", {"reset": True}, token="")["progress"] == 0
    assert unseal(vault, vault.keys[2])["progress"] == 1


def test_before_init_there_is_nothing_to_unseal(empty: VaultLab) -> None:
    assert empty.refused("PUT", "sys/unseal", {"key": "ab" * 33}) == (400, ["Vault is not initialized"])
    assert empty.ok("PUT", "sys/unseal", {"reset": True})["initialized"] is False
    status = empty.ok("GET", "sys/seal-status")
    assert (status["initialized"], status["sealed"], status["t"], status["n"]) == (False, True, 0, 0)


# Seal.


def test_sealing_needs_sudo_and_refuses_everything_after(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "kv/a", {"b": "c"})
    for name, capabilities in (("plain", '["update"]'), ("sudo", '["update", "sudo"]')):
        vault.ok("PUT", f"sys/policies/acl/{name}", {"policy": f'path "sys/seal" {{ capabilities = {capabilities} }}'})
    plain, sudo = (vault.ok("POST", "auth/token/create", {"policies": [name]})["auth"]["client_token"] for name in ("plain", "sudo"))
    assert vault.refused("PUT", "sys/seal", token="") == (403, ["permission denied"])
    assert vault.refused("PUT", "sys/seal", token=plain)[0] == 403
    assert vault.call("PUT", "sys/seal", token=sudo) == (204, None)
    assert vault.core.store._cache == {} and vault.core.cluster and not vault.core.store.is_open
    for method, path in (("GET", "kv/a"), ("GET", "sys/mounts"), ("PUT", "sys/seal"), ("POST", "auth/token/create"), ("LIST", "x/y")):
        assert vault.refused(method, path) == SEALED
    unseal(vault, *vault.keys[:3])
    assert vault.ok("GET", "kv/a")["data"] == {"b": "c"}


def test_sealing_forgets_started_ceremonies_and_given_shares(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1})
    vault.ok("PUT", "sys/generate-root/attempt", {})
    vault.ok("PUT", "sys/seal")
    for method, path in itertools.product(("GET", "PUT", "DELETE"), ("sys/rekey/init", "sys/generate-root/attempt")):
        body = {"secret_shares": 1, "secret_threshold": 1} if method == "PUT" else None
        assert vault.refused(method, path, body) == SEALED
    for path in ("sys/rekey/update", "sys/rekey/verify", "sys/generate-root/update"):
        assert vault.refused("PUT", path, {"key": vault.keys[0], "nonce": ""}) == SEALED
    unseal(vault, *vault.keys[:3])
    assert vault.ok("GET", "sys/rekey/init")["started"] is False
    assert vault.ok("GET", "sys/generate-root/attempt")["started"] is False


def test_an_unseal_whose_tables_cannot_be_written_leaves_it_sealed(empty: VaultLab) -> None:
    made = empty.ok("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})

    def fail(changes: Mapping[str, bytes | None]) -> None:
        raise Unavailable("the disk is full")

    commit, empty.storage.commit = empty.storage.commit, fail  # type: ignore[method-assign]
    assert empty.refused("PUT", "sys/unseal", {"key": made["keys"][0]})[0] == 500
    assert empty.ok("GET", "sys/seal-status")["sealed"] is True
    empty.storage.commit = commit  # type: ignore[method-assign]
    assert not unseal(empty, made["keys"][0])["sealed"]
    empty.ok("POST", "sys/mounts/kv", {"type": "kv"}, token=made["root_token"])


# Health and leader.


def test_health_says_the_state_as_a_status(empty: VaultLab) -> None:
    assert empty.call("GET", "sys/health", token="")[0] == 501
    assert empty.call("HEAD", "sys/health", token="") == (501, None)
    made = empty.ok("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
    status, body = empty.call("GET", "sys/health", token="")
    assert (status, body["initialized"], body["sealed"]) == (503, True, True) and "cluster_id" not in body
    unseal(empty, made["keys"][0])
    status, body = empty.call("GET", "sys/health", token="")
    assert (status, body["sealed"], body["standby"], body["replication_dr_mode"]) == (200, False, False, "disabled")
    assert body["server_time_utc"] == 1_700_000_000 and body["cluster_id"] and body["enterprise"] is False
    assert empty.call("HEAD", "sys/health", token="") == (200, None)


def test_the_query_may_replace_the_statuses_of_health(vault: VaultLab) -> None:
    assert vault.call("GET", "sys/health?activecode=299&sealedcode=499", token="")[0] == 299
    assert vault.call("GET", "sys/health?activecode=204", token="") == (204, None)
    vault.ok("PUT", "sys/seal")
    assert vault.call("GET", "sys/health?activecode=299&sealedcode=499", token="")[0] == 499
    for code in ("x", "99", "100", "600", "1e3", "-200", "²00", "9" * 5000, ""):
        assert vault.refused("GET", f"sys/health?sealedcode={code}", token="") == (400, ["bad status code for sealedcode"])


def test_there_is_no_leader_to_ask_for(vault: VaultLab) -> None:
    assert vault.ok("GET", "sys/leader", token="")["ha_enabled"] is False
    vault.ok("PUT", "sys/seal")
    assert vault.ok("GET", "sys/leader", token="")["ha_enabled"] is False


# Rekey.


def start_rekey(vault: VaultLab, shares: int, threshold: int, **more: Any) -> str:
    started = vault.ok("PUT", "sys/rekey/init", {"secret_shares": shares, "secret_threshold": threshold, **more}, token="")
    assert (started["started"], started["progress"], started["required"]) == (True, 0, 3)
    assert (started["n"], started["t"]) == (shares, threshold)
    return str(started["nonce"])


def update(vault: VaultLab, nonce: str, *keys: str) -> dict[str, Any]:
    answers = [vault.ok("PUT", "sys/rekey/update", {"key": key, "nonce": nonce}, token="") for key in keys]
    return dict(answers[-1])


def opens(vault: VaultLab, keys: list[str]) -> bool:
    """Whether these shares open it, sealed for the purpose."""
    if vault.core.store.is_open:
        vault.ok("PUT", "sys/seal")
    vault.ok("PUT", "sys/unseal", {"reset": True})
    for key in keys:
        vault.call("PUT", "sys/unseal", {"key": key})
    return vault.core.store.is_open


def test_a_rekey_exchanges_the_shares_at_once(vault: VaultLab) -> None:
    idle = vault.ok("GET", "sys/rekey/init", token="")
    assert (idle["started"], idle["nonce"], idle["required"]) == (False, "", 3)
    nonce = start_rekey(vault, 4, 2)
    assert update(vault, nonce, vault.keys[0])["progress"] == 1
    assert update(vault, nonce, vault.keys[1])["progress"] == 2
    assert vault.ok("GET", "sys/rekey/init")["progress"] == 2
    done = update(vault, nonce, vault.keys[2])
    assert done["complete"] is True and done["nonce"] == nonce and len(done["keys"]) == 4 and done["verification_required"] is False
    assert [base64.b64decode(key).hex() for key in done["keys_base64"]] == done["keys"]
    assert vault.ok("GET", "sys/rekey/init")["started"] is False
    assert not opens(vault, vault.keys)
    assert opens(vault, done["keys"][2:])
    status = vault.ok("GET", "sys/seal-status")
    assert (status["t"], status["n"]) == (2, 4)


def test_a_rekey_with_verification_changes_nothing_before_the_new_shares_were_shown(vault: VaultLab) -> None:
    nonce = start_rekey(vault, 3, 2, require_verification=True)
    assert vault.refused("GET", "sys/rekey/verify") == (400, ["no rekey verification operation in progress"])
    done = update(vault, nonce, *vault.keys[:3])
    fresh, verification = done["keys"], done["verification_nonce"]
    assert done["verification_required"] is True and verification != nonce
    assert vault.refused("PUT", "sys/rekey/update", {"key": vault.keys[0], "nonce": nonce}) == (
        400,
        ["rekey operation already finished, waiting for verification"],
    )
    status = vault.ok("GET", "sys/rekey/verify", token="")
    assert (status["nonce"], status["t"], status["n"], status["progress"]) == (verification, 2, 3, 0)

    def verify(key: str, nonce: str = verification) -> tuple[int, Any]:
        return vault.call("PUT", "sys/rekey/verify", {"key": key, "nonce": nonce}, token="")

    assert verify(fresh[0], "wrong")[0] == 400
    assert verify(fresh[0])[1]["progress"] == 1
    assert verify(fresh[0]) == (400, {"errors": ["given key has already been provided during this verify operation"]})
    assert verify(vault.keys[1]) == (400, {"errors": ["rekey verification failed; incorrect keys or nonce supplied"]})
    assert vault.ok("GET", "sys/rekey/verify")["progress"] == 0
    renewed = vault.ok("DELETE", "sys/rekey/verify")["nonce"]
    assert renewed != verification and verify(fresh[0])[0] == 400
    assert verify(fresh[2], renewed)[1]["progress"] == 1
    assert verify(fresh[1], renewed) == (200, {"nonce": renewed, "complete": True})
    assert vault.refused("GET", "sys/rekey/verify") == (400, ["no rekey operation in progress"])
    assert not opens(vault, vault.keys) and opens(vault, fresh[:2])


def test_an_unverified_or_cancelled_rekey_leaves_the_old_shares(vault: VaultLab) -> None:
    nonce = start_rekey(vault, 3, 2, require_verification=True)
    fresh = update(vault, nonce, *vault.keys[:3])["keys"]
    assert vault.call("DELETE", "sys/rekey/init", token="") == (204, None)
    assert vault.ok("GET", "sys/rekey/init")["started"] is False
    assert not opens(vault, fresh) and opens(vault, vault.keys[1:4])


def test_a_rekey_refuses(vault: VaultLab) -> None:
    assert vault.refused("PUT", "sys/rekey/update", {"key": vault.keys[0], "nonce": ""}) == (400, ["no barrier rekey in progress"])
    bad = {"secret_shares": 2, "secret_threshold": 1}
    assert vault.refused("PUT", "sys/rekey/init", bad) == (400, ["threshold must be greater than one for multiple shares"])
    backup = {"secret_shares": 1, "secret_threshold": 1, "backup": True}
    assert vault.refused("PUT", "sys/rekey/init", backup) == (400, ["pgp_keys and backup are not supported by this server"])
    nonce = start_rekey(vault, 1, 1)
    again = {"secret_shares": 1, "secret_threshold": 1}
    assert vault.refused("PUT", "sys/rekey/init", again) == (400, ["rekey already in progress"])
    wrong = f'incorrect nonce supplied; nonce for this rekey operation is "{nonce}"'
    assert vault.refused("PUT", "sys/rekey/update", {"key": vault.keys[0], "nonce": "x"}) == (400, [wrong])
    assert vault.refused("PUT", "sys/rekey/update", {"nonce": nonce}) == (400, ["'key' must be specified in request body as JSON"])
    assert vault.refused("PUT", "sys/rekey/update", {"key": "ab", "nonce": nonce})[0] == 400
    update(vault, nonce, *vault.keys[:2])
    twice = (400, ["given key has already been provided during this generation operation"])
    assert vault.refused("PUT", "sys/rekey/update", {"key": vault.keys[0], "nonce": nonce}) == twice
    assert vault.refused("PUT", "sys/rekey/update", {"key": "ab" * 32 + "fe", "nonce": nonce})[0] == 400  # wrong: begins anew
    assert vault.ok("GET", "sys/rekey/init")["progress"] == 0
    assert vault.refused("GET", "sys/rekey/backup") == (400, ["no backed-up keys found"])
    assert vault.refused("GET", "sys/rekey-recovery-key/init") == (400, ["recovery rekeying not supported"])
    assert opens(vault, vault.keys[:3])


def test_a_rekey_that_cannot_be_stored_leaves_the_old_shares(vault: VaultLab) -> None:
    nonce = start_rekey(vault, 1, 1)
    update(vault, nonce, *vault.keys[:2])

    def fail(changes: Mapping[str, bytes | None]) -> None:
        raise Unavailable("the disk is full")

    commit, vault.storage.commit = vault.storage.commit, fail  # type: ignore[method-assign]
    status, body = vault.call("PUT", "sys/rekey/update", {"key": vault.keys[2], "nonce": nonce})
    vault.storage.commit = commit  # type: ignore[method-assign]
    assert status == 500 and "keys" not in body
    assert opens(vault, vault.keys[:3])


# Rotate.


def test_a_rotation_begins_a_new_term_and_old_secrets_stay_readable(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "kv/old", {"a": "1"})
    before = vault.ok("GET", "sys/key-status")
    assert before["term"] == before["data"]["term"] == 1 and before["install_time"] == "2023-11-14T22:13:20Z"
    vault.clock.advance(60)
    assert vault.call("PUT", "sys/rotate") == (204, None)
    after = vault.ok("GET", "sys/key-status")["data"]
    assert (after["term"], after["install_time"]) == (2, "2023-11-14T22:14:20Z") and after["encryptions"] < before["encryptions"]
    vault.ok("POST", "kv/new", {"a": "2"})
    assert opens(vault, vault.keys[:3])
    assert [vault.ok("GET", f"kv/{name}")["data"]["a"] for name in ("old", "new")] == ["1", "2"]
    assert vault.ok("GET", "sys/key-status")["data"]["term"] == 2
    assert vault.refused("PUT", "sys/rotate", token="")[0] == 403


def test_a_rotation_that_cannot_be_stored_does_not_happen(vault: VaultLab) -> None:
    def fail(changes: Mapping[str, bytes | None]) -> None:
        raise Unavailable("the disk is full")

    commit, vault.storage.commit = vault.storage.commit, fail  # type: ignore[method-assign]
    assert vault.refused("PUT", "sys/rotate")[0] == 500
    vault.storage.commit = commit  # type: ignore[method-assign]
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "kv/a", {"b": "c"})
    assert vault.ok("GET", "sys/key-status")["data"]["term"] == 1
    assert opens(vault, vault.keys[:3]) and vault.ok("GET", "kv/a")["data"] == {"b": "c"}


# Root generation.


def decode(encoded: str, otp: str) -> str:
    mixed = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(mixed, otp.encode(), strict=True)).decode()


@pytest.mark.parametrize("own", ["", "abcdefghijklmnopqrstuvwxyz01"])
def test_shareholders_make_a_root_token(vault: VaultLab, own: str) -> None:
    idle = vault.ok("GET", "sys/generate-root/attempt", token="")
    assert (idle["started"], idle["required"], idle["otp_length"], idle["complete"]) == (False, 3, 28, False)
    started = vault.ok("PUT", "sys/generate-root/attempt", {"otp": own} if own else {}, token="")
    otp = own or started["otp"]
    assert started["started"] is True and len(otp) == 28 and (not own or started["otp"] == "")
    assert vault.ok("GET", "sys/generate-root/attempt")["otp"] == ""  # shown once
    nonce = started["nonce"]
    for count, key in enumerate(vault.keys[:2], 1):
        answer = vault.ok("PUT", "sys/generate-root/update", {"key": key, "nonce": nonce}, token="")
        assert (answer["progress"], answer["complete"], answer["encoded_token"]) == (count, False, "")
    done = vault.ok("PUT", "sys/generate-root/update", {"key": vault.keys[4], "nonce": nonce}, token="")
    assert done["complete"] is True and done["encoded_token"] == done["encoded_root_token"] and done["progress"] == 3
    token = decode(done["encoded_token"], otp)
    look = vault.ok("GET", "auth/token/lookup-self", token=token)["data"]
    assert look["policies"] == ["root"] and look["ttl"] == 0 and look["orphan"] is True
    assert vault.ok("GET", "sys/generate-root/attempt")["started"] is False


def test_root_generation_refuses(vault: VaultLab) -> None:
    begin = ("PUT", "sys/generate-root/attempt")
    give = ("PUT", "sys/generate-root/update")
    assert vault.refused(*give, {"key": vault.keys[0], "nonce": ""}) == (400, ["no root generation in progress"])
    for otp in ("short", "x" * 29, 5, ["x"] * 28, "é" * 14, "\ud800" + "x" * 27):
        assert vault.refused(*begin, json.dumps({"otp": otp}).encode()) == (400, ["OTP string is wrong length"])
    assert vault.refused(*begin, {"pgp_key": "x"})[0] == 400
    nonce = vault.ok(*begin, {})["nonce"]
    assert vault.refused(*begin, {}) == (400, ["root generation already in progress"])
    wrong = f'incorrect nonce supplied; nonce for this root generation operation is "{nonce}"'
    assert vault.refused(*give, {"key": vault.keys[0], "nonce": "x"}) == (400, [wrong])
    for key in vault.keys[:2]:
        vault.ok(*give, {"key": key, "nonce": nonce})
    twice = (400, ["given key has already been provided during this generation operation"])
    assert vault.refused(*give, {"key": vault.keys[1], "nonce": nonce}) == twice
    assert vault.refused(*give, {"key": "cd" * 32 + "fe", "nonce": nonce})[0] == 400
    assert vault.ok("GET", begin[1])["progress"] == 0
    assert vault.call("DELETE", begin[1], token="") == (204, None)
    assert vault.ok("GET", begin[1])["started"] is False


# What lies in the clear.


def test_only_the_numbers_of_shares_lie_in_the_clear(vault: VaultLab) -> None:
    assert isinstance(vault.storage, MemoryStorage)
    plain = {key for key in vault.storage.entries if key.startswith("core/")}
    assert plain == {CONFIG, ROOT_KEY, KEYRING}
    assert SealConfig(**json.loads(vault.storage.entries[CONFIG])) == SealConfig(5, 3)
    assert sorted(json.loads(vault.storage.entries[CONFIG])) == ["shares", "threshold"]
