"""Tokens to the syntax tree: recursive descent to a fixed depth, operators by precedence."""

from __future__ import annotations

from haechi.tfe.policy.sentinel import nodes as n
from haechi.tfe.policy.sentinel.errors import PolicyError, Source
from haechi.tfe.policy.sentinel.lexer import Token, read_tokens

MAX_TEXT = 1 << 21  # characters; mock data is written as policies too
MAX_NESTING = 60  # of expressions and blocks
MAX_CHAIN = 100  # of selectors, indices and calls on one value, and of signs before it

_PRECEDENCE = {"or": 1, "xor": 1, "and": 2, "else": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}
_PRECEDENCE |= dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "is", "matches", "contains", "in", "not"), 3)
_CONSTANTS = frozenset({"true", "false", "null", "undefined"})
_ASSIGNMENTS = {"=": "", "+=": "+", "-=": "-", "*=": "*", "/=": "/", "%=": "%"}


def parse_policy(source: Source) -> n.Program:
    """The program in `source`. PolicyError of kind "parse" for anything that is none."""
    if len(source.text) > MAX_TEXT:
        raise PolicyError(f"longer than {MAX_TEXT} characters", "parse", source.name)
    return _Parser(source).program()


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source, self.tokens, self.next = source, read_tokens(source), 0
        self.depth = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.next].kind

    @property
    def at(self) -> int:
        return self.tokens[self.next].at

    @property
    def last_end(self) -> int:
        return self.tokens[self.next - 1].end

    def take(self) -> Token:
        token = self.tokens[self.next]
        self.next += token.kind != "end"
        return token

    def accept(self, kind: str) -> bool:
        found = self.kind == kind
        self.next += found
        return found

    def expect(self, kind: str) -> Token:
        if self.kind != kind:
            raise self.error(f"expected {_shown(kind)}, found {self.found()}")
        return self.take()

    def found(self) -> str:
        token = self.tokens[self.next]
        return "newline" if token.value == "\n" and token.kind == ";" else _shown(token.kind)

    def error(self, message: str, at: int | None = None) -> PolicyError:
        return self.source.error(self.at if at is None else at, message, "parse")

    def skip_lines(self) -> None:
        while self.kind == ";":
            self.next += 1

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error("nested too deeply")

    # statements

    def program(self) -> n.Program:
        imports, params, body = list[n.Import](), list[n.Param](), list[n.Node]()
        self.skip_lines()
        while self.kind == "import":
            imports.append(self.import_declaration())
        while self.kind == "param":
            params.append(self.param_declaration())
        while self.kind != "end":
            if self.kind in ("import", "param"):
                raise self.error(f"{self.kind} declarations must come first, imports before params")
            body.append(self.statement())
            self.end_statement("end")
        return n.Program(_description(self.source.text), tuple(imports), tuple(params), tuple(body))

    def import_declaration(self) -> n.Import:
        at = self.take().at
        token = self.expect("value")
        if not isinstance(token.value, str):
            raise self.error("expected the name of an import", token.at)
        alias = self.expect("ident").value if self.accept("as") else ""
        node = n.Import(at, self.last_end, token.value, alias or token.value.rpartition("/")[2])
        self.end_statement("end")
        return node

    def param_declaration(self) -> n.Param:
        at = self.take().at
        name = self.expect("ident")
        if name.value in _CONSTANTS:
            raise self.error(f"{name.value} is reserved", name.at)
        default = self.expression() if self.accept("default") else None
        if default is not None and not _is_constant(default):
            raise self.error("a param's default must be a literal", default.at)
        node = n.Param(at, self.last_end, name.value, default)
        self.end_statement("end")
        return node

    def end_statement(self, *closing: str) -> None:
        if self.kind not in closing:
            self.expect(";")
        self.skip_lines()

    def block(self) -> tuple[n.Node, ...]:
        self.deeper()
        self.expect("{")
        statements = self.statements("}")
        self.expect("}")
        self.depth -= 1
        return statements

    def statements(self, *closing: str) -> tuple[n.Node, ...]:
        found: list[n.Node] = []
        self.skip_lines()
        while self.kind not in closing:
            found.append(self.statement())
            self.end_statement(*closing)
        return tuple(found)

    def statement(self) -> n.Node:
        at, kind = self.at, self.kind
        if kind == "if":
            return self.if_statement()
        if kind == "for":
            return self.for_statement()
        if kind == "case":
            return self.case_statement()
        if kind in ("break", "continue"):
            self.take()
            return (n.Break if kind == "break" else n.Continue)(at, self.last_end)
        if kind == "return":
            self.take()
            value = self.expression()
            return n.Return(at, value.end, value)
        if kind == "func" and self.tokens[self.next + 1].kind == "ident":
            function = self.function()
            return n.Assign(at, function.end, n.Name(at, function.end, function.name), "", function)
        value = self.expression()
        operator = _ASSIGNMENTS.get(self.kind)
        if operator is None:
            return n.Expression(at, value.end, value)
        if not isinstance(value, n.Name | n.Index) or (isinstance(value, n.Name) and value.name in _CONSTANTS):
            raise self.error("only a variable or an index of one can be assigned", value.at)
        self.take()
        assigned = self.expression()
        return n.Assign(at, assigned.end, value, operator, assigned)

    def if_statement(self) -> n.If:
        at, branches = self.at, list[tuple[n.Node, tuple[n.Node, ...]]]()
        otherwise: tuple[n.Node, ...] = ()
        while True:
            self.expect("if")
            condition = self.expression()
            branches.append((condition, self.block()))
            if not self.accept("else"):
                break
            if self.kind != "if":
                otherwise = self.block()
                break
        return n.If(at, self.last_end, tuple(branches), otherwise)

    def for_statement(self) -> n.For:
        at = self.take().at
        collection = self.expression()
        key, value = self.names()
        return n.For(at, self.last_end, collection, key, value, self.block())

    def case_statement(self) -> n.Case:
        at = self.take().at
        value = None if self.kind == "{" else self.expression()
        self.deeper()
        self.expect("{")
        self.skip_lines()
        clauses, otherwise, done = list[tuple[tuple[n.Node, ...], tuple[n.Node, ...]]](), tuple[n.Node, ...](), False
        while self.kind in ("when", "else") and not done:
            done = self.take().kind == "else"
            wanted = [] if done else [self.expression()]
            while not done and self.accept(","):
                wanted.append(self.expression())
            self.expect(":")
            body = self.statements("when", "else", "}")
            if done:
                otherwise = body
            else:
                clauses.append((tuple(wanted), body))
        self.expect("}")
        self.depth -= 1
        return n.Case(at, self.last_end, value, tuple(clauses), otherwise)

    def names(self) -> tuple[str, str]:
        """`as value` or `as key, value`."""
        self.expect("as")
        first = self.expect("ident").value
        return (first, self.expect("ident").value) if self.accept(",") else ("", first)

    # expressions

    def expression(self) -> n.Node:
        self.deeper()
        node = self.binary(1)
        self.depth -= 1
        return node

    def binary(self, lowest: int) -> n.Node:
        left = self.unary()
        while (precedence := _PRECEDENCE.get(self.kind, 0)) >= lowest:
            if self.kind == "not" and self.tokens[self.next + 1].kind not in ("in", "contains", "matches"):
                break
            rest: list[tuple[str, n.Node]] = []
            while _PRECEDENCE.get(self.kind) == precedence:
                operator = self.operator()
                if operator.startswith("is ") and operator != "is not":
                    left = self.chain(precedence, left, rest)
                    left, rest = n.Test(left.at, self.last_end, left, operator.split()[-1], "not" in operator), []
                else:
                    rest.append((operator, self.binary(precedence + 1)))
            left = self.chain(precedence, left, rest)
        return left

    def chain(self, precedence: int, first: n.Node, rest: list[tuple[str, n.Node]]) -> n.Node:
        if not rest:
            return first
        end = rest[-1][1].end
        if precedence == 4:
            return n.Else(first.at, end, (first, *(value for _, value in rest)))
        return (n.Logical if precedence < 3 else n.Chain)(first.at, end, first, tuple(rest))

    def operator(self) -> str:
        word = self.take().kind
        if word == "not":
            return f"not {self.take().kind}"
        if word == "is":
            word = "is not" if self.accept("not") else "is"
            if self.kind == "ident" and self.tokens[self.next].value in ("empty", "defined"):
                return f"{word} {self.take().value}"
        return {"is": "==", "is not": "!="}.get(word, word)

    def unary(self) -> n.Node:
        signs: list[Token] = []
        while self.kind in ("+", "-", "!", "not"):
            signs.append(self.take())
        if len(signs) > MAX_CHAIN:
            raise self.error("nested too deeply")
        node = self.primary()
        for sign in reversed(signs):
            node = n.Unary(sign.at, node.end, "not" if sign.kind == "!" else sign.kind, node)
        return node

    def primary(self) -> n.Node:
        node = self.operand()
        for _ in range(MAX_CHAIN):
            at = node.at
            if self.accept("."):
                node = n.Select(at, self.tokens[self.next].end, node, self.expect("ident").value)
            elif self.accept("("):
                arguments = self.items(")")
                node = n.Call(at, self.last_end, node, arguments)
            elif self.accept("["):
                node = self.index(node)
            else:
                return node
        raise self.error("nested too deeply")

    def index(self, value: n.Node) -> n.Node:
        low = None if self.kind == ":" else self.expression()
        if low is not None and self.accept("]"):
            return n.Index(value.at, self.last_end, value, low)
        self.expect(":")
        high = None if self.kind == "]" else self.expression()
        self.expect("]")
        return n.Slice(value.at, self.last_end, value, low, high)

    def items(self, closing: str) -> tuple[n.Node, ...]:
        found: list[n.Node] = []
        while not self.accept(closing):
            found.append(self.expression())
            if not self.accept(","):
                self.expect(closing)
                break
        return tuple(found)

    def operand(self) -> n.Node:
        token = self.tokens[self.next]
        if token.kind == "value":
            self.take()
            return n.Literal(token.at, token.end, token.value)
        if token.kind == "ident":
            self.take()
            return n.Name(token.at, token.end, token.value)
        if token.kind == "(":
            self.take()
            node = self.expression()
            self.expect(")")
            return node
        if token.kind == "[":
            self.take()
            items = self.items("]")
            return n.ListLit(token.at, self.last_end, items)
        if token.kind == "{":
            return self.map_literal()
        if token.kind == "func":
            return self.function()
        if token.kind == "rule":
            return self.rule()
        if token.kind in ("any", "all", "filter", "map"):
            self.take()
            collection = self.expression()
            key, value = self.names()
            body = self.braced_expression()
            return n.Quantifier(token.at, self.last_end, token.kind, collection, key, value, body)
        raise self.error(f"expected an expression, found {self.found()}")

    def braced_expression(self) -> n.Node:
        self.expect("{")
        self.skip_lines()
        body = self.expression()
        self.skip_lines()
        self.expect("}")
        return body

    def map_literal(self) -> n.Node:
        at = self.take().at
        pairs: list[tuple[n.Node, n.Node]] = []
        self.skip_lines()
        while not self.accept("}"):
            key = self.expression()
            self.expect(":")
            pairs.append((key, self.expression()))
            self.skip_lines()
            if not self.accept(","):
                self.expect("}")
                break
            self.skip_lines()
        return n.MapLit(at, self.last_end, tuple(pairs))

    def function(self) -> n.FuncLit:
        at = self.take().at
        name = self.take().value if self.kind == "ident" else ""
        self.expect("(")
        params: list[str] = []
        while not self.accept(")"):
            params.append(self.expect("ident").value)
            if not self.accept(","):
                self.expect(")")
                break
        body = self.block()
        return n.FuncLit(at, self.last_end, name, tuple(params), body)

    def rule(self) -> n.RuleLit:
        at = self.take().at
        when = self.expression() if self.accept("when") else None
        body = self.braced_expression()
        return n.RuleLit(at, self.last_end, when, body)


def _shown(kind: str) -> str:
    return {"ident": "a name", "value": "a literal", "end": "the end of the file", ";": "newline or ';'"}.get(kind, f"'{kind}'")


def _is_constant(node: n.Node) -> bool:
    if isinstance(node, n.ListLit):
        return all(map(_is_constant, node.items))
    if isinstance(node, n.MapLit):
        return all(_is_constant(key) and _is_constant(value) for key, value in node.items)
    if isinstance(node, n.Unary):
        return node.operator in "+-" and isinstance(node.value, n.Literal)
    return isinstance(node, n.Literal) or (isinstance(node, n.Name) and node.name in ("true", "false", "null"))


def _description(text: str) -> str:
    """The comment a file begins with, when a blank line parts it from what follows."""
    lines: list[str] = []
    for line in text.split("\n"):
        bare = line.strip()
        if bare.startswith(("#", "//")):
            lines.append(bare.lstrip("#/").strip())
        else:
            return "" if bare else "\n".join(lines).strip()
    return ""
