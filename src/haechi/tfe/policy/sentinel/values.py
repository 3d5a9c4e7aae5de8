"""Sentinel's values as Python's: None, bool, int, float, str, list, dict, and the classes here. Nothing else ever is a value.

Texts are sequences of bytes in Sentinel; a byte that is no UTF-8 is kept as Python's surrogate escape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.limits import Meter

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter

MAX_DEPTH = 100  # of lists and maps in one another; a policy can put a list into itself


class Undefined:
    """The undefined value; `place` is where it came to be, if that is known."""

    __slots__ = ("place",)

    def __init__(self, place: str = "") -> None:
        self.place = place

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


class Namespace:
    """What an import is, and what some imports return: named members, never assignable. `get` gives None for no such member."""

    __slots__ = ("get", "name", "shown")

    def __init__(self, name: str, get: Callable[[str], Any], shown: Callable[[], dict[Any, Any]] | None = None) -> None:
        self.name, self.get = name, get
        self.shown = shown or (lambda: {})  # as a plain map, for printing, comparing and iterating


@dataclass(frozen=True, slots=True)
class Native:
    """A function written in Python: takes the interpreter and values, returns a value."""

    name: str
    call: Callable[..., Any]
    fewest: int
    most: int


def members(name: str, found: Mapping[str, Any], shown: Mapping[Any, Any] | None = None) -> Namespace:
    """A namespace over a mapping. Functions among the values are called for the value when the member is read."""

    def get(member: str) -> Any:
        value = found.get(member, UNDEFINED)
        return value() if callable(value) else value

    return Namespace(name, get, (lambda: dict(shown)) if shown is not None else None)


def type_of(value: Any) -> str:
    """The name `types.type_of` gives."""
    return _TYPES.get(value.__class__, "func")


_TYPES = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "list",
    dict: "map",
    Undefined: "undefined",
    Namespace: "map",
}


def wrap(number: int) -> int:
    """An integer as 64 bits hold it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63) if not -(1 << 63) <= number < 1 << 63 else number


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def joined(left: str, right: str) -> str:
    text = left + right
    return text if text.isascii() else to_text(to_bytes(text))


def equal(left: Any, right: Any, meter: Meter, depth: int = 0) -> bool:
    """Whether two values are the same; values of different types never are, except int and float."""
    meter.work(1)
    if depth > MAX_DEPTH:
        raise PolicyError("values nested too deeply to compare", "limit")
    kind, other = left.__class__, right.__class__
    if kind is Namespace:
        left, kind = left.shown(), dict
    if other is Namespace:
        right, other = right.shown(), dict
    if kind is not other:
        return {kind, other} == {int, float} and left == right
    if kind is str:
        meter.work(len(left) >> 6)
        return bool(left == right)
    if kind is list:
        return len(left) == len(right) and all(equal(a, b, meter, depth + 1) for a, b in zip(left, right, strict=True))
    if kind is dict:
        return len(left) == len(right) and all(key in right and equal(value, right[key], meter, depth + 1) for key, value in left.items())
    return bool(left is right if kind is Undefined else left == right)


def shown(value: Any, meter: Meter, quoted: bool = False, depth: int = 0) -> str:
    """A value as `print` writes it."""
    meter.work(1)
    if depth > MAX_DEPTH:
        raise PolicyError("values nested too deeply to print", "limit")
    kind = value.__class__
    if kind is str:
        meter.text(len(value))
        return _quote(value) if quoted else value
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return float_text(value)
    if kind is int:
        return str(value)
    if kind is list:
        text = "[" + ", ".join([shown(each, meter, True, depth + 1) for each in value]) + "]"
    elif kind is dict or kind is Namespace:
        pairs = value.shown() if kind is Namespace else value
        text = (
            "{"
            + ", ".join(
                [f"{shown(key_value(key), meter, True, depth + 1)}: {shown(each, meter, True, depth + 1)}" for key, each in pairs.items()]
            )
            + "}"
        )
    else:
        return type_of(value)
    meter.text(len(text))
    return text


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'


def float_text(value: float) -> str:
    """As Go's %g with the shortest digits that read back."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def map_key(value: Any, problem: Callable[[str], PolicyError]) -> Any:
    """A value as the key of a map. Python takes 1, 1.0 and True for one key; to keep them three, bools and floats are wrapped."""
    kind = value.__class__
    if kind is str or kind is int:
        return value
    if kind is bool or kind is float:
        return _Key(kind.__name__, value)
    raise problem(f"a map's key must be a string, number or bool, not {type_of(value)}")


@dataclass(frozen=True, slots=True)
class _Key:
    kind: str
    value: Any


def key_value(key: Any) -> Any:
    return key.value if key.__class__ is _Key else key


def from_python(value: Any, meter: Meter, depth: int = 0) -> Any:
    """A copy of plain data, as json.loads gives it, as a value; a function in it becomes one that takes and returns plain data."""
    if depth > MAX_DEPTH:
        raise PolicyError("data nested too deeply", "limit")
    kind = value.__class__
    if kind is str:
        return value if value.isascii() else to_text(value.encode("utf-8", "replace"))
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 63 else float(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is list or kind is tuple:
        meter.work(1)
        return [from_python(each, meter, depth + 1) for each in value]
    if isinstance(value, Mapping):
        meter.work(1)
        return {from_python(key, meter): from_python(each, meter, depth + 1) for key, each in value.items()}
    if callable(value):
        return _native(value)
    raise TypeError(f"{kind.__name__} is no plain data")


def _native(function: Callable[..., Any]) -> Native:
    def call(interpreter: Interpreter, *arguments: Any) -> Any:
        given = [to_python(each, interpreter.meter) for each in arguments]
        return from_python(function(*given), interpreter.meter)

    return Native("function", call, 0, 9)


def to_python(value: Any, meter: Meter, depth: int = 0) -> Any:
    """A value as plain data. Undefined list elements and map entries are left out; functions and undefined are None."""
    meter.cells(1)
    if depth > MAX_DEPTH:
        raise PolicyError("values nested too deeply", "limit")
    kind = value.__class__
    if kind is list:
        return [to_python(each, meter, depth + 1) for each in value if each.__class__ is not Undefined]
    if kind is Namespace:
        value, kind = value.shown(), dict
    if kind is dict:
        return {key_value(key): to_python(each, meter, depth + 1) for key, each in value.items() if each.__class__ is not Undefined}
    if kind is str:
        return value if value.isascii() else to_bytes(value).decode("utf-8", "replace")
    return value if kind in (bool, int, float) else None
