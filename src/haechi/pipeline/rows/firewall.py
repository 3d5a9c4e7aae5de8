"""Cloud Firewall in front of every public address."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx

from haechi.clients.aliyun import Aliyun
from haechi.pipeline.cloud import CLOUDFW, connect
from haechi.pipeline.run import Run
from haechi.pipeline.visitor import visit

INNER_PORT = 6379
SECONDS = 15
KEPT = (
    *("Direction", "AclAction", "Description", "Proto", "Source", "SourceType"),
    *("Destination", "DestinationType", "DestPortType", "DestPort"),
)


def guard_all(run: Run) -> None:
    """Switch the firewall on for every public address, and for those to come."""
    client = connect(run.target)
    client.call("cloudfw", CLOUDFW, "SetAutoProtectNewAssets", {"AutoProtect": "true"})
    client.call("cloudfw", CLOUDFW, "PutEnableAllFwSwitch", {})


def row_4_14(run: Run) -> str:
    """Every public address is guarded; a policy drops and counts; straight to the load balancer is shut to all but who is named."""
    edge = run.outputs("05_edge")
    assert edge, "05_edge is not applied; `haechi up` applies it"
    origin, policy = str(edge["origin"]), str(edge["policy"])
    client = connect(run.target)
    assets = client.call("cloudfw", CLOUDFW, "DescribeAssetList", {"CurrentPage": 1, "PageSize": 50})["Assets"]
    unguarded = [asset["InternetAddress"] for asset in assets if asset["ProtectStatus"] != "open"]
    assert assets and not unguarded, f"not guarded: {', '.join(unguarded) or 'there are no addresses'}"
    before = _hits(client, policy)
    assert not _opens(origin, INNER_PORT), f"{origin}:{INNER_PORT} answers"
    deadline = time.monotonic() + SECONDS
    while _hits(client, policy) <= before:
        assert time.monotonic() < deadline, "the policy counted no hit"
        time.sleep(0.3)
    return f"{len(assets)} addresses guarded; port {INNER_PORT} dropped and counted; {_origin(run, client, edge)}"


def _origin(run: Run, client: Aliyun, edge: dict[str, Any]) -> str:
    """What the blueprint's rule for the load balancer does, tried; what was found."""
    origin, operator = str(edge["origin"]), edge.get("operator_policy")
    if not edge.get("waf_book"):
        return f"{origin} is open to everybody, as the blueprint says"
    if operator:
        assert _opens(origin, 80), f"{origin}:80 does not answer the operator"
        _release(client, str(operator), "false")
    try:
        assert not _opens(origin, 80), f"{origin}:80 answers who is neither WAF nor the operator"
        page = visit(run.target, str(edge["ddos_address"]), str(edge["domain"]))
        assert 'id="instance"' in page, "the page is gone behind WAF, too"
    finally:
        if operator:
            _release(client, str(operator), "true")
    if operator:
        assert httpx.get(f"http://{origin}/", trust_env=False, timeout=10).status_code == 200, "the page does not come back"
    return f"{origin} answers WAF{' and the operator' if operator else ''} alone"


def _hits(client: Aliyun, policy: str) -> int:
    answer = client.call("cloudfw", CLOUDFW, "DescribeControlPolicy", {"AclUuid": policy, "CurrentPage": 1, "PageSize": 10})
    assert answer["Policys"], "the blueprint's policy is not there"
    return int(answer["Policys"][0]["HitTimes"])


def _release(client: Aliyun, policy: str, word: str) -> None:
    """Switch a policy on ("true") or off; its other values are said again, as the API asks."""
    answer = client.call("cloudfw", CLOUDFW, "DescribeControlPolicy", {"AclUuid": policy, "CurrentPage": 1, "PageSize": 10})
    values = {name: answer["Policys"][0][name] for name in KEPT}
    client.call("cloudfw", CLOUDFW, "ModifyControlPolicy", {"AclUuid": policy, **values, "Release": word})


def _opens(address: str, port: int) -> bool:
    """Whether a connection comes about within two seconds."""
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False
