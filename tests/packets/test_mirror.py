"""The package mirror through the packets: hosts of every network reach it whatever their rules say, by its name, and nobody else does."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haechi.cloud.linklocal import MIRROR, RESOLVERS, own_names
from haechi.cloud.mirror import Mirror
from haechi.dataplane.dns import Resolver
from haechi.dataplane.network import open_socket
from haechi.dataplane.plan import Group, Plan, Public, Rule
from tests.packets.netlab import Lab, host, network, plan

CLOSED = Group("web", (Rule("in", "all", peer="0.0.0.0/0", accept=False), Rule("out", "all", peer="0.0.0.0/0", accept=False)), inner=False)
ASK = (
    "import socket, sys\n"
    "one = socket.create_connection((sys.argv[1], 80), 3)\n"
    "one.sendall(b'GET /haechi/file HTTP/1.0\\r\\n\\r\\n')\n"
    "print(one.makefile('rb').read()[-6:])\n"
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.down()


def wanted(lab: Lab) -> Plan:
    networks = [replace(network(id), services=(MIRROR, *RESOLVERS)) for id in ("net1", "net2")]
    hosts = (host("a", "10.0.1.11"), host("b", "10.0.1.11", network="net2"))
    return plan(hosts, (CLOSED,), (Public(lab.public(11), "net1", "10.0.1.11"),), networks)


def test_every_host_gets_the_file(lab: Lab) -> None:
    lab.boot("a", "b")
    lab.networks.apply(wanted(lab))
    folder = lab.site.home / "mirror" / "haechi"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"inside")

    async def get(host: str) -> bytes:
        command = ("ip", "netns", "exec", lab.site.netns(host), "/usr/bin/python3", "-c", ASK, MIRROR)
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        return (await asyncio.wait_for(process.communicate(), 20))[0]

    async def session() -> None:
        mirror, resolver = Mirror(lab.site.home / "mirror"), Resolver([], own_names, set(), lambda addresses: None)
        try:
            for id in ("net1", "net2"):
                await mirror.serve(id, open_socket(lab.site, id, MIRROR, 80, "tcp"))
                await resolver.serve(id, [open_socket(lab.site, id, RESOLVERS[0], 53, "udp")])
            for name in ("a", "b"):
                assert await get(name) == b"b'inside'\n"
            mirror.forget("net2")
            assert await get("a") == b"b'inside'\n"
            assert await get("b") == b""
        finally:
            mirror.close()
            await resolver.close()

    asyncio.run(session())


def test_nobody_else_reaches_it(lab: Lab) -> None:
    lab.boot("a", "b")
    lab.networks.apply(wanted(lab))
    with open_socket(lab.site, "net1", MIRROR, 80, "tcp"):
        assert lab.reaches("a", MIRROR, 80)
        assert not lab.reaches("a", lab.site.outside, 80)
        assert not lab.reaches("", lab.public(11), 80)
