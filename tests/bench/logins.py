"""A login with a one-time password, end to end: Vault issues it, OpenSSH asks, the host's helper has it verified, `true` runs."""

from __future__ import annotations

import json
import statistics
import time

import httpx

from haechi.vaultcli.otp_login import ssh_with_otp
from tests.bench.bench import Bench

LOGINS = 30
SSH = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")


def login_seconds(bench: Bench) -> dict[str, object]:
    """p50 and p95 over some logins, one after the other, to one host of a site that is up."""
    host = next(i for i in json.loads(bench.run("status", "--json"))["instances"] if i["name"].endswith("-app-01"))["public_ip"]
    known = json.loads((bench.home / "vault" / "vault.json").read_text())
    password = json.loads((bench.home / "vault" / "operators.json").read_text())["operator"]
    times = []
    with httpx.Client(base_url=f"{known['address']}/v1/", trust_env=False) as vault:
        token = vault.put("auth/userpass/login/operator", json={"password": password}).json()["auth"]["client_token"]
        for _ in range(LOGINS):
            started = time.perf_counter()
            body = {"ip": host, "username": "test"}
            issued = vault.put("ssh-otp/creds/otp_key_role", json=body, headers={"X-Vault-Token": token}).json()
            code = ssh_with_otp(issued["data"]["key"], "test", host, [*SSH, "true"])
            times.append(time.perf_counter() - started)
            if code:
                raise RuntimeError(f"a login failed with {code}")
    cut = statistics.quantiles(times, n=20)
    return {"login with a one-time password s, p50": round(statistics.median(times), 3), "  p95 s": round(cut[18], 3)}
