"""What the binary and unary operators do with values, undefined included, as the specification's sections on operators say."""

from __future__ import annotations

import math
from typing import Any

from haechi.tfe.policy.sentinel.limits import Meter
from haechi.tfe.policy.sentinel.regex import Regex, RegexError
from haechi.tfe.policy.sentinel.values import UNDEFINED, Namespace, Undefined, equal, joined, map_key, to_bytes, type_of, wrap

MAX_REGEXES = 200  # kept compiled in one evaluation


class OperatorError(Exception):
    """Operands that the operator does not take; the interpreter adds the place."""


def _number(kind: type) -> bool:
    return kind is int or kind is float


def arithmetic(operator: str, left: Any, right: Any, meter: Meter) -> Any:
    """+ - * / % of numbers, + of texts and of lists."""
    kind, other = left.__class__, right.__class__
    if kind is Undefined or other is Undefined:
        return left if kind is Undefined else right
    if _number(kind) and _number(other):
        return _integers(operator, left, right) if kind is int and other is int else _floats(operator, float(left), float(right))
    if operator == "+" and kind is other and kind is str:
        meter.text(len(left) + len(right))
        meter.work((len(left) + len(right)) >> 10)
        return joined(left, right)
    if operator == "+" and kind is other and kind is list:
        meter.cells(len(left) + len(right))
        return left + right
    raise OperatorError(f"{operator} does not take {type_of(left)} and {type_of(right)}")


def _integers(operator: str, left: int, right: int) -> int:
    if operator == "+":
        return wrap(left + right)
    if operator == "-":
        return wrap(left - right)
    if operator == "*":
        return wrap(left * right)
    if right == 0:
        raise OperatorError("division by zero")
    quotient = abs(left) // abs(right)
    quotient = -quotient if (left < 0) != (right < 0) else quotient
    return wrap(quotient if operator == "/" else left - quotient * right)


def _floats(operator: str, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        if right == 0:
            return math.nan if left == 0 or left != left else math.copysign(math.inf, left) * math.copysign(1, right)
        return left / right
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def comparison(operator: str, left: Any, right: Any, meter: Meter) -> Any:
    """== != < <= > >=. Values of different types compare to undefined, but null may be asked of anything."""
    kind, other = left.__class__, right.__class__
    if kind is Undefined or other is Undefined:
        return left if kind is Undefined else right
    if left is None or right is None:
        if operator in ("==", "!="):
            return (left is right) is (operator == "==")
        raise OperatorError(f"{operator} does not take {type_of(left)} and {type_of(right)}")
    if type_of(left) != type_of(right) and not (_number(kind) and _number(other)):
        return UNDEFINED
    if operator in ("==", "!="):
        return equal(left, right, meter) is (operator == "==")
    if kind is str:
        meter.work((len(left) + len(right)) >> 8)
        left, right = to_bytes(left), to_bytes(right)
    elif not _number(kind):
        raise OperatorError(f"{operator} does not take {type_of(left)} and {type_of(right)}")
    if operator == "<":
        return left < right
    if operator == "<=":
        return left <= right
    return left > right if operator == ">" else left >= right


def contains(collection: Any, wanted: Any, meter: Meter) -> Any:
    """Membership in a list, among a map's keys, of a text in a text."""
    if collection.__class__ is Namespace:
        collection = collection.shown()
    kind = collection.__class__
    if kind is Undefined or wanted.__class__ is Undefined:
        return collection if kind is Undefined else wanted
    if kind is list:
        unknown = None
        for each in collection:
            if each.__class__ is Undefined:
                unknown = each
            elif equal(each, wanted, meter):
                return True
        return False if unknown is None else unknown
    if kind is dict:
        return type_of(wanted) in ("string", "int", "float", "bool") and map_key(wanted, OperatorError) in collection  # type: ignore[arg-type]
    if kind is str:
        if wanted.__class__ is not str:
            raise OperatorError(f"a string cannot contain {type_of(wanted)}")
        meter.work((len(collection) + len(wanted)) >> 6)
        return wanted in collection
    raise OperatorError(f"contains and in need a list, map or string, not {type_of(collection)}")


def matches(text: Any, pattern: Any, meter: Meter, compiled: dict[str, Regex]) -> Any:
    """Whether the pattern (RE2 syntax) matches anywhere in the text."""
    if text.__class__ is Undefined or pattern.__class__ is Undefined:
        return text if text.__class__ is Undefined else pattern
    if text.__class__ is not str or pattern.__class__ is not str:
        raise OperatorError(f"matches takes two strings, not {type_of(text)} and {type_of(pattern)}")
    regex = compiled.get(pattern)
    if regex is None:
        if len(compiled) >= MAX_REGEXES:
            compiled.clear()
        try:
            regex = compiled[pattern] = Regex(pattern, meter)
        except RegexError as error:
            raise OperatorError(str(error)) from None
    return regex.search(text)


def negation(value: Any) -> Any:
    """not; undefined for what is no bool."""
    return value if value.__class__ is Undefined else (not value) if value.__class__ is bool else UNDEFINED


def sign(operator: str, value: Any) -> Any:
    """Unary + and -."""
    if value.__class__ is Undefined:
        return value
    if not _number(value.__class__):
        raise OperatorError(f"unary {operator} does not take {type_of(value)}")
    if operator == "+":
        return value
    return wrap(-value) if value.__class__ is int else -value


def logical(operator: str, left: Any, right: Any) -> Any:
    """`and`, `or`, `xor` of two values that were both evaluated; what is no bool counts as undefined."""
    left = left if left.__class__ in (bool, Undefined) else UNDEFINED
    right = right if right.__class__ in (bool, Undefined) else UNDEFINED
    if operator == "or" and (left is True or right is True):
        return True
    if left.__class__ is Undefined or right.__class__ is Undefined:
        return left if left.__class__ is Undefined else right
    if operator == "and":
        return left and right
    return (left or right) if operator == "or" else left is not right


def emptiness(value: Any) -> Any:
    """`is empty`: as length(value) is 0."""
    if value.__class__ is Namespace:
        value = value.shown()
    if value.__class__ is Undefined:
        return value
    if value.__class__ not in (str, list, dict):
        raise OperatorError(f"is empty does not take {type_of(value)}")
    return not value
