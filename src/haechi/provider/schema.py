"""How a provider, a resource or a data source declares its arguments; checks of a configuration against it.

`required`, `optional` and `computed` make one attribute, `block` a nested block. The words are Terraform's: force_new
replaces the resource on change, conflicts_with and its relatives name other arguments, `check` returns what is wrong with
a value or None, `same` says that two different values mean the same (no change is planned).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from haechi.provider.types import BOOL, NUMBER, STRING, UNKNOWN, Type, is_zero, list_of, object_of, set_of

Values: TypeAlias = dict[str, Any]
Check: TypeAlias = Callable[[Any], str | None]
Same: TypeAlias = Callable[[Any, Any, Mapping[str, Any]], bool]


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One argument or exported value."""

    type: Type = STRING
    required: bool = False
    optional: bool = False
    computed: bool = False
    force_new: bool = False
    default: Any = None
    sensitive: bool = False
    deprecated: str = ""
    conflicts_with: tuple[str, ...] = ()
    exactly_one_of: tuple[str, ...] = ()
    at_least_one_of: tuple[str, ...] = ()
    required_with: tuple[str, ...] = ()
    check: Check | None = None
    same: Same | None = None

    @property
    def value_type(self) -> Type:
        """The type of the value in a state."""
        return self.type


@dataclass(frozen=True, kw_only=True)
class Block:
    """A nested block; a list or set of objects, or one object (`single`)."""

    fields: Mapping[str, Field]
    nesting: str = "list"
    min_items: int = 0
    max_items: int = 0
    computed: bool = False
    force_new: bool = False
    deprecated: str = ""
    conflicts_with: tuple[str, ...] = ()
    exactly_one_of: tuple[str, ...] = ()
    at_least_one_of: tuple[str, ...] = ()
    required_with: tuple[str, ...] = ()
    same: Same | None = None

    @property
    def object_type(self) -> Type:
        """The type of one occurrence."""
        return fields_type(self.fields)

    @property
    def value_type(self) -> Type:
        """The type of the value in a state."""
        t = self.object_type
        return t if self.nesting == "single" else list_of(t) if self.nesting == "list" else set_of(t)


Field: TypeAlias = Attribute | Block
Fields: TypeAlias = Mapping[str, Field]


def fields_type(fields: Fields) -> Type:
    """The object type of a whole schema."""
    return object_of(**{name: f.value_type for name, f in fields.items()})


def required(type: Type = STRING, **words: Any) -> Attribute:
    """An argument that has to be given."""
    return Attribute(type=type, required=True, **words)


def optional(type: Type = STRING, **words: Any) -> Attribute:
    """An argument that may be given; with computed=True the cloud chooses when it is not."""
    return Attribute(type=type, optional=True, **words)


def computed(type: Type = STRING, **words: Any) -> Attribute:
    """A value only the cloud sets."""
    return Attribute(type=type, computed=True, **words)


def objects(**fields: Type) -> Attribute:
    """A computed list of objects, the shape of every data source's result."""
    return Attribute(type=list_of(object_of(**fields)), computed=True)


def block(nesting: str = "list", /, *, fields: Fields, **words: Any) -> Block:
    """A nested block."""
    return Block(fields=fields, nesting=nesting, **words)


def one_of(*allowed: Any) -> Check:
    """A check: the value is one of these."""
    return lambda value: None if value in allowed else f"expected to be one of {list(allowed)}, got {value}"


def between(low: float, high: float) -> Check:
    """A check: a number within bounds, both included."""
    return lambda value: None if low <= value <= high else f"expected to be in the range ({low} - {high}), got {value}"


def length(low: int, high: int) -> Check:
    """A check: a string's length."""
    return lambda value: None if low <= len(value) <= high else f"expected length to be in the range ({low} - {high}), got {len(value)}"


def matches(pattern: str, hint: str = "") -> Check:
    """A check: a string that matches a regular expression."""
    return lambda value: None if re.search(pattern, value) else hint or f"expected to match {pattern}"


def is_regex(value: str) -> str | None:
    """A check: a regular expression that compiles."""
    try:
        re.compile(value)
    except re.error as error:
        return f"is not a regular expression: {error}"
    return None


def same_case(old: Any, new: Any, view: Mapping[str, Any]) -> bool:
    """`same` for values whose letter case does not count."""
    return str(old or "").lower() == str(new or "").lower()


Complaint: TypeAlias = tuple[tuple[str | int, ...], str]


def complaints(fields: Fields, config: Mapping[str, Any]) -> Iterator[Complaint]:
    """What is wrong with a configuration, as (attribute path, text); unknown values are not judged yet."""
    given = {name for name in fields if not is_zero(config.get(name)) or config.get(name) in (False, 0, "")}
    given -= {name for name in given if isinstance(fields[name], Block) and not config.get(name)}
    unsure = {name for name in fields if config.get(name) is UNKNOWN}
    for name, field in fields.items():
        value = config.get(name)
        if name in given:
            for other in field.conflicts_with:
                if other in given and other not in unsure:
                    yield (name,), f'"{name}": conflicts with {other}'
            for other in field.required_with:
                if other not in given | unsure:
                    yield (name,), f'"{name}": all of `{",".join((name, *field.required_with))}` must be specified'
        if field.exactly_one_of:
            yield from _exactly_one(name, field.exactly_one_of, given, unsure)
        if field.at_least_one_of and not (set(field.at_least_one_of) & (given | unsure)) and name == field.at_least_one_of[0]:
            yield (name,), f'"{name}": one of `{",".join(field.at_least_one_of)}` must be specified'
        if value is None or value is UNKNOWN:
            continue
        if isinstance(field, Block):
            occurrences = [value] if field.nesting == "single" else value
            for index, occurrence in enumerate(occurrences):
                if occurrence is not UNKNOWN:
                    step = (name, index) if field.nesting == "list" else (name,)
                    yield from ((step + path, text) for path, text in complaints(field.fields, occurrence))
        else:
            yield from (((name,), f'"{name}": {text}') for text in _value_complaints(field, value))


def _exactly_one(name: str, group: tuple[str, ...], given: set[str], unsure: set[str]) -> Iterator[Complaint]:
    chosen = set(group) & given
    if name != group[0] or unsure & set(group):
        return
    if not chosen:
        yield (name,), f'"{name}": one of `{",".join(group)}` must be specified'
    elif len(chosen) > 1:
        yield (name,), f'"{name}": only one of `{",".join(group)}` can be specified, but `{",".join(sorted(chosen))}` were specified.'


def _value_complaints(field: Attribute, value: Any) -> Iterator[str]:
    if field.check is None:
        return
    # The check of a list or set of primitives is for its elements.
    items = value if field.type.kind in ("list", "set") and field.type.element in (STRING, NUMBER, BOOL) else [value]
    for item in items:
        if item is not None and item is not UNKNOWN and (text := field.check(item)):
            yield text
