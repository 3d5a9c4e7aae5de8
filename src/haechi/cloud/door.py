"""The door: one TCP port that speaks plain HTTP, TLS, and proxy requests for *.aliyuncs.com and for names of the local internet.

It looks at a connection's first bytes without taking them: a TLS hello is decrypted, a CONNECT is answered and looked at again,
anything else is HTTP (also in the absolute form that proxies get). Names that Cloud DNS knows are led to their addresses; other
hosts are refused: behind this door nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from email.utils import formatdate

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from haechi.cloud.authority import DOMAIN
from haechi.cloud.gateway import Gateway, Receive, Scope, Send
from haechi.cloud.internet import Internet

log = logging.getLogger("haechi.door")
FIRST_BYTES_SECONDS = 30
HEAD_LIMIT = 8192  # bytes of a CONNECT request
TLS_HANDSHAKE = 0x16
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
SILENT = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
WHY = b"haechi: only the local cloud and its domains are reachable through this door. Put other hosts into NO_PROXY.\n"


def is_ours(host: str) -> bool:
    """Whether a host name or host:port is one that the local cloud answers for."""
    name = host.rsplit(":", 1)[0].strip("[]").lower()
    return name in ("", "localhost", "::1") or name.startswith("127.") or name == DOMAIN or name.endswith(f".{DOMAIN}")


class Door:
    """Listens on 127.0.0.1:port and hands every request to the gateway, or to the local internet."""

    def __init__(self, gateway: Gateway, internet: Internet, context: ssl.SSLContext, port: int) -> None:
        self._gateway, self._internet = gateway, internet
        self._context = context
        self._config = uvicorn.Config(
            self._app, interface="asgi3", lifespan="off", log_config=None, access_log=False, timeout_keep_alive=75
        )
        self._config.load()
        self._state = ServerState()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self._listener.setblocking(False)

    async def serve(self) -> None:
        """Accept until cancelled; then close what is open."""
        clock = asyncio.create_task(self._date())
        loop = asyncio.get_running_loop()
        try:
            while True:
                connection, _ = await loop.sock_accept(self._listener)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                task = asyncio.create_task(self._welcome(connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            clock.cancel()
            self._listener.close()
            for task in list(self._tasks):
                task.cancel()
            await self._internet.close()
            for protocol in list(self._state.connections):
                protocol.shutdown()
            if self._state.tasks:
                await asyncio.wait(list(self._state.tasks), timeout=10)

    async def _welcome(self, connection: socket.socket) -> None:
        """Find out what a connection speaks and hand it on; whatever goes wrong, it is closed."""
        handed = False
        try:
            async with asyncio.timeout(FIRST_BYTES_SECONDS):
                first = await _peek(connection, 8)
                host = await self._asked(connection) if first == b"CONNECT " else ""
                if host and is_ours(host):
                    await asyncio.get_running_loop().sock_sendall(connection, ESTABLISHED)
                    first = await _peek(connection, 1)
            if host and not is_ours(host):
                await self._tunnel(connection, host)
            elif first:
                secure = self._context if first[0] == TLS_HANDSHAKE else None
                loop = asyncio.get_running_loop()
                await loop.connect_accepted_socket(lambda: HttpToolsProtocol(self._config, self._state, {}), connection, ssl=secure)
                handed = True
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.info("a client went away: %s", error)
        finally:
            if not handed:
                connection.close()

    async def _asked(self, connection: socket.socket) -> str:
        """The host:port of a CONNECT; "?" for what is none."""
        loop = asyncio.get_running_loop()
        head = b""
        while b"\r\n\r\n" not in head and len(head) < HEAD_LIMIT:
            part = await loop.sock_recv(connection, HEAD_LIMIT)
            if not part:
                raise ConnectionError("it ended within its first line")
            head += part
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return words[1] if len(words) == 3 and words[1] else "?"

    def _way(self, host: str, port: int) -> tuple[str, int]:
        """Address and port behind a host (which has this port then) or host:port of the local internet; "" for any other."""
        name, colon, text = host.partition(":")
        if colon:
            port = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        return self._internet.address_of(name) if port else "", port

    async def _tunnel(self, connection: socket.socket, host: str) -> None:
        """To a name of the local internet; a refusal for any other."""
        address, port = self._way(host, 443)
        loop = asyncio.get_running_loop()
        if not address:
            await loop.sock_sendall(connection, REFUSED % (len(WHY), WHY))
            return
        try:
            streams = await self._internet.connect(address, port)
        except (OSError, TimeoutError):
            await loop.sock_sendall(connection, SILENT)
            return
        await loop.sock_sendall(connection, ESTABLISHED)
        await self._internet.splice(connection, streams)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The gateway, for requests that are meant for it."""
        host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), "")
        if is_ours(host):
            await self._gateway(scope, receive, send)
            return
        address, port = self._way(host, 80)
        if address:
            await self._internet.forward(scope, receive, send, address, port)
            return
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": WHY})

    async def _date(self) -> None:
        while True:
            self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
            await asyncio.sleep(1)


async def _peek(connection: socket.socket, size: int) -> bytes:
    """The first bytes of a connection, left in it for whoever reads next. Fewer than `size` only if it is not a CONNECT."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    while True:
        ready = loop.create_future()
        loop.add_reader(connection.fileno(), lambda f=ready: f.done() or f.set_result(None))  # type: ignore[misc]
        try:
            await ready
        finally:
            loop.remove_reader(connection.fileno())
        data = connection.recv(size, socket.MSG_PEEK)
        if not data or len(data) >= size or not b"CONNECT ".startswith(data):
            return data
        await asyncio.sleep(0.01)
