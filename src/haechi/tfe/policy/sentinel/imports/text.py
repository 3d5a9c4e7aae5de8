"""The strings import."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.imports.arguments import need, strict
from haechi.tfe.policy.sentinel.values import MAX_DEPTH, Namespace, float_text, members, shown, type_of

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter


def _function(name: str, count: int, change: Callable[..., Any]) -> Any:
    """A function of `count` strings."""

    def call(run: Interpreter, *arguments: Any) -> Any:
        for each in arguments:
            need(each, str, f"strings.{name}")
            run.meter.text(len(each))
        return change(*arguments)

    return strict(name, call, count)


def _join(run: Interpreter, items: Any, separator: Any) -> Any:
    parts = _flat(run, need(items, list, "strings.join"), 0)
    separator = need(separator, str, "strings.join")
    run.meter.text(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _flat(run: Interpreter, items: list[Any], depth: int) -> list[str]:
    if depth > MAX_DEPTH:
        raise PolicyError("values nested too deeply to join", "limit")
    found: list[str] = []
    run.meter.cells(len(items))
    for each in items:
        kind = each.__class__
        if kind is list:
            found += _flat(run, each, depth + 1)
        elif kind in (str, int, bool, float):
            found.append(each if kind is str else float_text(each) if kind is float else shown(each, run.meter))
        else:
            raise PolicyError(f"strings.join cannot join {type_of(each)}")
    return found


def _split(run: Interpreter, value: Any, separator: Any) -> Any:
    if value.__class__ is list:
        return value
    value, separator = need(value, str, "strings.split"), need(separator, str, "strings.split")
    run.meter.cells(value.count(separator) + 1)
    run.meter.text(len(value))
    return value.split(separator) if separator else list(value)


def _replace(run: Interpreter, value: Any, old: Any, new: Any, count: Any = -1) -> Any:
    for each in (value, old, new):
        need(each, str, "strings.replace")
    times = value.count(old) if need(count, int, "strings.replace") < 0 else count
    run.meter.text(len(value) + min(times, value.count(old)) * len(new))
    return value.replace(old, new, times)


_SPACES = " \t\n\v\f\r\x85\xa0"


def strings(run: Interpreter) -> Namespace:
    """The import's value."""
    functions = [
        _function("has_prefix", 2, str.startswith),
        _function("has_suffix", 2, str.endswith),
        _function("trim_prefix", 2, str.removeprefix),
        _function("trim_suffix", 2, str.removesuffix),
        _function("trim", 2, lambda text, cut: text.strip(cut) if cut else text),
        _function("trim_left", 2, lambda text, cut: text.lstrip(cut) if cut else text),
        _function("trim_right", 2, lambda text, cut: text.rstrip(cut) if cut else text),
        _function("trim_space", 1, lambda text: text.strip(_SPACES)),
        _function("to_lower", 1, str.lower),
        _function("to_upper", 1, str.upper),
        strict("join", _join, 2),
        strict("split", _split, 2),
        strict("replace", _replace, 3, 4),
    ]
    return members("strings", {each.name: each for each in functions})
