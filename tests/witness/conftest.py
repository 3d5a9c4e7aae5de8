"""A real haechi server (hosts and packets included) of a site of its own, for outside clients to talk to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SITE = 14


@dataclass(frozen=True)
class Server:
    """A running server and what a client needs to reach it."""

    port: int
    key: str
    secret: str
    account: str
    environment: dict[str, str]  # to run `haechi` against this site
    tools: dict[str, str]  # what `haechi env` gives
    home: Path

    def haechi(self, *arguments: str, code: int = 0) -> str:
        """Run the command line; its stdout. Fails the test on another exit code."""
        command = [sys.executable, "-m", "haechi", *arguments]
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=600)
        assert done.returncode == code, f"haechi {' '.join(arguments)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


@contextmanager
def running(site: int, home: Path) -> Iterator[Server]:
    """Starts with `haechi doctor --fix`, ends with `haechi down --purge`."""
    environment = {
        "HAECHI_SITE": str(site),
        "HAECHI_HOME": str(home),
        "HAECHI_CACHE": os.environ.get("HAECHI_CACHE", "/var/cache/haechi"),
        "HAECHI_PROVIDERS": "local",
    }
    probe = Server(0, "", "", "", environment, {}, home)
    probe.haechi("prepare")
    try:
        probe.haechi("doctor", "--fix")
        tools = json.loads(probe.haechi("env", "--json"))
        known = json.loads((home / "credentials.json").read_text())
        port = int(tools["HTTP_PROXY"].rsplit(":", 1)[1])
        yield Server(port, known["access_key_id"], known["access_key_secret"], known["account"], environment, tools, home)
    finally:
        probe.haechi("down", "--purge")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(SITE, tmp_path_factory.mktemp("haechi") / "home") as server:
        yield server
