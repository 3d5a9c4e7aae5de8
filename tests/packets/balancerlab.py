"""A network made by hand with small servers in namespaces, in front of which tests put a balancer; and the clients' side of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from haechi.dataplane import kernel
from haechi.dataplane.balancer import Balancers
from haechi.dataplane.plan import Backend, Balancer, Health, Listener, Network, Plan
from haechi.dataplane.process import cgroup_root
from haechi.dataplane.site import Site

INDEX = 13
NETWORK = "net-a"
SOURCE = "100.64.13.1"
ADDRESSES = {"a": "10.0.1.11", "b": "10.0.1.12", "c": "10.0.1.13"}
HEALTH = Health("http", path="/health", method="GET", interval=1, timeout=1, rise=2, fall=2)
TCP_HEALTH = Health("tcp", interval=1, timeout=1, rise=2, fall=2)
UDP_HEALTH = Health("udp", interval=1, timeout=1, rise=2, fall=2)


def on(*names: str, port: int = 8080, weight: int = 100, **weights: int) -> tuple[Backend, ...]:
    """Backends by name, for example on("a", "b", b=0)."""
    return tuple(Backend(name, ADDRESSES[name], port, weights.get(name, weight)) for name in names)


def web(*backends: Backend, port: int = 80, **more: Any) -> Listener:
    return Listener("http", port, backends or on("a", "b"), **more)


def tcp(*backends: Backend, port: int = 8000, **more: Any) -> Listener:
    return Listener("tcp", port, backends or on("a", "b", port=9000), **more)


def udp(*backends: Backend, port: int = 5300, **more: Any) -> Listener:
    return Listener("udp", port, backends or on("a", "b", port=53), **more)


class Lab:
    """Site 13 with network `net-a` and backends a, b and c, each with a web server (8080), a tcp (9000) and a udp one (53)."""

    def __init__(self, folder: Path) -> None:
        # two runs of the tests at a time would share a site
        self.turn = os.open(f"/run/lock/haechi-lab-{INDEX}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        self.site = Site(INDEX, folder / "home", folder / "run", folder / "cache")
        self.balancers = Balancers(self.site)
        self.address = str(self.site.public[20])
        self.clients = [self.site.outside, *(str(self.site.public[n]) for n in range(100, 140))]  # that may be bound to
        self.servers: dict[tuple[str, int], Server] = {}
        # nothing of the site's addresses leaves the machine, whatever is missing
        kernel.ip(f"route replace unreachable {self.site.public}", *(f"addr replace {address}/32 dev lo" for address in self.clients))
        netns = self.site.netns(NETWORK)
        kernel.netns_add(netns, [("net/ipv4/ip_forward", "1")])
        for name, address in ADDRESSES.items():
            kernel.netns_add(self.site.netns(name), [("net/ipv4/icmp_ratelimit", "0")])
            kernel.ip(
                f"link add eth0 type veth peer name p-{name} netns {netns}",
                f"addr add {address}/24 dev eth0",
                "link set eth0 up",
                "route add default via 10.0.1.253 dev eth0",
                netns=self.site.netns(name),
            )
            kernel.ip("link set lo up", f"link set p-{name} up", f"route add {address} dev p-{name}", netns=netns)
            kernel.sysctl([(f"net/ipv4/conf/p-{name}/proxy_arp", "1"), (f"net/ipv4/neigh/p-{name}/proxy_delay", "0")], netns=netns)
            kernel.ip("addr add 10.0.1.253/32 dev lo", netns=netns) if name == "a" else None
            self.serve(name, 8080, WebServer)
            self.serve(name, 9000, TcpServer)
            self.serve(name, 53, UdpServer)

    def serve(self, name: str, port: int, kind: Callable[[Lab, str, int], Server]) -> Server:
        self.servers[name, port] = kind(self, name, port)
        return self.servers[name, port]

    def stop(self, name: str, port: int) -> None:
        self.servers.pop((name, port)).close()

    def down(self) -> None:
        self.balancers.destroy()
        for server in self.servers.values():
            server.close()
        for name in ADDRESSES:
            kernel.ip("link del eth0", netns=self.site.netns(name))
            kernel.netns_delete(self.site.netns(name))
        kernel.netns_delete(self.site.netns(NETWORK))
        kernel.ip(f"route del unreachable {self.site.public}", *(f"addr del {address}/32 dev lo" for address in self.clients))
        os.close(self.turn)

    def plan(self, *listeners: Listener, **more: Any) -> Plan:
        """A plan with one balancer, `lb-1`."""
        return self.plans(self.balancer(*listeners, **more))

    def balancer(self, *listeners: Listener, **more: Any) -> Balancer:
        values = {"id": "lb-1", "address": self.address, "internet": True, "network": NETWORK, "source": SOURCE, **more}
        return Balancer(listeners=listeners, **values)

    def plans(self, *balancers: Balancer) -> Plan:
        return Plan(networks={NETWORK: Network(NETWORK, ("10.0.0.0/16",))}, balancers={one.id: one for one in balancers})

    def apply(self, *listeners: Listener, **more: Any) -> Plan:
        plan = self.plan(*listeners, **more)
        self.balancers.apply(plan)
        return plan

    # the clients' side

    def get(self, path: str = "/", *, port: int = 80, source: str = "", headers: Any = (), method: str = "GET") -> Reply:
        """One request over a connection of its own. OSError when there is none."""
        connection = HTTPConnection(self.address, port, timeout=8, source_address=(source, 0) if source else None)
        with contextlib.closing(connection):
            pairs = list(headers.items() if isinstance(headers, dict) else headers)
            connection.putrequest(method, path, skip_host="Host" in dict(pairs), skip_accept_encoding=True)
            for name, value in pairs:
                connection.putheader(name, value)
            connection.endheaders()
            return Reply(connection.getresponse())

    def who(self, count: int = 1, **more: Any) -> list[str]:
        """Names of the servers that answered so many requests."""
        return [self.get(**more).name for _ in range(count)]

    def connect(self, port: int = 8000, source: str = "", netns: str = "") -> socket.socket:
        """A tcp connection whose first line (a server sends its name) has not been read."""

        def make() -> socket.socket:
            return socket.create_connection((self.address, port), 3, (source, 0) if source else None)

        return kernel.inside(self.site.netns(netns), make) if netns else make()

    def named(self, port: int = 8000, source: str = "") -> str:
        """Name of the server at the end of a new tcp connection; "" when it was closed or refused."""
        try:
            with self.connect(port, source) as one:
                return one.recv(100).decode().split()[0] if _readable(one) else ""
        except (OSError, IndexError):
            return ""

    def datagram(self, port: int = 5300, source: str = "", source_port: int = 0, netns: str = "", wait: float = 0.4) -> str:
        """Name and what it saw as peer of the udp server that answered; "" for none."""

        def make() -> socket.socket:
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        with kernel.inside(self.site.netns(netns), make) if netns else make() as one:
            one.settimeout(wait)
            one.bind((source, source_port))
            try:
                one.connect((self.address, port))
                one.send(b"?")
                return one.recv(100).decode()
            except OSError:
                return ""

    def pid(self) -> int:
        """The running haproxy's first process; 0 when it has none."""
        path = self.site.run / "balancers" / "lb-1" / "haproxy.json"
        with contextlib.suppress(FileNotFoundError):
            return int(json.loads(path.read_text())["pid"])
        return 0

    def left(self) -> list[str]:
        """What of the balancers is on the machine: names with the site's prefix, groups, processes, files."""
        found = []
        for command in ("ip netns", "ip -br link", "ip route", "nft list tables", f"ip -n {self.site.netns(NETWORK)} -br link"):
            out = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
            found += [line for line in out.splitlines() if self.site.prefix in line or self.address in line]
        routes = kernel.run("ip", "-n", self.site.netns(NETWORK), "route")
        found += [line for line in routes.splitlines() if " dev p-" not in line]
        found += [str(path) for path in cgroup_root("").glob(f"{self.site.prefix}*/**")]
        found += [str(path) for path in self.site.run.rglob("*")]
        found += [str(p) for p in Path("/proc").glob("[0-9]*") if str(self.site.run).encode() in _cmdline(p)]
        return sorted(found)


