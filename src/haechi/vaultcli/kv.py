"""The kv family: it asks the server which version a mount has and talks to v1 or v2 paths accordingly."""

from __future__ import annotations

import dataclasses
from typing import Any

from haechi.vaultcli import kv_metadata
from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import ApiError, CommandError, VaultError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.kv_paths import MOUNT, Key, find_key, parse_versions, print_heading, print_section
from haechi.vaultcli.logical import DATA, list_path, write_data
from haechi.vaultcli.values import clean_path, parse_data


def get(call: Call) -> int:
    """Print a key: where it is, its metadata (v2) and its data."""
    key = find_key(call)
    path = key.path("data")
    version = call.flags["version"]
    with failing(f"Error reading {path}"):
        secret = call.client.read(path, {"version": str(version)} if key.v2 and version > 0 else None)
    if secret is None:
        raise CommandError(f"No value found at {path}", 2)
    data = secret.get("data") or {}
    name = call.flags["field"]
    if name and (not key.v2 or secret.get("wrap_info")):
        return call.screen.field(secret, name)
    if name:
        inner = data.get("data")
        if inner is None:
            raise CommandError(f"No data found at {path}", 2)
        if name == "data" and "data" not in inner:
            return call.screen.field(secret, name)
        return call.screen.field(inner, name, is_secret=False)
    if secret.get("wrap_info") or not call.screen.table:
        return call.screen.secret(secret)
    call.screen.warnings(secret)
    if key.v2:
        print_heading(call, "Secret Path", path)
        if data.get("metadata"):
            print_section(call, "Metadata", data["metadata"])
            call.screen.out("")
        data = data.get("data")
    if data is not None:
        print_section(call, "Data", data)
    return 0


def put(call: Call) -> int:
    """Write a key's data anew."""
    if len(call.arguments) == 1:
        raise CommandError("Must supply data")
    data = parse_data(call.arguments[1:])
    key = find_key(call)
    if key.v2:
        cas = call.flags["cas"]
        data = {"data": data, "options": {"cas": cas} if cas > -1 else {}}
    path = key.path("data")
    with failing(f"Error writing data to {path}"):
        secret = call.client.write(path, data)
    return _show_written(call, path, secret)


def _show_written(call: Call, path: str, secret: dict[str, Any] | None) -> int:
    """What a write to a v2 key answers: the new version's metadata."""
    if secret is None:
        if call.screen.table:
            call.screen.out(f"Success! Data written to: {path}")
        return 0
    if call.flags.get("field") or secret.get("wrap_info") or not call.screen.table:
        return call.show(secret)
    print_heading(call, "Secret Path", path)
    print_section(call, "Metadata", secret.get("data") or {})
    return 0


def patch(call: Call) -> int:
    """Change some fields of a key: by an HTTP PATCH, or by read and write where the policy allows no patch."""
    removed = {name: None for name in call.flags["remove-data"]}
    if len(call.arguments) == 1 and not removed:
        raise CommandError("Must supply data")
    data = parse_data(call.arguments[1:]) | removed
    key = find_key(call)
    if not key.v2:
        raise CommandError("K/V engine mount must be version 2 for patch support", 2)
    path, method, cas = key.path("data"), call.flags["method"], call.flags["cas"]
    if method not in ("", "patch", "rw"):
        raise CommandError(f"Unsupported method provided to -method flag: {method}", 2)
    if method == "rw":
        return _show_written(call, path, _read_then_write(call, path, data))
    try:
        secret = call.client.patch(path, {"data": data, "options": {"cas": cas} if cas > 0 else {}})
    except VaultError as error:
        status = error.status if isinstance(error, ApiError) else 0
        if method or status not in (403, 405):
            raise CommandError(f"Error writing data to {path}: {error}", 2) from None
        secret = _read_then_write(call, path, data)
        if status == 403:
            call.screen.warn(
                f"Data was written to {path} but we recommend that you add the "
                '"patch" capability to your ACL policy in order to use HTTP PATCH in the future.'
            )
    return _show_written(call, path, secret)


def _read_then_write(call: Call, path: str, change: dict[str, Any]) -> dict[str, Any] | None:
    data, version = _read_version(call, path, "patch")
    merged = {name: value for name, value in {**data, **change}.items() if value is not None}
    with failing(f"Error writing data to {path}"):
        return call.client.write(path, {"data": merged, "options": {"cas": version}})


def _read_version(call: Call, path: str, what: str, version: int = 0) -> tuple[dict[str, Any], int]:
    """Data and number of a version (0: the newest). CommandError when it has none to work on."""
    plain = dataclasses.replace(call.client, curl=False)
    with failing(f"Error doing pre-read at {path}"):
        secret = plain.read(path, {"version": str(version)} if version else None)
    if not secret or secret.get("data") is None:
        raise CommandError(f"No value found at {path}", 2)
    metadata = secret["data"].get("metadata")
    if not metadata:
        raise CommandError(f"No metadata found at {path}; {what} only works on existing data", 2)
    if version and metadata.get("deletion_time"):
        raise CommandError("Cannot roll back to a version that has been deleted", 2)
    if version and metadata.get("destroyed"):
        raise CommandError("Cannot roll back to a version that has been destroyed", 2)
    data = secret["data"].get("data")
    if not isinstance(data, dict) and (version or what == "patch"):
        raise CommandError(f"No data found at {path}; {what} only works on existing data", 2)
    return data or {}, int(metadata["version"])


