"""The SSH engine's certificate authority; judges: ssh-keygen, and OpenSSH's client and server without a network between them."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)

from haechi.vault.engines import ssh_ca
from haechi.vault.engines.ssh_ca import KeyPair, generate_pair
from haechi.vault.logical import DELETE, READ, UPDATE
from tests.sshd import unpack_sshd
from tests.unit.test_vault_ssh import Engine

CA_ROLE = {
    "key_type": "ca",
    "allow_user_certificates": True,
    "allowed_users": "alice,bob",
    "default_user": "alice",
    "ttl": "1h",
    "max_ttl": "2h",
}
DEFAULTS = {
    "allow_bare_domains": False,
    "allow_empty_principals": False,
    "allow_host_certificates": False,
    "allow_subdomains": False,
    "allow_user_certificates": True,
    "allow_user_key_ids": False,
    "allowed_critical_options": "",
    "allowed_domains": "",
    "allowed_domains_template": False,
    "allowed_extensions": "",
    "allowed_user_key_lengths": {},
    "allowed_users": "",
    "allowed_users_template": False,
    "algorithm_signer": "default",
    "default_critical_options": {},
    "default_extensions": {},
    "default_extensions_template": False,
    "default_user": "",
    "default_user_template": False,
    "key_id_format": "",
    "key_type": "ca",
    "max_ttl": 0,
    "not_before_duration": 30,
    "ttl": 0,
}
CLIENT = generate_pair("ed25519", 0)
AUTHORITIES = {kind: generate_pair(kind, bits) for kind, bits in (("ed25519", 0), ("rsa", 2048), ("ec", 256), ("ecdsa-sha2-nistp521", 0))}


def authority(kind: str = "ed25519", **role: Any) -> Engine:
    engine = Engine(**(CA_ROLE | role))
    pair = AUTHORITIES[kind]
    assert engine.ask(UPDATE, "config/ca", {"private_key": pair.private, "public_key": pair.public}) is None
    return engine


def sign(engine: Engine, **data: Any) -> str:
    answer = engine.write("sign/web", {"public_key": CLIENT.public} | data)
    assert set(answer) == {"serial_number", "signed_key"} and answer["signed_key"].endswith("\n")
    return str(answer["signed_key"])


def refused(engine: Engine, **data: Any) -> str:
    status, text = engine.refused(UPDATE, "sign/web", {"public_key": CLIENT.public} | data)
    assert status == 400
    return text


def show(path: Path, certificate: str) -> dict[str, str]:
    """What ssh-keygen reads out of a certificate; lists are joined by spaces."""
    path.write_text(certificate)
    environment = {"PATH": os.environ["PATH"], "TZ": "UTC"}
    done = subprocess.run(["ssh-keygen", "-L", "-f", str(path)], capture_output=True, text=True, env=environment, timeout=30)
    assert done.returncode == 0, done.stderr
    fields: dict[str, str] = {}
    name = ""
    for line in done.stdout.splitlines()[1:]:
        if line.startswith(" " * 16):
            fields[name] = f"{fields[name]} {line.strip()}".strip()
        else:
            name, _, value = line.strip().partition(":")
            fields[name] = value.strip()
    return fields


# the authority's keys


def test_the_default_authority_is_rsa_4096_and_is_kept() -> None:
    engine = Engine()
    assert engine.refused(READ, "config/ca") == (400, "keys haven't been configured yet")
    assert engine.refused(READ, "public_key") == (404, "")
    public = engine.write("config/ca")["public_key"]
    key = ssh_ca.parse_public(public)
    assert (key.name, key.bits) == ("ssh-rsa", 4096) and public.endswith("\n")
    assert engine.read("config/ca") == {"public_key": public}
    raw = engine.ask(READ, "public_key")
    assert raw is not None and raw.raw == public.encode() and raw.content_type == "text/plain"
    assert engine.refused(UPDATE, "config/ca") == (400, "keys are already configured; delete them before reconfiguring")
    assert engine.ask(DELETE, "config/ca") is None
    assert engine.refused(READ, "config/ca")[0] == 400


@pytest.mark.parametrize(
    ("data", "name", "bits"),
    [
        ({"key_type": "ssh-rsa", "key_bits": 2048, "generate_signing_key": True, "private_key": "", "public_key": ""}, "ssh-rsa", 2048),
        ({"key_type": "rsa", "key_bits": "3072"}, "ssh-rsa", 3072),
        ({"key_type": "ssh-ed25519"}, "ssh-ed25519", 0),
        ({"key_type": "ed25519", "key_bits": 0}, "ssh-ed25519", 0),
        ({"key_type": "ec"}, "ecdsa-sha2-nistp256", 256),
        ({"key_type": "ec", "key_bits": 384}, "ecdsa-sha2-nistp384", 384),
        ({"key_type": "ecdsa-sha2-nistp521"}, "ecdsa-sha2-nistp521", 521),
    ],
)
def test_authorities_of_other_types(data: dict[str, Any], name: str, bits: int) -> None:
    key = ssh_ca.parse_public(Engine().write("config/ca", data)["public_key"])
    assert (key.name, key.bits) == (name, bits)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"key_type": "rsa", "key_bits": 1024}, "refusing to generate weak rsa key: 1024 bits < 2048 bits"),
        ({"key_bits": 1000000}, "refusing to generate ssh-rsa key: 1000000 bits > 8192 bits"),
        ({"key_type": "ec", "key_bits": 255}, "unknown ECDSA key pair algorithm and bits: ec / 255"),
        ({"key_type": "dsa"}, "unknown ssh key pair algorithm: dsa"),
        ({"generate_signing_key": False}, "missing public_key"),
        ({"generate_signing_key": False, "public_key": "x"}, "missing private_key"),
        (
            {"private_key": "x"},
            "only one of public_key and private_key set; both must be set to use, or both must be blank to auto-generate",
        ),
        (
            {"generate_signing_key": True, "private_key": "x", "public_key": "y"},
            "public_key and private_key must not be set when generate_signing_key is set to true",
        ),
        ({"private_key": "canary", "public_key": CLIENT.public}, "Unable to parse private_key as an SSH private key"),
        (
            {"private_key": CLIENT.private, "public_key": "ssh-ed25519 AAAA"},
            "Unable to parse public_key as an SSH public key: unknown or unsupported key type",
        ),
        ({"private_key": CLIENT.private, "public_key": AUTHORITIES["ed25519"].public}, "public_key does not belong to private_key"),
    ],
)
def test_authorities_that_are_refused(data: dict[str, Any], text: str) -> None:
    assert Engine().refused(UPDATE, "config/ca", data) == (400, text)


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8, PrivateFormat.OpenSSH])
def test_keys_are_imported_in_every_usual_form(form: PrivateFormat, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode().rstrip("\n")
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " me@here"
    engine = Engine(**CA_ROLE)
    assert engine.ask(UPDATE, "config/ca", {"private_key": private, "public_key": public, "generate_signing_key": False}) is None
    assert engine.read("config/ca") == {"public_key": public}
    shown = show(tmp_path / "c.pub", sign(engine))
    fingerprint = base64.b64encode(hashlib.sha256(ssh_ca.parse_public(public).blob).digest()).decode().rstrip("=")
    assert f"SHA256:{fingerprint} (using rsa-sha2-256)" in shown["Signing CA"]


# roles


def test_ca_role_is_read_as_vault_shows_it() -> None:
    engine = Engine(key_type="ca", allow_user_certificates=True)
    assert engine.read("roles/web") == DEFAULTS
    changed = {
        "allow_host_certificates": True,
        "allowed_user_key_lengths": {"rsa": 2048, "ec": "256,384", "ed25519": [0]},
        "default_extensions": {"permit-pty": "", "login@github.com": True},
        "ttl": "30m",
        "max_ttl": 7200,
        "not_before_duration": "1m",
        "algorithm_signer": "rsa-sha2-512",
    }
    engine.write("roles/web", {"key_type": "ca"} | changed)
    assert engine.read("roles/web") == DEFAULTS | changed | {
        "allow_user_certificates": False,
        "allowed_user_key_lengths": {"rsa": [2048], "ec": [256, 384], "ed25519": [0]},
        "default_extensions": {"permit-pty": "", "login@github.com": "true"},
        "ttl": 1800,
        "not_before_duration": 60,
    }


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"allow_user_certificates": False}, "Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'"),
        ({"algorithm_signer": "md5"}, 'unknown algorithm signer "md5"'),
        ({"ttl": "2h", "max_ttl": "1h"}, '"ttl" value must be less than "max_ttl" when both are specified'),
        ({"allowed_user_key_lengths": {"rsa": "big"}}, "error processing allowed_user_key_lengths: expected whole numbers"),
        (
            {"allowed_users": "a,{{identity.entity.name}}", "allowed_users_template": True},
            "allowed_users holds an identity template, but this Vault has no identities: name the values themselves",
        ),
        (
            {"default_extensions": {"x@y": "{{identity.entity.id}}"}, "default_extensions_template": True},
            "default_extensions holds an identity template, but this Vault has no identities: name the values themselves",
        ),
    ],
)
def test_bad_ca_roles_are_refused(data: dict[str, Any], text: str) -> None:
    assert Engine().refused(UPDATE, "roles/web", {"key_type": "ca", "allow_user_certificates": True} | data) == (400, text)


def test_texts_that_are_no_templates_may_stand_in_template_fields() -> None:
    role = {"allowed_users": "alice", "allowed_users_template": True, "default_user": "alice", "default_user_template": True}
    assert show_names(sign(authority("ed25519", **role))) == ["alice"]


def show_names(certificate: str) -> list[str]:
    loaded = load_ssh_public_identity(certificate.strip().encode())
    assert isinstance(loaded, SSHCertificate)
    return [name.decode() for name in loaded.valid_principals]


# signing


@pytest.mark.parametrize(
    ("kind", "signer", "used"),
    [
        ("ed25519", "default", "ssh-ed25519"),
        ("ec", "default", "ecdsa-sha2-nistp256"),
        ("ecdsa-sha2-nistp521", "", "ecdsa-sha2-nistp521"),
        ("rsa", "default", "rsa-sha2-256"),
        ("rsa", "rsa-sha2-512", "rsa-sha2-512"),
        ("rsa", "ssh-rsa", "ssh-rsa"),
    ],
)
def test_a_user_certificate_says_what_the_role_allows(kind: str, signer: str, used: str, tmp_path: Path) -> None:
    engine = authority(
        kind, algorithm_signer=signer, default_extensions={"permit-pty": ""}, default_critical_options={"force-command": "id"}
    )
    engine.services.time = 1_700_000_000
    answer = engine.write("sign/web", {"public_key": CLIENT.public}, token=SimpleNamespace(display_name="userpass-ann"))
    shown = show(tmp_path / "c.pub", answer["signed_key"])
    assert shown["Type"] == "ssh-ed25519-cert-v01@openssh.com user certificate"
    assert f"(using {used})" in shown["Signing CA"]
    assert shown["Key ID"] == f'"vault-userpass-ann-{hashlib.sha256(ssh_ca.parse_public(CLIENT.public).blob).hexdigest()}"'
    assert int(shown["Serial"]) == int(answer["serial_number"], 16) < 1 << 64
    assert shown["Valid"] == "from 2023-11-14T22:12:50 to 2023-11-14T23:13:20"  # 30 s before now, 1 h after
    assert (shown["Principals"], shown["Critical Options"], shown["Extensions"]) == ("alice", "force-command id", "permit-pty")
    assert sign(engine) != sign(engine)


@pytest.mark.parametrize("bits", [0, 1])
def test_security_keys_are_signed_too(bits: int, tmp_path: Path) -> None:
    """Made by hand, as a FIDO authenticator is needed for a real one."""
    key: ssh_ca.PrivateKey = ec.generate_private_key(ec.SECP256R1()) if bits else ed25519.Ed25519PrivateKey.generate()
    name = ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"][bits]
    plain = base64.b64decode(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    rest = plain[4 + int.from_bytes(plain[:4], "big") :]
    blob = len(name).to_bytes(4, "big") + name.encode() + rest + b"\0\0\0\4ssh:"
    shown = show(tmp_path / "c.pub", sign(authority(), public_key=f"{name} {base64.b64encode(blob).decode()} me"))
    assert shown["Type"] == name.replace("@openssh.com", "-cert-v01@openssh.com") + " user certificate"
    assert shown["Principals"] == "alice"


@pytest.mark.parametrize(
    ("role", "asked", "outcome"),
    [
        ({}, None, ["alice"]),
        ({}, "", ["alice"]),
        ({}, "bob, alice,bob", ["bob", "alice"]),
        ({}, "bob,root", "root is not a valid value for valid_principals"),
        ({"allowed_users": "bob"}, None, "alice is not a valid value for valid_principals"),
        ({"allowed_users": "*"}, "root,anyone", ["root", "anyone"]),
        ({"allowed_users": "bob,*"}, "root", "root is not a valid value for valid_principals"),
        ({"allowed_users": "", "default_user": ""}, None, "empty valid principals not allowed by role"),
        ({"allowed_users": "*", "default_user": ""}, "", "empty valid principals not allowed by role"),
        ({"allowed_users": "", "default_user": ""}, "root", "role is not configured to allow any principals"),
        ({"allowed_users": ""}, "alice", "role is not configured to allow any principals"),
        ({"allowed_users": ""}, "root", "role is not configured to allow any principals"),
        ({"allowed_users": ""}, "", ["alice"]),  # hvac; the current Vault refuses, an older one gave a certificate for everybody
        ({"default_user": "", "allow_empty_principals": True}, "", []),
        ({"default_user": "alice", "allow_empty_principals": True}, "", ["alice"]),
    ],
)
def test_principals_of_users(role: dict[str, Any], asked: str | None, outcome: list[str] | str) -> None:
    engine, data = authority(**role), {} if asked is None else {"valid_principals": asked}
    if isinstance(outcome, str):
        assert refused(engine, **data) == outcome
    else:
        assert show_names(sign(engine, **data)) == outcome


@pytest.mark.parametrize(
    ("role", "asked", "text"),
    [
        ({"allow_subdomains": True}, "web.example.com,db.example.org", ""),
        ({"allow_subdomains": True}, "example.com", "example.com is not a valid value for valid_principals"),
        ({"allow_subdomains": True}, "badexample.com", "badexample.com is not a valid value for valid_principals"),
        ({"allow_bare_domains": True}, "example.com", ""),
        ({"allow_bare_domains": True}, "web.example.com", "web.example.com is not a valid value for valid_principals"),
        ({}, "example.com", "example.com is not a valid value for valid_principals"),
        ({"allowed_domains": "*"}, "anything", ""),
        ({"allowed_domains": ""}, "example.com", "role is not configured to allow any principals"),
        ({"allow_subdomains": True}, "", "empty valid principals not allowed by role"),
    ],
)
def test_principals_of_hosts(role: dict[str, Any], asked: str, text: str) -> None:
    engine = authority("ed25519", **({"allow_host_certificates": True, "allowed_domains": "example.com, example.org"} | role))
    if text:
        assert refused(engine, cert_type="host", valid_principals=asked) == text
    else:
        assert show_names(sign(engine, cert_type="host", valid_principals=asked)) == asked.split(",")


def test_types_of_certificates() -> None:
    assert refused(authority(), cert_type="host") == "cert_type 'host' is not allowed by role"
    hosts = authority(allow_user_certificates=False, allow_host_certificates=True)
    assert refused(hosts, cert_type="user") == "cert_type 'user' is not allowed by role"
    assert refused(hosts) == "cert_type 'user' is not allowed by role"
    assert refused(hosts, cert_type="x509") == "cert_type must be either 'user' or 'host'"
    passwords = authority()
    passwords.write("roles/web", {"key_type": "otp", "default_user": "alice"})
    assert refused(passwords) == "cert_type 'user' is not allowed by role"
    assert passwords.refused(UPDATE, "issue/web") == (400, "role key type 'otp' not allowed to issue key pairs")


@pytest.mark.parametrize(
    ("role", "asked", "seconds"),
    [
        ({}, None, 3600),
        ({}, "", 3600),
        ({}, "90m", 5400),
        ({}, 7200, 7200),
        ({}, 7201, "ttl is larger than maximum allowed 7200"),
        ({"ttl": 0}, None, 7200),  # the mount's default, limited by the role
        ({"ttl": 0, "max_ttl": 0}, None, 32 * 86400),
        ({"ttl": 0, "max_ttl": 0}, "33d", f"ttl is larger than maximum allowed {32 * 86400}"),
    ],
)
def test_lifetimes(role: dict[str, Any], asked: Any, seconds: int | str, tmp_path: Path) -> None:
    engine, data = authority(**role, not_before_duration=0), {} if asked is None else {"ttl": asked}
    engine.services.time = 0.0
    if isinstance(seconds, str):
        assert refused(engine, **data) == seconds
    else:
        end = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        assert show(tmp_path / "c.pub", sign(engine, **data))["Valid"] in (f"before {end}", f"from 1970-01-01T00:00:00 to {end}")


def test_key_ids(tmp_path: Path) -> None:
    def key_id(engine: Engine, **data: Any) -> str:
        return show(tmp_path / "c.pub", sign(engine, **data))["Key ID"]

    digest = hashlib.sha256(ssh_ca.parse_public(CLIENT.public).blob).hexdigest()
    assert key_id(authority()) == f'"vault-{digest}"'
    assert key_id(authority(key_id_format="{{role_name}}:{{other}}:{{public_key_hash}}")) == f'"web:{{{{other}}}}:{digest}"'
    assert refused(authority(), key_id="mine") == "setting key_id is not allowed by role"
    assert key_id(authority(allow_user_key_ids=True), key_id="mine") == '"mine"'


def test_extensions_and_critical_options(tmp_path: Path) -> None:
    def shown(engine: Engine, **data: Any) -> tuple[str, str]:
        found = show(tmp_path / "c.pub", sign(engine, **data))
        return found["Critical Options"], found["Extensions"]

    extensions = {"permit-pty": "", "permit-user-rc": ""}
    assert shown(authority()) == ("(none)", "(none)")
    assert refused(authority(), extensions=extensions) == "extensions [permit-pty permit-user-rc] are not on allowed list"
    one = authority(allowed_extensions="permit-pty, permit-agent-forwarding", default_extensions={"permit-X11-forwarding": ""})
    assert refused(one, extensions=extensions) == "extensions [permit-user-rc] are not on allowed list"
    assert shown(one, extensions={"permit-pty": ""})[1] == "permit-pty"
    assert shown(one, extensions={})[1] == "permit-X11-forwarding"
    assert shown(authority(allowed_extensions="*"), extensions=extensions)[1] == "permit-pty permit-user-rc"
    options = {"source-address": "10.0.0.0/8", "force-command": "id"}
    assert shown(authority(), critical_options=options)[0] == "force-command id source-address 10.0.0.0/8"
    limited = authority(allowed_critical_options="force-command", default_critical_options={"source-address": "10.0.0.1/32"})
    assert refused(limited, critical_options=options) == "critical options not on allowed list: [source-address]"
    assert shown(limited)[0] == "source-address 10.0.0.1/32"


@pytest.mark.parametrize(
    ("lengths", "kind", "text"),
    [
        ({"ed25519": 0}, "ed25519", ""),
        ({"ssh-ed25519": 0}, "ed25519", ""),
        ({"rsa": 2048}, "ed25519", "key of type ed25519 is not allowed"),
        ({"rsa": 2048}, "rsa", ""),
        ({"ssh-rsa": "2048,4096"}, "rsa", ""),
        ({"rsa": 4096}, "rsa", "key is of an invalid size: 2048"),
        ({"ecdsa": 256}, "ec", ""),
        ({"ec": [384, 521]}, "ec", "key is of an invalid size: 256"),
        ({"ecdsa-sha2-nistp256": 0}, "ec", ""),
        ({"ecdsa-sha2-nistp521": 0}, "ec", "key of type ecdsa is not allowed"),
    ],
)
def test_allowed_user_key_lengths(lengths: dict[str, Any], kind: str, text: str) -> None:
    engine = authority(allowed_user_key_lengths=lengths)
    if text:
        assert refused(engine, public_key=AUTHORITIES[kind].public) == f"public_key failed to meet the key requirements: {text}"
    else:
        sign(engine, public_key=AUTHORITIES[kind].public)


@pytest.mark.filterwarnings("ignore:SSH DSA key support is deprecated")
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("", "missing public_key"),
        ("ssh-ed25519 AAA", "illegal base64 data"),
        ("ssh-ed25519 ÄÄÄÄ", "illegal base64 data"),
        ("ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x02xx").decode(), "malformed ssh-ed25519 key"),
        ("ssh-ed25519 " + base64.b64encode(b"\xff\xff\xff\xffssh-ed25519").decode(), "unknown or unsupported key type"),
        ("dsa", "unknown or unsupported key type"),
        ("certificate", "unknown or unsupported key type"),
    ],
)
def test_public_keys_that_are_refused(key: str, text: str) -> None:
    if key == "dsa":
        key = dsa.generate_private_key(1024).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    elif key == "certificate":
        key = sign(authority())
    expected = text if not key else f"failed to parse public_key as SSH key: {text}"
    assert refused(authority(), public_key=key) == expected


def test_a_key_may_be_given_as_base64_alone() -> None:
    assert show_names(sign(authority(), public_key=CLIENT.public.split()[1])) == ["alice"]


def test_text_that_is_no_unicode_does_no_harm(tmp_path: Path) -> None:
    """JSON can spell half a surrogate pair."""
    pair, engine = AUTHORITIES["ed25519"], Engine(**CA_ROLE | {"allowed_users": "*", "allow_user_key_ids": True})
    engine.write("config/ca", {"private_key": pair.private, "public_key": pair.public.strip() + " \ud800"})
    raw = engine.ask(READ, "public_key")
    assert raw is not None and raw.raw == pair.public.strip().encode() + b" ?"
    shown = show(
        tmp_path / "c.pub", sign(engine, valid_principals="a\udfff", key_id="\ud800", critical_options={"force-command": "\ud800"})
    )
    assert (shown["Principals"], shown["Key ID"], shown["Critical Options"]) == ("a?", '"?"', "force-command ?")
    assert refused(engine, public_key="ssh-rsa \ud800") == "failed to parse public_key as SSH key: illegal base64 data"


def test_without_role_or_authority_nothing_is_signed() -> None:
    engine = Engine(**CA_ROLE)
    assert refused(engine) == "keys haven't been configured yet"
    assert engine.refused(UPDATE, "issue/web") == (400, "keys haven't been configured yet")
    assert engine.refused(UPDATE, "sign/none", {"public_key": CLIENT.public}) == (400, "Unknown role: none")
    assert engine.refused(UPDATE, "issue/none") == (400, "unknown role: none")


def test_an_rsa_algorithm_needs_an_rsa_authority() -> None:
    text = "failed to generate signed SSH key: the CA's key cannot sign with algorithm rsa-sha2-512"
    assert refused(authority("ec", algorithm_signer="rsa-sha2-512")) == text


@pytest.mark.parametrize(
    ("data", "kind", "bits"), [({"key_type": "ed25519"}, "ed25519", 0), ({"key_type": "ec", "key_bits": 384}, "ec", 384)]
)
def test_issue_gives_a_pair_that_belongs_together(data: dict[str, Any], kind: str, bits: int, tmp_path: Path) -> None:
    answer = authority().write("issue/web", data | {"valid_principals": "bob"})
    assert set(answer) == {"serial_number", "signed_key", "private_key", "private_key_type"} and answer["private_key_type"] == kind
    private = tmp_path / "key"
    private.write_text(answer["private_key"])
    private.chmod(0o600)
    derived = subprocess.run(["ssh-keygen", "-y", "-f", str(private)], capture_output=True, text=True, check=True, timeout=30).stdout
    shown = show(tmp_path / "c.pub", answer["signed_key"])
    fingerprint = hashlib.sha256(ssh_ca.parse_public(derived).blob).digest()
    assert base64.b64encode(fingerprint).decode().rstrip("=") in shown["Public key"]
    assert shown["Principals"] == "bob" and ssh_ca.parse_public(derived).bits == bits


def test_issue_checks_the_key_before_it_is_made() -> None:
    engine = authority(allowed_user_key_lengths={"ec": [256], "rsa": [4096]})
    assert engine.refused(UPDATE, "issue/web", {"key_type": "ed25519"}) == (400, "provided key_type value not in allowed_user_key_types")
    wrong = (400, "provided key_bits value not in list of role's allowed_user_key_types")
    assert engine.refused(UPDATE, "issue/web", {"key_type": "rsa", "key_bits": 2048}) == wrong
    assert engine.write("issue/web", {"key_type": "ec", "key_bits": 256})["private_key_type"] == "ec"
    assert authority().refused(UPDATE, "issue/web", {"key_type": "dsa"}) == (400, "unknown ssh key pair algorithm: dsa")


def test_private_keys_are_not_shown_by_repr() -> None:
    pair = KeyPair("public", "canary")
    assert "canary" not in repr(pair)


# OpenSSH at both ends: `sshd -i` is the client's ProxyCommand, in a mount namespace with its own users


class Sshd:
    """A server that trusts the authority for users and shows a certificate of it for hosts."""

    def __init__(self, folder: Path, trusted: str, host_certificate: str, host_key: KeyPair) -> None:
        sshd = unpack_sshd(folder)
        self.folder = folder
        (folder / "passwd").write_text("root:x:0:0::/root:/bin/sh\nsshd:x:101:65534::/run/sshd:/bin/false\n")
        with (folder / "passwd").open("a") as users:
            users.write("".join(f"{name}:*:{uid}:65534::/:/bin/sh\n" for name, uid in (("alice", 2001), ("bob", 2002))))
        self.secret("host", host_key.private)
        (folder / "host-cert.pub").write_text(host_certificate)
        (folder / "trusted").write_text(trusted)
        (folder / "known").write_text(f"@cert-authority * {trusted}")
        options = [f"HostKey {folder}/host", f"HostCertificate {folder}/host-cert.pub", f"TrustedUserCAKeys {folder}/trusted"]
        options += ["AuthorizedKeysFile none", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no", "PrintMotd no"]
        (folder / "config").write_text("\n".join(options) + "\n")
        private = "mount --bind passwd /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd"
        (folder / "serve").write_text(f"cd {folder} && {private} && exec {sshd} -i -e -f {folder}/config\n")

    def secret(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(0o600)
        path.write_text(text)
        return path

    def login(self, user: str, certificate: str, host: str = "web.example.com") -> subprocess.CompletedProcess[str]:
        key = self.secret("client", CLIENT.private)
        (self.folder / "client-cert.pub").write_text(certificate)
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "LogLevel=ERROR"]
        options += [
            f"UserKnownHostsFile={self.folder}/known",
            "GlobalKnownHostsFile=/dev/null",
            f"CertificateFile={self.folder}/client-cert.pub",
        ]
        options += [f"ProxyCommand=unshare --mount --propagation private sh {self.folder}/serve"]
        command = [
            "ssh",
            "-F",
            "none",
            "-i",
            str(key),
            *(word for option in options for word in ("-o", option)),
            f"{user}@{host}",
            "id -un",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_openssh_accepts_exactly_what_was_certified(tmp_path: Path) -> None:
    engine = authority("rsa", allow_host_certificates=True, allowed_domains="example.com", allow_subdomains=True)
    now = engine.services.time = time.time()
    host = generate_pair("ed25519", 0)
    shown = engine.write("sign/web", {"public_key": host.public, "cert_type": "host", "valid_principals": "web.example.com"})["signed_key"]
    sshd = Sshd(tmp_path, engine.read("config/ca")["public_key"], shown, host)
    good = sign(engine, valid_principals="alice")
    done = sshd.login("alice", good)
    assert (done.returncode, done.stdout) == (0, "alice\n"), done.stderr
    other_user = sshd.login("bob", good)
    assert other_user.returncode == 255 and "Certificate invalid: name is not a listed principal" in other_user.stderr
    other_host = sshd.login("alice", good, host="db.example.com")
    assert other_host.returncode == 255 and "Host key verification failed" in other_host.stderr
    engine.services.time = now - 7300
    expired = sshd.login("alice", sign(engine, ttl="2h"))
    assert expired.returncode == 255 and "Certificate invalid: expired" in expired.stderr
    engine.services.time = now
    assert sshd.login("bob", sign(engine, valid_principals="alice,bob")).stdout == "bob\n"
    stranger = authority("ec")
    stranger.services.time = now
    assert sshd.login("alice", sign(stranger)).returncode == 255
