"""HCL and JSON documents as Vault writes them: what they hold, and that no text breaks or stalls the reader."""

from __future__ import annotations

import random
from typing import Any

import pytest

from haechi.hcl import MAX_DEPTH, MAX_TEXT, Body, HclError, blocks, last, parse_hcl, plain

VALUES = [
    ('a = "text"', "text"),
    ('"a" = "quoted key"', "quoted key"),
    ("a = 12", 12),
    ("a = -3", -3),
    ("a = 0x1F", 31),
    ("a = 010", 8),
    ("a = 0", 0),
    ("a = 1.5", 1.5),
    ("a = .5", 0.5),
    ("a = 2e3", 2000.0),
    ("a = true", True),
    ("a = false", False),
    ("a = []", []),
    ('a = ["x", 2, true, 1.5, ["y"],]', ["x", 2, True, 1.5, ["y"]]),
    ("a = [\n  1, # one\n  2  // two\n  /* end */ ]", [1, 2]),
    ("a = { b = 1, c = 2 }", {"b": 1, "c": 2}),
    ("a = {\n  b = { c = [1] }\n  d = 2\n}", {"b": {"c": [1]}, "d": 2}),
    ("a = [{ b = 1 }, { b = 2 }]", [{"b": 1}, {"b": 2}]),
    (r'a = "q\"\\ \n\t\u00e9\U0001F63A\x41\101"', 'q"\\ \n\té\U0001f63aAA'),
    ('a = "# no // comment /* here"', "# no // comment /* here"),
    ('a = "해치"', "해치"),
    ('a = "${b}"', "${b}"),
    ("a = <<EOF\none\n  two\nEOF\n", "one\n  two\n"),
    ("a = <<EOF\nEOFnot\n EOF\nb = 1", "EOFnot\n"),
    ("a = <<E2\r\none\r\nE2\r\n", "one\r\n"),
    ("a = <<-EOF\n    one\n      two\n    EOF\n", "one\n  two\n"),
    ("a = <<-EOF\n  one\ntwo\n  EOF\n", "  one\ntwo\n"),
    ("a = <<EOF\nEOF", ""),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values(text: str, value: object) -> None:
    found = plain(last(parse_hcl(text), "a"))
    assert found == value
    assert type(found) is type(value)


def test_names() -> None:
    assert parse_hcl('a-b.c = 1\n_d = 2\n"e f" = 3\n고양이 = 4') == {"a-b.c": [1], "_d": [2], "e f": [3], "고양이": [4]}
    assert last(parse_hcl("a = 1"), "b") is None


ONE_SHAPE = [
    'path "a/*" { x = 1 }\npath "b" { x = 2 }\npath "a/*" { x = 3 }',
    'path = { "a/*" = { x = 1 } }, path "b" { x = 2 } path { "a/*" { x = 3 } }',
    'path = [{ "a/*" = { x = 1 } }, { b = { x = 2 } }, { "a/*" { x = 3 } }]',
    '{"path": [{"a/*": {"x": 1}}, {"b": {"x": 2}}, {"a/*": {"x": 3}}]}',
    '{"path": {"a/*": {"x": 1}}, "path": {"b": {"x": 2}, "a/*": [{"x": 3}]}}',
    ' \n{"path": {"a/*": {"x": 1}, "b": {"x": 2}},\n"path": {"a/*": {"x": 3}}} \n',
]


@pytest.mark.parametrize("text", ONE_SHAPE)
def test_one_shape(text: str) -> None:
    found = [(names, plain(body)) for names, body in blocks(parse_hcl(text), "path", 1)]
    assert found == [(("a/*",), {"x": 1}), (("b",), {"x": 2}), (("a/*",), {"x": 3})]


def test_labels() -> None:
    document = parse_hcl('none { x = 1 }\ntwo "a" b { x = 2 }\none "a" {}')
    assert [(names, plain(body)) for names, body in blocks(document, "none")] == [((), {"x": 1})]
    assert [(names, plain(body)) for names, body in blocks(document, "two", 2)] == [(("a", "b"), {"x": 2})]
    assert blocks(document, "one", 1) == [(("a",), {})]
    assert blocks(document, "absent", 1) == []


@pytest.mark.parametrize(
    ("text", "labels", "line"),
    [
        ("path = 1", 0, 1),
        ('{"path": "x"}', 0, 1),
        ("\npath = [1]", 0, 2),
        ('\npath "a" {\n b = 1 }', 2, 3),
        ('\n\n{"path":\n{\n"a": 1}}', 1, 5),
    ],
)
def test_no_block(text: str, labels: int, line: int) -> None:
    with pytest.raises(HclError, match=f'"path" on line {line} must be a block') as raised:
        blocks(parse_hcl(text), "path", labels)
    assert raised.value.line == line


def test_lines_and_joining() -> None:
    first, second = parse_hcl('# c\na = 1\nb "x" {\n  c = 2\n}'), parse_hcl('{"a":\n3,\n"d": [null]}')
    assert first.lines == {"a": [2], "b": [3]}
    assert blocks(first, "b", 1)[0][1].lines == {"c": [4]}
    first.extend(second)
    assert (last(first, "a"), last(first, "d")) == (3, [None])
    assert first.lines == {"a": [2, 1], "b": [3], "d": [3]}


ERRORS = [
    ("a", 1, "At 1:2: key 'a' expected start of object ('{') or assignment ('=')"),
    ("\na b", 2, "At 2:4: key 'a b' expected start of object"),
    ("a {\n b = 1", 2, "At 2:7: object expected closing RBRACE got: EOF"),
    ('a "b" = 1', 1, "At 1:7: nested object expected: LBRACE got: ASSIGN"),
    ("a =", 1, "At 1:4: Unknown token: EOF"),
    ("a = b", 1, "At 1:5: Unknown token: IDENT b"),
    ("a = null", 1, "At 1:5: Unknown token: IDENT null"),
    ("a = [1 2]", 1, "At 1:8: error parsing list, expected comma or list end, got: NUMBER"),
    ("a = [1,,2]", 1, "At 1:8: Unknown token: COMMA ,"),
    ("a = [", 1, "At 1:6: Unknown token: EOF"),
    ("a = 1\n}", 2, "At 2:1: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"),
    ("= 1", 1, "At 1:1: no object keys found!"),
    ("a = 1\n{ }", 2, "At 2:1: expected: IDENT | STRING got: LBRACE"),
    (", a = 1", 1, "At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: COMMA"),
    ("a : 1", 1, "At 1:3: illegal char"),
    ("a = 1 ; b = 2", 1, "At 1:7: illegal char"),
    ("a = 'x'", 1, "At 1:5: illegal char"),
    ('a = "x\ny"', 1, "At 1:5: literal not terminated"),
    ('a = "x\\"', 1, "At 1:5: literal not terminated"),
    ('b = 1\na = "x\\q"', 2, "At 2:6: illegal char escape"),
    (r'a = "\u12"', 1, "illegal char escape"),
    (r'a = "\ud83d\ude3a"', 1, "illegal char escape"),
    (r'a = "\U00110000"', 1, "illegal char escape"),
    (r'a = "\xff"', 1, "illegal char escape"),
    (r'a = "\777"', 1, "illegal char escape"),
    ("a = 1 /* x", 1, "At 1:7: comment not terminated"),
    ("a = 1 / b", 1, "At 1:7: illegal char"),
    ("\na = <<EOF\nx", 2, "At 2:5: heredoc not terminated"),
    ("a = <<EOF x\nEOF\n", 1, "At 1:5: invalid characters in heredoc anchor"),
    ("a = <<\n", 1, "At 1:5: invalid characters in heredoc anchor"),
    ("a = 089", 1, "At 1:5: illegal octal number"),
    ("a = 1e999", 1, "At 1:5: number out of range"),
    ("a = 99999999999999999999", 1, "At 1:5: number out of range"),
    ("a = 1\nb = 2\na = 3", 3, 'The argument "a" at 3:1 was already set. Each argument can only be defined once'),
    ("a = 1\0", 1, "At 1:6: unexpected null character (0x00)"),
    ("a = \udc80", 1, "At 1:5: illegal UTF-8 encoding"),
    ("{", 1, "At 1:2: Expecting property name"),
    ('{"a": 1,}', 1, "Expecting property name"),
    ('{"a": 1} x', 1, "At 1:10: Extra data"),
    ('\n{"a": 01}', 2, "At 2:8: "),
    ('{"a" = 1}', 1, "Expecting ':' delimiter"),
    ('{"a": 1 # no\n}', 1, "Expecting ',' delimiter"),
    ('{"a": NaN}', 0, "invalid JSON: NaN is not a value"),
    ('{"a": "\\ud83d"}', 0, "half a surrogate pair"),
    ('{"a": {"\\ud83d": [1]}}', 0, "half a surrogate pair"),
]


@pytest.mark.parametrize(("text", "line", "error"), ERRORS)
def test_errors(text: str, line: int, error: str) -> None:
    with pytest.raises(HclError) as raised:
        parse_hcl(text)
    assert error in str(raised.value)
    assert raised.value.line == line


def test_empty() -> None:
    for text in ("", " \n\t\r\n", "# only\n// comments\n/* here */", "{}"):
        assert parse_hcl(text) == {}


def test_json_values() -> None:
    text = r'{"a": null, "b": "\ud83d\ude3a\/\u0041", "c": [1, -2.5e1, true, {"d": []}], "e": {"true": false}}'
    assert plain(parse_hcl(text)) == {"a": None, "b": "\U0001f63a/A", "c": [1, -25.0, True, {"d": []}], "e": {"true": False}}


def test_depth() -> None:
    assert parse_hcl("a {" * MAX_DEPTH + "}" * MAX_DEPTH)
    too_deep = [
        "a {" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1),
        '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH,
        "a " * (MAX_DEPTH + 1) + "{}",
        "a = " + "[" * MAX_DEPTH + "]" * MAX_DEPTH,
    ]
    for text in too_deep:
        with pytest.raises(HclError, match="nested too deeply"):
            parse_hcl(text)


