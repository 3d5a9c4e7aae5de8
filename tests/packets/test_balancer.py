"""Balancers for tcp, http and https with real packets: who gets a connection, what the backend sees of it, who is refused."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haechi.dataplane.kernel import KernelError, run
from haechi.dataplane.plan import Health
from tests.packets.balancerlab import HEALTH, SOURCE, TCP_HEALTH, Lab, TcpServer, WebServer, on, tcp, until, web


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.down()


@pytest.fixture(scope="session")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """`server`: certificate and key of shop.test; `ca`, and `client` and `stranger` (a client of another authority)."""
    folder = tmp_path_factory.mktemp("pems")

    def make(name: str, subject: str, *more: str) -> None:
        keys = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/{name}.key")
        run("openssl", "req", "-x509", *keys, "-out", f"{folder}/{name}.crt", "-subj", f"/CN={subject}", "-days", "2", *more)

    make("server", "shop.test", "-addext", "subjectAltName=DNS:shop.test")
    make("ca", "authority")
    make("stranger", "client")
    make("client", "client", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key")
    found = {name: (folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text() for name in ("server", "client", "stranger")}
    for name, text in found.items():
        (folder / f"{name}.pem").write_text(text)
    return {**found, "ca": (folder / "ca.crt").read_text(), "folder": str(folder)}


def curl(lab: Lab, pems: dict[str, str], *more: str, port: int = 443, path: str = "/") -> subprocess.CompletedProcess[str]:
    """curl by name and with the server's certificate trusted; writes "version status" after the body."""
    address = f"shop.test:{port}:{lab.address}"
    options = ("--noproxy", "*", "-sS", "-m", "8", "--cacert", f"{pems['folder']}/server.crt", "--resolve", address)
    command = ("curl", *options, "-w", "\n%{http_version} %{http_code}", *more, f"https://shop.test:{port}{path}")
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_requests_are_shared_by_weight(lab: Lab) -> None:
    lab.apply(
        web(*on("a", "b", "c", a=60, b=20, c=0)), tcp(*on("a", "b", port=9000, a=0)), web(*on("a", "b", a=99, b=1), port=81, scheduler="rr")
    )
    assert Counter(lab.who(40)) == {"a": 30, "b": 10}
    assert {lab.named() for _ in range(10)} == {"b"}
    assert Counter(lab.who(10, port=81)) == {"a": 5, "b": 5}, "round robin knows no weights but 0"
    lab.apply(web(*on("a", "b", "c", a=0, b=0, c=1)))
    assert set(lab.who(10)) == {"c"}
    with pytest.raises(OSError):
        lab.get(port=81)


def test_backends_see_the_balancer_and_its_headers_tell_of_the_client(lab: Lab) -> None:
    lab.apply(
        web(*on("a"), headers=("X-Forwarded-For", "X-Forwarded-Proto", "SLB-IP", "SLB-ID")),
        tcp(*on("b", port=9000)),
        web(*on("a"), port=81, headers=()),
    )
    client = lab.clients[3]
    reply = lab.get("/x?y=%20z", source=client, headers={"SLB-ID": "forged"})
    assert reply.seen["peer"] == SOURCE
    assert reply.seen["path"] == "/x?y=%20z"
    assert reply.header("X-Forwarded-For") == [client]
    assert reply.header("X-Forwarded-Proto") == ["http"]
    assert reply.header("SLB-IP") == [lab.address]
    assert reply.header("SLB-ID") == ["lb-1"]
    bare = lab.get(port=81, source=client)
    assert not [value for name in ("X-Forwarded-For", "X-Forwarded-Proto", "SLB-IP", "SLB-ID") for value in bare.header(name)]
    with lab.connect() as one:
        assert one.recv(100) == f"b {SOURCE}\n".encode()


@pytest.mark.parametrize(
    "sent",
    [["1.2.3.4"], ["1.2.3.4, 5.6.7.8"], ["1.2.3.4", "5.6.7.8"], ["9.9.9.9, 1.1.1.1", "2.2.2.2", "3.3.3.3"], ["", "4.4.4.4"]],
    ids=["one", "list", "two", "three", "empty"],
)
def test_the_client_is_appended_to_what_it_said_itself(lab: Lab, sent: list[str]) -> None:
    lab.apply(web(*on("a")))
    reply = lab.get(headers=[("X-Forwarded-For", value) for value in sent])
    assert reply.header("X-Forwarded-For") == [", ".join([*sent, lab.site.outside])]


