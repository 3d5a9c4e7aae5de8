"""Rows 4.1 and 4.2: the provider, and the ways to hand it credentials."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from haechi.pipeline.cloud import STS, connect
from haechi.pipeline.run import PARTS, Run, find_terraform

WHO = """
terraform {
  required_providers {
    alicloud = { source = "aliyun/alicloud" }
  }
}
provider "alicloud" {
%s
}
data "alicloud_caller_identity" "me" {}
output "account" { value = data.alicloud_caller_identity.me.account_id }
"""
KEYS = ("ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")


def row_4_1(run: Run) -> str:
    """A second plan of every part is empty: every argument came back as it was written."""
    parts = [name for name in PARTS if run.is_applied(name)]
    assert parts, "nothing is applied"
    for name in parts:
        part = run.part(name)
        part.init()
        assert part.plan_is_empty(), f"a second plan of {name} is not empty"
    kinds = sorted({r["type"] for name in parts for r in run.resources(name)})
    return f"second plan empty for {len(kinds)} kinds of resource: {', '.join(kinds)}"


def row_4_2(run: Run) -> str:
    """init, then who-am-I with static keys, environment and profile; a wrong secret is refused."""
    target = run.target
    if not target.local:
        account = connect(target).call("sts", STS, "GetCallerIdentity")["AccountId"]
        return f"account {account} by the credential chain"
    key, secret = target.access_key_id, target.access_key_secret
    environment = {k: v for k, v in target.environment().items() if k not in KEYS}
    with tempfile.TemporaryDirectory() as place:
        profile = Path(place) / "config.json"
        profile.write_text(
            json.dumps(
                {
                    "current": "haechi",
                    "profiles": [
                        {
                            "name": "haechi",
                            "mode": "AK",
                            "access_key_id": key,
                            "access_key_secret": secret,
                            "region_id": target.region,
                        }
                    ],
                }
            )
        )
        ways: dict[str, tuple[str, Mapping[str, str]]] = {
            "static": (f'access_key = "{key}"\nsecret_key = "{secret}"\nregion = "{target.region}"', {}),
            "environment": ("", {"ALICLOUD_ACCESS_KEY": key, "ALICLOUD_SECRET_KEY": secret, "ALICLOUD_REGION": target.region}),
            "profile": (f'profile = "haechi"\nshared_credentials_file = "{profile}"', {}),
        }
        for way, (block, extra) in ways.items():
            who = _who(run, Path(place) / way, block, {**environment, **extra})
            assert who == target.account, f"{way} credentials gave {who or 'an error'}"
        wrong = f'access_key = "{key}"\nsecret_key = "{secret[::-1]}"\nregion = "{target.region}"'
        assert _who(run, Path(place) / "wrong", wrong, environment) == "", "a wrong secret was accepted"
    return f"account {target.account} by {', '.join(ways)}; a wrong secret is refused"


def _who(run: Run, place: Path, block: str, environment: Mapping[str, str]) -> str:
    """The account that terraform sees, or "" when the cloud refused it."""
    place.mkdir()
    (place / "main.tf").write_text(WHO % block)
    program = find_terraform(run.target, run.say)
    base = {k: v for k, v in os.environ.items() if k not in KEYS}
    whole = {**base, **environment}
    init = subprocess.run([program, "init", "-no-color"], cwd=place, env=whole, capture_output=True, text=True)
    assert init.returncode == 0, f"terraform init: {init.stderr.strip()[-300:]}"
    apply = subprocess.run([program, "apply", "-auto-approve", "-no-color"], cwd=place, env=whole, capture_output=True, text=True)
    if apply.returncode:
        return ""
    output = subprocess.run([program, "output", "-raw", "account"], cwd=place, env=whole, capture_output=True, text=True, check=True)
    return output.stdout.strip()