def rollback(call: Call) -> int:
    """Write an old version's data as the newest."""
    version = call.flags["version"]
    if "version" not in call.flags.given:
        raise CommandError("Version flag must be specified")
    if version <= 0:
        raise CommandError(f"Invalid value {version} for the version flag")
    key = find_key(call)
    if not key.v2:
        raise CommandError("K/V engine mount must be version 2 for rollback support", 2)
    path = key.path("data")
    _, newest = _read_version(call, path, "rollback")
    data, _ = _read_version(call, path, "rollback", version)
    return write_data(call, path, {"data": data, "options": {"cas": newest}})


def delete(call: Call) -> int:
    """Delete the newest version, or those of -versions; v1 deletes the key."""
    key = find_key(call)
    path = key.path("data")
    with failing(f"Error deleting {path}"):
        if key.v2 and call.flags["versions"]:
            secret = call.client.write(key.path("delete"), {"versions": parse_versions(call)})
        else:
            secret = call.client.delete(path)
    if secret is not None:
        return call.show(secret)
    if call.screen.table:
        call.screen.out(f"Success! Data deleted (if it existed) at: {path}")
    return 0


def undelete(call: Call) -> int:
    """Bring deleted versions back."""
    return _on_versions(call, "undelete")


def destroy(call: Call) -> int:
    """Remove the data of versions for good."""
    return _on_versions(call, "destroy")


def _on_versions(call: Call, verb: str) -> int:
    if not call.flags["versions"]:
        raise CommandError(f'No versions provided, use the "-versions" flag to specify the version to {verb}.')
    versions = parse_versions(call)
    key: Key = find_key(call)
    if not key.v2:
        raise CommandError(f"{verb.capitalize()} not supported on KV Version 1")
    return write_data(call, key.path(verb), {"versions": versions})


def list_keys(call: Call) -> int:
    """List the keys under a path."""
    if not call.arguments and not call.flags["mount"]:
        raise CommandError("Not enough arguments (expected 1, got 0)")
    key = find_key(call)
    return list_path(call, key.path("metadata"))


def enable_versioning(call: Call) -> int:
    """Turn a v1 mount into v2."""
    mount = clean_path(call.arguments[0]) + "/"
    with failing(f"Error tuning secrets engine {mount}"):
        call.client.request("POST", f"sys/mounts/{mount}tune", {"options": {"version": "2"}})
    call.screen.out(f"Success! Tuned the secrets engine at: {mount}")
    return 0


CAS = Flag("cas", "Write only when the current version is this one; 0: only when the key does not exist.", "int", -1)
VERSIONS = Flag("versions", "Versions, separated by commas; may be repeated.", "list")
BOTH = ("field", "format")
COMMANDS = (
    Command("kv get", get, "Retrieve a key.", "KEY", (MOUNT, Flag("version", "The version to read.", "int")), (1, 1), BOTH),
    Command("kv put", put, "Write a key anew.", "KEY [DATA]", (MOUNT, CAS), (1, None), BOTH, expected=">1", details=DATA),
    Command(
        "kv patch",
        patch,
        "Change some fields of a key.",
        "KEY [DATA]",
        (
            MOUNT,
            Flag("cas", "Patch only when the current version is this one.", "int"),
            Flag("method", "patch (HTTP PATCH only) or rw (read, then write); patch with rw as the way out when absent."),
            Flag("remove-data", "A field to remove; may be repeated.", "list"),
        ),
        (1, None),
        BOTH,
        expected=">1",
        details=DATA,
    ),
    Command("kv delete", delete, "Delete versions of a key; they can be undeleted.", "KEY", (MOUNT, VERSIONS), (1, 1), BOTH),
    Command("kv undelete", undelete, "Bring deleted versions back.", "KEY", (MOUNT, VERSIONS), (1, 1)),
    Command("kv destroy", destroy, "Remove the data of versions for good.", "KEY", (MOUNT, VERSIONS), (1, 1)),
    Command("kv list", list_keys, "List keys.", "PATH", (MOUNT,), (0, 1), ("format", "detailed"), expected="1"),
    Command(
        "kv rollback",
        rollback,
        "Make an old version the newest.",
        "KEY",
        (MOUNT, Flag("version", "The one to restore.", "int")),
        (1, 1),
    ),
    Command("kv enable-versioning", enable_versioning, "Turn versioning on for a mount.", "MOUNT", arguments=(1, 1)),
    *kv_metadata.COMMANDS,
)
