"""haproxy's configuration for a balancer, as text. `proxy` runs it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from haechi.dataplane.kernel import KernelError
from haechi.dataplane.plan import Backend, Balancer, Health, Listener

TUNNEL_SECONDS = 3600  # of an upgraded connection (websocket) without traffic
OLD_SECONDS = 86400  # a worker that was replaced cuts what is still open after this time
OLD_WORKERS = 50  # and is cut earlier when so many came after it
PEER_PORT = 1023  # on the namespace's loopback: where a new worker gets the old one's table of clients
FORWARDED_MOST = 8  # headers of that name which are joined; the first ones of more are dropped
EMPTY = "/var/lib/haproxy"  # of the Debian package
ACL_WORDS = 50  # haproxy takes 64 words a line
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


@dataclass(frozen=True)
class Config:
    """A configuration and the files it refers to, by name. The running haproxy tells `digest` as its description."""

    text: str
    files: dict[str, str] = field(repr=False)  # secret: certificates with their keys
    digest: str


def proxied(balancer: Balancer) -> list[Listener]:
    """The listeners that are haproxy's."""
    return [listener for listener in balancer.listeners if listener.protocol != "udp"]


def connection_limit(balancer: Balancer, descriptors: int) -> int:
    """How many connections may be promised: haproxy refuses to start when two descriptors for each, and its own, exceed the limit."""
    own = 200 + sum(2 + 2 * len(listener.backends) for listener in proxied(balancer))
    return max(100, min(20000, (descriptors - own) // 2))


def name_of(listener: Listener) -> str:
    """What a listener's frontend and backend are called."""
    return f"{listener.protocol}_{listener.port}"


def server_name(backend: Backend) -> str:
    """What a backend's server line is called: unique for host, address and port, and safe in a cookie."""
    return "s" + digest_of(f"{backend.id}:{backend.address}:{backend.port}")


def server_number(backend: Backend) -> int:
    """What a server is told by in hashes: without it they would count lines, and all clients move when one server goes."""
    return int(server_name(backend)[1:9], 16) % (2**31 - 1) + 1


def kept_state(state: str, text: str) -> str:
    """What of `show servers state` a worker with the configuration `text` should know: a server not checked any more would stay down."""
    checked: set[tuple[str, str]] = set()
    section = ""
    for words in map(str.split, text.splitlines()):
        if words[0] == "backend":
            section = words[1]
        elif words[0] == "server" and "check" in words:
            checked.add((section, words[1]))
    lines = state.splitlines()
    rows = (line for line in lines[2:] if line)
    return "\n".join([*lines[:2], *(row for row in rows if (row.split(" ")[1], row.split(" ")[3]) in checked), ""])


def render(balancer: Balancer, directory: Path, descriptors: int) -> Config:
    """The whole configuration; no text when every listener is udp. KernelError for a value that no line can carry.

    `descriptors` is the limit of open files; `directory` is where the files will be.
    """
    listeners = proxied(balancer)
    if not listeners:
        return Config("", {}, "")
    files = {
        name: text for listener in listeners for name, text in ((_pem(listener), listener.certificate), (_ca(listener), listener.client_ca))
    }
    files = {name: text for name, text in files.items() if text}
    lines = _defaults(connection_limit(balancer, descriptors))
    if any(listener.persistence_seconds for listener in listeners):
        lines += ["peers reloads", f"  peer me 127.0.0.1:{PEER_PORT}"]
    for listener in listeners:
        lines += _frontend(balancer, listener, directory)
        if not listener.redirect_port:
            lines += _backend(balancer, listener)
    for line in lines:
        if any(ord(c) < 32 or ord(c) == 127 for c in line):
            raise KernelError(f"balancer {balancer.id}: control character in {line!r}")
    digest = digest_of("\n".join([*lines, *(f"{name}\0{text}" for name, text in sorted(files.items()))]))
    socket = f"  stats socket {directory}/admin.sock mode 600 level admin expose-fd listeners"
    head = ["global", f"  description {digest}", socket, f"  server-state-file {directory}/state"]
    return Config("\n".join([*head, *lines, ""]), files, digest)


def _defaults(connections: int) -> list[str]:
    return [
        f"  maxconn {connections}",
        "  nbthread 2",
        f"  hard-stop-after {OLD_SECONDS}s",
        f"  mworker-max-reloads {OLD_WORKERS}",
        "  localpeer me",
        "  tune.ssl.default-dh-param 2048",
        "  tune.bufsize 65536",  # four times the throughput of large answers
        "  user haproxy",
        "  group haproxy",
        f"  chroot {EMPTY}",
        "defaults",
        f"  maxconn {connections}",
        "  load-server-state-from-file global",  # a reload forgets no failed check
        "  timeout connect 3s",
        "  timeout queue 5s",
        "  option redispatch 1",  # at once, instead of asking the same server again a second later
        "  retries 2",
    ]


def digest_of(text: str) -> str:
    """Twelve hexadecimal digits that stand for a text."""
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()


def _pem(listener: Listener) -> str:
    return f"{name_of(listener)}-{digest_of(listener.certificate)}.pem"


def _ca(listener: Listener) -> str:
    return f"{name_of(listener)}-{digest_of(listener.client_ca)}.ca.pem"


def word(text: str) -> str:
    """One word of a configuration line, whatever is in it."""
    return "'" + text.replace("'", "'\\''") + "'"


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
            return lines + _redirect(balancer, listener.redirect_port)
        if listener.gzip:
            lines += ["  compression algo gzip", f"  compression type {COMPRESSED}"]
    else:
        lines.append(f"  timeout client {listener.established_seconds}s")
        if listener.scheduler == "tch":
            lines += ["  tcp-request connection set-var(sess.port) src_port"]
            lines += ["  tcp-request connection set-var(sess.tuple) src,concat(:,sess.port)"]
    return [*lines, f"  default_backend b_{name_of(listener)}"]


def _redirect(balancer: Balancer, to: int) -> list[str]:
    port = "" if to == 443 else f":{to}"
    named = "{ req.hdr(host) -m found }"
    return [
        f"  http-request redirect code 301 location https://%[req.hdr(host),field(1,:)]{port}%[pathq] if {named}",
        f"  http-request redirect code 301 location https://{balancer.address}{port}%[pathq]",
    ]


def _tls(listener: Listener, directory: Path) -> str:
    if listener.protocol != "https":
        return ""
    lowest, highest = TLS[listener.tls_policy]
    alpn = "h2,http/1.1" if listener.http2 else "http/1.1"
    text = f" ssl crt {directory}/{_pem(listener)} alpn {alpn} ssl-min-ver {lowest} ssl-max-ver {highest}"
    if "strict" in listener.tls_policy:
        text += f" ciphers {FORWARD_SECRECY}"
    elif lowest != "TLSv1.2":  # OpenSSL 3 keeps the old versions' signatures out otherwise
        text += " ciphers DEFAULT@SECLEVEL=0"
    return text + (f" ca-file {directory}/{_ca(listener)} verify required" if listener.client_ca else "")


def _access(listener: Listener) -> list[str]:
    lines = []
    name = name_of(listener)
    if listener.allow is not None:
        lines += _list(f"allowed_{name}", listener.allow)
        condition = f" unless allowed_{name}" if listener.allow else ""
        lines.append(f"  tcp-request connection reject{condition}")
    if listener.deny:
        lines += _list(f"denied_{name}", listener.deny)
        lines.append(f"  tcp-request connection reject if denied_{name}")
    return lines


def _list(name: str, cidrs: tuple[str, ...]) -> list[str]:
    return [f"  acl {name} src {' '.join(cidrs[at : at + ACL_WORDS])}" for at in range(0, len(cidrs), ACL_WORDS)]


def _headers(balancer: Balancer, listener: Listener) -> list[str]:
    """Each wanted header by its name's ending: -For the client, -Proto the scheme, -IP our address, -ID our id."""
    lines = []
    for name in listener.headers:
        if name.lower() == "x-forwarded-for":
            lines += _forwarded()
        elif name.lower().endswith("-proto"):
            lines.append(f"  http-request set-header {name} {'https' if listener.protocol == 'https' else 'http'}")
        elif name.lower().endswith("-ip"):
            lines.append(f"  http-request set-header {name} {balancer.address}")
        elif name.lower().endswith("-id"):
            lines.append(f"  http-request set-header {name} {balancer.id}")
    return lines


def _forwarded() -> list[str]:
    """The client's address appended to what there is; several headers of that name become one."""
    name, lines = "X-Forwarded-For", []
    for count in range(FORWARDED_MOST, 1, -1):  # the most first: one header is left, and no later line matches
        values = ",\\ ".join(f"%[req.fhdr({name},-{n})]" for n in range(count, 0, -1))
        matches = "ge" if count == FORWARDED_MOST else "eq"
        lines.append(f"  http-request set-header {name} {values} if {{ req.fhdr_cnt({name}) {matches} {count} }}")
    lines.append(f"  http-request set-header {name} %[req.fhdr({name})],\\ %[src] if {{ req.fhdr({name}) -m found }}")
    return [*lines, f"  http-request set-header {name} %[src] unless {{ req.fhdr({name}) -m found }}"]


def _backend(balancer: Balancer, listener: Listener) -> list[str]:
    web = listener.protocol in ("http", "https")
    lines = [f"backend b_{name_of(listener)}", f"  mode {'http' if web else 'tcp'}", *_balance(listener)]
    seconds = listener.request_seconds if web else listener.established_seconds
    # a tunnel's timeout goes before the two of client and server, and every tcp connection is one
    tunnel = TUNNEL_SECONDS if web else seconds
    lines += [f"  timeout server {seconds}s", f"  timeout tunnel {tunnel}s"]
    if balancer.source:
        lines.append(f"  source {balancer.source}")
    if web and listener.sticky:
        lines.append(_cookie(listener))
    if not web and listener.persistence_seconds:
        lines += [f"  stick-table type ip size 100k expire {listener.persistence_seconds}s peers reloads", "  stick on src"]
    if listener.health:
        lines += _check(listener.health)
    lines += [_server(listener, backend, web) for backend in listener.backends]
    return lines


def _balance(listener: Listener) -> list[str]:
    if listener.scheduler == "sch":
        return ["  balance source", "  hash-type consistent"]
    if listener.scheduler == "tch":
        return ["  balance hash var(sess.tuple)", "  hash-type consistent"]
    return [f"  balance {'leastconn' if listener.scheduler == 'wlc' else 'roundrobin'}"]


def _cookie(listener: Listener) -> str:
    if listener.sticky == "server":
        return f"  cookie {word(listener.cookie)} prefix"
    life = f' maxlife {listener.cookie_seconds}s attr "Max-Age={listener.cookie_seconds}"' if listener.cookie_seconds else ""
    return f"  cookie SERVERID insert indirect nocache{life}"


def _check(health: Health) -> list[str]:
    lines = [f"  timeout check {health.timeout}s"]
    if health.kind == "http":
        host = f" hdr Host {word(health.host.replace('%', '%%'))}" if health.host else ""
        classes = "".join(sorted(STATUS[code] for code in health.codes))
        lines += ["  option httpchk", f"  http-check send meth {health.method} uri {word(health.path)} ver HTTP/1.0{host}"]
        lines.append(f"  http-check expect rstatus ^[{classes}]")
    return lines


def _server(listener: Listener, backend: Backend, web: bool) -> str:
    weight = min(backend.weight, 1) if listener.scheduler == "rr" else backend.weight
    text = f"  server {server_name(backend)} {backend.address}:{backend.port} id {server_number(backend)} weight {weight}"
    if web and listener.sticky:
        text += f" cookie {server_name(backend)}"
    if listener.health:
        health = listener.health
        port = f" port {health.port}" if health.port else ""
        text += f" check{port} inter {health.interval}s fall {health.fall} rise {health.rise}"
    if listener.proxy_protocol:
        text += " send-proxy-v2 check-send-proxy"  # a server that wants it wants it from checks too
    return text
