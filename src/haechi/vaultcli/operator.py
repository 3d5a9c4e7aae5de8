"""operator: init, unseal, seal, rotate, key-status; rekey and generate-root are in quorum.py."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from haechi.vaultcli import quorum
from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.output import render_columns
from haechi.vaultcli.status import show_seal_status
from haechi.vaultcli.values import wrap


def init(call: Call) -> int:
    """Initialise a server and print its unseal keys and root token, once; with -status only say whether it is."""
    quorum.refuse_pgp(call)
    if call.flags["status"]:
        return _init_status(call)
    shares, threshold = call.flags["key-shares"], call.flags["key-threshold"]
    with failing("Error initializing"):
        answer = call.client.expect("PUT", "sys/init", {"secret_shares": shares, "secret_threshold": threshold})
    keys, keys_b64 = answer["keys"], answer.get("keys_base64") or []
    if not call.screen.table:
        return call.screen.data(
            {
                "unseal_keys_b64": keys_b64,
                "unseal_keys_hex": keys,
                "unseal_shares": shares if keys else 1,
                "unseal_threshold": threshold if keys else 1,
                "recovery_keys_b64": answer.get("recovery_keys_base64") or [],
                "recovery_keys_hex": answer.get("recovery_keys") or [],
                "recovery_keys_shares": 0,
                "recovery_keys_threshold": 0,
                "root_token": answer["root_token"],
            }
        )
    for number, key in enumerate(keys_b64 if len(keys_b64) == len(keys) else keys, 1):
        call.screen.out(f"Unseal Key {number}: {key}")
    call.screen.out(f"\nInitial Root Token: {answer['root_token']}\n")
    if not keys:
        call.screen.out("Success! Vault is initialized")
        return 0
    for text in (
        f"Vault initialized with {shares} key shares and a key threshold of {threshold}. Please securely distribute the key shares "
        f"printed above. When the Vault is re-sealed, restarted, or stopped, you must supply at least {threshold} of these keys "
        "to unseal it before it can start servicing requests.",
        f"Vault does not store the generated root key. Without at least {threshold} keys to reconstruct the root key, "
        "Vault will remain permanently sealed!",
    ):
        call.screen.out(wrap(text) + "\n")
    call.screen.out(
        wrap(
            "It is possible to generate new unseal keys, provided you have a quorum of existing unseal keys shares. "
            'See "vault operator rekey" for more information.'
        )
    )
    return 0


def _init_status(call: Call) -> int:
    with failing("Error checking init status", 1):
        done = bool(call.client.expect("GET", "sys/init")["initialized"])
    if call.screen.table:
        call.screen.out("Vault is initialized" if done else "Vault is not initialized")
    else:
        call.screen.data({"initialized": done})
    return 0 if done else 2


def unseal(call: Call) -> int:
    """Give one unseal key: the argument, `-` for stdin, or asked for."""
    if call.flags["reset"]:
        with failing("Error resetting unseal process"):
            return show_seal_status(call, call.client.expect("PUT", "sys/unseal", {"reset": True}))
    key = call.arguments[0].strip() if call.arguments else call.ask_secret("Unseal Key (will be hidden): ")
    key = sys.stdin.read().strip() if key == "-" else key
    with failing("Error unsealing"):
        answer = call.client.expect("PUT", "sys/unseal", {"key": key})
    return show_seal_status(call, answer)


def seal(call: Call) -> int:
    """Seal the server."""
    with failing("Error sealing"):
        call.client.write("sys/seal")
    call.screen.out("Success! Vault is sealed.")
    return 0


def rotate(call: Call) -> int:
    """Begin a new encryption key; older ones still read what they wrote."""
    with failing("Error rotating key"):
        call.client.write("sys/rotate")
    if call.screen.table:
        call.screen.out("Success! Rotated key\n")
    return key_status(call)


def key_status(call: Call) -> int:
    """Print the encryption key's term, age and use."""
    with failing("Error reading key status"):
        answer = call.client.expect("GET", "sys/key-status")
    status: dict[str, Any] = answer.get("data") or answer
    if not call.screen.table:
        return call.screen.data({name: status[name] for name in ("term", "install_time", "encryptions") if name in status})
    try:
        installed = datetime.fromisoformat(status["install_time"]).astimezone(UTC).strftime("%d %b %y %H:%M UTC")
    except ValueError:
        raise CommandError(f"Error reading key status: install_time {status['install_time']!r} is not a time", 2) from None
    rows = [["Key Term", status["term"]], ["Install Time", installed], ["Encryption Count", status.get("encryptions", 0)]]
    call.screen.out(render_columns(rows))
    return 0


COMMANDS = (
    Command(
        "operator init",
        init,
        "Initialise a server: make its unseal keys and root token, printed once.",
        flags=(
            *quorum.SHARES,
            *quorum.PGP,
            Flag("status", "Only say whether the server is initialised: exit 0 yes, 2 no, 1 error.", "bool"),
        ),
    ),
    Command(
        "operator unseal",
        unseal,
        "Give an unseal key; it is asked for when absent, - reads it from stdin.",
        "[KEY]",
        (Flag("reset", "Forget the keys given so far.", "bool"),),
        (0, 1),
        expected="1",
    ),
    Command("operator seal", seal, "Seal the server.", output=()),
    Command("operator rotate", rotate, "Begin a new encryption key."),
    Command("operator key-status", key_status, "Print the state of the encryption key."),
    *quorum.COMMANDS,
)
