"""vault-ssh-helper against a small Vault on loopback: every flag, key and check, each way."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.sshhelper import vault_ssh_helper as helper
from tests.unit.sshhelper_bench import GOOD, OTP, PAM, Authority, Host, Vault, reply


@pytest.fixture
def vault() -> Iterator[Vault]:
    server = Vault()
    yield server
    server.close()


@pytest.fixture
def host(tmp_path: Path, vault: Vault) -> Host:
    return Host(tmp_path, vault)


def test_login(host: Host) -> None:
    assert host() == 0
    (lines, body), *others = host.vault.requests
    assert not others
    assert lines[0] == "PUT /v1/ssh-otp/verify HTTP/1.1"
    assert f"Host: 127.0.0.1:{host.vault.port}" in lines and "Connection: close" in lines and "X-Vault-Request: true" in lines
    assert not [line for line in lines if line.lower().startswith(("x-vault-token", "x-vault-namespace"))]
    assert json.loads(body) == {"otp": OTP}
    assert "[INFO] ubuntu@127.0.0.1 authenticated! (role 'otp_key_role', from '192.0.2.7')" in host.log
    assert "Dev mode is enabled" in host.log and "using SSH mount point: ssh-otp" in host.log and "[ERROR]" not in host.log


def test_only_a_uuid_is_asked_for(host: Host) -> None:
    assert host(otp=OTP.encode() + b"\0") == 0
    assert host(otp=OTP.upper().encode()) == 0
    asked = len(host.vault.requests)
    length, form = "wrong length", "improperly formatted"
    fake = b"\b\n\r\177INCORRECT"  # what sshd gives for a user that does not exist, repeated to the length of what was typed
    wrong = {
        b"": length,
        b"\0": length,
        OTP.encode() + b"\0\0": length,
        OTP.encode() + b"\n": length,
        OTP.encode()[:-1]: length,
        fake: length,
        (fake * 3)[:36]: form,
        OTP.replace("-", "_").encode(): form,
        OTP.replace("3f2c", "3g2c").encode(): form,
        b"3f2c9a7e5-1b0-4d1c-8a6e-0b9d4c7e1f25": form,
        b'3f2c9a7e-51b0-4d1c-8a6e-0b9d4c7e1f"}': form,
        OTP.replace("3", "\u00b3").encode("latin-1"): form,
        b"x" * 100_000: length,
        helper.ECHO_REQUEST.encode(): length,
    }
    for otp, text in wrong.items():
        assert host(otp=otp) == 1, otp
        assert host.reason() == f"the OTP is no UUID: uuid string is {text} (user 'ubuntu' from '192.0.2.7')"
    assert len(host.vault.requests) == asked


NO_ADDRESS = (
    "IP 192.0.2.9 did not match any of the network interface addresses. "
    "If this was expected, configure the 'allowed_cidr_list' option to allow the IP."
)
NO_ROLE = "role name in the verification response not matching any of the allowed_roles: "


@pytest.mark.parametrize(
    ("said", "keys", "reason"),
    [
        ({"username": "root"}, {}, "username mismatch: the OTP is for 'root'"),
        ({"username": "Ubuntu"}, {}, "username mismatch: the OTP is for 'Ubuntu'"),
        ({"username": "ubuntu "}, {}, "username mismatch: the OTP is for 'ubuntu '"),
        ({"username": ""}, {}, "username mismatch: the OTP is for ''"),
        ({"username": 7}, {}, "username mismatch: the OTP is for ''"),
        ({"username": "root", "ip": "192.0.2.9", "role_name": "x"}, {}, "username mismatch: the OTP is for 'root'"),
        ({"ip": "192.0.2.9", "role_name": "x"}, {}, NO_ADDRESS),
        ({"ip": "192.0.2.9"}, {"allowed_cidr_list": ""}, NO_ADDRESS),
        ({"ip": "127.0.0.2"}, {}, NO_ADDRESS.replace("192.0.2.9", "127.0.0.2")),  # in the interface's block, but not its address
        ({"ip": "host"}, {"allowed_cidr_list": "0.0.0.0/0"}, "invalid IP 'host'"),
        ({"ip": ""}, {"allowed_cidr_list": "0.0.0.0/0,::/0"}, "invalid IP ''"),
        (
            {"ip": "192.0.2.9"},
            {"allowed_cidr_list": "192.0.2.0/29, 198.51.100.0/24,::/0"},
            "invalid IP: 192.0.2.9 is neither an address of this host nor in allowed_cidr_list",
        ),
        ({"role_name": "other"}, {}, NO_ROLE + "'other'"),
        ({"role_name": "otp_key"}, {"allowed_roles": "otp_key_role, x"}, NO_ROLE + "'otp_key'"),
        ({"role_name": "*"}, {"allowed_roles": "a,*b"}, NO_ROLE + "'*'"),
        ({"role_name": ""}, {"allowed_roles": "a,,b"}, "missing role name in the verification response"),
    ],
)
def test_refused_by_a_check(host: Host, said: dict[str, str], keys: dict[str, str], reason: str) -> None:
    host.configure(**keys)
    host.vault.says(**said)
    assert host() == 1
    assert host.reason() == f"{reason} (user 'ubuntu' from '192.0.2.7')"
    assert len(host.vault.requests) == 1
    assert "authenticated" not in host.log


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        ({"ip": "192.0.2.9"}, {"allowed_cidr_list": "192.0.2.9/32"}),
        ({"ip": "192.0.2.9"}, {"allowed_cidr_list": "10.0.0.0/8 , 192.0.2.8/30"}),
        ({"ip": "192.0.2.9"}, {"allowed_cidr_list": "0.0.0.0/0"}),
        ({"ip": "::ffff:127.0.0.1"}, {}),
        ({"ip": "2001:db8::9"}, {"allowed_cidr_list": "2001:db8::/64"}),
        ({"role_name": "other"}, {"allowed_roles": "*"}),
        ({"role_name": ""}, {"allowed_roles": "*"}),
        ({"role_name": " b "}, {"allowed_roles": "a, b ,c"}),
    ],
)
def test_accepted_by_every_check(host: Host, said: dict[str, str], keys: dict[str, str]) -> None:
    host.configure(**keys)
    host.vault.says(**said)
    assert host() == 0, host.log


@pytest.mark.parametrize(
    ("keys", "env", "flags", "reason"),
    [
        ({}, {"PAM_TYPE": "auth"}, (), "PAM_USER is not set"),
        ({"allowed_roles": None}, PAM, (), "missing allowed_roles"),
        ({"allowed_cidr_list": "10.0.0.0/8,nonsense"}, PAM, (), "invalid CIDR address in allowed_cidr_list: nonsense"),
        ({"vault_addr": None}, PAM, (), "ssh_helper: missing config 'vault_addr'"),
        ({"vault_addr": "https://127.0.0.1:1"}, PAM, (), "unsupported scheme in 'dev' mode"),
        ({"vault_addr": "unix:///x"}, PAM, (), "unsupported scheme in 'dev' mode"),
        ({"vault_addr": "HTTPS://127.0.0.1:1"}, PAM, (), "unsupported scheme in 'dev' mode"),
        ({}, PAM, ("-dev=false",), "unsupported scheme. use 'dev' mode"),
        ({"vault_addr": "ftp://127.0.0.1"}, PAM, ("-dev=false",), "unsupported scheme"),
        ({}, PAM, ("-nonsense",), "flag provided but not defined: -nonsense"),
        ({}, PAM, ("-version",), "-version, -help and -verify-only check no password: they cannot stand in a PAM configuration"),
        ({}, PAM, ("-verify-only",), "-version, -help and -verify-only check no password: they cannot stand in a PAM configuration"),
        ({}, PAM, ("-h",), "-version, -help and -verify-only check no password: they cannot stand in a PAM configuration"),
    ],
)
def test_refused_without_asking(host: Host, keys: dict[str, Any], env: dict[str, str], flags: tuple[str, ...], reason: str) -> None:
    host.configure(**keys)
    assert host(*flags, env=env) == 1
    assert host.reason().removesuffix(" (user 'ubuntu' from '192.0.2.7')") == reason
    assert not host.vault.requests


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(400, {"errors": ["OTP not found"]}), "Vault answered 400: OTP not found"),
        (reply(503, {"errors": ["Vault is sealed"]}), "Vault answered 503: Vault is sealed"),
        (reply(503), "Vault answered 503: Vault is sealed or not available"),
        (
            reply(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}),
            "Vault answered 403: 1 error occurred: * permission denied",
        ),
        (reply(400, {"errors": [f"no {OTP}, no {OTP.upper()}"]}), "Vault answered 400: no <otp>, no <otp>"),
        (reply(500, b"oops"), "Vault answered 500: no reason given"),
        (reply(307, b"", "Location: http://127.0.0.1:1/\r\n"), "Vault answered 307: no reason given"),
        (reply(204, b""), "Vault answered 204: no reason given"),
        (reply(200, b"not json"), "Vault's answer has no data"),
        (reply(200, b'{"data": {"username": "ubuntu"}} trailing'), "Vault's answer has no data"),
        (reply(200, {"data": None}), "Vault's answer has no data"),
        (reply(200, b"[" * 5000), "Vault's answer has no data"),
        (reply(200, {"data": GOOD})[:-9], "cannot read the answer from ADDR: it ends too early"),
        (reply(200, b" " * 70_000), "cannot read the answer from ADDR: it is too long"),
        (b"SSH-2.0-OpenSSH\r\n", "cannot read the answer from ADDR: it is not HTTP; is vault_addr's scheme right?"),
        (b"", "cannot read the answer from ADDR: it ends too early"),
    ],
)
def test_refused_by_the_answer(host: Host, answer: bytes, reason: str) -> None:
    host.vault.answer = answer
    assert host() == 1
    assert host.reason() == reason.replace("ADDR", f"http://127.0.0.1:{host.vault.port}") + " (user 'ubuntu' from '192.0.2.7')"
    assert len(host.vault.requests) == 1  # never again: the password may be spent


def test_answers_in_every_framing(host: Host) -> None:
    body = json.dumps({"data": GOOD}).encode()
    chunks = b"%x;name=value\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    for answer in (
        reply(200, body, length=False),
        reply(200, chunks, "Transfer-Encoding: chunked\r\n", length=False),
        b"HTTP/1.1 100 Continue\r\n\r\n" + reply(200, body),
    ):
        host.vault.answer = answer
        assert host() == 0, host.log
    host.vault.answer = reply(200, chunks[:-40], "Transfer-Encoding: chunked\r\n", length=False)
    assert host() == 1
    assert "ends too early" in host.reason()


def test_it_does_not_wait_forever(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "SECONDS", 0.3)
    asked = threading.Event()
    over = threading.Event()

    def silence(stream: socket.socket) -> None:
        asked.set()
        over.wait(5)

    def trickle(stream: socket.socket) -> None:
        while not over.wait(0.02):
            stream.sendall(b"H")

    for talk in (silence, trickle):
        over.clear()
        host.vault.talk = talk
        assert host() == 1
        assert host.reason().startswith(f"no answer from Vault at http://127.0.0.1:{host.vault.port}: timed out")
        over.set()
        assert asked.wait(5)


def test_nobody_listens(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    host.configure(vault_addr=f"http://127.0.0.1:{port}")
    assert host() == 1
    assert host.reason().startswith(f"cannot reach Vault at http://127.0.0.1:{port}: Connection refused")


def test_namespace_path_and_mount(host: Host) -> None:
    host.configure(vault_addr=f"http://localhost:{host.vault.port}/base/", ssh_mount_point="/team/ssh/", namespace="admin/x")
    assert host() == 0
    lines, _ = host.vault.requests[-1]
    assert lines[0] == "PUT /base/v1/team/ssh/verify HTTP/1.1"
    assert "X-Vault-Namespace: admin/x" in lines
    host.configure(ssh_mount_point=None)
    assert host() == 0
    assert host.vault.requests[-1][0][0] == "PUT /v1/ssh/verify HTTP/1.1"


def test_ipv6(tmp_path: Path) -> None:
    vault = Vault(socket.AF_INET6)
    try:
        host = Host(tmp_path, vault)
        host.configure(vault_addr=f"http://[::1]:{vault.port}")
        vault.says(ip="::1")
        assert host() == 0, host.log
        assert f"Host: [::1]:{vault.port}" in vault.requests[0][0]
        vault.says(ip="2001:db8::9")
        assert host() == 1
    finally:
        vault.close()


def test_proxies_of_the_environment_are_not_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    assert host(env={**PAM, **proxies}) == 0


def test_verify_only(host: Host) -> None:
    host.configure(allowed_roles=None)
    host.vault.answer = reply(200, {"data": {"message": "verify-echo-response"}})
    assert host("-verify-only", otp=b"", env={}) == 0
    assert "[INFO] vault-ssh-helper verification successful!" in host.log
    assert json.loads(host.vault.requests[0][1]) == {"otp": "verify-echo-request"}
    host.vault.says()
    assert host("-verify-only", env={}) == 1
    assert host.reason() == "invalid echo response"
    host.vault.answer = reply(503, {"errors": ["Vault is sealed"]})
    assert host("-verify-only", env={}) == 1
    assert host.reason() == "Vault answered 503: Vault is sealed"


def test_version_and_help(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("-v", "-version", "--version"):
        assert helper.main([flag], io.BytesIO(), {}, io.StringIO()) == 0
        assert capsys.readouterr().out == f"vault-ssh-helper v{helper.VERSION}\n"
    for flag in ("-h", "-help", "--help"):
        assert helper.main([flag], io.BytesIO(), {}, io.StringIO()) == 0
        assert capsys.readouterr().out.startswith("Usage: vault-ssh-helper [options]")
    stderr = io.StringIO()
    assert helper.main(["-dev"], io.BytesIO(OTP.encode()), PAM, stderr) == 1
    assert "at least one config path must be specified with -config" in stderr.getvalue()


def test_log_lines_are_clean(host: Host) -> None:
    assert host(env={**PAM, "PAM_USER": "x\n2026/01/01 [INFO] y\x1b[2J\udcff", "PAM_RHOST": "\u202eevil"}) == 1
    assert "(user 'x 2026/01/01 [INFO] y?[2J?' from '?evil')" in host.reason()
    assert all(" " <= c <= "~" for c in host.log.replace("\n", ""))
    assert host("-log-level=error") == 0
    assert host.log == ""
    assert host("-log-level", "WARN") == 0
    assert [line.split("] ")[1] for line in host.log.splitlines()] == ["==> WARNING: Dev mode is enabled!"]
    assert host("-log-level=loud") == 1
    assert host.reason().startswith("unknown log level 'loud'")


def test_config_file_missing_or_unreadable(host: Host, tmp_path: Path) -> None:
    host.config = tmp_path / "none.hcl"
    assert host() == 1
    assert host.reason().startswith(f"ssh_helper: missing config 'vault_addr': there is no file {host.config}")
    host.config = tmp_path
    assert host() == 1
    assert host.reason().startswith(f"ssh_helper: cannot read {tmp_path}")


# ------------------------------------------------------------------------------------------------------------------------ TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_host(tmp_path: Path, authority: Authority) -> Iterator[Host]:
    vault = Vault(tls=authority.context)
    yield Host(tmp_path, vault)
    vault.close()


def test_tls(tls_host: Host, authority: Authority, tmp_path: Path) -> None:
    address = f"https://127.0.0.1:{tls_host.vault.port}"
    folder, wrong = tmp_path / "cas", tmp_path / "wrong"
    folder.mkdir()
    wrong.mkdir()
    (folder / "any-name.crt").write_bytes(authority.ca.read_bytes())
    other = Authority(wrong)
    good: list[dict[str, object]] = [
        {"ca_cert": str(authority.ca)},
        {"ca_path": str(folder)},
        {"ca_cert": str(authority.ca), "ca_path": str(tmp_path / "none")},
        {"ca_cert": str(authority.ca), "tls_server_name": "vault.test"},
        {"tls_skip_verify": True},
        {"tls_skip_verify": True, "tls_server_name": "other.test"},
    ]
    for keys in good:
        tls_host.configure(vault_addr=address, **keys)
        assert tls_host(dev=False) == 0, (keys, tls_host.log)
        assert ("certificates are not verified" in tls_host.log) == ("tls_skip_verify" in keys)
    asked = len(tls_host.vault.requests)
    assert asked == len(good)
    bad: list[tuple[dict[str, object], str]] = [
        ({}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca_cert": str(other.ca)}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca_cert": str(authority.ca), "tls_server_name": "other.test"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca_cert": str(tmp_path / "none")}, f"cannot load the CA certificates of {tmp_path / 'none'}: No such file"),
        ({"ca_path": str(tmp_path / "none")}, f"cannot load the CA certificates of {tmp_path / 'none'}: No such file"),
        ({"ca_cert": __file__}, f"cannot load the CA certificates of {__file__}: "),
    ]
    for keys, reason in bad:
        tls_host.configure(vault_addr=address, **keys)
        assert tls_host(dev=False) == 1, keys
        assert reason in tls_host.reason()
    assert len(tls_host.vault.requests) == asked


def test_tls_with_a_server_that_has_none(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        host.configure(vault_addr=f"https://127.0.0.1:{plain.getsockname()[1]}", tls_skip_verify=True)

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent plain bytes\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert host(dev=False) == 1
        thread.join(10)
    assert host.reason().startswith("no TLS with Vault at https://127.0.0.1:")


def test_tls_without_the_ssl_module(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssl", None)
    assert host() == 0  # plain http needs none
    host.configure(vault_addr=f"https://127.0.0.1:{host.vault.port}")
    assert host(dev=False) == 1
    assert "apt-get install --reinstall libpython3.11-minimal libssl3" in host.reason()
    assert len(host.vault.requests) == 1
