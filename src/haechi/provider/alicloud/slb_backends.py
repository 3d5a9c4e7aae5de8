"""Backend servers as the load balancer's actions want them: pseudo-JSON with single quotes, twenty at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from haechi.provider.alicloud.cloud import Cloud

BUSY = (
    "ServiceIsConfiguring",
    "ServiceIsStopping",
    "SystemBusy",
    "OperationBusy",
    "BackendServer.configuring",
    "RspoolVipExist",
    "ObtainIpFail",
)
_CHUNK = 20
Server: TypeAlias = Mapping[str, Any]


def render(servers: Sequence[Server]) -> str:
    """Servers with the keys of the configuration: server_id, weight, type, port, server_ip."""
    names = {"server_id": "ServerId", "port": "Port", "weight": "Weight", "type": "Type", "server_ip": "ServerIp"}
    shown = [{wire: s[key] for key, wire in names.items() if s.get(key) not in (None, "")} for s in servers]
    return "[" + ",".join("{" + ", ".join(f"'{k}':'{v}'" for k, v in s.items()) + "}" for s in shown) + "]"


def send(cloud: Cloud, action: str, target: Mapping[str, Any], servers: Sequence[Server], timeout: float) -> None:
    """Call an action that takes servers, as often as it needs. One load balancer takes one change at a time."""
    with cloud.lock(str(next(iter(target.values())))):
        for start in range(0, len(servers), _CHUNK):
            cloud.call("slb", action, {**target, "BackendServers": render(servers[start : start + _CHUNK])}, BUSY, timeout)


def difference(before: Sequence[Server], wanted: Sequence[Server], *keys: str) -> tuple[list[Server], list[Server], list[Server]]:
    """What to remove, add and set, comparing servers by the given keys."""

    def key(server: Server) -> tuple[Any, ...]:
        return tuple(server.get(k) or "" for k in keys)

    old, new = {key(s): s for s in before}, {key(s): s for s in wanted}
    weights = [new[k] for k in new if k in old and (new[k]["weight"], new[k].get("type")) != (old[k]["weight"], old[k].get("type"))]
    return [old[k] for k in old if k not in new], [new[k] for k in new if k not in old], weights
