"""sys/mounts, sys/auth, sys/remount: the mount table over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

from haechi.vault import VERSION
from haechi.vault.auth.lockout import parse_rules
from haechi.vault.durations import parse_duration
from haechi.vault.engines.kv2 import upgrade
from haechi.vault.errors import VaultError, invalid
from haechi.vault.logical import Request, Response, Route
from haechi.vault.mounts import Mount
from haechi.vault.store import PrefixView
from haechi.vault.system.base import CoreBackend, top

MOUNT = {
    "type": "text",
    "description": "text",
    "config": "map",
    "options": "pairs",
    "local": "bool",
    "seal_wrap": "bool",
    "external_entropy_access": "bool",
    "plugin_name": "text",
    "plugin_version": "text",
    "path": "text",
}
LISTS = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
    "allowed_managed_keys",
)
TUNE = {
    "default_lease_ttl": "text",
    "max_lease_ttl": "text",
    "description": "text",
    "force_no_cache": "bool",
    "listing_visibility": "text",
    "token_type": "text",
    "options": "pairs",
    "plugin_version": "text",
    "user_lockout_config": "map",
    "identity_token_key": "text",
    **{name: "list" for name in LISTS},
    "path": "text",
}
PROTECTED = ("sys/", "cubbyhole/", "identity/", "auth/", "auth/token/")
ALIASES = {"kv-v1": ("kv", "1"), "kv-v2": ("kv", "2")}
TOKEN_TYPES = ("default-service", "default-batch", "service", "batch")
REMEMBERED = 100  # remounts
UPGRADED = "Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and will resume service shortly."


def render_mount(mount: Mount) -> dict[str, Any]:
    """One entry as the list endpoints show it."""
    config = {"default_lease_ttl": mount.default_lease_ttl, "max_lease_ttl": mount.max_lease_ttl, "force_no_cache": False, **mount.config}
    if mount.auth:
        config.setdefault("token_type", "default-service")
    return {
        "type": mount.type,
        "description": mount.description,
        "accessor": mount.accessor,
        "local": mount.local,
        "seal_wrap": mount.seal_wrap,
        "external_entropy_access": mount.external_entropy_access,
        "options": mount.options,
        "uuid": mount.uuid,
        "plugin_version": "",
        "running_plugin_version": f"v{VERSION}+builtin.vault",
        "running_sha256": "",
        "deprecation_status": "supported",
        "config": config,
    }


class MountPaths(CoreBackend):
    """Handlers; `auth` methods and secrets engines differ in their prefix only."""

    ROUTES = (
        Route("mounts", {"read": "read_mounts"}),
        Route("mounts/{place...}/tune", {"read": "read_mount_tune", "update": "tune_mount"}, TUNE),
        Route("mounts/{place...}", {"read": "read_mount", "update": "enable_mount", "delete": "disable_mount"}, MOUNT),
        Route("auth", {"read": "read_methods"}),
        Route("auth/{place...}/tune", {"read": "read_method_tune", "update": "tune_method"}, TUNE, sudo=True),
        Route("auth/{place...}", {"read": "read_method", "update": "enable_method", "delete": "disable_method"}, MOUNT, sudo=True),
        Route("remount", {"update": "remount"}, {"from": "text", "to": "text"}, sudo=True),
        Route("remount/status/{migration}", {"read": "read_remount"}),
    )

    def read_mounts(self, request: Request) -> Response:
        return top({mount.path: render_mount(mount) for mount in self.core.mounts.all(auth=False)})

    def read_methods(self, request: Request) -> Response:
        return top({mount.path.removeprefix("auth/"): render_mount(mount) for mount in self.core.mounts.all(auth=True)})

    def read_mount(self, request: Request, place: str) -> Response:
        return Response(render_mount(self._find(place, "No secret engine mount at {}")))

    def read_method(self, request: Request, place: str) -> Response:
        return Response(render_mount(self._find(f"auth/{place}", "No auth engine at {}")))

    def _find(self, place: str, missing: str) -> Mount:
        path = place.strip("/") + "/"
        found = self.core.mounts.get(path)
        if found is None:
            raise invalid(missing.format(path.removeprefix("auth/")))
        return found

    # Enable and disable.

    def enable_mount(self, request: Request, place: str) -> None:
        if place.startswith("auth/") or place == "auth":
            raise invalid(f'cannot mount "{place.strip("/")}/"')
        self._enable(request, place.strip("/") + "/")

    def enable_method(self, request: Request, place: str) -> None:
        self._enable(request, f"auth/{place.strip('/')}/")

    def _enable(self, request: Request, path: str) -> None:
        values = request.values
        kind, auth = values.get("type", ""), path.startswith("auth/")
        options = dict(values.get("options") or {})
        if not auth and kind in ALIASES:
            kind, options["version"] = ALIASES[kind]
        _check_path(path)
        if not kind:
            raise invalid("backend type must be specified as a string")
        if path in PROTECTED:
            raise invalid(f'cannot mount "{path}"')
        if kind in ("system", "cubbyhole", "identity", "token"):
            raise invalid(f'mount type of "{kind}" is not mountable')
        if not self.core.has_kind(kind, auth):
            raise invalid(f"plugin not found in the catalog: {kind}")
        taken = self.core.mounts.conflict(path)
        if taken:
            raise invalid(f"path is already in use at {taken}")
        if kind == "kv" and options.get("version", "1") not in ("1", "2"):
            raise invalid(f'unsupported version "{options["version"]}" of kv')
        mount = Mount(path, kind, values.get("description", ""), local=values.get("local", False), seal_wrap=values.get("seal_wrap", False))
        mount.options = options or None
        _configure(self.core.settings.max_ttl, mount, values.get("config") or {})
        self.core.add_mount(request.transaction, mount)

    def disable_mount(self, request: Request, place: str) -> None:
        self._disable(request, place.strip("/") + "/")

    def disable_method(self, request: Request, place: str) -> None:
        self._disable(request, f"auth/{place.strip('/')}/")

    def _disable(self, request: Request, path: str) -> None:
        """Leases, tokens and data of the mount go with it. Nothing there: nothing to do."""
        if path in PROTECTED:
            raise invalid(f'cannot unmount "{path}"' if not path.startswith("auth/") else "token credential backend cannot be disabled")
        mount = self.core.mounts.get(path)
        if mount is None:
            return
        transaction = request.transaction
        self._end_leases(request, mount)
        transaction.delete_all(mount.prefix)
        self.core.mounts.remove(transaction, mount)
        self.core.forget_backend(mount)

    def _end_leases(self, request: Request, mount: Mount) -> None:
        core, transaction = self.core, request.transaction
        core.leases.revoke_prefix(transaction, mount.path)
        if mount.auth:
            for token in list(core.tokens.all(transaction)):
                if token.mount == mount.accessor:
                    core.leases.revoke_token(transaction, token.id)

    # Tune.

    def read_mount_tune(self, request: Request, place: str) -> Response:
        return self._read_tune(place)

    def read_method_tune(self, request: Request, place: str) -> Response:
        return self._read_tune(f"auth/{place}")

    def _read_tune(self, place: str) -> Response:
        mount = self._tunable(place)
        data: dict[str, Any] = {
            "default_lease_ttl": int(self.core.default_ttl(mount)),
            "max_lease_ttl": int(self.core.max_ttl(mount)),
            "description": mount.description,
            "force_no_cache": False,
            **mount.config,
        }
        if mount.auth:
            data.setdefault("token_type", "default-service")
        if mount.options:
            data["options"] = mount.options
        return top(data)

    def _tunable(self, place: str) -> Mount:
        path = place.strip("/") + "/"
        mount = self.core.mounts.get(path)
        if mount is None:
            raise invalid(f"cannot fetch sysview for path {path}")
        return mount

    def tune_mount(self, request: Request, place: str) -> Response | None:
        return self._tune(request, place)

    def tune_method(self, request: Request, place: str) -> Response | None:
        return self._tune(request, f"auth/{place}")

    def _tune(self, request: Request, place: str) -> Response | None:
        values = request.values
        mount = Mount(**self._tunable(place).stored())
        _configure(self.core.settings.max_ttl, mount, values)
        if "description" in values:
            mount.description = values["description"]
        warnings = self._change_options(request, mount, values["options"]) if "options" in values else []
        self.core.mounts.save(request.transaction, mount)
        self.core.forget_backend(mount)
        return Response(warnings=warnings) if warnings else None

    def _change_options(self, request: Request, mount: Mount, wanted: dict[str, str]) -> list[str]:
        """kv may go from version 1 to 2, which turns what it holds into first versions."""
        options, version = dict(mount.options or {}), wanted.get("version")
        warnings: list[str] = []
        if version is not None and mount.type == "kv":
            now = options.get("version", "1")
            if version not in ("1", "2"):
                raise invalid(f'unsupported version "{version}" of kv')
            if (now, version) == ("2", "1"):
                raise invalid("cannot downgrade mount from version 2")
            if now != version:
                upgrade(PrefixView(request.transaction, mount.prefix), self.core.now())
                warnings.append(UPGRADED)
        mount.options = {**options, **wanted}
        return warnings

    # Move.

    def remount(self, request: Request) -> Response:
        """Move a mount with its data; its leases end."""
        values, core = request.values, self.core
        source, target = (values.get(name, "").strip("/") + "/" for name in ("from", "to"))
        if source == "/" or target == "/":
            raise invalid("both 'from' and 'to' path must be specified as a string")
        _check_path(target)
        if source in PROTECTED:
            raise invalid(f'cannot remount "{source}"')
        if target in PROTECTED:
            raise invalid(f'cannot remount to destination "{target}"')
        mount = core.mounts.get(source)
        if mount is None:
            raise invalid(f'no matching mount at "{source}"')
        if mount.auth != target.startswith("auth/"):
            raise invalid("cannot remount between secrets engines and auth methods")
        taken = core.mounts.conflict(target)
        if taken:
            raise invalid(f'existing mount at "{taken}"')
        self._end_leases(request, mount)
        moved = Mount(**{**mount.stored(), "path": target})
        core.mounts.save(request.transaction, moved)
        core.forget_backend(mount)
        migration = str(uuid.uuid4())
        entry = {"source_mount": source, "target_mount": target, "status": "success"}
        request.view.put(f"remount/{migration}", {**entry, "at": core.now()})
        self._forget_old(request)
        return top({"migration_id": migration})

    def _forget_old(self, request: Request) -> None:
        known = {name: (request.view.get(f"remount/{name}") or {}).get("at", 0) for name in request.view.list("remount/")}
        for name in sorted(known, key=lambda name: known[name])[:-REMEMBERED]:
            request.view.delete(f"remount/{name}")

    def read_remount(self, request: Request, migration: str) -> Response:
        entry = request.view.get(f"remount/{migration}")
        if entry is None:
            raise invalid("migration not found")
        info = {name: entry[name] for name in ("source_mount", "target_mount", "status")}
        return top({"migration_id": migration, "migration_info": info})


def _check_path(path: str) -> None:
    bare = path.removeprefix("auth/").rstrip("/")
    if not bare:
        raise invalid("path must be specified")
    if any(not segment or segment in (".", "..") for segment in bare.split("/")) or any(ord(c) < 0x21 or c in "\x7f*+" for c in bare):
        raise invalid("path cannot contain whitespace, control characters, wildcards or empty segments")


def _configure(system_max: float, mount: Mount, values: dict[str, Any]) -> None:
    """Tuned values into the mount. Raises VaultError 400."""
    for name in ("default_lease_ttl", "max_lease_ttl"):
        if name in values and values[name] is not None:
            try:
                seconds = 0 if values[name] in ("", "system") else int(parse_duration(values[name]))
            except ValueError:
                raise invalid(f"unable to parse {name} of {str(values[name])[:40]!r}") from None
            if seconds < 0:
                raise invalid(f"{name} cannot be negative")
            setattr(mount, name, seconds)
    limit = mount.max_lease_ttl or system_max
    if mount.default_lease_ttl > limit:
        what = "greater than backend max lease TTL" if mount.max_lease_ttl else "greater than system max lease TTL"
        raise invalid(f"given default lease TTL {what} of {int(limit)}")
    visibility = values.get("listing_visibility")
    if visibility is not None:
        if visibility not in ("", "hidden", "unauth"):
            raise invalid(f"invalid listing_visibility {str(visibility)[:40]!r}")
        mount.config.pop("listing_visibility", None)
        if visibility:
            mount.config["listing_visibility"] = visibility
    for name in LISTS:
        if values.get(name) is not None:
            items = values[name].split(",") if isinstance(values[name], str) else values[name]
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                raise invalid(f"{name} must be a list of texts")
            mount.config[name] = [item.strip() for item in items if item.strip()]
    if isinstance(values.get("user_lockout_config"), dict):
        parse_rules(values["user_lockout_config"])  # refuses what could not be followed
        mount.config["user_lockout_config"] = values["user_lockout_config"]
    kind = values.get("token_type")
    if kind and mount.auth:
        if kind not in TOKEN_TYPES or mount.type == "token":
            raise VaultError(400, f'invalid value for "token_type": {str(kind)[:40]!r}')
        mount.config["token_type"] = kind
