"""A scrubber with its origins and its clients, by hand: every one a namespace with a public address, as on the internet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from haechi.dataplane import kernel
from haechi.dataplane.plan import Front, Origin, Plan, Scrubber
from haechi.dataplane.scrubber import Scrubbers
from tests.packets.balancerlab import UdpServer, WebServer
from tests.packets.internetlab import InternetLab

INDEX = 5
ID = "ddos-1"


class ScrubberLab(InternetLab):
    """Site 5 with one scrubber, web origins a and b (8080) with a udp server (53), and any number of clients."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, INDEX)
        self.scrubbers = Scrubbers(self.site)
        self.address = str(self.site.public[20])
        for name in ("a", "b"):
            self.place(name)
            self.servers += [WebServer(self, name, 8080), UdpServer(self, name, 53)]  # type: ignore[arg-type]

    def down(self) -> None:
        self.scrubbers.destroy()
        super().down()

    def front(self, **more: Any) -> Front:
        values: dict[str, Any] = {"domain": "shop.test", "listeners": (("http", 80),), "challenge": "off"}
        return Front(**{**values, "origins": tuple(Origin(self.places[name], 8080) for name in ("a", "b")), **more})

    def apply(self, *fronts: Front, **more: Any) -> Plan:
        plan = Plan(scrubbers={ID: Scrubber(ID, self.address, fronts, **more)})
        self.scrubbers.apply(plan)
        return plan

    def curl(self, *arguments: str, client: str = "", path: str = "/", host: str = "shop.test") -> str:
        """What curl prints, from the machine or from a client's place: STATUS then the body."""
        inside = ("ip", "netns", "exec", self.site.netns(client)) if client else ()
        command = [*inside, "curl", "-s", "-m", "5", "--noproxy", "*", "-w", "\n%{http_code}", "-H", f"Host: {host}", *arguments]
        done = subprocess.run([*command, f"http://{self.address}{path}"], capture_output=True, text=True, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return f"{status} {body}"

    def start(self, client: str, code: str, *arguments: str) -> subprocess.Popen[str]:
        """A program in a client's place."""
        self.place(client)
        command = ["ip", "netns", "exec", self.site.netns(client), sys.executable, "-c", code, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def python(self, client: str, code: str, *arguments: str) -> str:
        """What a program in a client's place prints."""
        return self.start(client, code, *arguments).communicate(timeout=60)[0].strip()

    def sources(self, client: str, count: int) -> list[str]:
        """That many more addresses of a client's place, beside its first."""
        self.place(client)
        way = kernel.run("ip", "route", "show", self.places[client]).split(" dev ", 1)[1].split()[0]
        made = [str(self.site.public[1024 + number]) for number in range(count)]
        kernel.ip(*(f"addr replace {address}/32 dev up0" for address in made), netns=self.site.netns(client))
        kernel.ip(*(f"route replace {address}/32 dev {way}" for address in made))  # gone with the place's link
        return made
