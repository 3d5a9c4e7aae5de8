"""The instance metadata service at 100.100.100.200: what an instance can learn about itself.

Who asks is told by where the request comes from: the VPC of the socket and the peer's address in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import secrets
import socket
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import httptools

from haechi.cloud.metadata_items import Tree, dynamic, meta_data
from haechi.cloud.metadata_roles import RoleSessions
from haechi.cloud.runtime import Runtime
from haechi.cloud.store import Resource, View

log = logging.getLogger("haechi.metadata")
TTL_HEADER, TOKEN_HEADER = "x-aliyun-ecs-metadata-token-ttl-seconds", "x-aliyun-ecs-metadata-token"
LONGEST_TTL = 21600  # seconds
REQUEST_LIMIT = 16384  # bytes
LIFE_SECONDS = 30.0  # of a connection
Reply = tuple[int, str, bytes]
Credentials = Callable[[Resource], Mapping[str, str] | None]


@dataclass(frozen=True)
class Service:
    """What answers depend on besides the store. `credentials` makes temporary ones for an instance's role, and may wait."""

    account: str
    now: Callable[[], float]
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)  # signs tokens
    credentials: Credentials = lambda instance: None

    def make_token(self, instance: str, ttl: int) -> str:
        """A token that is good for one instance and `ttl` seconds."""
        body = f"{int(self.now()) + ttl}"
        return f"{body}.{self._sign(instance, body)}"

    def check_token(self, instance: str, token: str) -> bool:
        body, _, signature = token.partition(".")
        good = hmac.compare_digest(signature.encode(), self._sign(instance, body).encode())
        return good and int(body) > self.now()

    def _sign(self, instance: str, body: str) -> str:
        return hmac.new(self.key, f"{instance} {body}".encode(), hashlib.sha256).hexdigest()


def find_instance(view: View, network: str, address: str) -> Resource | None:
    """The instance that has an address in a VPC."""
    for instance in view.find("instance", VpcId=network):
        if address == instance["PrivateIpAddress"] or address in instance["SecondaryPrivateIps"]:
            return instance
    return None


def answer(service: Service, view: View, instance: Resource, path: str, headers: Mapping[str, str], method: str) -> Reply:
    """Status, content type and body of one request. Header names are lower case."""
    if instance["HttpEndpoint"] == "disabled":
        return _plain(403, "Forbidden")
    parts = [unquote(p) for p in path.split("?")[0].split("/") if p]
    if not parts:
        return _plain(200, "2016-01-01\nlatest")
    if parts[0] != "latest" and not re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", parts[0]):
        return _plain(404, "Not Found")
    if parts[1:] == ["api", "token"]:
        return _token(service, instance, headers, method)
    if method not in ("GET", "HEAD"):
        return _plain(405, "Method Not Allowed")
    token = headers.get(TOKEN_HEADER)
    if token is None and instance["HttpTokens"] == "required":
        return _plain(403, "Forbidden")
    if token is not None and not service.check_token(instance.id, token):
        return _plain(401, "Unauthorized")
    if parts[1:] == ["user-data"]:
        data = b64decode(instance["UserData"])
        return (200, "application/octet-stream", data) if data else _plain(404, "Not Found")

    def credentials() -> str | None:
        made = service.credentials(instance)
        return json.dumps(dict(made), indent=2) if made is not None else None

    tree: Tree = {
        "dynamic": dynamic(service.account, instance),
        "meta-data": meta_data(service.account, credentials, view, instance),
        **({"user-data": ""} if instance["UserData"] else {}),
    }
    node: Any = tree
    for part in parts[1:]:
        node = node.get(part) if isinstance(node, dict) else None
        if node is None:
            return _plain(404, "Not Found")
    if callable(node):  # made when asked for
        node = node()
        if node is None:
            return _plain(404, "Not Found")
    if isinstance(node, dict):
        return _plain(200, "\n".join(f"{k}/" if isinstance(v, dict) else k for k, v in node.items()))
    return _plain(200, node)


