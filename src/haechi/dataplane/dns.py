"""The resolver that answers inside every network: own zones first, the machine's resolvers for the rest.

It serves sockets that were made in the networks' namespaces (`network.open_socket`) and asks upstream from the machine's own. Names of
package mirrors are watched: their addresses are reported before the answer goes out, so that the way there is open when the
first packet comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dnslib import EDNS0, OPCODE, QTYPE, RCODE, RDMAP, RR, DNSError, DNSLabel, DNSRecord  # type: ignore[import-untyped]

from haechi.dataplane.addresses import is_address

TIMEOUT = 2.0  # seconds an upstream has to answer
RESEND = 0.8  # seconds until the question is sent once more
PAUSE = 5.0  # seconds in which an upstream that said nothing at all is not asked again
AT_ONCE = 64  # questions and TCP connections of one network served at the same time; more are dropped
IDLE = 10.0  # seconds a TCP connection may be silent
LARGEST_QUERY = 4096
LARGEST_UDP = 1232
CHAIN = 8  # aliases followed


@dataclass(frozen=True, slots=True)
class Answer:
    """One record, `value` as in a zone file (TXT without quotes). `name` "" stands for the name asked for."""

    type: str
    value: str
    ttl: int = 60
    name: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an own zone says: records (none: the name exists, but not with this type) or a code like "NXDOMAIN"."""

    answers: tuple[Answer, ...] = ()
    code: str = "NOERROR"
    authority: tuple[Answer, ...] = ()  # goes with an answer that holds nothing: SOA of its zone


Zones = Callable[[str, str, str], Reply | None]  # network id, lower-case name without final dot, type -> None: not ours


