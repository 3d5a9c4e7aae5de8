"""The standard imports: one file each, one line in the table below."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.imports import collections, data, decimals, text, times, versions
from haechi.tfe.policy.sentinel.values import Namespace

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter


def _no_http(run: Interpreter) -> Namespace:
    raise PolicyError("the http import is not available: policies have no network here")


STANDARD: dict[str, Callable[[Interpreter], Namespace]] = {
    "base64": data.base64_import,
    "collection": collections.collection,
    "collection/lists": collections.lists,
    "collection/maps": collections.maps,
    "decimal": decimals.decimal,
    "http": _no_http,
    "json": data.json_import,
    "runtime": data.runtime,
    "sockaddr": data.sockaddr,
    "strings": text.strings,
    "time": times.time,
    "types": data.types,
    "units": data.units,
    "version": versions.version,
}