class Reply:
    """A response with its body read."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def seen(self) -> dict[str, Any]:
        """What the server says it saw: name, path, peer, headers (a list of pairs)."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def name(self) -> str:
        return str(self.seen["name"]) if self.status == 200 else str(self.status)

    def header(self, name: str) -> list[str]:
        """Values of a header that reached the server."""
        return [value for key, value in self.seen["headers"] if key.lower() == name.lower()]


class Server:
    """Something that listens on a port of a backend's namespace until closed."""

    kind = socket.SOCK_STREAM

    def __init__(self, lab: Lab, name: str, port: int) -> None:
        self.name = name
        self.log: list[str] = []

        def make() -> socket.socket:
            one = socket.socket(socket.AF_INET, self.kind)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("0.0.0.0", port))
            return one

        self.socket = kernel.inside(lab.site.netns(name), make)
        self.begin()

    def begin(self) -> None:
        if self.kind == socket.SOCK_STREAM:
            self.socket.listen(128)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        with contextlib.suppress(OSError):  # not connected: still wakes the thread
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(2)
        self.socket.close()


class TcpServer(Server):
    """Sends its name and what address it sees, then returns whatever comes."""

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, peer = self.socket.accept()
                threading.Thread(target=self.talk, args=(one, peer[0]), daemon=True).start()

    def talk(self, one: socket.socket, peer: str) -> None:
        with one, contextlib.suppress(OSError):
            one.sendall(f"{self.name} {peer}\n".encode())
            while data := one.recv(4096):
                one.sendall(data)


