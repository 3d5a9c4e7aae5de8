"""What a killed image build left in the local cloud, and how it goes away: through the API, in the order things depend on each other."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haechi.clients.aliyun import Aliyun
from haechi.pipeline.cloud import ECS, VPC, wait_gone

BUILDER = "packer"
PROXIES = re.compile(r"(?i)https?_proxy=(?:https?://)?127\.0\.0\.1:([0-9]+)/?")
# kind, in the order of deletion: (product, version, action, parameter)
DELETIONS = {
    "instance": ("ecs", ECS, "DeleteInstance", "InstanceId"),
    "eip": ("vpc", VPC, "ReleaseEipAddress", "AllocationId"),
    "security_group": ("ecs", ECS, "DeleteSecurityGroup", "SecurityGroupId"),
    "vswitch": ("vpc", VPC, "DeleteVSwitch", "VSwitchId"),
    "vpc": ("vpc", VPC, "DeleteVpc", "VpcId"),
    "key_pair": ("ecs", ECS, "DeleteKeyPairs", "KeyPairNames"),
}


@dataclass(frozen=True)
class Leftover:
    """One resource that no living build will delete. `kind` is a key of DELETIONS."""

    kind: str
    id: str
    region: str
    agent: str


def find_leftovers(temporaries: Sequence[dict[str, Any]], port: int, processes: Path = Path("/proc")) -> list[Leftover]:
    """Of the `temporaries` that `ControlClient.doctor` tells, those older than every build that runs on this machine through our door."""
    oldest = min(read_builds(port, processes), default=float("inf"))
    return [Leftover(t["kind"], t["id"], t["region"], t["agent"]) for t in temporaries if t["created"] < oldest]


def read_builds(port: int, processes: Path = Path("/proc")) -> list[float]:
    """When each living Packer was started, in epoch seconds; one that evidently uses another door than 127.0.0.1:`port` is left out."""
    found = []
    for process in processes.glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() != BUILDER:
                continue
            environment = (process / "environ").read_text(errors="replace").split("\0")
            ticks = int((process / "stat").read_text().rsplit(")", 1)[1].split()[19])
        except OSError:  # it ended meanwhile
            continue
        doors = {match[1] for match in map(PROXIES.fullmatch, environment) if match}
        if not doors or str(port) in doors:
            found.append(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK"))
    return found


def remove_leftovers(client: Aliyun, leftovers: Sequence[Leftover]) -> Iterator[str]:
    """Delete them; yields a line for each. ApiError when something of the user's holds on to one."""
    for kind, (product, version, action, parameter) in DELETIONS.items():
        mine = [one for one in leftovers if one.kind == kind]
        for one in mine:
            value = json.dumps([one.id]) if kind == "key_pair" else one.id
            more = {"Force": True} if kind == "instance" else {}
            if kind == "eip":
                _unbind(client, one)
            client.call(product, version, action, {"RegionId": one.region, parameter: value, **more})
            yield f"removed {one.kind} {one.id}"
        if kind == "instance":
            for region in {one.region for one in mine}:
                wait_gone(client, [one.id for one in mine if one.region == region], region)


def _unbind(client: Aliyun, address: Leftover) -> None:
    asked = {"RegionId": address.region, "AllocationId": address.id}
    [found] = client.call("vpc", VPC, "DescribeEipAddresses", asked)["EipAddresses"]["EipAddress"]
    if found["InstanceId"]:
        client.call("vpc", VPC, "UnassociateEipAddress", {**asked, "InstanceId": found["InstanceId"]})
