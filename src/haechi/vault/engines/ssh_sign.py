"""SSH certificates: what a role allows a request to get, and the signed certificate in OpenSSH's format (PROTOCOL.certkeys).

`cryptography`'s SSHCertificateBuilder signs with RSA/SHA-512 only and knows no security keys, so the format is written here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from haechi.vault.engines.ssh_ca import CERTIFICATE_NAMES, CURVES, ECDSA_NAMES, PrivateKey, PublicKey, public_line
from haechi.vault.errors import VaultError, invalid
from haechi.vault.fields import KINDS

ROLE_FIELDS = {  # of roles with key_type ca, beside those that all roles have; sent or not, all of them are stored
    "allowed_users": "text",
    "allowed_users_template": "bool",
    "allowed_domains": "text",
    "allowed_domains_template": "bool",
    "default_user": "text",
    "default_user_template": "bool",
    "ttl": "seconds",
    "max_ttl": "seconds",
    "allowed_critical_options": "text",
    "allowed_extensions": "text",
    "allow_user_certificates": "bool",
    "allow_host_certificates": "bool",
    "allow_bare_domains": "bool",
    "allow_subdomains": "bool",
    "allow_user_key_ids": "bool",
    "allow_empty_principals": "bool",
    "key_id_format": "text",
    "default_critical_options": "map",
    "default_extensions": "map",
    "default_extensions_template": "bool",
    "allowed_user_key_lengths": "map",
    "algorithm_signer": "text",
    "not_before_duration": "seconds",
}
REQUEST_FIELDS = {  # of sign and issue
    "ttl": "seconds",
    "valid_principals": "text",
    "cert_type": "text",
    "key_id": "text",
    "critical_options": "map",
    "extensions": "map",
}
_NOTHING: dict[str, Any] = {"text": "", "bool": False, "seconds": 0, "map": {}}
_TYPES = {"user": 1, "host": 2}
_RSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "rsa-sha2-256": hashes.SHA256(),
    "rsa-sha2-512": hashes.SHA512(),
    "ssh-rsa": hashes.SHA1(),  # asked for by name, for sshd older than 7.2
}


@dataclass(frozen=True)
class Certificate:
    """What is signed. Times are epoch seconds."""

    key: PublicKey
    serial: int
    cert_type: str
    key_id: str
    principals: list[str]
    valid_after: int
    valid_before: int
    critical_options: Mapping[str, str]
    extensions: Mapping[str, str]


def ca_role(values: Mapping[str, Any]) -> dict[str, Any]:
    """A role with key_type ca as it is stored and read. Raises VaultError 400."""
    signer = values.get("algorithm_signer") or "default"
    if signer != "default" and signer not in _RSA_HASHES:
        raise invalid(f"unknown algorithm signer {json.dumps(signer)}")
    if not values.get("allow_user_certificates") and not values.get("allow_host_certificates"):
        raise invalid("Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'")
    role = {name: values.get(name, _NOTHING[kind]) for name, kind in ROLE_FIELDS.items()}
    role |= {"key_type": "ca", "algorithm_signer": signer, "not_before_duration": values.get("not_before_duration", 30)}
    for name in ("default_critical_options", "default_extensions"):
        role[name] = _texts(role[name])
    try:
        role["allowed_user_key_lengths"] = {kind: _lengths(value) for kind, value in role["allowed_user_key_lengths"].items()}
    except (ValueError, TypeError, OverflowError):
        raise invalid("error processing allowed_user_key_lengths: expected whole numbers") from None
    if 0 < role["max_ttl"] < role["ttl"]:
        raise invalid('"ttl" value must be less than "max_ttl" when both are specified')
    for name in ("allowed_users", "allowed_domains", "default_user", "default_extensions"):
        if role[name + "_template"] and re.search(r"{{.+?}}", json.dumps(role[name]), re.DOTALL):
            raise invalid(f"{name} holds an identity template, but this Vault has no identities: name the values themselves")
    return role


def _lengths(value: Any) -> list[int]:
    return [KINDS["int"](item) for item in KINDS["list"](value)]


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as Go prints them, which for an extension is nearly always the empty text."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def request_certificate(
    role: Mapping[str, Any],
    values: Mapping[str, Any],
    key: PublicKey,
    *,
    role_name: str,
    display_name: str,
    now: float,
    default_ttl: float,
    max_ttl: float,
) -> Certificate:
    """The certificate that a request gets by its role; in the order of Vault's checks. Raises VaultError 400."""
    key_id = _key_id(role, values, key, role_name, display_name)
    cert_type = values.get("cert_type", "user")
    if cert_type not in _TYPES:
        raise invalid("cert_type must be either 'user' or 'host'")
    if not role.get(f"allow_{cert_type}_certificates"):
        raise invalid(f"cert_type '{cert_type}' is not allowed by role")
    principals = _principals(role, values, host=cert_type == "host")
    ttl = _ttl(role, values, default_ttl, max_ttl)
    options = _options(values.get("critical_options"), role["default_critical_options"], role["allowed_critical_options"] or "*")
    if options[1]:
        raise invalid(f"critical options not on allowed list: [{' '.join(options[1])}]")
    extensions = _options(values.get("extensions"), role["default_extensions"], role["allowed_extensions"])
    if extensions[1]:
        raise invalid(f"extensions [{' '.join(extensions[1])}] are not on allowed list")
    valid_after = max(0, int(now) - role["not_before_duration"])
    serial = secrets.randbits(64)
    return Certificate(key, serial, cert_type, key_id, principals, valid_after, int(now + ttl), options[0], extensions[0])


