"""read, write, list, delete, unwrap: the commands that work on any path."""

from __future__ import annotations

from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.values import clean_path, parse_data, parse_strings


def read(call: Call) -> int:
    """GET a path; further k=v arguments are its query."""
    path = clean_path(call.arguments[0])
    params = parse_strings(call.arguments[1:])
    with failing(f"Error reading {path}"):
        secret = call.client.read(path, params or None)
    if secret is None:
        raise CommandError(f"No value found at {path}", 2)
    return call.show(secret)


def write(call: Call) -> int:
    """PUT the k=v arguments to a path."""
    if len(call.arguments) == 1 and not call.flags["force"]:
        raise CommandError("Must supply data or use -force")
    path = clean_path(call.arguments[0])
    return write_data(call, path, parse_data(call.arguments[1:]))


def write_data(call: Call, path: str, data: dict[str, object]) -> int:
    """PUT data and print what comes back, or that it was written."""
    with failing(f"Error writing data to {path}"):
        secret = call.client.write(path, data)
    if secret is None:
        if call.screen.table:
            call.screen.out(f"Success! Data written to: {path}")
        return 0
    return call.show(secret)


def delete(call: Call) -> int:
    """DELETE a path; further k=v arguments are its query."""
    path = clean_path(call.arguments[0])
    params = parse_strings(call.arguments[1:])
    with failing(f"Error deleting {path}"):
        secret = call.client.request("DELETE", path, params=params or None)
    if secret is None:
        if call.screen.table:
            call.screen.out(f"Success! Data deleted (if it existed) at: {path}")
        return 0
    return call.show(secret)


def list_keys(call: Call) -> int:
    """LIST a path."""
    return list_path(call, clean_path(call.arguments[0]))


def list_path(call: Call, path: str) -> int:
    """LIST a path of the API and print its keys; 2 when there are none."""
    with failing(f"Error listing {path}"):
        secret = call.client.list(path)
    if secret and secret.get("wrap_info"):
        return call.screen.secret(secret)
    keys = ((secret or {}).get("data") or {}).get("keys")
    if not isinstance(keys, list) and not call.screen.table:
        call.screen.data({})
        return 2
    if secret is None:
        raise CommandError(f"No value found at {path}", 2)
    if secret.get("data") is None:
        return call.screen.secret(secret)
    if not isinstance(keys, list):
        raise CommandError(f"No entries found at {path}", 2)
    return call.screen.keys(secret)


def unwrap(call: Call) -> int:
    """Open a wrapping token: the argument, or the user's own token."""
    token = call.arguments[0].strip() if call.arguments else ""
    body: dict[str, str] = {}
    if token and not call.client.token:
        call.client.token = token
    elif token and token != call.client.token:
        body = {"token": token}
    with failing("Error unwrapping"):
        secret = call.client.write("sys/wrapping/unwrap", body)
    if secret is None:
        if call.screen.table:
            call.screen.out("Successfully unwrapped. There was no data in the wrapped secret.")
        return 0
    if not call.flags["field"] and isinstance((secret.get("data") or {}).get("keys"), list):
        return call.screen.keys(secret)
    return call.show(secret)


DATA = "DATA is k=v pairs; k=@file reads the value from a file, k=- from stdin; @file.json and - are whole JSON objects."
COMMANDS = (
    Command("read", read, "Read the data at a path.", "PATH [K=V...]", arguments=(1, None), output=("field", "format")),
    Command(
        "write",
        write,
        "Write data to a path; what the path makes of it is the affair of the engine there.",
        "PATH [DATA K=V...]",
        (Flag("force", "Go on without data.", "bool", aliases=("f",)),),
        (1, None),
        ("field", "format"),
        details=DATA,
    ),
    Command("delete", delete, "Delete what is at a path.", "PATH [K=V...]", arguments=(1, None), output=("field", "format")),
    Command("list", list_keys, "List the keys under a path.", "PATH", arguments=(1, 1), output=("format", "detailed")),
    Command("unwrap", unwrap, "Open a wrapping token and print what it holds.", "[TOKEN]", arguments=(0, 1), output=("field", "format")),
)
