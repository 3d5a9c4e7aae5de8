"""A cloud in this process, over a data plane that records what it is told: for tests of actions without hosts and packets."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from haechi.cloud import acs
from haechi.cloud.desired import render_plan
from haechi.cloud.gateway import Gateway
from haechi.cloud.machines import Machines
from haechi.cloud.products.cloudfw.assets import protected
from haechi.cloud.products.cloudfw.monitor import FlowMonitor
from haechi.cloud.products.cloudfw.telemetry import FlowTelemetry
from haechi.cloud.products.ddoscoo.monitor import Monitor
from haechi.cloud.products.ddoscoo.telemetry import Telemetry
from haechi.cloud.products.ecs.removal import remove_instance
from haechi.cloud.products.waf.monitor import WafMonitor
from haechi.cloud.products.waf.telemetry import WafTelemetry
from haechi.cloud.runtime import Runtime
from haechi.cloud.store import Store
from haechi.cloud.trace import Trace
from haechi.dataplane.flows import Tracked
from haechi.dataplane.nflog import Told
from haechi.dataplane.plan import Plan, Policy
from haechi.dataplane.scrubber import Reading
from haechi.dataplane.site import read_site

ACCOUNT = "1234567890123456"
KEY, SECRET = "LTAItest", "test-secret"


class RecordingDataplane:
    """Keeps the last plan and the power state of hosts; `fail` makes the next apply raise."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.states: dict[str, str] = {}
        self.images: set[str] = {"base"}
        self.fail = ""
        self.health: dict[str, dict[tuple[str, int, str, int], str]] = {}
        self.readings: dict[str, Reading] = {}
        self.challenged: dict[str, set[str]] = {}
        self.flows: list[tuple[Tracked, tuple[Policy, ...]]] = []
        self.packets: list[Told] = []
        self.hits: dict[str, tuple[int, int]] = {}

    def apply(self, plan: Plan) -> None:
        if self.fail:
            reason, self.fail = self.fail, ""
            raise RuntimeError(reason)
        self.plan = plan

    def start_host(self, plan: Plan, id: str) -> None:
        assert id in plan.hosts
        self.states[id] = "running"

    def stop_host(self, id: str, force: bool) -> None:
        self.states[id] = "stopped"

    def reboot_host(self, plan: Plan, id: str, force: bool) -> None:
        assert self.states[id] == "running"

    def delete_host(self, id: str) -> None:
        self.states.pop(id, None)

    def host_states(self) -> dict[str, str]:
        return dict(self.states)

    def console(self, id: str) -> bytes:
        return b"console of " + id.encode()

    def commit_image(self, host_id: str, image_id: str) -> None:
        self.images.add(image_id)

    def delete_image(self, image_id: str) -> None:
        self.images.discard(image_id)

    def image_exists(self, image_id: str) -> bool:
        return image_id in self.images

    def image_mib(self, image_id: str) -> int:
        return 200

    def balancer_health(self, id: str) -> dict[tuple[str, int, str, int], str]:
        return self.health.get(id, {})

    def told(self) -> list[Told]:
        told, self.packets = self.packets, []
        return told

    def scrubber_reading(self, id: str) -> Reading:
        return self.readings[id]

    def scrubber_challenge(self, id: str, domains: set[str]) -> None:
        self.challenged[id] = domains


class Refused(Exception):
    """The cloud answered with an error."""

    def __init__(self, status: int, body: dict[str, str]) -> None:
        super().__init__(f"{status} {body['Code']}: {body['Message']}")
        self.status, self.code, self.message, self.body = status, body["Code"], body["Message"], body


class LocalCloud:
    """`call("CreateVpc", VpcName="a")` signs (V1) and sends; the version is found by the action's name unless given."""

    def __init__(self, home: Path) -> None:
        self.dataplane = RecordingDataplane()
        self.headers: dict[str, str] = {}  # sent with every call
        self.store = Store(home / "cloud.db")
        if self.store.view().get("access_key", KEY) is None:
            with self.store.write() as tx:
                tx.put("access_key", KEY, "", {"AccessKeySecret": SECRET, "Status": "Active", "UserName": "", "CreatedAt": 0})
        site = read_site({"HAECHI_SITE": "10", "HAECHI_HOME": str(home)})
        self.machines = Machines(self.store, self.dataplane, render_plan, remove_instance, home / "boot")
        telemetry = Telemetry(home / "telemetry.db")
        self.monitor = Monitor(
            self.store, telemetry, self.dataplane.scrubber_reading, self.dataplane.scrubber_challenge, lambda view: self.runtime.apply(view)
        )
        self.flow_monitor = FlowMonitor(
            FlowTelemetry(home / "firewall.db"),
            self.store.now,
            lambda: self.dataplane.flows,
            self.dataplane.told,
            lambda: self.dataplane.hits,
            lambda: frozenset(protected(self.store.view())),
            lambda name, addresses: None,
        )
        self.waf_monitor = WafMonitor(self.store, WafTelemetry(home / "waf.db"), lambda id: (home / "access.json", home / "audit.json"))
        watches = (self.monitor, self.flow_monitor, self.waf_monitor)
        self.runtime = Runtime(site, self.store, self.dataplane, self.machines, render_plan, ACCOUNT, "ap-southeast-1", *watches)
        self.trace = Trace(home / "calls.jsonl")
        self.gateway = Gateway(self.runtime, self.trace)
        self.machines.open()
        self._loop = asyncio.new_event_loop()
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(self.gateway), base_url="http://127.0.0.1")

    def close(self) -> None:
        self.monitor.close()
        self._loop.run_until_complete(self._http.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self.machines.close()
        self.trace.close()
        self.store.close()

    def send(self, method: str = "POST", query: dict[str, str] | None = None, **kwargs: Any) -> httpx.Response:
        return self._loop.run_until_complete(self._http.request(method, "/", params=query, **kwargs))

    def call(self, action: str, version: str = "", key: str = KEY, secret: str = SECRET, **params: Any) -> dict[str, Any]:
        """Nested dicts and lists are flattened as the SDKs do. Raises Refused."""
        from haechi.cloud.gateway import ACTIONS

        version = version or next((v for v, a in ACTIONS if a == action), "2014-05-26")
        flat: dict[str, str] = {}

        def walk(name: str, value: Any) -> None:
            if isinstance(value, dict):
                for k, v in value.items():
                    walk(f"{name}.{k}" if name else k, v)
            elif isinstance(value, list):
                for n, v in enumerate(value, 1):
                    walk(f"{name}.{n}", v)
            else:
                flat[name] = str(value).lower() if isinstance(value, bool) else str(value)

        walk("", params)
        query = {
            "Action": action,
            "Version": version,
            "Format": "JSON",
            "AccessKeyId": key,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid.uuid4().hex,
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        query["Signature"] = acs.sign_v1("POST", {**flat, **query}, secret)
        response = self.send("POST", query, data=flat, headers=self.headers)
        body = json.loads(response.content)
        if response.status_code != 200:
            raise Refused(response.status_code, body)
        return body
