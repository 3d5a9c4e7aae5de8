"""random_integer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.provider.random.common import KEEPERS, chooser, nothing
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import computed, optional, required
from haechi.provider.types import NUMBER


def _create(context: Any, d: Data) -> None:
    low, high = int(d["min"]), int(d["max"])
    if high < low:
        raise Problem("Create Random Integer Error", "The minimum (min) value needs to be smaller than or equal to maximum (max) value.")
    d["result"] = chooser(d["seed"]).randint(low, high)
    d.id = str(d["result"])


def _import(given: str) -> Mapping[str, Any]:
    """`<result>,<min>,<max>[,<seed>]`."""
    parts = given.split(",")
    if len(parts) not in (3, 4):
        raise Problem("Import Random Integer Error", "Invalid import usage: expecting {result},{min},{max} or {result},{min},{max},{seed}")
    result, low, high = (int(p) for p in parts[:3])
    return {"id": str(result), "result": result, "min": low, "max": high, "seed": parts[3] if len(parts) == 4 else None}


RESOURCE = Resource(
    fields={
        "keepers": KEEPERS,
        "min": required(NUMBER, force_new=True),
        "max": required(NUMBER, force_new=True),
        "seed": optional(force_new=True),
        "result": computed(NUMBER),
    },
    create=_create,
    read=nothing,
    delete=nothing,
    import_id=_import,
)
