"""Parameter lists that several actions share, or that are a table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from haechi.cloud.errors import invalid
from haechi.cloud.params import Kind

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fraction(Kind):
    """A number that may have decimals, not negative."""

    def parse(self, name: str, raw: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", raw):
            raise invalid(name, "It must be a number.")
        return float(raw)


def takes(fields: Mapping[str, Kind]) -> Callable[[Function], Function]:
    """Declare a table of optional parameters in place of an action's `**rest`; those not sent are absent there."""

    def extend(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in fields]
        function.__annotations__ |= {name: Annotated[Any, kind] for name, kind in fields.items()}
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return extend
