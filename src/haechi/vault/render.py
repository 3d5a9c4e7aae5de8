"""Answers as JSON: the envelope that every endpoint shares. The only place that writes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from haechi.vault.core import Outcome


def encode(value: Any) -> bytes:
    """JSON with a line's end, as Vault sends it."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def envelope(outcome: Outcome) -> dict[str, Any]:
    """The whole answer as an object."""
    response = outcome.response
    assert response is not None
    if response.envelope is not None and outcome.wrap is None:
        return response.envelope
    if response.bare:
        return response.data or {}
    wrapped = outcome.wrap is not None
    whole: dict[str, Any] = {
        "request_id": outcome.request.id,
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        **({} if wrapped else outcome.lease),
        "data": None if wrapped else response.data,
        "wrap_info": outcome.wrap,
        "warnings": response.warnings or None,
        "auth": None if wrapped else outcome.auth,
    }
    if outcome.mount is not None:
        whole["mount_type"] = "" if wrapped else outcome.mount.type
    if response.top and response.data and not wrapped:
        whole = {**response.data, **whole}
    return whole


def status_of(outcome: Outcome) -> int:
    """HTTP status of an answer."""
    response = outcome.response
    if response is None:
        return 204
    if response.status:
        return response.status
    empty = response.data is None and outcome.auth is None and outcome.wrap is None and response.envelope is None
    return 204 if empty and response.raw is None and not response.warnings and not outcome.lease else 200
