"""The package mirror inside the VPCs: which files it gives away, over a socket, to many, and which never."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import uvloop
from dnslib import QTYPE, DNSRecord  # type: ignore[import-untyped]

from haechi.cloud import mirror as module
from haechi.cloud.linklocal import own_names
from haechi.cloud.mirror import Mirror, open_file
from haechi.dataplane.dns import Resolver

BIG = bytes(range(256)) * 65536  # 16 MiB


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "mirror"
    (made / "haechi" / "deep").mkdir(parents=True)
    (made / "haechi" / "small").write_bytes(b"small\n")
    (made / "haechi" / "empty").touch()
    (made / "haechi" / "deep" / "a b+é.tar.gz").write_bytes(b"odd name")
    (made / "haechi" / ".half").write_bytes(b"half written")
    (made / ".hidden").mkdir()
    (made / ".hidden" / "file").write_bytes(b"hidden")
    (tmp_path / "secret").write_bytes(b"secret")
    (made / "link").symlink_to("haechi/small")
    (made / "out").symlink_to(tmp_path / "secret")
    (made / "folder").symlink_to("haechi")
    os.mkfifo(made / "pipe")
    return made


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/haechi/small", b"small\n"),
        ("haechi/small", b"small\n"),
        ("/haechi/%73mall", b"small\n"),
        ("/haechi/empty", b""),
        ("/haechi/deep/a%20b+%C3%A9.tar.gz", b"odd name"),
    ],
)
def test_files(root: Path, path: str, content: bytes) -> None:
    file = open_file(root, path)
    assert file is not None
    with os.fdopen(file, "rb") as opened:
        assert opened.read() == content


@pytest.mark.parametrize(
    "path",
    [
        "/", "", "/haechi", "/haechi/", "/haechi/deep", "/haechi/small/", "/haechi//small", "/haechi/small/x", "/nothing", "/haechi/no",
        "/../secret", "/haechi/../../secret", "/haechi/..%2f..%2fsecret", "/%2e%2e/secret", "/haechi/./small", "/haechi%2fsmall",
        "/haechi/small%00", "/haechi/.half", "/.hidden/file", "/link", "/out", "/folder/small", "/pipe", "/%ff",
    ],
)  # fmt: skip
def test_nothing_else(root: Path, path: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert open_file(root, path) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert open_file(tmp_path / "none", "/haechi/small") is None


def served(root: Path, session: Callable[[Mirror, int], Awaitable[None]]) -> None:
    """Run `session` with a mirror of one network and its port."""

    async def run() -> None:
        mirror = Mirror(root)
        listener = socket.create_server(("127.0.0.1", 0))
        await mirror.serve("vpc-1", listener)
        try:
            await session(mirror, listener.getsockname()[1])
        finally:
            mirror.close()
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0)
            for _ in range(10):  # what was closed goes with the loop's next turns
                await asyncio.sleep(0)

    uvloop.run(run())  # as the cloud does


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20)


async def say(port: int, text: bytes) -> bytes:
    """What comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def test_over_a_socket(root: Path) -> None:
    async def session(mirror: Mirror, port: int) -> None:
        async with client(port) as http:
            for _ in range(2):
                got = await http.get("/haechi/small?x=1")
                assert (got.status_code, got.content, got.headers["connection"]) == (200, b"small\n", "keep-alive")
            head = await http.head("/haechi/small")
            assert (head.status_code, head.headers["content-length"], head.content) == (200, "6", b"")
            assert (await http.get("/haechi/empty")).content == b""
            for path in ("/", "/haechi/", "/out", "/haechi/nothing"):
                assert (await http.get(path)).status_code == 404
            for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                refused = await http.request(method, "/haechi/small", content=b"x")
                assert (refused.status_code, refused.headers["allow"], refused.headers["connection"]) == (405, "GET, HEAD", "close")
        # the client library tidies such paths, others do not
        assert b"404" in (await say(port, b"GET /haechi/../../secret HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")).split(b"\r\n")[0]
        piped = await say(port, b"GET /haechi/small HTTP/1.1\r\nHost: m\r\n\r\nHEAD /none HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")
        assert piped.count(b"HTTP/1.1 200 OK") == piped.count(b"HTTP/1.1 404 Not Found") == piped.count(b"small\n") == 1
        assert (await say(port, b"GET /haechi/small HTTP/1.0\r\n\r\n")).endswith(b"Connection: close\r\n" + OCTETS + b"small\n")
        for bad in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 40000, b"\r\n\r\n", b"CONNECT h:1 HTTP/1.1\r\n\r\n"):
            assert (await say(port, bad)).startswith(b"HTTP/1.1 40")

    served(root, session)


