"""A small HTTP client that costs little of what it measures: keep-alive connections, requests as bytes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence


class Connection:
    """One keep-alive connection to 127.0.0.1, opened again when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, expect: int = 200) -> bytes:
        """The body of the answer. RuntimeError for another status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(b" ", 2)[1])
        length = head.split(b"content-length:")[1].split(b"\r\n")[0] if b"content-length:" in head else b"0"
        body = await reader.readexactly(int(length))
        if b"connection: close" in head:
            self.close()
        if status != expect:
            raise RuntimeError(f"HTTP {status}: {body[:300]!r}")
        return body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


Conversation = Callable[[Connection], Awaitable[object]]


def get(request: bytes) -> Conversation:
    """The conversation of one request."""
    return lambda connection: connection.ask(request)


async def load(port: int, conversations: Sequence[Conversation], connections: int) -> tuple[float, float]:
    """(conversations per second, p99 in ms) over so many connections."""
    queue = list(conversations)
    times: list[float] = []

    async def work() -> None:
        connection = Connection(port)
        while queue:
            conversation = queue.pop()
            started = time.perf_counter()
            await conversation(connection)
            times.append(time.perf_counter() - started)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    seconds = time.perf_counter() - started
    p99 = statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]
    return round(len(conversations) / seconds, 0), round(p99 * 1000, 1)
