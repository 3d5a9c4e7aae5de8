"""The guarded edge: Anti-DDoS and DNS in front of the load balancer."""

from __future__ import annotations

import socket
import time

import httpx

from haechi.pipeline.cloud import DDOSCOO, connect
from haechi.pipeline.run import Run
from haechi.pipeline.visitor import resolve, visit

FLOOD_SECONDS, FLOOD_PER_TICK = 3.0, 60
VISITS = 20


def _outputs(run: Run) -> dict[str, str]:
    found = run.outputs("05_edge")
    assert found, "05_edge is not applied; `haechi up` applies it"
    return {name: str(value) for name, value in found.items()}


def row_4_16(run: Run) -> str:
    """A bounded flood of datagrams is dropped and recorded, and every visitor meanwhile sees the cat."""
    edge = _outputs(run)
    address, domain = edge["ddos_address"], edge["domain"]
    assert run.target.local and address.startswith("198.18."), "floods are sent to the local cloud only"
    assert 'id="instance"' in visit(run.target, address, domain), f"{domain} does not show the page at {address}"
    other = httpx.get(f"http://{address}/", headers={"Host": "other.test"}, trust_env=False, timeout=10)
    assert other.status_code == 503, f"a domain that nobody added is answered with {other.status_code}"
    began = int(time.time())
    served, sent = _flood(run, address, domain)
    assert served == VISITS, f"{served} of {VISITS} visitors were served during the flood"
    event = _event(run, edge["ddos_id"], began)
    told = f"event {event['EventType']} of {event['Pps']} packets/s"
    return f"{sent} datagrams in {FLOOD_SECONDS:.0f} s: {told}; {served} of {VISITS} visits served"


def _flood(run: Run, address: str, domain: str) -> tuple[int, int]:
    """(visits that saw the page, datagrams sent) while datagrams go to a port that nobody serves."""
    served = sent = 0
    end = time.monotonic() + FLOOD_SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while time.monotonic() < end or served < VISITS:
            for _ in range(FLOOD_PER_TICK if time.monotonic() < end else 0):
                sender.sendto(b"x" * 200, (address, 123))
                sent += 1
            if served < VISITS:
                if 'id="instance"' not in visit(run.target, address, domain):
                    break
                served += 1
            else:
                time.sleep(0.02)
    return served, sent


def _event(run: Run, instance: str, began: int) -> dict[str, object]:
    """The attack event, within some seconds."""
    client, deadline = connect(run.target), time.monotonic() + 10
    while True:
        span = {"StartTime": began - 1, "EndTime": int(time.time()) + 60, "PageNumber": 1, "PageSize": 10}
        found = client.call("ddoscoo", DDOSCOO, "DescribeDDoSEvents", {"InstanceIds": [instance], **span})["DDoSEvents"]
        if found:
            event: dict[str, object] = found[0]
            return event
        assert time.monotonic() < deadline, "no attack event was recorded"
        time.sleep(0.3)


def row_4_17(run: Run) -> str:
    """The name resolves along the whole chain, and one that nobody added does not."""
    edge = _outputs(run)
    chain = resolve(run.target, edge["domain"])
    assert chain == [f"{edge['cname']}.", edge["ddos_address"]], f"{edge['domain']} resolves to {chain}"
    assert resolve(run.target, "none." + edge["domain"]) is None, "a name that nobody added resolves"
    return f"{edge['domain']} -> {edge['cname']} -> {edge['ddos_address']}"
