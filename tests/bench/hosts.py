"""How quickly instances come up and rules take hold."""

from __future__ import annotations

import json
import socket
import statistics
import time
from pathlib import Path
from typing import Any

from haechi.clients.aliyun import Aliyun
from tests.bench.bench import Bench

ECS = "2014-05-26"


def _run(client: Aliyun, where: dict[str, Any], amount: int) -> list[str]:
    more = {"Amount": amount, "InternetMaxBandwidthOut": 100, "Password": "Bench-Pass1"}
    ids: list[str] = client.call("ecs", ECS, "RunInstances", {**where, **more})["InstanceIdSets"]["InstanceIdSet"]
    return ids


def _describe(client: Aliyun, ids: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.call("ecs", ECS, "DescribeInstances", {"InstanceIds": json.dumps(ids), "PageSize": 100})[
        "Instances"
    ]["Instance"]
    return found


def _banner(address: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((address, 22), timeout=0.5) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"{address} shows no SSH banner")


def _delete(client: Aliyun, ids: list[str]) -> None:
    for id in ids:
        client.call("ecs", ECS, "DeleteInstance", {"InstanceId": id, "Force": True})
    while _describe(client, ids):
        time.sleep(0.1)


def banner_seconds(bench: Bench, times: int = 7) -> float:
    """Median seconds from sending RunInstances to an SSH banner at the public address."""
    client = bench.client()
    where = bench.network(client)
    found = []
    for _ in range(times):
        started = time.monotonic()
        ids = _run(client, where, 1)
        _banner(_describe(client, ids)[0]["PublicIpAddress"]["IpAddress"][0])
        found.append(time.monotonic() - started)
        _delete(client, ids)
    return round(statistics.median(found), 2)


def rule_seconds(bench: Bench, times: int = 15) -> float:
    """Median seconds from sending a rule to packets obeying it: open, then revoke, port 22 of a running instance."""
    client = bench.client()
    where = bench.network(client)
    ids = _run(client, where, 1)
    address = _describe(client, ids)[0]["PublicIpAddress"]["IpAddress"][0]
    _banner(address)
    everything = {"IpProtocol": "all", "PortRange": "-1/-1", "SourceCidrIp": "0.0.0.0/0"}
    group = {"SecurityGroupId": where["SecurityGroupId"], "Permissions": [everything]}
    found = []
    for _ in range(times):
        for action, open_ in (("RevokeSecurityGroup", False), ("AuthorizeSecurityGroup", True)):
            started = time.monotonic()
            client.call("ecs", ECS, action, group)
            while _connects(address) != open_:
                pass
            found.append(time.monotonic() - started - (0.1 if not open_ else 0))  # a drop is only seen by waiting 0.1 s
    _delete(client, ids)
    return round(statistics.median(found), 3)


def _connects(address: str) -> bool:
    try:
        socket.create_connection((address, 22), timeout=0.1).close()
    except OSError:
        return False
    return True


def fifty_instances(bench: Bench, amount: int = 50) -> dict[str, object]:
    """Fifty at once: seconds until all show a banner, memory of each."""
    client = bench.client()
    where = bench.network(client)
    before = _used_mib()
    started = time.monotonic()
    ids = _run(client, where, amount)
    for instance in _describe(client, ids):
        _banner(instance["PublicIpAddress"]["IpAddress"][0], 300)
    seconds = time.monotonic() - started
    time.sleep(3)
    memory = (_used_mib() - before) / amount
    _delete(client, ids)
    return {
        f"{amount} instances at once, all with SSH s": round(seconds, 1),
        "  each s": round(seconds / amount, 2),
        "  memory each MiB": round(memory, 1),
    }


def _used_mib() -> float:
    """Total minus available memory of the machine."""
    values = {line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
    return (values["MemTotal"] - values["MemAvailable"]) / 1024