def _plain(status: int, text: str) -> Reply:
    return status, "text/plain", text.encode()


def _token(service: Service, instance: Resource, headers: Mapping[str, str], method: str) -> Reply:
    if method != "PUT":
        return _plain(405, "Method Not Allowed")
    if "x-forwarded-for" in headers:  # a token must not leave through a proxy
        return _plain(403, "Forbidden")
    ttl = headers.get(TTL_HEADER, "")
    if not re.fullmatch(r"[0-9]{1,5}", ttl) or not 1 <= int(ttl) <= LONGEST_TTL:
        return _plain(400, "Bad Request")
    return _plain(200, service.make_token(instance.id, int(ttl)))


class Metadata:
    """Serves every VPC. All methods are to be called in the event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._store = runtime.store
        self._service = Service(runtime.account, runtime.store.now, credentials=RoleSessions(runtime.store))
        self._servers: dict[str, tuple[asyncio.Task[None], socket.socket]] = {}

    def serve(self, network: str, listener: socket.socket) -> None:
        """Answer the instances of one VPC on a bound TCP socket, until `forget` or `close`."""
        self.forget(network)
        listener.setblocking(False)
        self._servers[network] = (asyncio.get_running_loop().create_task(self._serve(network, listener)), listener)

    def forget(self, network: str) -> None:
        """Stop answering in a VPC."""
        task, listener = self._servers.pop(network, (None, None))
        if task is not None and listener is not None:
            task.cancel()
            listener.close()

    def close(self) -> None:
        """Stop answering everywhere."""
        for network in list(self._servers):
            self.forget(network)

    async def _serve(self, network: str, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self, network), sock=listener)
        try:
            await loop.create_future()  # until cancelled
        finally:
            server.close()

    def reply(self, network: str, address: str, path: str, headers: Mapping[str, str], method: str) -> Reply:
        """What one request from an address in a VPC gets. May wait when it is for a role's credentials."""
        view = self._store.view()
        instance = find_instance(view, network, address)
        if instance is None:
            return _plain(404, "Not Found")
        try:
            return answer(self._service, view, instance, path, headers, method)
        except Exception:
            log.exception("%s in %s", address, network)
            return _plain(500, "Internal Server Error")


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; httptools calls the on_ methods."""

    def __init__(self, metadata: Metadata, network: str) -> None:
        self._metadata = metadata
        self._network = network
        self._parser = httptools.HttpRequestParser(self)
        self._size = 0
        self._path = b""
        self._headers: dict[str, str] = {}
        self._waiting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._end = asyncio.get_running_loop().call_later(LIFE_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > REQUEST_LIMIT:
            self._write(_plain(400, "Bad Request"), keep=False)
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._write(_plain(400, "Bad Request"), keep=False)

    def on_message_begin(self) -> None:
        self._path, self._headers = b"", {}

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_message_complete(self) -> None:
        self._size = 0
        if self._transport.is_closing() or self._waiting is not None:
            return
        method = self._parser.get_method().decode("latin-1")
        try:
            path = (httptools.parse_url(self._path).path or b"/").decode("latin-1")
        except httptools.HttpParserInvalidURLError:
            self._write(_plain(400, "Bad Request"), keep=False)
            return
        peer = self._transport.get_extra_info("peername")[0]
        ask = partial(self._metadata.reply, self._network, peer, path, self._headers, method)
        if "/security-credentials/" in path:  # these may wait for the store, which must not hold up the loop
            self._waiting = asyncio.get_running_loop().create_task(self._write_later(ask, method == "HEAD"))
        else:
            self._write(ask(), self._parser.should_keep_alive(), method == "HEAD")

    async def _write_later(self, ask: Callable[[], Reply], head: bool) -> None:
        self._write(await asyncio.to_thread(ask), keep=False, head=head)

    def _write(self, reply: Reply, keep: bool, head: bool = False) -> None:
        status, kind, body = reply
        lines = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self._transport.write(f"{lines}Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode() + (b"" if head else body))
        if not keep:
            self._transport.close()


REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
}
