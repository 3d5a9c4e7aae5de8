"""The Internet firewall of a site of its own, with hosts at public addresses: every one a namespace, as on the internet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from haechi.dataplane.plan import Plan, Policy, Wall
from haechi.dataplane.wall import InternetFirewall
from tests.packets.internetlab import InternetLab

INDEX = 4


class WallLab(InternetLab):
    """Site 4. `asset` is protected; `user` and `peer` are others on the internet."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, INDEX)
        self.wall = InternetFirewall(self.site)
        for name in ("asset", "user", "peer"):
            self.place(name)
        self.address = self.places["asset"]

    def down(self) -> None:
        self.wall.destroy()
        super().down()

    def apply(self, *policies: Policy, on: bool = True, strict: bool = False) -> Plan:
        plan = Plan(wall=Wall((self.address,) if on else (), policies, strict))
        self.wall.apply(plan)
        return plan

    def start(self, place: str, code: str, *arguments: str) -> subprocess.Popen[str]:
        """A program at a place."""
        command = ["ip", "netns", "exec", self.site.netns(place), sys.executable, "-c", code, *arguments]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def talk(self, place: str, to: str, port: int, words: str = "x") -> str:
        """What a server answers to these words over TCP; "" when it does not within a second."""
        return self.start(place, TALK, self.places[to], str(port), words).communicate(timeout=30)[0].strip()


TALK = """import socket, sys
s = socket.socket()
s.settimeout(1)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    s.sendall(sys.argv[3].encode())
    print(s.recv(100).decode(errors="replace"))
except OSError:
    pass
"""
