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
ROWS = ["4.1", "4.2", "4.3", "4.4", "4.5", "4.5.5", "4.6", "4.7", "4.8", "4.9", "4.10", "4.11", "4.14", "4.15", "4.16", "4.17", "5.1"]


def status(story: Story) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(story.haechi("status", "--json"))
    return found


def apps(story: Story) -> list[dict[str, Any]]:
    """The instances that serve the page."""
    return sorted((i for i in status(story)["instances"] if i["name"].startswith("meow-app-")), key=lambda i: i["name"])


def call(story: Story, action: str, instance: str) -> None:
    """An action of ECS on an instance, by the signed API."""
    program = "from haechi.settings import read_target; from haechi.pipeline.cloud import connect; connect(read_target()).call"
    code = f"{program}('ecs', '2014-05-26', '{action}', {{'InstanceId': '{instance}'}})"
    subprocess.run([sys.executable, "-c", code], env=story.environment, check=True)


def managed(story: Story) -> dict[Path, list[Any]]:
    """The managed resources in each Terraform state. (A data source may see more at its second look: an image is in use now.)"""
    found = {}
    for path in story.home.glob("work/**/terraform.tfstate"):
        if path.parent.name == ".terraform":  # settings of the remote backend
            continue
        found[path] = [r for r in json.loads(path.read_text())["resources"] if r["mode"] == "managed"]
        for instance in [i for r in found[path] for i in r["instances"]]:
            instance.pop("sensitive_attributes", None)  # terraform writes them in any order
    return found


def tfe(story: Story, path: str) -> Any:
    """The `data` of an answer of Terraform Enterprise to the first administrator."""
    token = (story.home / "tfe" / "token").read_text().strip()
    url = f"{next(s['address'] for s in status(story)['servers'] if s['server'] == 'tfe')}/api/v2/{path}"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def remote_serials(story: Story) -> dict[str, int]:
    """Serial of each workspace's current state."""
    workspaces = tfe(story, "organizations/meow/workspaces")
    ids = {w["attributes"]["name"]: w["id"] for w in workspaces}
    return {name: tfe(story, f"workspaces/{id}/current-state-version")["attributes"]["serial"] for name, id in ids.items()}


