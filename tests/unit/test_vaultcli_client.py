"""The client of the `vault` command: headers, tokens, TLS, redirects, errors, curl commands, and what must never be printed."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from haechi.vaultcli.client import Tls, VaultClient
from tests.unit.vaultcli_fake import TOKEN, FakeVault, Server, at_home, errors, secret, serve


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeVault]:
    yield from serve()


@pytest.fixture
def vault(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVault:
    return at_home(fake, tmp_path, monkeypatch)


def test_headers_follow_flags_and_environment(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.run("read", "-namespace=a/b", "-wrap-ttl=5m", "-policy-override", "-header=X-Trace=1=2", "x")
    headers = vault.asked[0].headers
    assert headers["x-vault-namespace"] == "a/b/" and headers["x-vault-wrap-ttl"] == "5m0s"
    assert headers["x-vault-policy-override"] == "true" and headers["x-trace"] == "1=2"
    vault.run("read", "x")
    headers = vault.asked[1].headers
    assert not {"x-vault-namespace", "x-vault-wrap-ttl", "x-vault-policy-override"} & set(headers)
    monkeypatch.setenv("VAULT_NAMESPACE", "env")
    monkeypatch.setenv("VAULT_WRAP_TTL", "60")
    vault.run("read", "x")
    assert vault.asked[2].headers["x-vault-namespace"] == "env/" and vault.asked[2].headers["x-vault-wrap-ttl"] == "1m0s"
    vault.run("read", "-ns=flag", "x")
    assert vault.asked[3].headers["x-vault-namespace"] == "flag/"
    monkeypatch.delenv("VAULT_WRAP_TTL")
    vault.run("write", "sys/wrapping/wrap", "a=b")
    assert vault.asked[4].headers["x-vault-wrap-ttl"] == "5m"


def test_headers_of_vaults_own_are_refused(vault: FakeVault) -> None:
    done = vault.run("read", "-header=X-Vault-Token=canary", "x")
    assert (done.code, vault.asked) == (2, [])
    assert done.err == "failed to setup Headers[X-Vault-Token]: Header starting by 'X-Vault-' are for internal usage only\n"
    done = vault.run("read", "-header=a=canary\nb: c", "x")
    assert (done.code, vault.asked) == (2, []) and "canary" not in done.err


def test_the_token_comes_from_the_environment_before_the_file(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.run("read", "x")
    monkeypatch.setenv("VAULT_TOKEN", "hvs.env")
    vault.run("read", "x")
    monkeypatch.delenv("VAULT_TOKEN")
    (Path.home() / ".vault-token").unlink()
    vault.run("read", "x")
    assert [a.headers.get("x-vault-token") for a in vault.asked] == [TOKEN, "hvs.env", None]
    (Path.home() / ".vault-token").write_text("canary\x01token")
    done = vault.run("read", "x")
    assert (done.code, done.err) == (2, "failed to use the token: it contains non-printable characters\n")
    (Path.home() / ".vault-token").unlink()
    (Path.home() / ".vault-token").mkdir()
    done = vault.run("read", "x")
    assert (done.code, done.err) == (2, "failed to get token from token helper: Is a directory\n")


def test_paths_and_queries_are_quoted(vault: FakeVault) -> None:
    vault.run("read", "kv/a b/ä%?#", "q=x y&z")
    assert vault.asked[0].path == "/v1/kv/a%20b/%C3%A4%25%3F%23?q=x+y%26z"


def test_an_address_may_have_a_path_and_must_be_one(vault: FakeVault) -> None:
    vault.run("read", f"-address={vault.address}/proxy/", "x")
    assert vault.asked[0].path == "/proxy/v1/x"
    vault.run("read", "-address=http://127.0.0.1:1", f"-agent-address={vault.address}", "x")
    assert len(vault.asked) == 2
    for address in ("ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "unix:///x"):
        done = vault.run("read", f"-address={address}", "x")
        assert (done.code, done.err) == (2, f'failed to create client: "{address}" is no address like https://127.0.0.1:8200\n')


def test_a_refusal_that_is_not_json_is_shown_as_it_came(vault: FakeVault) -> None:
    vault.answers = {"GET x": (502, b"<h1>bad gateway</h1>")}
    done = vault.run("read", "x")
    assert done.err.endswith(f"URL: GET {vault.address}/v1/x\nCode: 502. Raw Message:\n\n<h1>bad gateway</h1>\n")
    vault.answers = {"GET x": (200, b"<h1>hello</h1>")}
    done = vault.run("read", "x")
    assert done.code == 2 and "the answer is not a JSON object" in done.err
    vault.answers = {"GET x": errors(400, "one", "two")}
    assert vault.run("read", "-namespace=n", "x").err.endswith(
        f"Namespace: n/\nURL: GET {vault.address}/v1/x\nCode: 400. Errors:\n\n* one* two\n"
    )


def test_one_redirect_is_followed_and_no_more(vault: FakeVault) -> None:
    vault.answers = {"PUT a": (307, None, {"location": f"{vault.address}/v1/b"}), "PUT b": secret({"ok": "yes"})}
    assert vault.run("write", "-field=ok", "a", "k=v").out == "yes"
    assert vault.lines == [("PUT", "a", {"k": "v"}), ("PUT", "b", {"k": "v"})]
    assert vault.asked[1].headers["x-vault-token"] == TOKEN
    vault.asked.clear()
    vault.answers["PUT b"] = (307, None, {"location": f"{vault.address}/v1/c"})
    vault.run("write", "a", "k=v")
    assert len(vault.asked) == 2
    vault.answers["PUT a"] = (307, None, {"location": "file:///etc/passwd"})
    done = vault.run("write", "a", "k=v")
    assert (done.code, done.err) == (2, "Error writing data to a: redirect would cause protocol downgrade\n")


def test_curl_commands_have_no_token_and_ask_nothing_but_the_mount(vault: FakeVault) -> None:
    done = vault.run("write", "-output-curl-string", "-tls-skip-verify", "-ca-cert=/c a", "x", "a=it's")
    assert (done.code, done.err, vault.asked) == (0, "", [])
    assert done.out == (
        "curl --insecure -X PUT --cacert '/c a' -H 'X-Vault-Request: true' -H \"X-Vault-Token: $(vault print token)\" "
        f'-d \'{{"a":"it\'"\'"\'s"}}\' {vault.address}/v1/x\n'
    )
    vault.answers = {"GET sys/internal/ui/mounts/kv/a": secret({"path": "kv/", "options": {"version": "2"}})}
    done = vault.run("kv", "get", "-output-curl-string", "kv/a")
    assert done.out.endswith(f"{vault.address}/v1/kv/data/a\n") and "-X" not in done.out
    assert len(vault.asked) == 1
    done = vault.run("kv", "put", "-wrap-ttl=1m", "kv/a", "a=b")
    assert "x-vault-wrap-ttl" not in vault.asked[1].headers and vault.asked[2].headers["x-vault-wrap-ttl"] == "1m0s"


def test_errors_never_show_secrets(vault: FakeVault) -> None:
    canaries = "canary-value"
    vault.answers = {f"PUT {p}": errors(400, "no") for p in ("x", "sys/unseal", "auth/userpass/login/u", "auth/token/revoke")}
    lines = (
        ("write", "x", f"password={canaries}"),
        ("write", "x", canaries),
        ("operator", "unseal", canaries),
        ("login", "-method=userpass", "username=u", f"password={canaries}"),
        ("token", "revoke", canaries),
        ("kv", "put", "-address=http://127.0.0.1:1", "kv/a", f"a={canaries}"),
        ("kv", "get", "kv/a", f"-token={canaries}"),
    )
    for line in lines:
        done = vault.run(*line)
        assert done.code != 0
        assert canaries not in done.err + done.out and TOKEN not in done.err + done.out
    assert TOKEN not in repr(VaultClient("http://x", token=TOKEN, headers={"a": TOKEN}))


def test_no_proxy_is_used(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert vault.run("write", "x", "a=b").code == 0


def test_data_that_is_no_text_is_refused(vault: FakeVault, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff\xfe")
    done = vault.run("write", "x", f"a=@{tmp_path}/f")
    assert (done.code, done.err, vault.asked) == (1, "The data is not UTF-8 text. Encode it first, for example with base64.\n", [])
    done = vault.run("write", "x", "a=\udcff")
    assert (done.code, vault.asked) == (1, [])


def test_in_a_process_output_is_utf8_whatever_the_locale(vault: FakeVault) -> None:
    vault.answers = {"GET x": secret({"a": "해치 ∞"})}
    source = str(Path(__file__).parents[2] / "src")
    environment = {"PYTHONPATH": source, "HOME": str(Path.home()), "VAULT_ADDR": vault.address, "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-m", "haechi.vaultcli", "read", "-field=a", "x"]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "해치 ∞".encode(), b"")


# --- TLS -----------------------------------------------------------------------------------------


@dataclass
class Secure:
    """An https server and the files around it."""

    address: str
    plain: str
    ca: Path
    other_ca: Path
    client: tuple[Path, Path]


def _certificate(name: str, issuer: tuple[x509.Certificate, Any] | None) -> tuple[x509.Certificate, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        names = [x509.DNSName("vault.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names[: 1 if name == "named" else 2]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def _write(path: Path, pair: tuple[x509.Certificate, Any], with_key: bool) -> Path:
    pem = pair[0].public_bytes(serialization.Encoding.PEM)
    if with_key:
        pem += pair[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    path.write_bytes(pem)
    return path


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, fake: FakeVault) -> Iterator[Secure]:
    """A server whose certificate is for vault.example only, and which asks for client certificates."""
    folder = tmp_path_factory.mktemp("tls")
    authority, other = _certificate("authority", None), _certificate("other", None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_write(folder / "server.pem", _certificate("named", authority), True))
    ca = _write(folder / "ca.pem", authority, False)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connection = self.connection
            assert isinstance(connection, ssl.SSLSocket)
            peer: Any = connection.getpeercert() or {}
            shown = peer["subject"][0][0][1] if peer else "nobody"
            data = json.dumps(secret({"peer": shown})).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(Server):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # of clients that do not trust it

    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    client = _write(folder / "client.pem", _certificate("me", authority), True)
    yield Secure(
        f"https://127.0.0.1:{server.server_address[1]}", fake.address, ca, _write(folder / "other.pem", other, False), (client, client)
    )
    server.shutdown()
    server.server_close()


def test_a_server_must_be_trusted(vault: FakeVault, secure: Secure, tmp_path: Path) -> None:
    named = ["-field=peer", f"-address={secure.address}", "-tls-server-name=vault.example"]
    trusted = [*named, f"-ca-cert={secure.ca}"]
    assert vault.run("read", *trusted, "x").out == "nobody"
    folder = tmp_path / "cas"
    folder.mkdir()
    (folder / "a.pem").write_bytes(secure.other_ca.read_bytes())
    done = vault.run("read", *named, f"-ca-path={folder}", "x")
    assert done.code == 2 and "tls: failed to verify certificate: " in done.err
    (folder / "b.pem").write_bytes(secure.ca.read_bytes())
    assert vault.run("read", *named, f"-ca-path={folder}", "x").out == "nobody"
    for flags in (named, [*named, f"-ca-cert={secure.other_ca}"], ["-field=peer", f"-address={secure.address}", f"-ca-cert={secure.ca}"]):
        done = vault.run("read", *flags, "x")
        assert (done.code, done.out) == (2, "") and "tls: failed to verify certificate: " in done.err
    assert vault.run("read", "-field=peer", f"-address={secure.address}", "-tls-skip-verify", "x").out == "nobody"


def test_a_client_certificate_is_shown(vault: FakeVault, secure: Secure) -> None:
    flags = ["-field=peer", f"-address={secure.address}", "-tls-server-name=vault.example", f"-ca-cert={secure.ca}"]
    assert vault.run("read", *flags, f"-client-cert={secure.client[0]}", f"-client-key={secure.client[1]}", "x").out == "me"
    done = vault.run("read", *flags, "-client-cert=/no/such", "x")
    assert done.code == 2 and done.err.startswith("failed to setup TLS config: ")


def test_tls_settings_come_from_the_environment(vault: FakeVault, secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", secure.address)
    monkeypatch.setenv("VAULT_CACERT", str(secure.ca))
    monkeypatch.setenv("VAULT_TLS_SERVER_NAME", "vault.example")
    assert vault.run("read", "-field=peer", "x").out == "nobody"
    monkeypatch.delenv("VAULT_TLS_SERVER_NAME")
    assert vault.run("read", "-field=peer", "x").code == 2
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "true")
    assert vault.run("read", "-field=peer", "x").out == "nobody"


def test_a_plain_server_is_told_from_a_secure_one(vault: FakeVault, secure: Secure) -> None:
    done = vault.run("read", f"-address={secure.plain.replace('http:', 'https:')}", "-tls-skip-verify", "x")
    assert done.code == 2 and done.err.endswith("http: server gave HTTP response to HTTPS client\n")


def test_a_secure_server_cannot_send_the_client_to_a_plain_one() -> None:
    class Redirecting(VaultClient):
        def _exchange(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, str, bytes]:
            assert url.startswith("https://")
            return 307, "http://plain/v1/x", b""

    with pytest.raises(Exception, match="redirect would cause protocol downgrade"):
        Redirecting("https://secure", tls=Tls(skip_verify=True)).read("x")


# --- login ---------------------------------------------------------------------------------------

AUTH = {"client_token": "hvs.fresh", "accessor": "a", "policies": ["p"], "token_policies": ["p"], "lease_duration": 60, "renewable": True}
TOKEN_FILE = ".vault-token"


def stored() -> str:
    path = Path.home() / TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in Path.home().iterdir()] == [TOKEN_FILE]
    return path.read_text()


def test_login_with_a_token_looks_it_up_and_keeps_it(vault: FakeVault) -> None:
    data = {
        "id": "hvs.given",
        "accessor": "a",
        "policies": ["root"],
        "identity_policies": ["i"],
        "ttl": 0,
        "renewable": False,
        "meta": None,
    }
    vault.answers = {"GET auth/token/lookup-self": secret(data)}
    for line, stdin in (
        (("login", "hvs.given"), ""),
        (("login", "token=hvs.given"), ""),
        (("login", "-"), "hvs.given\n"),
        (("login", "-method=token", "token=-"), " hvs.given "),
        (("login",), "hvs.given\n"),
    ):
        (Path.home() / TOKEN_FILE).unlink(missing_ok=True)
        done = vault.run(*line, stdin=stdin)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("Success! You are now authenticated. The token information displayed below\nis already stored")
        assert 'policies             ["i" "root"]\n' in done.out and "token_duration       ∞" in done.out
        assert stored() == "hvs.given"
        assert vault.asked[-1].headers["x-vault-token"] == "hvs.given"
    vault.asked.clear()
    assert vault.run("login", "token=hvs.unseen", "lookup=false").code == 0
    assert (vault.asked, stored()) == ([], "hvs.unseen")


def test_login_by_userpass_and_approle(vault: FakeVault) -> None:
    vault.answers = {f"PUT auth/{p}": secret(auth={**AUTH, "metadata": {"username": "u"}}) for p in ("userpass/login/u", "corp/login/u")}
    vault.answers["PUT auth/approle/login"] = secret(auth=AUTH)
    done = vault.run("login", "-method=userpass", "username=u", "password=pw")
    assert done.code == 0 and "token_meta_username    u\n" in done.out and stored() == "hvs.fresh"
    assert vault.run("login", "-method=userpass", "-path=corp/", "username=u", stdin="typed\n").code == 0
    assert vault.run("login", "-method=approle", "role_id=r", "secret_id=s").code == 0
    assert vault.lines == [
        ("PUT", "auth/userpass/login/u", {"password": "pw"}),
        ("PUT", "auth/corp/login/u", {"password": "typed"}),
        ("PUT", "auth/approle/login", {"role_id": "r", "secret_id": "s"}),
    ]
    assert all("x-vault-token" not in a.headers for a in vault.asked)


def test_login_prints_and_stores_as_told(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.answers = {"PUT auth/userpass/login/u": secret(auth=AUTH)}
    login = ("login", "-method=userpass")
    words = ("username=u", "password=p")
    (Path.home() / TOKEN_FILE).chmod(0o600)
    for flag in ("-token-only", "-no-store"):
        done = vault.run(*login, flag, *words)
        assert done.code == 0 and stored() == TOKEN + "\n"
        assert ("The token was not stored in token helper." in done.err) == (flag == "-no-store")
    assert vault.run(*login, "-token-only", *words).out == "hvs.fresh"
    assert vault.run(*login, "-field=token_duration", *words).out == "60" and stored() == "hvs.fresh"
    assert vault.run(*login, "-no-print", *words).out == ""
    assert json.loads(vault.run(*login, "-format=json", *words).out)["auth"]["client_token"] == "hvs.fresh"
    monkeypatch.setenv("VAULT_TOKEN", "hvs.other")
    assert vault.run(*login, "-no-print", *words).err.startswith("WARNING! The VAULT_TOKEN environment variable is set!")


def test_a_wrapped_login_is_unwrapped(vault: FakeVault) -> None:
    info = {"token": "hvs.w", "accessor": "a", "ttl": 60, "wrapped_accessor": "x"}
    vault.answers = {"PUT auth/userpass/login/u": secret(wrap_info=info), "PUT sys/wrapping/unwrap": secret(auth=AUTH)}
    line = ("login", "-method=userpass", "-wrap-ttl=60", "username=u", "password=p")
    assert vault.run(*line).code == 0 and stored() == "hvs.fresh"
    assert vault.asked[0].headers["x-vault-wrap-ttl"] == "1m0s" and "x-vault-wrap-ttl" not in vault.asked[1].headers
    assert vault.asked[1].headers["x-vault-token"] == "hvs.w"
    assert vault.run(*line[:2], "-token-only", *line[2:]).out == "hvs.w"
    assert "wrapping_token:" in vault.run(*line[:2], "-no-store", *line[2:]).out


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("login -method=userpass", "Error authenticating: 'username' must be specified\n"),
        ("login -method=approle", "Error authenticating: 'role_id' must be specified\n"),
        ("login token=", "Error authenticating: a token must be passed to auth, please view the help for more information\n"),
        ("login token=x lookup=maybe", 'Error authenticating: Failed to parse "lookup" as boolean\n'),
        ("login -method=userpass username=u password=p", "Error authenticating: empty response from auth/userpass/login/u\n"),
    ],
)
def test_logins_that_fail_keep_the_old_token(vault: FakeVault, line: str, text: str) -> None:
    done = vault.run(*line.split())
    assert (done.code, done.out, done.err) == (2, "", text)
    assert (Path.home() / TOKEN_FILE).read_text() == TOKEN + "\n"


def test_a_token_that_cannot_be_stored_is_shown(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.answers = {"PUT auth/userpass/login/u": secret(auth=AUTH)}
    monkeypatch.setenv("HOME", "/no/such/home")
    done = vault.run("login", "-method=userpass", "username=u", "password=p")
    assert done.code == 2 and done.err.startswith("Error storing token: No such file or directory\n") and "hvs.fresh" in done.out


def test_a_stored_token_replaces_the_old_one_whole(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    vault.answers = {"PUT auth/userpass/login/u": secret(auth=AUTH)}
    monkeypatch.setattr("os.replace", refuse)
    done = vault.run("login", "-method=userpass", "username=u", "password=p")
    assert done.code == 2 and (Path.home() / TOKEN_FILE).read_text() == TOKEN + "\n"
    assert [p.name for p in Path.home().iterdir()] == [TOKEN_FILE]


def test_nothing_is_asked_of_the_user_with_non_interactive(vault: FakeVault) -> None:
    for line in ("login -non-interactive", "operator unseal -non-interactive", "login -method=userpass -non-interactive username=u"):
        done = vault.run(*line.split(), stdin="canary\n")
        assert (done.code, done.err) == (1, "Refusing to read from stdin with -non-interactive specified\n")
    assert vault.asked == []
