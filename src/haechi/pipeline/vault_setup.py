"""What the story needs inside Vault: policies, the cloud's keys in kv-v2, one-time SSH passwords, two users, an audit log.

Looks first and changes only what differs. In a Vault that is not ours (--vault) it only adds what is missing, leaves the
administrators and the audit devices to the owner, and says what is different.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from haechi.clients.aliyun import vendor_credentials
from haechi.clients.vault import Vault, VaultRefused
from haechi.pipeline import shares
from haechi.pipeline.failure import Failure
from haechi.pipeline.files import write_private
from haechi.pipeline.run import Run
from haechi.pipeline.vault import Known, client, read_known
from haechi.settings import Target

MOUNT, ROLE, USER = "ssh-otp", "otp_key_role", "test"
KV, SECRET = "kv-v2", "alicloud"
AUDIT_FILE = "/var/log/vault/audit.log"  # 01_vault makes the directory and rotates what is in it
# A host takes a password for any address it has, and these can be the address of many hosts at once.
AMBIGUOUS = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
OTP_SECONDS = 600  # a password that nobody used by then is dead too
UPGRADE_SECONDS = 30
ADMIN = "the admin's login"
POLICIES = {
    "super-user": """\
path "*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]
}
""",
    "otp-operator": f"""\
path "{MOUNT}/creds/{ROLE}" {{
  capabilities = ["create", "update"]
}}
""",
    "packer": f"""\
path "{KV}/data/{SECRET}" {{
  capabilities = ["read"]
}}
""",
}
USERS = {"admin": "super-user", "operator": "otp-operator"}
OWNERS = ("super-user", "admin")  # not added to a Vault that is not ours


def setup_vault(run: Run) -> str:
    """Bring Vault's contents to what the story needs."""
    known = read_known(run.target)
    assert known is not None, "vault-apply comes first"
    with client(run.target) as vault:
        log_in(run, vault, known)
        done = list(_converge(run, vault, known))
    return "; ".join(done) or "nothing to change"


def read_passwords(target: Target) -> dict[str, str]:
    """Passwords of the users that setup made, by name; empty before."""
    path = target.vault_home / "operators.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def log_in(run: Run, vault: Vault, known: Known) -> None:
    """With the first token that Vault knows: of this run's init, the admin's, the root token that was written down, VAULT_TOKEN."""
    given = os.environ.get("VAULT_TOKEN", "")
    password = read_passwords(run.target).get("admin", "")
    kept = shares.read(run.target, known.shares) if known.managed else None
    own = [run.values.get("vault_token", ""), ADMIN if password else "", kept.root_token if kept else ""]
    tokens = [t for t in [*(own if known.managed else []), given] if t]
    for token in tokens:
        try:
            if token == ADMIN:
                vault.login("admin", password)
            else:
                vault.token = token
                vault.read("auth/token/lookup-self")
            return
        except VaultRefused:
            vault.token = ""
    raise Failure(
        f"No token for the Vault at {known.address} is at hand" + (" that it still knows." if tokens else "."),
        "Set VAULT_TOKEN to one that may set Vault up, and run `haechi up` again.",
    )


def _converge(run: Run, vault: Vault, known: Known) -> Iterator[str]:
    own = known.managed
    if own:
        yield from _audit(vault)
    yield from _auth(vault)
    for name, text in POLICIES.items():
        if own or name not in OWNERS:
            yield from _policy(vault, name, text, own)
    yield from _mount(vault, KV, "kv", {"version": "2"}, {}, own)
    yield from _cloud_keys(run, vault, own)
    yield from _mount(vault, MOUNT, "ssh", {}, {"default_lease_ttl": OTP_SECONDS, "max_lease_ttl": OTP_SECONDS}, own)
    yield from _role(run.target, vault, own)
    yield from _users(run.target, vault, own)


def _audit(vault: Vault) -> Iterator[str]:
    devices = vault.read("sys/audit") or {}
    if any(d["options"].get("file_path") == AUDIT_FILE for d in devices.values()):
        return
    vault.write("sys/audit/file", {"type": "file", "options": {"file_path": AUDIT_FILE}})
    yield f"audit to {AUDIT_FILE}"


