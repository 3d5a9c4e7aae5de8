"""One policy, evaluated: its imports found, its rules asked, everything that can go wrong turned into a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from haechi.tfe.policy.sentinel.errors import PolicyError, Source
from haechi.tfe.policy.sentinel.imports import STANDARD
from haechi.tfe.policy.sentinel.interpreter import Interpreter, Rule, Scope
from haechi.tfe.policy.sentinel.limits import Limits, Meter
from haechi.tfe.policy.sentinel.parser import parse_policy
from haechi.tfe.policy.sentinel.trace import Step, render_trace
from haechi.tfe.policy.sentinel.values import UNDEFINED, Namespace, Undefined, from_python, to_python


@dataclass(frozen=True)
class Module:
    """An import written in Sentinel: a module, or a mock with `source`."""

    name: str
    text: str = field(repr=False)


# Plain data, or a function that gives it; the data may hold functions that take and return plain data.
Import = Module | Mapping[str, Any] | Callable[[], Mapping[str, Any]]


@dataclass
class Answer:
    """What one rule came to. `value` is plain data; None with `undefined` or `error`, too."""

    value: Any = None
    undefined: bool = False
    error: PolicyError | None = None


@dataclass
class Result:
    """`status`: passed, failed, undefined (failed, but for want of a value) or error. `answers` has the rules that were asked for."""

    name: str
    status: str
    answers: dict[str, Answer] = field(default_factory=dict)
    prints: list[str] = field(default_factory=list)
    rules: list[Step] = field(default_factory=list)
    description: str = ""
    error: PolicyError | None = None
    undefined_at: str = ""  # file:line:column where main's undefined value came from
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    def trace(self) -> str:
        return render_trace(self.rules, self.description)


def evaluate(
    name: str,
    text: str,
    params: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    imports: Mapping[str, Import] | None = None,
    limits: Limits | None = None,
    now: int | None = None,
    wanted: Sequence[str] = ("main",),
) -> Result:
    """Evaluates the policy `text`, called `name` in places. Raises nothing of the policy's making: its faults are in the result.

    params: values for its `param` declarations; given: values of further global names; imports: what stands behind import names, before
    the standard ones; now: nanoseconds since 1970; wanted: the rules (or variables) to ask, main among them or not.
    """
    meter = Meter(limits or Limits())
    source, result = Source(name, text), Result(name, "error")
    loader = _Loader(imports or {})
    run = loader.run = Interpreter(meter, loader, time.time_ns() if now is None else now)
    result.prints, result.rules = run.prints, run.rules
    try:
        program = parse_policy(source)
        result.description = program.description
        values = {key: from_python(value, meter) for key, value in {**(given or {}), **(params or {})}.items()}
        scope = run.run(program, source, values)
        for each in wanted:
            result.answers[each] = _ask(run, scope, each, result)
        result.status = _status(result)
    except PolicyError as error:
        result.error = error
    except RecursionError:
        result.error = PolicyError("nested too deeply", "limit", name)
    result.seconds = meter.clock() - meter.started
    return result


def _ask(run: Interpreter, scope: Scope, name: str, result: Result) -> Answer:
    if name not in scope.names:
        error = PolicyError(f"no rule {name!r}" if name != "main" else "no main rule", "runtime", scope.source.name)
        result.error = error if name == "main" else result.error
        return Answer(error=error)
    value = scope.names[name]
    try:
        value = run.force(value) if value.__class__ is Rule else value
    except PolicyError as error:
        if name == "main":
            result.error = error
        return Answer(error=error)
    if value.__class__ is Undefined:
        if name == "main":
            result.undefined_at = value.place
        return Answer(undefined=True)
    return Answer(to_python(value, run.meter))


def _status(result: Result) -> str:
    main = result.answers.get("main")
    if main is None:
        return "passed"
    if main.error:
        return "error"
    if main.undefined:
        return "undefined"
    if isinstance(main.value, bool):
        return "passed" if main.value else "failed"
    # A main that lists violations passes when there are none.
    return "failed" if main.value else "passed"


def _data(name: str, data: Mapping[str, Any], meter: Meter) -> Namespace:
    """Plain data as an import: every member becomes a value when it is first read, for a plan may be large and hardly be used."""
    values: dict[str, Any] = {}

    def get(member: str) -> Any:
        if member not in values:
            values[member] = from_python(data[member], meter) if member in data else UNDEFINED
        return values[member]

    return Namespace(name, get, lambda: {key: get(key) for key in data})


class _Loader:
    """Finds imports, once per evaluation."""

    run: Interpreter

    def __init__(self, imports: Mapping[str, Import]) -> None:
        self.imports = imports
        self.found: dict[str, Any] = {}
        self.loading: set[str] = set()

    def __call__(self, name: str) -> Any:
        if name not in self.found:
            if name in self.loading:
                raise PolicyError(f"import {name!r} imports itself")
            self.loading.add(name)
            self.found[name] = self.load(name)
        return self.found[name]

    def load(self, name: str) -> Any:
        behind = self.imports.get(name)
        if isinstance(behind, Module):
            source = Source(behind.name, behind.text)
            self.run.meter.enter()
            scope = self.run.run(parse_policy(source), source, {})
            self.run.meter.leave()
            return Namespace(name, lambda member: scope.names.get(member, UNDEFINED))
        if behind is not None:
            return _data(name, behind() if callable(behind) else behind, self.run.meter)
        if name in STANDARD:
            return STANDARD[name](self.run)
        raise PolicyError(f'Import "{name}" is not available')
