"""secrets and auth: enable, disable, list, tune and move mounts. The two families differ in paths and words only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from haechi.vault.durations import render_duration
from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.output import render_table
from haechi.vaultcli.values import clean_path

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Kind:
    """What a family says and where its API is."""

    thing: str
    api: str
    listing: str
    failed: str


SECRETS = Kind("secrets engine", "sys/mounts", "Error listing secrets engines", "Error enabling")
AUTH = Kind("auth method", "sys/auth", "Error listing enabled authentications", "Error enabling {type} auth")


def _kind(call: Call) -> Kind:
    return AUTH if call.command.name.startswith("auth ") else SECRETS


def _mount(text: str) -> str:
    path = clean_path(text)
    if not path:
        raise CommandError("The path of the mount is empty")
    return f"{path}/"


def _options(call: Call) -> dict[str, str]:
    version = call.flags["version"]
    return dict(call.flags["options"]) | ({"version": str(version)} if version > 0 else {})


def _given(call: Call, *names: str) -> dict[str, Any]:
    """Those of the flags that were given, by their names in the API."""
    values = {name: call.flags[name] for name in names if name in call.flags.given}
    return {name.replace("-", "_"): list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def enable(call: Call) -> int:
    """Mount an engine or an auth method of a type at a path, which is the type's name unless -path says otherwise."""
    kind, what = _kind(call), call.arguments[0].strip()
    path = _mount(call.flags["path"] or what)
    config: dict[str, Any] = {
        "default_lease_ttl": render_duration(call.flags["default-lease-ttl"]),
        "max_lease_ttl": render_duration(call.flags["max-lease-ttl"]),
    } | _given(call, *CONFIG_NAMES)
    if kind is SECRETS:
        config["force_no_cache"] = call.flags["force-no-cache"]
    else:
        config |= _given(call, "token-type")
    body = {
        "type": what,
        "description": call.flags["description"],
        "config": config,
        "local": call.flags["local"],
        "seal_wrap": call.flags["seal-wrap"],
        "options": _options(call) or None,
    }
    with failing(kind.failed.format(type=what)):
        call.client.request("POST", f"{kind.api}/{path}", body)
    article = "the " if kind is SECRETS else ""
    call.screen.out(f"Success! Enabled {article}{what} {kind.thing} at: {path}")
    return 0


def disable(call: Call) -> int:
    """Remove a mount with everything in it."""
    kind, path = _kind(call), _mount(call.arguments[0])
    with failing(f"Error disabling {kind.thing} at {path}"):
        call.client.delete(f"{kind.api}/{path}")
    call.screen.out(f"Success! Disabled the {kind.thing} (if it existed) at: {path}")
    return 0


def tune(call: Call) -> int:
    """Change a mount's settings; what is not named stays."""
    kind, path = _kind(call), _mount(call.arguments[0])
    body = _given(call, "description", *CONFIG_NAMES, *(("token-type",) if kind is AUTH else ()))
    for name in ("default-lease-ttl", "max-lease-ttl"):
        ttl = call.flags[name]
        body |= {name.replace("-", "_"): "system" if ttl < 0 else render_duration(ttl)} if ttl else {}
    options = _options(call)
    body |= {"options": options} if options else {}
    with failing(f"Error tuning {kind.thing} {path}"):
        secret = call.client.request("POST", f"{kind.api}/{path}tune", body)
    call.screen.warnings(secret or {})
    call.screen.out(f"Success! Tuned the {kind.thing} at: {path}")
    return 0


def move(call: Call) -> int:
    """Move a mount to another path and wait until that is done."""
    kind = _kind(call)
    prefix = "auth/" if kind is AUTH else ""
    source, target = _mount(call.arguments[0]), _mount(call.arguments[1])
    what = f"{kind.thing} {source} to {target}"
    with failing(f"Error moving {what}"):
        answer = call.client.expect("POST", "sys/remount", {"from": prefix + source, "to": prefix + target})
    migration = (answer.get("data") or answer)["migration_id"]
    call.screen.out(f"Started moving {what}, with migration ID {migration}")
    while True:
        with failing(f"Error checking migration status of {what}"):
            answer = call.client.expect("GET", f"sys/remount/status/{migration}")
        status = (answer.get("data") or answer)["migration_info"]["status"]
        if status == "success":
            call.screen.out(f"Success! Finished moving {what}, with migration ID {migration}")
            return 0
        if status == "failure":
            raise CommandError(f"Failure! Error encountered moving {what}, with migration ID {migration}", 2)
        call.screen.out(f"Waiting for terminal status in migration of {what}, with migration ID {migration}")
        time.sleep(POLL_SECONDS)


def list_mounts(call: Call) -> int:
    """Print the mounts; -detailed with their settings."""
    kind = _kind(call)
    with failing(kind.listing):
        answer = call.client.expect("GET", kind.api)
    mounts: dict[str, dict[str, Any]] = answer.get("data") or {p: m for p, m in answer.items() if p.endswith("/")}
    if not call.screen.table:
        return call.screen.data({path: mounts[path] for path in sorted(mounts)})
    shown = _detailed if call.flags["detailed"] else _simple
    call.screen.out(render_table(shown(mounts, kind)))
    return 0


