"""policy: write, read, list and delete ACL policies."""

from __future__ import annotations

import sys
from pathlib import Path

from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError

API = "sys/policies/acl"


def write(call: Call) -> int:
    """Upload a policy from a file, or from stdin for `-`."""
    name, path = call.arguments[0], call.arguments[1].strip()
    lowered = name.strip().lower()
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Error opening policy file: open {path}: {error.strerror}", 2) from None
    with failing("Error uploading policy"):
        call.client.write(f"{API}/{lowered}", {"policy": text})
    if name != lowered:
        call.screen.warn(f'Policy name was converted from "{name}" to "{lowered}"')
    call.screen.out(f"Success! Uploaded policy: {lowered}")
    return 0


def read(call: Call) -> int:
    """Print a policy's text."""
    name = call.arguments[0].strip().lower()
    with failing(f"Error reading policy named {name}"):
        answer = call.client.read(f"{API}/{name}")
    if answer is None:
        raise CommandError(f"No policy named: {name}", 2)
    text = str(answer["data"]["policy"])
    if not call.screen.table:
        return call.screen.data({"policy": text})
    call.screen.out(text.strip())
    return 0


def list_names(call: Call) -> int:
    """Print the names of all policies."""
    with failing("Error listing policies"):
        answer = call.client.list(API)
    names = (answer or {}).get("data", {}).get("keys") or []
    if not call.screen.table:
        return call.screen.data(names)
    for name in names:
        call.screen.out(name)
    return 0


def delete(call: Call) -> int:
    """Delete a policy."""
    name = call.arguments[0].strip().lower()
    with failing(f"Error deleting {name}"):
        call.client.delete(f"{API}/{name}")
    call.screen.out(f"Success! Deleted policy: {name}")
    return 0


COMMANDS = (
    Command("policy write", write, "Upload a policy from a file, or from stdin with -.", "NAME PATH", arguments=(2, 2), output=()),
    Command("policy read", read, "Print a policy.", "NAME", arguments=(1, 1)),
    Command("policy list", list_names, "List the policies."),
    Command("policy delete", delete, "Delete a policy.", "NAME", arguments=(1, 1), output=()),
)
