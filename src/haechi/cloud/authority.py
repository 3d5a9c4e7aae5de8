"""The certificate authority of this haechi, and the one certificate its door shows.

The authority may only vouch for *.aliyuncs.com and loopback (critical name constraints), so trusting it endangers nothing else.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from haechi.cloud.regions import REGIONS

DOMAIN = "aliyuncs.com"
YEARS = 10
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure_authority(directory: Path, *pages: Path) -> None:
    """Make ca.pem and door.pem (0600) unless they are there, and ca-bundle.pem: the system's authorities, ours and those of `pages`."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (directory / "door.pem").exists():  # written last
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _sign(
            _builder("haechi local authority", key.public_key(), None)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.NameConstraints([x509.DNSName(DOMAIN), x509.DNSName("localhost"), x509.IPAddress(IPv4Network("127.0.0.0/8"))], None),
                critical=True,
            )
            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True),
            key,
        )
        own = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(f"*.{region}.{DOMAIN}") for region in REGIONS]
        names += [x509.DNSName(f"*.{DOMAIN}"), x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        leaf = _sign(
            _builder("haechi door", own.public_key(), authority.subject)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False),
            key,
        )
        pem = authority.public_bytes(serialization.Encoding.PEM)
        _write(directory / "ca.pem", pem, 0o644)
        private = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write(directory / "door.pem", leaf.public_bytes(serialization.Encoding.PEM) + pem + private, 0o600)
    paths = (SYSTEM_BUNDLE, directory / "ca.pem", *pages)
    _write(directory / "ca-bundle.pem", b"".join(path.read_bytes() for path in paths if path.exists()), 0o644)


def server_context(directory: Path) -> ssl.SSLContext:
    """TLS as the door speaks it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(directory / "door.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context


def _builder(name: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name | None) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS if issuer is None else 365 * 2))
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_suffix(".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    temporary.replace(path)