class UdpServer(Server):
    kind = socket.SOCK_DGRAM

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.socket.recvfrom(4096)
                if not data:  # shut down
                    return
                self.log.append(peer[0])
                self.socket.sendto(f"{self.name} {peer[0]}".encode(), peer)


class WebServer(Server):
    """Answers what it saw. /health fails when `healthy` is false, /slow takes 3 s, an Upgrade becomes an echo."""

    healthy = True

    def begin(self) -> None:
        self.http = _Http(self)
        self.socket.listen(128)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join(2)
        self.http.server_close()
        self.socket.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, owner: WebServer) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.owner = owner.socket, owner

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets
    server: _Http

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.log.append(f"{self.command} {self.path} {self.request_version} {self.headers.get('Host', '')}")
        if self.headers.get("Upgrade"):
            self.connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
            while data := self.connection.recv(4096):
                self.connection.sendall(data)
            self.close_connection = True
            return
        if self.path == "/slow":
            time.sleep(3)
        seen = {"name": owner.name, "path": self.path, "peer": self.client_address[0], "headers": list(self.headers.items())}
        body = json.dumps(seen).encode() + b" " * (5000 if self.path == "/big" else 0)
        self.send_response(200 if self.path != "/health" or owner.healthy else 500)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/login":
            self.send_header("Set-Cookie", "session=abc; Path=/")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


def until(true: Callable[[], bool], seconds: float = 8) -> float:
    """Wait for something; the seconds it took. AssertionError when it does not come true."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, "never came true"
        time.sleep(0.05)
    return time.monotonic() - start


@contextlib.contextmanager
def load(lab: Lab, port: int = 80) -> Iterator[list[str]]:
    """Requests, each on a new connection, as long as the block runs. Gives what came: names of servers, or the error."""
    results: list[str] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                results.append(lab.get(port=port).name)
            except OSError as error:
                results.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _readable(one: socket.socket) -> bool:
    return bool(select.select([one], [], [], 2)[0])


def _cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
