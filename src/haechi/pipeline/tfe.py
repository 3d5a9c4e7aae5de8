"""The Terraform Enterprise of a target: reached, and for the local target started and ended."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from haechi.clients.tfe import Resource, Tfe, TfeRefused, TfeSilent
from haechi.pipeline.failure import Failure
from haechi.pipeline.terraformrc import write_terraformrc
from haechi.settings import Target

NAME = "meow"
SERVER_SECONDS = 60.0
STOP_SECONDS = 60.0
TOKEN_HINT = "Set HAECHI_TFE_TOKEN to a token of its, and HAECHI_TFE_ORGANIZATION to the organization."


def organization(target: Target) -> str:
    """The organization that the blueprint's workspaces are in: HAECHI_TFE_ORGANIZATION, else meow."""
    return os.environ.get("HAECHI_TFE_ORGANIZATION", "") or NAME


@contextmanager
def client(target: Target) -> Iterator[Tfe]:
    """A client of this target's server. What it refuses inside becomes a Failure."""
    if not target.tfe_token:
        raise Failure(f"There is no token for {target.tfe_url}.", "Run `haechi up` first." if target.local else TOKEN_HINT)
    with Tfe(target.tfe_url, target.tfe_token, direct=target.local) as tfe:
        try:
            yield tfe
        except TfeSilent as error:
            raise Failure(f"Terraform Enterprise does not answer: {error}", "`haechi status` tells what is up; see log/tfe.log.") from None
        except TfeRefused as error:
            hint = TOKEN_HINT if error.status in (401, 403) else "See the run in the browser, or log/tfe.log."
            raise Failure(f"Terraform Enterprise refused {error}", hint) from None


def workspace(target: Target, name: str) -> Resource | None:
    """The workspace of a part; None when there is none, or no server to ask."""
    if not target.tfe_token:
        return None
    with Tfe(target.tfe_url, target.tfe_token, direct=target.local) as tfe:
        try:
            return tfe.workspace(organization(target), name)
        except (TfeSilent, TfeRefused):
            return None


def page_url(target: Target) -> str:
    """The page of the blueprint's workspaces."""
    return f"{target.tfe_url}/app/{organization(target)}"


def run_url(target: Target, workspace_name: str, run: str) -> str:
    """The page of a run."""
    return f"{page_url(target)}/{workspace_name}/runs/{run}"


def health(target: Target) -> dict[str, Any] | None:
    """{server, ok}, of a local server also pid; None when it does not answer."""
    own = target.local and "HAECHI_TFE_ADDR" not in os.environ
    try:
        answer = httpx.get(f"{target.tfe_url}/{'_health' if own else 'api/v2/ping'}", timeout=5, trust_env=not target.local)
        if not own:
            return {"server": "tfe", "ok": True} if answer.status_code < 500 else None
        document: dict[str, Any] = answer.json()
        return document if document.get("server") == "tfe" else None
    except (httpx.HTTPError, ValueError):
        return None


def start(target: Target, *, anew: bool = False) -> str:
    """The local server, in the background; with `anew` one that runs is ended first. Where it serves."""
    if anew:
        stop(target)
    if not health(target):
        log = target.site.home / "log"
        log.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (log / "tfe.out").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "haechi", "serve", "tfe"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        deadline = time.monotonic() + SERVER_SECONDS
        while not health(target):
            if process.poll() is not None:
                raise Failure(
                    f"The Terraform Enterprise server ended at once with {process.returncode}.", f"See {log}/tfe.out and {log}/tfe.log."
                )
            if time.monotonic() > deadline:
                raise Failure("The Terraform Enterprise server does not answer.", f"See {log}/tfe.log.")
            time.sleep(0.05)
    write_terraformrc(target)
    return f"serving on {target.tfe_url}"


def stop(target: Target) -> None:
    """End the local server, which lets runs in progress save their state, and wait for it. Raises Failure."""
    path = target.tfe_pid_file
    deadline = time.monotonic() + STOP_SECONDS
    told = False
    while path.exists():
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return  # nobody holds it
            except BlockingIOError:
                pid = int(file.read() or 0)
        if pid and not told:
            os.kill(pid, signal.SIGTERM)
            told = True
        if time.monotonic() > deadline:
            raise Failure(f"The Terraform Enterprise server (process {pid}) does not end.", f"See {target.site.home}/log/tfe.log.")
        time.sleep(0.05)