HALF = MAX_TEXT // 2
HOSTILE = {
    "blocks": "a{" * HALF,
    "lists": "a=" + "[" * (MAX_TEXT - 2),
    "json objects": '{"a":' * (MAX_TEXT // 5),
    "json lists": '{"a":' + "[" * HALF,
    "labels": "a " * (HALF - 1) + "{}",
    "quotes": '"' * MAX_TEXT,
    "open string": '"' + "a" * (MAX_TEXT - 1),
    "open escapes": 'a="' + "\\" * (MAX_TEXT - 3),
    "comments": "/*" * HALF,
    "open comment": "/*" + "*" * (MAX_TEXT - 2),
    "slashes": "a = 1" + "/ " * (HALF - 5),
    "open heredoc": "a=<<E\n" + " \n" * (HALF - 3),
    "heredocs": "a=<<E\n" * (MAX_TEXT // 6),
    "blank heredoc": "a=<<E\n" + " " * (MAX_TEXT - 6),
    "digits": "a=" + "9" * (MAX_TEXT - 2),
    "dots": "a=" + "1." * (HALF - 1),
    "json digits": '{"a":' + "9" * (MAX_TEXT - 6) + "}",
    "too long": " " * (MAX_TEXT + 1),
}


@pytest.mark.parametrize("about", HOSTILE)
def test_hostile(about: str) -> None:
    with pytest.raises(HclError):
        parse_hcl(HOSTILE[about])


HARMLESS = ["#" * MAX_TEXT, " " * MAX_TEXT, "\n" * MAX_TEXT, 'a="' + "\\n" * (HALF - 2) + '"', "a=<<E\n" + "x\n" * 400_000 + "E\n"]


@pytest.mark.parametrize("text", HARMLESS, ids=["comment", "blanks", "lines", "escapes", "heredoc"])
def test_long_and_harmless(text: str) -> None:
    assert isinstance(parse_hcl(text), Body)


DAMAGE = ["", '"', "{", "}", "[", "\\", "<<", "\n", "=", ",", "\x00", "\ud800", "0x"]


def test_any_damage_is_an_hcl_error() -> None:
    """Cut, doubled, dropped and replaced characters: a document or an HclError, never anything else."""
    chance = random.Random(7)
    sources = ['a "b" {\n  c = [1, "x\\n", { d = true }]\n  e = <<-X\n    t\n    X\n}\n', '{"a": {"b": [1, null, "\\u00e9"]}, "c": -1.5}']
    outcomes = set()
    for _ in range(3000):
        text = chance.choice(sources)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice([text[at] * 2, *DAMAGE]) + text[at + 1 :]
        outcomes.add(_outcome(text))
    assert outcomes == {"document", "error"}


def _outcome(text: str) -> str:
    try:
        document: Any = parse_hcl(text)
    except HclError as error:
        assert str(error)
        return "error"
    assert isinstance(document, dict)
    return "document"


def test_literals_of_hcl_2() -> None:
    text = 'mock "x" {\n  data = {\n    "a" : [null, { b : 1 }],\n    c = -1.5,\n  }\n}\n'
    assert plain(parse_hcl(text, literals=True)) == {"mock": {"x": {"data": {"a": [None, {"b": 1}], "c": -1.5}}}}
    with pytest.raises(HclError):
        parse_hcl(text)
