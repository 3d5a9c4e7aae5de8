"""Ten thousand random requests, half of them to a sealed Vault: never a 500, always JSON, and no planted secret in any log.

Seeded: a failure shows the number of its request. HAECHI_LONG=1 sends ten times as many.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from haechi.vault.auth import userpass
from haechi.vault.engines import ssh_ca
from haechi.vault.operator import OPERATIONS
from tests.vaultlab import VaultLab
from tests.vaultserver import VaultServer

REQUESTS = 50_000 if os.environ.get("HAECHI_LONG") == "1" else 5_000  # of each half
METHODS = ("GET", "GET", "GET", "PUT", "POST", "POST", "DELETE", "LIST", "LINK", "HEAD", "PATCH", "OPTIONS", "TRACE", "BREW")
VERBS = {"create": "PUT", "read": "GET", "update": "POST", "delete": "DELETE", "list": "LIST", "patch": "PATCH"}
KNOWN = ("a", "b", "web", "bob", "ci", "kv", "kv2", "ssh", "userpass", "keep", "weak", "default", "kv/a", "lookup-self")
ODD = ("root", "x.y", "A", "é", "日本", " ", "%", "*", "+", "a" * 300, "\0", "..", ".", "", "tune", "a/b/c/")
NAMES = (*KNOWN, *KNOWN, *ODD)
CANARIES = {
    "value": "canary-value-1f7c",
    "password": "canary-password-1f7c",
    "token": "canary-token-1f7c",
    "input": "canary-input-1f7c",
}


CAPTURES = {
    "role_name": ("ci",),
    "role": ("web", "ca"),
    "username": ("bob",),
    "path": ("a", "b", "f/c", ""),
    "place": ("kv", "kv2", "ssh", "userpass", "approle", "keep"),
    "name": ("weak", "bob"),
    "header": ("x-a",),
    "step": ("init",),
    "urlalgorithm": ("sha2-256",),
    "urlbytes": ("8",),
    "prefix": ("ssh", "ssh/creds/web"),
}
FITTING: dict[str, tuple[Any, ...]] = {
    "type": ("kv", "kv-v2", "ssh", "userpass", "approle", "service", "batch", "file"),
    "options": ({"version": "2"}, {"version": "1"}, {"file_path": "discard"}, {"file_path": "some-audit.log"}, {"cas": 1}),
    "config": (
        {"max_lease_ttl": "1h"},
        {"default_lease_ttl": "9999h"},
        {"listing_visibility": "unauth"},
        {"user_lockout_config": {"a": {}}},
    ),
    "data": ({"x": CANARIES["value"]}, {"x": {"y": [1]}}, {}),
    "versions": ([1], ["1", 2], [0, -1, 10**20], "1,2"),
    "policy": ('path "kv/*" { capabilities = ["read"] }', 'path "+/a" { policy = "write" }', 'path "*" {}'),
    "policies": (["weak"], ["default"], "weak,default", ["root"]),
    "key_type": ("otp", "ca", "ed25519"),
    "cidr_list": ("0.0.0.0/0", "10.0.0.0/8"),
    "ip": ("10.0.0.1", "::1", "10.0.0.256"),
    "default_user": ("u",),
    "username": ("u",),
    "ttl": ("1h", 60),
    "path": ("kv/a", "kv"),
    "paths": (["kv/a", "sys/seal"],),
    "from": ("kv", "ssh"),
    "to": ("moved", "kv/below"),
    "password": (CANARIES["password"],),
    "id": ("chosen", "a b", "hvs.x"),
    "public_key": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0mDXhXSl8Uq2xrzE1l1u3f8s5uTT1nXkTqj2f0D2dV x",),
}


# What these say is a name by its nature, and names stand in the audit log as they are: nobody puts a secret there.
PUBLIC = {"path", "paths", "from", "to", "display_name", "meta", "metadata", "username", "role_name", "id"} | {
    prefix + "policies" + suffix for prefix in ("", "token_", "allowed_", "disallowed_") for suffix in ("", "_glob")
}


class Chance(random.Random):
    """What a hostile and confused client sends."""

    def number(self) -> Any:
        return self.choice((0, 1, -1, 2**31, 2**63, -(2**63), 10**30, 1e308, 0.1, -0.0, 3600, self.randrange(10**6)))

    def text(self) -> str:
        fixed = (
            "",
            "a",
            "1h",
            "-1h",
            "999999h",
            "true",
            "10.0.0.1",
            "10.0.0.0/8",
            "::1/200",
            "otp",
            "ca",
            "kv",
            "ssh",
            "userpass",
            "approle",
        )
        more = (
            "root",
            "default",
            "{{identity.entity.id}}",
            "ssh-ed25519 AAAA",
            "-----BEGIN",
            "\ud800",
            "\0",
            "é" * 50,
            "x" * 5000,
            "[" * 50,
            "a,b, ,c",
        )
        policy = ('path "kv/*" { capabilities = ["read"] }', 'path "a" {', '{"path": {"a": {"policy": "write"}}}', 'path "+*" {}')
        return self.choice((*fixed, *more, *policy, *CANARIES.values(), self.choice(self.secrets), str(self.number())))

    def value(self, depth: int = 0) -> Any:
        kind = self.randrange(10 if depth < 4 else 6)
        if kind < 3:
            return self.text()
        if kind < 5:
            return self.number()
        if kind == 5:
            return self.choice((None, True, False))
        if kind < 8:
            return [self.value(depth + 1) for _ in range(self.randrange(4))]
        return {self.choice(NAMES): self.value(depth + 1) for _ in range(self.randrange(4))}

    def fitting(self, name: str, kind: str, tame: bool) -> Any:
        """Something that this field might take, more often than not; always when tame."""
        fits = (*FITTING.get(name, ()), *self.known.get(name, ()))
        if name in PUBLIC:
            return self.choice(fits or KNOWN if tame else (*fits, *NAMES))
        if not tame and self.random() < 0.3:
            return self.value()
        if fits and (tame or self.random() < 0.5):
            return self.choice(fits)
        if tame:
            return {"int": 5, "seconds": "1h", "signed seconds": 60, "bool": True, "list": ["a"], "map": {}, "pairs": {"a": "b"}}.get(
                kind, "a"
            )
        if kind in ("int", "seconds", "signed seconds"):
            return self.number()
        if kind == "bool":
            return self.random() < 0.5
        if kind == "list":
            return [self.choice(NAMES) for _ in range(self.randrange(3))]
        if kind in ("map", "pairs"):
            return {self.choice(NAMES): self.text() for _ in range(self.randrange(3))}
        return self.text()

    secrets: list[str] = []  # noqa: RUF012 (set once the Vault is filled, as is the next)
    known: dict[str, list[Any]] = {}  # noqa: RUF012


class Fuzz:
    """One Vault with a bit of everything in it, and what must never be seen."""

    def __init__(self, place: Path, seed: int) -> None:
        self.vault = vault = VaultLab(shares=5, threshold=3)
        self.chance = Chance(seed)
        self.audit, self.made = place / "audit.log", list[str]()
        vault.ok("POST", "sys/audit/keep", {"type": "file", "options": {"file_path": str(self.audit)}})
        self.fill()
        self.routes = [
            (backend.mount.path, route)
            for mount in vault.core.mounts.all()
            for backend in (vault.core.backend(mount),)
            for route in backend.ROUTES
        ]

    def fill(self) -> None:
        """All that the names in the requests are of, made anew."""
        ok = self.vault.ok
        for mount in self.vault.core.mounts.all():
            if mount.type not in ("system", "cubbyhole", "token"):
                ok("DELETE", f"sys/{'auth' if mount.auth else 'mounts'}/{quote(mount.path.removeprefix('auth/').rstrip('/'))}")
        for path, body in (("kv", {"type": "kv"}), ("kv2", {"type": "kv-v2"}), ("ssh", {"type": "ssh"}), ("sshca", {"type": "ssh"})):
            ok("POST", f"sys/mounts/{path}", body)
        for kind in ("userpass", "approle"):
            ok("POST", f"sys/auth/{kind}", {"type": kind})
        ok("POST", "kv/a", {"x": CANARIES["value"]})
        ok("POST", "kv2/data/a", {"data": {"x": CANARIES["value"]}})
        ok("POST", "auth/userpass/users/bob", {"password": CANARIES["password"]})
        ok("POST", "auth/approle/role/ci", {"token_policies": "default"})
        issued = ok("POST", "auth/approle/role/ci/secret-id", {})["data"]
        secret_id = issued["secret_id"]
        ok("POST", "ssh/roles/web", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
        issues = [ok("POST", "ssh/creds/web", {"ip": "10.0.0.1"}) for _ in range(3)]
        otps, self.leases = [issue["data"]["key"] for issue in issues], [issue["lease_id"] for issue in issues]
        ok("POST", "sshca/roles/ca", {"key_type": "ca", "allow_user_certificates": True, "allowed_users": "*", "default_user": "u"})
        ok("POST", "auth/token/roles/ci", {"allowed_policies": "weak"})
        ok("POST", "sshca/config/ca", {"generate_signing_key": True})
        ok("PUT", "sys/policies/acl/weak", {"policy": 'path "kv/b*" { capabilities = ["create", "read", "update", "list"] }'})
        self.weak = ok("POST", "auth/token/create", {"policies": ["weak"], "ttl": "700h"})["auth"]["client_token"]
        self.batch = ok("POST", "auth/token/create", {"policies": ["weak"], "type": "batch"})["auth"]["client_token"]
        self.made += [secret_id, *otps, self.weak, self.batch, self.vault.root, *self.vault.keys]
        self.made += [base64.b64encode(bytes.fromhex(key)).decode() for key in self.vault.keys]
        weak = ok("POST", "auth/token/lookup", {"token": self.weak})["data"]
        wrapped = [
            ok("POST", "sys/wrapping/wrap", {"x": CANARIES["value"]}, headers={"X-Vault-Wrap-TTL": "9h"})["wrap_info"]["token"]
            for _ in "ab"
        ]
        self.made += wrapped
        self.chance.known = {
            "lease_id": self.leases,
            "id": self.leases,
            "accessor": [weak["accessor"]],
            "token": [self.weak, *wrapped],
            "otp": otps,
            "secret_id": [secret_id],
            "secret_id_accessor": [issued["secret_id_accessor"]],
            "role_id": [ok("GET", "auth/approle/role/ci/role-id")["data"]["role_id"]],
            "key": [self.vault.keys[0]],
        }
        self.chance.secrets = [secret_id, *otps, self.weak, self.vault.keys[0]]  # one share only: it must not open

    @property
    def secrets(self) -> list[str]:
        return [*CANARIES.values(), *self.made]

    def revive(self, sealed: bool) -> None:
        """Undo what a request may have done to all others: opened or sealed it, or revoked the token they come with."""
        vault = self.vault
        if sealed:
            if vault.core.store.is_open:
                vault.ok("PUT", "sys/seal")
            return
        if not vault.core.store.is_open:
            vault.ok("PUT", "sys/unseal", {"reset": True})
            for key in vault.keys[:3]:
                vault.ok("PUT", "sys/unseal", {"key": key})
        if vault.core.tokens.find(vault.core.store.begin(), vault.root, vault.clock()) is None:
            vault.call("DELETE", "sys/generate-root/attempt")
            started = vault.ok("PUT", "sys/generate-root/attempt", {})
            for key in vault.keys[:3]:
                done = vault.ok("PUT", "sys/generate-root/update", {"key": key, "nonce": started["nonce"]})
            mixed = base64.b64decode(done["encoded_token"] + "==")
            vault.root = bytes(a ^ b for a, b in zip(mixed, started["otp"].encode(), strict=True)).decode()
            self.made.append(vault.root)

    # One request.

    def path(self) -> tuple[str, str, dict[str, str]]:
        """A verb, mostly a fitting one, a real endpoint's path, mostly as it is, and its fields."""
        chance, tame = self.chance, self.tame
        if chance.random() < (0.03 if tame else 0.12):
            path = chance.choice(list(OPERATIONS))
            verbs = list(OPERATIONS[path])
            fields = dict.fromkeys(("key", "nonce", "otp", "reset", "secret_shares", "secret_threshold"), "any")
        else:
            mount, route = chance.choice(self.routes)
            path = "/".join(self.capture(piece) if piece.startswith("{") else piece for piece in (mount + route.pattern).split("/"))
            verbs, fields = [VERBS[operation] for operation in route.handlers], dict(route.fields)
        method = chance.choice(verbs if tame or chance.random() < 0.8 else METHODS)
        if tame:
            return method, path, fields
        bend = chance.random()
        if bend < 0.05:
            path += "/"
        elif bend < 0.08:
            path = path.replace("/", "//", 1)
        elif bend < 0.11:
            path = path.upper()
        elif bend < 0.14:
            at = chance.randrange(len(path) + 1)
            path = path[:at] + chance.choice(NAMES) + path[at:]
        elif bend < 0.16:
            path = path[: chance.randrange(len(path) + 1)]
        return method, path, fields

    def capture(self, piece: str) -> str:
        name = piece.strip("{.}")
        fits = (*CAPTURES.get(name, ()), *self.chance.known.get(name, ()))
        return str(self.chance.choice(fits if fits and self.tame else NAMES))

    def target(self, path: str) -> bytes:
        chance = self.chance
        if self.tame:
            return b"/v1/" + quote(path).encode()
        text = quote(path, safe=chance.choice(("/", "/", "/+*", "")))
        if chance.random() < 0.03:
            text += chance.choice(("%ff", "%", "%zz", "%00", "%2f%2e%2e%2f"))
        query = ""
        if chance.random() < 0.25:
            pairs = (
                (chance.choice(("list", "version", "depth", "a", "sealedcode", "activecode", "after")), chance.text()) for _ in range(2)
            )
            query = "?" + "&".join(f"{name}={quote(value.encode('utf-8', 'replace'))}" for name, value in pairs)
        return b"/v1/" + (text + query).encode()

    def body(self, fields: dict[str, str]) -> tuple[bytes, str]:
        chance = self.chance
        if self.tame:
            tame = {name: chance.fitting(name, kind, True) for name, kind in fields.items() if chance.random() < 0.6}
            return json.dumps(tame or {"x": CANARIES["value"]}).encode(), chance.choice(
                ("application/json", "application/merge-patch+json")
            )
        kind = chance.random()
        if kind < 0.1:
            return b"", "application/json"
        if kind < 0.16:
            odd = (
                b"{",
                b"null",
                b"[]",
                b'"x"',
                b"\xff\xfe",
                b'{"a":' * 400 + b"1" + b"}" * 400,
                b"[" * 5000,
                b'{"a": NaN}',
                b'{"a": 1e999}',
            )
            return chance.choice((*odd, b'{"a": ' + b"9" * 6000 + b"}")), "application/json"
        if kind < 0.2:
            return b"&".join(
                f"{name}={quote(CANARIES['value'])}".encode() for name in fields if name not in PUBLIC
            ), "application/x-www-form-urlencoded"
        data = {name: chance.fitting(name, kind, False) for name, kind in fields.items() if chance.random() < 0.7}
        if chance.random() < 0.2 or not fields:
            data[chance.choice(NAMES)] = chance.value()
        text = json.dumps(data).encode()
        if chance.random() < 0.05:
            at = chance.randrange(len(text))
            text = text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
        return text, chance.choice(("application/json", "application/json", "", "text/plain", "application/merge-patch+json"))

    def headers(self, content_type: str, body: bytes) -> list[tuple[bytes, bytes]]:
        chance = self.chance
        token = (
            self.vault.root
            if self.tame
            else chance.choice(
                (self.vault.root,) * 16 + (self.weak, self.batch, "", "hvs.wrong", "hvb.wrong", CANARIES["token"], "\xe9" * 20, "x" * 9000)
            )
        )
        made = [(b"content-length", str(len(body)).encode())] if body else []
        if token:
            made.append(
                (b"authorization", b"Bearer " + token.encode("latin-1"))
                if chance.random() < 0.1
                else (b"x-vault-token", token.encode("latin-1"))
            )
        if content_type:
            made.append((b"content-type", content_type.encode()))
        if chance.random() < 0.08:
            made.append((b"x-vault-wrap-ttl", chance.choice((b"60", b"1h", b"-1", b"soon", b"9" * 30, b"\xff"))))
        if chance.random() < 0.05:
            made.append((b"x-vault-namespace", b"\xe9/x"))
        return made

    async def send(self) -> tuple[str, bytes, bytes, int, dict[bytes, bytes], bytes]:
        self.tame = self.chance.random() < 0.6
        method, path, fields = self.path()
        target = self.target(path)
        body, content_type = self.body(fields)
        headers = self.headers(content_type, body)
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        raw, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "method": method,
            "path": "",
            "raw_path": raw,
            "query_string": query,
            "headers": headers,
            "client": ("127.0.0.1", 9),
        }
        await self.vault.api(scope, receive, send)
        request = b"".join((target, body, *(value for _, value in headers)))
        return method, target, request, sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.fixture
