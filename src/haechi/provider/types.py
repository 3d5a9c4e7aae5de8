"""Terraform's value types in Python: their JSON names, msgpack bytes, conversion and comparison.

Values are plain Python: str, int/float, bool, list (lists and sets), dict (maps and objects), None for null and
UNKNOWN for "known after apply". https://developer.hashicorp.com/terraform/plugin/terraform-plugin-protocol
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]


class _Unknown:
    """The one value that is not known before apply."""

    def __repr__(self) -> str:
        return "(known after apply)"

    def __bool__(self) -> bool:
        return False

    def __deepcopy__(self, memo: object) -> _Unknown:
        return self


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Type:
    """One cty type: a primitive, a collection `of` something or an object with `fields`."""

    kind: str
    of: Type | None = None
    fields: Mapping[str, Type] = field(default_factory=dict)

    def cty(self) -> Any:
        """The type as the JSON structure of the plugin protocol, such as ["list", "string"]."""
        if self.kind == "object":
            return ["object", {name: t.cty() for name, t in self.fields.items()}]
        return [self.kind, self.of.cty()] if self.of else self.kind

    def cty_json(self) -> bytes:
        """The same as bytes, ready for Schema.Attribute.type."""
        return json.dumps(self.cty()).encode()

    @property
    def element(self) -> Type:
        """The type of a collection's elements."""
        assert self.of is not None
        return self.of


STRING: Final = Type("string")
NUMBER: Final = Type("number")
BOOL: Final = Type("bool")


def list_of(t: Type) -> Type:
    """A list type."""
    return Type("list", t)


def set_of(t: Type) -> Type:
    """A set type; values are lists whose order does not count."""
    return Type("set", t)


def map_of(t: Type) -> Type:
    """A map type with string keys."""
    return Type("map", t)


def object_of(**fields: Type) -> Type:
    """An object type."""
    return Type("object", None, fields)


STRINGS: Final = list_of(STRING)
STRING_SET: Final = set_of(STRING)
STRING_MAP: Final = map_of(STRING)


def coerce(t: Type, value: Any) -> Any:
    """The value as its type wants it (the wire of the cloud mixes "80" and 80, "true" and true); ValueError if it cannot be."""
    if value is None or value is UNKNOWN:
        return value
    if t.kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
    elif t.kind == "number":
        return _number(value)
    elif t.kind == "bool":
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
    elif t.kind in ("list", "set") and isinstance(value, list | tuple):
        return [coerce(t.element, v) for v in value]
    elif t.kind == "map" and isinstance(value, Mapping):
        return {str(k): coerce(t.element, v) for k, v in value.items()}
    elif t.kind == "object" and isinstance(value, Mapping):
        return {name: coerce(ft, value.get(name)) for name, ft in t.fields.items()}
    raise ValueError(f"a {t.kind} was expected, not a {type(value).__name__}")


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        if not value.strip():
            return None
        value = float(value) if any(c in value for c in ".eE") else int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f"a number was expected, not {type(value).__name__}")


def equal(t: Type, a: Any, b: Any) -> bool:
    """Whether two values of the type are the same; the order of sets does not count, unknown equals nothing."""
    if a is UNKNOWN or b is UNKNOWN:
        return False
    if a is None or b is None:
        return a is b
    if t.kind == "object":
        return all(equal(ft, a.get(name), b.get(name)) for name, ft in t.fields.items())
    if t.kind == "map":
        return a.keys() == b.keys() and all(equal(t.element, v, b[k]) for k, v in a.items())
    if t.kind == "list":
        return len(a) == len(b) and all(equal(t.element, x, y) for x, y in zip(a, b, strict=True))
    if t.kind == "set":
        rest = list(b)
        for x in a:
            found = next((i for i, y in enumerate(rest) if equal(t.element, x, y)), None)
            if found is None:
                return False
            del rest[found]
        return not rest
    return bool(a == b)


def is_zero(value: Any) -> bool:
    """Null and the empty values: Terraform's older provider SDK, which the original provider uses, does not tell them apart."""
    return value is None or (value is not UNKNOWN and not value)


def known(value: Any) -> bool:
    """Whether nothing in the value is unknown."""
    if isinstance(value, Mapping):
        return all(known(v) for v in value.values())
    if isinstance(value, list):
        return all(known(v) for v in value)
    return value is not UNKNOWN


def without_unknown(value: Any) -> Any:
    """The value with null in every unknown place."""
    if isinstance(value, Mapping):
        return {k: without_unknown(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_unknown(v) for v in value]
    return None if value is UNKNOWN else value


def pack(t: Type, value: Any) -> bytes:
    """The value as msgpack bytes of the plugin protocol."""
    unknown = msgpack.ExtType(0, b"\x00")
    return bytes(msgpack.packb(coerce(t, value), default=lambda v: unknown if v is UNKNOWN else v))


def unpack(t: Type, data: bytes) -> Any:
    """The value in msgpack bytes of the plugin protocol."""
    raw = msgpack.unpackb(data, raw=False, strict_map_key=False, ext_hook=lambda code, payload: UNKNOWN)
    return coerce(t, raw)
