"""Text to tokens, with the automatic semicolons of the language specification."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from haechi.tfe.policy.sentinel.errors import Source

KEYWORDS = frozenset(
    {
        *("all", "any", "as", "break", "case", "continue", "default", "else", "filter", "for", "func", "if", "import", "map", "param"),
        *("return", "rule", "when", "and", "contains", "in", "is", "matches", "not", "or", "xor"),
    }
)
_ENDS_LINE = frozenset({"break", "continue", "return"})
# No alternative starts where another can, and none backtracks: reading is linear whatever the text.
_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+)|(?P<newline>\n)|(?P<comment>(?:\#|//)[^\n]*|/\*(?s:.*?)\*/)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<float>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)"
    r"|(?P<int>0[xX][0-9a-fA-F]+|[0-9]+)"
    r'|(?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|`[^`]*`)'
    r"|(?P<op>(?!/\*)(?:[-+*/%=!<>]=|[-+*/%<>=!()\[\]{},.:;]))"
)
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class Token(NamedTuple):
    """`kind` is ident, value, end, or the keyword or operator itself; `value` is the name or the literal's value."""

    kind: str
    value: Any
    at: int
    end: int


def read_tokens(source: Source) -> list[Token]:
    """Every token, an "end" one last. PolicyError of kind "parse" at what is no token."""
    text, tokens, at = source.text, list[Token](), 0
    open_brackets: list[str] = []

    def end_line(at: int) -> None:
        # Inside ( and [ a line break never ends a statement.
        if tokens and (not open_brackets or open_brackets[-1] == "{"):
            kind = tokens[-1].kind
            if kind in ("ident", "value", ")", "]", "}") or kind in _ENDS_LINE:
                tokens.append(Token(";", "\n", at, at))

    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise source.error(at, _no_token(text[at : at + 2]), "parse")
        kind, word, start, at = str(found.lastgroup), found[0], at, found.end()
        if kind == "newline" or (kind == "comment" and "\n" in word):
            end_line(start)
        elif kind == "word":
            after_dot = bool(tokens) and tokens[-1].kind == "."
            tokens.append(Token(word if word in KEYWORDS and not after_dot else "ident", word, start, at))
        elif kind == "op":
            if word in ("(", "[", "{"):
                open_brackets.append(word)
            elif word in _BRACKETS and open_brackets and open_brackets[-1] == _BRACKETS[word]:
                open_brackets.pop()
            tokens.append(Token(word, word, start, at))
        elif kind not in ("space", "comment"):
            tokens.append(Token("value", _literal(source, kind, word, start), start, at))
    open_brackets.clear()
    end_line(at)
    tokens.append(Token("end", None, at, at))
    return tokens


def _no_token(rest: str) -> str:
    if rest == "/*":
        return "comment not terminated"
    return "string literal not terminated" if rest[0] in '"`' else f"illegal character U+{ord(rest[0]):04X}"


def _literal(source: Source, kind: str, word: str, at: int) -> Any:
    if kind == "string":
        return word[1:-1].replace("\r", "") if word[0] == "`" else _unquote(source, word, at)
    if kind == "float":
        number = float(word)
        if number == float("inf"):
            raise source.error(at, "float literal out of range", "parse")
        return number
    octal = len(word) > 1 and word[0] == "0" and word[1] not in "xX"
    try:
        whole = int(word, 8 if octal else 16 if word[:2] in ("0x", "0X") else 10)
    except ValueError:  # an 8 in an octal number, or thousands of digits
        whole = 1 << 63
    if whole >= 1 << 63:
        raise source.error(at, "illegal integer literal", "parse")
    return whole


def _unquote(source: Source, literal: str, at: int) -> str:
    if "\\" not in literal:
        return literal[1:-1]

    def decode(found: re.Match[str]) -> str:
        simple, octal, byte, little, big, _ = found.groups()
        if simple:
            return _SIMPLE[simple]
        number = int(octal, 8) if octal else int(byte or little or big or "110000", 16)
        if (octal or byte) and 0x7F < number <= 0xFF:  # one byte of UTF-8
            return chr(0xDC00 + number)
        if number > 0x10FFFF or 0xD800 <= number < 0xE000 or (octal and number > 0xFF):
            raise source.error(at + found.start(), "illegal escape sequence", "parse")
        return chr(number)

    text = _ESCAPE.sub(decode, literal[1:-1])
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
