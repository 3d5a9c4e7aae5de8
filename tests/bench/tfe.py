"""Terraform Enterprise alone: remote plan and apply against terraform's own local time, logs, runs, reads, policies, memory."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.bench.load import get, load
from tests.tfeclient import DATA, Terraform, remote
from tests.tfeworker import FINAL, Server, pack, served, until

TIMES = 7
FLOOR = {"plan": 1.6, "apply": 2.6}  # s: the sleeps of terraform 1.11 as a client, with a server that answers at once
RUNS, WORKSPACES = 40, 10
LINES = 100
READS, CLIENTS = 4000, 8
PRINT = f"for i in $(seq {LINES}); do date +t=%s.%N; sleep 0.05; done"
PRINTING = f'resource "terraform_data" "a" {{\n  provisioner "local-exec" {{ command = "{PRINT}" }}\n}}\n'


def tfe_figures() -> dict[str, object]:
    """Seconds, rates and MiB by name."""
    with tempfile.TemporaryDirectory() as place, served(Path(place) / "home", worker_slots=10) as server:
        found: dict[str, object] = {"tfe idle memory MiB (PSS)": pss_mib(server)}
        found |= client_seconds(server, Path(place))
        found |= log_latency(server)
        found |= runs_per_minute(server)
        found |= asyncio.run(reads(server))
        found |= policy_seconds(server)
        return found


def pss_mib(server: Server) -> float:
    """Proportional set size of the server process."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024, 1)


def _median(act: Callable[[], object]) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def client_seconds(server: Server, place: Path) -> dict[str, object]:
    """A remote plan and apply of one terraform_data, and the same with a local state."""
    far = Terraform(server, place / "far", main=DATA, backend=remote('name = "far"'))
    near = Terraform(server, place / "near", main=DATA)
    found: dict[str, object] = {}
    for terraform in (far, near):
        del terraform.environment["TF_LOG"], terraform.environment["TF_LOG_PATH"]
        terraform("init", "-input=false")
        terraform("apply", "-auto-approve", "-input=false")
    for command in ("plan", "apply"):
        arguments = (command, "-input=false", "-replace=terraform_data.a", *(("-auto-approve",) if command == "apply" else ()))
        here = _median(lambda arguments=arguments: near(*arguments))  # type: ignore[misc]
        there = _median(lambda arguments=arguments: far(*arguments))  # type: ignore[misc]
        found[f"tfe remote {command} s"] = round(there, 2)
        found[f"tfe local {command} s"] = round(here, 2)
        found[f"tfe remote {command} over floor and local s"] = round(there - FLOOR[command] - here, 2)
    return found


def log_latency(server: Server) -> dict[str, object]:
    """From a line's printing by a program under terraform to its arrival at a client that follows the log."""
    run = server.run(server.workspace("latency"), {"main.tf": PRINTING}, auto_apply=True)
    until(lambda: server.status(run) == "applying")
    url = server.get(f"/runs/{run}/apply")["attributes"]["log-read-url"]
    late, text, rest = [], b"", ""
    with httpx.Client(trust_env=False, timeout=60) as client:
        while not text.endswith(b"\x03"):
            piece = client.get(url, params={"limit": 65536, "offset": len(text)}).content
            now = time.time()
            text += piece
            *lines, rest = (rest + piece.decode(errors="replace")).split("\n")
            late += [now - float(line.rsplit("t=", 1)[1]) for line in lines if "t=" in line and "Executing" not in line]
    late.sort()
    return {"tfe log line to client s (median)": round(statistics.median(late), 3), "tfe log line to client s (p99)": round(late[-2], 3)}


def runs_per_minute(server: Server) -> dict[str, object]:
    """Plans and applies of one terraform_data on the embedded worker, ten workspaces at once; memory at its highest."""
    spaces = [server.workspace(f"busy-{n}") for n in range(WORKSPACES)]
    idle, highest, done = pss_mib(server), 0.0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.2):
            highest = max(highest, pss_mib(server))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    runs = [
        server.run(spaces[n % WORKSPACES], {"main.tf": DATA, "n.tf": f'output "n" {{ value = {n} }}'}, auto_apply=True) for n in range(RUNS)
    ]
    while not all(server.status(run) in FINAL for run in runs):
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    assert {server.status(run) for run in runs} == {"applied"}
    more = max(0.0, highest - idle) / WORKSPACES
    return {"tfe runs per minute (plan and apply)": round(RUNS / seconds * 60), "tfe server memory per run MiB": round(more, 2)}


async def reads(server: Server) -> dict[str, object]:
    """GET of a workspace and of a run."""
    workspace = server.workspace("read")
    run = server.run(workspace, {"main.tf": DATA})
    until(lambda: server.status(run) == "planned")
    token = server.client.headers["Authorization"]
    found: dict[str, object] = {}
    for name, path in (("workspace", f"/api/v2/workspaces/{workspace}"), ("run", f"/api/v2/runs/{run}")):
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n\r\n".encode()
        rate, p99 = await load(server.port, [get(request)] * READS, CLIENTS)
        found[f"tfe reads of a {name} /s ({CLIENTS} clients)"] = f"{rate:.0f} (p99 {p99:.1f} ms)"
    return found


def policy_seconds(server: Server) -> dict[str, object]:
    """The policy check of a run: the three policies of the story over a real plan."""
    files = {path.name: path.read_text() for path in Path("blueprints/meow/policies").iterdir() if path.is_file()}
    workspace = server.workspace("judged")
    links = {"workspaces": {"data": [{"type": "workspaces", "id": workspace}]}}
    body = {"data": {"type": "policy-sets", "attributes": {"name": "bench", "kind": "sentinel"}, "relationships": links}}
    made = server.client.post("/organizations/acme/policy-sets", json=body).json()["data"]
    version = server.post(f"/policy-sets/{made['id']}/versions", "policy-set-versions")
    server.client.put(version["links"]["upload"], content=pack(files)).raise_for_status()
    taken = []
    for _ in range(TIMES):
        run = server.run(workspace, {"main.tf": DATA}, plan_only=True)
        server.ended(run)
        stamps = server.get(f"/runs/{run}")["attributes"]["status-timestamps"]
        ended = next(stamps[f"policy-{end}-at"] for end in ("checked", "soft-failed") if f"policy-{end}-at" in stamps)
        taken.append(_moment(ended) - _moment(stamps["policy-checking-at"]))
    return {"tfe policy check of 3 policies s": round(statistics.median(taken), 3)}


def _moment(stamp: str) -> float:
    seconds, _, rest = stamp.removesuffix("Z").partition(".")
    return time.mktime(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{rest}")


if __name__ == "__main__":
    for name, value in tfe_figures().items():
        print(f"{name:48} {value}")
