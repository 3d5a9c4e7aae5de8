"""The version import: versions and constraints as HashiCorp's own tools compare them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.imports.arguments import need, strict
from haechi.tfe.policy.sentinel.values import Namespace, members

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter

_VERSION = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,5})(?:-([0-9A-Za-z.~-]{1,64}))?(?:\+([0-9A-Za-z.~-]{1,64}))?")
_CONSTRAINT = re.compile(r"\s*(~>|>=|<=|!=|>|<|=|)\s*(\S+)\s*")

Version = tuple[tuple[int, ...], str, str, int]  # segments (three at least), prerelease, metadata, how many segments were written


def parse_version(value: Any) -> Version:
    """The parts of a version given as a text, or as what `version.new` gave."""
    if value.__class__ is Namespace:
        value = value.shown().get("version")
    found = _VERSION.fullmatch(need(value, str, "version"))
    if found is None:
        raise PolicyError("malformed version")
    segments = tuple(int(each) for each in found[1].split("."))
    return segments + (0,) * (3 - len(segments)), found[2] or "", found[3] or "", len(segments)


def order(version: Version) -> tuple[Any, ...]:
    """A key that sorts versions: a prerelease comes before its release."""
    parts = [(0, int(each), "") if each.isdigit() else (1, 0, each) for each in version[1].split(".")] if version[1] else []
    return version[0] + (0,) * (6 - len(version[0])), not version[1], parts


def satisfies(version: Version, constraints: str) -> bool:
    """Whether a version meets every constraint of a text like ">= 1.2, < 2.0"."""
    for each in constraints.split(","):
        found = _CONSTRAINT.fullmatch(each)
        if found is None:
            raise PolicyError("malformed constraint")
        if not _meets(version, found[1] or "=", parse_version(found[2])):
            return False
    return True


def _meets(version: Version, operator: str, wanted: Version) -> bool:
    mine, other = order(version), order(wanted)
    if operator in ("=", "!="):
        return (mine == other) is (operator == "=")
    # A prerelease meets only constraints that name a prerelease of the same version.
    if version[1] and not (wanted[1] and version[0] == wanted[0]):
        return False
    if operator == "~>":
        if wanted[1] and not version[1]:
            return False
        fixed = max(wanted[3] - 1, 1)
        return mine >= other and version[0][:fixed] == wanted[0][:fixed]
    return {">": mine > other, "<": mine < other, ">=": mine >= other, "<=": mine <= other}[operator]


def _new(run: Interpreter, value: Any) -> Namespace:
    version = parse_version(value)
    text = ".".join(map(str, version[0])) + (f"-{version[1]}" if version[1] else "") + (f"+{version[2]}" if version[2] else "")
    fields = {
        "major": version[0][0],
        "minor": version[0][1],
        "patch": version[0][2],
        "prerelease": version[1],
        "metadata": version[2],
        "version": text,
    }
    mine = order(version)
    tests: dict[str, Any] = {
        "greater_than": lambda other: mine > other,
        "gt": lambda other: mine > other,
        "greater_than_or_equals": lambda other: mine >= other,
        "gte": lambda other: mine >= other,
        "less_than": lambda other: mine < other,
        "lt": lambda other: mine < other,
        "less_than_or_equals": lambda other: mine <= other,
        "lte": lambda other: mine <= other,
        "is": lambda other: mine == other,
        "equals": lambda other: mine == other,
        "is_not": lambda other: mine != other,
    }

    def function(name: str, test: Any) -> Any:
        return strict(name, lambda run, other: test(order(parse_version(other))), 1)

    found: dict[str, Any] = {name: function(name, test) for name, test in tests.items()}
    found["satisfies"] = strict("satisfies", lambda run, text: satisfies(version, need(text, str, "satisfies")), 1)
    return members("version", fields | found, fields)


def version(run: Interpreter) -> Namespace:
    return members("version", {"new": strict("new", _new, 1)})
