"""haproxy's configuration for a scrubber, as text: domains with their limits and challenges, and tcp relays. `scrubber` runs it.

What users write is never part of a line: it goes into files of patterns, one a line.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from haechi.dataplane.addresses import is_address
from haechi.dataplane.haproxy import Config, digest_of, word
from haechi.dataplane.kernel import KernelError
from haechi.dataplane.plan import Frequency, Front, Match, Origin, Relay, Scrubber

EMPTY = "/var/lib/haproxy"
ATTACKED = "attacked.lst"  # names of fronts under attack; changed while haproxy runs, too
FIELDS = {
    "path": "path",
    "query": "query",
    "method": "method",
    "ip": "src",
    "host": "var(txn.host)",
    "agent": "req.hdr(user-agent)",
    "referer": "req.hdr(referer)",
    "cookie": "req.hdr(cookie)",
}
HOW = {"equal": "str", "contain": "sub", "prefix": "beg", "suffix": "end", "net": "ip"}
PAGE = (
    "<!doctype html><meta charset=utf-8><title>One moment</title><p>One moment, please. 잠시만 기다려 주십시오.</p>"
    "<script>document.cookie='hx_challenge=%[var(txn.token)];path=/;max-age=3600;SameSite=Lax';location.reload()</script>"
)
BLOCKED = "<!doctype html><meta charset=utf-8><title>405</title><p>Too many requests. 요청이 너무 많습니다.</p>"


def front_name(front: Front) -> str:
    """What a front is called in haproxy: its tables, lists and backends."""
    return "s" + digest_of(front.domain)


def relay_name(relay: Relay) -> str:
    return f"{relay.protocol}_{relay.port}"


def tcp_relays(scrubber: Scrubber) -> list[Relay]:
    """The relays that are haproxy's."""
    return [relay for relay in scrubber.relays if relay.protocol == "tcp"]


def tcp_ports(scrubber: Scrubber) -> set[int]:
    """Every tcp port it answers on."""
    return {port for front in scrubber.fronts for _, port in front.listeners} | {relay.port for relay in tcp_relays(scrubber)}


