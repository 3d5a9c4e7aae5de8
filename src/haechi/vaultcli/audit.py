"""audit: enable, disable and list audit devices."""

from __future__ import annotations

from typing import Any

from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.output import render_table
from haechi.vaultcli.values import clean_path, parse_strings


def enable(call: Call) -> int:
    """Enable a device of a type, with k=v options such as file_path."""
    if not call.arguments:
        raise CommandError("Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'.")
    kind = call.arguments[0].strip()
    path = clean_path(call.flags["path"] or kind) + "/"
    body = {
        "type": kind,
        "description": call.flags["description"],
        "options": parse_strings(call.arguments[1:]),
        "local": call.flags["local"],
    }
    with failing("Error enabling audit device"):
        call.client.write(f"sys/audit/{path}", body)
    call.screen.out(f"Success! Enabled the {kind} audit device at: {path}")
    return 0


def disable(call: Call) -> int:
    """Disable a device; its log stays."""
    path = clean_path(call.arguments[0]) + "/"
    with failing("Error disabling audit device"):
        call.client.delete(f"sys/audit/{path}")
    call.screen.out(f"Success! Disabled audit device (if it was enabled) at: {path}")
    return 0


def list_devices(call: Call) -> int:
    """Print the devices; -detailed with their options."""
    with failing("Error listing audits"):
        answer = call.client.expect("GET", "sys/audit")
    devices: dict[str, dict[str, Any]] = answer.get("data") or {p: d for p, d in answer.items() if p.endswith("/")}
    if not call.screen.table:
        return call.screen.data({path: devices[path] for path in sorted(devices)})
    if not devices:
        call.screen.out("No audit devices are enabled.")
        return 2
    rows: list[list[Any]] = [["Path", "Type", "Description", *(["Replication", "Options"] if call.flags["detailed"] else [])]]
    for path in sorted(devices):
        device = devices[path]
        options = " ".join(f"{k}={v}" for k, v in sorted((device.get("options") or {}).items()))
        more = ["local" if device.get("local") else "replicated", options] if call.flags["detailed"] else []
        rows.append([path, device["type"], device.get("description", ""), *more])
    call.screen.out(render_table(rows))
    return 0


COMMANDS = (
    Command(
        "audit enable",
        enable,
        "Enable an audit device.",
        "TYPE [CONFIG K=V...]",
        (
            Flag("description", "What it is for, in words."),
            Flag("local", "Do not replicate it.", "bool"),
            Flag("path", "Where to mount it; the type's name when absent."),
        ),
        (0, None),
        (),
    ),
    Command("audit disable", disable, "Disable an audit device.", "PATH", (), (1, 1), ()),
    Command("audit list", list_devices, "List the audit devices.", flags=(Flag("detailed", "Print the options too.", "bool"),)),
)
