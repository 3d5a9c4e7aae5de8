"""What a provider is made of: resources, data sources and the record of one object in the middle of an operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from haechi.provider.schema import Fields, Values, block, fields_type, optional
from haechi.provider.types import coerce, equal, is_zero, without_unknown


class Problem(Exception):
    """An error for the person at the terminal: one line saying what failed, details, and the argument at fault."""

    def __init__(self, summary: str, detail: str = "", path: tuple[str | int, ...] = ()) -> None:
        super().__init__(summary)
        self.summary, self.detail, self.path = summary, detail, path


class Data:
    """One object in the middle of an operation: what it was (`prior`), what is wanted, and what is now known of it.

    Reading `d["name"]` gives the value as of now (wanted, until `read` stores what the cloud says); writing converts to the
    argument's type. `d.id = ""` says the object does not exist any more.
    """

    def __init__(self, fields: Fields, values: Mapping[str, Any], prior: Mapping[str, Any] | None = None, timeout: float = 600) -> None:
        self.fields, self.prior, self.timeout = fields, prior, timeout
        self.values: Values = {name: without_unknown(values.get(name)) for name in fields}
        self.id: str = str(self.values.get("id") or "")
        self.new = prior is None

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.values[name] = coerce(self.fields[name].value_type, value)

    def first(self, *names: str) -> Any:
        """The first of several spellings of one argument that has a value (newer and deprecated names)."""
        return next((self.values[n] for n in names if not is_zero(self.values[n])), None)

    def old(self, name: str) -> Any:
        """The value before this operation, None for a new object."""
        return None if self.prior is None else self.prior.get(name)

    def changed(self, *names: str) -> bool:
        """Whether any of these arguments differs from before (null and empty are the same)."""
        pairs = ((self.fields[n].value_type, self.old(n), self.values[n]) for n in names)
        return any(not equal(t, a, b) and not (is_zero(a) and is_zero(b)) for t, a, b in pairs)

    def update(self, **values: Any) -> None:
        """Store several values."""
        for name, value in values.items():
            self[name] = value

    def state(self) -> Values | None:
        """The state to save, None if the object is gone."""
        return {**self.values, "id": self.id} if self.id else None


Operation = Callable[[Any, Data], None]


@dataclass(frozen=True)
class Resource:
    """A managed resource type.

    `create` sets d.id as soon as the object exists (an error after that leaves it saved and tainted); `read` stores what the
    cloud says and is called after create and update too; `timeouts` are the defaults in seconds of the `timeouts {}` block.
    """

    fields: Fields
    create: Operation
    read: Operation
    delete: Operation
    update: Operation | None = None
    version: int = 0
    timeouts: Mapping[str, float] = field(default_factory=dict)
    import_id: Callable[[str], Mapping[str, Any]] | None = lambda given: {"id": given}
    customize: Callable[[Mapping[str, Any] | None, Values], None] | None = None
    refuse: Callable[[Mapping[str, Any]], Problem | None] | None = None
    deprecated: str = ""

    def schema(self) -> Fields:
        """The declared fields with `id` and `timeouts`."""
        every: Fields = {"id": optional(computed=True), **self.fields}
        if not self.timeouts:
            return every
        return {**every, "timeouts": block("single", fields={name: optional(check=duration_problem) for name in self.timeouts})}

    def seconds(self, operation: str, values: Mapping[str, Any]) -> float:
        """How long an operation may take: the configuration's `timeouts {}`, else the default."""
        given = (values.get("timeouts") or {}).get(operation)
        return seconds(given) if isinstance(given, str) else self.timeouts.get(operation, 1200)


@dataclass(frozen=True)
class DataSource:
    """A data source type; `read` sets d.id and the exported values."""

    fields: Fields
    read: Operation
    deprecated: str = ""

    def schema(self) -> Fields:
        """The declared fields with `id`."""
        return {"id": optional(computed=True), **self.fields}


@dataclass(frozen=True)
class Provider:
    """A provider: `configure` makes the object that every operation gets first."""

    name: str
    fields: Fields
    configure: Callable[[Values], Any]
    resources: Mapping[str, Resource]
    data_sources: Mapping[str, DataSource]


def words(text: str) -> list[str]:
    """The words of a text, for long lists of names."""
    return text.split()


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(duration: str) -> float:
    """Seconds of a Go duration such as "1h30m"; ValueError if it is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", duration)
    if not parts or "".join(n + u for n, u in parts) != duration:
        raise ValueError(f'"{duration}" is not a duration such as "10m"')
    return sum(float(n) * _UNITS[u] for n, u in parts)


def duration_problem(value: str) -> str | None:
    """A check: a Go duration."""
    try:
        seconds(value)
    except ValueError as error:
        return str(error)
    return None


def empty_state(fields: Fields) -> Values:
    """A state with every value null and every repeated block empty."""
    t = fields_type(fields)
    return {name: [] if _is_repeated_block(fields[name]) else None for name in t.fields}


def _is_repeated_block(declared: Any) -> bool:
    return getattr(declared, "nesting", "single") != "single"
