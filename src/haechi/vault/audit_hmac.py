"""What an audit line says: the entry of a request or response, with every text in it replaced by its HMAC. Pure.

Only values are hashed; keys of maps, numbers and booleans stay. Field names are Vault's; empty fields are left out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Any

from haechi.vault import VERSION
from haechi.vault.clock import render_time
from haechi.vault.logical import LIST, Request

DEFAULT_HEADERS: Mapping[str, bool] = {"correlation-id": False, "x-correlation-id": False}  # lower-case name: whether it is hashed
DEEPEST = 100  # levels of nested data
TOO_DEEP = f"(left out: nested deeper than {DEEPEST} levels)"
RUNNING = f"v{VERSION}+builtin.vault"
_AUTH = (
    "display_name",
    "policies",
    "token_policies",
    "no_default_policy",
    "policy_results",
    "metadata",
    "token_type",
    "token_ttl",
    "token_issue_time",
    "entity_id",
    "num_uses",
    "remaining_uses",
)


def hash_text(salt: bytes, text: str) -> str:
    """What stands for a text in the log, and what sys/audit-hash answers."""
    return "hmac-sha256:" + hmac.digest(salt, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def hash_values(value: Any, salt: bytes | None, clear: Collection[str] = (), depth: int = 0, key: str = "") -> Any:
    """A copy of JSON data with all texts hashed, except those below a key in `clear`. Without a salt nothing is hashed."""
    if isinstance(value, str):
        return value if salt is None or key in clear else hash_text(salt, value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= DEEPEST:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return {str(name): hash_values(inner, salt, clear, depth + 1, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hash_values(inner, salt, clear, depth + 1, key) for inner in value]
    raise TypeError(f"{type(value).__name__} is no JSON data")


def client_id(policies: Collection[str], namespace: str = "root") -> str:
    """The identifier of a client whose token belongs to no entity: made of its policies, as Vault counts clients."""
    text = "\x7f".join(sorted(policies)) + "\x00" + namespace
    return base64.b64encode(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()).decode()


def render_entry(
    kind: str,
    request: Request,
    *,
    auth: Mapping[str, Any] | None,
    response: Mapping[str, Any] | None = None,
    error: str = "",
    salt: bytes,
    now: float,
    raw: bool = False,
    non_hmac_request_keys: Collection[str] = (),
    non_hmac_response_keys: Collection[str] = (),
    hmac_accessor: bool = True,
    elide: bool = False,
    headers: Mapping[str, bool] = DEFAULT_HEADERS,
) -> dict[str, Any]:
    """The entry of a "request" or "response", ready for JSON. `now`: epoch seconds.

    `auth` (who asks) and `response["auth"]` (a token that is handed out) have the names of the log, in the clear: client_token, accessor,
    display_name, policies, token_policies, policy_results, metadata, num_uses, remaining_uses, entity_id, token_type, token_ttl,
    token_issue_time. `response` further has data, secret {"lease_id"}, wrap_info, warnings. `headers` are those to show: lower-case
    name -> whether hashed (also with `raw`). Never changes what it is given.
    """
    key = None if raw else salt
    entry: dict[str, Any] = {"time": render_time(now), "type": kind, "auth": _auth(auth or {}, key, hmac_accessor)}
    shown = {name: [_text(request.headers[name], salt, hashed)] for name, hashed in sorted(headers.items()) if name in request.headers}
    entry["request"] = _request(request, auth or {}, key, hmac_accessor, non_hmac_request_keys, shown)
    if kind == "response":
        hide_list = elide and request.operation == LIST
        entry["response"] = _response(request, response or {}, key, hmac_accessor, non_hmac_response_keys, hide_list)
    return _full(entry | {"error": error})


def _full(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in fields.items() if value not in (None, "", 0, False, [], {}, ())}


def _text(text: str, key: bytes | None, hashed: bool = True) -> str:
    return hash_text(key, text) if text and hashed and key is not None else text


def _auth(auth: Mapping[str, Any], key: bytes | None, hmac_accessor: bool) -> dict[str, Any]:
    token, accessor = auth.get("client_token") or "", auth.get("accessor") or ""
    shown = {name: auth.get(name) for name in _AUTH}
    shown["token_type"] = shown["token_type"] or "default"
    return _full({"client_token": _text(token, key), "accessor": _text(accessor, key, hmac_accessor), **shown})


def _mount(request: Request, version_name: str) -> dict[str, Any]:
    mount = request.mount
    if mount is None:
        return {}
    found = {"mount_point": mount.path, "mount_type": mount.type, "mount_accessor": mount.accessor}
    return {**found, version_name: RUNNING, "mount_class": "auth" if mount.auth else "secret"}


def _request(
    request: Request,
    auth: Mapping[str, Any],
    key: bytes | None,
    hmac_accessor: bool,
    clear: Collection[str],
    headers: Mapping[str, list[str]],
) -> dict[str, Any]:
    known = auth.get("policies") if request.client_token and auth.get("client_token") else None
    return _full(
        {
            "id": request.id,
            "client_id": client_id(known) if known else "",
            "operation": request.operation,
            **_mount(request, "mount_running_version"),
            "client_token": _text(request.client_token, key),
            "client_token_accessor": _text(auth.get("accessor") or "", key, hmac_accessor) if known else "",
            "namespace": {"id": "root"},
            "path": request.full_path or request.path,
            "data": hash_values(request.data, key, clear),
            "headers": headers,
            "remote_address": request.remote_address,
            "remote_port": request.remote_port,
            "wrap_ttl": int(request.wrap_ttl),
        }
    )


def _response(
    request: Request, response: Mapping[str, Any], key: bytes | None, hmac_accessor: bool, clear: Collection[str], hide_list: bool
) -> dict[str, Any]:
    auth, wrap, data = response.get("auth"), response.get("wrap_info"), response.get("data")
    if hide_list and isinstance(data, Mapping):
        hidden = {"keys": list, "key_info": dict}
        data = {name: len(value) if name in hidden and isinstance(value, hidden[name]) else value for name, value in data.items()}
    return _full(
        {
            "auth": None if auth is None else _auth(auth, key, hmac_accessor),
            **_mount(request, "mount_running_plugin_version"),
            "secret": _full(response.get("secret") or {}),
            "data": None if data is None else hash_values(data, key, clear),
            "warnings": response.get("warnings"),
            "wrap_info": None if wrap is None else _wrap_info(wrap, key, hmac_accessor),
        }
    )


def _wrap_info(wrap: Mapping[str, Any], key: bytes | None, hmac_accessor: bool) -> dict[str, Any]:
    return _full(
        {
            "ttl": wrap.get("ttl"),
            "token": _text(wrap.get("token", ""), key),
            "accessor": _text(wrap.get("accessor", ""), key, hmac_accessor),
            "creation_time": wrap.get("creation_time"),
            "creation_path": wrap.get("creation_path"),
            "wrapped_accessor": _text(wrap.get("wrapped_accessor", ""), key, hmac_accessor),
        }
    )
