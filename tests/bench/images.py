"""The golden image: how long Packer takes for it, how soon a host of it serves the page, what both take on disk."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import httpx

from haechi.clients.vault import Vault
from tests.bench.bench import Bench
from tests.bench.hosts import ECS, _delete, _describe, _run

ROOT = Path(__file__).parents[2]
BLUEPRINT = ROOT / "blueprints" / "meow" / "02_image"
HELPER = ROOT / "src" / "haechi" / "sshhelper" / "vault_ssh_helper.py"
RELEASE = "bench"
PACKAGES, CLEANING, CREATING, TAGGING = "web_server.sh", "clean.sh", "Creating image", "Adding tags"
PAGE_SECONDS = 60


def image_figures(bench: Bench) -> dict[str, object]:
    """A build with keys from Vault, then hosts of what it made. The site must be up (`haechi up`)."""
    return {**_build(bench), **_hosts(bench)}


def _build(bench: Bench) -> dict[str, object]:
    tools = json.loads(bench.run("env", "--json"))
    variables = {"vault_addr": tools["VAULT_ADDR"], "ssh_helper": str(HELPER), "release": RELEASE, "region": tools["ALICLOUD_REGION"]}
    words = [word for name, value in variables.items() for word in ("-var", f"{name}={value}")]
    own = {"VAULT_TOKEN": _token(bench, tools["VAULT_ADDR"]), "CHECKPOINT_DISABLE": "1"}
    command = ["packer", "build", "-color=false", "-force", *words, "."]
    marks: dict[str, float] = {}
    started = time.monotonic()
    with subprocess.Popen(command, cwd=BLUEPRINT, env={**os.environ, **tools, **own}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            marks |= {mark: time.monotonic() for mark in (PACKAGES, CLEANING, CREATING, TAGGING) if mark in line and mark not in marks}
    if process.returncode:
        raise RuntimeError(f"packer build ended with {process.returncode}")
    return {
        "packer build s": round(time.monotonic() - started, 1),
        "  of it the web server's packages s": round(marks[CLEANING] - marks[PACKAGES], 1),
        "  of it image creation s": round(marks[TAGGING] - marks[CREATING], 2),
    }


def _token(bench: Bench, address: str) -> str:
    """One that reads the cloud's keys, as `up` makes it for Packer."""
    password = json.loads((bench.home / "vault" / "operators.json").read_text())["admin"]
    with Vault(address, direct=True) as vault:
        vault.login("admin", password)
        answer = vault.request("POST", "auth/token/create", {"policies": ["packer"], "ttl": "1h"})
    return str(answer["auth"]["client_token"])


def _hosts(bench: Bench, times: int = 7) -> dict[str, object]:
    client = bench.client()
    [image] = client.call("ecs", ECS, "DescribeImages", {"ImageName": f"meow-golden-{RELEASE}"})["Images"]["Image"]
    where = {**bench.network(client), "ImageId": image["ImageId"]}
    found, disks = [], []
    for _ in range(times):
        started = time.monotonic()
        ids = _run(client, where, 1)
        _page(_describe(client, ids)[0]["PublicIpAddress"]["IpAddress"][0])
        found.append(time.monotonic() - started)
        disks.append(_mib(bench.home / "hosts" / ids[0]))
        _delete(client, ids)
    return {
        "RunInstances of it to the page served s": round(statistics.median(found), 2),
        "  disk of the image MiB": _mib(bench.home / "images" / "layer" / image["ImageId"]),
        "  disk of each instance MiB": round(statistics.median(disks), 1),
    }


def _page(address: str) -> None:
    deadline = time.monotonic() + PAGE_SECONDS
    while time.monotonic() < deadline:
        try:
            if 'id="instance"' in httpx.get(f"http://{address}/", timeout=0.5, trust_env=False).text:
                return
        except httpx.HTTPError:
            time.sleep(0.02)
    raise TimeoutError(f"{address} does not show the page")


def _mib(path: Path) -> float:
    """Disk space of a tree; a running host's files may go while they are counted."""
    counted = subprocess.run(["du", "-s", "--block-size=1", str(path)], capture_output=True, text=True)
    return round(int(counted.stdout.split()[0]) / 2**20, 1)
