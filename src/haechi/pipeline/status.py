"""What is up on a target."""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import ApiError
from haechi.clients.control import ControlClient
from haechi.pipeline.cloud import ECS, connect, every
from haechi.pipeline.run import PARTS, Run
from haechi.pipeline.up import blueprint
from haechi.pipeline.vault import client
from haechi.settings import Target


def read_status(target: Target) -> dict[str, Any]:
    """{target, region, servers, instances, vault, urls, providers}; a server that is down is reported, not raised."""
    servers: list[dict[str, Any]] = []
    if target.local:
        health = ControlClient(target.control).health()
        servers.append({**(health or {"server": "cloud", "ok": False}), "address": f"http://127.0.0.1:{target.port}"})
    run = Run(target, blueprint(), lambda line: None)
    outputs: dict[str, Any] = {}
    for part in PARTS:
        if run.is_applied(part):
            outputs |= run.part(part).outputs()
    return {
        "target": target.name,
        "region": target.region,
        "servers": servers,
        "instances": _instances(target) if all(s["ok"] for s in servers) else [],
        "vault": read_vault(target),
        "urls": {"site": outputs.get("url")},
        "providers": "local" if target.local and target.terraformrc.exists() else "registry",
    }


def read_vault(target: Target) -> dict[str, str] | None:
    """{address, state, version}: unsealed, sealed, not initialised or "does not answer"; None when the target has no Vault."""
    if not target.vault_addr:
        return None
    with client(target) as vault:
        seal = vault.seal()
    state, version = (seal.word, seal.version) if seal else ("does not answer", "")
    return {"address": target.vault_addr, "state": state, "version": version}


def _instances(target: Target) -> list[dict[str, Any]]:
    found = []
    try:
        for i in every(connect(target), "ecs", ECS, "DescribeInstances", "Instances.Instance"):
            public = i["PublicIpAddress"]["IpAddress"] or [i["EipAddress"]["IpAddress"]]
            found.append(
                {
                    "id": i["InstanceId"],
                    "name": i["InstanceName"],
                    "status": i["Status"],
                    "private_ip": (i["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] or [""])[0],
                    "public_ip": public[0],
                }
            )
    except ApiError as error:
        return [{"id": "", "name": "", "status": f"unknown: {error.code}", "private_ip": "", "public_ip": ""}]
    return found
