"""kv metadata: what a v2 engine keeps about a key and its versions."""

from __future__ import annotations

from typing import Any

from haechi.vault.durations import render_duration
from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.kv_paths import MOUNT, find_key, print_heading, print_section, section_line
from haechi.vaultcli.logical import write_data


def _path(call: Call) -> str:
    key = find_key(call)
    if not key.v2:
        raise CommandError("Metadata not supported on KV Version 1")
    return key.path("metadata")


def get(call: Call) -> int:
    """Print a key's settings and each of its versions."""
    path = _path(call)
    with failing(f"Error reading {path}"):
        secret = call.client.read(path)
    if secret is None:
        raise CommandError(f"No value found at {path}", 2)
    if call.flags["field"] or secret.get("wrap_info") or not call.screen.table:
        return call.show(secret)
    data = dict(secret.get("data") or {})
    versions = data.pop("versions", None)
    if versions is None:
        raise CommandError(f"No value found at {path}", 2)
    print_heading(call, "Metadata Path", path)
    call.screen.out(section_line("Metadata", data))
    call.screen.secret({**secret, "data": data})
    for number in sorted(versions, key=int):
        call.screen.out("")
        print_section(call, f"Version {number}", versions[number])
    return 0


def _settings(call: Call) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if call.flags["max-versions"] >= 0:
        data["max_versions"] = call.flags["max-versions"]
    if "cas-required" in call.flags.given:
        data["cas_required"] = call.flags["cas-required"]
    if call.flags["delete-version-after"] >= 0:
        data["delete_version_after"] = render_duration(call.flags["delete-version-after"])
    return data


def put(call: Call) -> int:
    """Set a key's settings; its custom metadata is replaced."""
    path = _path(call)
    custom = call.flags["custom-metadata"]
    return write_data(call, path, _settings(call) | ({"custom_metadata": custom} if custom else {}))


def patch(call: Call) -> int:
    """Change some settings of a key."""
    path = _path(call)
    custom = dict(call.flags["custom-metadata"]) | {name: None for name in call.flags["remove-custom-metadata"]}
    with failing(f"Error writing data to {path}"):
        secret = call.client.patch(path, _settings(call) | {"custom_metadata": custom})
    if secret is not None:
        return call.show(secret)
    if call.screen.table:
        call.screen.out(f"Success! Data written to: {path}")
    return 0


def delete(call: Call) -> int:
    """Remove a key with all its versions."""
    path = _path(call)
    with failing(f"Error deleting {path}"):
        secret = call.client.delete(path)
    if secret is not None:
        return call.show(secret)
    if call.screen.table:
        call.screen.out(f"Success! Data deleted (if it existed) at: {path}")
    return 0


SETTINGS = (
    MOUNT,
    Flag("cas-required", "Demand the cas parameter on every write.", "bool"),
    Flag("custom-metadata", "key=value that describes the secret; may be repeated.", "map"),
    Flag("delete-version-after", "How long a version lives.", "duration", -1),
    Flag("max-versions", "How many versions to keep.", "int", -1),
)
REMOVE = Flag("remove-custom-metadata", "Custom metadata to remove; may be repeated.", "list")
COMMANDS = (
    Command("kv metadata get", get, "Print a key's metadata.", "KEY", (MOUNT,), (1, 1), ("field", "format")),
    Command("kv metadata put", put, "Set a key's settings.", "KEY", SETTINGS, (1, 1)),
    Command("kv metadata patch", patch, "Change some settings of a key.", "KEY", (*SETTINGS, REMOVE), (1, 1)),
    Command("kv metadata delete", delete, "Remove a key with all its versions.", "KEY", (MOUNT,), (1, 1)),
)