class Resolver:
    """Name service for many networks on one event loop. `on_mirror` is called in a thread, with addresses it has not had yet.

    An authoritative one asks nobody: it answers for its own zones and refuses everything else.
    """

    def __init__(
        self,
        upstreams: list[str],
        zones: Zones,
        mirrors: Collection[str],
        on_mirror: Callable[[set[str]], None],
        *,
        authoritative: bool = False,
        on_answer: Callable[[str, set[str]], None] | None = None,
    ) -> None:
        self._authoritative, self._on_answer = authoritative, on_answer
        self._upstreams = [_endpoint(upstream) for upstream in upstreams]
        self._zones, self._on_mirror = zones, on_mirror
        self._mirrors = {mirror.lower().rstrip(".") for mirror in mirrors}
        self._reported: set[str] = set()
        self._networks: dict[str, _Served] = {}
        self._heard: dict[tuple[str, int], float] = {}
        self._paused: dict[tuple[str, int], float] = {}

    async def serve(self, network_id: str, sockets: Iterable[socket.socket]) -> None:
        """Answer on these sockets (UDP bound, TCP listening, non-blocking), which are ours from now on; replaces earlier ones."""
        await self.forget(network_id)
        await self._report({mirror for mirror in self._mirrors if is_address(mirror)})
        served = self._networks[network_id] = _Served()
        loop = asyncio.get_running_loop()
        waiting = list(sockets)
        try:
            while waiting:
                one = waiting[0]
                if one.type == socket.SOCK_STREAM:
                    server = await asyncio.start_server(self._connected(network_id, served), sock=one, limit=LARGEST_QUERY)
                    served.closers.append(server.close)
                else:
                    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self, network_id, served), sock=one)
                    served.closers.append(transport.close)
                waiting.pop(0)
        except BaseException:  # all of them or none
            for one in waiting:
                one.close()
            await self.forget(network_id)
            raise

    async def forget(self, network_id: str) -> None:
        """Stop serving a network and close its sockets."""
        if served := self._networks.pop(network_id, None):
            for close in served.closers:
                close()
            for task in served.tasks:
                task.cancel()
            await asyncio.gather(*served.tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop serving everything."""
        for network_id in list(self._networks):
            await self.forget(network_id)

    async def answer(self, network_id: str, packet: bytes, *, tcp: bool = False) -> bytes | None:
        """The reply to one query packet; None when it deserves none."""
        query = parse_query(packet)
        if query is None:
            return None
        if query.header.opcode != OPCODE.QUERY or len(query.questions) != 1:
            return _fail(query, "NOTIMP")
        name, kind = _text(query.q.qname), str(QTYPE.get(query.q.qtype))
        found = self._zones(network_id, name, kind)
        if found is None:
            forwarded = await self._forward(query, packet, tcp=tcp)
            if self._on_answer:
                await self._tell(name, DNSRecord.parse(forwarded))
            return forwarded
        reply = query.reply(aa=1, ra=1)
        reply.header.rcode = getattr(RCODE, found.code)
        for answer in found.answers:
            reply.add_answer(_record(answer, name))
        await self._follow(network_id, reply, found, kind)
        if not found.answers:
            reply.add_auth(*(_record(answer, name) for answer in found.authority))
        await self._tell(name, reply)
        return _fit(query, reply, tcp=tcp)

    async def _tell(self, name: str, reply: DNSRecord) -> None:
        """Whoever wants to know hears of the addresses before the client does."""
        addresses = {str(rr.rdata) for rr in reply.rr if rr.rtype == QTYPE.A}
        if self._on_answer and addresses:
            await asyncio.to_thread(self._on_answer, name, addresses)

    async def _follow(self, network_id: str, reply: DNSRecord, found: Reply, kind: str) -> None:
        """Add what an alias at the end of an own answer leads to, in our zones or outside."""
        for _ in range(CHAIN):
            if not found.answers or found.answers[-1].type != "CNAME" or kind in ("CNAME", "ANY"):
                return
            target = found.answers[-1].value.lower().rstrip(".")
            own = self._zones(network_id, target, kind)
            if own is None:
                if self._authoritative:
                    return
                query = DNSRecord.question(target, kind)
                outside = DNSRecord.parse(await self._forward(query, query.pack(), tcp=True))
                reply.header.rcode = outside.header.rcode
                reply.add_answer(*outside.rr)
                return
            found = own
            reply.header.rcode = getattr(RCODE, found.code)
            for answer in found.answers:
                reply.add_answer(_record(answer, target))

    async def _forward(self, query: DNSRecord, packet: bytes, *, tcp: bool) -> bytes:
        loop = asyncio.get_running_loop()
        for upstream in self._upstreams:
            started = loop.time()
            if self._paused.get(upstream, 0) > started:
                continue
            try:
                async with asyncio.timeout(TIMEOUT):
                    data = await (_ask_tcp if tcp else _ask_udp)(upstream, packet)
                reply = DNSRecord.parse(data)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                if self._heard.get(upstream, 0) < started:
                    self._paused[upstream] = loop.time() + PAUSE
                continue
            except (DNSError, ValueError, struct.error):
                continue
            self._heard[upstream] = loop.time()
            if _text(query.q.qname) in self._mirrors:
                await self._report({str(rr.rdata) for rr in reply.rr if rr.rtype == QTYPE.A})
            return data
        return _fail(query, "REFUSED" if self._authoritative else "SERVFAIL")

    async def _report(self, addresses: set[str]) -> None:
        if new := addresses - self._reported:
            await asyncio.to_thread(self._on_mirror, new)
            self._reported |= new

    def _connected(self, network_id: str, served: _Served) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                async with asyncio.timeout(IDLE):
                    (size,) = struct.unpack("!H", await reader.readexactly(2))
                    if size > LARGEST_QUERY:
                        return
                    packet = await reader.readexactly(size)
                reply = await self.answer(network_id, packet, tcp=True)
                if reply is None:
                    return
                async with asyncio.timeout(IDLE):
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async def whole() -> None:
                try:
                    with contextlib.suppress(asyncio.IncompleteReadError, TimeoutError, ConnectionError):  # the client has gone
                        await talk(reader, writer)
                finally:
                    writer.close()

            if not served.start(whole()):
                writer.close()

        return connected


class _Served:
    """What is open for one network."""

    def __init__(self) -> None:
        self.closers: list[Callable[[], None]] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work` unless the network has too much running already."""
        if len(self.tasks) >= AT_ONCE:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return True

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            task.get_loop().call_exception_handler({"message": "a name query failed", "exception": error, "task": task})


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver, network_id: str, served: _Served) -> None:
        self._resolver, self._network_id, self._served = resolver, network_id, served

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._served.start(self._answer(data, addr))

    async def _answer(self, data: bytes, addr: Any) -> None:
        reply = await self._resolver.answer(self._network_id, data)
        if reply is not None and not self._transport.is_closing():
            self._transport.sendto(reply, addr)


