"""Audit devices: who asked what and what came of it, written down before anything is answered.

Every device gets a line for each request and each response. If there are devices and none could write, the request fails.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from haechi.vault.audit_hmac import DEFAULT_HEADERS, hash_text, render_entry
from haechi.vault.audit_sinks import FileSink, Sink, describe_failure, make_sink, refused
from haechi.vault.clock import render_time
from haechi.vault.errors import VaultError, invalid, listed
from haechi.vault.logical import UPDATE, Request

if TYPE_CHECKING:
    from haechi.vault.core import Outcome
    from haechi.vault.store import Transaction
    from haechi.vault.tokens import Token

log = logging.getLogger("haechi.vault.audit")
DEVICES, HEADERS = "core/audit/device/", "core/audit/headers"
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


class AuditFailed(VaultError):
    """There are audit devices and none of them could write: 500, and nothing of the request may be answered."""

    def __init__(self) -> None:
        super().__init__(500, listed("internal error"))


@dataclass
class Device:
    """One entry of the table of audit devices. `path` ends with "/"."""

    path: str
    type: str
    description: str = ""
    options: dict[str, str] = field(default_factory=dict)
    local: bool = False
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    salt: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)

    def listed(self) -> dict[str, Any]:
        """As sys/audit shows it."""
        return {"path": self.path, "type": self.type, "description": self.description, "options": self.options, "local": self.local}


class OpenDevice:
    """A device with its options read and its sink."""

    def __init__(self, device: Device) -> None:
        options = device.options
        self.device = device
        self.salt = device.salt.encode()
        self.raw = _flag(options, "log_raw", False)
        self.hmac_accessor = _flag(options, "hmac_accessor", True)
        self.elide = _flag(options, "elide_list_responses", False)
        self.prefix = options.get("prefix", "").encode("utf-8", "replace")
        format = options.get("format", "json")
        if format == "jsonx":
            raise invalid('format type "jsonx" is not offered: use "json"')
        if format != "json":
            raise invalid(f'unknown format type "{format}"')
        self.sink: Sink = make_sink(device.type, options)
        self.failing = False

    def write(self, entry: Mapping[str, Any]) -> None:
        """One line. Raises OSError."""
        self.sink.write(self.prefix + json.dumps(entry, separators=(",", ":")).encode() + b"\n")


def _flag(options: Mapping[str, str], name: str, default: bool) -> bool:
    if name not in options:
        return default
    if options[name] not in _TRUE + _FALSE:
        raise invalid(f'unable to parse option "{name}": strconv.ParseBool: parsing "{options[name]}": invalid syntax')
    return options[name] in _TRUE


def open_device(device: Device, now: float) -> OpenDevice:
    """Open a device that is being enabled and write its test line. Raises VaultError 400 where it cannot be written."""
    opened = OpenDevice(device)
    if isinstance(opened.sink, FileSink):
        try:
            opened.sink.open()
        except (OSError, ValueError) as failure:
            raise refused(device.options.get("file_path", device.options.get("path", "")), failure) from None
    test = Request(str(uuid.uuid4()), UPDATE, "sys/audit/test")
    try:
        opened.write(render_entry("request", test, auth=None, salt=opened.salt, now=now))
    except OSError as failure:
        opened.sink.close()
        raise invalid(f"audit backend failed test message: {describe_failure(failure)}") from None
    return opened


class AuditBroker:
    """All enabled devices. Its table lies in the sealed store."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.devices: dict[str, OpenDevice] = {}  # by path
        self.headers: dict[str, bool] = dict(DEFAULT_HEADERS)  # what is shown of requests: lower-case name -> whether hashed

    # The table.

    def load(self, transaction: Transaction) -> None:
        """Take over the stored table (after an unseal). A device that cannot be opened stays, and fails at each line until it can."""
        before, self.devices = self.devices, {}
        for name in transaction.list(DEVICES):
            entry = transaction.get(DEVICES + name)
            if entry is None:
                continue
            device = Device(**entry)
            kept = before.pop(device.path, None)
            same = kept is not None and kept.device == device
            self.devices[device.path] = kept if kept is not None and same else OpenDevice(device)
            if kept is not None and not same:
                kept.sink.close()
        for left in before.values():
            left.sink.close()
        self.headers = {**DEFAULT_HEADERS, **(transaction.get(HEADERS) or {})}

    def close(self) -> None:
        """Close all and forget them and their salts (sealing)."""
        for opened in self.devices.values():
            opened.sink.close()
        self.devices.clear()

    def enable(self, transaction: Transaction, device: Device) -> None:
        """Open a device, write its test line, add it to the table. Raises VaultError 400."""
        if device.path.strip("/") == "":
            raise invalid("backend path must be specified")
        device.path = device.path.strip("/") + "/"
        if any(other.startswith(device.path) or device.path.startswith(other) for other in self.devices):
            raise invalid("path already in use")
        opened = open_device(device, self._now())
        transaction.put(DEVICES + device.uuid, asdict(device))
        self.devices[device.path] = opened
        log.info("audit device %s of type %s enabled", device.path, device.type)

    def disable(self, transaction: Transaction, path: str) -> bool:
        """Whether there was such a device."""
        opened = self.devices.pop(path.strip("/") + "/", None)
        if opened is None:
            return False
        transaction.delete(DEVICES + opened.device.uuid)
        opened.sink.close()
        log.info("audit device %s disabled", opened.device.path)
        return True

    def set_header(self, transaction: Transaction, name: str, hashed: bool) -> None:
        """Show this header of requests from now on, in the clear or hashed."""
        self._store_headers(transaction, {**self.headers, name.lower(): hashed})

    def remove_header(self, transaction: Transaction, name: str) -> None:
        self._store_headers(transaction, {shown: hashed for shown, hashed in self.headers.items() if shown != name.lower()})

    def _store_headers(self, transaction: Transaction, headers: dict[str, bool]) -> None:
        transaction.put(HEADERS, headers)
        self.headers = headers

    def listed(self) -> dict[str, Any]:
        """As sys/audit shows them."""
        return {path: opened.device.listed() for path, opened in sorted(self.devices.items())}

    def hash(self, path: str, text: str) -> str:
        """What stands for `text` in the log of a device. Raises VaultError 400."""
        name = path.strip("/") + "/"
        if name not in self.devices:
            raise invalid(f'unknown audit backend "{name}"')
        return hash_text(self.devices[name].salt, text)

    def reopen(self) -> None:
        """On SIGHUP: close and open all, so that a rotated file is let go."""
        for path, opened in self.devices.items():
            try:
                opened.sink.reopen()
            except OSError as failure:
                log.error("audit device %s cannot be reopened: %s", path, describe_failure(failure))

    # Lines.

    def log(self, kind: str, outcome: Outcome, error: str = "") -> None:
        """The "request" or "response" line of what the core did. Raises AuditFailed."""
        request, auth = outcome.request, None
        if request.token is not None:
            auth = describe_token(request.token, request.client_token, request.granting, error)
        elif kind == "response" and outcome.auth is not None:
            auth = describe_auth(outcome.auth)  # a login: from here on it is its token that speaks
        elif not error:
            auth = {"policy_results": {"allowed": True}}
        if kind == "request":
            self.log_request(request, auth, error)
        else:
            self.log_response(request, auth, describe_response(outcome), error)

    def log_request(self, request: Request, auth: Mapping[str, Any] | None, error: str = "") -> None:
        """One line to every device; arguments as of render_entry. Raises AuditFailed."""
        self._write("request", request, auth, None, error)

    def log_response(self, request: Request, auth: Mapping[str, Any] | None, response: Mapping[str, Any] | None, error: str = "") -> None:
        """One line to every device; arguments as of render_entry. Raises AuditFailed."""
        self._write("response", request, auth, response, error)

    def _write(self, kind: str, request: Request, auth: Mapping[str, Any] | None, response: Mapping[str, Any] | None, error: str) -> None:
        tuned = request.mount.config if request.mount is not None else {}
        written = 0
        for path, opened in self.devices.items():
            entry = render_entry(
                kind,
                request,
                auth=auth,
                response=response,
                error=error,
                salt=opened.salt,
                now=self._now(),
                raw=opened.raw,
                non_hmac_request_keys=tuned.get("audit_non_hmac_request_keys") or (),
                non_hmac_response_keys=tuned.get("audit_non_hmac_response_keys") or (),
                hmac_accessor=opened.hmac_accessor,
                elide=opened.elide,
                headers=self.headers,
            )
            try:
                opened.write(entry)
            except OSError as failure:
                if not opened.failing:  # once, not for each request
                    log.error("audit device %s cannot be written: %s", path, describe_failure(failure))
                opened.failing = True
                continue
            if opened.failing:
                log.warning("audit device %s can be written again", path)
            opened.failing = False
            written += 1
        if self.devices and not written:
            raise AuditFailed


