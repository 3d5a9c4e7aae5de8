"""A site of its own with places on the internet: each a namespace with a public address."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from haechi.dataplane import kernel, links, sysctls
from haechi.dataplane.host import sysctls_needed
from haechi.dataplane.links import Links
from haechi.dataplane.machine import FORWARDING
from haechi.dataplane.site import Site
from tests.packets.balancerlab import Server


class InternetLab:
    """One at a time of each site."""

    def __init__(self, folder: Path, index: int, core_rules: str = "") -> None:
        self.turn = os.open(f"/run/lock/haechi-lab-{index}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        self.site = Site(index, folder / "home", folder / "run", folder / "cache", core_rules)
        kernel.ip(f"route replace unreachable {self.site.public}", f"addr replace {self.site.outside}/32 dev lo")
        sysctls.hold(self.site.prefix, [*sysctls_needed(), *FORWARDING])
        self.places: dict[str, str] = {}
        self.servers: list[Server] = []

    def place(self, name: str) -> str:
        """A namespace with a public address of its own; the address."""
        if name not in self.places:
            self.places[name] = str(self.site.public[40 + len(self.places)])
            links.apply_links(self.site, Links(name, self.places[name], True, "", "", ()))
            kernel.ip(f"route replace default via {self.site.outside} dev up0 src {self.places[name]}", netns=self.site.netns(name))
        return self.places[name]

    def down(self) -> None:
        """Take everything away; what is tried out here goes first, by whoever made it."""
        for server in self.servers:
            server.close()
        for name in self.places:
            links.remove_links(self.site, name)
        sysctls.release(self.site.prefix)
        kernel.ip(f"route del unreachable {self.site.public}", f"addr del {self.site.outside}/32 dev lo")
        os.close(self.turn)