class _Question(asyncio.DatagramProtocol):
    """One question to an upstream: `reply` is done with the first packet that fits it."""

    def __init__(self, id: bytes) -> None:
        self._id = id
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data[:2] == self._id and not self.reply.done():
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)


async def _ask_udp(upstream: tuple[str, int], packet: bytes) -> bytes:
    # the client's own id: our source port is fresh for every question and the socket hears this upstream only
    transport, question = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Question(packet[:2]), remote_addr=upstream)
    try:
        transport.sendto(packet)
        done, _ = await asyncio.wait([question.reply], timeout=RESEND)
        if not done:
            transport.sendto(packet)
        return await question.reply
    finally:
        transport.close()


async def _ask_tcp(upstream: tuple[str, int], packet: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*upstream)
    try:
        writer.write(struct.pack("!H", len(packet)) + packet)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.close()


def parse_query(packet: bytes) -> DNSRecord | None:
    """A query, or None for what is none (answers too, so that two resolvers never talk to each other for ever)."""
    try:
        query = DNSRecord.parse(packet)
    except (DNSError, ValueError, IndexError, struct.error):
        return None
    return None if query.header.qr else query


def _record(answer: Answer, asked: str) -> RR:
    words = [re.findall(".{1,255}", answer.value, re.S)] if answer.type == "TXT" else answer.value.split()
    kind = RDMAP[answer.type]
    data = kind([part.encode() for part in words[0]]) if answer.type == "TXT" else kind.fromZone(words)
    return RR(answer.name or asked, getattr(QTYPE, answer.type), rdata=data, ttl=answer.ttl)


def _fail(query: DNSRecord, code: str) -> bytes:
    reply = query.reply(ra=1, aa=0)
    reply.header.rcode = getattr(RCODE, code)
    return bytes(reply.pack())


def _fit(query: DNSRecord, reply: DNSRecord, *, tcp: bool) -> bytes:
    """The packed reply, cut to what the client can take: it comes again over TCP."""
    extended = next((rr for rr in query.ar if rr.rtype == QTYPE.OPT), None)
    if extended:
        reply.add_ar(EDNS0(udp_len=LARGEST_UDP))
    packed = bytes(reply.pack())
    limit = max(512, min(extended.edns_len, LARGEST_UDP)) if extended else 512
    return packed if tcp or len(packed) <= limit else bytes(reply.truncate().pack())


def _text(name: DNSLabel) -> str:
    return str(name).lower().rstrip(".")


def _endpoint(upstream: str) -> tuple[str, int]:
    """Address and port of "address" or, for IPv4, "address:port"."""
    address, colon, port = upstream.partition(":")
    return (address, int(port)) if colon and port.isdigit() else (upstream, 53)


def read_upstreams(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The machine's own resolvers; none when it has no such file."""
    lines = path.read_text().splitlines() if path.exists() else []
    words = [line.split() for line in lines]
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]


def read_mirrors(folder: Path = Path("/etc/apt")) -> set[str]:
    """Hosts that this machine's own apt gets its packages from, names or addresses."""
    files = [folder / "sources.list", *folder.glob("sources.list.d/*.list"), *folder.glob("sources.list.d/*.sources")]
    lines = [line.partition("#")[0] for file in files if file.exists() for line in file.read_text().splitlines()]
    found = (urlsplit(word) for line in lines for word in line.split() if "://" in word)
    return {url.hostname for url in found if url.hostname}
