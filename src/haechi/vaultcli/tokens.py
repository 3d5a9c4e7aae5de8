"""token: create, look up, renew, revoke tokens and print their capabilities; print token."""

from __future__ import annotations

from typing import Any

from haechi.vault.durations import render_duration
from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag


def create(call: Call) -> int:
    """Create a child of the user's token, or an orphan."""
    flags = call.flags
    body: dict[str, Any] = {
        "display_name": flags["display-name"],
        "num_uses": flags["use-limit"],
        "renewable": flags["renewable"] and flags["type"] != "batch",
        "type": flags["type"],
    }
    body |= {name.replace("-", "_"): render_duration(flags[name]) for name in ("ttl", "explicit-max-ttl", "period")}
    optional = {
        "id": flags["id"],
        "policies": list(flags["policy"]),
        "meta": flags["metadata"],
        "no_parent": flags["orphan"],
        "no_default_policy": flags["no-default-policy"],
        "entity_alias": flags["entity-alias"],
    }
    body |= {name: value for name, value in optional.items() if value}
    role = flags["role"].strip("/")
    with failing("Error creating token"):
        secret = call.client.expect("POST", "auth/token/create" + (f"/{role}" if role else ""), body)
    return call.show(secret)


def lookup(call: Call) -> int:
    """Print a token: the user's own, or one by its id or accessor."""
    accessor, given = call.flags["accessor"], call.arguments
    if accessor and not given:
        raise CommandError("Not enough arguments with -accessor (expected 1, got 0)")
    name = given[0].strip() if given else ""
    with failing("Error looking up token"):
        if not name:
            secret = call.client.expect("GET", "auth/token/lookup-self")
        elif accessor:
            secret = call.client.expect("POST", "auth/token/lookup-accessor", {"accessor": name})
        else:
            secret = call.client.expect("POST", "auth/token/lookup", {"token": name})
    return call.show(secret)


def renew(call: Call) -> int:
    """Prolong a token: the user's own, or one by its id or accessor."""
    name = call.arguments[0].strip() if call.arguments else ""
    body: dict[str, Any] = {"increment": max(int(call.flags["increment"]), 0)}
    with failing("Error renewing token"):
        if not name:
            secret = call.client.expect("PUT", "auth/token/renew-self", body)
        elif call.flags["accessor"]:
            secret = call.client.expect("POST", "auth/token/renew-accessor", body | {"accessor": name})
        else:
            secret = call.client.expect("PUT", "auth/token/renew", body | {"token": name})
    return call.show(secret)


def revoke(call: Call) -> int:
    """Revoke a token and its children, or as -mode says."""
    own, accessor, mode, count = call.flags["self"], call.flags["accessor"], call.flags["mode"], len(call.arguments)
    checks = (
        (mode not in ("", "orphan", "path"), f"Invalid mode: {mode}"),
        (own and count > 0, f"Too many arguments with -self (expected 0, got {count})"),
        (not own and count > 1, f"Too many arguments (expected 1 or -self, got {count})"),
        (not own and count < 1, f"Not enough arguments (expected 1 or -self, got {count})"),
        (own and accessor, "Cannot use -self with -accessor!"),
        (own and mode != "", "Cannot use -self with -mode!"),
        (accessor and mode != "", f"Cannot use -accessor with -mode={mode}!"),
    )
    for wrong, text in checks:
        if wrong:
            raise CommandError(text)
    name = call.arguments[0].strip() if count else ""
    with failing("Error revoking token"):
        if own:
            call.client.write("auth/token/revoke-self")
        elif accessor:
            call.client.request("POST", "auth/token/revoke-accessor", {"accessor": name})
        elif mode == "path":
            call.client.write(f"sys/leases/revoke-prefix/{name}")
        else:
            call.client.write("auth/token/revoke-orphan" if mode else "auth/token/revoke", {"token": name})
    call.screen.out("Success! Revoked token (if it existed)")
    return 0


def capabilities(call: Call) -> int:
    """Print what a token, or the user's own, may do at a path."""
    *token, path = call.arguments
    with failing("Error listing capabilities"):
        if token:
            answer = call.client.expect("POST", "sys/capabilities", {"token": token[0], "path": path})
        else:
            answer = call.client.expect("POST", "sys/capabilities-self", {"path": path})
    data = answer.get("data") or answer
    found = data.get(path, data.get("capabilities"))
    if found is None:
        raise CommandError("No capabilities found")
    if not call.screen.table:
        return call.screen.data(found)
    call.screen.out(", ".join(sorted(found)))
    return 0


def print_token(call: Call) -> int:
    """Print the token that commands use."""
    call.screen.out(call.client.token)
    return 0


ACCESSOR = Flag("accessor", "The argument is an accessor.", "bool")
COMMANDS = (
    Command(
        "token create",
        create,
        "Create a token.",
        flags=(
            Flag("display-name", "A name, not secret, that shows in logs."),
            Flag("entity-alias", "Entity alias for the token; only with -role."),
            Flag("explicit-max-ttl", "The token's end, whatever is renewed.", "duration"),
            Flag("id", "The token itself, instead of a random one; needs sudo."),
            Flag("metadata", "key=value that shows in audit logs; may be repeated.", "map"),
            Flag("no-default-policy", "Leave the policy default out.", "bool"),
            Flag("orphan", "No parent: it lives on when yours ends; needs sudo.", "bool"),
            Flag("period", "Every renewal is for this long and there is no end; needs sudo.", "duration"),
            Flag("policy", "A policy; may be repeated. Yours when absent.", "list"),
            Flag("renewable", "Whether it can be renewed.", "bool", True),
            Flag("role", "The token role to create it by."),
            Flag("ttl", "How long it lives at first.", "duration"),
            Flag("type", "service or batch.", default="service"),
            Flag("use-limit", "How often it can be used; 0 is without limit.", "int"),
        ),
        output=("field", "format"),
    ),
    Command("token lookup", lookup, "Print a token; your own when none is named.", "[TOKEN | ACCESSOR]", (ACCESSOR,), (0, 1)),
    Command(
        "token renew",
        renew,
        "Prolong a token; your own when none is named.",
        "[TOKEN]",
        (ACCESSOR, Flag("increment", "For how long; the server need not follow.", "duration", aliases=("i",))),
        (0, 1),
        expected="1",
    ),
    Command(
        "token revoke",
        revoke,
        "Revoke a token and its children.",
        "[TOKEN | ACCESSOR]",
        (
            ACCESSOR,
            Flag("mode", "orphan: leave the children; path: the argument is a prefix of auth paths."),
            Flag("self", "Revoke your own token.", "bool"),
        ),
        (0, None),
        (),
    ),
    Command("token capabilities", capabilities, "Print what a token may do at a path.", "[TOKEN] PATH", arguments=(1, 2)),
    Command("print token", print_token, "Print the token that commands use.", output=()),
)
