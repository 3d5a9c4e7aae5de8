"""The package mirror inside every VPC: files of one directory at http://mirrors.cloud.aliyuncs.com/ (100.100.2.148), read only.

Regular files only: no listings, no links, no names that begin with a dot (files that are being written have such names).
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path
from urllib.parse import unquote

import httptools

HEAD_LIMIT = 16384  # bytes of a request's lines
PATIENCE = 30.0  # seconds a connection may be silent, and a client may take for one chunk
CHUNK = 1 << 18  # bytes read at a time: a quarter of a millisecond at most, then others have their turn
AT_ONCE = 256  # connections of one network; more are closed at once
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


def open_file(root: Path, path: str) -> int | None:
    """A descriptor of the regular file that a URL's path names below `root`; None when there is none to give away."""
    parts = [unquote(part, errors="replace") for part in path.lstrip("/").split("/")]
    if not all(part and not part.startswith(".") and "/" not in part and "\0" not in part for part in parts):
        return None
    *folders, name = parts
    here = -1
    try:
        here = os.open(root, os.O_PATH | os.O_DIRECTORY)
        for folder in folders:  # one name at a time, so that no link on the way is followed
            below = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)  # a named pipe must not hold us up
    except OSError:
        return None
    finally:
        if here >= 0:
            os.close(here)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


class Mirror:
    """Serves every VPC from one directory, which need not exist yet. All methods are to be called in the event loop."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._servers: dict[str, asyncio.Server] = {}
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}

    async def serve(self, network: str, listener: socket.socket) -> None:
        """Answer one VPC on a listening TCP socket, which is ours from now on, until `forget` or `close`."""
        self.forget(network)
        tasks = self._tasks[network] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is None or len(tasks) >= AT_ONCE:
                writer.transport.abort()
                return
            tasks.add(task)
            try:
                await self._talk(reader, writer)
                writer.close()
                async with asyncio.timeout(PATIENCE):
                    await writer.wait_closed()
            except (OSError, EOFError, asyncio.CancelledError):  # the client has gone, or sleeps; or `forget`: nobody waits for us
                writer.transport.abort()
            finally:
                tasks.discard(task)

        self._servers[network] = await asyncio.start_server(connected, sock=listener, limit=HEAD_LIMIT)

    def forget(self, network: str) -> None:
        """Stop answering in a VPC, and cut what is on its way."""
        if server := self._servers.pop(network, None):
            server.close()
        for task in self._tasks.pop(network, set()):
            task.cancel()

    def close(self) -> None:
        """Stop answering everywhere."""
        for network in list(self._servers):
            self.forget(network)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other. OSError (TimeoutError is one) or EOFError when there is nobody to talk to."""
        keep = True
        while keep:
            async with asyncio.timeout(PATIENCE):
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.LimitOverrunError:
                    _write_head(writer, 400, 0, keep=False)
                    return
            request = _Request(head)
            keep = request.keep
            if request.method not in ("GET", "HEAD"):
                _write_head(writer, 405 if request.method else 400, 0, keep=False)  # a body may follow that nobody reads
                return
            file = open_file(self._root, request.path)
            if file is None:
                _write_head(writer, 404, 0, keep=keep)
                continue
            try:
                size = os.fstat(file).st_size
                _write_head(writer, 200, size, keep=keep)
                if request.method == "GET":
                    await _send(writer, file, size)
            finally:
                os.close(file)


async def _send(writer: asyncio.StreamWriter, file: int, size: int) -> None:
    """`size` bytes of a file. ConnectionError, and the connection cut, when it became shorter meanwhile."""
    at = 0
    while at < size:
        data = os.pread(file, min(CHUNK, size - at), at)
        if not data:
            writer.transport.abort()
            raise ConnectionAbortedError
        writer.write(data)
        at += len(data)
        await _flush(writer)
        await asyncio.sleep(0)  # a fast client would never make us wait


async def _flush(writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(PATIENCE):
        await writer.drain()


def _write_head(writer: asyncio.StreamWriter, status: int, size: int, *, keep: bool) -> None:
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {size}", f"Connection: {'keep-alive' if keep else 'close'}"]
    lines += ["Content-Type: application/octet-stream"] if status == 200 else []
    lines += ["Allow: GET, HEAD"] if status == 405 else []
    writer.write("\r\n".join([*lines, "", ""]).encode())


class _Request:
    """The lines of one request. `method` is "" when they make no sense."""

    def __init__(self, head: bytes) -> None:
        self.method, self.path, self.keep = "", "", False
        self._url = b""
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(head)
            self.path = (httptools.parse_url(self._url).path or b"").decode("latin-1")
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, httptools.HttpParserInvalidURLError):
            self.method = ""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_headers_complete(self) -> None:
        self.method, self.keep = self._parser.get_method().decode("latin-1"), self._parser.should_keep_alive()
