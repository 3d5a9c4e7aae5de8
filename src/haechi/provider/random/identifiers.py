"""random_id and random_uuid."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from haechi.provider.random.common import KEEPERS, nothing
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import computed, optional, required
from haechi.provider.types import NUMBER


def _create(context: Any, d: Data) -> None:
    _show(d.values, secrets.token_bytes(int(d["byte_length"])), d["prefix"] or "")
    d.id = d.values["id"]


def _show(values: dict[str, Any], raw: bytes, prefix: str) -> None:
    urlsafe = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    values.update(
        id=urlsafe,
        b64_url=prefix + urlsafe,
        b64_std=prefix + base64.b64encode(raw).decode(),
        hex=prefix + raw.hex(),
        dec=prefix + str(int.from_bytes(raw, "big")),
    )


def _import_id(given: str) -> Mapping[str, Any]:
    """`<prefix>,<id>` or `<id>`."""
    prefix, _, encoded = given.rpartition(",")
    try:
        raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError as error:
        raise Problem("Import Random ID Error", "The id has to be in url-safe base64.") from error
    values: dict[str, Any] = {"byte_length": len(raw), "prefix": prefix or None}
    _show(values, raw, prefix)
    return values


ID = Resource(
    fields={
        "keepers": KEEPERS,
        "byte_length": required(NUMBER, force_new=True),
        "prefix": optional(force_new=True),
        "b64_url": computed(),
        "b64_std": computed(),
        "hex": computed(),
        "dec": computed(),
    },
    create=_create,
    read=nothing,
    delete=nothing,
    import_id=_import_id,
)


def _create_uuid(context: Any, d: Data) -> None:
    d.id = d["result"] = str(uuid.uuid4())


def _import_uuid(given: str) -> Mapping[str, Any]:
    try:
        text = str(uuid.UUID(given))
    except ValueError as error:
        raise Problem("Import Random UUID Error", "The id has to be a UUID.") from error
    return {"id": text, "result": text}


UUID = Resource(
    fields={"keepers": KEEPERS, "result": computed()},
    create=_create_uuid,
    read=nothing,
    delete=nothing,
    import_id=_import_uuid,
)