def _simple(mounts: dict[str, dict[str, Any]], kind: Kind) -> list[list[Any]]:
    rows: list[list[Any]] = [["Path", "Type", "Accessor", "Description", *(["Version"] if kind is AUTH else [])]]
    for path in sorted(mounts):
        m = mounts[path]
        version = [m.get("plugin_version", "")] if kind is AUTH else []
        rows.append([path, m["type"], m.get("accessor", ""), m.get("description", ""), *version])
    return rows


def _detailed(mounts: dict[str, dict[str, Any]], kind: Kind) -> list[list[Any]]:
    last = "Token Type" if kind is AUTH else "Force No Cache"
    head = ["Path", "Plugin", "Accessor", "Default TTL", "Max TTL", last, "Replication", "Seal Wrap", "External Entropy Access", "Options"]
    head += ["Description", "UUID", "Version", "Running Version", "Running SHA256", "Deprecation Status"]
    rows: list[list[Any]] = [list(head)]
    for path in sorted(mounts):
        m, config = mounts[path], mounts[path].get("config") or {}
        ttls = [_ttl(m["type"], config.get(name, 0)) for name in ("default_lease_ttl", "max_lease_ttl")]
        special = config.get("token_type", "") if kind is AUTH else bool(config.get("force_no_cache"))
        flags = ["local" if m.get("local") else "replicated", bool(m.get("seal_wrap")), bool(m.get("external_entropy_access"))]
        names = ("description", "uuid", "plugin_version", "running_plugin_version", "running_sha256", "deprecation_status")
        rest = [m.get("options") or {}, *(m.get(name) or "" for name in names)]
        rows.append([path, m["type"], m.get("accessor", ""), *ttls, special, *flags, *rest])
    return rows


def _ttl(kind: str, seconds: int) -> str:
    if kind in ("system", "cubbyhole"):
        return ""
    return str(seconds) if seconds else "system"


CONFIG_NAMES = (
    "allowed-response-headers",
    "audit-non-hmac-request-keys",
    "audit-non-hmac-response-keys",
    "listing-visibility",
    "passthrough-request-headers",
)
CONFIG = (
    Flag("allowed-response-headers", "A response header the backend may set; may be repeated.", "list"),
    Flag("audit-non-hmac-request-keys", "A request key that audit devices log in the clear; may be repeated.", "list"),
    Flag("audit-non-hmac-response-keys", "A response key that audit devices log in the clear; may be repeated.", "list"),
    Flag("default-lease-ttl", "Default TTL of leases; the server's own when absent.", "duration"),
    Flag("description", "What it is for, in words."),
    Flag("listing-visibility", "unauth or hidden: whether the UI lists the mount before login."),
    Flag("max-lease-ttl", "Longest TTL of leases; the server's own when absent.", "duration"),
    Flag("options", "A mount option, key=value; may be repeated.", "map"),
    Flag("passthrough-request-headers", "A request header the backend sees; may be repeated.", "list"),
    Flag("version", "Version of the engine.", "int"),
)
ENABLE = (
    *CONFIG,
    Flag("local", "Do not replicate it.", "bool"),
    Flag("path", "Where to mount it; the type's name when absent."),
    Flag("seal-wrap", "Wrap critical values with the seal.", "bool"),
)
NO_CACHE = Flag("force-no-cache", "Do not cache.", "bool")
TOKEN_TYPE = Flag("token-type", "Type of the tokens that the method issues.")
DETAILED = Flag("detailed", "Print the settings too.", "bool")
COMMANDS = (
    Command("secrets enable", enable, "Enable a secrets engine.", "TYPE", (*ENABLE, NO_CACHE), (1, 1), ()),
    Command("secrets disable", disable, "Disable a secrets engine and remove its data.", "PATH", (), (1, 1), ()),
    Command("secrets list", list_mounts, "List the secrets engines.", flags=(DETAILED,)),
    Command("secrets tune", tune, "Change the settings of a secrets engine.", "PATH", CONFIG, (1, 1), ()),
    Command("secrets move", move, "Move a secrets engine; its leases are revoked.", "SOURCE DESTINATION", (), (2, 2), ()),
    Command("auth enable", enable, "Enable an auth method.", "TYPE", (*ENABLE, TOKEN_TYPE), (1, 1), ()),
    Command("auth disable", disable, "Disable an auth method; its tokens are revoked.", "PATH", (), (1, 1), ()),
    Command("auth list", list_mounts, "List the auth methods.", flags=(DETAILED,)),
    Command("auth tune", tune, "Change the settings of an auth method.", "PATH", (*CONFIG, TOKEN_TYPE), (1, 1), ()),
    Command("auth move", move, "Move an auth method; its tokens are revoked.", "SOURCE DESTINATION", (), (2, 2), ()),
)
