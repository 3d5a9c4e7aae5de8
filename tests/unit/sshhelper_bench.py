"""A small Vault, a host that logs in against it, and a throwaway CA: for the tests of vault-ssh-helper."""

from __future__ import annotations

import datetime
import io
import ipaddress
import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from haechi.sshhelper import vault_ssh_helper as helper

FILE = Path(helper.__file__)
PYTHON = next(path for path in ("/usr/bin/python3", sys.executable) if Path(path).exists())
OTP = "3f2c9a7e-51b0-4d1c-8a6e-0b9d4c7e1f25"
GOOD = {"username": "ubuntu", "ip": "127.0.0.1", "role_name": "otp_key_role"}
PAM = {"PAM_TYPE": "auth", "PAM_USER": "ubuntu", "PAM_RHOST": "192.0.2.7"}


def reply(status: int = 200, body: object = b"", headers: str = "", length: bool = True) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    size = f"Content-Length: {len(data)}\r\n" if length else ""
    return f"HTTP/1.1 {status} Text\r\nContent-Type: application/json\r\n{size}{headers}\r\n".encode() + data


class Vault:
    """Plays `verify`: keeps what was asked, answers what the test wants."""

    def __init__(self, family: int = socket.AF_INET, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[list[str], bytes]] = []
        self.answer: bytes = reply(200, {"data": GOOD})
        self.talk: Callable[[socket.socket], None] | None = None
        self._tls = tls
        self._over = False
        self._listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def says(self, **data: str) -> None:
        self.answer = reply(200, {"request_id": "x", "lease_duration": 0, "data": {**GOOD, **data}, "auth": None, "renewable": False})

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(5)
                try:
                    if not self._handle(connection):
                        return
                except OSError:
                    continue  # a client that refuses the handshake or has left

    def _handle(self, connection: socket.socket) -> bool:
        stream = self._tls.wrap_socket(connection, server_side=True) if self._tls and connection.recv(1, socket.MSG_PEEK) else connection
        with stream:
            data = b""
            while b"\r\n\r\n" not in data:
                more = stream.recv(4096)
                if not more:
                    return not self._over
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            length = next(int(line.split(":")[1]) for line in lines if line.startswith("Content-Length"))
            while len(body) < length:
                body += stream.recv(4096)
            self.requests.append((lines, body))
            if self.talk:
                self.talk(stream)
            else:
                stream.sendall(self.answer)
        return True

    def close(self) -> None:
        """Let the thread end: it may stand in accept, so call once more."""
        self._over = True
        socket.create_connection(self._listener.getsockname()[:2]).close()
        self._thread.join(10)
        self._listener.close()


class Host:
    """A host with a config file; calling it is a login."""

    def __init__(self, folder: Path, vault: Vault) -> None:
        self.config = folder / f"config-{vault.port}.hcl"
        self.vault = vault
        self.log = ""
        self.configure()

    def configure(self, **keys: object) -> None:
        values = {
            "vault_addr": f"http://127.0.0.1:{self.vault.port}",
            "ssh_mount_point": "ssh-otp",
            "allowed_roles": "otp_key_role",
            **keys,
        }
        self.config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items() if value is not None))

    def __call__(self, *flags: str, otp: bytes = OTP.encode(), env: dict[str, str] | None = None, dev: bool = True) -> int:
        stderr = io.StringIO()
        argv = [f"-config={self.config}", *(["-dev"] if dev else []), *flags]
        code = helper.main(argv, io.BytesIO(otp), PAM if env is None else env, stderr)
        self.log = stderr.getvalue()
        assert OTP not in self.log and OTP.upper() not in self.log
        return code

    def reason(self) -> str:
        """The one line that tells why not."""
        (line,) = [line for line in self.log.splitlines() if "[ERROR]" in line]
        return line.partition("[ERROR] ")[2]


class Authority:
    """A throwaway CA and a server certificate of it for 127.0.0.1 and vault.test."""

    def __init__(self, folder: Path) -> None:
        key, name = self._name("haechi test CA")
        ca = self._build(name, name, key.public_key(), key, x509.BasicConstraints(True, None))
        server_key, server_name = self._name("vault")
        names = x509.SubjectAlternativeName([x509.DNSName("vault.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        server = self._build(server_name, name, server_key.public_key(), key, names)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        pem, both = serialization.Encoding.PEM, folder / "server.pem"
        private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        both.write_bytes(private + server.public_bytes(pem))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(both)

    @staticmethod
    def _name(text: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Name]:
        return ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    @staticmethod
    def _build(
        subject: x509.Name,
        issuer: x509.Name,
        public: ec.EllipticCurvePublicKey,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        return builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=False).sign(key, hashes.SHA256())
