"""The functions every policy has without importing them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.values import (
    UNDEFINED,
    Namespace,
    Native,
    Undefined,
    float_text,
    key_value,
    map_key,
    shown,
    to_bytes,
    type_of,
    wrap,
)

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter

_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_INT = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,22})")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")


def _append(run: Interpreter, items: Any, value: Any) -> Any:
    if items.__class__ is not list:
        raise PolicyError(f"append needs a list, not {type_of(items)}")
    run.meter.cells(1)
    items.append(value)
    return UNDEFINED


def _delete(run: Interpreter, found: Any, key: Any) -> Any:
    if found.__class__ is not dict:
        raise PolicyError(f"delete needs a map, not {type_of(found)}")
    found.pop(map_key(key, PolicyError), None)
    return UNDEFINED


def _map(name: str, value: Any) -> Any:
    if value.__class__ is Namespace:
        return value.shown()
    if value.__class__ is dict or value.__class__ is Undefined:
        return value
    raise PolicyError(f"{name} needs a map, not {type_of(value)}")


def _keys(run: Interpreter, value: Any) -> Any:
    value = _map("keys", value)
    if value.__class__ is Undefined:
        return value
    run.meter.cells(len(value))
    return [key_value(key) for key in value]


def _values(run: Interpreter, value: Any) -> Any:
    value = _map("values", value)
    if value.__class__ is Undefined:
        return value
    run.meter.cells(len(value))
    return list(value.values())


def _length(run: Interpreter, value: Any) -> Any:
    if value.__class__ is Undefined:
        return value
    if value.__class__ is Namespace:
        value = value.shown()
    if value.__class__ is str:
        if value.isascii():
            return len(value)
        run.meter.work(len(value) >> 6)
        return len(to_bytes(value))
    if value.__class__ not in (list, dict):
        raise PolicyError(f"length needs a string, list or map, not {type_of(value)}")
    return len(value)


def _range(run: Interpreter, *bounds: Any) -> Any:
    if any(each.__class__ is Undefined for each in bounds):
        return UNDEFINED
    if any(each.__class__ is not int for each in bounds):
        raise PolicyError("range needs integers")
    if len(bounds) == 3 and bounds[2] == 0:
        raise PolicyError("range needs a step that is not zero")
    numbers = range(*bounds)
    try:
        count = len(numbers)
    except OverflowError:
        count = 1 << 62
    run.meter.cells(count)
    return list(numbers)


def to_int(value: Any) -> Any:
    """int(): a float loses its fraction; undefined for what is no number."""
    kind = value.__class__
    if kind is int or kind is bool:
        return int(value)
    if kind is float:
        return int(value) if abs(value) < 2.0**63 else UNDEFINED
    if kind is str and _INT.fullmatch(value):
        bare = value.lstrip("+-")
        try:
            number = int(bare, 16 if bare[:2] in ("0x", "0X") else 8 if bare[0] == "0" and len(bare) > 1 else 10)
        except ValueError:
            return UNDEFINED
        number = -number if value[0] == "-" else number
        return number if wrap(number) == number else UNDEFINED
    return value if kind is Undefined else UNDEFINED


def _float(run: Interpreter, value: Any) -> Any:
    kind = value.__class__
    if kind in (int, float, bool) or (kind is str and len(value) < 400 and _FLOAT.fullmatch(value)):
        return float(value)
    return value if kind is Undefined else UNDEFINED


def to_string(value: Any) -> Any:
    """string(): undefined for null, lists, maps and functions."""
    kind = value.__class__
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return f"{value:f}" if value == value and abs(value) != float("inf") else float_text(value)
    return str(value) if kind is int else value if kind is str or kind is Undefined else UNDEFINED


def _string(run: Interpreter, value: Any) -> Any:
    return to_string(value)


def _bool(run: Interpreter, value: Any) -> Any:
    kind = value.__class__
    if kind is bool or kind is Undefined:
        return value
    if kind is str:
        return True if value in _TRUE else False if value in _FALSE else UNDEFINED
    return value != 0 if kind in (int, float) else UNDEFINED


def _compare(run: Interpreter, left: Any, right: Any) -> Any:
    """-1, 0 or 1, for lists.sort."""
    if left.__class__ is Undefined or right.__class__ is Undefined:
        return UNDEFINED
    kinds = {left.__class__, right.__class__}
    if kinds == {str}:
        run.meter.work((len(left) + len(right)) >> 6)
        left, right = to_bytes(left), to_bytes(right)
    elif not kinds <= {int, float}:
        raise PolicyError(f"compare takes two numbers or two strings, not {type_of(left)} and {type_of(right)}")
    return (left > right) - (left < right)


def line(run: Interpreter, values: tuple[Any, ...]) -> str:
    """What print writes for these values."""
    return " ".join([shown(each, run.meter) for each in values])


def _print(run: Interpreter, *values: Any) -> Any:
    text = line(run, values)
    run.meter.printed(len(text) + 1)
    run.prints.append(text)
    return True


def _error(run: Interpreter, *values: Any) -> Any:
    raise PolicyError(line(run, values)[:10_000])


def _int(run: Interpreter, value: Any) -> Any:
    return to_int(value)


BUILTINS = {
    each.name: each
    for each in (
        Native("append", _append, 2, 2),
        Native("delete", _delete, 2, 2),
        Native("keys", _keys, 1, 1),
        Native("values", _values, 1, 1),
        Native("length", _length, 1, 1),
        Native("range", _range, 1, 3),
        Native("int", _int, 1, 1),
        Native("float", _float, 1, 1),
        Native("string", _string, 1, 1),
        Native("bool", _bool, 1, 1),
        Native("compare", _compare, 2, 2),
        Native("print", _print, 0, 1000),
        Native("error", _error, 0, 1000),
    )
}
