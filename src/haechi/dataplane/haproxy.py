"""haproxy's configuration for a balancer (pure text), and its runtime socket."""

from __future__ import annotations

import csv
import hashlib
import io
import resource
import socket
from pathlib import Path

from haechi.dataplane.kernel import KernelError
from haechi.dataplane.plan import Backend, Balancer, Health, Listener

TUNNEL_SECONDS = 3600
COMPRESSED = "text/html text/plain text/css text/xml text/javascript application/javascript application/json application/xml image/svg+xml"
STATUS = {"http_1xx": "1", "http_2xx": "2", "http_3xx": "3", "http_4xx": "4", "http_5xx": "5"}
TLS = {  # policy: lowest version, highest version
    "tls_cipher_policy_1_0": ("TLSv1.0", "TLSv1.2"),
    "tls_cipher_policy_1_1": ("TLSv1.1", "TLSv1.2"),
    "tls_cipher_policy_1_2": ("TLSv1.2", "TLSv1.2"),
    "tls_cipher_policy_1_2_strict": ("TLSv1.2", "TLSv1.2"),
    "tls_cipher_policy_1_2_strict_with_1_3": ("TLSv1.2", "TLSv1.3"),
}
FORWARD_SECRECY = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"


def connection_limit() -> int:
    """How many connections one haproxy may promise: it refuses to start when two descriptors for each exceed the hard limit."""
    return max(100, min(20000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // 2))


def name_of(listener: Listener) -> str:
    """What a listener's frontend and backend are called."""
    return f"{listener.protocol}_{listener.port}"


def server_name(backend: Backend) -> str:
    """What a backend's server line is called: unique for host and port, and safe in a cookie."""
    return "s" + hashlib.blake2s(f"{backend.id}:{backend.port}".encode(), digest_size=6).hexdigest()


def render(balancer: Balancer, directory: Path, connections: int) -> str:
    """The whole configuration; udp listeners are not haproxy's. Certificates are expected in `directory` (`render_files`)."""
    lines = [
        "global",
        f"  stats socket {directory}/admin.sock mode 600 level admin expose-fd listeners",
        f"  maxconn {connections}",
        "  tune.ssl.default-dh-param 2048",
        "  user haproxy",
        "  group haproxy",
        "defaults",
        f"  maxconn {connections}",
        "  timeout connect 3s",
        "  timeout queue 5s",
        f"  timeout tunnel {TUNNEL_SECONDS}s",
        "  option redispatch",
        "  retries 2",
        "  option dontlognull",
    ]
    for listener in balancer.listeners:
        if listener.protocol != "udp":
            lines += _frontend(balancer, listener, directory)
            if not listener.redirect_port:
                lines += _backend(balancer, listener)
    return "\n".join(lines) + "\n"


def render_files(balancer: Balancer) -> dict[str, str]:
    """Files that the configuration refers to: name to content. Secret: certificates with their keys are among them."""
    files = {}
    for listener in balancer.listeners:
        if listener.certificate:
            files[f"{name_of(listener)}.pem"] = listener.certificate
        if listener.client_ca:
            files[f"{name_of(listener)}.ca.pem"] = listener.client_ca
    return files


def _frontend(balancer: Balancer, listener: Listener, directory: Path) -> list[str]:
    web = listener.protocol in ("http", "https")
    lines = [
        f"frontend f_{name_of(listener)}",
        f"  mode {'http' if web else 'tcp'}",
        f"  bind {balancer.address}:{listener.port}{_tls(listener, directory)}",
    ]
    lines += _access(listener)
    if web:
        lines += [
            f"  timeout client {listener.request_seconds}s",
            f"  timeout http-request {listener.request_seconds}s",
            f"  timeout http-keep-alive {listener.idle_seconds}s",
            *_headers(balancer, listener),
        ]
        if listener.redirect_port:
            port = "" if listener.redirect_port == 443 else f":{listener.redirect_port}"
            lines.append(f"  http-request redirect code 301 location https://%[req.hdr(host),field(1,:)]{port}%[pathq]")
            return lines
        if listener.gzip:
            lines += ["  compression algo gzip", f"  compression type {COMPRESSED}"]
    else:
        lines.append(f"  timeout client {listener.established_seconds}s")
    return [*lines, f"  default_backend b_{name_of(listener)}"]


def _tls(listener: Listener, directory: Path) -> str:
    if listener.protocol != "https":
        return ""
    lowest, highest = TLS[listener.tls_policy]
    alpn = "h2,http/1.1" if listener.http2 else "http/1.1"
    text = f" ssl crt {directory}/{name_of(listener)}.pem alpn {alpn} ssl-min-ver {lowest} ssl-max-ver {highest}"
    if "strict" in listener.tls_policy:
        text += f" ciphers {FORWARD_SECRECY}"
    elif lowest != "TLSv1.2":  # OpenSSL 3 keeps the old versions' signatures out otherwise
        text += " ciphers DEFAULT@SECLEVEL=0"
    return text + (f" ca-file {directory}/{name_of(listener)}.ca.pem verify required" if listener.client_ca else "")


def _access(listener: Listener) -> list[str]:
    lines = []
    name = name_of(listener)
    if listener.allow is not None:
        lines += [f"  acl allowed_{name} src {cidr}" for cidr in listener.allow]
        condition = f" unless allowed_{name}" if listener.allow else ""
        lines.append(f"  tcp-request connection reject{condition}")
    if listener.deny:
        lines += [f"  acl denied_{name} src {cidr}" for cidr in listener.deny]
        lines.append(f"  tcp-request connection reject if denied_{name}")
    return lines


def _headers(balancer: Balancer, listener: Listener) -> list[str]:
    """Each wanted header by its name's ending: -For the client, -Proto the scheme, -IP our address, -ID our id."""
    lines = []
    for name in listener.headers:
        if name.lower() == "x-forwarded-for":
            lines += [
                "  http-request set-header X-Forwarded-For %[req.fhdr(X-Forwarded-For)],\\ %[src] if { req.fhdr(X-Forwarded-For) -m found }",
                "  http-request set-header X-Forwarded-For %[src] unless { req.fhdr(X-Forwarded-For) -m found }",
            ]
        elif name.lower().endswith("-proto"):
            lines.append(f"  http-request set-header {name} {'https' if listener.protocol == 'https' else 'http'}")
        elif name.lower().endswith("-ip"):
            lines.append(f"  http-request set-header {name} {balancer.address}")
        elif name.lower().endswith("-id"):
            lines.append(f"  http-request set-header {name} {balancer.id}")
    return lines


def _backend(balancer: Balancer, listener: Listener) -> list[str]:
    web = listener.protocol in ("http", "https")
    lines = [f"backend b_{name_of(listener)}", f"  mode {'http' if web else 'tcp'}", *_balance(listener)]
    seconds = listener.request_seconds if web else listener.established_seconds
    lines += [f"  timeout server {seconds}s", f"  source {balancer.source}"]
    if web and listener.sticky:
        lines.append(_cookie(listener))
    if not web and listener.persistence_seconds:
        lines += [f"  stick-table type ip size 100k expire {listener.persistence_seconds}s", "  stick on src"]
    if listener.health:
        lines += _check(listener.health, web)
    lines += [_server(listener, backend, web) for backend in listener.backends]
    return lines


def _balance(listener: Listener) -> list[str]:
    if listener.scheduler == "sch":
        return ["  balance source", "  hash-type consistent"]
    if listener.scheduler == "tch":
        return ["  balance hash src_port", "  hash-type consistent"]
    return [f"  balance {'leastconn' if listener.scheduler == 'wlc' else 'roundrobin'}"]


def _cookie(listener: Listener) -> str:
    if listener.sticky == "server":
        return f"  cookie {listener.cookie} prefix"
    life = f' maxlife {listener.cookie_seconds}s attr "Max-Age={listener.cookie_seconds}"' if listener.cookie_seconds else ""
    return f"  cookie SERVERID insert indirect nocache{life}"


def _check(health: Health, web: bool) -> list[str]:
    lines = [f"  timeout check {health.timeout}s"]
    if health.kind == "http":
        host = f" hdr Host {health.host}" if health.host else ""
        classes = "".join(sorted(STATUS[code] for code in health.codes))
        lines += ["  option httpchk", f"  http-check send meth {health.method} uri {health.path} ver HTTP/1.0{host}"]
        lines.append(f"  http-check expect rstatus ^[{classes}]")
    return lines


def _server(listener: Listener, backend: Backend, web: bool) -> str:
    weight = min(backend.weight, 1) if listener.scheduler == "rr" else backend.weight
    text = f"  server {server_name(backend)} {backend.address}:{backend.port} weight {weight}"
    if web and listener.sticky:
        text += f" cookie {server_name(backend)}"
    if listener.health:
        health = listener.health
        port = f" port {health.port}" if health.port else ""
        text += f" check{port} inter {health.interval}s fall {health.fall} rise {health.rise}"
    if listener.proxy_protocol:
        text += " send-proxy-v2"
    return text


def ask(directory: Path, command: str) -> str:
    """One command to the running haproxy; KernelError when it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(directory / "admin.sock"))
            connection.sendall(command.encode() + b"\n")
            data = b""
            while part := connection.recv(65536):
                data += part
    except OSError as error:
        raise KernelError(f"haproxy does not answer: {error}") from error
    return data.decode()


def read_stat(directory: Path) -> list[dict[str, str]]:
    """`show stat` as one dict per line."""
    return list(csv.DictReader(io.StringIO(ask(directory, "show stat").removeprefix("# "))))
