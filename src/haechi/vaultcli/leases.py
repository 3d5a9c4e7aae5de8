"""lease: look up, renew and revoke leases."""

from __future__ import annotations

from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.values import wrap


def lookup(call: Call) -> int:
    """Print a lease."""
    lease = _lease(call)
    with failing(f"error looking up lease id {lease}"):
        return call.show(call.client.expect("PUT", "sys/leases/lookup", {"lease_id": lease}))


def renew(call: Call) -> int:
    """Prolong a lease."""
    lease = _lease(call)
    with failing(f"Error renewing {lease}"):
        body = {"increment": max(int(call.flags["increment"]), 0), "lease_id": lease}
        return call.show(call.client.expect("PUT", "sys/leases/renew", body))


def _lease(call: Call) -> str:
    if not call.arguments:
        raise CommandError("Missing ID!")
    return call.arguments[0].strip()


def revoke(call: Call) -> int:
    """Revoke one lease, or all under a prefix."""
    lease, force, prefix, sync = call.arguments[0].strip(), call.flags["force"], call.flags["prefix"], call.flags["sync"]
    if force and not prefix:
        raise CommandError("Specifying -force requires also specifying -prefix")
    if force:
        call.screen.warn(wrap("Warning! Force-removing leases can cause Vault to become out of sync with secret engines!"))
        failed = f"Error force revoking leases with prefix {lease}"
        path, body = f"sys/leases/revoke-force/{lease}", {}
    elif prefix:
        failed = f"Error revoking leases with prefix {lease}"
        path, body = f"sys/leases/revoke-prefix/{lease}", {"sync": sync}
    else:
        failed = f"Error revoking lease {lease}"
        path, body = "sys/leases/revoke", {"lease_id": lease, "sync": sync}
    with failing(failed):
        call.client.write(path, body)
    if force:
        call.screen.out(f"Success! Force revoked any leases with prefix: {lease}")
    elif sync:
        call.screen.out(f"Success! Revoked any leases with prefix: {lease}" if prefix else f"Success! Revoked lease: {lease}")
    else:
        call.screen.out("All revocation operations queued successfully!")
    return 0


COMMANDS = (
    Command("lease lookup", lookup, "Print a lease.", "ID", arguments=(0, 1), expected="1"),
    Command(
        "lease renew",
        renew,
        "Prolong a lease.",
        "ID",
        (Flag("increment", "For how long; the server need not follow.", "duration"),),
        (0, 1),
        expected="1-2",
    ),
    Command(
        "lease revoke",
        revoke,
        "Revoke a lease, or with -prefix all leases under a path.",
        "ID",
        (
            Flag("force", "Forget the leases even when their engine cannot revoke them; needs -prefix.", "bool", aliases=("f",)),
            Flag("prefix", "ID is a prefix.", "bool"),
            Flag("sync", "Wait until it is done.", "bool"),
        ),
        (1, 1),
        (),
    ),
)
