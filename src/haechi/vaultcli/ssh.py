"""ssh: get a one-time password or a signed key for a host from the ssh engine, and log in with it."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import ApiError, CommandError, VaultError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.otp_login import ssh_with_otp
from haechi.vaultcli.values import clean_path, wrap

WITHOUT_VALUE = "46AaCfGgKkMNnqsTtVvXxYy"  # ssh's options of one letter that take none
LOGIN_FAILED = 255
EXTENSIONS = ("permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc")


@dataclass(frozen=True)
class Target:
    """What an ssh command line says: who, where, and the words for ssh before and after the host."""

    user: str
    host: str
    has_port: bool
    before: list[str]
    after: list[str]


def parse_target(words: list[str]) -> Target:
    """Read ssh's command line. CommandError when it names no host."""
    user, host, has_port = "", "", False
    before: list[str] = []
    left = list(words)
    after: list[str] = []
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            if host:
                after += [word, *left]
                break
            named, at, rest = word.rpartition("@")
            user, host = (named or user) if at else user, rest
            continue
        taken = [word]
        if len(word) == 2 and word[1] not in WITHOUT_VALUE and left:
            taken.append(left.pop(0))
        value = taken[-1] if len(taken) == 2 else word[2:]
        name, _, setting = value.partition("=")
        if word[:2] == "-p" or (word[:2] == "-o" and name.strip().lower() == "port"):
            has_port = True
        if word[:2] == "-l" or (word[:2] == "-o" and name.strip().lower() == "user"):
            user = user or (value if word[:2] == "-l" else setting.strip())
        (after if host else before).extend(taken)
    if not host:
        raise CommandError("Error parsing the ssh command: failed to find a hostname")
    return Target(user or getpass.getuser(), host, has_port, before, after)


def resolve(host: str) -> str:
    """The address of a host, IPv4 first: the engine knows addresses only."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise CommandError(f'Error resolving the ssh hostname: "failed to resolve IP address: {error}"') from None
    return str(sorted(found, key=lambda entry: entry[0] != socket.AF_INET)[0][4][0])


def ssh(call: Call) -> int:
    """Get the credential of -mode and -role for the host, then run ssh with it; with -no-exec print it."""
    target = parse_target(call.arguments)
    if not call.flags["role"]:
        raise CommandError(wrap("No -role specified. Use -role to tell Vault which ssh role to use for authentication."))
    mode = call.flags["mode"].lower()
    if not mode:
        raise CommandError(wrap("No -mode specified. Use -mode to tell Vault which ssh authentication mode to use."))
    if mode not in ("otp", "ca"):
        raise CommandError(f"Unknown SSH mode: {call.flags['mode']}")
    mount = clean_path(call.flags["mount-point"])
    return _by_otp(call, mount, target) if mode == "otp" else _by_ca(call, mount, target)


def _host_key_options(call: Call) -> list[str]:
    """Only what the user said; otherwise ssh checks host keys as ever."""
    options = []
    if call.flags["strict-host-key-checking"]:
        options += ["-o", f"StrictHostKeyChecking={call.flags['strict-host-key-checking']}"]
    if call.flags["user-known-hosts-file"]:
        options += ["-o", f"UserKnownHostsFile={os.path.expanduser(call.flags['user-known-hosts-file'])}"]
    return options


def _by_otp(call: Call, mount: str, target: Target) -> int:
    path = f"{mount}/creds/{call.flags['role']}"
    with failing("failed to generate credential: failed to get credentials"):
        secret = call.client.expect("PUT", path, {"username": target.user, "ip": resolve(target.host)})
    if call.flags["no-exec"]:
        return call.show(secret)
    data: dict[str, Any] = secret.get("data") or {}
    if not data.get("key"):
        raise CommandError("failed to generate credential: vault returned an invalid key", 2)
    port = [] if target.has_port or not data.get("port") else ["-p", str(data["port"])]
    try:
        code = ssh_with_otp(data["key"], target.user, target.host, [*_host_key_options(call), *port, *target.before, *target.after])
    except (ValueError, OSError) as error:
        _revoke(call, secret, warn=True)
        raise CommandError(f"failed to run ssh command: {error}") from None
    _revoke(call, secret, warn=code == LOGIN_FAILED)
    return code


def _revoke(call: Call, secret: dict[str, Any], warn: bool) -> None:
    """End the password's lease. After a login it is spent anyway, and not everybody may revoke: only an unspent one is worth a warning."""
    if not secret.get("lease_id"):
        return
    try:
        call.client.write("sys/leases/revoke", {"lease_id": secret["lease_id"]})
    except VaultError as error:
        if warn:
            reason = "not permitted" if isinstance(error, ApiError) and error.status == 403 else str(error)
            call.screen.warn(f"The one-time password may still be valid and could not be revoked: {reason}")


def _by_ca(call: Call, mount: str, target: Target) -> int:
    public, private = (os.path.expanduser(call.flags[name]) for name in ("public-key-path", "private-key-path"))
    try:
        key = Path(public).read_text()
    except OSError as error:
        raise CommandError(f"failed to read public key {public}: {error.strerror}") from None
    body = {
        "public_key": key,
        "valid_principals": call.flags["valid-principals"] or target.user,
        "cert_type": "user",
        "extensions": dict.fromkeys(EXTENSIONS, ""),
    }
    with failing(f"failed to sign public key {public}"):
        secret = call.client.expect("PUT", f"{mount}/sign/{call.flags['role']}", body)
    if call.flags["no-exec"]:
        return call.show(secret)
    signed = (secret.get("data") or {}).get("signed_key")
    if not signed:
        raise CommandError("signed key is empty", 2)
    with tempfile.NamedTemporaryFile("w", prefix="vault_ssh_ca_", suffix="-cert.pub") as file:
        file.write(signed)
        file.flush()
        words = ["ssh", "-o", f"CertificateFile={file.name}", "-i", private, *_host_key_options(call)]
        try:
            code = subprocess.call([*words, *target.before, "-l", target.user, target.host, *target.after])
        except OSError as error:
            raise CommandError(f"failed to run ssh command: {error}") from None
    return code if code >= 0 else 128 - code


COMMANDS = (
    Command(
        "ssh",
        ssh,
        "Log in to a host with a credential from the ssh engine. ssh's exit status is the command's.",
        "user@host [ssh options] [command]",
        (
            Flag("mode", "otp (one-time password) or ca (signed key)."),
            Flag("mount-point", "Where the ssh engine is mounted.", default="ssh/"),
            Flag("no-exec", "Print the credential and do not connect.", "bool"),
            Flag("private-key-path", "ca: the key to log in with.", default="~/.ssh/id_rsa"),
            Flag("public-key-path", "ca: the key to have signed.", default="~/.ssh/id_rsa.pub"),
            Flag("role", "The role of the engine to use."),
            Flag("strict-host-key-checking", "ssh's StrictHostKeyChecking.", env="VAULT_SSH_STRICT_HOST_KEY_CHECKING"),
            Flag("user-known-hosts-file", "ssh's UserKnownHostsFile.", env="VAULT_SSH_USER_KNOWN_HOSTS_FILE"),
            Flag("valid-principals", "ca: principals of the certificate; the user when absent."),
        ),
        (1, None),
        ("field", "format"),
        expected="1-n",
        passes_on=True,
    ),
)
