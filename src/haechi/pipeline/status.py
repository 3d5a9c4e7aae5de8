"""What is up on a target."""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import ApiError
from haechi.clients.control import ControlClient
from haechi.clients.tfe_runs import list_runs
from haechi.pipeline import tfe
from haechi.pipeline.cloud import ECS, connect, every
from haechi.pipeline.run import REMOTE_PARTS, Run
from haechi.pipeline.terraformrc import own_providers
from haechi.pipeline.up import blueprint
from haechi.pipeline.vault import client
from haechi.settings import Target


def read_status(target: Target) -> dict[str, Any]:
    """{target, region, servers, instances, vault, workspaces, urls, edge, providers}; a server that is down is reported, not raised."""
    servers: list[dict[str, Any]] = []
    if target.local:
        health = ControlClient(target.control).health()
        servers.append({**(health or {"server": "cloud", "ok": False}), "address": f"http://127.0.0.1:{target.port}"})
    cloud = all(s["ok"] for s in servers)
    answers = tfe.health(target)
    if target.local or target.tfe_token:
        servers.append({**(answers or {"server": "tfe", "ok": False}), "address": target.tfe_url})
    run = Run(target, blueprint(), lambda line: None)
    url = run.outputs("04_slb").get("url") if answers else None
    edge = run.outputs("05_edge") if answers else {}
    return {
        "target": target.name,
        "region": target.region,
        "servers": servers,
        "instances": _instances(target) if cloud else [],
        "vault": read_vault(target),
        "workspaces": read_workspaces(target) if answers else [],
        "urls": {"site": url},
        "edge": {"domain": edge["domain"], "address": edge["ddos_address"]} if edge else None,
        "providers": "local" if own_providers(target) else "registry",
    }


def read_workspaces(target: Target) -> list[dict[str, str]]:
    """{name, run, status, url} of the newest run of each workspace of the blueprint; "" where there was no run yet."""
    found = []
    for name in REMOTE_PARTS:
        workspace = tfe.workspace(target, name)
        if workspace is None:
            continue
        with tfe.client(target) as server:
            newest = next(list_runs(server, workspace["id"]), None)
        run, status = (newest["id"], newest["attributes"]["status"]) if newest else ("", "")
        found.append({"name": name, "run": run, "status": status, "url": tfe.run_url(target, name, run) if run else ""})
    return found


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
