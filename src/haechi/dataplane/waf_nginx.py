"""nginx's configuration for a web application firewall, as text. `waf` runs it.

What users write goes into waf.lua's data; what must be in the configuration (domains, backends, added headers) is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from haechi.dataplane import waf_rules
from haechi.dataplane.addresses import is_address
from haechi.dataplane.haproxy import digest_of
from haechi.dataplane.kernel import KernelError
from haechi.dataplane.waf_plan import Guarded, Waf, WafBackend

MODULES = Path("/usr/lib/nginx/modules")
SCRIPTS = [Path(__file__).parent / name for name in ("waf.lua", "waf_challenge.lua")]
NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
VALUE = re.compile(r"[\x20-\x21\x23\x25-\x5b\x5d-\x7e]{0,256}")  # without quotes, dollars, backslashes
LOG = (
    '{"time":$msec,"id":"$request_id","ip":"$remote_addr","peer":"$realip_remote_addr","host":"$host","domain":"$waf_domain",'
    '"method":"$request_method","path":"$waf_path","query":"$args","uri":"$request_uri","https":"$https","status":$status,'
    '"upstream":"$upstream_addr","upstream_status":"$upstream_status","upstream_time":"$upstream_response_time","took":$request_time,'
    '"in":$request_length,"out":$bytes_sent,"agent":"$http_user_agent","referer":"$http_referer","type":"$http_content_type",'
    '"forwarded":"$http_x_forwarded_for","port":"$remote_port","scene":"$waf_scene","rule":"$waf_rule","action":"$waf_action"}'
)
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>405</title><style>body{font:16px/1.5 system-ui,sans-serif;'
    "max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222}h1{font-size:1.4rem}code{color:#777}</style>"
    "<h1>Sorry, your request has been blocked as it may cause potential threats to the server&#39;s security.</h1>"
    "<p>요청이 서버에 위협이 될 수 있어 차단되었습니다.</p><p><code>$http_x_request_trace</code></p></html>"
)


@dataclass(frozen=True)
class WafConfig:
    """nginx.conf and the files beside it, by name; no text when there is nothing to serve. `digest` tells one from another."""

    text: str
    files: dict[str, str]
    digest: str


def render(waf: Waf, directory: Path, core: Path) -> WafConfig:
    """The whole configuration, with the core rules in `core`. KernelError for values that no line can carry."""
    if not waf.domains:
        return WafConfig("", {}, "")
    files = {"rules.json": waf_rules.rules_json(waf), "core.conf": waf_rules.core_settings(directory, core)}
    body: list[str] = []
    for number, domain in enumerate(waf.domains):
        body += list(_domain(waf, domain, number, directory, files))
    body += _refusals(waf)
    digest = digest_of(
        "\n".join([*(script.read_text() for script in SCRIPTS), *body, *(f"{name}\0{text}" for name, text in sorted(files.items()))])
    )
    lines = [
        *_head(directory),
        f'server {{ listen unix:{directory}/status.sock; modsecurity off; location / {{ return 200 "{digest}"; }} }}',
    ]
    return WafConfig("\n".join([*lines, *_page_server(directory), *body, "}", ""]), files, digest)


def _head(directory: Path) -> list[str]:
    return [
        *(f"load_module {MODULES}/{name}.so;" for name in ("ndk_http_module", "ngx_http_lua_module", "ngx_http_modsecurity_module")),
        "worker_processes 2; daemon off; worker_shutdown_timeout 20s; worker_rlimit_nofile 16384;",
        f"pid {directory}/nginx.pid; error_log {directory}/error.log warn; user root;",
        "events { worker_connections 4096; }",
        "http {",
        "access_log off; server_tokens off; keepalive_requests 100000; send_timeout 60s;",
        "client_header_timeout 10s; client_body_timeout 30s; client_max_body_size 2g;",
        "variables_hash_max_size 4096; server_names_hash_bucket_size 256; server_names_hash_max_size 8192;",
        *(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        "underscores_in_headers on; large_client_header_buffers 8 32k; proxy_buffer_size 32k; proxy_buffers 8 32k;",
        f"log_format waf escape=json '{LOG}';",
        "lua_shared_dict waf_counts 32m; rewrite_by_lua_no_postpone on;",
        f'lua_package_path "{SCRIPTS[0].parent}/?.lua;/usr/share/lua/5.1/?.lua;;";',
        f'init_by_lua_block {{ require("waf").load("{directory}/rules.json") }}',
        f"modsecurity on; modsecurity_rules_file {directory}/core.conf; modsecurity_transaction_id $request_id;",
        "proxy_http_version 1.1; map $http_upgrade $waf_connection { default upgrade; '' ''; }",
        "map $http_x_forwarded_proto $waf_told_scheme { default $scheme; http http; https https; }",
    ]


def _page_server(directory: Path) -> list[str]:
    """Where the page comes from that blocked visitors see: another server, so that method and audit record stay the request's."""
    answer = f"location / {{ default_type text/html; charset utf-8; return 405 '{PAGE}'; }}"
    return [f"server {{ listen unix:{directory}/page.sock; modsecurity off; {answer} }}"]


def _refusals(waf: Waf) -> list[str]:
    """Names that nobody added get no answer."""
    secure = {listener for domain in waf.domains for listener in domain.listeners}
    lines = []
    for scheme, port in sorted(secure):
        tls = " ssl" if scheme == "https" else ""
        reject = " ssl_reject_handshake on;" if tls else ""
        lines.append(
            f"server {{ listen {waf.address}:{port}{tls} default_server backlog=4096 reuseport;{reject} modsecurity off; return 444; }}"
        )
    return lines


