"""Vault's server alone: requests per second over durable storage (a file, synced before each answer), unseal time, memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.bench.load import Connection, Conversation, get, load

PORT = 7698
REQUESTS = 4000
PAIRS = 2000
CLIENTS = (1, 8, 32)


def vault_figures() -> dict[str, object]:
    """Rates with p99 in ms, unseal time, proportional set size."""
    with tempfile.TemporaryDirectory() as place:
        server = _start(Path(place))
        try:
            return _measure(server)
        finally:
            server.terminate()
            server.wait()


def _start(place: Path) -> subprocess.Popen[bytes]:
    config = place / "vault.hcl"
    config.write_text(
        f'storage "file" {{\n  path = "{place}/data"\n}}\nlistener "tcp" {{\n  address = "127.0.0.1:{PORT}"\n  tls_disable = true\n}}\n'
    )
    command = [sys.executable, "-m", "haechi.vaultcli", "server", f"-config={config}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _measure(server: subprocess.Popen[bytes]) -> dict[str, object]:
    client = httpx.Client(base_url=f"http://127.0.0.1:{PORT}/v1/", trust_env=False)
    for _ in range(200):
        try:
            client.get("sys/init")
            break
        except httpx.TransportError:
            time.sleep(0.02)
    made = client.put("sys/init", json={"secret_shares": 5, "secret_threshold": 3}).json()
    _unseal(client, made["keys"])
    token = made["root_token"]
    client.headers["X-Vault-Token"] = token
    for path, body in (
        ("sys/mounts/kv", {"type": "kv-v2"}),
        ("sys/mounts/ssh-otp", {"type": "ssh"}),
        ("ssh-otp/roles/bench", {"key_type": "otp", "default_user": "test", "cidr_list": "0.0.0.0/0"}),
    ):
        client.post(path, json=body).raise_for_status()
    figures: dict[str, object] = {}
    writes = [get(_request("POST", f"kv/data/app/{n}", token, {"data": {"password": "p" * 40, "n": n}})) for n in range(REQUESTS)]
    reads = [get(_request("GET", f"kv/data/app/{n}", token)) for n in range(REQUESTS)]
    lookups = [get(_request("GET", "auth/token/lookup-self", token))] * REQUESTS
    for name, work in (("kv v2 write", writes), ("kv v2 read", reads), ("token lookup", lookups)):
        figures |= _rate(f"vault: {name} per s, 8 clients", work, 8)
    for clients in CLIENTS:
        figures |= _rate(f"vault: OTP issue+verify pairs per s, {clients} clients", [_pair(token)] * PAIRS, clients)
    figures["vault: memory MiB (PSS)"] = _memory_mib(server.pid)
    client.put("sys/seal").raise_for_status()
    figures["vault: unseal s, third share to open"] = _unseal(client, made["keys"])
    return figures


def _rate(name: str, work: list[Conversation], clients: int) -> dict[str, object]:
    rate, p99 = asyncio.run(load(PORT, work, clients))
    return {name: rate, f"  p99 ms ({name.split(': ')[1]})": p99}


def _unseal(client: httpx.Client, keys: list[str]) -> float:
    for key in keys[:3]:
        started = time.perf_counter()
        client.put("sys/unseal", json={"key": key}).raise_for_status()
    return round(time.perf_counter() - started, 3)


def _request(method: str, path: str, token: str, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: {token}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _pair(token: str) -> Conversation:
    issue = _request("PUT", "ssh-otp/creds/bench", token, {"ip": "198.18.0.9"})

    async def conversation(connection: Connection) -> None:
        otp = json.loads(await connection.ask(issue))["data"]["key"]
        await connection.ask(_request("PUT", "ssh-otp/verify", "", {"otp": otp}))

    return conversation


def _memory_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return round(next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024, 1)
