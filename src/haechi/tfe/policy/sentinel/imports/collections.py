"""The collection imports: helpers for lists and maps."""

from __future__ import annotations

import functools
from typing import Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.imports.arguments import need, strict
from haechi.tfe.policy.sentinel.interpreter import Function, Interpreter
from haechi.tfe.policy.sentinel.values import MAX_DEPTH, UNDEFINED, Namespace, Native, Undefined, equal, key_value, members, type_of


def _pairs(run: Interpreter, items: Any, what: str) -> list[tuple[Any, Any]]:
    """(the arguments of a predicate, the element) of a list's elements or a map's values."""
    if items.__class__ is Namespace:
        items = items.shown()
    if items.__class__ is list:
        run.meter.cells(len(items))
        return [((each,), each) for each in items]
    if items.__class__ is dict:
        run.meter.cells(len(items))
        return [((each, key_value(key)), each) for key, each in items.items()]
    raise PolicyError(f"{what} needs a list or map, not {type_of(items)}")


def _holds(run: Interpreter, predicate: Any, arguments: tuple[Any, ...]) -> bool:
    """A predicate may take the element alone, or a map's key (a list's index is not given) beside it."""
    count = len(predicate.node.params) if isinstance(predicate, Function) else 1
    return run.invoke(predicate, list(arguments[:count])) is True


def _find(run: Interpreter, items: Any, predicate: Any) -> Any:
    for arguments, each in _pairs(run, items, "collection.find"):
        if _holds(run, predicate, arguments):
            return each
    return UNDEFINED


def _filter(run: Interpreter, items: Any, predicate: Any) -> Any:
    return [each for arguments, each in _pairs(run, items, "collection.filter") if _holds(run, predicate, arguments)]


def _reject(run: Interpreter, items: Any, predicate: Any) -> Any:
    return [each for arguments, each in _pairs(run, items, "collection.reject") if not _holds(run, predicate, arguments)]


def _matches(run: Interpreter, items: Any, partial: Any) -> Any:
    return [each for _, each in _pairs(run, items, "collection.matches") if _covers(run, each, partial, 0)]


def _covers(run: Interpreter, value: Any, partial: Any, depth: int) -> bool:
    """Whether everything that `partial` says is so in `value`."""
    if depth > MAX_DEPTH:
        raise PolicyError("values nested too deeply to compare", "limit")
    if partial.__class__ is dict and value.__class__ is dict:
        return all(key in value and _covers(run, value[key], each, depth + 1) for key, each in partial.items())
    return equal(value, partial, run.meter)


def collection(run: Interpreter) -> Namespace:
    functions = [strict("find", _find, 2), strict("filter", _filter, 2), strict("reject", _reject, 2), strict("matches", _matches, 2)]
    return members("collection", {each.name: each for each in functions})


def _concat(run: Interpreter, *several: Any) -> Any:
    run.meter.cells(sum(len(need(each, list, "lists.concat")) for each in several))
    return [element for each in several for element in each]


def _contains(run: Interpreter, items: list[Any], wanted: Any) -> bool:
    return any(equal(each, wanted, run.meter) for each in items)


def _difference(run: Interpreter, items: Any, *others: Any) -> Any:
    removed = _concat(run, *others)
    return [each for each in need(items, list, "lists.difference") if not _contains(run, removed, each)]


