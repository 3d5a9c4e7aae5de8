"""A little Vault for tests of the control side: the paths that setup uses, and nothing of what makes a Vault safe."""

from __future__ import annotations

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
DENIED: Answer = (403, {"errors": ["permission denied"]})
EMPTY: Answer = (404, {"errors": []})


class FakeVault:
    """Serves on loopback. `writes` lists every changing path, `store` holds what was written, by path."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.given: list[str] = []
        self.sealed = True
        self.tokens: dict[str, str] = {}  # token: whose
        self.store: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.upgrading = self.standby = 0  # how many requests still meet a Vault that is not quite there
        self.issued: list[dict[str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # one packet per answer

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                path = self.path.removeprefix("/v1/")
                status, value = fake.handle(self.command, path, self.headers.get("X-Vault-Token") or "", body)
                data = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def seal(self) -> None:
        self.sealed, self.given = True, []

    def handle(self, method: str, path: str, token: str, body: dict[str, Any]) -> Answer:
        if path == "sys/seal-status":
            return 200, self._status()
        if path == "sys/init":
            return self._init(body)
        if path == "sys/unseal":
            return self._unseal(body)
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if path == "sys/health":
            self.standby = max(0, self.standby - 1)
            return (429, {"standby": True}) if self.standby else (200, {"sealed": False})
        if path.startswith("auth/userpass/login/"):
            name = path.rsplit("/", 1)[1]
            if self.store.get(f"auth/userpass/users/{name}", {}).get("password") != body["password"]:
                return 400, {"errors": ["invalid username or password"]}
            self.tokens[token := f"hvs.{secrets.token_hex(8)}"] = name
            return 200, {"auth": {"client_token": token}}
        if token not in self.tokens:
            return DENIED
        return self._read(path, token) if method == "GET" else self._write(path, token, body)

    def _status(self) -> dict[str, Any]:
        shares = len(self.keys)
        return {"initialized": shares > 0, "sealed": self.sealed, "t": 3, "n": shares, "progress": len(self.given), "version": "0"}

    def _init(self, body: dict[str, Any]) -> Answer:
        if self.keys:
            return 400, {"errors": ["Vault is already initialized"]}
        self.keys = [secrets.token_hex(33) for _ in range(body["secret_shares"])]
        self.tokens = {f"hvs.{secrets.token_hex(12)}": "root"}
        return 200, {
            "keys": self.keys,
            "keys_base64": [bytes.fromhex(k).hex()[::-1] for k in self.keys],
            "root_token": next(iter(self.tokens)),
        }

    def _unseal(self, body: dict[str, Any]) -> Answer:
        if body.get("reset"):
            self.given = []
        elif body["key"] not in self.given:
            self.given.append(body["key"])
        if len(self.given) >= 3:
            good, self.given = set(self.given) <= set(self.keys), []
            if not good:
                return 400, {"errors": ["failed to decrypt encrypted stored keys: cipher: message authentication failed"]}
            self.sealed = False
        return 200, self._status()

    def _read(self, path: str, token: str) -> Answer:
        if path == "auth/token/lookup-self":
            return 200, {"data": {"display_name": self.tokens[token]}}
        if path in ("sys/mounts", "sys/auth", "sys/audit"):
            found = {p.removeprefix(path)[1:] + "/": v for p, v in self.store.items() if p.startswith(f"{path}/")}
            return 200, {"data": found}
        if path not in self.store:
            return EMPTY
        data = {k: v for k, v in self.store[path].items() if k != "password"}
        return 200, {"data": data}

    def _write(self, path: str, token: str, body: dict[str, Any]) -> Answer:
        if path == "ssh-otp/creds/otp_key_role":
            if self.tokens[token] not in ("root", "operator"):
                return DENIED
            if body["username"] != "test":
                return 400, {"errors": ["Username is not present is allowed users list"]}
            self.issued.append(body)
            return 200, {"data": {"key": "2f7e25a2-24c9-4b7b-0d35-27d5e5203a5c", **body}}
        if path.startswith("kv-v2/") and self.upgrading:
            self.upgrading -= 1
            return 400, {"errors": ["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period."]}
        self.writes.append(path)
        if path.endswith("/tune"):
            mount = self.store[path.removesuffix("/tune")]
            mount["config"] = mount["config"] | body
            return 204, None
        self.store[path] = self.store.get(path, {}) | body
        return (200, {"data": {"version": 1}}) if path.startswith("kv-v2/") else (204, None)