def _key_id(role: Mapping[str, Any], values: Mapping[str, Any], key: PublicKey, role_name: str, display_name: str) -> str:
    if values.get("key_id"):
        if not role.get("allow_user_key_ids"):
            raise invalid("setting key_id is not allowed by role")
        return str(values["key_id"])
    known = {"token_display_name": display_name, "role_name": role_name, "public_key_hash": hashlib.sha256(key.blob).hexdigest()}
    usual = "vault-{{token_display_name}}-{{public_key_hash}}" if display_name else "vault-{{public_key_hash}}"
    return re.sub(r"{{(\w+)}}", lambda found: known.get(found[1], found[0]), role.get("key_id_format") or usual)


def _principals(role: Mapping[str, Any], values: Mapping[str, Any], host: bool) -> list[str]:
    """The names the certificate is valid for.

    As Vault since HCSEC-2024-20, with one leniency: a role without allowed_users may still give its own default_user to a request
    that names nobody. (Vault refuses that; before, it signed a certificate that was valid for every user.)
    """
    wanted, allowed = _names(values.get("valid_principals", "")), role["allowed_domains" if host else "allowed_users"]
    if not wanted and not host:
        wanted = _names(role["default_user"])
        allowed = allowed or role["default_user"]
    if not wanted:
        if role["allow_empty_principals"]:
            return []
        raise invalid("empty valid principals not allowed by role")
    if not _names(allowed):
        raise invalid("role is not configured to allow any principals")
    if allowed != "*":
        fits = _host_fits(role, _names(allowed)) if host else _names(allowed).__contains__
        for name in wanted:
            if not fits(name):
                raise invalid(f"{name} is not a valid value for valid_principals")
    return wanted


def _host_fits(role: Mapping[str, Any], domains: list[str]) -> Callable[[str], bool]:
    bare, below = role["allow_bare_domains"], role["allow_subdomains"]
    return lambda name: any((bare and name == domain) or (below and name.endswith("." + domain)) for domain in domains)


def _names(text: str) -> list[str]:
    """Of a comma-separated list, each once."""
    return list(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))


def _ttl(role: Mapping[str, Any], values: Mapping[str, Any], default_ttl: float, max_ttl: float) -> float:
    limit: float = role["max_ttl"] or max_ttl
    asked: float = values.get("ttl", 0)
    if asked > limit:
        raise invalid(f"ttl is larger than maximum allowed {int(limit)}")
    return min(asked or role["ttl"] or default_ttl, limit)


