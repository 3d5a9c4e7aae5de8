"""Walks the syntax tree. Every node costs a step; every scope, list, map and text made is counted by the meter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from haechi.tfe.policy.sentinel import nodes as n
from haechi.tfe.policy.sentinel import operators
from haechi.tfe.policy.sentinel.builtins import BUILTINS
from haechi.tfe.policy.sentinel.errors import PolicyError, Source
from haechi.tfe.policy.sentinel.limits import Meter
from haechi.tfe.policy.sentinel.regex import Regex
from haechi.tfe.policy.sentinel.trace import MAX_STEPS, Step
from haechi.tfe.policy.sentinel.values import (
    UNDEFINED,
    Namespace,
    Native,
    Undefined,
    key_value,
    map_key,
    to_bytes,
    to_python,
    to_text,
    type_of,
)

_CONSTANTS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}
_MISSING = object()


class Scope:
    """The variables of one block, and the block around it. `source` is the file it stands in."""

    __slots__ = ("imports", "names", "parent", "source")

    def __init__(self, parent: Scope | None, source: Source) -> None:
        self.parent, self.source = parent, source
        self.imports: frozenset[str] = frozenset()  # names that cannot be assigned
        self.names: dict[str, Any] = {}

    def holder(self, name: str) -> Scope | None:
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of a policy or module, with the scope it was written in."""

    node: n.FuncLit
    scope: Scope


class Rule:
    """A rule: evaluated when first read, then remembered."""

    __slots__ = ("name", "node", "running", "scope", "step", "value")

    def __init__(self, node: n.RuleLit, scope: Scope, name: str, at: Step | None) -> None:
        self.node, self.scope, self.name, self.step = node, scope, name, at
        self.value: Any = _MISSING
        self.running = False


class Leave(Exception):
    """How break, continue and return leave their blocks."""


class _Break(Leave):
    pass


class _Continue(Leave):
    pass


