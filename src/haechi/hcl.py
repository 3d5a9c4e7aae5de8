"""HCL 1 as Vault's and Sentinel's configuration files and policies use it, or the same document as JSON. Pure.

A document, and every block in it, is a Body: {key: [each value written for the key, in order]}. A value is text, int, float, bool, None,
a list or a Body. A label is a body around the body, so `path "a" { x = 1 }`, `path = { a = { x = 1 } }` and {"path": {"a": {"x": 1}}}
are all {"path": [{"a": [{"x": [1]}]}]}. `blocks` and `last` read it, also where a list of bodies stands for repeated blocks.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from typing import Any, NoReturn

MAX_TEXT = 1 << 20  # characters; reading takes up to some 2 seconds per million
MAX_DEPTH = 64  # of blocks, labels and lists together


class HclError(ValueError):
    """What is wrong with a document. `line` counts from 1; 0 where the fault has no place of its own."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class Body(dict[str, list[Any]]):
    """One document or block; `lines` has the line of each value, in the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, list[int]] = {}

    def add(self, key: str, value: object, line: int) -> None:
        self.setdefault(key, []).append(value)
        self.lines.setdefault(key, []).append(line)

    def extend(self, other: Body) -> None:
        """Everything `other` says, after what this body says."""
        for key, values in other.items():
            for value, line in zip(values, other.lines[key], strict=True):
                self.add(key, value, line)


def parse_hcl(text: str, literals: bool = False) -> Body:
    """The document in `text`: JSON if it starts with `{`, else HCL. HclError with "At line:column: ..." for anything that is neither.

    With `literals` the value syntax of HCL 2 is read too: `null`, and `:` for `=` in maps.
    """
    if len(text) > MAX_TEXT:
        raise HclError(f"longer than {MAX_TEXT} characters")
    _check_characters(text)
    is_json = text.lstrip(" \t\r\n").startswith("{")
    if is_json:
        _check_json(text)
    parser = _Parser(text, is_json, literals or is_json)
    if is_json:
        parser.take()
    body = parser.body("RBRACE" if is_json else "EOF", 1)
    if is_json:
        _check_texts(body)
    return body


def blocks(body: Body, key: str, labels: int = 0) -> list[tuple[tuple[str, ...], Body]]:
    """Every block called `key`, in order, with its labels. HclError where something else than a block has the name."""
    found: list[tuple[tuple[str, ...], Body]] = []

    def descend(value: object, line: int, names: tuple[str, ...]) -> None:
        if isinstance(value, list):
            for each in value:
                descend(each, line, names)
        elif not isinstance(value, Body):
            raise HclError(f'"{key}" on line {line} must be a block', line)
        elif len(names) == labels:
            found.append((names, value))
        else:
            for name, values in value.items():
                for each, at in zip(values, value.lines[name], strict=True):
                    descend(each, at, (*names, name))

    for value, line in zip(body.get(key, ()), body.lines.get(key, ()), strict=True):
        descend(value, line, ())
    return found


def last(body: Body, key: str) -> Any:
    """The value of an attribute (the last one where it was written again); None where it was not written."""
    values = body.get(key)
    return values[-1] if values else None


def plain(value: object) -> Any:
    """A value as JSON would give it: a Body becomes a dict of last values."""
    if isinstance(value, Body):
        return {key: plain(values[-1]) for key, values in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def _check_characters(text: str) -> None:
    at = text.find("\x00")
    if at >= 0:
        _fail(text, at, "unexpected null character (0x00)")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        _fail(text, error.start, "illegal UTF-8 encoding")


def _check_json(text: str) -> None:
    def refuse(constant: str) -> NoReturn:
        raise HclError(f"invalid JSON: {constant} is not a value")

    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise HclError(f"At {error.lineno}:{error.colno}: {error.msg}", error.lineno) from None
    except RecursionError:
        raise HclError("At 1:1: nested too deeply", 1) from None


def _check_texts(value: object) -> None:
    """JSON can spell half a surrogate pair, which is no text and could be stored nowhere."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise HclError("illegal char escape: half a surrogate pair") from None
    elif isinstance(value, Body):
        for key, values in value.items():
            _check_texts(key)
            _check_texts(values)
    elif isinstance(value, list):
        for each in value:
            _check_texts(each)


