"""Rows 4.8, 4.9 and 4.11: the instances, the load balancer, the page."""

from __future__ import annotations

import re
import subprocess

import httpx

from haechi.pipeline.cloud import ECS, SLB, connect
from haechi.pipeline.run import Run, operator_key

REQUESTS = 30
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5")


def row_4_8(run: Run) -> str:
    """Every instance of the output is Running by the API, and lets the operator in by SSH."""
    outputs = run.part("03_app").outputs()
    ids, addresses = outputs["ecs_ids"], outputs["public_ips"]
    asked = "[" + ",".join(f'"{id}"' for id in ids) + "]"
    answer = connect(run.target).call("ecs", ECS, "DescribeInstances", {"InstanceIds": asked, "PageSize": 50})
    states = {i["InstanceId"]: i["Status"] for i in answer["Instances"]["Instance"]}
    assert states == {id: "Running" for id in ids}, f"instances are {states}"
    names = []
    for address in addresses:
        key = str(operator_key(run.target))
        done = subprocess.run([*SSH, "-i", key, f"root@{address}", "hostname"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"ssh to {address}: {done.stderr.strip()[-200:]}"
        names.append(done.stdout.strip())
    refused = subprocess.run([*SSH, "-i", "/dev/null", f"root@{addresses[0]}", "true"], capture_output=True, timeout=30)
    assert refused.returncode != 0, "ssh let a caller in without a key"
    return f"{len(ids)} instances Running; ssh to {', '.join(names)}; without the key refused"


def row_4_9(run: Run) -> str:
    """The load balancer has them all, healthy; requests reach each; a sticky session stays with one."""
    slb = run.part("04_slb").outputs()
    ids = set(run.part("03_app").outputs()["ecs_ids"])
    client = connect(run.target)
    whole = client.call("slb", SLB, "DescribeLoadBalancerAttribute", {"LoadBalancerId": slb["slb_id"]})
    servers = {s["ServerId"] for s in whole["BackendServers"]["BackendServer"]}
    assert servers == ids, f"backend servers are {servers}"
    health = client.call("slb", SLB, "DescribeHealthStatus", {"LoadBalancerId": slb["slb_id"]})
    states = {s["ServerId"]: s["ServerHealthStatus"] for s in health["BackendServers"]["BackendServer"]}
    assert set(states.values()) == {"normal"}, f"health is {states}"
    seen = {_instance(httpx.get(slb["url"], trust_env=False, timeout=10).text) for _ in range(REQUESTS)}
    assert seen == ids, f"{REQUESTS} requests reached only {seen}"
    with httpx.Client(trust_env=False, timeout=10) as session:
        stuck = {_instance(session.get(slb["url"]).text) for _ in range(REQUESTS)}
    assert len(stuck) == 1, f"one session reached {stuck}"
    return f"{REQUESTS} requests reached all {len(ids)}; a session with its cookie stayed with one"


def row_4_11(run: Run) -> str:
    """The page and its picture come from the public address, and a closed port of it does not answer."""
    url = run.part("04_slb").outputs()["url"]
    page = httpx.get(url, trust_env=False, timeout=10)
    picture = httpx.get(f"{url}cat.svg", trust_env=False, timeout=10)
    assert page.status_code == 200 and 'src="cat.svg"' in page.text, f"the page is HTTP {page.status_code}"
    assert picture.status_code == 200 and picture.text.lstrip().startswith("<svg"), f"the picture is HTTP {picture.status_code}"
    try:
        httpx.get(url.rstrip("/") + ":81/", trust_env=False, timeout=2)
    except httpx.TransportError:
        return f"{url} shows the cat, served by {_instance(page.text)}; port 81 is closed"
    raise AssertionError("port 81 of the load balancer answers")


def _instance(page: str) -> str:
    found = re.search(r'id="instance">(i-[a-z0-9]+)<', page)
    assert found, "the page does not name the instance that served it"
    return found[1]
