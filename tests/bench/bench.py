"""A haechi of its own to measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from haechi.clients.aliyun import Aliyun

SITE = 8


def pss_kib(pid: int) -> int:
    """Proportional set size of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


class Bench:
    """A site with its own home; everything of it is removed at the end."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.environment = {
            "HAECHI_CACHE": "/var/cache/haechi",
            **(environment or {}),
            "HAECHI_SITE": str(SITE),
            "HAECHI_HOME": str(home),
            "HAECHI_PROVIDERS": "local",
        }
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.run("down", "--purge")
        if self._server is not None:
            self._server.wait()

    def run(self, *arguments: str) -> str:
        """Run a command of haechi; its stdout."""
        command = [sys.executable, "-m", "haechi", *arguments]
        return subprocess.run(command, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, check=True, text=True).stdout

    def timed(self, *arguments: str) -> float:
        """Seconds that a command takes."""
        started = time.monotonic()
        self.run(*arguments)
        return round(time.monotonic() - started, 1)

    @property
    def port(self) -> int:
        return 7700 + 10 * SITE

    def start_seconds(self) -> float:
        """Start the server; seconds from its exec to its first answered request."""
        started = time.monotonic()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "haechi", "serve", "cloud"], env={**os.environ, **self.environment}, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.01)
        seconds = round(time.monotonic() - started, 2)
        while not (self.home / "credentials.json").exists():
            time.sleep(0.01)
        return seconds

    def memory_mib(self) -> float:
        """Proportional set size of the server process."""
        assert self._server is not None
        time.sleep(2)
        return round(pss_kib(self._server.pid) / 1024, 1)

    def keys(self) -> dict[str, str]:
        known: dict[str, str] = json.loads((self.home / "credentials.json").read_text())
        return known

    def client(self) -> Aliyun:
        """A signed client of this server."""
        keys = self.keys()
        door = f"127.0.0.1:{self.port}"
        products = dict.fromkeys(("ecs", "vpc", "slb", "ram", "sts", "alidns"), door)
        return Aliyun(
            "ap-southeast-1", keys["access_key_id"], keys["access_key_secret"], endpoints=products, protocol="http", use_proxy=False
        )

    def network(self, client: Aliyun, cidr: str = "10.0.0.0/16") -> dict[str, Any]:
        """A VPC, a vSwitch, an open security group, an image and the smallest type: parameters for RunInstances."""
        vpc = client.call("vpc", "2016-04-28", "CreateVpc", {"CidrBlock": cidr})["VpcId"]
        zone = client.call("ecs", "2014-05-26", "DescribeZones")["Zones"]["Zone"][0]["ZoneId"]
        vswitch = client.call("vpc", "2016-04-28", "CreateVSwitch", {"VpcId": vpc, "CidrBlock": cidr, "ZoneId": zone})["VSwitchId"]
        group = client.call("ecs", "2014-05-26", "CreateSecurityGroup", {"VpcId": vpc})["SecurityGroupId"]
        everything = {"IpProtocol": "all", "PortRange": "-1/-1", "SourceCidrIp": "0.0.0.0/0"}
        client.call("ecs", "2014-05-26", "AuthorizeSecurityGroup", {"SecurityGroupId": group, "Permissions": [everything]})
        image = client.call("ecs", "2014-05-26", "DescribeImages", {"ImageName": "debian_12*"})["Images"]["Image"][0]["ImageId"]
        return {
            "ImageId": image, "InstanceType": "ecs.t6-c1m1.large", "SecurityGroupId": group, "VSwitchId": vswitch, "ZoneId": zone,
        }  # fmt: skip