def test_only_the_healthy_get_traffic(lab: Lab) -> None:
    plan = lab.apply(web(health=HEALTH), tcp(health=TCP_HEALTH), web(*on("c"), port=81))
    assert set(lab.who(10)) == {"a", "b"}
    sick = lab.servers["a", 8080]
    assert isinstance(sick, WebServer)
    sick.healthy = False
    lab.stop("a", 9000)
    keys = {p: ("http" if p == 80 else "tcp", p, "a", 8080 if p == 80 else 9000) for p in (80, 8000)}
    until(lambda: all(lab.balancers.health("lb-1")[key] == "abnormal" for key in keys.values()), 6)
    assert set(lab.who(10)) == {"b"}
    assert {lab.named() for _ in range(6)} == {"b"}
    health = lab.balancers.health("lb-1")
    assert health["http", 80, "b", 8080] == health["tcp", 8000, "b", 9000] == "normal"
    assert health["http", 81, "c", 8080] == "unavailable"
    lab.balancers.apply(lab.plan(web(health=HEALTH), tcp(health=TCP_HEALTH), web(*on("b"), port=81)))
    assert lab.balancers.health("lb-1")[keys[80]] == "abnormal", "a reload forgets no failed check"
    assert set(lab.who(10)) == {"b"}
    sick.healthy = True
    lab.serve("a", 9000, TcpServer)
    until(lambda: all(lab.balancers.health("lb-1")[key] == "normal" for key in keys.values()), 6)
    assert set(lab.who(10)) == {"a", "b"}
    assert {lab.named() for _ in range(6)} == {"a", "b"}
    assert plan.balancers["lb-1"].listeners[0].health == HEALTH


def test_what_a_check_asks_and_takes_for_good(lab: Lab) -> None:
    asks = replace(HEALTH, path="/health?deep=1", host="check.test", method="HEAD")
    fails = replace(HEALTH, codes=("http_3xx", "http_4xx"))
    elsewhere = replace(HEALTH, port=9999)
    other = replace(TCP_HEALTH, port=9000)
    lab.apply(
        web(*on("a"), health=asks),
        web(*on("b"), port=81, health=fails),
        web(*on("c"), port=82, health=elsewhere),
        web(*on("c"), port=83, health=other),
    )
    until(lambda: lab.balancers.health("lb-1")["http", 81, "b", 8080] == "abnormal")
    until(lambda: lab.balancers.health("lb-1")["http", 82, "c", 8080] == "abnormal")
    health = lab.balancers.health("lb-1")
    assert health["http", 80, "a", 8080] == health["http", 83, "c", 8080] == "normal"
    assert "HEAD /health?deep=1 HTTP/1.0 check.test" in lab.servers["a", 8080].log


def test_weight_0_is_healthy_and_gets_nothing_new(lab: Lab) -> None:
    lab.apply(web(*on("a", "b", a=0), health=HEALTH))
    time.sleep(1.5)
    assert lab.balancers.health("lb-1")["http", 80, "a", 8080] == "normal"
    assert set(lab.who(6)) == {"b"}


def test_a_backend_without_a_check_any_more_is_in_again(lab: Lab) -> None:
    broken = replace(HEALTH, path="/health", port=9999)
    lab.apply(web(*on("a"), health=broken))
    until(lambda: lab.balancers.health("lb-1")["http", 80, "a", 8080] == "abnormal")
    assert lab.get().status == 503
    lab.apply(web(*on("a")))
    assert lab.who(3) == ["a"] * 3


def test_without_a_backend_the_answer_is_quick(lab: Lab) -> None:
    nobody = Health("tcp", port=9999, interval=1, timeout=1, rise=2, fall=1)
    lab.apply(web(health=nobody), tcp(health=nobody), replace(web(port=81), backends=()), replace(tcp(port=8001), backends=()))
    until(lambda: set(lab.balancers.health("lb-1").values()) == {"abnormal"})
    start = time.monotonic()
    assert lab.get().status == lab.get(port=81).status == 503
    assert lab.named() == lab.named(8001) == ""
    assert time.monotonic() - start < 5  # not one of them waited for its queue of 5 s


