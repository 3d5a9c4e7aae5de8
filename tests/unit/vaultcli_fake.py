"""A Vault that answers what a test tells it and remembers what it was asked; and a run of the `vault` command against it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

import pytest

from haechi.vaultcli import main

TOKEN = "hvs.canaryTokenOfTheUser0000"


@dataclass
class Asked:
    """One request: method, path with query, headers in small letters, decoded body."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def line(self) -> tuple[str, str, Any]:
        return self.method, self.path.removeprefix("/v1/"), self.body


@dataclass
class Done:
    """What a run of the command gave."""

    code: int
    out: str
    err: str


@dataclass
class FakeVault:
    """`answers` by "METHOD path": one answer for good, or a list of answers in turn; anything else is 204."""

    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)

    def run(self, *argv: str, stdin: str = "") -> Done:
        out, err = io.StringIO(), io.StringIO()
        before, sys.stdin = sys.stdin, io.StringIO(stdin)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(list(argv))
        finally:
            sys.stdin = before
        return Done(code, out.getvalue(), err.getvalue())

    def answer(self, method: str, path: str) -> tuple[int, Any, dict[str, str]]:
        found = self.answers.get(f"{method} {path.removeprefix('/v1/')}")
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if found is None:
            return 204, None, {}
        if isinstance(found, tuple):
            status, body, *headers = found
            return status, body, headers[0] if headers else {}
        return 200, found, {}

    @property
    def lines(self) -> list[tuple[str, str, Any]]:
        return [a.line for a in self.asked]


def secret(data: Any = None, **more: Any) -> dict[str, Any]:
    """An envelope as the server sends it."""
    empty = {
        "request_id": "r-1",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }
    return {**empty, "data": data, **more}


def errors(status: int, *texts: str) -> tuple[int, dict[str, Any]]:
    """An answer that refuses."""
    return status, {"errors": list(texts)}


class Server(ThreadingHTTPServer):
    """Without the look-up of this machine's name, which may be slow."""

    daemon_threads = True

    def server_bind(self) -> None:
        TCPServer.server_bind(self)


def serve() -> Iterator[FakeVault]:
    """The fake on a port of its own, for a module of tests."""
    fake = FakeVault()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            fake.asked.append(Asked(self.command, self.path, headers, json.loads(raw) if raw else None))
            status, body, more = fake.answer(self.command, self.path)
            data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", "content-length": str(len(data)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    fake.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def at_home(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVault:
    """The fake as new, in an environment that names it and has a home directory with a token file."""
    fake.asked.clear()
    fake.answers = {}
    home = tmp_path / "home"
    home.mkdir()
    (home / ".vault-token").write_text(TOKEN + "\n")
    clean_environment(monkeypatch)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("VAULT_ADDR", fake.address)
    return fake


def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the tester's own may reach a run."""
    for name in list(os.environ):
        if name.startswith("VAULT_") or name == "NO_COLOR":
            monkeypatch.delenv(name)
