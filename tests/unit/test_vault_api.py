"""Vault's HTTP: verbs, bodies, sizes, types, spellings of paths, errors, what a sealed one answers; and the connection below it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from haechi.vault import http
from haechi.vault.api import DEEPEST, MOST_VALUES, Api
from tests.vaultlab import VaultLab

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    made = VaultLab()
    made.ok("POST", "sys/mounts/kv", {"type": "kv"})
    made.ok("POST", "sys/mounts/kv2", {"type": "kv-v2"})
    yield made
    made.close()


async def raw(vault: VaultLab, method: str, target: bytes, *bodies: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> Any:
    """Status, headers and body of a request as it stands on the wire, its body in pieces."""
    path, _, query = target.partition(b"?")
    messages = [{"type": "http.request", "body": body, "more_body": True} for body in bodies] + [{"type": "http.request"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    own = [(b"x-vault-token", vault.root.encode())] + ([(b"transfer-encoding", b"chunked")] if bodies else [])
    scope = {"type": "http", "method": method, "path": "", "raw_path": path, "query_string": query, "headers": [*(headers or []), *own]}
    await vault.api(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


# Verbs.


def test_post_and_put_are_the_same_and_get_reads(vault: VaultLab) -> None:
    for number, method in enumerate(("POST", "PUT")):
        assert vault.call(method, "kv/a", {"n": number}) == (204, None)
        assert vault.ok("GET", "kv/a")["data"] == {"n": number}
    assert vault.call("DELETE", "kv/a") == (204, None)
    assert vault.refused("GET", "kv/a") == (404, [])


def test_list_is_a_verb_and_a_query(vault: VaultLab) -> None:
    vault.ok("POST", "kv/f/a", {"n": 1})
    for method, path in (
        ("LIST", "kv"),
        ("LIST", "kv/"),
        ("LINK", "kv"),
        ("GET", "kv?list=true"),
        ("GET", "kv/?list=1"),
        ("GET", "kv?list=True"),
    ):
        assert vault.ok(method, path)["data"] == {"keys": ["f/"]}, (method, path)
    assert vault.refused("LIST", "kv/none") == (404, [])
    assert vault.refused("GET", "kv/f?list=false") == (404, [])


def test_head_says_what_get_would_without_a_body(vault: VaultLab) -> None:
    vault.ok("POST", "kv/a", {"n": 1})
    for path in ("kv/a", "kv/none", "sys/health", "sys/mounts", "none"):
        status, _ = vault.call("GET", path)
        assert vault.call("HEAD", path) == (status, None)
    assert vault.call("HEAD", "kv/a", token="") == (403, None)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "COPY", "PROPFIND", "ANYTHING"])
def test_other_verbs_are_405(vault: VaultLab, method: str) -> None:
    for path in ("kv/a", "sys/health", "sys/seal"):
        assert vault.call(method, path) == (405, {"errors": []})


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "sys/init"), ("PUT", "sys/health"), ("LIST", "sys/seal-status"), ("GET", "sys/unseal"), ("GET", "sys/rekey/update")],
)
def test_verbs_that_an_operators_endpoint_has_not(vault: VaultLab, method: str, path: str) -> None:
    assert vault.call(method, path) == (405, {"errors": []})


def test_verbs_that_a_backend_has_not(vault: VaultLab) -> None:
    assert vault.refused("DELETE", "auth/token/create") == (405, ["1 error occurred:\n\t* unsupported operation\n\n"])
    assert vault.refused("GET", "sys/no/such/thing") == (404, ["1 error occurred:\n\t* unsupported path\n\n"])
    assert vault.refused("GET", "no/mount/here") == (404, ['no handler for route "no/mount/here". route entry not found.'])


def test_patch_wants_its_content_type(vault: VaultLab) -> None:
    vault.ok("POST", "kv2/data/a", {"data": {"x": "1", "y": "1"}})
    for type in ("application/json", "", "text/plain"):
        status, errors = vault.refused("PATCH", "kv2/data/a", {"data": {"x": "2"}}, headers={"Content-Type": type})
        assert status == 415 and errors[0].startswith("PATCH requires Content-Type of application/merge-patch+json")
    vault.ok("PATCH", "kv2/data/a", {"data": {"x": "2"}}, headers=MERGE)
    vault.ok("PATCH", "kv2/data/a", {"data": {"z": "3"}}, headers={"Content-Type": "application/merge-patch+json; charset=utf-8"})
    assert vault.ok("GET", "kv2/data/a")["data"]["data"] == {"x": "2", "y": "1", "z": "3"}


def test_a_write_to_a_folder_is_refused(vault: VaultLab) -> None:
    assert vault.refused("POST", "kv/a/", {"x": "y"}) == (400, ["cannot write to a path ending in '/'"])
    assert vault.refused("GET", "kv/a/") == (404, [])


# Bodies.


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"5",
        b"true",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a":1}x',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
    ],
    ids=lambda body: str(body[:12]),
)
def test_what_is_no_json_object_is_refused(vault: VaultLab, body: bytes) -> None:
    status, errors = vault.refused("POST", "kv/a", body)
    assert status == 400 and errors[0].startswith("failed to parse JSON input: ")
    assert vault.refused("GET", "kv/a") == (404, [])


def test_numbers_and_texts_come_back_as_they_were_sent(vault: VaultLab) -> None:
    data: dict[str, Any] = {"i": 10**300, "f": 1.5e-300, "n": None, "b": True, "t": "é\u2028🔥\x00", "": "", "l": [[], {}], "z": -0.0}
    vault.ok("POST", "kv/a", data)
    assert vault.ok("GET", "kv/a")["data"] == data


def test_text_that_is_none_is_replaced_as_go_does(vault: VaultLab) -> None:
    vault.ok("POST", "kv/a", b'{"half \\ud800": ["\\uDFFF x", {"whole": "\\ud83d\\ude00"}], "bytes": "\xff\xed\xa0\x80"}')
    found = vault.ok("GET", "kv/a")["data"]
    assert found["half \ufffd"] == ["\ufffd x", {"whole": "😀"}] and set(found["bytes"]) == {"\ufffd"}
    vault.ok("PUT", "sys/policies/acl/odd", b'{"policy": "path \\"\\ud800*\\" { capabilities = [\\"read\\"] }"}')
    token = vault.ok("POST", "auth/token/create", {"policies": ["odd"]})["auth"]["client_token"]
    assert vault.refused("GET", "kv/a", token=token)[0] == 403


def test_nesting_and_size_have_their_limits(vault: VaultLab) -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    vault.ok("POST", "kv/deep", nested(DEEPEST))
    assert vault.call("GET", "kv/deep")[0] == 200
    vault.ok("POST", "kv2/data/deep", b'{"data":' + nested(DEEPEST - 1) + b"}")
    assert vault.call("GET", "kv2/data/deep")[0] == 200
    assert vault.refused("POST", "kv/a", nested(DEEPEST + 1))[0] == 400
    vault.ok("POST", "kv/wide", {"a": list(range(MOST_VALUES - 1))})
    assert vault.refused("POST", "kv/a", {"a": list(range(MOST_VALUES))})[0] == 400
    assert vault.refused("POST", "kv/a", {str(n): n for n in range(MOST_VALUES + 1)})[0] == 400
    vault.ok("POST", "kv/text", {"a": "[,{" * MOST_VALUES})  # in a text they are nothing
    assert vault.refused("GET", "kv/a") == (404, [])


def test_no_body_and_null_are_an_empty_object(vault: VaultLab) -> None:
    for body in (None, b"", b"  \n", b"null", b"{}"):
        assert vault.refused("POST", "kv/a", body) == (400, ["missing data fields"])


def test_a_form_is_taken_where_the_content_type_says_so(vault: VaultLab) -> None:
    vault.ok("POST", "kv/a", b"x=1&y=a%20b&y=last&empty=", headers=FORM)
    assert vault.ok("GET", "kv/a")["data"] == {"x": "1", "y": "last", "empty": ""}
    assert vault.refused("POST", "kv/a", b"x=1") == (400, ["failed to parse JSON input: the body is not valid JSON"])
    for body in (b"x=%ff", b"\xff=1", b"&".join(b"k%d=1" % n for n in range(1001))):
        assert vault.refused("POST", "kv/a", body, headers=FORM) == (400, ["error parsing form data"])


def test_the_query_of_a_get_is_its_data_and_that_of_a_post_is_not(vault: VaultLab) -> None:
    for value in ("1", "2"):
        vault.ok("POST", "kv2/data/a", {"data": {"x": value}})
    assert vault.ok("GET", "kv2/data/a?version=1")["data"]["data"] == {"x": "1"}
    assert vault.refused("POST", "kv/a?x=y") == (400, ["missing data fields"])


def test_bodies_come_in_pieces_and_are_limited(vault: VaultLab) -> None:
    small = Api(vault.core, vault.operator, max_body=1000)
    vault.api = small

    async def work() -> None:
        status, _, _ = await raw(vault, "POST", b"/v1/kv/a", b'{"x": "', b"y" * 900, b'"}')
        assert status == 204
        status, headers, body = await raw(vault, "POST", b"/v1/kv/b", b'{"x": "', b"y" * 900, b"y" * 900, b'"}')
        assert status == 413 and headers[b"connection"] == b"close" and json.loads(body) == {"errors": ["request body too large"]}
        vault.api = Api(vault.core, vault.operator, max_body=0, max_seconds=0)  # no limits
        assert (await raw(vault, "POST", b"/v1/kv/c", b'{"x": "', b"y" * 10_000, b'"}'))[0] == 204

    vault.run(work())
    assert vault.ok("LIST", "kv")["data"]["keys"] == ["a", "c"]


def test_a_body_that_does_not_end_in_time_or_at_all(vault: VaultLab) -> None:
    slow = Api(vault.core, vault.operator, max_seconds=0.01)

    async def work(*messages: dict[str, Any]) -> Any:
        waiting, sent = list(messages), list[Any]()

        async def receive() -> Any:
            return waiting.pop(0) if waiting else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-length", b"10")]
        scope = {"type": "http", "method": "PUT", "path": "", "raw_path": b"/v1/sys/unseal", "query_string": b"", "headers": headers}
        await slow(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]).get(b"connection")

    assert vault.run(work({"type": "http.request", "body": b"{", "more_body": True})) == (408, b"close")
    assert vault.run(work({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}))[0] == 400


# Paths.


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/v1//kv/a", b"/v1/kv/a"),
        (b"/v1/kv//a", b"/v1/kv/a"),
        (b"/v1/kv/./a/", b"/v1/kv/a/"),
        (b"/v1/kv/../sys/health?x=1&y=%20", b"/v1/sys/health?x=1&y=%20"),
        (b"/v1/kv/%2e%2E/sys%2Finit", b"/v1/sys/init"),
        (b"/v1/kv/a%0d%0aSet-Cookie:x/..", b"/v1/kv/"),
        (b"/v1/kv/a/..%0d%0aX:1//b", b"/v1/kv/a/..%0D%0AX%3A1/b"),
        (b"/v1/../../v1/kv", b"/v1/kv"),
        (b"/v1/..", b"/"),
    ],
)
def test_another_spelling_of_a_path_is_sent_to_its_own(vault: VaultLab, target: bytes, location: bytes) -> None:
    status, headers, body = vault.run(raw(vault, "GET", target))
    assert (status, headers[b"location"], body) == (301, location, b"")
    assert not any(byte in headers[b"location"] for byte in b"\r\n")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/", 404),
        (b"/v1", 404),
        (b"/v2/sys/health", 404),
        (b"/V1/sys/health", 404),
        (b"/v1/", 404),
        (b"/v1/SYS/health", 404),
        (b"*", 404),
        (b"", 404),
        (b"/v1/%ff", 400),
        (b"/v1/kv/%00", 404),
        (b"/v1/kv/...", 404),
        (b"/v1/kv/a%2fb", 404),
        (b"/v1/kv/a?" + b"&".join(b"k%d=1" % n for n in range(1001)), 400),
        (b"/v1/kv/a?%ff", 400),
        (b"/v1/kv/" + b"a/" * 600 + b"b", 400),
        (b"/v1/kv/" + b"a" * 20_000, 400),
        (b"/v1/" + b"a/" * 30_000, 404),
    ],
    ids=lambda value: str(value[:30]) if isinstance(value, bytes) else None,
)
def test_odd_targets(vault: VaultLab, target: bytes, status: int) -> None:
    found, headers, body = vault.run(raw(vault, "GET", target))
    assert found == status and headers[b"content-type"] == b"application/json" and "errors" in json.loads(body)


# Answers.


def test_the_headers_of_an_answer(vault: VaultLab) -> None:
    vault.ok("POST", "kv/a", {"x": "y"})
    for method, target, status in (
        ("GET", b"/v1/kv/a", 200),
        ("POST", b"/v1/kv/a", 400),
        ("GET", b"/v1/none", 404),
        ("DELETE", b"/v1/kv/b", 204),
    ):
        found, headers, body = vault.run(raw(vault, method, target))
        assert found == status and headers[b"cache-control"] == b"no-store"
        if status == 204:
            assert body == b"" and b"content-type" not in headers and b"content-length" not in headers
        else:
            assert headers[b"content-type"] == b"application/json" and int(headers[b"content-length"]) == len(body) and body.endswith(b"\n")
    _, headers, _ = vault.run(raw(vault, "GET", b"/v1/kv/a", headers=[(b"x-vault-namespace", b"team/")]))
    assert headers[b"x-vault-namespace"] == b"team/"


def test_the_envelope(vault: VaultLab) -> None:
    vault.ok("POST", "kv2/data/a", {"data": {"x": "y"}})
    answer = vault.ok("GET", "kv2/data/a")
    assert set(answer) == {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth", "mount_type"}
    assert answer["mount_type"] == "kv" and answer["auth"] is answer["warnings"] is answer["wrap_info"] is None
    assert vault.ok("GET", "kv2/data/a")["request_id"] != answer["request_id"]


def test_an_error_inside_tells_neither_caller_nor_log_what_was_said(vault: VaultLab, caplog: pytest.LogCaptureFixture) -> None:
    mount = vault.core.mounts.get("kv/")
    assert mount is not None

    def read(request: Any, path: str) -> Any:
        secret = "canary-in-a-variable"
        raise RuntimeError(f"canary {secret} {request.data}")

    vault.core.backend(mount).read = read  # type: ignore[attr-defined]
    assert vault.call("GET", "kv/a?x=canary") == (500, {"errors": ["internal error"]})
    assert "a request failed: RuntimeError" in caplog.text and "in read" in caplog.text
    assert "canary-in" not in caplog.text.replace('secret = "canary-in-a-variable"', "") and "{'x'" not in caplog.text


# Sealed.


def test_a_sealed_vault_answers_503_to_everything_but_the_listed_endpoints(vault: VaultLab) -> None:
    free = {"sys/init": 200, "sys/seal-status": 200, "sys/health": 503, "sys/leader": 200}
    backends = [vault.core.backend(mount) for mount in vault.core.mounts.all()]
    targets = {
        backend.mount.path + route.pattern.replace("{", "").replace("}", "").replace("...", "")
        for backend in backends
        for route in backend.ROUTES
    }
    vault.ok("PUT", "sys/seal")
    assert len(targets) > 80
    for path in [
        *sorted(targets),
        "kv/a",
        "none",
        "auth/none/login",
        "",
        "sys/rekey/init",
        "sys/rekey/verify",
        "sys/generate-root/attempt",
    ]:
        for token in (vault.root, "", "hvs.unknown"):
            assert vault.call("GET", path, token=token) == (503, {"errors": ["Vault is sealed"]}), path
    for method in ("POST", "DELETE", "LIST"):
        assert vault.call(method, "kv/a", {"x": "y"} if method == "POST" else None) == (503, {"errors": ["Vault is sealed"]})
    assert vault.refused("PATCH", "kv2/data/a", {}, headers=MERGE) == (503, ["Vault is sealed"])
    for path, status in free.items():
        assert vault.call("GET", path, token="")[0] == status
    assert vault.call("HEAD", "kv/a") == (503, None)


def test_an_uninitialised_vault_is_sealed() -> None:
    vault = VaultLab(fresh=False)
    assert vault.refused("GET", "sys/mounts", token="x") == (503, ["Vault is sealed"])
    vault.close()


# The connection.


@asynccontextmanager
async def served(vault: VaultLab) -> AsyncIterator[int]:
    """The lab behind a real socket, as server.py serves it."""
    config = uvicorn.Config(vault.api, interface="asgi3", lifespan="off", log_config=None, access_log=False, ws="none")
    config.load()
    state = ServerState()
    state.default_headers = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: http.VaultProtocol(config, state, {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for protocol in list(state.connections):
            protocol.transport.close()
        while state.connections:
            await asyncio.sleep(0.001)


def talk(vault: VaultLab, *pieces: bytes) -> bytes:
    """All that comes back on one connection, until the server closes it."""

    async def work() -> bytes:
        async with served(vault) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
                return await asyncio.wait_for(reader.read(), 10)
            except ConnectionError:
                return b"reset"
            finally:
                writer.close()

    return vault.run(work())


def test_list_is_understood_on_the_wire_whole_and_in_pieces(vault: VaultLab) -> None:
    vault.ok("POST", "kv/a", {"x": "y"})
    head = f"/v1/kv HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {vault.root}\r\n".encode()
    listing = b"LIST " + head + b"\r\n"
    last = b"LIST " + head + b"Connection: close\r\n\r\n"
    for pieces in ([listing, last], [b"L", b"IS", b"T ", listing[5:], last], [listing[:3], listing[3:40], listing[40:], last]):
        answer = talk(vault, *pieces)
        assert answer.count(b'"keys":["a"]') == 2 and answer.count(b"HTTP/1.1 200 OK") == 2


def test_a_body_that_begins_with_list_is_a_body(vault: VaultLab) -> None:
    head = f"POST /v1/kv/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {vault.root}\r\nContent-Type: {FORM['Content-Type']}\r\n"
    answer = talk(vault, head.encode() + b"Content-Length: 7\r\nConnection: close\r\n\r\n", b"LIST =x")
    assert answer.startswith(b"HTTP/1.1 204") and vault.ok("GET", "kv/a")["data"] == {"LIST ": "x"}


def test_chunks_continue_and_close_are_http(vault: VaultLab) -> None:
    head = f"POST /v1/kv/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {vault.root}\r\nConnection: close\r\n".encode()
    answer = talk(vault, head + b"Transfer-Encoding: chunked\r\n\r\n", b'5\r\n{"x":\r\n', b'4\r\n"y"}\r\n0\r\n\r\n')
    assert answer.startswith(b"HTTP/1.1 204") and b"connection: close" in answer
    answer = talk(vault, head + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", b'{"x":"z"}')
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204")
    assert vault.ok("GET", "kv/a")["data"] == {"x": "z"}
    assert talk(vault, b"GET /v1/sys/init HTTP/1.0\r\n\r\n").endswith(b'{"initialized":true}\n')


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET ?x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"PUT /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_and_the_end_of_the_connection(vault: VaultLab, request_: bytes) -> None:
    assert talk(vault, request_).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_an_upgrade_is_not_offered(vault: VaultLab) -> None:
    head = b"GET /v1/sys/init HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    answer = talk(vault, head + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b'{"initialized":true}\n')


def test_a_flood_of_headers_is_cut_off(vault: VaultLab) -> None:
    flood = b"".join(b"X%d: %s\r\n" % (n, b"y" * 1000) for n in range(1000))
    answer = talk(vault, b"GET /v1/sys/init HTTP/1.1\r\n", flood)
    assert answer == b"reset" or answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    few = b"".join(b"X%d: %s\r\n" % (n, b"y" * 1000) for n in range(50))
    assert talk(vault, b"GET /v1/sys/init HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", few + b"\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "pieces",
    [[], [b"GET /v1/sys/"], [b"LI"], [b"GET /v1/sys/init HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/"]],
    ids=["nothing", "head", "verb", "second"],
)
def test_a_head_that_does_not_come_ends_the_connection(vault: VaultLab, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.05)
    answer = talk(vault, *pieces)
    assert answer.count(b"HTTP/1.1 200") == (1 if b"init HTTP" in b"".join(pieces) else 0)


def test_a_connection_that_rests_between_requests_stays(vault: VaultLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.05)
    request = b"GET /v1/sys/init HTTP/1.1\r\nHost: x\r\n"

    async def work() -> bytes:
        async with served(vault) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request + b"\r\n")
            first = await reader.readuntil(b"true}\n")
            await asyncio.sleep(0.15)
            writer.write(request + b"Connection: close\r\n\r\n")
            answer = first + await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return answer

    assert vault.run(work()).count(b"HTTP/1.1 200") == 2