def fuzz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Fuzz]:
    """Passwords and keys are made cheaply, and audit devices with relative paths end up in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(userpass, "COST", 16)
    monkeypatch.setattr(userpass, "_NOBODY", userpass.hash_password("nobody"))
    generate = ssh_ca.generate_pair
    monkeypatch.setattr(ssh_ca, "generate_pair", lambda key_type, bits: generate("ed25519", 0))
    made = Fuzz(tmp_path, 2026)
    yield made
    made.vault.close()


@pytest.mark.parametrize("sealed", [False, True], ids=["unsealed", "sealed"])
def test_random_requests(fuzz: Fuzz, caplog: pytest.LogCaptureFixture, sealed: bool) -> None:
    caplog.set_level(logging.DEBUG)
    statuses: dict[int, int] = {}
    for number in range(REQUESTS):
        fuzz.revive(sealed)
        if number % 500 == 0 and not sealed:
            fuzz.fill()
        method, target, request, status, headers, body = fuzz.vault.run(fuzz.send())
        where = f"request {number}: {method} {target[:200]!r} {status}"
        statuses[status] = statuses.get(status, 0) + 1
        assert 200 <= status < 600 and status != 500, f"{where}\n{request[:3000]!r}\n{caplog.text[-3000:]}"
        if method == "HEAD":
            assert body == b"", where
        if body:
            if b"public_key" in target and status == 200 and headers[b"content-type"] == b"text/plain":
                continue
            assert headers[b"content-type"] == b"application/json", where
            answer = json.loads(body, parse_constant=pytest.fail)
            assert isinstance(answer, dict), where
            if status >= 400 and "server_time_utc" not in answer:  # sys/health
                assert "errors" in answer or "data" in answer, where
                for secret in fuzz.secrets:
                    assert secret.encode() not in body or secret.encode() in request, f"{where} shows a secret"
        assert status != 204 or not body, where
    served = statuses.get(200, 0) + statuses.get(204, 0)
    assert served > REQUESTS // 6 if not sealed else statuses.get(503, 0) > REQUESTS // 3, statuses
    assert len(statuses) >= (6 if sealed else 8), statuses
    fuzz.revive(False)  # it lives, and works
    fuzz.vault.ok("POST", "sys/mounts/after-all", {"type": "kv"})
    fuzz.vault.ok("POST", "after-all/a", {"x": "y"})
    assert fuzz.vault.ok("GET", "after-all/a")["data"] == {"x": "y"}
    logged = caplog.text
    audited = fuzz.audit.read_bytes()
    assert len(audited) > 10_000
    for secret in fuzz.secrets:
        assert secret not in logged, "a secret in the log"
        seen = [line[:3000] for line in audited.splitlines() if secret.encode() in line]
        assert not seen, f"a secret in the audit log: {seen[0]!r}"


def test_a_real_server_tells_its_secrets_to_nobody(tmp_path: Path) -> None:
    """Log, audit file, process list and environment of a process that handled all of them, refused requests included."""
    server = VaultServer(tmp_path)
    try:
        server.start()
        server.initialize(5, 3)
        audit = tmp_path / "audit.log"
        server.call("POST", "sys/audit/file", {"type": "file", "options": {"file_path": str(audit)}})
        for path, kind in (("mounts/kv", "kv"), ("mounts/ssh", "ssh"), ("auth/userpass", "userpass"), ("auth/approle", "approle")):
            server.call("POST", f"sys/{path}", {"type": kind})
        server.call("POST", "kv/a", {"x": CANARIES["value"]})
        server.call("GET", "kv/a")
        server.call("POST", "auth/userpass/users/bob", {"password": CANARIES["password"]})
        login = server.call("POST", "auth/userpass/login/bob", {"password": CANARIES["password"]})["auth"]["client_token"]
        server.call("POST", "auth/approle/role/ci", {})
        secret_id = server.call("POST", "auth/approle/role/ci/secret-id", {})["data"]["secret_id"]
        server.call("POST", "ssh/roles/r", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
        otp = server.call("POST", "ssh/creds/r", {"ip": "10.0.0.1"})["data"]["key"]
        server.call("PUT", "ssh/verify", {"otp": otp})
        http = server.http
        refused = [
            http.get("kv/a", headers={"X-Vault-Token": CANARIES["token"]}),
            http.post("auth/userpass/login/bob", json={"password": CANARIES["input"]}),
            http.put("sys/unseal", json={"key": CANARIES["input"]}),
            http.put("ssh/verify", json={"otp": otp}),
            http.post("kv/a", content=b'{"x": "' + CANARIES["input"].encode(), headers={"X-Vault-Token": server.root}),
            http.post("auth/token/create", json={"ttl": CANARIES["input"]}, headers={"X-Vault-Token": server.root}),
            http.post("auth/approle/login", json={"role_id": "x", "secret_id": CANARIES["input"]}),
            http.put("sys/wrapping/unwrap", json={"token": CANARIES["input"]}),
        ]
        assert [response.status_code for response in refused] == [403, 400, 400, 400, 400, 400, 400, 400]
        assert not any(canary in response.text for response in refused for canary in CANARIES.values())
        server.call("PUT", "sys/seal")
        process = Path(f"/proc/{server.pid}")
        seen = {name: (process / name).read_bytes() for name in ("cmdline", "environ", "comm")}
        seen |= {"log": server.log.read_bytes(), "audit": audit.read_bytes()}
        assert b"server" in seen["cmdline"] and len(seen["audit"]) > 5000
        for secret in (*CANARIES.values(), server.root, *server.keys, login, secret_id, otp):
            for place, content in seen.items():
                assert secret.encode() not in content, f"a secret in the {place}"
    finally:
        server.close()