def describe_token(token: Token, text: str, granting: tuple[str, ...], error: str) -> dict[str, Any]:
    """The `auth` of a line for a request that came with a token. Values in the clear."""
    results: dict[str, Any] = {"allowed": bool(granting) or "permission denied" not in error}
    if granting:
        results["granting_policies"] = [{"name": name, "namespace_id": "root", "type": "acl"} for name in granting]
    return {
        "client_token": text,
        "accessor": token.accessor,
        "display_name": token.display_name,
        "policies": token.policies,
        "token_policies": token.policies,
        "policy_results": results,
        "metadata": token.meta,
        "remaining_uses": token.num_uses,
        "token_type": token.type,
        "token_ttl": int(token.ttl),
        "token_issue_time": render_time(int(token.created)),
    }


def describe_auth(auth: Mapping[str, Any]) -> dict[str, Any]:
    """The `auth` of a line for a token that is being handed out, from the one of the answer."""
    return {**auth, "token_ttl": auth.get("lease_duration")}


def describe_response(outcome: Outcome) -> dict[str, Any]:
    """The `response` of a line, in the clear."""
    response = outcome.response
    if response is None:
        return {}
    data = response.data if response.envelope is None else response.envelope
    if response.raw is not None:
        data = {"http_content_type": response.content_type, "http_raw_body": response.raw.decode("utf-8", "replace")}
    return {
        "auth": None if outcome.auth is None else describe_auth(outcome.auth),
        "secret": {"lease_id": outcome.lease.get("lease_id", "")},
        "data": data,
        "warnings": response.warnings,
        "wrap_info": outcome.wrap,
    }
