"""What a state file says. Pure.

Format version 4; https://developer.hashicorp.com/terraform/internals/json-format tells of its printed twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

TYPES = {"string": "string", "number": "number", "bool": "boolean"}


@dataclass(frozen=True)
class State:
    """A state file that could be read."""

    serial: int
    lineage: str
    terraform_version: str
    outputs: dict[str, dict[str, Any]]  # name: {value, type, sensitive}
    resources: list[dict[str, Any]]


def parse_state(data: bytes) -> State:
    """A state of format version 4. Raises ValueError with one sentence."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ValueError("The state is not JSON.") from None
    if not isinstance(document, dict) or document.get("version") != 4:
        raise ValueError("The state's format version is not 4.")
    serial, lineage = document.get("serial"), document.get("lineage")
    outputs, resources = document.get("outputs") or {}, document.get("resources") or []
    whole = isinstance(serial, int) and not isinstance(serial, bool) and 0 <= serial < 1 << 63
    if not whole or not isinstance(lineage, str) or "\0" in lineage:
        raise ValueError("The state has no serial and lineage.")
    good = isinstance(outputs, dict) and all(isinstance(o, dict) and "value" in o for o in outputs.values())
    good = good and isinstance(resources, list) and all(_is_resource(r) for r in resources)
    if not good:
        raise ValueError("The state's outputs or resources are not as terraform writes them.")
    assert isinstance(serial, int)
    return State(serial, lineage, str(document.get("terraform_version") or ""), outputs, resources)


def _is_resource(value: Any) -> bool:
    named = isinstance(value, dict) and isinstance(value.get("type"), str) and isinstance(value.get("name"), str)
    return named and isinstance(value.get("instances") or [], list)


def with_serial(data: bytes, serial: int) -> bytes:
    """The same state with another serial, as terraform formats it."""
    document = orjson.loads(data)
    document["serial"] = serial
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def summarize(state: State) -> dict[str, Any]:
    """{resources, modules, providers} of a state version: what there is, counted."""
    resources: list[dict[str, Any]] = []
    modules: dict[str, dict[str, int]] = {}
    providers: dict[str, dict[str, int]] = {}
    for item in state.resources:
        count = len(item.get("instances") or [])
        module = str(item.get("module") or "root")
        kind = f"data.{item['type']}" if item.get("mode") == "data" else str(item["type"])
        provider = str(item.get("provider") or "")
        resources.append({"name": item["name"], "type": kind, "count": count, "module": module, "provider": provider})
        for table, key in ((modules, module), (providers, provider)):
            counts = table.setdefault(key, {})
            counts[kind] = counts.get(kind, 0) + count
    return {"resources": resources, "modules": modules, "providers": providers}


def output_type(type: Any) -> str:
    """The `type` attribute of an output with this cty type."""
    if isinstance(type, str):
        return TYPES.get(type, "string")
    kind = type[0] if isinstance(type, list) and type else ""
    return "array" if kind in ("list", "set", "tuple") else "object"
