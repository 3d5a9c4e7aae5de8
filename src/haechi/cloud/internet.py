"""The way from tools on this machine, through the door, to names of the local internet: nothing else is reached by it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from ipaddress import IPv4Address

import httpx

from haechi.cloud.gateway import Receive, Scope, Send
from haechi.cloud.products.alidns.zones import lookup
from haechi.cloud.runtime import Runtime

log = logging.getLogger("haechi.internet")
CHAIN = 8  # aliases followed
CONNECT_SECONDS, IDLE_SECONDS = 5.0, 300.0
PART = 65536
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HOP = (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade")


class Internet:
    """Resolves names as Cloud DNS does and carries connections to their addresses, which are this site's."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS))

    def address_of(self, name: str) -> str:
        """The address at the end of a name's chain; "" when it is not one of the local internet's."""
        site, view = self._runtime.site, self._runtime.store.view()
        for _ in range(CHAIN):
            found = lookup(view, name.lower().rstrip("."), "A", site.outside)
            if found is None or not found.answers:
                return ""
            last = found.answers[-1]
            if last.type == "A":
                return last.value if IPv4Address(last.value) in site.public else ""
            name = last.value
        return ""

    async def connect(self, address: str, port: int) -> Streams:
        """A connection to an address. OSError and TimeoutError when it does not answer."""
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_connection(address, port)

    async def splice(self, connection: socket.socket, streams: Streams) -> None:
        """Carry bytes both ways until both sides are done."""
        there, writer = streams
        loop = asyncio.get_running_loop()

        async def forth() -> None:
            while part := await loop.sock_recv(connection, PART):
                writer.write(part)
                await writer.drain()
            writer.write_eof()

        async def back() -> None:
            while part := await there.read(PART):
                await loop.sock_sendall(connection, part)
            connection.shutdown(socket.SHUT_WR)

        ways = [asyncio.create_task(forth()), asyncio.create_task(back())]
        try:
            await asyncio.gather(*ways)
        except ConnectionError as error:
            log.info("a tunnel ended: %s", error)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def forward(self, scope: Scope, receive: Receive, send: Send, address: str, port: int) -> None:
        """Hand a plain HTTP request on, and its answer back as it comes."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        url = httpx.URL(scheme="http", host=address, port=port, raw_path=target)
        headers = [(name, value) for name, value in scope["headers"] if name not in HOP]
        body = _body(receive) if any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]) else None
        request = httpx.Request(scope["method"], url, headers=headers, content=body)
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            text = f"haechi: {address}:{port} does not answer ({type(error).__name__}).\n".encode()
            await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": text})
            return
        try:
            shown = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in HOP]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": shown})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()

    async def close(self) -> None:
        """Let go of what is open."""
        await self._client.aclose()


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
