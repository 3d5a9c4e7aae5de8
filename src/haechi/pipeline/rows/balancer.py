"""Row 4.9: the load balancer over the instances, and what becomes of it when their number changes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from haechi.clients import tfe_runs
from haechi.clients.tfe import Resource, Tfe
from haechi.pipeline import tfe
from haechi.pipeline.cloud import SLB, connect
from haechi.pipeline.run import Run

REQUESTS = 30
SCALED = 5
SCALE_SECONDS = 300.0
HEALTHY_SECONDS = 60.0
PAUSE = 0.02  # between the requests of the steady client


@dataclass
class Steady:
    """A client that asks for the page all the time."""

    url: str
    requests: int = 0
    failed: list[str] = field(default_factory=list)


def row_4_9(run: Run) -> str:
    """Requests reach every instance; a sticky session stays with one; the count goes up and back, and no request is lost."""
    _check_idle(run)
    url = str(run.outputs("04_slb")["url"])
    count = len(_wait_attached(run))
    more = SCALED if count != SCALED else SCALED + 1
    spread = _spread(run, url)
    with _steady(url) as steady:
        try:
            runs = [_scale(run, more)]
            reached = _spread(run, url)
            runs.append(_scale(run, more, serving=count))  # the load balancer lets go of those that will be gone
            _wait_attached(run)
        finally:
            runs.append(_scale(run, count))
    assert not steady.failed, f"{len(steady.failed)} of {steady.requests} requests failed while scaling: {steady.failed[0]}"
    told = f"{count} to {more} by {runs[0]}, back by {runs[1]}, then {runs[2]}"
    return f"{spread}; {told}: {reached}; {steady.requests} requests meanwhile, none failed; in the end {_spread(run, url)}"


def _check_idle(run: Run) -> None:
    """AssertionError when a run is at work or waits in a workspace: this row would come in between."""
    with tfe.client(run.target) as server:
        for name in ("03_app", "04_slb"):
            for each in tfe_runs.list_runs(server, _workspace(run, server, name)):
                assert tfe_runs.is_final(each), f"run {each['id']} of {name} is {each['attributes']['status']}"


def _wait_attached(run: Run) -> set[str]:
    """The ids of 03_app's instances, once the load balancer has them all and finds them healthy. AssertionError when it does not."""
    slb = str(run.outputs("04_slb")["slb_id"])
    ids = set(run.outputs("03_app")["ecs_ids"])
    client = connect(run.target)
    whole = client.call("slb", SLB, "DescribeLoadBalancerAttribute", {"LoadBalancerId": slb})
    servers = {s["ServerId"] for s in whole["BackendServers"]["BackendServer"]}
    assert servers == ids, f"backend servers are {servers}, the instances {ids}"
    deadline = time.monotonic() + HEALTHY_SECONDS
    while True:
        health = client.call("slb", SLB, "DescribeHealthStatus", {"LoadBalancerId": slb})
        states = {s["ServerId"]: s["ServerHealthStatus"] for s in health["BackendServers"]["BackendServer"]}
        if set(states) == ids and set(states.values()) == {"normal"}:
            return ids
        assert time.monotonic() < deadline, f"health is {states}"
        time.sleep(0.2)


def _spread(run: Run, url: str) -> str:
    """Fresh clients reach every instance, one with its cookie stays with one."""
    ids = _wait_attached(run)
    seen = {read_instance(httpx.get(url, trust_env=False, timeout=10).text) for _ in range(REQUESTS)}
    assert seen == ids, f"{REQUESTS} requests reached only {seen} of {ids}"
    with httpx.Client(trust_env=False, timeout=10) as session:
        stuck = {read_instance(session.get(url).text) for _ in range(REQUESTS)}
    assert len(stuck) == 1, f"one session reached {stuck}"
    return f"{REQUESTS} requests reached all and a session with its cookie one of {len(ids)}"


def _scale(run: Run, count: int, serving: int = 0) -> str:
    """Set instance_count, and serving_count when given, apply, and wait for the run that the trigger queues in 04_slb; their ids."""
    with tfe.client(run.target) as server:
        app, slb = (_workspace(run, server, name) for name in ("03_app", "04_slb"))
        values = {"instance_count": str(count), "serving_count": str(serving) if serving else "null"}
        for key, value in values.items():
            variable = {"key": key, "value": value, "category": "terraform", "hcl": True, "sensitive": False}
            server.write_variable(app, server.variables(app), variable)
        made = tfe_runs.create_run(server, app, f"haechi verify: {count} instances")
        _finish(server, made["id"])
        followed = _triggered(server, slb, made)
        _finish(server, followed)
    return f"{made['id']} and {followed}"


def _triggered(server: Tfe, workspace: str, by: Resource) -> str:
    """The run that another one's apply queued here."""
    deadline = time.monotonic() + 30
    while True:
        for each in tfe_runs.list_runs(server, workspace):
            if each["attributes"]["created-at"] < by["attributes"]["created-at"]:
                break
            if by["id"] in str(each["attributes"].get("message")):
                return str(each["id"])
        assert time.monotonic() < deadline, f"the trigger queued no run after {by['id']}"
        time.sleep(0.2)


def _finish(server: Tfe, id: str) -> None:
    """Confirm what waits, with a comment, until the run has applied or found nothing to change. AssertionError on another end."""
    deadline = time.monotonic() + SCALE_SECONDS
    while True:
        found = tfe_runs.read_run(server, id)
        status = found["attributes"]["status"]
        if tfe_runs.is_final(found):
            assert status in ("applied", "planned_and_finished"), f"run {id} ended {status}"
            return
        assert time.monotonic() < deadline, f"run {id} is still {status}"
        answer(server, found, "haechi verify scales the instances")
        time.sleep(0.2)


def answer(server: Tfe, found: Resource, comment: str) -> None:
    """Override or confirm a run that waits for it; nothing for others."""
    by_itself = bool(found["attributes"].get("auto-apply"))
    if found["attributes"]["status"] == "policy_override":
        for check in tfe_runs.policy_checks(server, found["id"]):
            if check["attributes"]["status"] == "soft_failed":
                tfe_runs.override(server, found["id"], check["id"], comment)
    elif found["attributes"]["actions"]["is-confirmable"] and not by_itself:
        tfe_runs.act(server, found["id"], "apply", comment)


def _workspace(run: Run, server: Tfe, name: str) -> str:
    found: dict[str, Any] | None = server.workspace(tfe.organization(run.target), name)
    assert found is not None, f"there is no workspace {name}"
    return str(found["id"])


@contextmanager
def _steady(url: str) -> Iterator[Steady]:
    """Requests for the page, one after the other, each on a connection of its own, in turns with those of one that keeps its cookie."""
    steady, end = Steady(url), threading.Event()

    def ask(session: httpx.Client) -> None:
        steady.requests += 1
        try:
            page = session.get(url)
            if page.status_code != 200 or 'id="instance"' not in page.text:
                steady.failed.append(f"HTTP {page.status_code}")
        except httpx.HTTPError as error:
            steady.failed.append(f"{type(error).__name__}: {error}")

    def go_on() -> None:
        with httpx.Client(trust_env=False, timeout=10) as session:
            while not end.wait(PAUSE):
                ask(session)
                with httpx.Client(trust_env=False, timeout=10) as fresh:
                    ask(fresh)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield steady
    finally:
        end.set()
        thread.join()


def read_instance(page: str) -> str:
    """The instance that a page says it comes from."""
    found = re.search(r'id="instance">(i-[a-z0-9]+)<', page)
    assert found, "the page does not name the instance that served it"
    return found[1]
