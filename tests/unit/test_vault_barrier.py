"""The barrier: what lies on disk can be neither read nor moved."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from haechi.vault.barrier import HEADER, Barrier, BarrierError, Keyring, open_with, seal_with
from haechi.vault.storage import SqliteStorage
from tests.vaultlab import VaultLab


@pytest.fixture
def barrier() -> Barrier:
    return Barrier(Keyring.generate(1000.0))


def test_a_value_comes_back_under_its_own_path_only(barrier: Barrier) -> None:
    blob = barrier.seal_value("a/b", b"value")
    assert barrier.open_value("a/b", blob) == b"value"
    for other in ("a/c", "a/b/", "/a/b", "", "a"):
        with pytest.raises(BarrierError):
            barrier.open_value(other, blob)


def test_the_layout_is_term_version_nonce_ciphertext_tag(barrier: Barrier) -> None:
    blob = barrier.seal_value("a", b"value")
    assert HEADER.unpack_from(blob) == (1, 2)
    assert len(blob) == 4 + 1 + 12 + 5 + 16
    assert barrier.seal_value("a", b"value")[5:17] != blob[5:17]  # no nonce twice


def test_a_changed_byte_anywhere_is_noticed(barrier: Barrier) -> None:
    blob = barrier.seal_value("a", b"value")
    for at in range(len(blob)):
        with pytest.raises(BarrierError):
            barrier.open_value("a", blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])
    for size in range(len(blob)):
        with pytest.raises(BarrierError):
            barrier.open_value("a", blob[:size])


def test_another_barrier_opens_nothing(barrier: Barrier) -> None:
    other = Barrier(Keyring.generate(1000.0))
    with pytest.raises(BarrierError):
        other.open_value("a", barrier.seal_value("a", b"value"))
    with pytest.raises(BarrierError):
        other.show("", barrier.hide("name"))
    assert other.hide("name") != barrier.hide("name") and other.keyed_hash("x") != barrier.keyed_hash("x")


def test_after_a_rotation_old_values_open_and_new_ones_have_the_new_term(barrier: Barrier) -> None:
    old = barrier.seal_value("a", b"old")
    name = barrier.hide("x/y")
    barrier.adopt(barrier.keyring.rotated(2000.0))
    new = barrier.seal_value("a", b"new")
    assert (HEADER.unpack_from(old)[0], HEADER.unpack_from(new)[0]) == (1, 2)
    assert (barrier.open_value("a", old), barrier.open_value("a", new)) == (b"old", b"new")
    assert barrier.hide("x/y") == name
    assert barrier.keyring.installed == {1: 1000.0, 2: 2000.0} and barrier.keyring.sealings == 1


def test_a_keyring_survives_its_dump_and_its_root_key_is_not_in_it(barrier: Barrier) -> None:
    ring = barrier.keyring.rotated(2000.0)
    text = ring.dump()
    assert Keyring.load(ring.root_key, text) == ring
    assert ring.root_key not in text and "root" not in json.loads(text)
    for secret in (ring.root_key, *ring.terms.values(), ring.names, ring.hashes):
        assert repr(secret) not in repr(ring)


def test_names_are_found_again_but_tell_nothing(barrier: Barrier) -> None:
    hidden = barrier.hide("secret/team a/passwörd")
    assert hidden == barrier.hide("secret/team a/passwörd") and hidden.count("/") == 2
    assert not any(word in hidden for word in ("secret", "team", "pass"))
    first, second, last = hidden.split("/")
    assert barrier.show("", first) == "secret" and barrier.show("secret/", second + "/") == "team a/"
    assert barrier.show("secret/team a/", last) == "passwörd"
    assert barrier.hide("other/x").split("/")[1] != barrier.hide("secret/x").split("/")[1]  # equal names do not look equal


def test_a_name_does_not_open_below_another_folder(barrier: Barrier) -> None:
    hidden = barrier.hide("a/name").split("/")[1]
    assert barrier.show("a/", hidden) == "name"
    for folder in ("b/", "", "a/name/"):
        with pytest.raises(BarrierError):
            barrier.show(folder, hidden)
    with pytest.raises(BarrierError):
        barrier.show("a/", "!not base64!")


@pytest.mark.parametrize("path", ["", "a", "a/", "/", "a//b", "//", "/a", "\ud800/\udfff", "a\0b/\n", "é/日本/🔥"])
def test_odd_paths_stay_apart(barrier: Barrier, path: str) -> None:
    hidden = barrier.hide(path)
    assert hidden.endswith("/") == path.endswith("/") and hidden.count("/") == path.count("/")
    for other in ("a/b", "b", path + "x", path + "/"):
        assert barrier.hide(other) != hidden
    assert barrier.open_value(path, barrier.seal_value(path, b"v")) == b"v"


def test_thousands_of_segments_and_folders_are_no_trouble(barrier: Barrier) -> None:
    deep = "a/" * 3000 + "b"
    assert barrier.hide(deep).count("/") == 3000
    names = [barrier.hide(f"folder-{n}/sub/x") for n in range(5000)]  # more than are remembered
    assert len(set(names)) == 5000 and names == [barrier.hide(f"folder-{n}/sub/x") for n in range(5000)]


def test_single_keys_seal_and_open_only_with_themselves() -> None:
    blob = seal_with(b"k" * 32, "core/x", b"value")
    assert open_with(b"k" * 32, "core/x", blob) == b"value"
    for key, path in ((b"K" * 32, "core/x"), (b"k" * 32, "core/y"), (b"k" * 33, "core/x")):
        with pytest.raises(BarrierError):
            open_with(key, path, blob)
    with pytest.raises(BarrierError):
        open_with(b"k" * 32, "core/x", b"")


# On disk.

CANARY = "canary-7f3a"


def fill(vault: VaultLab) -> None:
    """Something of every kind, with the canary in each name and each value."""
    vault.ok("POST", f"sys/mounts/{CANARY}-kv1", {"type": "kv", "description": CANARY})
    vault.ok("POST", f"sys/mounts/{CANARY}-kv2", {"type": "kv-v2"})
    vault.ok("POST", f"sys/mounts/{CANARY}-ssh", {"type": "ssh"})
    vault.ok("POST", f"sys/auth/{CANARY}-users", {"type": "userpass"})
    vault.ok("POST", f"{CANARY}-kv1/{CANARY}-folder/{CANARY}-key", {f"{CANARY}-field": f"{CANARY}-value"})
    vault.ok("POST", f"{CANARY}-kv2/data/{CANARY}-key", {"data": {CANARY: CANARY}})
    vault.ok("PUT", f"sys/policies/acl/{CANARY}-policy", {"policy": f'path "{CANARY}/*" {{ capabilities = ["read"] }}'})
    vault.ok("POST", f"auth/{CANARY}-users/users/{CANARY}-user", {"password": CANARY, "token_policies": f"{CANARY}-policy"})
    login = vault.ok("POST", f"auth/{CANARY}-users/login/{CANARY}-user", {"password": CANARY}, token="")
    vault.ok("POST", f"cubbyhole/{CANARY}", {CANARY: CANARY}, token=login["auth"]["client_token"])
    vault.ok("POST", f"{CANARY}-ssh/roles/{CANARY}-role", {"key_type": "otp", "default_user": CANARY, "cidr_list": "0.0.0.0/0"})
    otp = vault.ok("POST", f"{CANARY}-ssh/creds/{CANARY}-role", {"ip": "10.9.8.7"})
    vault.ok("POST", "auth/token/create", {"id": f"{CANARY}-token", "policies": ["default"], "meta": {CANARY: CANARY}})
    vault.ok("POST", "sys/wrapping/wrap", {CANARY: CANARY}, headers={"X-Vault-Wrap-TTL": "1h"})
    vault.secrets = [CANARY, "10.9.8.7", vault.root, *vault.keys, otp["data"]["key"], login["auth"]["client_token"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("after", ["written", "sealed", "closed"])
def test_nothing_is_readable_in_any_file_of_the_storage(tmp_path: Path, after: str) -> None:
    storage = SqliteStorage(tmp_path / "data")
    vault = VaultLab(storage, shares=5, threshold=3)
    fill(vault)
    if after == "sealed":
        vault.ok("PUT", "sys/seal")
    if after == "closed":
        storage.close()
    files = [file for file in (tmp_path / "data").iterdir() if file.is_file()]
    assert {"vault.db", "vault.lock"} <= {file.name for file in files}
    assert after == "closed" or {"vault.db-wal", "vault.db-shm"} <= {file.name for file in files}
    everything = b"".join(file.read_bytes() for file in files)
    assert len(everything) > 20_000
    for secret in vault.secrets:  # type: ignore[attr-defined]
        assert secret.encode() not in everything
        assert secret.encode().hex().encode() not in everything
    for word in (b"sys/token", b"cubbyhole", b"userpass", b"default"):
        assert word not in everything
    vault.close()
    if after != "closed":
        storage.close()


def test_entries_that_were_swapped_or_renamed_on_disk_are_refused(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "data")
    vault = VaultLab(storage)
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    for name in ("poor", "rich"):
        vault.ok("POST", f"kv/{name}", {"is": name})
    barrier = vault.core.store.barrier
    (mount,) = [mount for mount in vault.core.mounts.all() if mount.path == "kv/"]
    poor, rich, moved = (barrier.hide(f"logical/{mount.uuid}/data/{name}") for name in ("poor", "rich", "moved"))
    vault.ok("PUT", "sys/seal")  # so that nothing is remembered
    file = sqlite3.connect(tmp_path / "data" / "vault.db", isolation_level=None)
    values = dict(file.execute("select key, value from entry where key in (?, ?)", (poor, rich)))
    assert set(values) == {poor, rich}
    file.execute("update entry set value = ? where key = ?", (values[rich], poor))
    file.execute("update entry set key = ? where key = ?", (moved, rich))
    for key in vault.keys:
        vault.ok("PUT", "sys/unseal", {"key": key})
    assert vault.call("GET", "kv/poor") == (500, {"errors": ["internal error: the storage or the audit log is not available"]})
    assert vault.call("GET", "kv/moved")[0] == 500
    assert vault.call("GET", "kv/rich")[0] == 404
    file.execute("update entry set value = ?, key = ? where key = ?", (values[rich], rich, moved))
    file.execute("update entry set value = ? where key = ?", (values[poor], poor))
    assert [vault.ok("GET", f"kv/{name}")["data"]["is"] for name in ("poor", "rich")] == ["poor", "rich"]
    file.execute("insert into entry select replace(key, ?, 'x' || ?), value from entry where key = ?", (poor, poor, poor))
    file.execute("update entry set key = ? where key = ?", (poor[:-4] + "AAAA", rich))
    assert vault.call("LIST", "kv")[0] == 500  # a name that nobody wrote
    file.close()
    vault.close()
    storage.close()
