"""The door's first look at a connection: plain, TLS, proxied, absolute form; strangers are refused."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from haechi.cloud import authority
from haechi.cloud.door import Door, is_ours
from haechi.cloud.gateway import Receive, Scope, Send
from haechi.cloud.internet import Internet


class Echo:
    """Stands in for the gateway: answers with what it saw."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next((v.decode() for k, v in scope["headers"] if k == b"host"), "")
        body = json.dumps(
            {"host": host, "path": scope["path"], "query": scope["query_string"].decode(), "scheme": scope["scheme"]}
        ).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Way(Internet):
    """The local internet has one name, and it is this machine's."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(trust_env=False)

    def address_of(self, name: str) -> str:
        return "127.0.0.1" if name == "cat.test" else ""


class Page(BaseHTTPRequestHandler):
    """Says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        body = json.dumps({"method": self.command, "path": self.path, "host": self.headers["Host"], "data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[int]:
    """The port of a web server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def closed() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    place = tmp_path_factory.mktemp("ca")
    authority.ensure_authority(place)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ready, stop = threading.Event(), threading.Event()

    def serve() -> None:
        async def main() -> None:
            task = asyncio.create_task(Door(Echo(), Way(), authority.server_context(place), port).serve())  # type: ignore[arg-type]
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    yield port, place / "ca.pem"
    stop.set()
    thread.join()


def talk(port: int, text: str, wrap: tuple[Path, str] | None = None, connect: str = "") -> tuple[str, dict[str, str]]:
    """Send one request and read the answer: (status line, JSON body)."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        connection: socket.socket = raw
        if connect:
            raw.sendall(f"CONNECT {connect} HTTP/1.1\r\nHost: {connect}\r\n\r\n".encode())
            line = raw.recv(4096).decode().split("\r\n")[0]
            if " 200 " not in line:
                return line, {}
        if wrap:
            connection = ssl.create_default_context(cafile=str(wrap[0])).wrap_socket(raw, server_hostname=wrap[1])
        with connection:
            connection.sendall(text.encode())
            data = b""
            while part := connection.recv(4096):
                data += part
    head, _, body = data.decode().partition("\r\n\r\n")
    return head.split("\r\n")[0], json.loads(body) if body.startswith("{") else {}


def get(target: str, host: str) -> str:
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


def test_plain(door: tuple[int, Path]) -> None:
    line, seen = talk(door[0], get("/?Action=X", "127.0.0.1"))
    assert " 200 " in line and seen == {"host": "127.0.0.1", "path": "/", "query": "Action=X", "scheme": "http"}


def test_absolute_form(door: tuple[int, Path]) -> None:
    line, seen = talk(door[0], get("http://ecs-cn-hangzhou.aliyuncs.com/?Action=X", "ecs-cn-hangzhou.aliyuncs.com"))
    assert " 200 " in line and seen["query"] == "Action=X" and seen["path"] == "/"


def test_tls(door: tuple[int, Path]) -> None:
    line, seen = talk(door[0], get("/", "localhost"), (door[1], "localhost"))
    assert " 200 " in line and seen["scheme"] == "https"


@pytest.mark.parametrize("name", ["ecs.ap-southeast-1.aliyuncs.com", "ram.aliyuncs.com"])
def test_tunnel(door: tuple[int, Path], name: str) -> None:
    line, seen = talk(door[0], get("/", name), (door[1], name), connect=f"{name}:443")
    assert " 200 " in line and seen == {"host": name, "path": "/", "query": "", "scheme": "https"}


def test_strangers_are_refused(door: tuple[int, Path]) -> None:
    assert " 403 " in talk(door[0], "", connect="example.com:443")[0]
    assert " 403 " in talk(door[0], get("http://example.com/", "example.com"))[0]
    assert " 403 " in talk(door[0], get("/", "aliyuncs.com.example.com"))[0]


def test_names_of_the_local_internet(door: tuple[int, Path], page: int) -> None:
    host = f"cat.test:{page}"
    line, seen = talk(door[0], get(f"http://{host}/a%20b?c=d%2Fe", host))
    assert " 200 " in line and seen == {"method": "GET", "path": "/a%20b?c=d%2Fe", "host": host, "data": ""}
    post = f"POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nProxy-Connection: close\r\nConnection: close\r\n\r\nhello"
    assert talk(door[0], post)[1] == {"method": "POST", "path": "/", "host": host, "data": "hello"}
    line, seen = talk(door[0], get("/inside", host), connect=host)
    assert " 200 " in line and seen["path"] == "/inside"
    with socket.create_connection(("127.0.0.1", door[0]), timeout=5) as raw:  # one connection, two hosts
        for target, wanted in ((f"http://{host}/", b'"method"'), ("http://ram.aliyuncs.com/", b'"scheme"')):
            raw.sendall(f"GET {target} HTTP/1.1\r\nHost: {target.split('/')[2]}\r\n\r\n".encode())
            answer = raw.recv(4096)
            while b"}" not in answer:
                answer += raw.recv(4096)
            assert wanted in answer


def test_what_does_not_answer(door: tuple[int, Path]) -> None:
    host = f"cat.test:{closed()}"
    assert " 502 " in talk(door[0], "", connect=host)[0]
    assert " 502 " in talk(door[0], get(f"http://{host}/", host))[0]
    for wrong in ("cat.test:x", "cat.test:999999", "dog.test:80"):
        assert " 403 " in talk(door[0], "", connect=wrong)[0]
        assert " 403 " in talk(door[0], get(f"http://{wrong}/", wrong))[0] or " 400 " in talk(door[0], get(f"http://{wrong}/", wrong))[0]


def test_the_certificate_is_for_the_cloud_only(door: tuple[int, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        talk(door[0], get("/", "example.com"), (door[1], "example.com"))


def test_garbage_does_not_hurt(door: tuple[int, Path]) -> None:
    for junk in (b"\x16\x03\x01garbage", b"\x00" * 64, b"CONNECT", b"GET"):
        with socket.create_connection(("127.0.0.1", door[0]), timeout=5) as raw:
            raw.sendall(junk)
    assert " 200 " in talk(door[0], get("/", "localhost"))[0]


def test_is_ours() -> None:
    assert is_ours("ecs.aliyuncs.com:443") and is_ours("127.0.0.1:7700") and is_ours("localhost")
    assert not is_ours("notaliyuncs.com") and not is_ours("example.com:80")