def _auth(vault: Vault) -> Iterator[str]:
    if "userpass/" not in (vault.read("sys/auth") or {}):
        vault.write("sys/auth/userpass", {"type": "userpass"})
        yield "enabled userpass"


def _policy(vault: Vault, name: str, text: str, own: bool) -> Iterator[str]:
    found = vault.read(f"sys/policies/acl/{name}")
    if found is not None and found["policy"].strip() == text.strip():
        return
    if found is not None and not own:
        yield f"policy {name} differs and is left alone"
        return
    vault.write(f"sys/policies/acl/{name}", {"policy": text})
    yield f"wrote policy {name}"


def _mount(vault: Vault, path: str, type: str, options: dict[str, str], config: dict[str, int], own: bool) -> Iterator[str]:
    found = (vault.read("sys/mounts") or {}).get(f"{path}/")
    if found is None:
        vault.write(f"sys/mounts/{path}", {"type": type, "options": options, "config": config})
        yield f"mounted {path}/"
        return
    known = {name: (found.get("options") or {}).get(name) for name in options}
    if (found["type"], known) != (type, options):
        raise Failure(f"{path}/ of the Vault at {vault.address} is something else ({found['type']}).", "Move it: `vault secrets move`.")
    if {name: found["config"].get(name) for name in config} == config:
        return
    if not own:
        yield f"{path}/ is tuned otherwise and is left alone"
        return
    vault.write(f"sys/mounts/{path}/tune", dict(config))
    yield f"tuned {path}/"


def _cloud_keys(run: Run, vault: Vault, own: bool) -> Iterator[str]:
    if run.target.local:
        wanted = {"access_key": run.target.access_key_id, "secret_key": run.target.access_key_secret}
    else:
        keys = vendor_credentials()()
        if keys.security_token:
            yield f"{KV}/{SECRET} not written: the cloud's keys at hand are short-lived"
            return
        wanted = {"access_key": keys.access_key_id, "secret_key": keys.access_key_secret}
    path = f"{KV}/data/{SECRET}"
    found = _upgraded(lambda: vault.read(path))
    if found is not None and found["data"] == wanted:
        return
    if found is not None and found["data"] is not None and not own:
        yield f"{KV}/{SECRET} differs and is left alone"
        return
    _upgraded(lambda: vault.write(path, {"data": wanted}))
    yield f"wrote the cloud's keys to {KV}/{SECRET}"


def _upgraded(ask: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    """Ask a kv-v2 that was just mounted: the real one refuses for a moment while it makes itself versioned."""
    deadline = time.monotonic() + UPGRADE_SECONDS
    while True:
        try:
            return ask()
        except VaultRefused as error:
            if "pgrading from non-versioned" not in " ".join(error.errors) or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _role(target: Target, vault: Vault, own: bool) -> Iterator[str]:
    # On the real cloud any public address may be asked for: the helper on each host accepts only its own.
    cidrs = str(target.site.public) if target.local else "0.0.0.0/0"
    wanted = {"key_type": "otp", "default_user": USER, "allowed_users": USER, "cidr_list": cidrs, "exclude_cidr_list": ",".join(AMBIGUOUS)}
    path = f"{MOUNT}/roles/{ROLE}"
    found = vault.read(path)
    if found is not None and {name: found.get(name) for name in wanted} == wanted:
        return
    if found is not None and not own:
        yield f"role {ROLE} differs and is left alone"
        return
    vault.write(path, dict(wanted))
    yield f"wrote role {ROLE}"


def _users(target: Target, vault: Vault, own: bool) -> Iterator[str]:
    known = read_passwords(target)
    for name, policy in USERS.items():
        if not own and name in OWNERS:
            continue
        path, wanted = f"auth/userpass/users/{name}", {"token_policies": [policy]}
        found = vault.read(path)
        if found is not None and name in known and found.get("token_policies") == [policy]:
            continue
        if found is not None and not own:
            yield f"user {name} exists and is left alone"
            continue
        if name not in known:  # the file first: a run that is cut off now sets the same password again
            known[name] = secrets.token_urlsafe(24)
            write_private(target.vault_home / "operators.json", json.dumps(known, indent=2) + "\n")
        vault.write(path, {**wanted, "password": known[name]})
        yield f"wrote user {name}"
