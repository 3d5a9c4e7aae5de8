"""What the `vault` command prints, to the letter where people and scripts know it by heart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.vaultcli.output import Screen, render_go, render_table, render_yaml, secret_field
from tests.unit.vaultcli_fake import FakeVault, at_home, errors, secret, serve

SEALED = {
    "type": "shamir",
    "initialized": True,
    "sealed": True,
    "t": 3,
    "n": 5,
    "progress": 1,
    "nonce": "n-1",
    "version": "1.17.6",
    "build_date": "2024-09-24T13:05:00Z",
    "migration": False,
    "recovery_seal": False,
    "storage_type": "file",
}
OPEN = {**SEALED, "sealed": False, "progress": 0, "nonce": "", "cluster_name": "c", "cluster_id": "i"}
INIT = {"keys": ["aa", "bb", "cc", "dd", "ee"], "keys_base64": ["QQ==", "Qg==", "Qw==", "RA==", "RQ=="], "root_token": "hvs.root"}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeVault]:
    yield from serve()


@pytest.fixture
def vault(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVault:
    return at_home(fake, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "<nil>"),
        (True, "true"),
        (0, "0"),
        ("", ""),
        ({"b": [1, "x"], "a": None}, "map[a:<nil> b:[1 x]]"),
        ([], "[]"),
        ({}, "map[]"),
        (1.5, "1.5"),
    ],
)
def test_values_print_as_in_go(value: Any, text: str) -> None:
    assert render_go(value) == text


def test_tables_pad_all_but_the_last_column_and_mark_empty_cells() -> None:
    assert (
        render_table([["Path", "Type"], ["a/", "x"], ["longer/", ""]]) == "Path       Type\n----       ----\na/         x\nlonger/    n/a"
    )


def test_a_secret_shows_lease_auth_and_data(vault: FakeVault) -> None:
    auth = {
        "client_token": "hvs.t",
        "accessor": "acc",
        "lease_duration": 0,
        "renewable": False,
        "token_policies": ["default", "root"],
        "identity_policies": None,
        "policies": ["root"],
        "metadata": {"username": "u"},
    }
    vault.answers = {
        "GET x": secret({"b_ttl": 3600, "a": [1], "n": None}, lease_id="x/1", lease_duration=60, renewable=True),
        "GET y": secret(auth=auth),
        "GET z": secret({"a": "b"}, lease_duration=2764800),
    }
    assert vault.run("read", "x").out == (
        "Key                Value\n---                -----\nlease_id           x/1\nlease_duration     1m\n"
        "lease_renewable    true\na                  [1]\nb_ttl              1h\nn                  <nil>\n"
    )
    assert vault.run("read", "y").out == (
        "Key                    Value\n---                    -----\ntoken                  hvs.t\ntoken_accessor         acc\n"
        'token_duration         ∞\ntoken_renewable        false\ntoken_policies         ["default" "root"]\n'
        'identity_policies      []\npolicies               ["root"]\ntoken_meta_username    u\n'
    )
    assert vault.run("read", "z").out.splitlines()[2:] == ["refresh_interval    768h", "a                   b"]


def test_a_wrapped_secret_shows_its_wrapping(vault: FakeVault) -> None:
    info = {"token": "hvs.w", "accessor": "a", "ttl": 300, "creation_time": "2024-01-01T00:00:00Z", "creation_path": "x"}
    vault.answers = {"GET x": secret(wrap_info=info)}
    done = vault.run("read", "-wrap-ttl=5m", "x")
    assert done.out.splitlines()[2:] == [
        "wrapping_token:                  hvs.w",
        "wrapping_accessor:               a",
        "wrapping_token_ttl:              5m",
        "wrapping_token_creation_time:    2024-01-01T00:00:00Z",
        "wrapping_token_creation_path:    x",
    ]
    assert vault.run("read", "-field=wrapping_token", "x").out == "hvs.w"
    assert vault.run("read", "-field=wrapping_token_ttl", "x").out == "300"
    assert vault.run("read", "-field=wrapping_accessor", "x").out == "a"


@pytest.mark.parametrize(
    ("name", "value"),
    [("lease_id", "l"), ("request_id", "r-1"), ("refresh_interval", 9), ("renewable", False), ("a", 1), ("data", {"a": 1}), ("none", None)],
)
def test_fields_of_an_envelope(name: str, value: Any) -> None:
    assert secret_field(secret({"a": 1}, lease_id="l", lease_duration=9), name) == value


@pytest.mark.parametrize(
    ("name", "value"), [("token", "t"), ("token_duration", 5), ("token_policies", ["p"]), ("identity_policies", []), ("lease_id", None)]
)
def test_fields_of_an_auth(name: str, value: Any) -> None:
    assert secret_field(secret(auth={"client_token": "t", "lease_duration": 5, "token_policies": ["p"]}), name) == value


def test_a_field_alone_has_no_newline_when_piped_and_a_missing_one_is_an_error(vault: FakeVault) -> None:
    vault.answers = {"GET x": secret({"a": "b\n", "m": {"k": 1}, "zero": 0, "no": False})}
    assert vault.run("read", "-field=a", "x").out == "b\n"
    assert vault.run("read", "-field=m", "x").out == "map[k:1]"
    assert vault.run("read", "-field=zero", "x").out == "0"
    assert vault.run("read", "-field=no", "x").out == "false"
    assert vault.run("read", "-field=m", "-format=json", "x").out == '{\n  "k": 1\n}'
    done = vault.run("read", "-field=none", "x")
    assert (done.code, done.out, done.err) == (1, "", 'Field "none" not present in secret\n')


class Terminal:
    """A stdout that says it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_field_ends_its_line_and_errors_are_red(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    Screen().raw("x")
    Screen().error("bad")
    Screen(color=False).error("plain")
    Screen("json").warn("for a program")
    assert out.text == "x\n"
    assert err.text == "\x1b[31mbad\x1b[0m\nplain\nfor a program\n"


def test_json_is_the_whole_envelope_with_sorted_data(vault: FakeVault) -> None:
    vault.answers = {"GET x": secret({"b": {"d": 1, "c": "ä<&>"}, "a": [2, 1]}, mount_type="kv")}
    for line in (("read", "-format=json", "x"), ("read", "-format", "json", "x"), ("read", "--format=JSON", "x")):
        done = vault.run(*line)
        assert list(json.loads(done.out)) == ["request_id", "lease_id", "lease_duration", "renewable", "data", "warnings", "mount_type"]
        assert done.out.index('"a"') < done.out.index('"b"') and done.out.index('"c"') < done.out.index('"d"')
        assert '  "data": {\n    "a": [\n      2,\n      1\n    ],' in done.out and "ä<&>" in done.out
    vault.answers = {"GET x": secret(auth={"client_token": "t"})}
    assert json.loads(vault.run("read", "-format=json", "x").out)["auth"] == {"client_token": "t"}


def test_the_format_may_come_from_the_environment(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.answers = {"GET x": secret({"a": "b"}), "GET l?list=true": secret({"keys": ["k"], "key_info": {"k": {"t": 1}}})}
    monkeypatch.setenv("VAULT_FORMAT", "json")
    assert json.loads(vault.run("read", "x").out)["data"] == {"a": "b"}
    assert json.loads(vault.run("list", "l").out) == ["k"]
    assert json.loads(vault.run("list", "-detailed", "l").out)["data"]["key_info"] == {"k": {"t": 1}}
    assert vault.run("read", "-format=table", "x").out.endswith("a      b\n")
    assert vault.run("write", "w", "a=b").out == ""  # nothing to say is nothing in JSON
    monkeypatch.setenv("VAULT_FORMAT", "xml")
    done = vault.run("read", "x")
    assert (done.code, done.err) == (1, "Invalid output format: xml\n")


def test_yaml() -> None:
    value = {"b": [1, {"c": "x y", "a": None}], "s": "no", "q": "a: b", "e": {}, "l": [], "t": "2024-01-01", "o": {"m": "line\nline"}}
    assert render_yaml(value).strip("\n") == (
        'b:\n  - 1\n  -\n    a: null\n    c: x y\ne: {}\nl: []\no:\n  m: "line\\nline"\nq: "a: b"\ns: "no"\nt: "2024-01-01"'
    )


def test_warnings_go_to_stderr(vault: FakeVault) -> None:
    vault.answers = {"PUT x": secret({"a": "b"}, warnings=["first", "second " * 20])}
    done = vault.run("write", "x", "a=b")
    assert done.out.endswith("a      b\n")
    assert done.err.startswith("WARNING! The following warnings were returned from Vault:\n\n  * first\n\n  * second second")
    assert max(map(len, done.err.splitlines())) <= 78


def test_kv_get_of_version_2(vault: FakeVault) -> None:
    metadata = {"created_time": "2024-01-01T00:00:00Z", "custom_metadata": None, "deletion_time": "", "destroyed": False, "version": 1}
    vault.answers = {
        "GET sys/internal/ui/mounts/secret/creds": secret({"path": "secret/", "options": {"version": "2"}}),
        "GET secret/data/creds": secret({"data": {"passcode": "my-long-passcode"}, "metadata": metadata}),
        "PUT secret/data/creds": secret(metadata),
    }
    head = "== Secret Path ==\nsecret/data/creds\n\n"
    shown = (
        "======= Metadata =======\nKey                Value\n---                -----\ncreated_time       2024-01-01T00:00:00Z\n"
        "custom_metadata    <nil>\ndeletion_time      n/a\ndestroyed          false\nversion            1\n"
    )
    data = "====== Data ======\nKey         Value\n---         -----\npasscode    my-long-passcode\n"
    assert vault.run("kv", "get", "secret/creds").out == f"{head}{shown}\n{data}"
    assert vault.run("kv", "put", "secret/creds", "a=b").out == head + shown
    assert vault.run("kv", "get", "-field=passcode", "secret/creds").out == "my-long-passcode"
    assert vault.run("kv", "get", "-field=data", "-format=json", "secret/creds").out == '{\n  "passcode": "my-long-passcode"\n}'
    done = vault.run("kv", "get", "-field=version", "secret/creds")
    assert (done.code, done.err) == (1, 'Field "version" not present in secret\n')


def test_status_sealed_and_open(vault: FakeVault) -> None:
    vault.answers = {"GET sys/seal-status": SEALED, "GET sys/leader": {"ha_enabled": False}}
    done = vault.run("status")
    assert (done.code, done.err) == (2, "")
    assert done.out == (
        "Key                Value\n---                -----\nSeal Type          shamir\nInitialized        true\nSealed             true\n"
        "Total Shares       5\nThreshold          3\nUnseal Progress    1/3\nUnseal Nonce       n-1\nVersion            1.17.6\n"
        "Build Date         2024-09-24T13:05:00Z\nStorage Type       file\nHA Enabled         false\n"
    )
    vault.answers["GET sys/seal-status"] = OPEN
    done = vault.run("status")
    assert done.code == 0
    assert "Sealed          false\n" in done.out and "Unseal" not in done.out
    assert done.out.endswith("Cluster Name    c\nCluster ID      i\nHA Enabled      false\n")


def test_status_of_a_cluster(vault: FakeVault) -> None:
    leader = {"ha_enabled": True, "is_self": True, "active_time": "2024-01-01T00:00:00Z", "leader_address": "http://a"}
    vault.answers = {"GET sys/seal-status": OPEN, "GET sys/leader": {**leader, "leader_cluster_address": "https://a:8201"}}
    assert vault.run("status").out.endswith(
        "HA Enabled      true\nHA Cluster      https://a:8201\nHA Mode         active\nActive Since    2024-01-01T00:00:00Z\n"
    )
    vault.answers["GET sys/leader"] = {"ha_enabled": True, "is_self": False, "leader_address": "http://b"}
    assert "HA Mode                standby\nActive Node Address    http://b\n" in vault.run("status").out
    vault.answers = {"GET sys/seal-status": SEALED, "GET sys/leader": errors(503, "Vault is sealed")}
    assert vault.run("status").out.endswith("HA Enabled         true\n")


def test_status_in_json(vault: FakeVault) -> None:
    vault.answers = {"GET sys/seal-status": OPEN, "GET sys/leader": {"ha_enabled": False}}
    done = vault.run("status", "-format=json")
    assert json.loads(done.out) == {**OPEN, "ha_enabled": False, "active_time": "0001-01-01T00:00:00Z"}
    vault.answers["GET sys/seal-status"] = SEALED
    done = vault.run("status", "-format=json")
    assert done.code == 2 and json.loads(done.out)["sealed"] is True


def test_status_has_its_own_codes_for_errors(vault: FakeVault) -> None:
    vault.answers = {"GET sys/seal-status": errors(500, "boom")}
    done = vault.run("status")
    assert done.code == 1 and done.err.startswith("Error checking seal status: Error making API request.")
    vault.answers = {"GET sys/seal-status": OPEN, "GET sys/leader": errors(500, "boom")}
    done = vault.run("status")
    assert done.code == 1 and done.err.startswith("Error checking leader status: ")
    done = vault.run("status", "-address=http://127.0.0.1:1")
    assert done.code == 1 and "127.0.0.1:1: connect: connection refused" in done.err


def test_init_prints_keys_and_token_once(vault: FakeVault) -> None:
    vault.answers = {"PUT sys/init": INIT}
    done = vault.run("operator", "init")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "Unseal Key 1: QQ==\nUnseal Key 2: Qg==\nUnseal Key 3: Qw==\nUnseal Key 4: RA==\nUnseal Key 5: RQ==\n"
        "\nInitial Root Token: hvs.root\n\n"
        "Vault initialized with 5 key shares and a key threshold of 3. Please securely\n"
        "distribute the key shares printed above. When the Vault is re-sealed,\n"
        "restarted, or stopped, you must supply at least 3 of these keys to unseal it\n"
        "before it can start servicing requests.\n\n"
        "Vault does not store the generated root key. Without at least 3 keys to\n"
        "reconstruct the root key, Vault will remain permanently sealed!\n\n"
        "It is possible to generate new unseal keys, provided you have a quorum of\n"
        'existing unseal keys shares. See "vault operator rekey" for more information.\n'
    )
    assert vault.lines == [("PUT", "sys/init", {"secret_shares": 5, "secret_threshold": 3})]


def test_init_in_json(vault: FakeVault) -> None:
    vault.answers = {"PUT sys/init": {"keys": ["aa"], "keys_base64": ["QQ=="], "root_token": "hvs.root"}}
    done = vault.run("operator", "init", "-n=1", "-t", "1", "-format=json")
    assert json.loads(done.out) == {
        "unseal_keys_b64": ["QQ=="],
        "unseal_keys_hex": ["aa"],
        "unseal_shares": 1,
        "unseal_threshold": 1,
        "recovery_keys_b64": [],
        "recovery_keys_hex": [],
        "recovery_keys_shares": 0,
        "recovery_keys_threshold": 0,
        "root_token": "hvs.root",
    }
    assert vault.lines == [("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})]


def test_init_status(vault: FakeVault) -> None:
    for done, code, text in ((True, 0, "Vault is initialized\n"), (False, 2, "Vault is not initialized\n")):
        vault.answers = {"GET sys/init": {"initialized": done}}
        result = vault.run("operator", "init", "-status")
        assert (result.code, result.out) == (code, text)
        assert json.loads(vault.run("operator", "init", "-status", "-format=json").out) == {"initialized": done}
    vault.answers = {"GET sys/init": errors(500, "x")}
    assert vault.run("operator", "init", "-status").code == 1


def test_details_of_mounts(vault: FakeVault) -> None:
    mount = {
        "type": "kv",
        "accessor": "kv_1",
        "config": {"default_lease_ttl": 60, "max_lease_ttl": 0, "force_no_cache": False},
        "options": {"version": "2"},
        "description": "d",
        "uuid": "u",
        "running_plugin_version": "v1",
        "deprecation_status": "supported",
        "local": False,
    }
    cubbyhole = {"type": "cubbyhole", "config": {"default_lease_ttl": 60}, "local": True}
    vault.answers = {"GET sys/mounts": secret({"kv/": mount, "cubbyhole/": cubbyhole})}
    table = [line.split("    ") for line in vault.run("secrets", "list", "-detailed").out.splitlines()]
    cells = [[c.strip() for c in line if c.strip()] for line in table]
    assert cells[2][:8] == ["cubbyhole/", "cubbyhole", "n/a", "n/a", "n/a", "false", "local", "false"]
    assert cells[3] == [
        *("kv/", "kv", "kv_1", "60", "system", "false", "replicated", "false", "false", "map[version:2]"),
        *("d", "u", "n/a", "v1", "n/a", "supported"),
    ]
    assert cells[0][-1] == "Deprecation Status"
    assert json.loads(vault.run("secrets", "list", "-format=json").out)["kv/"] == mount
    vault.answers = {"GET sys/auth": secret({"token/": {"type": "token", "config": {"token_type": "default-service"}}})}
    assert "default-service" in vault.run("auth", "list", "-detailed").out
