"""The syntax tree. `at` and `end` are offsets into the source; chains of operators of one precedence are one flat node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class ListLit(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapLit(Node):
    items: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class FuncLit(Node):
    name: str
    params: tuple[str, ...]
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class RuleLit(Node):
    when: Node | None
    body: Node


@dataclass(frozen=True, slots=True)
class Index(Node):
    value: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Slice(Node):
    value: Node
    low: Node | None
    high: Node | None


@dataclass(frozen=True, slots=True)
class Select(Node):
    value: Node
    name: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    value: Node


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Arithmetic, comparison and set operators of one precedence, from left to right."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """`and`, or `or` and `xor`, from left to right."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Else(Node):
    values: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Test(Node):
    """`is empty`, `is defined` and their `is not` forms."""

    value: Node
    what: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Quantifier(Node):
    operator: str  # any, all, filter, map
    collection: Node
    key: str  # empty where one name was given
    value: str
    body: Node


@dataclass(frozen=True, slots=True)
class Import(Node):
    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class Param(Node):
    name: str
    default: Node | None


@dataclass(frozen=True, slots=True)
class Assign(Node):
    target: Node  # Name or Index
    operator: str  # "" or the arithmetic operator of `x += y`
    value: Node


@dataclass(frozen=True, slots=True)
class Expression(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class If(Node):
    branches: tuple[tuple[Node, tuple[Node, ...]], ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Case(Node):
    value: Node | None
    clauses: tuple[tuple[tuple[Node, ...], tuple[Node, ...]], ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class For(Node):
    collection: Node
    key: str
    value: str
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Break(Node):
    pass


@dataclass(frozen=True, slots=True)
class Continue(Node):
    pass


@dataclass(frozen=True, slots=True)
class Return(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class Program:
    description: str
    imports: tuple[Import, ...]
    params: tuple[Param, ...]
    body: tuple[Node, ...]
