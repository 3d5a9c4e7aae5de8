"""The certificate that Anti-DDoS shows for the page: of an authority that may vouch for this one name and whose key is forgotten at once.

A pair of one's own, put in its place before `haechi up`, is taken as it is: page.pem (chain) and page.key in the same directory.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from haechi.pipeline.failure import Failure
from haechi.pipeline.files import write_private

ISSUER = "haechi edge authority"
DAYS, LEAST_DAYS = 365, 30


def page_certificate(directory: Path, domain: str) -> tuple[str, str]:
    """(chain, private key) as PEM; made anew when there is none, or ours is for another name or ends within thirty days.

    `directory` gets page.pem, page.key (0600) and ca.pem, which tells visitors whom to trust. Raises Failure for a pair of the user's
    own that cannot serve the domain.
    """
    chain, key = directory / "page.pem", directory / "page.key"
    if chain.exists() and key.exists():
        try:
            leaf = x509.load_pem_x509_certificate(chain.read_bytes())
        except ValueError:
            raise Failure(f"{chain} holds no certificate.", "Put a PEM chain there, or remove it and let haechi make one.") from None
        ours = leaf.issuer.rfc4514_string() == f"CN={ISSUER}"
        fits = _covers(leaf, domain)
        if fits and leaf.not_valid_after_utc > datetime.now(UTC) + timedelta(days=LEAST_DAYS if ours else 0):
            return chain.read_text(), key.read_text()
        if not ours:
            why = "has ended" if fits else f"is not for {domain}"
            raise Failure(f"The certificate in {chain} {why}.", "Put another there, or remove it and let haechi make one.")
    _make(directory, domain)
    return chain.read_text(), key.read_text()


def trust_in_tools(directory: Path, bundle: Path) -> None:
    """Add the page's authority to those that tools of a haechi shell trust; the server does so, too, whenever it starts."""
    authority = directory / "ca.pem"
    if not (authority.exists() and bundle.exists()):
        return
    text = bundle.read_text()
    if authority.read_text() not in text:
        temporary = bundle.with_suffix(".tmp")
        temporary.write_text(text + authority.read_text())
        temporary.chmod(0o644)
        temporary.replace(bundle)


def trust(directory: Path) -> ssl.SSLContext:
    """How a visitor checks the page's certificate: the system's authorities, and ca.pem if it is there."""
    context = ssl.create_default_context()
    if (directory / "ca.pem").exists():
        context.load_verify_locations(directory / "ca.pem")
    return context


def _covers(leaf: x509.Certificate, domain: str) -> bool:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return False
    return domain in names or f"*.{domain.partition('.')[2]}" in names


def _make(directory: Path, domain: str) -> None:
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, now = _name(ISSUER), datetime.now(UTC)

    def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        made = made.serial_number(x509.random_serial_number())
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        return made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=DAYS))

    authority = (
        begin(issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(domain)], None), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        begin(_name(domain[:64]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate = authority.public_bytes(serialization.Encoding.PEM).decode()
    (directory / "page.pem").unlink(missing_ok=True)  # killed half-way, the next try makes all of them anew
    write_private(directory / "ca.pem", certificate)
    write_private(directory / "page.key", private.decode())
    write_private(directory / "page.pem", leaf.public_bytes(serialization.Encoding.PEM).decode() + certificate)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
