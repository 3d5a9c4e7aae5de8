"""A whole Terraform Enterprise server with its worker, as a process of its own that can be killed, and a client for tests."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

SERVER = """
import json, ssl, sys
from pathlib import Path
from haechi.tfe.server import run
from haechi.tfe.settings import Settings
given = json.loads(sys.argv[1])
home, certificate = Path(given.pop("home")), given.pop("certificate")
if certificate:
    given["tls"] = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    given["tls"].load_cert_chain(certificate)
run(Settings(home, admin_token_file=home / "token", **given))
"""
FINAL = ("applied", "planned_and_finished", "errored", "canceled", "force_canceled", "discarded", "policy_soft_failed")
WAIT_SECONDS = 60.0


def pack(files: Mapping[str, str]) -> bytes:
    """An archive of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Server:
    """One server; `kill` and `start` as often as like."""

    def __init__(self, home: Path, certificate: str = "", **settings: Any) -> None:
        """certificate: a PEM file with its key, for TLS on `tls_port`; settings: of haechi.tfe.settings.Settings."""
        self.home, self.port, self.tls_port = home, free_port(), free_port()
        self._given = {"home": str(home), "port": self.port, "certificate": certificate, "worker_slots": 4, **settings}
        if certificate:
            self._given["tls_port"] = self.tls_port
        self.stderr = home.with_name(home.name + ".stderr")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.stderr.open("ab") as stderr:  # no pipe: the supervisors of runs outlive a server that is killed
            self.process = subprocess.Popen([sys.executable, "-c", SERVER, json.dumps(self._given)], stderr=stderr)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v2", trust_env=False, timeout=60)
        until(lambda: self._answers())
        self.client.headers["Authorization"] = "Bearer " + (self.home / "token").read_text().strip()

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the server did not start"
        try:
            return self.client.get("/ping").status_code < 500
        except httpx.TransportError:
            return False

    def end(self, number: int = signal.SIGTERM) -> str:
        """Signal it and wait; what it has ever printed to stderr."""
        assert self.process is not None
        self.client.close()
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        self.process = None
        return self.stderr.read_text()

    def post(self, path: str, type: str, attributes: dict[str, Any] | None = None, **relationships: tuple[str, str]) -> dict[str, Any]:
        """The `data` that a POST answers with."""
        links = {name.replace("_", "-"): {"data": {"type": kind, "id": id}} for name, (kind, id) in relationships.items()}
        document = {"data": {"type": type, "attributes": attributes or {}, "relationships": links}}
        answer = self.client.post(path, json=document, headers={"Content-Type": "application/vnd.api+json"})
        assert answer.status_code in (200, 201, 202), answer.text
        found: dict[str, Any] = answer.json().get("data", {}) if answer.content else {}
        return found

    def get(self, path: str) -> dict[str, Any]:
        """The `data` of a GET."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def workspace(self, name: str, variables: list[dict[str, Any]] | None = None, **attributes: Any) -> str:
        """A new workspace of `acme`; its id."""
        settings = {key.replace("_", "-"): value for key, value in attributes.items()}
        id = str(self.post("/organizations/acme/workspaces", "workspaces", {"name": name, **settings})["id"])
        for variable in variables or []:
            self.post(f"/workspaces/{id}/vars", "vars", {"category": "terraform", **variable})
        return id

    def user(self, name: str, workspace_access: str) -> tuple[str, str]:
        """(id, token) of a new member of acme."""
        id = str(self.post("/admin/users", "users", {"username": name, "email": f"{name}@b.test"})["id"])
        access = {"email": f"{name}@b.test", "workspace-access": workspace_access}
        self.post("/organizations/acme/organization-memberships", "organization-memberships", access)
        return id, str(self.post(f"/users/{id}/authentication-tokens", "authentication-tokens")["attributes"]["token"])

    def run(self, workspace: str, files: Mapping[str, str], **attributes: Any) -> str:
        """A new run of a configuration; its id."""
        version = self.post(f"/workspaces/{workspace}/configuration-versions", "configuration-versions", {"auto-queue-runs": False})
        self.client.put(version["attributes"]["upload-url"], content=pack(files)).raise_for_status()
        links = {"workspace": ("workspaces", workspace), "configuration_version": ("configuration-versions", str(version["id"]))}
        return str(self.post("/runs", "runs", {key.replace("_", "-"): value for key, value in attributes.items()}, **links)["id"])

    def status(self, run: str) -> str:
        """Of a run."""
        return str(self.get(f"/runs/{run}")["attributes"]["status"])

    def ended(self, run: str) -> str:
        """Its status once it is final."""
        until(lambda: self.status(run) in FINAL)
        return self.status(run)

    def log(self, run: str, phase: str) -> str:
        """The log as it is now; STX and ETX included."""
        found = self.get(f"/runs/{run}/{phase}")["attributes"]["log-read-url"]
        text = b""
        while piece := self.client.get(found, params={"limit": 65536, "offset": len(text)}).content:
            text += piece
            if piece.endswith(b"\x03"):
                break
        return text.decode()

    def state(self, workspace: str) -> dict[str, Any] | None:
        """The current state."""
        if self.client.get(f"/workspaces/{workspace}/current-state-version").status_code == 404:
            return None
        found = self.get(f"/workspaces/{workspace}/current-state-version")["attributes"]
        data = self.client.get(found["hosted-state-download-url"]).content
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == self._md5(found, data)
        answer: dict[str, Any] = httpx.Response(200, content=data).json()
        return answer

    @staticmethod
    def _md5(found: dict[str, Any], data: bytes) -> str:
        return str(found.get("md5") or hashlib.md5(data, usedforsecurity=False).hexdigest())

    def is_locked(self, workspace: str) -> bool:
        """Whether somebody holds it."""
        return bool(self.get(f"/workspaces/{workspace}")["attributes"]["locked"])

    def command_pids(self, run: str, command: str) -> tuple[int, int]:
        """(the supervisor, terraform) of a command of a run."""
        pid = int((self.home / "runs" / run / "commands" / command / "pid").read_text())
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]), pid


def until(true: Any) -> None:
    """Wait until it is. AssertionError when it never is."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def served(home: Path, **options: Any) -> Iterator[Server]:
    """A server with the organization acme; nothing of it is left at the end."""
    server = Server(home, **options)
    server.start()
    try:
        server.post("/organizations", "organizations", {"name": "acme", "email": "a@b.test"})
        yield server
    finally:
        if server.process is not None:
            server.end()


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
