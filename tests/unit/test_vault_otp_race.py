"""One one-time password, many who present it at the same moment: exactly one is let in."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from haechi.vault.storage import SqliteStorage
from tests.vaultlab import VaultLab
from tests.vaultserver import VaultServer

LONG = os.environ.get("HAECHI_LONG") == "1"
THREADS = 64
ROUNDS = 1000 if LONG else 30
ROLE = {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VaultServer]:
    made = VaultServer(tmp_path)
    made.start()
    made.initialize()
    made.call("POST", "sys/mounts/ssh", {"type": "ssh"})
    made.call("POST", "ssh/roles/r", ROLE)
    yield made
    made.close()


class Racer(threading.Thread):
    """Presents each round's password over a connection that stays open, at the same moment as all others."""

    def __init__(self, port: int, line: threading.Barrier, otps: list[str]) -> None:
        super().__init__()
        self.port, self.line, self.otps = port, line, otps
        self.answers: list[tuple[int, bytes]] = []

    def run(self) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection, connection.makefile("rb") as reader:
                for round in range(ROUNDS):
                    body = json.dumps({"otp": self.otps[round]}).encode()
                    request = b"PUT /v1/ssh/verify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                    self.line.wait(60)
                    connection.sendall(request)
                    status = int(reader.readline().split()[1])
                    size = 0
                    while (line := reader.readline()) != b"\r\n":
                        name, _, value = line.partition(b":")
                        size = int(value) if name.lower() == b"content-length" else size
                    self.answers.append((status, reader.read(size)))
        finally:
            self.line.abort() if len(self.answers) < ROUNDS else None


def test_of_64_threads_over_http_one_is_let_in(server: VaultServer) -> None:
    otps = [server.call("POST", "ssh/creds/r", {"ip": "10.0.0.1"})["data"]["key"] for _ in range(ROUNDS)]
    line = threading.Barrier(THREADS)
    racers = [Racer(server.port, line, otps) for _ in range(THREADS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert all(len(racer.answers) == ROUNDS for racer in racers)
    for round in range(ROUNDS):
        answers = [racer.answers[round] for racer in racers]
        assert sorted(status for status, _ in answers) == [200] + [400] * (THREADS - 1), round
        for status, body in answers:
            told = json.loads(body)
            if status == 200:
                assert told["data"] == {"ip": "10.0.0.1", "username": "u", "role_name": "r"}
            else:
                assert told == {"errors": ["OTP not found"]}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_of_many_at_once_in_one_process_one_is_let_in(tmp_path: Path, kind: str) -> None:
    storage = SqliteStorage(tmp_path) if kind == "sqlite" else None
    rounds = (1000 if LONG else 100) if kind == "sqlite" else 1000
    vault = VaultLab(storage)
    vault.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    vault.ok("POST", "ssh/roles/r", ROLE)

    async def verify(otp: str) -> int:
        body = json.dumps({"otp": otp}).encode()
        status = 0

        async def receive() -> dict[str, object]:
            await asyncio.sleep(0)
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, int]) -> None:
            nonlocal status
            status = message.get("status", status)

        scope = {"type": "http", "method": "PUT", "path": "", "raw_path": b"/v1/ssh/verify", "query_string": b""}
        headers = [(b"content-length", str(len(body)).encode())]
        await vault.api({**scope, "headers": headers}, receive, send)  # type: ignore[arg-type]
        return status

    async def race(otp: str) -> list[int]:
        return sorted(await asyncio.gather(*(verify(otp) for _ in range(8))))

    for round in range(rounds):
        otp = vault.ok("POST", "ssh/creds/r", {"ip": "10.0.0.1"})["data"]["key"]
        assert vault.run(race(otp)) == [200] + [400] * 7, round
    assert vault.refused("PUT", "ssh/verify", {"otp": otp}, token="") == (400, ["OTP not found"])
    vault.close()
    if storage is not None:
        storage.close()