def _options(asked: Mapping[str, Any] | None, default: Mapping[str, str], allowed: str) -> tuple[Mapping[str, str], list[str]]:
    """Options by name, and those of them that are not allowed. What the role gives by itself is allowed."""
    if not asked:
        return default, []
    permitted = [name.strip() for name in allowed.split(",")]
    return _texts(asked), [] if allowed == "*" else sorted(set(asked) - set(permitted))


def check_key(role: Mapping[str, Any], key: PublicKey) -> None:
    """Whether the role takes keys of this type and size (allowed_user_key_lengths). Raises VaultError 400."""
    allowed = role.get("allowed_user_key_lengths")
    if not allowed:
        return
    named = [name for name in _aliases(key.kind, key.bits) if name in allowed]
    if not named:
        raise invalid(f"public_key failed to meet the key requirements: key of type {key.kind} is not allowed")
    if key.kind != "ed25519" and not any(name in ECDSA_NAMES or key.bits in allowed[name] for name in named):
        raise invalid(f"public_key failed to meet the key requirements: key is of an invalid size: {key.bits}")


def check_new_key(role: Mapping[str, Any], key_type: str, bits: int) -> None:
    """The same for a key that is to be made. Raises VaultError 400."""
    allowed = role.get("allowed_user_key_lengths")
    if not allowed:
        return
    named = [name for name in _aliases(key_type, bits) if name in allowed]
    if not named:
        raise invalid("provided key_type value not in allowed_user_key_types")
    if not any(bits in allowed[name] for name in named):
        raise invalid("provided key_bits value not in list of role's allowed_user_key_types")


def _aliases(kind: str, bits: int) -> list[str]:
    """The names under which a role may list a kind of key."""
    if kind in ("ec", "ecdsa"):
        return ["ecdsa", "ec", *(name for name, size in ECDSA_NAMES.items() if size == bits)]
    return [kind, "ssh-" + kind]


def sign_certificate(certificate: Certificate, authority: PrivateKey, algorithm: str) -> str:
    """One line of text with the signed certificate. `algorithm` is the role's algorithm_signer. Some ms. Raises VaultError 400."""
    key = certificate.key
    name = CERTIFICATE_NAMES[key.name]
    body = b"".join(
        [
            _string(name),
            _string(secrets.token_bytes(32)),
            key.rest,
            struct.pack(">QI", certificate.serial, _TYPES[certificate.cert_type]),
            _string(certificate.key_id),
            _string(b"".join(_string(principal) for principal in certificate.principals)),
            struct.pack(">QQ", certificate.valid_after, certificate.valid_before),
            _string(_tuples(certificate.critical_options)),
            _string(_tuples(certificate.extensions)),
            _string(b""),  # reserved
            _string(base64.b64decode(public_line(authority).split()[1])),
        ]
    )
    return f"{name} {base64.b64encode(body + _string(_signature(authority, body, algorithm))).decode()}\n"


def _signature(authority: PrivateKey, body: bytes, algorithm: str) -> bytes:
    if isinstance(authority, rsa.RSAPrivateKey):
        name = "rsa-sha2-256" if algorithm == "default" else algorithm
        return _string(name) + _string(authority.sign(body, padding.PKCS1v15(), _RSA_HASHES[name]))
    if algorithm != "default":
        raise VaultError(400, f"failed to generate signed SSH key: the CA's key cannot sign with algorithm {algorithm}")
    if isinstance(authority, ec.EllipticCurvePrivateKey):
        sizes: dict[int, hashes.HashAlgorithm] = dict(zip(CURVES, (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()), strict=True))
        r, s = decode_dss_signature(authority.sign(body, ec.ECDSA(sizes[authority.key_size])))
        return _string(f"ecdsa-sha2-nistp{authority.key_size}") + _string(_integer(r) + _integer(s))
    return _string("ssh-ed25519") + _string(authority.sign(body))


def _tuples(options: Mapping[str, str]) -> bytes:
    """Names in order, each with its value as a string inside a string; an empty value is just empty."""
    ordered = sorted((name.encode("utf-8", "replace"), value) for name, value in options.items())
    return b"".join(_string(name) + _string(_string(value) if value else b"") for name, value in ordered)


def _string(value: str | bytes) -> bytes:
    data = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def _integer(number: int) -> bytes:
    return _string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
