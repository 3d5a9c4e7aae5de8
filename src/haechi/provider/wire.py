"""Our declarations and values as messages of Terraform's plugin protocol 6, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tf.gen import tfplugin_pb2 as pb  # type: ignore[import-untyped]

from haechi.provider.schema import Attribute, Field, Fields, Values, fields_type
from haechi.provider.types import UNKNOWN, Type, coerce, pack, unpack

_NESTING = {
    "single": pb.Schema.NestedBlock.NestingMode.SINGLE,
    "list": pb.Schema.NestedBlock.NestingMode.LIST,
    "set": pb.Schema.NestedBlock.NestingMode.SET,
}


def render_schema(fields: Fields, version: int = 0, deprecated: str = "") -> pb.Schema:
    """A whole schema."""
    block = _render_block(fields)
    block.deprecated = bool(deprecated)
    return pb.Schema(version=version, block=block)


def _render_block(fields: Fields) -> pb.Schema.Block:
    attributes = [_render_attribute(n, f) for n, f in sorted(fields.items()) if isinstance(f, Attribute)]
    nested = [
        pb.Schema.NestedBlock(
            type_name=n, block=_render_block(f.fields), nesting=_NESTING[f.nesting], min_items=f.min_items, max_items=f.max_items
        )
        for n, f in sorted(fields.items())
        if not isinstance(f, Attribute)
    ]
    return pb.Schema.Block(attributes=attributes, block_types=nested)


def _render_attribute(name: str, field: Attribute) -> pb.Schema.Attribute:
    return pb.Schema.Attribute(
        name=name,
        type=field.type.cty_json(),
        required=field.required,
        optional=field.optional,
        computed=field.computed,
        sensitive=field.sensitive,
        deprecated=bool(field.deprecated),
    )


def render_value(fields: Fields, values: Mapping[str, Any] | None) -> pb.DynamicValue:
    """The values of a schema; None is a null object."""
    t = fields_type(fields)
    return pb.DynamicValue(msgpack=pack(t, None if values is None else {n: _whole(f, values.get(n)) for n, f in fields.items()}))


def parse_value(fields: Fields, value: pb.DynamicValue) -> Values | None:
    """The values of a schema in a message; None if the object is null."""
    t = fields_type(fields)
    if value.msgpack:
        return _object(unpack(t, value.msgpack))
    return _object(coerce(t, json.loads(value.json))) if value.json else None


def _object(parsed: Any) -> Values | None:
    return None if parsed is None else dict(parsed)


def _whole(field: Field, value: Any) -> Any:
    """Absent repeated blocks are empty, never null; the same inside nested blocks."""
    if isinstance(field, Attribute) or value is UNKNOWN:
        return value
    if field.nesting == "single":
        return None if value is None else {n: _whole(f, value.get(n)) for n, f in field.fields.items()}
    return [v if v is UNKNOWN else {n: _whole(f, v.get(n)) for n, f in field.fields.items()} for v in value or []]


def upgrade_state(fields: Fields, raw: pb.RawState) -> Values:
    """A stored state fitted to today's schema: unknown names are dropped, new ones are null."""
    stored = json.loads(raw.json) if raw.json else dict(raw.flatmap)
    return {name: _fit(field.value_type, stored.get(name)) for name, field in fields.items()}


def _fit(t: Type, value: Any) -> Any:
    try:
        return coerce(t, value)
    except ValueError:
        return None


def render_path(path: Iterable[str | int]) -> pb.AttributePath:
    """An attribute path."""
    steps = [
        pb.AttributePath.Step(attribute_name=step) if isinstance(step, str) else pb.AttributePath.Step(element_key_int=step)
        for step in path
    ]
    return pb.AttributePath(steps=steps)


def render_error(summary: str, detail: str = "", path: tuple[str | int, ...] = ()) -> pb.Diagnostic:
    """An error diagnostic."""
    attribute = render_path(path) if path else None
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=summary, detail=detail, attribute=attribute)


def render_warning(summary: str, detail: str = "", path: tuple[str | int, ...] = ()) -> pb.Diagnostic:
    """A warning diagnostic."""
    attribute = render_path(path) if path else None
    return pb.Diagnostic(severity=pb.Diagnostic.WARNING, summary=summary, detail=detail, attribute=attribute)
