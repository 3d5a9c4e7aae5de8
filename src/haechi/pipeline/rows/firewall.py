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


def guard_all(run: Run) -> None:
    """Switch the firewall on for every public address, and for those to come."""
    client = connect(run.target)
    client.call("cloudfw", CLOUDFW, "SetAutoProtectNewAssets", {"AutoProtect": "true"})
    client.call("cloudfw", CLOUDFW, "PutEnableAllFwSwitch", {})


def row_4_14(run: Run) -> str:
    """Every public address is guarded; a policy drops and counts; the way past Anti-DDoS is shut, the page behind it lives on."""
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
    assert _opens(origin, 80), f"{origin}:80 does not answer"
    shut = _shut(client, origin, run.target.site.outside)
    try:
        assert not _opens(origin, 80), "the policy against the way past Anti-DDoS stops nothing"
        assert 'id="instance"' in visit(run.target, str(edge["ddos_address"]), str(edge["domain"])), (
            "the page is gone behind Anti-DDoS, too"
        )
    finally:
        client.call("cloudfw", CLOUDFW, "DeleteControlPolicy", {"AclUuid": shut, "Direction": "in"})
    assert httpx.get(f"http://{origin}/", trust_env=False, timeout=10).status_code == 200, "the page does not come back"
    return f"{len(assets)} addresses guarded; port {INNER_PORT} dropped and counted; straight to {origin} shut and opened again"


def _hits(client: Aliyun, policy: str) -> int:
    answer = client.call("cloudfw", CLOUDFW, "DescribeControlPolicy", {"AclUuid": policy, "CurrentPage": 1, "PageSize": 10})
    assert answer["Policys"], "the blueprint's policy is not there"
    return int(answer["Policys"][0]["HitTimes"])


def _shut(client: Aliyun, origin: str, visitor: str) -> str:
    """A policy that this machine does not reach the origin's web port; its id."""
    given: dict[str, Any] = {"Direction": "in", "AclAction": "drop", "Description": "haechi verify: the way past Anti-DDoS", "Proto": "TCP"}
    given |= {"Source": f"{visitor}/32", "SourceType": "net", "Destination": f"{origin}/32", "DestinationType": "net"}
    answer = client.call("cloudfw", CLOUDFW, "AddControlPolicy", {**given, "DestPort": "80/80", "NewOrder": "1"})
    return str(answer["AclUuid"])


def _opens(address: str, port: int) -> bool:
    """Whether a connection comes about within two seconds."""
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False
