"""A real `vault server` process on a port of this machine, with a file storage of its own. Ended by its own pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 20


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class VaultServer:
    """`start`, `kill` and `start` again keep the storage. `log` holds what the process printed, over all its lives."""

    def __init__(self, place: Path, storage: str = "file", host: str = "127.0.0.1") -> None:
        self.place, self.port = place, free_port(host)
        self.address = f"http://{host}:{self.port}"
        self.log = place / "vault.log"
        self.config = place / "vault.hcl"
        self.config.write_text(
            f'storage "{storage}" {{\n  path = "{place}/data"\n}}\n'
            f'listener "tcp" {{\n  address = "{host}:{self.port}"\n  tls_disable = true\n}}\n'
        )
        self.root, self.keys = "", list[str]()
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=f"{self.address}/v1/", trust_env=False, timeout=30)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns once it answers."""
        command = [sys.executable, "-m", "haechi.vaultcli", "server", f"-config={self.config}"]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.http.get("sys/init")
                return
            except httpx.TransportError:
                assert self._process.poll() is None and time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def initialize(self, shares: int = 1, threshold: int = 1) -> None:
        """Make keys and root token, and unseal."""
        made = self.call("PUT", "sys/init", {"secret_shares": shares, "secret_threshold": threshold})
        self.root, self.keys = made["root_token"], made["keys"]
        self.unseal(threshold)

    def unseal(self, threshold: int = 1) -> None:
        for key in self.keys[:threshold]:
            self.call("PUT", "sys/unseal", {"key": key})

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """The parsed body of an answer that must be a success. `token`: the root token unless given."""
        response = self.http.request(method, path, json=body, headers={"X-Vault-Token": self.root if token is None else token})
        assert response.status_code < 300, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        self.http.close()
        self.kill(signal.SIGTERM)
