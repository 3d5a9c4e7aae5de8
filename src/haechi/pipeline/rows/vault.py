"""Rows 4.3 and 4.4: Vault on its own instance, and its seal."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from haechi.clients.vault import Seal, Vault, VaultRefused
from haechi.pipeline import remote
from haechi.pipeline.cloud import ECS, connect
from haechi.pipeline.run import Run
from haechi.pipeline.vault import SHARES, THRESHOLD, client, read_known

CLOSED_PORT = 8201
SECOND_PORT = 18200  # of the second server, on the instance's loopback
SECOND_SECONDS = 30
# Ends with its standard input, whatever becomes of us.
SECOND = f"""
place=$(mktemp -d) || exit 1
trap 'kill $server 2>/dev/null; wait $server; rm -rf "$place"' EXIT
cat > "$place/vault.hcl" <<'HCL'
storage "inmem" {{}}
disable_mlock = true
listener "tcp" {{
  address     = "127.0.0.1:{SECOND_PORT}"
  tls_disable = true
}}
HCL
vault server -config="$place/vault.hcl" > "$place/log" 2>&1 &
server=$!
read -r end
"""


def row_4_3(run: Run) -> str:
    """The instance of 01_vault is Running, its user data started Vault, port 8200 of its public address answers and another does not."""
    known = read_known(run.target)
    assert known is not None, "there is no Vault; `haechi up` makes one"
    live = _live(run)
    if not known.managed:
        return f"an existing Vault {live.version} answers at {known.address}; 01_vault is not applied"
    outputs = run.outputs("01_vault")
    id, address = outputs["instance_id"], outputs["public_ip"]
    answer = connect(run.target).call("ecs", ECS, "DescribeInstances", {"InstanceIds": f'["{id}"]'})
    states = [i["Status"] for i in answer["Instances"]["Instance"]]
    assert states == ["Running"], f"instance {id} is {states}"
    assert urlsplit(known.address).netloc == f"{address}:8200", f"vault_addr is {known.address}, the public address {address}"
    unit = remote.read(run.target, address, "systemctl is-active vault && systemctl show -P FragmentPath vault").split()
    assert unit[0] == "active" and unit[1:], f"vault.service is {unit}"
    try:
        socket.create_connection((address, CLOSED_PORT), timeout=2).close()
    except TimeoutError:
        return f"{id} Running; its user data made {unit[1]}; Vault {live.version} answers at {known.address}; port {CLOSED_PORT} is dropped"
    except OSError as error:
        raise AssertionError(f"port {CLOSED_PORT} of {address} is not dropped: {error.strerror}") from None
    raise AssertionError(f"port {CLOSED_PORT} of {address} is open")


def row_4_4(run: Run) -> str:
    """terraform shows its outputs and keeps the password to itself; Vault was initialised with shares and tells its seal.

    The live Vault is not sealed for this: a second server of the same program, on the same instance, is taken through its states.
    """
    known = read_known(run.target)
    assert known is not None, "there is no Vault; `haechi up` makes one"
    live = _live(run)
    assert live.initialized and not live.sealed, f"the Vault at {known.address} is {live.word}"
    if not known.managed:
        return f"the existing Vault is unsealed, {live.threshold} of {live.shares} shares open it"
    assert (live.threshold, live.shares) == (THRESHOLD, SHARES), f"{live.threshold} of {live.shares} shares open it"
    part = run.part("01_vault")
    outputs = part.outputs()
    shown = part.text("output", "-no-color")
    for name in ("public_ip", "ssh", "vault_addr"):
        assert f"{name} " in shown and str(outputs[name]) in shown, f"terraform output does not show {name}"
    assert outputs["password"], "there is no password"
    for words, text in (("output", shown), ("plan", part.text("plan", "-no-color", "-lock=false"))):
        assert outputs["password"] not in text, f"terraform {words} shows the password"
    assert "password = <sensitive>" in " ".join(shown.split()), "terraform output does not call the password sensitive"
    with _second_server(run, str(outputs["public_ip"])) as second:
        seen = _take_through(second)
    return f"outputs shown, password sensitive; live: unsealed, {THRESHOLD} of {SHARES} shares; a second server there: {seen}"


def _live(run: Run) -> Seal:
    with client(run.target) as vault:
        seal = vault.seal()
    assert seal is not None, f"nothing answers at {run.target.vault_addr}"
    return seal


@contextmanager
def _second_server(run: Run, address: str) -> Iterator[Vault]:
    """A fresh Vault in memory on the instance, reached through SSH."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forward = ("-L", f"127.0.0.1:{port}:127.0.0.1:{SECOND_PORT}", "-o", "ExitOnForwardFailure=yes")
    command = remote.command(run.target, address, *forward, SECOND)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with Vault(f"http://127.0.0.1:{port}", direct=True) as vault:
                deadline = time.monotonic() + SECOND_SECONDS
                while vault.seal() is None:
                    assert process.poll() is None, "a second server does not start on the instance"
                    assert time.monotonic() < deadline, "a second server does not answer on the instance"
                    time.sleep(0.1)
                yield vault
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _take_through(vault: Vault) -> str:
    """Every state of the seal, by its API; what was seen."""
    words = []

    def expect(word: str, progress: int = 0) -> None:
        seal = vault.seal()
        assert seal is not None and (seal.word, seal.progress) == (word, progress), f"a second Vault is {seal}, not {word}"
        words.append(word)

    def refused(method: str, path: str, body: dict[str, object] | None = None) -> int:
        try:
            vault.request(method, path, body)
        except VaultRefused as error:
            return error.status
        raise AssertionError(f"{method} {path} was accepted")

    expect("not initialised")
    answer = vault.init(SHARES, THRESHOLD)
    vault.token = answer["root_token"]
    expect("sealed")
    assert refused("GET", "sys/mounts") == 503, "a sealed Vault answered a read"
    keys = answer["keys"]
    wrong = secrets.token_hex(len(keys[0]) // 2 - 1) + "fe"  # the last byte is a share's number
    for key in keys[: THRESHOLD - 1]:
        vault.unseal(key)
    expect("sealed", THRESHOLD - 1)
    assert refused("PUT", "sys/unseal", {"key": wrong}) == 400, "a wrong share was accepted"
    expect("sealed")
    for key in keys[-THRESHOLD:]:
        vault.unseal(key)
    expect("unsealed")
    vault.request("GET", "sys/mounts")
    vault.request("PUT", "sys/seal")
    expect("sealed")
    assert refused("GET", "sys/mounts") == 503, "a sealed Vault answered a read"
    return f"{', '.join(dict.fromkeys(words))}; {THRESHOLD - 1} shares or a wrong one leave it sealed, sealed it answers 503"