def test_an_unchecked_dead_backend_is_passed_over(lab: Lab) -> None:
    lab.stop("a", 8080)
    lab.apply(web())
    assert set(lab.who(6)) == {"b"}


def test_clients_stick_by_our_cookie(lab: Lab) -> None:
    lab.apply(web(*on("a", "b", "c"), sticky="insert", cookie_seconds=600))
    first = lab.get()
    cookie = first.headers["Set-Cookie"]
    assert "Max-Age=600" in cookie
    held = cookie.split(";")[0]
    again = [lab.get(headers={"Cookie": f"theme=dark; {held}"}) for _ in range(9)]
    assert {reply.name for reply in again} == {first.name}
    assert again[0].header("Cookie") == ["theme=dark"], "the backend does not see it"
    assert set(lab.who(9)) == {"a", "b", "c"}, "without it nobody sticks"
    name, value = first.name, held
    lab.apply(web(*(one for one in on("a", "b", "c") if one.id != name), sticky="insert", cookie_seconds=600))
    assert lab.get(headers={"Cookie": value}).name != name


def test_clients_stick_by_a_cookie_of_the_server(lab: Lab) -> None:
    lab.apply(web(*on("a", "b", "c"), sticky="server", cookie="session"))
    assert lab.get().headers["Set-Cookie"] is None
    first = lab.get("/login")
    held = first.headers["Set-Cookie"].split(";")[0]
    assert held.startswith("session=")
    assert held != "session=abc"
    again = [lab.get(headers={"Cookie": held}) for _ in range(9)]
    assert {reply.name for reply in again} == {first.name}
    assert again[0].header("Cookie") == ["session=abc"]
    assert set(lab.who(9)) == {"a", "b", "c"}


def test_clients_stick_by_their_address(lab: Lab) -> None:
    hashed = web(*on("a", "b", "c"), scheduler="sch")
    lab.apply(
        hashed, tcp(*on("a", "b", "c", port=9000), scheduler="tch"), tcp(*on("a", "b", "c", port=9000), port=8001, persistence_seconds=60)
    )
    before = {client: lab.who(3, source=client) for client in lab.clients}
    assert all(len(set(names)) == 1 for names in before.values())
    assert {names[0] for names in before.values()} == {"a", "b", "c"}
    assert {lab.named() for _ in range(30)} == {"a", "b", "c"}, "the port of the client counts"
    kept = {client: lab.named(8001, client) for client in lab.clients[:6]}
    assert set(kept.values()) == {"a", "b", "c"}
    assert all(lab.named(8001, client) == name for client, name in kept.items() for _ in range(2))
    # the first of three is gone: only its own clients move
    lab.apply(replace(hashed, backends=on("b", "c")), tcp(*on("b", "c", port=9000), port=8001, persistence_seconds=60))
    for client, names in before.items():
        now = lab.who(1, source=client)[0]
        assert now == names[0] if names[0] != "a" else now in "bc"
    assert all(lab.named(8001, client) == name for client, name in kept.items() if name != "a"), "a reload forgets no client"


def test_the_least_busy_gets_the_next(lab: Lab) -> None:
    lab.apply(tcp(scheduler="wlc"))
    held, names = [], []
    for _ in range(2):  # one after the other: a connection counts when its backend has answered
        held.append(lab.connect())
        names.append(held[-1].recv(100)[:1])
    assert sorted(names) == [b"a", b"b"]
    held.pop(names.index(b"a")).close()
    for _ in range(3):
        time.sleep(0.5)  # until the balancer has seen the last one close
        assert lab.named() == "a"
    for one in held:
        one.close()