def render(scrubber: Scrubber, directory: Path, descriptors: int) -> Config:
    """The whole configuration; no text without a domain or a tcp relay. KernelError for values that no line can carry."""
    if not scrubber.fronts and not tcp_relays(scrubber):
        return Config("", {}, "")
    files: dict[str, str] = {ATTACKED: ""}
    lines = _defaults(scrubber, max(100, min(9000, (descriptors - 600) // 2)))
    for scheme, port in sorted({listener for front in scrubber.fronts for listener in front.listeners}):
        lines += _frontend(scrubber, scheme, port, directory, files)
    for front in scrubber.fronts:
        lines += [line for scheme in sorted({s for s, _ in front.listeners}) for line in _backend(scrubber, front, scheme)]
    for relay in tcp_relays(scrubber):
        lines += _relay(scrubber, relay)
    for line in lines:
        if any(ord(c) < 32 or ord(c) == 127 for c in line):
            raise KernelError(f"scrubber {scrubber.id}: control character in {line!r}")
    digest = digest_of("\n".join([*lines, *(f"{name}\0{text}" for name, text in sorted(files.items()))]))
    head = ["global", f"  description {digest}", f"  stats socket {directory}/admin.sock mode 600 level admin expose-fd listeners"]
    return Config("\n".join([*head, f"  server-state-file {directory}/state", *lines, ""]), files, digest)


def _defaults(scrubber: Scrubber, connections: int) -> list[str]:
    tables = [
        "backend st_source",
        "  stick-table type ip size 200k expire 60s store conn_cur,conn_rate(10s),http_req_rate(10s),gpc0",
        "backend st_front",
        "  stick-table type string len 32 size 4k expire 5m store http_req_rate(1s),http_req_cnt",
    ]
    for front in scrubber.fronts:
        for number, rule in enumerate(front.frequencies):
            if rule.threshold:
                store = f"http_req_rate({rule.interval}s),gpt0"
                tables += [
                    f"backend {_table(front, number)}",
                    f"  stick-table type ip size 100k expire {rule.interval + rule.hold}s store {store}",
                ]
    names = [
        "resolvers names",
        f"  nameserver local {scrubber.nameserver}:53",
        "  resolve_retries 3",
        "  timeout resolve 1s",
        "  timeout retry 1s",
        "  hold valid 5s",
        "  accepted_payload_size 4096",
    ]
    return [
        f"  maxconn {connections}",
        "  nbthread 2",
        "  hard-stop-after 3600s",
        "  mworker-max-reloads 50",
        "  tune.ssl.default-dh-param 2048",
        "  user haproxy",
        "  group haproxy",
        f"  chroot {EMPTY}",
        "defaults",
        f"  maxconn {connections}",
        "  load-server-state-from-file global",
        "  timeout client 30s",
        "  timeout http-request 5s",  # a request head that takes longer is an attack
        "  timeout http-keep-alive 15s",
        "  timeout queue 5s",
        "  timeout connect 5s",
        "  timeout server 120s",
        "  timeout tunnel 3600s",
        "  option redispatch 1",
        "  retries 2",
        *(names if scrubber.nameserver else []),
        *tables,
    ]


def _table(front: Front, number: int) -> str:
    return f"st_{front_name(front)}_{number}"


def _frontend(scrubber: Scrubber, scheme: str, port: int, directory: Path, files: dict[str, str]) -> list[str]:
    fronts = [front for front in scrubber.fronts if (scheme, port) in front.listeners]
    tls = ""
    if scheme == "https":
        certificates = {f"{front_name(front)}.pem": front.certificate for front in fronts if front.certificate}
        if not certificates:
            raise KernelError(f"scrubber {scrubber.id}: no certificate for a domain on port {port}")
        files.update(certificates)
        tls = " ssl" + "".join(f" crt {directory}/{name}" for name in sorted(certificates)) + " alpn h2,http/1.1 ssl-min-ver TLSv1.2"
    exact = {front.domain: front_name(front) for front in fronts if not front.domain.startswith("*.")}
    below = {front.domain[1:]: front_name(front) for front in fronts if front.domain.startswith("*.")}
    name = f"{scheme}_{port}"
    asked = any(front.challenge == "always" or any(rule.action == "challenge" for rule in front.frequencies) for front in fronts)
    needed = "" if asked else " if attacked"  # a visitor's token costs a hash
    files[f"{name}.exact.map"] = "".join(f"{key} {value}\n" for key, value in sorted(exact.items()))
    files[f"{name}.below.map"] = "".join(f"{key} {value}\n" for key, value in sorted(below.items()))
    lines = [
        f"frontend f_{name}",
        "  mode http",
        f"  bind {scrubber.address}:{port} backlog 4096{tls}",
        *_counted(scrubber),
        "  option http-ignore-probes",
        "  http-request set-var(txn.host) req.hdr(host),field(1,:),lower",
        f"  http-request set-var(txn.front) var(txn.host),map_end({directory}/{name}.below.map)",
        f"  http-request set-var(txn.exact) var(txn.host),map({directory}/{name}.exact.map)",
        "  http-request set-var(txn.front) var(txn.exact) if { var(txn.exact) -m found }",
        "  http-request deny deny_status 503 unless { var(txn.front) -m found }",
        "  http-request track-sc1 var(txn.front) table st_front",
        f"  acl attacked var(txn.front) -m str -f {directory}/{ATTACKED}",
        f"  http-request set-var(txn.bucket) date,div(3600){needed}",
        f'  http-request set-var-fmt(txn.seed) "%[src]|%[req.hdr(user-agent)]|%[var(txn.bucket)]"{needed}',
        f"  http-request set-var(txn.token) var(txn.seed),hmac(sha256,{scrubber.secret or 'aGFlY2hp'}),hex,lower{needed}",
        f"  http-request set-var(txn.kept) req.cook(hx_challenge){needed}",
        "  acl answered var(txn.kept),strcmp(txn.token) -m int eq 0",
    ]
    for front in fronts:
        lines += _guards(front, scheme, directory, files)
    lines += ["  http-request set-header X-Forwarded-For %[src]", f"  http-request set-header X-Forwarded-Proto {scheme}"]
    return [*lines, f"  use_backend b_{scheme}_%[var(txn.front)]"]


def _counted(scrubber: Scrubber) -> list[str]:
    """Every connection of a source is counted, and too many at once are refused."""
    trusted = [f"  acl kept_apart src {' '.join(scrubber.white[at : at + 50])}" for at in range(0, len(scrubber.white), 50)]
    lines = [*(trusted or ["  acl kept_apart always_false"]), "  tcp-request connection track-sc0 src table st_source"]
    if scrubber.concurrent:
        lines.append(f"  tcp-request connection reject if {{ sc_conn_cur(0) gt {scrubber.concurrent} }} !kept_apart")
    return lines


def _guards(front: Front, scheme: str, directory: Path, files: dict[str, str]) -> Iterator[str]:
    """The lines of one domain: lists, limits, challenge, frequencies."""
    name = front_name(front)
    yield f"  acl is_{name} var(txn.front) -m str {name}"
    for kind, cidrs in (("white", front.white), ("black", front.black)):
        files[f"{name}.{kind}.lst"] = "".join(f"{ipaddress.ip_network(cidr, strict=False)}\n" for cidr in cidrs)
        yield f"  acl {kind}_{name} src -f {directory}/{name}.{kind}.lst"
    yield f"  http-request silent-drop if is_{name} black_{name} !white_{name}"
    if front.to_https and scheme == "http":
        yield f"  http-request redirect scheme https code 301 if is_{name}"
    if front.per_source:
        over = f"is_{name} !white_{name} !kept_apart {{ sc_http_req_rate(0) gt {front.per_source} }}"
        yield f"  http-request silent-drop if {over} {{ sc_get_gpc0(0) gt {front.per_source} }}"
        yield f"  http-request sc-inc-gpc0(0) if {over}"
        yield f"  http-request deny deny_status 429 if {over}"
    if front.challenge != "off":
        when = "" if front.challenge == "always" else " attacked"
        yield f"  {_challenge(f'is_{name}{when} !answered !white_{name} !kept_apart')}"
    for number, rule in enumerate(front.frequencies):
        yield from _frequency(front, number, rule, directory, files)
    for header, value in front.headers:
        if "%" in value:
            raise KernelError(f"{front.domain}: header {header!r} cannot be added")
        yield f"  http-request set-header {_header(header)} {word(value)} if is_{name}"


def _challenge(condition: str) -> str:
    return f'http-request return status 200 content-type "text/html" hdr Cache-Control no-store lf-string {word(PAGE)} if {condition}'


def _frequency(front: Front, number: int, rule: Frequency, directory: Path, files: dict[str, str]) -> Iterator[str]:
    name = front_name(front)
    conditions = [f"is_{name}", f"!white_{name}", "!kept_apart"]
    for index, match in enumerate(rule.conditions):
        acl, file = f"m_{name}_{number}_{index}", f"{name}.{number}.{index}.lst"
        files[file] = _patterns(match)
        fetch = f"req.hdr({_header(match.header)})" if match.field == "header" else FIELDS[match.field]
        yield f"  acl {acl} {fetch} -m {HOW[match.how]} -f {directory}/{file}"
        conditions.append(f"!{acl}" if match.negate else acl)
    held = " ".join(conditions)
    if rule.threshold:
        yield f"  http-request track-sc2 src table {_table(front, number)} if {held}"
        tracked = f"{held} {{ sc2_tracked }}"
        over = f"{{ src,table_http_req_rate({_table(front, number)}) gt {rule.threshold} }}"
        yield f"  http-request set-var(txn.until) src,table_gpt0({_table(front, number)}) if {tracked}"
        yield f"  http-request sc-set-gpt0(2) date({rule.hold}) if {tracked} {over}"
        yield f"  http-request set-var(txn.until) date({rule.hold}) if {tracked} {over}"
        held = f"{tracked} {{ date,neg,add(txn.until) gt 0 }}"
    if rule.action == "block":
        yield f'  http-request return status 405 content-type "text/html" string {word(BLOCKED)} if {held}'
    elif rule.action == "challenge":
        yield f"  {_challenge(f'{held} !answered')}"
    else:
        yield f"  http-request set-var(txn.watched) str({name}_{number}) if {held}"


def _patterns(match: Match) -> str:
    for value in match.values:
        if not value or value != value.strip() or value.startswith("#") or any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise KernelError(f"{value!r} cannot be matched: it is empty, has blanks at an end, begins with # or holds control characters")
    return "".join(f"{value}\n" for value in match.values)


def _header(name: str) -> str:
    if not name or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise KernelError(f"{name!r} is not the name of a header")
    return name


def _backend(scrubber: Scrubber, front: Front, scheme: str) -> list[str]:
    balance = {"source": ["  balance source", "  hash-type consistent"], "rr": ["  balance roundrobin"], "least": ["  balance leastconn"]}
    lines = [f"backend b_{scheme}_{front_name(front)}", "  mode http", *balance[front.scheduler], "  http-reuse safe"]
    lines += ["  retry-on conn-failure empty-response", f"  source {scrubber.address}"]
    first = front.origins[0]
    lines += [f"  timeout connect {first.connect}s", f"  timeout server {first.read}s"]
    tls = scheme == "https" and not front.plain_origin
    standard = next(port for s, port in front.listeners if s == scheme)
    for number, origin in enumerate(front.origins):
        lines.append(_server(scrubber, number, origin, origin.port or (80 if front.plain_origin and scheme == "https" else standard), tls))
    return lines


def _server(scrubber: Scrubber, number: int, origin: Origin, port: int, tls: bool) -> str:
    text = f"  server o{number} {_host(origin)}:{port} weight {origin.weight}"
    text += f" check inter {origin.rest}s fall {max(1, origin.fails)} rise 1"
    if not is_address(origin.host):
        if not scrubber.nameserver:
            raise KernelError(f"scrubber {scrubber.id}: {origin.host} cannot be looked up, there is no name server")
        text += " init-addr none,last resolvers names resolve-prefer ipv4"
    return text + (" backup" if origin.backup else "") + (" ssl verify none sni var(txn.host)" if tls else "")


def _host(origin: Origin) -> str:
    if not all(c.isascii() and (c.isalnum() or c in ".-") for c in origin.host) or not origin.host:
        raise KernelError(f"{origin.host!r} is neither an address nor a name")
    return origin.host


def _relay(scrubber: Scrubber, relay: Relay) -> list[str]:
    limits = []
    if relay.per_second:
        limits.append(f"  tcp-request connection reject if {{ sc_conn_rate(0) gt {relay.per_second * 10} }} !kept_apart")
    if relay.concurrent:
        limits.append(f"  tcp-request connection reject if {{ sc_conn_cur(0) gt {relay.concurrent} }} !kept_apart")
    lines = [
        f"listen r_{relay_name(relay)}",
        "  mode tcp",
        f"  bind {scrubber.address}:{relay.port} backlog 4096",
        *_counted(scrubber),
        *limits,
        f"  source {scrubber.address}",
        "  balance source",
        "  hash-type consistent",
        "  timeout client 900s",
        "  timeout server 900s",
    ]
    return lines + [_server(scrubber, n, origin, origin.port or relay.port, False) for n, origin in enumerate(relay.origins)]
