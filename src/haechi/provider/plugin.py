"""Starting as a Terraform plugin: handshake line, TLS, a socket, and leaving quickly.

https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md
"""

from __future__ import annotations

import base64
import datetime
import os
import signal
import sys
import tempfile
import threading
from concurrent import futures
from typing import Any

import grpc  # type: ignore[import-untyped]
from tf.gen import grpc_controller_pb2 as controller  # type: ignore[import-untyped]
from tf.gen import grpc_controller_pb2_grpc, grpc_stdio_pb2_grpc, tfplugin_pb2_grpc

from haechi.provider.resource import Provider
from haechi.provider.server import Servicer

_MAGIC = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"
_LIMIT = [("grpc.max_receive_message_length", 256 << 20), ("grpc.max_send_message_length", 256 << 20)]


class _Controller(grpc_controller_pb2_grpc.GRPCControllerServicer):  # type: ignore[misc]
    def __init__(self) -> None:
        self.finished = threading.Event()

    def Shutdown(self, request: Any, context: Any) -> Any:
        context.add_callback(self.finished.set)
        return controller.Empty()


class _Stdio(grpc_stdio_pb2_grpc.GRPCStdioServicer):  # type: ignore[misc]
    def StreamStdio(self, request: Any, context: Any) -> Any:
        return iter(())


def serve(provider: Provider) -> int:
    """Serve a provider to the terraform process that started this one; returns when it says goodbye."""
    if os.environ.get("TF_PLUGIN_MAGIC_COOKIE") != _MAGIC:
        print("This program is a Terraform provider; terraform starts it.", file=sys.stderr)
        return 1
    # Ctrl-C reaches the whole process group; terraform is the one to handle it, and tells us by StopProvider and Shutdown.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=_LIMIT)
    end = _Controller()
    tfplugin_pb2_grpc.add_ProviderServicer_to_server(Servicer(provider), server)
    grpc_controller_pb2_grpc.add_GRPCControllerServicer_to_server(end, server)
    grpc_stdio_pb2_grpc.add_GRPCStdioServicer_to_server(_Stdio(), server)
    with tempfile.TemporaryDirectory(prefix="haechi-provider-", dir=os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or None) as folder:
        path = f"{folder}/plugin.sock"
        certificate = _listen(server, f"unix://{path}", secure="PLUGIN_CLIENT_CERT" in os.environ)
        server.start()
        print(f"1|6|unix|{path}|grpc|{certificate}", flush=True)
        _wait(end.finished)
        server.stop(grace=0.1).wait()
    return 0


def _listen(server: Any, address: str, secure: bool) -> str:
    """Bind; returns our certificate for the handshake line ("" without TLS)."""
    if not secure:
        server.add_insecure_port(address)
        return ""
    key, pem, der = _certificate()
    # Terraform's own certificate is on P-521, which grpc's TLS library does not verify (measured: the client then sends none).
    # Who may connect is settled by the socket's folder, which only this user can enter.
    server.add_secure_port(address, grpc.ssl_server_credentials([(key, pem)]))
    return base64.b64encode(der).decode().rstrip("=")


def _wait(finished: threading.Event) -> None:
    """Until shutdown, or until terraform is gone without a goodbye."""
    parent = os.getppid()
    while not finished.wait(5) and os.getppid() == parent:
        pass


def _certificate() -> tuple[bytes, bytes, bytes]:
    """A fresh self-signed certificate for this run: key, certificate in PEM, certificate in DER."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, pem, certificate.public_bytes(serialization.Encoding.DER)