OCTETS = b"Content-Type: application/octet-stream\r\n\r\n"


def test_many_at_once(root: Path) -> None:
    (root / "big").write_bytes(BIG)

    async def session(mirror: Mirror, port: int) -> None:
        async with client(port) as http:
            small = [asyncio.create_task(http.get("/haechi/small")) for _ in range(20)]
            big = await asyncio.gather(*(http.get("/big") for _ in range(8)))
            assert {hashlib.sha256(one.content).digest() for one in big} == {hashlib.sha256(BIG).digest()}
            assert {one.content for one in await asyncio.gather(*small)} == {b"small\n"}

    served(root, session)


def test_a_large_file_does_not_keep_the_others_waiting(root: Path) -> None:
    """Between two chunks of a file that flows as fast as it can, other connections have their turn."""
    (root / "big").write_bytes(BIG)

    async def session(mirror: Mirror, port: int) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count())
        assert len(await say(port, b"GET /big HTTP/1.0\r\n\r\n")) > len(BIG)
        counting.cancel()
        assert turns >= len(BIG) / module.CHUNK

    served(root, session)


def test_a_file_that_becomes_shorter_ends_the_connection(root: Path) -> None:
    (root / "big").write_bytes(BIG)

    async def session(mirror: Mirror, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /big HTTP/1.1\r\nHost: m\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        os.truncate(root / "big", 0)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(len(BIG))
        writer.close()

    served(root, session)


def test_who_sleeps_or_is_too_many_is_cut(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "big").write_bytes(BIG)
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(module, "AT_ONCE", 2)

    async def session(mirror: Mirror, port: int) -> None:
        sleeper, one = await asyncio.open_connection("127.0.0.1", port)
        slow, other = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        other.write(b"GET /big HTTP/1.1\r\nHost: m\r\n\r\n")
        await slow.readuntil(b"\r\n\r\n")
        with pytest.raises(ConnectionError):
            assert await say(port, b"GET /haechi/small HTTP/1.0\r\n\r\n") == b""
            raise ConnectionError  # closed either way: with or without a reset
        for reader, writer in ((sleeper, one), (slow, other)):
            with pytest.raises(ConnectionError):
                assert len(await asyncio.wait_for(reader.read(), 10)) < len(BIG)
                raise ConnectionError
            writer.close()
        assert (await say(port, b"GET /haechi/small HTTP/1.0\r\n\r\n")).endswith(b"small\n")

    served(root, session)


def test_forgetting_cuts_what_is_on_its_way(root: Path) -> None:
    (root / "big").write_bytes(BIG)

    async def session(mirror: Mirror, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /big HTTP/1.1\r\nHost: m\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        mirror.forget("vpc-1")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(len(BIG)), 10)
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

    served(root, session)


def test_its_name(root: Path) -> None:
    async def ask(name: str, kind: str) -> DNSRecord:
        resolver = Resolver([], own_names, set(), lambda addresses: None)
        reply = await resolver.answer("vpc-1", DNSRecord.question(name, kind).pack())
        assert reply is not None
        return DNSRecord.parse(reply)

    for name in ("mirrors.cloud.aliyuncs.com", "Mirrors.Cloud.Aliyuncs.Com."):
        found = asyncio.run(ask(name, "A"))
        assert [(rr.rtype, str(rr.rdata)) for rr in found.rr] == [(QTYPE.A, "100.100.2.148")]
    none = asyncio.run(ask("mirrors.cloud.aliyuncs.com", "AAAA"))
    assert none.rr == [] and none.header.rcode == 0
    assert asyncio.run(ask("mirrors.aliyun.com", "A")).header.rcode != 0
