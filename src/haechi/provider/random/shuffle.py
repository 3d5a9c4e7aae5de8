"""random_shuffle."""

from __future__ import annotations

from typing import Any

from haechi.provider.random.common import KEEPERS, chooser, nothing
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import computed, optional, required
from haechi.provider.types import NUMBER, STRINGS


def _create(context: Any, d: Data) -> None:
    given, choose = list(d["input"]), chooser(d["seed"])
    wanted = len(given) if d["result_count"] is None else int(d["result_count"])
    result: list[str] = []
    while given and len(result) < wanted:
        result += choose.sample(given, len(given))
    d["result"] = result[:wanted]
    d.id = "-"


RESOURCE = Resource(
    fields={
        "keepers": KEEPERS,
        "seed": optional(force_new=True),
        "input": required(STRINGS, force_new=True),
        "result_count": optional(NUMBER, force_new=True),
        "result": computed(STRINGS),
    },
    create=_create,
    read=nothing,
    delete=nothing,
    import_id=None,
)
