"""What the functions of imports ask of their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.values import Native, Undefined, type_of


def strict(name: str, call: Callable[..., Any], fewest: int, most: int | None = None) -> Native:
    """A function that is undefined as soon as one of its arguments is."""

    def checked(run: Any, *arguments: Any) -> Any:
        for each in arguments:
            if each.__class__ is Undefined:
                return each
        return call(run, *arguments)

    return Native(name, checked, fewest, fewest if most is None else most)


def need(value: Any, kind: type, what: str) -> Any:
    """The value, if it is of the kind; PolicyError if not."""
    if value.__class__ is not kind:
        names = {str: "a string", list: "a list", dict: "a map", int: "an int"}
        raise PolicyError(f"{what} needs {names[kind]}, not {type_of(value)}")
    return value
