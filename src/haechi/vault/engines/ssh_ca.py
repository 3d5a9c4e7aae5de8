"""SSH key pairs of the certificate authority and of clients: made, imported, and read in OpenSSH's public form.

Key types and texts follow Vault's SSH engine (config/ca, issue). Texts of errors never quote key material.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from haechi.vault.errors import invalid

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_BITS = range(2048, 8193)  # Vault has no upper bound; 16384 bits would keep a core busy for minutes
CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
ECDSA_NAMES = {f"ecdsa-sha2-nistp{bits}": bits for bits in CURVES}
CERTIFICATE_NAMES = {  # type of a key: type of its certificate (OpenSSH PROTOCOL.certkeys and PROTOCOL.u2f)
    name: name.removesuffix("@openssh.com") + "-cert-v01@openssh.com"
    for name in ("ssh-rsa", "ssh-ed25519", *ECDSA_NAMES, "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")
}


@dataclass(frozen=True)
class KeyPair:
    """`public` is one line as in authorized_keys, `private` a PEM text."""

    public: str
    private: str = field(repr=False)


@dataclass(frozen=True)
class PublicKey:
    """A key to be signed. `blob` is RFC 4253's encoding; `kind` is rsa, ecdsa or ed25519."""

    name: str
    blob: bytes
    kind: str
    bits: int  # 0 for ed25519

    @property
    def rest(self) -> bytes:
        """The blob without its leading type name."""
        return self.blob[4 + len(self.name) :]


def generate_pair(key_type: str, bits: int) -> KeyPair:
    """A new pair; 0 bits: the default of the type. Takes up to seconds for RSA, so call it in a thread. Raises VaultError 400."""
    key: PrivateKey
    if key_type in ("ssh-rsa", "rsa"):
        bits = bits or 4096
        if bits < RSA_BITS.start:
            raise invalid(f"refusing to generate weak {key_type} key: {bits} bits < {RSA_BITS.start} bits")
        if bits not in RSA_BITS:
            raise invalid(f"refusing to generate {key_type} key: {bits} bits > {RSA_BITS.stop - 1} bits")
        key = rsa.generate_private_key(65537, bits)
    elif key_type in ("ec", *ECDSA_NAMES):
        curve = CURVES.get(ECDSA_NAMES.get(key_type) or bits or 256)
        if curve is None:
            raise invalid(f"unknown ECDSA key pair algorithm and bits: {key_type} / {bits}")
        key = ec.generate_private_key(curve)
    elif key_type in ("ssh-ed25519", "ed25519"):
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        raise invalid(f"unknown ssh key pair algorithm: {key_type}")
    form = PrivateFormat.OpenSSH if isinstance(key, ed25519.Ed25519PrivateKey) else PrivateFormat.TraditionalOpenSSL
    return KeyPair(public_line(key) + "\n", key.private_bytes(Encoding.PEM, form, NoEncryption()).decode())


def check_pair(private: str, public: str) -> None:
    """Whether a pair from outside can sign and belongs together. RSA takes 0.4 s, so call it in a thread. Raises VaultError 400."""
    try:
        key = load_private(private, trusted=False)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise invalid("Unable to parse private_key as an SSH private key") from None
    try:
        blob = parse_public(public).blob
    except ValueError as error:
        raise invalid(f"Unable to parse public_key as an SSH public key: {error}") from None
    if base64.b64decode(public_line(key).split()[1]) != blob:
        raise invalid("public_key does not belong to private_key")


def load_private(pem: str, trusted: bool = True) -> PrivateKey:
    """The key of a PEM text (OpenSSH, PKCS#1, SEC 1 or PKCS#8; no passphrase); `trusted`: it was checked when it was stored.

    Raises ValueError, TypeError or UnsupportedAlgorithm.
    """
    text = pem.strip().encode("utf-8", "replace") + b"\n"
    if b"BEGIN OPENSSH PRIVATE KEY" in text:
        key = load_ssh_private_key(text, None, unsafe_skip_rsa_key_validation=trusted)
    else:
        key = load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=trusted)  # type: ignore[assignment]
    if not isinstance(key, PrivateKey):
        raise ValueError("the key's type cannot sign certificates")
    return key


def public_line(key: PrivateKey) -> str:
    """Type and base64 blob, without a comment."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def parse_public(text: str) -> PublicKey:
    """A public key, given as an authorized_keys line or as the blob's base64 alone. Raises ValueError."""
    words = text.split()
    if not words:
        raise ValueError("no key")
    encoded = words[min(1, len(words) - 1)]
    try:
        blob = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("illegal base64 data") from None
    size = struct.unpack(">I", blob[:4])[0] if len(blob) >= 4 else 0
    name = blob[4 : 4 + size].decode("ascii", "replace") if size <= 64 else ""
    if name not in CERTIFICATE_NAMES:
        raise ValueError("unknown or unsupported key type")
    try:
        key = load_ssh_public_key(f"{name} {encoded}".encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"malformed {name} key") from None
    if isinstance(key, rsa.RSAPublicKey):
        return PublicKey(name, blob, "rsa", key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return PublicKey(name, blob, "ecdsa", key.key_size)
    return PublicKey(name, blob, "ed25519", 0)
