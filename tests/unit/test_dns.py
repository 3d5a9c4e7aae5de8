"""The resolver engine on loopback sockets: own zones, forwarding, mirrors, an upstream that is not there, junk."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from haechi.dataplane.dns import Answer, Reply, Resolver, read_mirrors, read_upstreams

ZONES = {
    ("one", "db.internal", "A"): Reply((Answer("A", "10.0.1.5", 30),)),
    ("one", "db.internal", "AAAA"): Reply(),
    ("one", "gone.internal", "A"): Reply(code="NXDOMAIN"),
    ("one", "www.internal", "A"): Reply((Answer("CNAME", "db.internal"),)),
    ("one", "far.internal", "A"): Reply((Answer("CNAME", "mirror.test."),)),
    ("one", "loop.internal", "A"): Reply((Answer("CNAME", "loop.internal"),)),
    ("one", "text.internal", "TXT"): Reply((Answer("TXT", "v=spf1 -all; " + "x" * 300),)),
    ("one", "mail.internal", "MX"): Reply((Answer("MX", "10 mx.internal"),)),
    ("one", "big.internal", "A"): Reply(tuple(Answer("A", f"10.0.2.{n}") for n in range(100))),
}


class Upstream(asyncio.DatagramProtocol):
    """Answers every A question with 203.0.113.9, except names beginning with "lost"; counts."""

    asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        reply = answer_upstream(data)
        if reply:
            self.transport.sendto(reply, addr)  # type: ignore[attr-defined]


def answer_upstream(data: bytes) -> bytes:
    query = DNSRecord.parse(data)
    if str(query.q.qname).startswith("lost"):
        return b""
    reply = query.reply()
    reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A("203.0.113.9"), ttl=5))
    return bytes(reply.pack())


def bind_pair() -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket of one port. A port that is free for one may be taken for the other: then another."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(("127.0.0.1", udp.getsockname()[1]))
        except OSError:
            udp.close()


class Bench:
    """A resolver serving the networks "one" and "two" on loopback, with a live upstream and a silent one."""

    def __init__(self) -> None:
        self.reported: list[set[str]] = []
        self.upstream = Upstream()

    async def start(self, *, upstreams: list[str] | None = None) -> None:
        loop = asyncio.get_running_loop()
        udp, tcp = bind_pair()
        port = udp.getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(lambda: self.upstream, sock=udp)

        async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            reply = answer_upstream(await reader.readexactly(size))
            writer.write(struct.pack("!H", len(reply)) + reply)
            await writer.drain()
            writer.close()

        self.server = await asyncio.start_server(over_tcp, sock=tcp)
        self.transport = transport
        live = [f"127.0.0.1:{port}"]
        self.resolver = Resolver(
            live if upstreams is None else upstreams,
            lambda network, name, kind: ZONES.get((network, name, kind)),
            {"Mirror.test", "203.0.113.50"},
            self.reported.append,
        )
        self.ports = {}
        for network in ("one", "two"):
            udp, tcp = bind_pair()
            for one in (udp, tcp):
                one.setblocking(False)
            self.ports[network] = udp.getsockname()[1]
            await self.resolver.serve(network, [udp, tcp])

    async def stop(self) -> None:
        await self.resolver.close()
        self.transport.close()
        self.server.close()

    async def ask(self, name: str, kind: str = "A", network: str = "one") -> DNSRecord:
        reply = await self.send(network, DNSRecord.question(name, kind).pack())
        assert reply is not None
        return DNSRecord.parse(reply)

    async def send(self, network: str, packet: bytes, wait: float = 4) -> bytes | None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setblocking(False)
            one.connect(("127.0.0.1", self.ports[network]))
            await loop.sock_sendall(one, packet)
            try:
                return await asyncio.wait_for(loop.sock_recv(one, 65535), wait)
            except (TimeoutError, ConnectionRefusedError):
                return None

    async def ask_tcp(self, *names: str) -> list[DNSRecord]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["one"])
        replies = []
        for name in names:
            packet = DNSRecord.question(name).pack()
            writer.write(struct.pack("!H", len(packet)) + packet)
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            replies.append(DNSRecord.parse(await reader.readexactly(size)))
        writer.close()
        return replies


def run(body: Callable[[Bench], Awaitable[None]], **options: list[str]) -> None:
    """On both event loops: the server runs on uvloop."""

    async def whole() -> None:
        bench = Bench()
        await bench.start(**options)
        try:
            await body(bench)
        finally:
            await bench.stop()

    for factory in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(whole())


def values(reply: DNSRecord) -> list[str]:
    return [str(rr.rdata) for rr in reply.rr]


def test_own_zones() -> None:
    async def body(bench: Bench) -> None:
        reply = await bench.ask("DB.internal")
        assert (values(reply), reply.rr[0].ttl, reply.header.aa, reply.header.ra) == (["10.0.1.5"], 30, 1, 1)
        assert values(await bench.ask("db.internal", "AAAA")) == []
        assert (await bench.ask("gone.internal")).header.rcode == RCODE.NXDOMAIN
        assert values(await bench.ask("www.internal")) == ["db.internal.", "10.0.1.5"]
        assert values(await bench.ask("mail.internal", "MX")) == ["10 mx.internal."]
        text = (await bench.ask("text.internal", "TXT")).rr[0].rdata
        assert b"".join(text.data) == b"v=spf1 -all; " + b"x" * 300
        assert len((await bench.ask("loop.internal")).rr) < 20
        assert bench.upstream.asked == 0
        # another network does not have these names: they are asked for outside
        assert values(await bench.ask("db.internal", network="two")) == ["203.0.113.9"]

    run(body)


def test_large_answers_come_over_tcp() -> None:
    async def body(bench: Bench) -> None:
        assert (await bench.ask("big.internal")).header.tc == 1
        big, forwarded = await bench.ask_tcp("big.internal", "else.test")
        assert len(big.rr) == 100
        assert values(forwarded) == ["203.0.113.9"]

    run(body)


def test_mirrors_are_reported_once_and_before_the_answer() -> None:
    async def body(bench: Bench) -> None:
        assert bench.reported == [{"203.0.113.50"}]
        await bench.ask("other.test")
        assert len(bench.reported) == 1
        assert values(await bench.ask("MIRROR.test")) == ["203.0.113.9"]
        assert bench.reported[1:] == [{"203.0.113.9"}]
        await bench.ask("mirror.test", network="two")
        assert len(bench.reported) == 2

    run(body)


def test_an_alias_to_a_mirror_outside() -> None:
    async def body(bench: Bench) -> None:
        assert values(await bench.ask("far.internal")) == ["mirror.test.", "203.0.113.9"]
        assert {"203.0.113.9"} in bench.reported

    run(body)


def test_offline_is_said_at_once() -> None:
    async def body(bench: Bench) -> None:
        for name in ("a.test", "b.test"):
            started = time.monotonic()
            assert (await bench.ask(name)).header.rcode == RCODE.SERVFAIL
            assert time.monotonic() - started < 1.4  # without waiting for the 2 s
        assert values(await bench.ask("db.internal")) == ["10.0.1.5"]

    run(body, upstreams=[])
    run(body, upstreams=["127.0.0.1:1"])  # nobody listens: refused


def test_a_silent_upstream_costs_two_seconds_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))

        async def body(bench: Bench) -> None:
            started = time.monotonic()
            assert (await bench.ask("a.test")).header.rcode == RCODE.SERVFAIL
            assert time.monotonic() - started > 1.5
            started = time.monotonic()
            assert (await bench.ask("b.test")).header.rcode == RCODE.SERVFAIL
            assert time.monotonic() - started < 1.4  # without waiting for the 2 s

        run(body, upstreams=[f"127.0.0.1:{silent.getsockname()[1]}"])


def test_one_name_that_hangs_does_not_shut_the_rest_out() -> None:
    async def body(bench: Bench) -> None:
        slow = asyncio.create_task(bench.ask("lost.test"))
        await asyncio.sleep(0.2)
        assert values(await bench.ask("a.test")) == ["203.0.113.9"]
        assert (await slow).header.rcode == RCODE.SERVFAIL
        assert values(await bench.ask("b.test")) == ["203.0.113.9"]

    run(body)


def test_junk_is_ignored_and_a_flood_bounded() -> None:
    chosen = random.Random(7)
    good = DNSRecord.question("db.internal").pack()

    async def body(bench: Bench) -> None:
        for n in range(400):
            junk = bytearray(good)
            if n % 2:
                junk = bytearray(chosen.randbytes(chosen.randint(0, 60)))
            else:
                for _ in range(4):
                    junk[chosen.randrange(2, len(junk))] = chosen.randrange(256)
            await bench.resolver.answer("one", bytes(junk))
        answered = bytearray(good)
        answered[2] |= 0x80
        assert await bench.send("one", bytes(answered), 0.2) is None
        assert await bench.send("one", b"\x00" * 3, 0.2) is None
        status = bytearray(good)
        status[2] |= 0x10
        reply = await bench.send("one", bytes(status))
        assert reply is not None and DNSRecord.parse(reply).header.rcode == RCODE.NOTIMP
        lost = [asyncio.create_task(bench.send("one", DNSRecord.question(f"lost{n}.test").pack(), 3)) for n in range(100)]
        await asyncio.sleep(0.3)
        assert values(await bench.ask("x.test", network="two")) == ["203.0.113.9"]
        assert sum(reply is not None for reply in await asyncio.gather(*lost)) == 64

    run(body)


def test_forgetting_a_network_closes_its_sockets() -> None:
    async def body(bench: Bench) -> None:
        await bench.resolver.forget("one")
        await bench.resolver.forget("one")
        assert await bench.send("one", DNSRecord.question("db.internal").pack(), 0.2) is None
        with pytest.raises(ConnectionRefusedError):
            await bench.ask_tcp("db.internal")
        assert values(await bench.ask("a.test", network="two")) == ["203.0.113.9"]

    run(body)


def test_the_machines_own_settings(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    assert read_upstreams(resolv) == []
    resolv.write_text("# x\nsearch a b\nnameserver 192.0.2.53\noptions ndots:1\nnameserver ::1\n")
    assert read_upstreams(resolv) == ["192.0.2.53", "::1"]
    lists = tmp_path / "apt" / "sources.list.d"
    lists.mkdir(parents=True)
    (lists.parent / "sources.list").write_text("deb [arch=amd64] http://one.test/debian x main\n# deb http://no.test/ x\n")
    (lists / "a.sources").write_text("Types: deb\nURIs: https://two.test:8443/a\n  http://three.test/b\nSuites: x\n")
    (lists / "b.list").write_text("deb-src http://192.0.2.7/debian x main\n")
    assert read_mirrors(tmp_path / "apt") == {"one.test", "two.test", "three.test", "192.0.2.7"}
