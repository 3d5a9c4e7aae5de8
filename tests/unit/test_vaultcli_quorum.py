"""What unseal key holders do with the `vault` command: unseal, rekey, generate-root; and what `vault server` hands on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vaultcli_fake import FakeVault, at_home, errors, serve

STATUS = {"type": "shamir", "initialized": True, "sealed": True, "t": 2, "n": 3, "progress": 1, "nonce": "n", "version": "1.17.6"}
REKEY = {"nonce": "rn", "started": True, "t": 2, "n": 3, "progress": 1, "required": 3, "verification_required": False}
ROOT = {"nonce": "gn", "started": True, "progress": 0, "required": 2, "complete": False, "encoded_token": "", "otp": "", "otp_length": 28}
OTP, ROOT_TOKEN = "abcdefghijklmnopqrstuvwxyz12", "hvs.0123456789abcdefghijklmn"
ENCODED = base64.b64encode(bytes(a ^ b for a, b in zip(OTP.encode(), ROOT_TOKEN.encode(), strict=True))).decode().rstrip("=")


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeVault]:
    yield from serve()


@pytest.fixture
def vault(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVault:
    return at_home(fake, tmp_path, monkeypatch)


def test_an_unseal_key_comes_from_the_argument_stdin_or_the_prompt(vault: FakeVault) -> None:
    vault.answers = {"PUT sys/unseal": STATUS, "GET sys/leader": {"ha_enabled": False}}
    for line, stdin in ((("key-1",), ""), (("-",), "key-1\n"), ((), "key-1\n")):
        vault.asked.clear()
        done = vault.run("operator", "unseal", *line, stdin=stdin)
        assert done.code == 0 and "Unseal Progress    1/2\n" in done.out and "key-1" not in done.out + done.err
        assert vault.lines == [("PUT", "sys/unseal", {"key": "key-1"}), ("GET", "sys/leader", None)]
    assert json.loads(vault.run("operator", "unseal", "-format=json", "k").out)["progress"] == 1


def test_unsealing_can_be_reset(vault: FakeVault) -> None:
    vault.answers = {"PUT sys/unseal": {**STATUS, "progress": 0}, "GET sys/leader": {}}
    done = vault.run("operator", "unseal", "-reset")
    assert done.code == 0 and "0/2" in done.out and vault.lines[0] == ("PUT", "sys/unseal", {"reset": True})
    vault.answers = {"PUT sys/unseal": errors(400, "no")}
    done = vault.run("operator", "unseal", "-reset")
    assert done.code == 2 and done.err.startswith("Error resetting unseal process: ")


def test_rekey_begins_and_shows_where_it_is(vault: FakeVault) -> None:
    vault.answers = {"PUT sys/rekey/init": {**REKEY, "progress": 0}, "GET sys/rekey/init": REKEY}
    done = vault.run("operator", "rekey", "-init", "-target=barrier", "-key-shares=3", "-key-threshold=2")
    assert done.code == 0 and done.err.startswith("WARNING! If you lose the keys after they are returned")
    assert done.out == (
        "Key                      Value\n---                      -----\nNonce                    rn\nStarted                  true\n"
        "Rekey Progress           0/3\nNew Shares               3\nNew Threshold            2\nVerification Required    false\n"
    )
    assert vault.lines == [("PUT", "sys/rekey/init", {"secret_shares": 3, "secret_threshold": 2, "require_verification": False})]
    assert "Rekey Progress           1/3\n" in vault.run("operator", "rekey", "-status").out
    assert json.loads(vault.run("operator", "rekey", "-status", "-format=json").out) == REKEY
    vault.answers["GET sys/rekey/init"] = {**REKEY, "progress": 3, "verification_nonce": "v"}
    assert "3/3 (verification in progress)\n" in vault.run("operator", "rekey", "-status").out
    vault.answers["GET sys/rekey/init"] = {"nonce": "", "started": False}
    assert vault.run("operator", "rekey", "-status").out == "Key        Value\n---        -----\nNonce      n/a\nStarted    false\n"


def test_rekey_takes_a_key_with_the_operations_nonce(vault: FakeVault) -> None:
    vault.answers = {"GET sys/rekey/init": REKEY, "PUT sys/rekey/update": {"complete": False, "nonce": "rn"}}
    done = vault.run("operator", "rekey", stdin="key-1\n")
    assert done.code == 0 and "Operation nonce: rn\n" in done.err and "Rekey Progress" in done.out
    assert vault.lines[1] == ("PUT", "sys/rekey/update", {"key": "key-1", "nonce": "rn"})
    vault.asked.clear()
    assert vault.run("operator", "rekey", "-nonce=given", "-", stdin="key-2\n").code == 0
    assert vault.run("operator", "rekey", "-nonce=given", "key-3").code == 0
    assert [b for _, p, b in vault.lines if p == "sys/rekey/update"] == [{"key": k, "nonce": "given"} for k in ("key-2", "key-3")]
    vault.asked.clear()
    done = vault.run("operator", "rekey", "canary")
    assert (done.code, done.err) == (1, "Missing nonce value: specify it via the -nonce flag\n")
    assert all(method == "GET" for method, _, _ in vault.lines)
    vault.answers["GET sys/rekey/init"] = {"started": False}
    done = vault.run("operator", "rekey", "canary")
    assert done.code == 1 and done.err.startswith("No rekey is in progress.")


def test_the_last_key_of_a_rekey_gives_the_new_keys(vault: FakeVault) -> None:
    complete = {"complete": True, "nonce": "rn", "keys": ["aa", "bb"], "keys_base64": ["QQ==", "Qg=="]}
    vault.answers = {"GET sys/rekey/init": REKEY, "PUT sys/rekey/update": complete}
    done = vault.run("operator", "rekey", stdin="k\n")
    assert done.out.startswith("\nKey 1: QQ==\nKey 2: Qg==\n\nOperation nonce: rn\n\nVault unseal keys rekeyed with 3 key shares")
    assert json.loads(vault.run("operator", "rekey", "-format=json", stdin="k\n").out) == complete


def test_a_rekey_may_want_verification(vault: FakeVault) -> None:
    verify = {"nonce": "vn", "started": True, "t": 2, "n": 3, "progress": 0}
    vault.answers = {
        "GET sys/rekey/init": {**REKEY, "verification_required": True},
        "PUT sys/rekey/update": {"complete": True, "nonce": "rn", "keys": ["aa"], "keys_base64": ["QQ=="], "verification_required": True},
        "GET sys/rekey/verify": verify,
        "PUT sys/rekey/verify": [{"complete": False}, {"complete": True}],
        "PUT sys/rekey/init": REKEY,
    }
    assert vault.run("operator", "rekey", "-init", "-verify").code == 0
    assert vault.lines[-1][2]["require_verification"] is True
    done = vault.run("operator", "rekey", stdin="k\n")
    assert "These will not be active until" in done.out and "_not_ valid until verification" in done.err
    assert done.out.endswith("Verification Nonce       vn\nVerification Progress    0/2\n")
    assert "Verification Progress    0/2" in vault.run("operator", "rekey", "-verify", stdin="k\n").out
    assert vault.run("operator", "rekey", "-verify", stdin="k\n").out.startswith("Rekey verification successful.")
    assert vault.lines[-1] == ("PUT", "sys/rekey/verify", {"key": "k", "nonce": "vn"})
    for flags, path in ((("-cancel",), "sys/rekey/init"), (("-verify", "-cancel"), "sys/rekey/verify")):
        assert vault.run("operator", "rekey", *flags).out == "Success! Canceled rekeying (if it was started)\n"
        assert vault.asked[-1].line == ("DELETE", path, None)


def test_generate_root_from_begin_to_end(vault: FakeVault) -> None:
    attempt = "sys/generate-root/attempt"
    vault.answers = {
        f"GET {attempt}": ROOT,
        f"PUT {attempt}": {**ROOT, "otp": OTP},
        "PUT sys/generate-root/update": [{**ROOT, "progress": 1}, {**ROOT, "progress": 2, "complete": True, "encoded_token": ENCODED}],
    }
    done = vault.run("operator", "generate-root", "-init")
    assert done.code == 0 and done.err.startswith("A One-Time-Password has been generated for you")
    assert (
        done.out == f"Nonce         gn\nStarted       true\nProgress      0/2\nComplete      false\nOTP           {OTP}\nOTP Length    28\n"
    )
    vault.run("operator", "generate-root", "-init", f"-otp={OTP}")
    assert [b for m, p, b in vault.lines if m == "PUT"] == [{}, {"otp": OTP}]
    done = vault.run("operator", "generate-root", stdin="key-1\n")
    assert "Progress      1/2\n" in done.out and "Operation nonce: gn\n" in done.err
    done = vault.run("operator", "generate-root", "-nonce=gn", "key-2")
    assert f"Encoded Token    {ENCODED}\n" in done.out
    assert [b for _, p, b in vault.lines if p.endswith("update")] == [{"key": k, "nonce": "gn"} for k in ("key-1", "key-2")]
    assert "Progress      0/2" in vault.run("operator", "generate-root", "-status").out
    assert json.loads(vault.run("operator", "generate-root", "-status", "-format=json").out) == ROOT
    assert vault.run("operator", "generate-root", "-cancel").out == "Success! Root token generation canceled (if it was started)\n"
    assert vault.lines[-1] == ("DELETE", attempt, None)


def test_generate_root_needs_a_beginning_and_a_nonce(vault: FakeVault) -> None:
    vault.answers = {"GET sys/generate-root/attempt": {**ROOT, "started": False}}
    done = vault.run("operator", "generate-root", "key")
    assert done.code == 1 and done.err.startswith("No root generation is in progress.") and "28 characters" in done.err
    vault.answers = {"GET sys/generate-root/attempt": ROOT}
    done = vault.run("operator", "generate-root", "canary")
    assert (done.code, done.err) == (1, "Missing nonce value: specify it via the -nonce flag\n")


def test_a_generated_otp_has_the_servers_length(vault: FakeVault) -> None:
    vault.answers = {"GET sys/generate-root/attempt": ROOT}
    first, second = (vault.run("operator", "generate-root", "-generate-otp").out for _ in range(2))
    assert len(first) == len(second) == 28 and first.isalnum() and first != second
    shown = json.loads(vault.run("operator", "generate-root", "-generate-otp", "-format=json").out)
    assert len(shown["otp"]) == shown["otp_length"] == 28


def test_decoding_asks_no_server(vault: FakeVault) -> None:
    # as hvac's own suite calls it
    line = ["operator", "generate-root", "-address", "https://127.0.0.1:1", "-tls-skip-verify", "-decode", ENCODED, "-otp", OTP]
    done = vault.run(*line)
    assert (done.code, done.out, done.err) == (0, ROOT_TOKEN, "")
    assert vault.run("operator", "generate-root", "-decode=-", f"-otp={OTP}", stdin=ENCODED + "\n").out == ROOT_TOKEN
    assert json.loads(vault.run(*line, "-format=json").out) == {"token": ROOT_TOKEN}
    assert vault.asked == []


@pytest.mark.parametrize(
    ("words", "stdin", "text"),
    [
        (["-decode", ENCODED], "", "Missing otp: use -otp to supply it"),
        (["-decode", "-", "-otp", OTP], "", 'Missing encoded value. When using -decode="-" value must be passed via stdin.'),
        (["-decode", "!!", "-otp", OTP], "", "Error decoding root token: the encoded value is not base64"),
        (["-decode", ENCODED, "-otp", "short"], "", "Error decoding root token: error xoring token: length of byte slices"),
    ],
)
def test_what_cannot_be_decoded(vault: FakeVault, words: list[str], stdin: str, text: str) -> None:
    done = vault.run("operator", "generate-root", *words, stdin=stdin)
    assert (done.code, done.out) == (1, "") and done.err.startswith(text)


def test_a_key_status_without_a_time_is_an_error(vault: FakeVault) -> None:
    vault.answers = {"GET sys/key-status": {"term": 1, "install_time": "long ago"}}
    done = vault.run("operator", "key-status")
    assert (done.code, done.err) == (2, "Error reading key status: install_time 'long ago' is not a time\n")


def test_server_hands_its_configuration_on(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    def run(*args: Any, **more: Any) -> int:
        calls.append((*args, more))
        return 7

    monkeypatch.setattr("haechi.vault.server.run", run)
    assert vault.run("server", "-config=a.hcl", "-config", "b.json").code == 7
    assert vault.run("server", "-dev", "-dev-root-token-id=r", "-dev-listen-address=127.0.0.1:1").code == 7
    monkeypatch.setenv("VAULT_DEV_ROOT_TOKEN_ID", "env")
    assert vault.run("server", "-dev").code == 7
    dev = {"dev": True, "dev_listen_address": "127.0.0.1:8200"}
    assert calls == [
        (["a.hcl", "b.json"], {}),
        ([], {**dev, "dev_root_token_id": "r", "dev_listen_address": "127.0.0.1:1"}),
        ([], {**dev, "dev_root_token_id": "env"}),
    ]