def _fail(text: str, at: int, message: str) -> NoReturn:
    line = text.count("\n", 0, at) + 1
    raise HclError(f"At {line}:{at - text.rfind(chr(10), 0, at)}: {message}", line)


# No alternative can start where another one also can, and none backtracks: reading is linear whatever the text.
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*|//[^\n]*|/\*(?s:.*?)\*/)*")
_TOKEN = re.compile(
    r"(?P<IDENT>[^\W\d][\w.-]*)"
    r'|(?P<STRING>"[^"\\\n]*(?:\\.[^"\\\n]*)*")'
    r"|(?P<NUMBER>-?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))"
    r"|(?P<HEREDOC><<-?\w+\r?\n)"
    r"|(?P<LBRACE>\{)|(?P<RBRACE>\})|(?P<LBRACK>\[)|(?P<RBRACK>\])|(?P<COMMA>,)|(?P<ASSIGN>[=:])"
)
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}

_Token = tuple[str, str, int]  # kind, text, offset


class _Parser:
    """Recursive descent, to MAX_DEPTH. JSON comes here checked by the json module; then `:` is `=` and `null` a value."""

    def __init__(self, text: str, is_json: bool, literals: bool) -> None:
        self.text, self.is_json, self.literals, self.at = text, is_json, literals, 0
        self.newlines = [found.start() for found in re.finditer("\n", text)]
        self.ahead: _Token | None = None

    def take(self) -> _Token:
        if self.ahead is not None:
            token, self.ahead = self.ahead, None
            return token
        start = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches nothing, too
        found = _TOKEN.match(self.text, start)
        if found is None or (found[0] == ":" and not self.literals):
            return self._no_token(start)
        self.at = found.end()
        kind = str(found.lastgroup)
        return kind, self._heredoc(found[0]) if kind == "HEREDOC" else found[0], start

    def peek(self) -> _Token:
        self.ahead = self.take()
        return self.ahead

    def _no_token(self, start: int) -> _Token:
        rest = self.text[start : start + 2]
        if not rest:
            return "EOF", "", start
        if rest == "/*":
            self.fail(start, "comment not terminated")
        if rest[0] == '"':
            self.fail(start, "literal not terminated")
        self.fail(start, "invalid characters in heredoc anchor" if rest == "<<" else "illegal char")

    def _heredoc(self, opening: str) -> str:
        anchor = re.escape(opening.strip("<-\r\n"))
        end = re.compile(rf"^[ \t]*{anchor}\r*$\n?", re.MULTILINE).search(self.text, self.at)
        if end is None:
            self.fail(self.at - len(opening), "heredoc not terminated")
        content = self.text[self.at : end.start()]
        self.at = end.end()
        indent = end[0][: len(end[0]) - len(end[0].lstrip(" \t"))]
        if opening[2] == "-" and indent:
            lines = re.findall(r"[^\n]*\n", content)
            if all(line.startswith(indent) for line in lines):
                return "".join(line[len(indent) :] for line in lines)
        return content

    def fail(self, at: int, message: str) -> NoReturn:
        _fail(self.text, at, message)

    def line(self, at: int) -> int:
        return bisect_left(self.newlines, at) + 1

    def body(self, closing: str, depth: int) -> Body:
        """The items up to `closing`, which is taken too."""
        body, assigned = Body(), set[str]()
        while True:
            keys, kind, at = self._keys()
            if not keys:
                if kind == closing:
                    return body
                if kind == "EOF":
                    self.fail(at, "object expected closing RBRACE got: EOF")
                expected = {"ASSIGN": "no object keys found!", "LBRACE": "expected: IDENT | STRING got: LBRACE"}
                self.fail(at, expected.get(kind, f"expected: IDENT | STRING | ASSIGN | LBRACE got: {kind}"))
            (first, start), labels = keys[0], [name for name, _ in keys[1:]]
            if depth + len(labels) > MAX_DEPTH:
                self.fail(start, "nested too deeply")
            if kind == "ASSIGN":
                if labels:
                    self.fail(at, "nested object expected: LBRACE got: ASSIGN")
                if first in assigned and not self.is_json:
                    line = self.line(start)
                    place = f"{line}:{start - self.text.rfind(chr(10), 0, start)}"
                    raise HclError(f'The argument "{first}" at {place} was already set. Each argument can only be defined once', line)
                assigned.add(first)
                value = self._value(depth + 1)
            elif kind == "LBRACE":
                value = self.body("RBRACE", depth + 1 + len(labels))
            else:
                names = " ".join(name for name, _ in keys)
                self.fail(at, f"key '{names}' expected start of object ('{{') or assignment ('=')")
            line = self.line(start)
            for label in reversed(labels):
                inner, value = value, Body()
                value.add(label, inner, line)
            body.add(first, value, line)
            if self.peek()[0] == "COMMA":
                self.take()

    def _keys(self) -> tuple[list[tuple[str, int]], str, int]:
        """Names and where they start; then the kind and the place of what follows them."""
        keys: list[tuple[str, int]] = []
        while True:
            kind, text, at = self.take()
            if kind not in ("IDENT", "STRING"):
                return keys, kind, at
            keys.append((self._string(text, at) if kind == "STRING" else text, at))

    def _value(self, depth: int) -> Any:
        kind, text, at = self.take()
        if depth > MAX_DEPTH:
            self.fail(at, "nested too deeply")
        if kind == "STRING":
            return self._string(text, at)
        if kind == "HEREDOC":
            return text
        if kind == "NUMBER":
            return self._number(text, at)
        if kind == "LBRACE":
            return self.body("RBRACE", depth)
        if kind == "LBRACK":
            return self._list(depth)
        if text in ("true", "false"):
            return text == "true"
        if text == "null" and self.literals:
            return None
        self.fail(at, f"Unknown token: {kind} {text}".rstrip())

    def _list(self, depth: int) -> list[Any]:
        values: list[Any] = []
        while self.peek()[0] != "RBRACK":
            values.append(self._value(depth + 1))
            kind, _, at = self.peek()
            if kind == "COMMA":
                self.take()
            elif kind != "RBRACK":
                self.fail(at, f"error parsing list, expected comma or list end, got: {kind}")
        self.take()
        return values

    def _number(self, text: str, at: int) -> int | float:
        digits = text.lstrip("-")
        is_hex, is_octal = digits[:2] in ("0x", "0X"), digits[0] == "0" and digits.isdigit()
        if not is_hex and not digits.isdigit():
            number = float(text)
            if abs(number) == float("inf"):
                self.fail(at, "number out of range")
            return number
        try:
            whole = int(text, 16 if is_hex else 8 if is_octal else 10)
        except ValueError:
            self.fail(at, "illegal octal number" if is_octal else "number out of range")
        if not -(1 << 63) <= whole < 1 << 63:
            self.fail(at, "number out of range")
        return whole

    def _string(self, literal: str, at: int) -> str:
        if "\\" not in literal:
            return literal[1:-1]
        if self.is_json:
            return str(json.loads(literal))

        def decode(found: re.Match[str]) -> str:
            simple, octal, *hexes, other = found.groups()
            if simple:
                return _SIMPLE[simple]
            code = int(octal, 8) if octal else int(next(filter(None, hexes), "110000"), 16)
            # Go would make a single byte of \xff and \377: no text. Nothing needs it.
            if other or code > 0x10FFFF or 0xD800 <= code < 0xE000 or ((octal or hexes[0]) and code > 0x7F):
                self.fail(at + found.start(), "illegal char escape")
            return chr(code)

        return _ESCAPE.sub(decode, literal[1:-1])