def test_access_lists(lab: Lab) -> None:
    friend, foe = lab.clients[1], lab.clients[2]
    allow, deny = (f"{friend}/32", "203.0.113.0/24"), (f"{foe}/32",)
    lab.apply(web(allow=allow), web(port=81, deny=deny), tcp(allow=allow), tcp(port=8001, deny=deny), web(port=82, allow=()))
    for port, named in ((80, lab.who), (81, lab.who)):
        assert named(1, port=port, source=friend)[0] in "ab"
        with pytest.raises(OSError):
            named(1, port=port, source=foe)
    for port in (8000, 8001):
        assert lab.named(port, friend) in ("a", "b")
        assert lab.named(port, foe) == ""
    with pytest.raises(OSError):
        lab.get(port=82, source=friend)
    many = tuple(f"10.{n // 200}.{n % 200}.0/24" for n in range(400))
    lab.apply(web(allow=(*many, f"{friend}/32")))
    assert lab.who(1, source=friend)[0] in "ab"
    with pytest.raises(OSError):
        lab.get(source=foe)


def test_redirect(lab: Lab) -> None:
    lab.apply(replace(web(redirect_port=8443), backends=()), replace(web(port=81, redirect_port=443), backends=()))
    reply = lab.get("/a/b?c=d", headers={"Host": "shop.test:80"})
    assert (reply.status, reply.headers["Location"]) == (301, "https://shop.test:8443/a/b?c=d")
    assert lab.get("/", port=81, headers={"Host": "shop.test"}).headers["Location"] == "https://shop.test/"


def test_a_slow_backend_is_given_up(lab: Lab) -> None:
    lab.apply(web(*on("a"), request_seconds=1), web(*on("a"), port=81, request_seconds=10))
    start = time.monotonic()
    assert lab.get("/slow").status == 504
    assert time.monotonic() - start < 8  # long before the other listener's 10 s
    assert lab.get("/slow", port=81).name == "a"


def test_idle_connections_end(lab: Lab) -> None:
    lab.apply(tcp(established_seconds=1), web(idle_seconds=1), tcp(port=8001))
    with lab.connect() as one, lab.connect(80) as two, lab.connect(8001) as kept:
        two.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for each in (one, two, kept):
            each.settimeout(4)
            assert each.recv(4096)
        start = time.monotonic()
        while two.recv(4096):
            pass
        assert one.recv(10) == b""
        assert time.monotonic() - start < 3
        kept.sendall(b"still here")
        assert kept.recv(100) == b"still here"


def test_upgraded_connections_carry_anything(lab: Lab) -> None:
    lab.apply(web(*on("a")))
    with lab.connect(80) as one:
        one.sendall(b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        assert one.recv(4096).startswith(b"HTTP/1.1 101")
        for message in (b"\x81\x05hello", b"\x00\xff"):
            one.sendall(message)
            assert one.recv(100) == message


def test_compression(lab: Lab) -> None:
    lab.apply(web(*on("a")), web(*on("a"), port=81, gzip=False))
    reply = lab.get("/big", headers={"Accept-Encoding": "gzip"})
    assert reply.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body))["name"] == "a"
    assert len(reply.body) < 2000
    assert lab.get("/big").headers["Content-Encoding"] is None
    assert lab.get("/big", port=81, headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] is None


def test_https(lab: Lab, pems: dict[str, str]) -> None:
    secure = replace(
        web(*on("a"), port=443, certificate=pems["server"]), protocol="https", headers=("X-Forwarded-For", "X-Forwarded-Proto")
    )
    lab.apply(secure, replace(secure, port=444, http2=False))
    done = curl(lab, pems, "-H", "X-Forwarded-For: 1.2.3.4")
    body, _, end = done.stdout.rpartition("\n")
    assert end == "2 200", done.stderr
    headers = {name.lower(): value for name, value in json.loads(body)["headers"]}
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-for"] == f"1.2.3.4, {lab.site.outside}"
    assert curl(lab, pems, port=444).stdout.endswith("\n1.1 200")
    assert curl(lab, pems, "--cacert", f"{pems['folder']}/ca.crt").returncode == 60, "an unknown authority"
    folder = lab.site.run / "balancers" / "lb-1"
    assert all(path.stat().st_mode & 0o77 == 0 for path in (folder, *folder.glob("*.pem"), *folder.glob("*.cfg")))
    old, both = "tls_cipher_policy_1_0", "tls_cipher_policy_1_2_strict_with_1_3"
    lab.apply(
        replace(secure, tls_policy=old),
        replace(secure, port=444, tls_policy=both),
        replace(secure, port=445, tls_policy="tls_cipher_policy_1_2"),
    )
    first = ("--tlsv1.0", "--tls-max", "1.0", "--ciphers", "DEFAULT@SECLEVEL=0")
    newest = ("--tlsv1.3",)
    works = {
        (port, n): curl(lab, pems, *how, port=port).returncode == 0
        for port in (443, 444, 445)
        for n, how in ((1.0, first), (1.3, newest), (0, ()))
    }
    assert works == {
        (443, 1.0): True, (443, 1.3): False, (443, 0): True,
        (444, 1.0): False, (444, 1.3): True, (444, 0): True,
        (445, 1.0): False, (445, 1.3): False, (445, 0): True,
    }  # fmt: skip