def _domain(waf: Waf, domain: Guarded, number: int, directory: Path, files: dict[str, str]) -> Iterator[str]:
    if not NAME.fullmatch(domain.domain):
        raise KernelError(f"{domain.domain!r} is no domain name")
    settings = waf_rules.domain_settings(waf, domain)
    if settings:
        files[f"domain{number}.conf"] = settings
    if domain.certificate:
        files[f"domain{number}.pem"] = domain.certificate
    for scheme, port in domain.listeners:
        to = dict(domain.ports).get(port, port)
        secure_origin = scheme == "https" and not domain.plain_origin
        if scheme == "https" and domain.plain_origin and port not in dict(domain.ports):
            to = 80
        name = f"u{number}_{scheme}_{port}"
        named = not is_address(domain.backends[0].host)
        if not named:
            yield from _upstream(domain, name, to)
        yield "server {"
        yield f"listen {waf.address}:{port}{' ssl' if scheme == 'https' else ''}{' http2' if scheme == 'https' and domain.http2 else ''};"
        yield f"server_name {domain.domain};"
        if scheme == "https":
            if not domain.certificate:
                raise KernelError(f"{domain.domain}: https without a certificate")
            pem = f"{directory}/domain{number}.pem"
            yield f"ssl_certificate {pem}; ssl_certificate_key {pem}; ssl_protocols TLSv1.2 TLSv1.3;"
        yield f'set $waf_domain "{domain.domain}"; set $waf_scene ""; set $waf_rule ""; set $waf_action ""; set $waf_path $uri;'
        if domain.client:
            if not HEADER.fullmatch(domain.client):
                raise KernelError(f"{domain.client!r} is not the name of a header")
            yield f"set_real_ip_from 0.0.0.0/0; real_ip_recursive on; real_ip_header {domain.client};"
        yield f"modsecurity_rules_file {directory}/domain{number}.conf;" if settings else "modsecurity off;"
        yield f"access_log {directory}/access.json waf;"
        yield "error_page 405 @blocked;"
        yield f"location @blocked {{ proxy_set_header X-Request-Trace $request_id; proxy_pass http://unix:{directory}/page.sock; }}"
        proxy = " ".join(_proxy(waf, domain, name, to, secure_origin, named))
        if domain.to_https and scheme == "http":
            yield "location / { modsecurity off; return 301 https://$host$request_uri; }"
        else:
            judge = f'rewrite_by_lua_block {{ require("waf").judge("{domain.domain}") }}'
            yield f"location / {{ {judge} {proxy} }}"
            yield f"location @plain {{ modsecurity off; {proxy} }}"
        yield "}"


def _upstream(domain: Guarded, name: str, port: int) -> Iterator[str]:
    how = {"iphash": "hash $remote_addr consistent;", "roundRobin": "", "leastTime": "least_conn;"}[domain.balance]
    servers = " ".join(f"server {backend.host}:{backend.port or port} max_fails=2 fail_timeout=5s;" for backend in _addresses(domain))
    yield f"upstream {name} {{ zone {name} 64k; {how} {servers} {'keepalive 64;' if domain.keepalive else ''} }}"


def _addresses(domain: Guarded) -> list[WafBackend]:
    for backend in domain.backends:
        if not is_address(backend.host):
            raise KernelError(f"{domain.domain}: origins are addresses, or one name; {backend.host!r} is neither")
    return list(domain.backends)


def _proxy(waf: Waf, domain: Guarded, name: str, port: int, secure: bool, named: bool) -> Iterator[str]:
    scheme = "https" if secure else "http"
    if named:
        backend = domain.backends[0]
        if len(domain.backends) > 1 or not NAME.fullmatch(backend.host):
            raise KernelError(f"{domain.domain}: origins are addresses, or one name; {backend.host!r} is neither")
        yield f"resolver {waf.nameserver} valid=5s ipv6=off; set $waf_origin {backend.host};"
    yield f"proxy_bind {waf.address}; proxy_connect_timeout {domain.connect}s;"
    yield f"proxy_read_timeout {domain.read}s; proxy_send_timeout {domain.write}s;"
    yield "proxy_next_upstream error timeout;" if domain.retry else "proxy_next_upstream off;"
    yield "proxy_set_header Host $host; proxy_set_header Connection $waf_connection; proxy_set_header Upgrade $http_upgrade;"
    yield 'proxy_set_header X-Hx-Skip ""; proxy_set_header X-Real-IP $remote_addr;'
    scheme_header = "$waf_told_scheme" if domain.client else "$scheme"  # a proxy in front tells the visitor's
    yield f"proxy_set_header X-Forwarded-Proto {scheme_header};"
    # not $proxy_add_x_forwarded_for: once the client's address is known, it would repeat that in place of the peer's
    forwarded = '"$http_x_forwarded_for, $realip_remote_addr"' if domain.client else "$remote_addr"
    yield f"proxy_set_header X-Forwarded-For {forwarded};"
    for header, value in domain.headers:
        if not HEADER.fullmatch(header) or not VALUE.fullmatch(value):
            raise KernelError(f"{domain.domain}: header {header!r} cannot be added")
        yield f'proxy_set_header {header} "{value}";'
    if secure:
        yield "proxy_ssl_server_name on; proxy_ssl_name $host; proxy_ssl_verify off;"
    yield f"proxy_pass {scheme}://$waf_origin:{domain.backends[0].port or port};" if named else f"proxy_pass {scheme}://{name};"
