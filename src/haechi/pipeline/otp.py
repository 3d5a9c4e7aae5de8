"""`haechi ssh`: finds the host, gets a one-time password for its address from Vault, and logs in with OpenSSH."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from haechi.clients.vault import VaultRefused
from haechi.pipeline.cloud import ECS, connect, every
from haechi.pipeline.failure import Failure
from haechi.pipeline.vault import client
from haechi.pipeline.vault_setup import MOUNT, ROLE, USER, read_passwords
from haechi.settings import Target
from haechi.vaultcli.otp_login import ssh_with_otp

BAD_LOGIN = "invalid username or password"


@dataclass(frozen=True)
class Host:
    """A host to log in to; `id` is the instance's, or the address when the cloud knows none there."""

    id: str
    address: str


def log_in(target: Target, wanted: str, arguments: list[str], ask: bool) -> int:
    """Exit code of ssh. `wanted` is [user@]name, id or address; `ask` lets the user type the password."""
    user, _, name = wanted.rpartition("@")
    user = user or USER
    host = find_host(target, name)
    otp = getpass.getpass(f"One-time password for {user}@{host.address}: ") if ask else issue(target, host.address, user)
    return ssh_with_otp(otp, user, host.address, [*known_hosts(target, host), *arguments])


def known_hosts(target: Target, host: Host) -> list[str]:
    """Options of ssh: the key a host shows first is its key from then on. By the instance's id, for addresses are given anew."""
    path = target.vault_home / "known_hosts"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {"StrictHostKeyChecking": "accept-new", "UserKnownHostsFile": str(path), "HostKeyAlias": host.id, "CheckHostIP": "no"}
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def find_host(target: Target, wanted: str) -> Host:
    """By instance name, id or address; the public address if it has one. Raises Failure."""
    found: dict[str, Host] = {}
    for i in every(connect(target), "ecs", ECS, "DescribeInstances", "Instances.Instance"):
        public = [*i["PublicIpAddress"]["IpAddress"], i["EipAddress"]["IpAddress"]]
        addresses = [a for a in [*public, *i["VpcAttributes"]["PrivateIpAddress"]["IpAddress"]] if a]
        if addresses and wanted in (i["InstanceId"], i["InstanceName"], *addresses):
            found[i["InstanceId"]] = Host(i["InstanceId"], addresses[0])
    if len(found) > 1:
        raise Failure(f"{wanted} is the name of {len(found)} instances.", f"Use an id: {', '.join(found)}.")
    if found:
        return next(iter(found.values()))
    try:
        return Host(wanted, str(ip_address(wanted)))
    except ValueError:
        raise Failure(f"There is no instance {wanted!r}.", "`haechi status` lists them.") from None


def issue(target: Target, address: str, user: str) -> str:
    """A one-time password for a user of the host at `address`. Tokens that Vault no longer takes are passed over. Raises Failure."""
    if not target.vault_addr:
        raise Failure("There is no Vault to ask for a one-time password.", "`haechi up` makes one; `haechi ssh --otp` lets you type yours.")
    with client(target) as vault:
        seal = vault.seal()
        if seal is None or not seal.initialized or seal.sealed:
            raise Failure(
                f"The Vault at {target.vault_addr} {'does not answer' if seal is None else 'is ' + seal.word}.",
                "`haechi up` brings it back; `haechi vault operator unseal` unseals it by hand.",
            )
        refusals = []
        for source, token, password in _identities(target):
            try:
                vault.token = token
                if password:
                    vault.login(source, password)
                answer = vault.write(f"{MOUNT}/creds/{ROLE}", {"ip": address, "username": user})
                assert answer is not None
                return str(answer["key"])
            except VaultRefused as error:
                refusals.append(f"{source}: {'; '.join(' '.join(e.split()) for e in error.errors)}")
                if error.status != 403 and BAD_LOGIN not in error.errors:  # not the token: the request itself is wrong
                    break
    raise Failure(f"Vault gave no one-time password for {user}@{address} ({', '.join(refusals)}).", "`haechi vault login`, then try again.")


def _identities(target: Target) -> Iterator[tuple[str, str, str]]:
    """(where from or who, token, password): VAULT_TOKEN, the token of `vault login`, the operator that `up` made, whoever sits there."""
    stored = Path("~/.vault-token").expanduser()
    if token := os.environ.get("VAULT_TOKEN", ""):
        yield "VAULT_TOKEN", token, ""
    if stored.exists() and (token := stored.read_text().strip()):
        yield str(stored), token, ""
    if password := read_passwords(target).get("operator", ""):
        yield "operator", "", password
    if sys.stdin.isatty():
        user = input("Vault user: ").strip()
        if user:
            yield user, "", getpass.getpass(f"Vault password of {user}: ")
