"""The HTTP client: one request, one answer, with Vault's headers, TLS settings and error layout. Standard library only.

No proxy is used, whatever the environment says: secrets go to the server that was named or nowhere.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from haechi.vaultcli.errors import ApiError, CommandError, CurlCommand, TransportError
from haechi.vaultcli.values import join_path

Envelope = dict[str, Any]
SAFE = "/:@!$&'()*+,;=~-._"


@dataclass
class Tls:
    """How an https server is checked and how the client shows itself; paths of PEM files."""

    ca_cert: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    server_name: str = ""
    skip_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """CommandError when a file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.skip_verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif self.ca_cert:
                context.load_verify_locations(cafile=self.ca_cert)
            elif self.ca_path:
                for name in sorted(Path(self.ca_path).iterdir()):
                    context.load_verify_locations(cafile=name)
            else:
                context.load_default_certs()
            if self.client_cert or self.client_key:
                context.load_cert_chain(self.client_cert, self.client_key or None)
        except (OSError, ssl.SSLError) as error:
            raise CommandError(f"failed to setup TLS config: {error}", 2) from None
        return context


class _Https(http.client.HTTPSConnection):
    """An https connection that may ask for another server name than the address has."""

    def __init__(self, host: str, port: int | None, timeout: float, tls: Tls) -> None:
        self._tls_context = tls.context()
        self._server_name = tls.server_name or host
        super().__init__(host, port, timeout=timeout, context=self._tls_context)

    def connect(self) -> None:
        raw = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls_context.wrap_socket(raw, server_hostname=self._server_name)


