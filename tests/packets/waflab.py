"""A web application firewall with an origin and visitors, by hand: every one a namespace with a public address, as on the internet."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from haechi.dataplane.plan import Plan
from haechi.dataplane.waf import Wafs
from haechi.dataplane.waf_plan import Guarded, Waf, WafBackend
from tests.packets.balancerlab import WebServer
from tests.packets.internetlab import InternetLab

INDEX = 3
ID = "waf-1"


class WafLab(InternetLab):
    """Site 3 with one firewall, web origins a and b (8080) and a visitor."""

    def __init__(self, folder: Path, core_rules: str = "") -> None:
        super().__init__(folder, INDEX, core_rules)
        self.wafs = Wafs(self.site)
        self.address = str(self.site.public[20])
        for name in ("a", "b", "visitor"):
            self.place(name)
        self.servers += [WebServer(self, name, 8080) for name in ("a", "b")]  # type: ignore[arg-type]

    def down(self) -> None:
        self.wafs.destroy()
        super().down()

    def domain(self, **more: Any) -> Guarded:
        values: dict[str, Any] = {"domain": "shop.test", "listeners": (("http", 80),), "ports": ((80, 8080), (443, 8080))}
        return Guarded(**{**values, "backends": tuple(WafBackend(self.places[name]) for name in ("a", "b")), **more})

    def apply(self, *domains: Guarded, **more: Any) -> Plan:
        plan = Plan(wafs={ID: Waf(ID, self.address, domains, **more)})
        self.wafs.apply(plan)
        return plan

    def curl(self, path: str = "/", *arguments: str, host: str = "shop.test", place: str = "", scheme: str = "http") -> str:
        """What curl prints, from the machine or from a place: STATUS then the body."""
        inside = ("ip", "netns", "exec", self.site.netns(place)) if place else ()
        url = f"{scheme}://{host}{path}"
        ports = [f"{host}:{port}:{self.address}" for port in (80, 443)]
        command = [*inside, "curl", "-sk", "-g", "--path-as-is", "-m", "5", "--noproxy", "*", "-w", "\n%{http_code}"]
        command += [word for port in ports for word in ("--resolve", port)]
        done = subprocess.run([*command, *arguments, url], capture_output=True, text=True, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return f"{status} {body}"
