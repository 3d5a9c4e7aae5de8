"""The decimal import: numbers of up to 100 digits."""

from __future__ import annotations

import decimal as python
from typing import TYPE_CHECKING, Any

from haechi.tfe.policy.sentinel.builtins import to_int
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.imports.arguments import strict
from haechi.tfe.policy.sentinel.values import Namespace, float_text, members, type_of

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter

Number = python.Decimal
_CONTEXT = python.Context(prec=100, Emax=100_000, Emin=-100_000, traps=[], rounding=python.ROUND_HALF_UP)
_SLOW = {"power": 2000, "exp": 2000, "loge": 2000, "log10": 2000}  # steps that one call counts as
_MOST_EXPONENT = 1000  # so that no power or exponential runs long
_ALIASES = {
    "less_than": "lt",
    "less_than_or_equals": "lte",
    "greater_than": "gt",
    "greater_than_or_equals": "gte",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "modulo": "mod remainder rem",
    "power": "pow",
    "loge": "ln",
    "log10": "log",
    "square_root": "sqrt",
    "ceiling": "ceil",
    "absolute": "abs",
    "negate": "neg",
}


def parse_number(value: Any) -> Number:
    """A decimal of an int, float, text, or what this import gave."""
    if value.__class__ is Namespace:
        value = value.shown().get("string")
    if value.__class__ in (int, float) or (value.__class__ is str and len(value) <= 200 and value.isascii()):
        text = float_text(value).replace("Inf", "Infinity") if value.__class__ is float else str(value)
        found = _CONTEXT.create_decimal(text)
        if not (found.is_nan() and text.strip().lower() != "nan"):
            return found
    raise PolicyError(f"{type_of(value)} is no decimal number")


def _small(number: Number) -> bool:
    return not number.is_finite() or abs(number) <= _MOST_EXPONENT


def _one(name: str, number: Number) -> Number:
    if name == "exp":
        return _CONTEXT.exp(number) if _small(number) else Number("Infinity" if number > 0 else 0)
    if name in ("ceiling", "floor"):
        if not number.is_finite():
            return number
        return number.to_integral_value(python.ROUND_CEILING if name == "ceiling" else python.ROUND_FLOOR, _CONTEXT)
    functions = {
        "loge": _CONTEXT.ln,
        "log10": _CONTEXT.log10,
        "square_root": _CONTEXT.sqrt,
        "absolute": _CONTEXT.abs,
        "negate": _CONTEXT.minus,
    }
    return functions[name](number)


def _two(name: str, number: Number, other: Number) -> Number:
    if name == "power" and not (_small(number) and _small(other)):
        raise PolicyError("decimal.power: the numbers are too large")
    functions = {
        "add": _CONTEXT.add,
        "subtract": _CONTEXT.subtract,
        "multiply": _CONTEXT.multiply,
        "divide": _CONTEXT.divide,
        "modulo": _CONTEXT.remainder,
        "power": _CONTEXT.power,
    }
    return functions[name](number, other)


def _compare(name: str, number: Number, other: Number) -> bool:
    if number.is_nan() or other.is_nan():
        return name == "is_not"
    sign = int(number > other) - int(number < other)
    return {
        "is": sign == 0,
        "is_not": sign != 0,
        "less_than": sign < 0,
        "less_than_or_equals": sign <= 0,
        "greater_than": sign > 0,
        "greater_than_or_equals": sign >= 0,
    }[name]


def number_value(number: Number) -> Namespace:
    """A decimal as policies see it."""
    finite = number.is_finite()
    shown = number.normalize(_CONTEXT) if finite else number
    plain = f"{shown:f}" if finite and -40 < shown.adjusted() < 40 else str(shown)
    _, digits, exponent = shown.as_tuple()
    fields: dict[str, Any] = {
        "string": plain,
        "sign": 0 if number.is_nan() else int(number > 0) - int(number < 0),
        "coefficient": to_int("".join(map(str, digits))) if finite else 0,
        "exponent": exponent if isinstance(exponent, int) else 0,
        "float": float(number),
        "int": to_int(float(number)) if not finite or abs(number) >= 1 << 63 else int(number.to_integral_value(python.ROUND_FLOOR)),
    }
    found: dict[str, Any] = {}

    def put(name: str, call: Any, count: int) -> None:
        def timed(run: Interpreter, *arguments: Any) -> Any:
            run.meter.work(_SLOW.get(name, 5))
            return call(*arguments)

        function = strict(name, timed, count)
        for alias in (name, *_ALIASES.get(name, "").split()):
            found[alias] = function

    for name in ("exp", "loge", "log10", "square_root", "ceiling", "floor", "absolute", "negate"):
        put(name, lambda name=name: number_value(_one(name, number)), 0)
    for name in ("add", "subtract", "multiply", "divide", "modulo", "power"):
        put(name, lambda other, name=name: number_value(_two(name, number, parse_number(other))), 1)
    for name in ("is", "is_not", "less_than", "less_than_or_equals", "greater_than", "greater_than_or_equals"):
        put(name, lambda other, name=name: _compare(name, number, parse_number(other)), 1)
    return members("decimal", fields | found, fields)


def decimal(run: Interpreter) -> Namespace:
    infinity = strict("infinity", lambda run, sign: number_value(Number("Infinity" if parse_number(sign) >= 0 else "-Infinity")), 1)
    is_infinite = strict("is_infinite", lambda run, value: parse_number(value).is_infinite(), 1)
    is_nan = strict("is_nan", lambda run, value: parse_number(value).is_nan(), 1)
    return members(
        "decimal",
        {
            "new": strict("new", lambda run, value: number_value(parse_number(value)), 1),
            "nan": number_value(Number("NaN")),
            **dict.fromkeys(("infinity", "inf"), infinity),
            **dict.fromkeys(("is_infinite", "is_inf", "isinf", "isinfinite"), is_infinite),
            **dict.fromkeys(("is_nan", "isnan"), is_nan),
        },
    )