@dataclass
class VaultClient:
    """One Vault, one token. `curl` makes every request a CurlCommand instead."""

    address: str
    token: str = field(default="", repr=False)
    namespace: str = ""
    wrap_ttl: str = ""
    policy_override: bool = False
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    tls: Tls = field(default_factory=Tls)
    timeout: float = 60.0
    curl: bool = False

    def read(self, path: str, params: dict[str, str] | None = None) -> Envelope | None:
        """GET; None when there is nothing. A 404 with data or warnings (a deleted version) is an answer."""
        try:
            return self.request("GET", path, params=params)
        except ApiError as error:
            if error.status != 404:
                raise
            return error.secret

    def list(self, path: str) -> Envelope | None:
        """GET ?list=true; None when there is nothing."""
        return self.read(path, {"list": "true"})

    def write(self, path: str, data: Any = None) -> Envelope | None:
        """PUT; None when the server had nothing to say."""
        return self.request("PUT", path, data if data is not None else {})

    def patch(self, path: str, data: Any) -> Envelope | None:
        """PATCH as a JSON merge patch."""
        return self.request("PATCH", path, data, content_type="application/merge-patch+json")

    def delete(self, path: str) -> Envelope | None:
        """DELETE; None when the server had nothing to say."""
        return self.request("DELETE", path)

    def expect(self, method: str, path: str, data: Any = None) -> Envelope:
        """A request that must be answered with a body. TransportError when it is not."""
        answer = self.request(method, path, data)
        if answer is None:
            raise TransportError(f"empty response from {path}")
        return answer

    def request(
        self, method: str, path: str, data: Any = None, params: dict[str, str] | None = None, content_type: str = "application/json"
    ) -> Envelope | None:
        """One request to /v1/<path>. ApiError for what the server refuses, TransportError when it cannot be asked."""
        url = self._url(path, params)
        body = None if data is None else json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
        headers = self._headers(method, path)
        if method == "PATCH":
            headers["Content-Type"] = content_type
        if self.curl:
            raise CurlCommand(self._curl(method, url, headers, body))
        status, location, raw = self._exchange(method, url, headers, body)
        if status in (301, 302, 307) and location:
            target = urlsplit(location)
            if target.scheme not in ("http", "https") or (self.address.startswith("https://") and target.scheme == "http"):
                raise TransportError("redirect would cause protocol downgrade")
            url = location
            status, _, raw = self._exchange(method, url, headers, body)
        return self._answer(method, url, status, raw)

    def _url(self, path: str, params: dict[str, str] | None) -> str:
        base = urlsplit(self.address if "://" in self.address else f"https://{self.address}")
        try:
            usable = base.scheme in ("http", "https") and base.hostname and (base.port or 1)
        except ValueError:  # of the port
            usable = False
        if not usable:
            raise CommandError(f'failed to create client: "{self.address}" is no address like https://127.0.0.1:8200', 2)
        full = quote("/" + join_path(base.path, "v1", path), safe=SAFE)
        query = "?" + urlencode(params) if params else ""
        return f"{base.scheme}://{base.netloc}{full}{query}"

    def _headers(self, method: str, path: str) -> dict[str, str]:
        headers = {"X-Vault-Request": "true", **self.headers}
        if self.token:
            if not (self.token.isascii() and self.token.isprintable()):
                raise CommandError("failed to use the token: it contains non-printable characters", 2)
            headers["X-Vault-Token"] = self.token
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        if self.policy_override:
            headers["X-Vault-Policy-Override"] = "true"
        ttl = self.wrap_ttl or ("5m" if method in ("PUT", "POST") and path == "sys/wrapping/wrap" else "")
        if ttl:
            headers["X-Vault-Wrap-TTL"] = ttl
        return headers

    def _exchange(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, str, bytes]:
        """Status, Location and body of one exchange on a connection of its own."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = _Https(host, parts.port, self.timeout, self.tls)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=self.timeout)
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
            response = connection.getresponse()
            return response.status, response.getheader("Location", ""), response.read()
        except (OSError, http.client.HTTPException) as error:
            where = f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
            raise TransportError(f'{method.capitalize()} "{url}": {_reason(error, where)}') from None
        except ValueError:  # of http.client, with the header in its text
            raise CommandError("failed to setup Headers: a name or value has characters that HTTP does not allow", 2) from None
        finally:
            connection.close()

    def _answer(self, method: str, url: str, status: int, raw: bytes) -> Envelope | None:
        try:
            decoded = json.loads(raw) if raw.strip() else None
        except ValueError:
            decoded = raw.decode(errors="replace")
        if 200 <= status < 400:
            if isinstance(decoded, str | list):
                raise TransportError(f'{method.capitalize()} "{url}": the answer is not a JSON object')
            return decoded
        if not isinstance(decoded, dict):
            raise ApiError(status, [raw.decode(errors="replace").strip()], url, method, self.namespace, raw=True)
        has_more = bool(decoded.get("data") or decoded.get("warnings"))
        errors = [str(e) for e in decoded.get("errors") or []]
        raise ApiError(status, errors, url, method, self.namespace, secret=decoded if status == 404 and has_more else None)

    def _curl(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> str:
        words = ["curl"]
        words += ["--insecure"] if self.tls.skip_verify else []
        words += ["-X", method] if method != "GET" else []
        for option, value in (("--cacert", self.tls.ca_cert), ("--capath", self.tls.ca_path), ("--cert", self.tls.client_cert)):
            words += [option, shlex.quote(value)] if value else []
        words += ["--key", shlex.quote(self.tls.client_key)] if self.tls.client_key else []
        for name, value in headers.items():
            words += ["-H", '"X-Vault-Token: $(vault print token)"' if name == "X-Vault-Token" else shlex.quote(f"{name}: {value}")]
        words += ["-d", shlex.quote(body.decode())] if body else []
        return " ".join([*words, shlex.quote(url)])


def _reason(error: Exception, where: str) -> str:
    """What went wrong, near the words Go has for it."""
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {where}: connect: connection refused"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {where.rpartition(':')[0]}: {error.strerror}"
    if isinstance(error, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "http: server gave HTTP response to HTTPS client"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError):
        return "EOF"
    if isinstance(error, OSError) and error.strerror:
        return f"dial tcp {where}: connect: {error.strerror.lower()}"
    return str(error) or type(error).__name__


def read_token(environment: dict[str, str] | os._Environ[str] = os.environ) -> str:
    """The token of VAULT_TOKEN, else of ~/.vault-token; empty when there is none."""
    if environment.get("VAULT_TOKEN"):
        return environment["VAULT_TOKEN"].strip()
    try:
        return token_file().read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise CommandError(f"failed to get token from token helper: {error.strerror}", 2) from None


def store_token(token: str) -> None:
    """Write ~/.vault-token whole or not at all, readable by its owner alone."""
    path = token_file()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(token)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def token_file() -> Path:
    """Where the token helper keeps the token."""
    return Path.home() / ".vault-token"