def _unique(run: Interpreter, items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for each in items:
        if not _contains(run, found, each):
            found.append(each)
    return found


def _union(run: Interpreter, *several: Any) -> Any:
    return _unique(run, _concat(run, *several))


def _intersection(run: Interpreter, items: Any, *others: Any) -> Any:
    for each in others:
        need(each, list, "lists.intersection")
    held = _unique(run, need(items, list, "lists.intersection"))
    return [each for each in held if all(_contains(run, other, each) for other in others)]


def _sort(run: Interpreter, items: Any, order: Any) -> Any:
    def compare(left: Any, right: Any) -> int:
        result = run.invoke(order, [left, right])
        if result.__class__ is not int:
            raise PolicyError(f"lists.sort needs a function that returns -1, 0 or 1, not {type_of(result)}")
        return int(result)

    run.meter.cells(len(need(items, list, "lists.sort")))
    return sorted(items, key=functools.cmp_to_key(compare))


def _sum(run: Interpreter, items: Any) -> Any:
    total = 0.0
    for each in need(items, list, "lists.sum"):
        if each.__class__ not in (int, float):
            raise PolicyError(f"lists.sum cannot add {type_of(each)}")
        total += each
    run.meter.work(len(items))
    return total


def lists(run: Interpreter) -> Namespace:
    difference = strict("difference", _difference, 1, 100)
    functions = [
        strict("concat", _concat, 2, 100),
        difference,
        strict("intersection", _intersection, 1, 100),
        strict("union", _union, 1, 100),
        strict("sort", _sort, 2),
        strict("sum", _sum, 1),
    ]
    return members("lists", {each.name: each for each in functions} | {"diff": difference})


def _path(path: Any, what: str) -> list[str]:
    parts: list[str] = need(path, str, what).split(".")
    if len(parts) > MAX_DEPTH:
        raise PolicyError(f"{what}: the path is too long")
    return parts


def _at(run: Interpreter, value: Any, parts: list[str]) -> Any:
    """What lies at a path: keys of maps, indices of lists, `*` for every element of a list."""
    run.meter.work(1)
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    if value.__class__ is Namespace:
        value = value.shown()
    if value.__class__ is dict:
        return _at(run, value[part], rest) if part in value else UNDEFINED
    if value.__class__ is list and part == "*":
        run.meter.cells(len(value))
        found = [_at(run, each, rest) for each in value]
        return [each for each in found if each.__class__ is not Undefined]
    if value.__class__ is list and _index(part, value) is not None:
        return _at(run, value[int(part)], rest)
    return UNDEFINED


def _index(part: str, items: list[Any]) -> int | None:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(items) else None


def _get(run: Interpreter, value: Any, path: Any, default: Any = UNDEFINED) -> Any:
    if value.__class__ is Undefined or path.__class__ is Undefined:
        return default
    found = _at(run, value, _path(path, "maps.get"))
    return default if found.__class__ is Undefined else found


def _has(run: Interpreter, value: Any, path: Any) -> Any:
    return _at(run, value, _path(path, "maps.has")).__class__ is not Undefined


def _set(run: Interpreter, value: Any, parts: list[str], new: Any) -> Any:
    if not parts:
        return new
    part, rest = parts[0], parts[1:]
    if value.__class__ is list:
        run.meter.cells(len(value))
        chosen = range(len(value)) if part == "*" else [_index(part, value)]
        if None in chosen:
            raise PolicyError(f"maps.set: {part} is no index of the list")
        return [_set(run, each, rest, new) if at in chosen else each for at, each in enumerate(value)]
    held = value if value.__class__ is dict else {}
    run.meter.cells(len(held) + 1)
    return {**held, part: _set(run, held.get(part), rest, new)}


def _unset(run: Interpreter, value: Any, parts: list[str]) -> Any:
    part, rest = parts[0], parts[1:]
    if value.__class__ is list:
        run.meter.cells(len(value))
        chosen = set(range(len(value))) if part == "*" else {_index(part, value)}
        return [_unset(run, each, rest) if at in chosen else each for at, each in enumerate(value) if rest or at not in chosen]
    if value.__class__ is not dict or part not in value:
        return value
    run.meter.cells(len(value))
    if not rest:
        return {key: each for key, each in value.items() if key != part}
    return {**value, part: _unset(run, value[part], rest)}


def _pick(run: Interpreter, value: Any, paths: Any) -> Any:
    trees: dict[str, Any] = {}
    for path in need(paths, list, "maps.pick"):
        tree = trees
        for part in _path(path, "maps.pick"):
            tree = tree.setdefault(part, {})
    return _picked(run, need(value, dict, "maps.pick"), trees)


def _picked(run: Interpreter, value: Any, wanted: dict[str, Any]) -> Any:
    if not wanted:
        return value
    if value.__class__ is list:
        run.meter.cells(len(value))
        found = [(each, wanted.get("*", wanted.get(str(at)))) for at, each in enumerate(value)]
        return [_picked(run, each, deeper) for each, deeper in found if deeper is not None]
    if value.__class__ is not dict:
        return UNDEFINED
    run.meter.cells(len(wanted))
    picked = {key: _picked(run, value[key], deeper) for key, deeper in wanted.items() if key in value}
    return {key: each for key, each in picked.items() if each.__class__ is not Undefined}


def _omit(run: Interpreter, value: Any, paths: Any) -> Any:
    for path in need(paths, list, "maps.omit"):
        value = _unset(run, value, _path(path, "maps.omit"))
    return value


def maps(run: Interpreter) -> Namespace:
    functions = [
        Native("get", _get, 2, 3),
        strict("has", _has, 2),
        strict("pick", _pick, 2),
        strict("omit", _omit, 2),
        strict("set", lambda run, value, path, new: _set(run, value, _path(path, "maps.set"), new), 3),
        strict("unset", lambda run, value, path: _unset(run, value, _path(path, "maps.unset")), 2),
    ]
    return members("maps", {each.name: each for each in functions})
