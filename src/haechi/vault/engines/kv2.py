"""KV version 2: secrets with versions.

Storage: config; meta/<path> a key's metadata (kv2_versions.Key); version/<path>/<number> the data of one version, as it was sent. So a
read costs two entries, and a write leaves older versions alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

from haechi.vault.durations import render_duration
from haechi.vault.engines import kv1
from haechi.vault.engines.kv2_versions import (
    DISABLED,
    Config,
    Key,
    add_version,
    check_cas,
    deletion,
    is_deleted,
    merge_patch,
    parse_custom_metadata,
    render_key,
    render_version,
    without_values,
)
from haechi.vault.errors import VaultError, invalid, not_found, unsupported_operation
from haechi.vault.logical import CREATE, DELETE, LIST, PATCH, READ, UPDATE, Backend, Request, Response, Route, View, listing

CONFIG, META, VERSION = "config", "meta/", "version/"
SETTINGS = {"max_versions": "int", "cas_required": "bool", "delete_version_after": "seconds"}
NUMBERS = {"versions": "list"}
ROOTS = ("metadata", "data", "delete", "undelete", "destroy")
COMMANDS = {CREATE: "put", UPDATE: "put", PATCH: "patch", READ: "get", LIST: "list", DELETE: "delete"}
NOT_OF_THE_ROOT = "Non-listing operations on the root of a K/V v2 mount are not supported."
NOT_ENFORCED = '"cas_required" set to false, but is mandated by backend config. This value will be ignored.'
WRONG_PATH = dict.fromkeys((READ, UPDATE, PATCH, DELETE), "wrong_path")


class KV2(Backend):
    """Secrets engine "kv" with option version 2."""

    TYPE: ClassVar[str] = "kv"
    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route(
            "data/{path...}",
            {READ: "read_data", UPDATE: "write_data", PATCH: "patch_data", DELETE: "delete_data"},
            {"version": "int", "options": "map", "data": "map"},
            exists="exists",
        ),
        Route(
            "metadata/{path...}",
            {READ: "read_metadata", UPDATE: "write_metadata", PATCH: "patch_metadata", DELETE: "delete_metadata", LIST: "list_keys"},
            {**SETTINGS, "custom_metadata": "map"},
            exists="exists",
        ),
        Route("metadata", {**WRONG_PATH, LIST: "list_keys"}, any_field=True),
        Route("subkeys/{path...}", {READ: "read_subkeys"}, {"version": "int", "depth": "int"}),
        Route("delete/{path...}", {UPDATE: "delete_versions"}, NUMBERS),
        Route("undelete/{path...}", {UPDATE: "undelete_versions"}, NUMBERS),
        Route("destroy/{path...}", {UPDATE: "destroy_versions"}, NUMBERS),
        Route("config", {READ: "read_config", UPDATE: "write_config"}, {**SETTINGS, "delete_version_after": "signed seconds"}),
        Route("{path...}", {**WRONG_PATH, LIST: "wrong_path"}, any_field=True),
    )

    def exists(self, request: Request, path: str) -> bool:
        return request.view.get(META + path) is not None

    # settings of the mount

    def read_config(self, request: Request) -> Response:
        config = _config(request.view)
        return Response({**vars(config), "delete_version_after": render_duration(config.delete_version_after)})

    def write_config(self, request: Request) -> None:
        """Each setting that was sent. A negative delete_version_after switches it off for all keys."""
        sent = request.values
        if not sent:
            return
        config = _config(request.view)
        if "delete_version_after" in sent:
            config.delete_version_after = max(sent["delete_version_after"], DISABLED)
        config.max_versions = _max_versions(sent, config.max_versions)
        config.cas_required = sent.get("cas_required", config.cas_required)
        request.view.put(CONFIG, vars(config))

    # data

    def read_data(self, request: Request, path: str) -> Response:
        """Data and metadata of the newest version, or of the one asked for. Of one that is gone a 404 tells the metadata."""
        return self._read(request, path, "data")

    def read_subkeys(self, request: Request, path: str) -> Response:
        """As `read_data`, with null for every value."""
        response = self._read(request, path, "subkeys")
        assert response.data is not None
        response.data["subkeys"] = without_values(response.data["subkeys"], request.values.get("depth", 0))
        return response

    def _read(self, request: Request, path: str, name: str) -> Response:
        key = _key(request.view, path)
        number = max(request.values.get("version", 0), 0) or (key.current if key else 0)
        version = key.versions.get(str(number)) if key else None
        if key is None or version is None:
            raise not_found()
        metadata = render_version(key, number)
        if version["destroyed"] or is_deleted(version, self.services.now()):
            raise not_found({name: None, "metadata": metadata})
        return Response({name: _version_data(request.view, path, number), "metadata": metadata})

    def write_data(self, request: Request, path: str) -> Response:
        """A new version. Answers with its metadata."""
        if not path:
            raise invalid("missing path")
        data = _sent_data(request)
        key, config = _key(request.view, path) or Key(), _config(request.view)
        check_cas(request.values.get("options", {}), key, config)
        return self._add(request.view, path, key, config, data)

    def patch_data(self, request: Request, path: str) -> Response:
        """A new version: the newest one with a merge patch applied. 404 if that is not there."""
        patch = _sent_data(request)
        key, config = _key(request.view, path), _config(request.view)
        if key is None:
            raise not_found()
        check_cas(request.values.get("options", {}), key, config)
        version = key.versions.get(str(key.current))
        if version is None:
            raise not_found()
        if version["destroyed"] or is_deleted(version, self.services.now()):
            raise not_found(render_version(key, key.current))
        return self._add(request.view, path, key, config, merge_patch(_version_data(request.view, path, key.current), patch))

    def _add(self, view: View, path: str, key: Key, config: Config, data: dict[str, Any]) -> Response:
        for number in add_version(key, config, self.services.now()):
            view.delete(_version_path(path, number))
        view.put(_version_path(path, key.current), data)
        view.put(META + path, vars(key))
        return Response(render_version(key, key.current))

    def delete_data(self, request: Request, path: str) -> None:
        """Mark the newest version as deleted. Nothing there is no error."""
        key = _key(request.view, path)
        if key is not None:
            self._mark_deleted(request.view, path, key, [key.current])

    # versions

    def delete_versions(self, request: Request, path: str) -> None:
        """Mark versions as deleted; unknown ones are passed over."""
        numbers = _numbers(request, "No version number provided")
        key = _key(request.view, path)
        if key is not None:
            self._mark_deleted(request.view, path, key, numbers)

    def _mark_deleted(self, view: View, path: str, key: Key, numbers: list[int]) -> None:
        now = self.services.now()
        for version in key.known(numbers).values():
            if not version["destroyed"] and not is_deleted(version, now):
                version["deleted"] = now
        view.put(META + path, vars(key))

    def undelete_versions(self, request: Request, path: str) -> None:
        """Take the mark back, where the data still is. A delete_version_after begins anew."""
        numbers = _numbers(request, "No version number provided")
        key = _key(request.view, path)
        if key is None:
            return
        end = deletion(key, _config(request.view), self.services.now())
        for version in key.known(numbers).values():
            if not version["destroyed"]:
                version["deleted"] = end
        request.view.put(META + path, vars(key))

    def destroy_versions(self, request: Request, path: str) -> None:
        """Remove the data of versions for good; their metadata stays."""
        numbers = _numbers(request, "no version number provided")
        key = _key(request.view, path)
        if key is None:
            return
        for number, version in key.known(numbers).items():
            version["destroyed"] = True
            request.view.delete(_version_path(path, number))
        request.view.put(META + path, vars(key))

    # metadata

    def read_metadata(self, request: Request, path: str) -> Response:
        key = _key(request.view, path)
        if key is None:
            raise not_found()
        return Response(render_key(key))

    def write_metadata(self, request: Request, path: str) -> Response | None:
        """Set what was sent, making the key if need be; custom_metadata is replaced as a whole."""
        if not path:
            raise invalid("missing path")
        sent = request.values
        if not sent:
            return None
        now = self.services.now()
        key = _key(request.view, path) or Key(created=now, updated=now)
        if "custom_metadata" in sent:
            key.custom_metadata = parse_custom_metadata(sent["custom_metadata"])
        return self._set(request, path, key, sent)

    def patch_metadata(self, request: Request, path: str) -> Response | None:
        """Set what was sent on an existing key; null takes a setting back, or one key of custom_metadata."""
        key = _key(request.view, path)
        if key is None:
            raise not_found()
        sent = dict(request.values)
        unset = [name for name in request.fields if name in request.data and request.data[name] is None]
        sent.update({name: getattr(Key(), name) for name in unset})
        if sent.get("custom_metadata") is not None:
            key.custom_metadata = parse_custom_metadata(sent["custom_metadata"], key.custom_metadata or {})
        elif "custom_metadata" in unset:
            key.custom_metadata = None
        return self._set(request, path, key, sent)

    def _set(self, request: Request, path: str, key: Key, sent: dict[str, Any]) -> Response | None:
        key.max_versions = _max_versions(sent, key.max_versions)
        key.cas_required = sent.get("cas_required", key.cas_required)
        key.delete_version_after = sent.get("delete_version_after", key.delete_version_after)
        request.view.put(META + path, vars(key))
        ignored = sent.get("cas_required") is False and _config(request.view).cas_required
        return Response(warnings=[NOT_ENFORCED]) if ignored else None

    def delete_metadata(self, request: Request, path: str) -> None:
        """Remove a key with all its versions for good."""
        key = _key(request.view, path)
        if key is None:
            return
        for number in key.versions:
            request.view.delete(_version_path(path, number))
        request.view.delete(META + path)

    def list_keys(self, request: Request, path: str = "") -> Response:
        return listing(request.view.list(f"{META}{path}/" if path else META))

    def wrong_path(self, request: Request, path: str = "") -> Response:
        """404 with advice, for a path without one of the prefixes: the usual mistake of one who knew version 1."""
        root = request.path.rstrip("/") in ROOTS
        if root and request.operation == LIST:
            raise unsupported_operation()
        advice = (
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
            f"If using the Vault CLI, use 'vault kv {COMMANDS[request.operation]}' for this operation."
        )
        raise not_found(warnings=[NOT_OF_THE_ROOT if root else advice])


def upgrade(view: View, now: float) -> None:
    """Make version 1 of every entry that KV version 1 left in this view. `now` is their created_time, in epoch seconds."""
    folders = [""]
    while folders:
        folder = folders.pop()
        for name in view.list(kv1.DATA + folder):
            path = folder + name
            if name.endswith("/"):
                folders.append(path)
                continue
            data = view.get(kv1.DATA + path)
            assert data is not None
            key = Key()
            add_version(key, Config(), now)
            view.put(_version_path(path, key.current), data)
            view.put(META + path, vars(key))
            view.delete(kv1.DATA + path)


def _config(view: View) -> Config:
    return Config(**(view.get(CONFIG) or {}))


def _key(view: View, path: str) -> Key | None:
    stored = view.get(META + path)
    return None if stored is None else Key(**stored)


def _version_path(path: str, number: int | str) -> str:
    return f"{VERSION}{path}/{number}"


def _version_data(view: View, path: str, number: int) -> dict[str, Any]:
    data = view.get(_version_path(path, number))
    if data is None:
        raise VaultError(500, "could not find version data")
    return data


def _sent_data(request: Request) -> dict[str, Any]:
    if "data" not in request.values:
        raise invalid("no data provided")
    data: dict[str, Any] = request.values["data"]
    return data


def _numbers(request: Request, missing: str) -> list[int]:
    texts = request.values.get("versions")
    if not texts:
        raise invalid(missing)
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise invalid('Field validation failed: error converting input for field "versions": expected a list of numbers') from None


def _max_versions(sent: dict[str, Any], old: int) -> int:
    number: int = sent.get("max_versions", old)
    if not 0 <= number < 1 << 32:
        raise invalid("max_versions must not be negative, nor need more than 32 bits")
    return number