class _Return(Leave):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Interpreter:
    """One evaluation: its prints, its trace and its meter.

    `load(name)` gives the value of an import, or raises PolicyError; `now` is the evaluation's moment in nanoseconds since 1970.
    """

    def __init__(self, meter: Meter, load: Callable[[str], Any], now: int) -> None:
        self.meter, self.load, self.now = meter, load, now
        self.prints: list[str] = []
        self.rules: list[Step] = []
        self.regexes: dict[str, Regex] = {}
        self.parts: list[Step] | None = None  # where the parts of the rule being evaluated are noted
        self.steps_kept = 0
        self.expressions: dict[type, Callable[[Any, Scope], Any]] = {
            n.Literal: self.literal,
            n.Name: self.name,
            n.ListLit: self.list_literal,
            n.MapLit: self.map_literal,
            n.FuncLit: self.function,
            n.RuleLit: self.rule_literal,
            n.Index: self.index,
            n.Slice: self.slice,
            n.Select: self.select,
            n.Call: self.call,
            n.Unary: self.unary,
            n.Chain: self.chain,
            n.Logical: self.logical,
            n.Else: self.alternative,
            n.Test: self.test,
            n.Quantifier: self.quantifier,
        }
        self.statements: dict[type, Callable[[Any, Scope], None]] = {
            n.Expression: self.expression_statement,
            n.Assign: self.assign,
            n.If: self.if_statement,
            n.For: self.for_statement,
            n.Case: self.case_statement,
            n.Break: self.break_statement,
            n.Continue: self.continue_statement,
            n.Return: self.return_statement,
        }

    # programs

    def run(self, program: n.Program, source: Source, given: Mapping[str, Any]) -> Scope:
        """Executes a policy or module; `given` are values of parameters and globals. The scope that holds its variables."""
        scope = Scope(None, source)
        params = {each.name for each in program.params}
        scope.names.update({name: value for name, value in given.items() if name not in params})
        for each in program.imports:
            if each.alias in scope.names:
                raise source.error(each.at, f"{each.alias} is already defined")
            try:
                scope.names[each.alias] = self.load(each.name)
            except PolicyError as error:
                if error.place:
                    raise
                raise source.error(each.at, error.message, error.kind) from None
        scope.imports = frozenset(each.alias for each in program.imports)
        for param in program.params:
            if param.name in scope.names or param.name in BUILTINS:
                raise source.error(param.at, f"{param.name} is already defined")
            if param.name in given:
                scope.names[param.name] = given[param.name]
            elif param.default is not None:
                scope.names[param.name] = self.eval(param.default, scope)
            else:
                raise source.error(param.at, f"requires value for parameter {param.name}")
        try:
            self.block(program.body, scope)
        except Leave as left:
            word = type(left).__name__.strip("_").lower()
            raise PolicyError(f"{word} outside of its block", "runtime", source.name) from None
        return scope

    def block(self, statements: tuple[n.Node, ...], scope: Scope) -> None:
        meter, table = self.meter, self.statements
        for each in statements:
            meter.steps += 1
            if meter.steps >= meter.next_look:
                meter.look()
            table[each.__class__](each, scope)

    def eval(self, node: n.Node, scope: Scope) -> Any:
        meter = self.meter
        meter.steps += 1
        if meter.steps >= meter.next_look:
            meter.look()
        return self.expressions[node.__class__](node, scope)

    def invoke(self, function: Any, arguments: list[Any]) -> Any:
        """Calls a function value, also for the imports that take functions."""
        if function.__class__ is Undefined:
            return function
        if function.__class__ is Native:
            if not function.fewest <= len(arguments) <= function.most:
                raise PolicyError(f"{function.name} does not take {len(arguments)} arguments")
            return function.call(self, *arguments)
        if function.__class__ is not Function:
            raise PolicyError(f"{type_of(function)} is no function")
        node = function.node
        if len(arguments) != len(node.params):
            raise PolicyError(f"{node.name or 'the function'} takes {len(node.params)} arguments, not {len(arguments)}")
        scope = Scope(function.scope, function.scope.source)
        scope.names.update(zip(node.params, arguments, strict=True))
        self.meter.cells(len(arguments))
        self.meter.enter()
        noted, self.parts = self.parts, None
        try:
            self.block(node.body, scope)
        except _Return as left:
            return left.value
        except Leave:
            raise function.scope.source.error(node.at, "break or continue outside of a for statement") from None
        finally:
            self.meter.leave()
            self.parts = noted
        return UNDEFINED

    # expressions

    def literal(self, node: n.Literal, scope: Scope) -> Any:
        return node.value

    def name(self, node: n.Name, scope: Scope) -> Any:
        at: Scope | None = scope
        while at is not None:
            value = at.names.get(node.name, _MISSING)
            if value is not _MISSING:
                return self.force(value) if value.__class__ is Rule else value
            at = at.parent
        if node.name in _CONSTANTS:
            value = _CONSTANTS[node.name]
            return value if value is not UNDEFINED else Undefined(scope.source.place(node.at))
        if node.name in BUILTINS:
            return BUILTINS[node.name]
        raise scope.source.error(node.at, f"unknown identifier accessed: {node.name}")

    def list_literal(self, node: n.ListLit, scope: Scope) -> Any:
        self.meter.cells(len(node.items))
        return [self.eval(each, scope) for each in node.items]

    def map_literal(self, node: n.MapLit, scope: Scope) -> Any:
        self.meter.cells(len(node.items))
        found = {}
        for key, value in node.items:
            found[self.key(self.eval(key, scope), key, scope)] = self.eval(value, scope)
        return found

    def key(self, value: Any, node: n.Node, scope: Scope) -> Any:
        return map_key(value, lambda message: scope.source.error(node.at, message))

    def function(self, node: n.FuncLit, scope: Scope) -> Any:
        return Function(node, scope)

    def rule_literal(self, node: n.RuleLit, scope: Scope) -> Any:
        return self.force(Rule(node, scope, "", None))

    def index(self, node: n.Index, scope: Scope) -> Any:
        value, index = self.eval(node.value, scope), self.eval(node.index, scope)
        kind = value.__class__
        if kind is Undefined or index.__class__ is Undefined:
            return value if kind is Undefined else index
        if kind is dict:
            found = value.get(self.key(index, node.index, scope), _MISSING)
            return Undefined(scope.source.place(node.at)) if found is _MISSING else found
        if value is None:
            return Undefined(scope.source.place(node.at))
        if kind is Namespace:
            return self.member(value, index, node, scope)
        if kind is not list and kind is not str:
            raise scope.source.error(node.at, f"{type_of(value)} cannot be indexed")
        if index.__class__ is not int:
            raise scope.source.error(node.index.at, f"the index of a {type_of(value)} must be an int, not {type_of(index)}")
        if kind is str and not value.isascii():
            self.meter.work(len(value) >> 6)
            data = to_bytes(value)
            return to_text(data[index : index + 1 or None]) if -len(data) <= index < len(data) else Undefined(scope.source.place(node.at))
        return value[index] if -len(value) <= index < len(value) else Undefined(scope.source.place(node.at))

    def slice(self, node: n.Slice, scope: Scope) -> Any:
        value = self.eval(node.value, scope)
        low = 0 if node.low is None else self.eval(node.low, scope)
        high = None if node.high is None else self.eval(node.high, scope)
        for each in (value, low, high):
            if each.__class__ is Undefined:
                return each
        if value is None:
            return Undefined(scope.source.place(node.at))
        if value.__class__ not in (list, str):
            raise scope.source.error(node.at, f"{type_of(value)} cannot be sliced")
        data: Any = to_bytes(value) if value.__class__ is str else value
        high = len(data) if node.high is None else high
        if low.__class__ is not int or high.__class__ is not int:
            raise scope.source.error(node.at, "the bounds of a slice must be ints")
        if not 0 <= low <= high <= len(data):
            return Undefined(scope.source.place(node.at))
        self.meter.cells(high - low if value.__class__ is list else (high - low) >> 6)
        return to_text(data[low:high]) if value.__class__ is str else data[low:high]

    def select(self, node: n.Select, scope: Scope) -> Any:
        value = self.eval(node.value, scope)
        kind = value.__class__
        if kind is dict:
            found = value.get(node.name, _MISSING)
            return found if found is not _MISSING else Undefined(scope.source.place(node.at))
        if kind is Undefined:
            return value
        if kind is Namespace:
            return self.member(value, node.name, node, scope)
        if value is None:
            return Undefined(scope.source.place(node.at))
        raise scope.source.error(node.at, f"{type_of(value)} has no selectors")

    def member(self, value: Namespace, name: Any, node: n.Node, scope: Scope) -> Any:
        found = value.get(name) if name.__class__ is str else UNDEFINED
        if found.__class__ is Rule:
            return self.force(found)
        return Undefined(scope.source.place(node.at)) if found is UNDEFINED else found

    def call(self, node: n.Call, scope: Scope) -> Any:
        function = self.eval(node.function, scope)
        arguments = [self.eval(each, scope) for each in node.arguments]
        try:
            return self.invoke(function, arguments)
        except PolicyError as error:
            if error.place:
                raise
            raise scope.source.error(node.at, error.message, error.kind) from None

    def unary(self, node: n.Unary, scope: Scope) -> Any:
        value = self.eval(node.value, scope)
        if node.operator == "not":
            return operators.negation(value)
        try:
            return operators.sign(node.operator, value)
        except operators.OperatorError as error:
            raise scope.source.error(node.at, str(error)) from None

    def chain(self, node: n.Chain, scope: Scope) -> Any:
        left = self.eval(node.first, scope)
        for operator, operand in node.rest:
            left = self.binary(operator, left, self.eval(operand, scope), node, scope)
        return left

    def binary(self, operator: str, left: Any, right: Any, node: n.Node, scope: Scope) -> Any:
        try:
            if operator in "+-*/%":
                return operators.arithmetic(operator, left, right, self.meter)
            if operator[0] in "=!<>":
                return operators.comparison(operator, left, right, self.meter)
            word = operator.removeprefix("not ")
            if word == "matches":
                value = operators.matches(left, right, self.meter, self.regexes)
            else:
                collection, wanted = (left, right) if word == "contains" else (right, left)
                value = operators.contains(collection, wanted, self.meter)
            return value if word == operator else operators.negation(value)
        except operators.OperatorError as error:
            raise scope.source.error(node.at, str(error)) from None

    def logical(self, node: n.Logical, scope: Scope) -> Any:
        noted = self.parts
        left = self.part(node.first, scope, noted)
        for operator, operand in node.rest:
            if (operator == "and" and left is False) or (operator == "or" and left is True):
                continue
            left = operators.logical(operator, left, self.part(operand, scope, noted))
        return left if left.__class__ is bool or left.__class__ is Undefined else UNDEFINED

    def part(self, node: n.Node, scope: Scope, noted: list[Step] | None) -> Any:
        """Evaluates a part of a rule's boolean expression, noting it in the trace."""
        if noted is None or self.steps_kept >= MAX_STEPS:
            self.parts = None
            try:
                return self.eval(node, scope)
            finally:
                self.parts = noted
        self.steps_kept += 1
        step = Step(scope.source.text[node.at : node.end][:500], scope.source.place(node.at))
        noted.append(step)
        self.parts = step.parts if isinstance(node, n.Logical | n.Name) else None
        try:
            value = self.eval(node, scope)
        finally:
            self.parts = noted
        self.note(step, value)
        return value

    def note(self, step: Step, value: Any) -> None:
        step.undefined = value.__class__ is Undefined
        if value.__class__ is bool:
            step.value = value
        elif not step.undefined:
            step.value = to_python(value, self.meter)

    def force(self, rule: Rule) -> Any:
        """The value of a rule."""
        if rule.value is not _MISSING:
            return rule.value
        source, node = rule.scope.source, rule.node
        if rule.running:
            raise source.error(node.at, "the rule needs its own value")
        noted, parts = self.parts, list[Step]()
        rule.running = True
        self.meter.enter()
        try:
            self.parts = None
            applies = node.when is None or self.eval(node.when, rule.scope) is True
            if applies:
                self.parts = parts
                value = self.eval(node.body, rule.scope) if isinstance(node.body, n.Logical) else self.part(node.body, rule.scope, parts)
            else:
                value = True
        finally:
            rule.running = False
            self.parts = noted
            self.meter.leave()
        rule.value = value
        if rule.step is not None:
            rule.step.parts = parts if isinstance(node.body, n.Logical) else parts[0].parts if parts else []
            self.note(rule.step, value)
            self.rules.append(rule.step)
        if noted is not None and applies and self.steps_kept < MAX_STEPS:
            if isinstance(node.body, n.Logical):
                self.steps_kept += 1
                step = Step(source.text[node.body.at : node.body.end][:500], source.place(node.body.at), parts=parts)
                self.note(step, value)
                parts = [step]
            noted += parts
        return value

    def alternative(self, node: n.Else, scope: Scope) -> Any:
        value: Any = UNDEFINED
        for each in node.values:
            value = self.eval(each, scope)
            if value.__class__ is not Undefined:
                break
        return value

    def test(self, node: n.Test, scope: Scope) -> Any:
        value = self.eval(node.value, scope)
        if node.what == "defined":
            return (value.__class__ is not Undefined) is not node.negated
        try:
            value = operators.emptiness(value)
        except operators.OperatorError as error:
            raise scope.source.error(node.at, str(error)) from None
        return operators.negation(value) if node.negated else value

    def pairs(self, value: Any, key: str, node: n.Node, scope: Scope) -> list[tuple[Any, Any]]:
        """What a for statement or quantifier goes through: (key, value), with the key as the value where one name was given for a map."""
        if value.__class__ is Namespace:
            value = value.shown()
        if value.__class__ is list:
            self.meter.cells(len(value))
            return list(enumerate(value))
        if value.__class__ is dict:
            self.meter.cells(len(value))
            return [(key_value(each), held if key else key_value(each)) for each, held in value.items()]
        raise scope.source.error(node.at, f"only lists and maps can be gone through, not {type_of(value)}")

    def quantifier(self, node: n.Quantifier, scope: Scope) -> Any:
        collection = self.eval(node.collection, scope)
        if collection.__class__ is Undefined:
            return collection
        pairs = self.pairs(collection, node.key, node.collection, scope)
        noted, self.parts = self.parts, None
        try:
            return self.quantified(node, scope, pairs, collection)
        finally:
            self.parts = noted

    def quantified(self, node: n.Quantifier, scope: Scope, pairs: list[tuple[Any, Any]], collection: Any) -> Any:
        operator = node.operator
        result: Any = operator == "all"
        mapped: list[Any] = []
        kept: list[tuple[Any, Any]] = []
        for key, value in pairs:
            inner = Scope(scope, scope.source)
            if node.key:
                inner.names[node.key] = key
            inner.names[node.value] = value
            self.meter.cells(2)
            found = self.eval(node.body, inner)
            if operator == "map":
                mapped.append(found)
            elif operator == "filter":
                if found.__class__ is not bool:
                    return found if found.__class__ is Undefined else UNDEFINED
                if found:
                    kept.append((key, value))
            else:
                result = operators.logical("and" if operator == "all" else "or", result, found)
                if result is (operator == "any"):
                    break
        if operator == "map":
            return mapped
        if operator != "filter":
            return result
        if collection.__class__ is list:
            return [value for _, value in kept]
        held = collection.shown() if collection.__class__ is Namespace else collection
        found_keys = [map_key(key, PolicyError) for key, _ in kept]
        return {key: held[key] for key in found_keys}

    # statements

    def expression_statement(self, node: n.Expression, scope: Scope) -> None:
        self.eval(node.value, scope)

    def assign(self, node: n.Assign, scope: Scope) -> None:
        target = node.target
        if isinstance(target, n.Index):
            self.assign_index(node, target, scope)
            return
        assert isinstance(target, n.Name)
        if isinstance(node.value, n.RuleLit) and not node.operator:
            step = Step(f'Rule "{target.name}"', scope.source.place(node.at)) if scope.parent is None else None
            value: Any = Rule(node.value, scope, target.name, step)
        elif node.operator:
            left = self.name(target, scope)
            value = self.binary(node.operator, left, self.eval(node.value, scope), node, scope)
        else:
            value = self.eval(node.value, scope)
        holder = scope.holder(target.name) or scope
        if target.name in holder.imports:
            raise scope.source.error(node.at, f"cannot assign to import {target.name}")
        holder.names[target.name] = value

    def assign_index(self, node: n.Assign, target: n.Index, scope: Scope) -> None:
        value = self.eval(node.value, scope)
        index, held = self.eval(target.index, scope), self.eval(target.value, scope)
        if held.__class__ is dict:
            key = self.key(index, target.index, scope)
            if node.operator:
                value = self.binary(node.operator, held.get(key, UNDEFINED), value, node, scope)
            self.meter.cells(1)
            held[key] = value
        elif held.__class__ is list:
            if index.__class__ is not int or not -len(held) <= index < len(held):
                raise scope.source.error(target.at, "list index out of range")
            held[index] = self.binary(node.operator, held[index], value, node, scope) if node.operator else value
        else:
            raise scope.source.error(target.at, f"{type_of(held)} cannot be assigned by index")

    def if_statement(self, node: n.If, scope: Scope) -> None:
        for condition, body in node.branches:
            if self.eval(condition, scope) is True:
                self.block(body, scope)
                return
        self.block(node.otherwise, scope)

    def for_statement(self, node: n.For, scope: Scope) -> None:
        for key, value in self.pairs(self.eval(node.collection, scope), node.key, node.collection, scope):
            inner = Scope(scope, scope.source)
            if node.key:
                inner.names[node.key] = key
            inner.names[node.value] = value
            self.meter.cells(2)
            try:
                self.block(node.body, inner)
            except _Continue:
                continue
            except _Break:
                break

    def case_statement(self, node: n.Case, scope: Scope) -> None:
        value = True if node.value is None else self.eval(node.value, scope)
        for wanted, body in node.clauses:
            if any(self.binary("==", value, self.eval(each, scope), each, scope) is True for each in wanted):
                self.block(body, scope)
                return
        self.block(node.otherwise, scope)

    def break_statement(self, node: n.Break, scope: Scope) -> None:
        raise _Break

    def continue_statement(self, node: n.Continue, scope: Scope) -> None:
        raise _Continue

    def return_statement(self, node: n.Return, scope: Scope) -> None:
        raise _Return(self.eval(node.value, scope))