def test_mutual_tls(lab: Lab, pems: dict[str, str]) -> None:
    lab.apply(replace(web(*on("a"), port=443, certificate=pems["server"], client_ca=pems["ca"]), protocol="https"))
    assert curl(lab, pems, "--cert", f"{pems['folder']}/client.pem").stdout.endswith("200")
    assert curl(lab, pems).returncode != 0
    assert curl(lab, pems, "--cert", f"{pems['folder']}/stranger.pem").returncode != 0


def test_proxy_protocol_tells_the_client(lab: Lab) -> None:
    lab.apply(tcp(*on("a", port=9000), proxy_protocol=True))
    client = lab.clients[1]
    with lab.connect(source=client) as one:
        one.settimeout(2)
        data = b""
        while len(data) < len(f"a {SOURCE}\n") + 28:
            data += one.recv(100)
    head = data.split(b"\n", 1)[1]  # the server sent back what it got
    assert head.startswith(b"\r\n\r\n\0\r\nQUIT\n")
    assert head[16:20] == socket.inet_aton(client)
    assert head[20:24] == socket.inet_aton(lab.address)


def test_one_host_with_several_ports(lab: Lab) -> None:
    lab.serve("a", 8081, WebServer).name = "a2"
    lab.apply(web(*on("a"), *on("a", port=8081), health=HEALTH))
    assert Counter(lab.who(10)) == {"a": 5, "a2": 5}
    assert set(lab.balancers.health("lb-1")) == {("http", 80, "a", 8080), ("http", 80, "a", 8081)}


def test_what_haproxy_refuses_changes_nothing(lab: Lab) -> None:
    lab.apply(web(), tcp())
    pid, folder = lab.pid(), lab.site.run / "balancers" / "lb-1"
    before = {path.name: path.read_text() for path in folder.glob("*.cfg")}
    bad = replace(web(port=443, certificate="not a certificate"), protocol="https")
    with pytest.raises(KernelError, match="certificate"):
        lab.apply(web(*on("c")), bad)
    with pytest.raises(KernelError, match="control"):
        lab.apply(web(health=replace(HEALTH, path="/\n  server evil 127.0.0.1:22")))
    assert set(lab.who(4)) == {"a", "b"}
    assert lab.pid() == pid
    assert {path.name: path.read_text() for path in folder.glob("*.cfg")} == before
    assert not list(folder.glob("*.pem"))
    lab.apply(web(*on("c")))
    until(lambda: set(lab.who(2)) == {"c"})  # the worker before may take one more connection


def test_words_of_users_stay_words(lab: Lab) -> None:
    odd = replace(HEALTH, path="/health?a='b'\"#c\\%20$HOME", host="odd.test")
    lab.apply(web(*on("a"), health=odd, sticky="server", cookie="it's"))
    until(lambda: any(line.startswith("GET /health?a='b'") for line in lab.servers["a", 8080].log))


def test_inside_a_network_and_nowhere_else(lab: Lab) -> None:
    lab.address = "10.0.1.100"
    lab.apply(tcp(*on("b", port=9000)), internet=False)
    with lab.connect(netns="a") as one:
        assert one.recv(100) == f"b {SOURCE}\n".encode()
    assert lab.site.ifname("x", "lb-1") not in run("ip", "link")


def test_counters(lab: Lab) -> None:
    lab.apply(web(), tcp())
    lab.who(5)
    with lab.connect():
        stats = lab.balancers.stats("lb-1")
    assert stats["http", 80]["connections"] == 5
    assert stats["http", 80]["bytes_out"] > 500
    assert stats["http", 80]["requests"] == 5
    assert stats["tcp", 8000]["active"] == 1
