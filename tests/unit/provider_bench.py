"""The real terraform with haechi's providers against a cloud in this process (no hosts, no packets)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from haechi.provider.mirror import install
from tests.localcloud import KEY, SECRET, LocalCloud

PRODUCTS = ("ecs", "vpc", "vpcpeer", "slb", "ram", "sts", "location", "bssopenapi", "alidns", "ddoscoo", "cloudfw", "waf_openapi")


@dataclass
class Door:
    """An HTTP server in front of a LocalCloud."""

    port: int
    server: uvicorn.Server
    thread: threading.Thread

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


def open_door(cloud: LocalCloud) -> Door:
    """Serve the cloud on a free port of this machine."""
    config = uvicorn.Config(cloud.gateway, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    return Door(server.servers[0].sockets[0].getsockname()[1], server, thread)


class Terraform:
    """Runs terraform in a folder, with the providers from a mirror of their own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        mirror = folder / "mirror"
        install(mirror, sys.executable)
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("TF_", "ALICLOUD", "ALIBABA")) and not k.lower().endswith("_proxy")
        }
        self.environment = {**clean, "TF_CLI_CONFIG_FILE": str(mirror / "terraformrc"), "TF_IN_AUTOMATION": "1", **environment}

    def write(self, text: str, name: str = "main.tf") -> None:
        (self.folder / name).write_text(text)

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(["terraform", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=900)
        assert done.returncode in codes, f"terraform {arguments}: {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done

    def init(self) -> None:
        self.run("init", "-no-color")

    def apply(self, *arguments: str) -> str:
        return self.run("apply", "-auto-approve", "-no-color", "-parallelism=10", *arguments).stdout

    def plan_is_empty(self, *arguments: str) -> None:
        """Fail with the plan if it is not empty."""
        self.run("plan", "-detailed-exitcode", "-no-color", *arguments)

    def plan(self) -> str:
        """The text of a plan that must not be empty."""
        return self.run("plan", "-detailed-exitcode", "-no-color", codes=(2,)).stdout

    def destroy(self) -> str:
        return self.run("destroy", "-auto-approve", "-no-color", "-parallelism=10").stdout

    def state(self) -> dict[str, dict[str, Any]]:
        """Values of every resource by address."""
        shown = json.loads(self.run("show", "-json").stdout)
        resources = shown.get("values", {}).get("root_module", {}).get("resources", [])
        return {r["address"]: r["values"] for r in resources}

    def reimport(self, address: str, id: str) -> None:
        """Forget a resource and import it again."""
        self.run("state", "rm", address)
        self.run("import", "-no-color", address, id)


def provider_block(port: int) -> str:
    """The provider block that sends everything to a door."""
    endpoints = "\n".join(f'    {p} = "127.0.0.1:{port}"' for p in PRODUCTS)
    return f"""
terraform {{
  required_providers {{
    alicloud = {{
      source  = "aliyun/alicloud"
      version = ">= 1.200"
    }}
  }}
}}
provider "alicloud" {{
  access_key = "{KEY}"
  secret_key = "{SECRET}"
  region     = "ap-southeast-1"
  protocol   = "HTTP"
  endpoints {{
{endpoints}
  }}
}}
"""


def changes_of(terraform: Terraform) -> dict[str, str]:
    """What a plan would do, by address."""
    terraform.run("plan", "-no-color", "-out=plan.bin")
    plan = json.loads(terraform.run("show", "-json", "plan.bin").stdout)
    words = {
        ("update",): "update",
        ("delete", "create"): "replace",
        ("create", "delete"): "replace",
        ("create",): "create",
        ("delete",): "delete",
    }
    return {
        r["address"]: words[tuple(r["change"]["actions"])]
        for r in plan["resource_changes"]
        if r["change"]["actions"] not in (["no-op"], ["read"])
    }