def test_up_serves_the_cat(story: Story) -> None:
    result = json.loads(story.haechi("up", "--yes", "--json"))
    page = httpx.get(result["url"], trust_env=False)
    assert page.status_code == 200 and "cat.svg" in page.text
    shown = status(story)
    assert shown["urls"]["site"] == result["url"]
    place = [
        "--resolve",
        f"{result['domain']}:443:{result['edge_address']}",
        "--resolve",
        f"{result['domain']}:80:{result['edge_address']}",
    ]
    trusted = ["--noproxy", "*", "--cacert", str(story.home / "edge" / "ca.pem"), *place]
    guarded = ["curl", "-sSL", "-w", "%{url_effective}", *trusted, f"http://{result['domain']}/"]
    page_text = subprocess.run(guarded, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "cat.svg" in page_text and page_text.endswith(f"https://{result['domain']}/")
    stranger = [*guarded[:4], *place, "--noproxy", "*", guarded[-1].replace("http:", "https:")]
    assert subprocess.run(stranger, capture_output=True, timeout=60, check=False).returncode == 60  # nobody else trusts it
    assert [(s["server"], s["ok"]) for s in shown["servers"]] == [("cloud", True), ("tfe", True)]
    assert [i["status"] for i in shown["instances"]] == ["Running"] * 4
    assert [i["name"] for i in apps(story)] == ["meow-app-01", "meow-app-02", "meow-app-03"]
    assert shown["vault"]["state"] == "unsealed" and shown["vault"]["address"] == result["vault"]


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
    states, serials = managed(story), remote_serials(story)
    assert len(states) == 1 and sorted(serials) == ["03_app", "04_slb", "05_edge"]
    story.haechi("up", "--yes", "--json")
    assert status(story)["instances"] == before
    assert managed(story) == states and remote_serials(story) == serials


@pytest.mark.parametrize(
    ("page", "least"), [("tutorial/first-hour.md", 11), ("howto/vault.md", 12), ("howto/runs.md", 4), ("howto/edge.md", 8)]
)
def test_pages_as_typed(story: Story, tmp_path: Path, page: str, least: int) -> None:
    """Every ```sh block of a page runs, line by line, as a newcomer would type it."""
    commands = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(), re.S)
    typed = [line for block in commands for line in block.splitlines() if line and not line.startswith(("#", "make "))]
    assert len(typed) >= least
    script = "set -euo pipefail\n" + "\n".join(typed)
    environment = {**story.environment, "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_a_one_time_password_logs_in(story: Story) -> None:
    """haechi ssh by name, id and address; its exit code is ssh's; who is not let in gets a reason and 1."""
    first = apps(story)[0]
    for host in (first["name"], first["id"], first["public_ip"], first["private_ip"], f"test@{first['name']}"):
        assert story.haechi("ssh", host, "--", "id -un; hostname").split() == ["test", first["name"]]
    assert story.haechi("ssh", first["name"], "--", "exit 7", code=7) == ""
    assert story.haechi("ssh", "meow-app-99", code=1) == ""
    assert story.haechi("ssh", f"root@{first['name']}", code=1) == ""


def test_a_typed_one_time_password_logs_in_once(story: Story) -> None:
    """The document's way: a password by hand for an address, typed at the prompt of ssh; then it is dead."""
    first, second = apps(story)[:2]
    for host, let_in in ((first, True), (second, False)):
        otp = json.loads(vault(story, "write", "-format=json", "ssh-otp/creds/otp_key_role", f"ip={first['public_ip']}"))["data"]["key"]
        for attempt in range(2):
            done = type_at_prompt(story, otp, "ssh", "--otp", host["name"], "--", "hostname")
            assert (done.returncode == 0) is (let_in and attempt == 0), done.stdout
            assert otp not in done.stdout


def type_at_prompt(story: Story, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """haechi on a terminal of its own; `text` is typed when it asks."""
    code = (
        "import os, pty, sys\n"
        "typed = sys.stdin.readline()\n"
        "def master(fd):\n"
        "    global typed\n"
        "    data = os.read(fd, 4096)\n"
        "    if b'password for' in data and typed:\n"
        "        os.write(fd, typed.encode())\n"
        "        typed = ''\n"
        "    return data\n"
        "sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], master)))\n"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "haechi", *arguments]
    return subprocess.run(command, input=f"{text}\n", env=story.environment, capture_output=True, text=True, timeout=60)


def vault(story: Story, *arguments: str, code: int = 0) -> str:
    """The vault command as admin."""
    password = json.loads((story.home / "vault" / "operators.json").read_text())["admin"]
    address = status(story)["vault"]["address"]
    answer = httpx.put(f"{address}/v1/auth/userpass/login/admin", json={"password": password}, trust_env=False)
    story.environment["VAULT_TOKEN"] = answer.json()["auth"]["client_token"] if answer.status_code == 200 else ""
    try:
        return story.haechi("vault", *arguments, code=code)
    finally:
        del story.environment["VAULT_TOKEN"]


def test_a_reboot_seals_vault_and_up_opens_it(story: Story) -> None:
    """Meanwhile the page is served, verify says what is sealed, and nobody gets a password; afterwards all is as it was."""
    before = status(story)
    url = before["urls"]["site"]
    kept = json.loads(vault(story, "kv", "get", "-format=json", "-mount=kv-v2", "alicloud"))["data"]["data"]
    instance = next(i["id"] for i in before["instances"] if i["name"].startswith("meow-vault"))
    call(story, "RebootInstance", instance)
    deadline = time.monotonic() + 120
    seen: list[str] = []
    while seen[-1:] != ["sealed"] and time.monotonic() < deadline:
        assert httpx.get(url, trust_env=False).status_code == 200
        seen.append(status(story)["vault"]["state"])
    assert seen[-1] == "sealed"
    story.haechi("vault", "status", code=2)
    row = json.loads(story.haechi("verify", "--json", "--row", "4.4", code=2))[0]
    assert not row["ok"] and "sealed" in row["evidence"]
    assert story.haechi("ssh", "meow-app-01", "--", "true", code=1) == ""
    result = json.loads(story.haechi("up", "--yes", "--json"))
    assert next(s["what"] for s in result["steps"] if s["step"] == "vault-open").startswith("unsealed with 3 of the shares")
    after = status(story)
    assert after["vault"]["state"] == "unsealed" and after["instances"] == before["instances"]
    assert json.loads(vault(story, "kv", "get", "-format=json", "-mount=kv-v2", "alicloud"))["data"]["data"] == kept
    assert story.haechi("ssh", "meow-app-01", "--", "hostname").strip() == "meow-app-01"


def test_sealed_and_unsealed_by_hand(story: Story) -> None:
    shares = json.loads((story.home / "vault" / "init.json").read_text())["unseal_keys_b64"]
    vault(story, "operator", "seal")
    story.haechi("vault", "status", code=2)
    for count, share in enumerate(shares[2:], 1):
        told = json.loads(story.haechi("vault", "operator", "unseal", "-format=json", share))
        assert told["sealed"] is (count < 3)
    story.haechi("vault", "status")
    assert story.haechi("ssh", "meow-app-01", "--", "hostname").strip() == "meow-app-01"


def test_no_secret_of_vault_is_told(story: Story) -> None:
    kept = json.loads((story.home / "vault" / "init.json").read_text())
    operators = json.loads((story.home / "vault" / "operators.json").read_text())
    secrets = [kept["root_token"], *kept["unseal_keys_hex"], *kept["unseal_keys_b64"], *operators.values()]
    told = (
        story.haechi("up", "--yes", "--json")
        + story.haechi("status", "--json")
        + story.haechi("env", "--json")
        + story.haechi("trace", "--json")
    )
    told += "".join(p.read_text(errors="replace") for p in (story.home / "log").iterdir()) + (story.home / "journal.jsonl").read_text()
    told += "".join(p.read_text() for p in story.home.glob("work/**/*.tfstate*"))
    assert not [s for s in secrets if s in told]
    for path in (story.home / "vault").glob("*.json*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_verify_fails_when_a_row_is_not_true(story: Story) -> None:
    instance = apps(story)[0]["id"]
    for action in ("StopInstance", "StartInstance"):
        call(story, action, instance)
        wanted = "Stopped" if action == "StopInstance" else "Running"
        deadline = time.monotonic() + 60
        while apps(story)[0]["status"] != wanted and time.monotonic() < deadline:
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
        process = story.start("up", "--yes", "--json")
        deadline = time.monotonic() + dice.uniform(2, 25)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        alive = [server for server in status(story)["servers"] if server["ok"]]
        if alive:
            os.kill(dice.choice(alive)["pid"], signal.SIGKILL)
        process.communicate(timeout=600)
        result = json.loads(story.haechi("up", "--yes", "--json"))
        assert httpx.get(result["url"], trust_env=False).status_code == 200
        assert json.loads(story.haechi("doctor", "--json")) == {"faults": [], "mended": []}
        assert len(apps(story)) == 3 and status(story)["vault"]["state"] == "unsealed"
        story.haechi("down")


def test_purge_leaves_nothing(story: Story) -> None:
    story.haechi("down", "--purge")
    assert leftovers(SITE, story.home) == {}
