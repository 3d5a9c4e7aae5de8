"""Reading certificates and keys in PEM. What is not valid is named, never repeated."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import iso_second
from haechi.cloud.store import Resource

BROKEN = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension)


def read_chain(name: str, pem: str) -> dict[str, Any]:
    """CommonName, Names, Fingerprint and ExpireTime (epoch seconds) of the first certificate; all must be readable."""
    try:
        first = x509.load_pem_x509_certificates(pem.encode())[0]
        common = first.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = _alternative_names(first)
        fingerprint = first.fingerprint(SHA1()).hex()
        expires = first.not_valid_after_utc.timestamp()
    except BROKEN:
        raise invalid(name, "It must be one or more X.509 certificates in PEM.") from None
    return {
        "CommonName": str(common[0].value) if common else "",
        "Names": names,
        "Fingerprint": ":".join(fingerprint[i : i + 2] for i in range(0, len(fingerprint), 2)),
        "ExpireTime": expires,
    }


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(n) for kind in (x509.DNSName, x509.IPAddress) for n in extension.value.get_values_for_type(kind)]


def read_key(pem: str, chain: str) -> None:
    """Raises CertificateNotMatchPrivateKey when the key is not that of the chain's first certificate."""
    try:
        key = load_pem_private_key(pem.encode(), None).public_key()
        own = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        certified = x509.load_pem_x509_certificates(chain.encode())[0].public_key()
        wanted = certified.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except BROKEN:
        raise invalid("PrivateKey", "It must be a private key in PEM without a passphrase.") from None
    if own != wanted:
        raise ApiError("CertificateNotMatchPrivateKey", "Certificate and key does not match.")


def render_times(certificate: Resource) -> dict[str, Any]:
    """CreateTime and ExpireTime, both as text and in milliseconds."""
    made, ends = certificate["CreatedAt"], certificate["ExpireTime"]
    return {
        "CreateTime": iso_second(made),
        "CreateTimeStamp": int(made * 1000),
        "ExpireTime": iso_second(ends),
        "ExpireTimeStamp": int(ends * 1000),
    }
