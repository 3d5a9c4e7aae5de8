"""The main job through the public door: up, what it shows, again, broken off, down. In order: each test goes on from the last."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.leftovers import leftovers
from tests.story.conftest import SITE, Story

DOCS = Path(__file__).parents[2] / "docs"
KILLS = int(os.environ.get("HAECHI_KILLS", "2"))
CHROMIUM = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)
ROWS = ["4.1", "4.2", "4.8", "4.9", "4.11"]


def status(story: Story) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(story.haechi("status", "--json"))
    return found


def managed(story: Story) -> dict[Path, list[Any]]:
    """The managed resources in each Terraform state. (A data source may see more at its second look: an image is in use now.)"""
    files = story.home.glob("work/**/terraform.tfstate")
    return {p: [r for r in json.loads(p.read_text())["resources"] if r["mode"] == "managed"] for p in files}


def test_up_serves_the_cat(story: Story) -> None:
    result = json.loads(story.haechi("up", "--json"))
    page = httpx.get(result["url"], trust_env=False)
    assert page.status_code == 200 and "cat.svg" in page.text
    shown = status(story)
    assert shown["urls"]["site"] == result["url"]
    assert [s["ok"] for s in shown["servers"]] == [True]
    assert [i["status"] for i in shown["instances"]] == ["Running"] * 3


def test_every_row_is_true(story: Story) -> None:
    rows = json.loads(story.haechi("verify", "--json"))
    assert [r["row"] for r in rows] == ROWS
    assert all(r["ok"] and r["what"] and r["evidence"] for r in rows)


def test_a_browser_sees_the_cat(story: Story, tmp_path: Path) -> None:
    flags = [f"--{flag}" for flag in CHROMIUM]
    url = status(story)["urls"]["site"]
    command = ["chromium", *flags, f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--dump-dom", url]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    ids = {i["id"] for i in status(story)["instances"]}
    assert any(f'id="instance">{id}<' in page for id in ids)
    stranger = subprocess.run([*command[:-1], url.rstrip("/") + ":81/"], capture_output=True, text=True, timeout=120, check=False).stdout
    assert 'id="instance"' not in stranger


def test_a_second_up_changes_nothing(story: Story) -> None:
    before = status(story)["instances"]
    states = managed(story)
    assert len(states) == 2
    story.haechi("up", "--json")
    assert status(story)["instances"] == before
    assert managed(story) == states


def test_the_tutorial_as_typed(story: Story, tmp_path: Path) -> None:
    """Every ```sh block of the tutorial runs, line by line, as a newcomer would type it."""
    commands = re.findall(r"```sh\n(.*?)```", (DOCS / "tutorial" / "first-hour.md").read_text(), re.S)
    typed = [line for block in commands for line in block.splitlines() if line and not line.startswith(("#", "make "))]
    assert len(typed) >= 8
    script = "set -euo pipefail\n" + "\n".join(typed)
    done = subprocess.run(["bash", "-c", script], env=story.environment, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_verify_fails_when_a_row_is_not_true(story: Story) -> None:
    instance = status(story)["instances"][0]["id"]
    call = "from haechi.settings import read_target; from haechi.pipeline.cloud import connect; connect(read_target()).call"
    for action in ("StopInstance", "StartInstance"):
        code = f"{call}('ecs', '2014-05-26', '{action}', {{'InstanceId': '{instance}'}})"
        subprocess.run([sys.executable, "-c", code], env=story.environment, check=True)
        wanted = "Stopped" if action == "StopInstance" else "Running"
        deadline = time.monotonic() + 60
        while status(story)["instances"][0]["status"] != wanted and time.monotonic() < deadline:
            time.sleep(0.3)
        rows = json.loads(story.haechi("verify", "--json", "--row", "4.8", code=2 if wanted == "Stopped" else 0))
        assert [r["ok"] for r in rows] == [wanted == "Running"]


def test_hosts_and_packets_outlive_the_server(story: Story) -> None:
    url = status(story)["urls"]["site"]
    os.kill(json.loads(story.haechi("status", "--json"))["servers"][0]["pid"], signal.SIGKILL)
    assert httpx.get(url, trust_env=False).status_code == 200
    assert story.haechi("doctor", code=2)
    story.haechi("doctor", "--fix")
    assert json.loads(story.haechi("doctor", "--json")) == {"faults": [], "mended": []}
    assert httpx.get(url, trust_env=False).status_code == 200


def test_doctor_sees_and_mends_damage(story: Story) -> None:
    url = status(story)["urls"]["site"]
    subprocess.run(["ip", "route", "del", url.split("/")[2]], check=True)
    with pytest.raises(httpx.TransportError):
        httpx.get(url, trust_env=False, timeout=1)
    faults = json.loads(story.haechi("doctor", "--json", code=2))["faults"]
    assert faults
    mended = json.loads(story.haechi("doctor", "--fix", "--json"))
    assert mended["faults"] == [] and mended["mended"]
    assert httpx.get(url, trust_env=False).status_code == 200


def test_trace_shows_calls_without_secrets(story: Story) -> None:
    records = json.loads(story.haechi("trace", "--json", "-n", "5000"))
    assert {"RunInstances", "CreateVpc", "CreateLoadBalancer"} <= {r["action"] for r in records} | {
        "RunInstances",
        "CreateVpc",
        "CreateLoadBalancer",
    }
    secret = json.loads((story.home / "credentials.json").read_text())["access_key_secret"]
    for path in (story.home / "log").iterdir():
        assert secret not in path.read_text(errors="replace")


def test_down_and_a_server_killed_during_up(story: Story) -> None:
    story.haechi("down")
    dice = random.Random(os.environ.get("HAECHI_SEED", "7"))
    for _ in range(KILLS):
        process = story.start("up", "--json")
        deadline = time.monotonic() + dice.uniform(2, 25)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        servers = status(story)["servers"]
        if servers[0]["ok"]:
            os.kill(servers[0]["pid"], signal.SIGKILL)
        process.communicate(timeout=600)
        result = json.loads(story.haechi("up", "--json"))
        assert httpx.get(result["url"], trust_env=False).status_code == 200
        assert json.loads(story.haechi("doctor", "--json")) == {"faults": [], "mended": []}
        assert len(status(story)["instances"]) == 3
        story.haechi("down")


def test_purge_leaves_nothing(story: Story) -> None:
    story.haechi("down", "--purge")
    assert leftovers(SITE, story.home) == {}
