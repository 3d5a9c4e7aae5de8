"""The local server's own controls (health, doctor, stop) on its Unix socket."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

MEND_SECONDS = 300.0
STOP_SECONDS = 60.0


class ControlClient:
    """Talks to the server behind a socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def health(self) -> dict[str, Any] | None:
        """What the server says of itself, or None when there is none."""
        try:
            return self._ask("GET", "/health", 5)
        except (httpx.TransportError, OSError):
            return None

    def doctor(self, fix: bool) -> dict[str, Any]:
        """{faults, mended, temporaries}: where hosts and packets differ from the plan, and what image builds made and did not delete yet.

        Raises httpx.TransportError without a server.
        """
        return self._ask("POST" if fix else "GET", "/doctor", MEND_SECONDS)

    def stop(self) -> None:
        """End the server and wait until its process is gone. Raises TimeoutError."""
        health = self.health()
        if health is None:
            return
        self._ask("POST", "/stop", 10)
        deadline = time.monotonic() + STOP_SECONDS
        while _lives(health["pid"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server (process {health['pid']}) does not end")
            time.sleep(0.02)

    def _ask(self, method: str, path: str, seconds: float) -> dict[str, Any]:
        transport = httpx.HTTPTransport(uds=str(self._socket))
        with httpx.Client(transport=transport, timeout=seconds, base_url="http://haechi") as client:
            answer: dict[str, Any] = client.request(method, path).raise_for_status().json()
            return answer


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
