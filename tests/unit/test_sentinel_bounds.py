"""Hostile and broken policies: each ends in a PolicyError, in little time, whatever it is."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from haechi.tfe.policy.sentinel.evaluation import Module, Result, evaluate
from haechi.tfe.policy.sentinel.limits import Limits

CASES = Path(__file__).parents[1] / "cases" / "sentinel"
SMALL = Limits(steps=300_000, seconds=5, memory=20_000_000, depth=40, output=10_000)

HOSTILE = {
    "a loop in a loop": "r = range(1000)\nfor r as a { for r as b { for r as c { x = 1 } } }",
    "a doubling text": 's = "x"\nfor range(100) as _ { s = s + s }',
    "a doubling list": "l = [1]\nfor range(100) as _ { l = l + l }",
    "a huge range": "r = range(9000000000000000000)",
    "an endless recursion": "f = func(x) { return f(x + 1) }\nf(1)",
    "two functions that call each other": "f = func() { return g() }\ng = func() { return f() }\nf()",
    "a growing list while it is gone through": "l = [1]\nfor l as x { append(l, x) }\nfor range(1000000) as _ { append(l, l) }",
    "a tree of lists that is printed": "l = [1]\nfor range(40) as _ { l = [l, l] }\nprint(l)",
    "a tree of lists that is compared": "l = [1]\nm = [1]\nfor range(40) as _ { l = [l, l]; m = [m, m] }\nx = l is m",
    "a tree of lists as JSON": 'import "json"\nl = [1]\nfor range(40) as _ { l = [l, l] }\nx = json.marshal(l)',
    "a tree of lists that is joined": 'import "strings"\nl = ["a"]\nfor range(40) as _ { l = [l, l] }\nx = strings.join(l, "")',
    "a great deal printed": 'for range(100000) as _ { print("xxxxxxxxxxxxxxxxxxxxxxxx") }',
    "a text joined too large": 'import "strings"\nl = map range(2000) as _ { "y" }\ns = strings.join(l, strings.join(l, "zzzzzzzzzzzz"))',
    "a text replaced too large": 'import "strings"\ns = "x"\nfor range(20) as _ { s = strings.replace(s, "x", "xxxxxxxxxxx") }',
    "a sort that runs on": 'import "collection/lists"\nx = lists.sort(range(100000), func(a, b) { return compare(b, a) })',
    "a sort in a sort in a sort": 'import "collection/lists"\nf = func(a, b) { lists.sort([1, 2], f); return 0 }\nlists.sort([1, 2], f)',
    "a rule for ever": "f = func() { return r }\nr = rule { f() }\nx = r",
    "a huge decimal": 'import "decimal"\nd = decimal.new("1E+99999")\nfor range(100000) as _ { d = d.mul(d) }',
    "decimal powers without end": 'import "decimal"\nfor range(100000) as _ { decimal.new("999.123456789").pow("321.987654321") }',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_policy_is_stopped(text: str) -> None:
    began = time.monotonic()
    result = evaluate("f", text + "\nmain = true", limits=SMALL)
    assert result.error is not None
    assert result.error.kind in ("limit", "runtime")
    assert not result.passed
    assert time.monotonic() - began < 60  # not for ever


def test_wall_time_is_bounded() -> None:
    limits = Limits(steps=10**12, seconds=0.2, memory=1 << 40)
    result = evaluate("f", "for range(10000) as a { for range(10000) as b { x = 1 } }\nmain = true", limits=limits)
    assert result.error is not None
    assert "0.2 seconds" in str(result.error)


def test_within_the_limits_it_runs() -> None:
    assert evaluate("f", "x = 0\nfor range(10000) as a { x += a }\nmain = rule { x is 49995000 }", limits=SMALL).passed


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a*)*b", "a" * 5000), ("(a|aa)+$", "a" * 3000 + "b"), ("(.*)(.*)(.*)(.*)(.*)[^a]", "a" * 3000), ("a{500}{2}", "a")],
)
def test_a_pattern_that_would_never_end_elsewhere(pattern: str, text: str) -> None:
    began = time.monotonic()
    evaluate("f", f"main = rule {{ x matches `{pattern}` }}\n", given={"x": text})
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "piece", ["(", "[", "{", "not ", "-", "func() { return ", "rule { ", "a.b", "[0]", "if true { ", "any [1] as x { ", "1 + ("]
)
def test_nesting_is_bounded(piece: str) -> None:
    for text in (f"x = {piece * 3000}", f"{piece * 3000}", f"a = {{}}\nx = a{piece * 3000}"):
        result = evaluate("f", text)
        assert result.error is not None


def test_the_deepest_nesting_that_parses_also_runs() -> None:
    assert evaluate("f", f"main = {'(' * 50}1 is 1{')' * 50}").passed
    assert evaluate("f", f"main = {'not ' * 98}true").passed
    assert evaluate("f", "main = rule { " + " and ".join(["true"] * 5000) + " }").passed
    assert evaluate("f", "x = " + " + ".join(["1"] * 5000) + "\nmain = rule { x is 5000 }").passed


def test_modules_that_import_each_other() -> None:
    modules = {"a": Module("a.sentinel", 'import "b"'), "b": Module("b.sentinel", 'import "a"')}
    result = evaluate("f", 'import "a"\nmain = true', imports=modules)
    assert "imports itself" in str(result.error)


def test_a_policy_reaches_nothing_of_python() -> None:
    preface = 'import "time"\nimport "strings"\nf = func() { return 1 }\nr = rule { true }\n'
    for member in ("__class__", "__init__", "__globals__", "get", "names", "call", "node", "shown", "append", "keys"):
        for value in ('"a"', "1", "[1]", "{}", "time", "time.now", "f", "length", "null", "strings", "r"):
            text = f"{preface}x = {value}.{member}\nmain = rule {{ x is defined }}"
            assert evaluate("f", text).status in ("error", "failed"), (value, member)


def test_data_given_to_one_policy_is_not_changed_for_the_next() -> None:
    data = {"items": [1], "map": {"a": 1}}
    text = 'import "x"\nl = x.items\nappend(l, 2)\nm = x.map\nm["b"] = 2\nmain = rule { length(x.items) is 2 }'
    assert [evaluate("f", text, imports={"x": data}).status for _ in range(2)] == ["passed", "passed"]
    assert data == {"items": [1], "map": {"a": 1}}


def pieces() -> list[str]:
    words = "a b main import param rule func for as if else any all filter map when case return true undefined "
    words += '"s" 1 1.5 ( ) [ ] { } , . : ; = + - is not in contains matches empty defined \n \n'
    return words.split(" ")


def checked(result: Result) -> None:
    assert result.status in ("passed", "failed", "undefined", "error")
    assert (result.status == "error") is (result.error is not None)


def test_random_words_raise_nothing() -> None:
    chosen, words = random.Random(5), pieces()
    for _ in range(4000):
        checked(evaluate("f", " ".join(chosen.choice(words) for _ in range(chosen.randint(1, 25))), limits=SMALL))


def test_mutated_programs_raise_nothing() -> None:
    chosen = random.Random(6)
    programs = [block.partition("\n")[2].partition("--- ")[0] for block in (CASES / "programs.txt").read_text().split("=== ")[1:]]
    lines = [
        each for name in ("operators", "values", "imports") for each in (CASES / f"{name}.txt").read_text().split("\n") if " => " in each
    ]
    preface = 'import "strings"\nimport "time"\nimport "decimal"\nimport "version"\nimport "json"\nimport "collection/maps"\n'
    for _ in range(4000):
        if chosen.random() < 0.5:
            text = chosen.choice(programs)
        else:
            text = f"{preface}main = rule {{ {chosen.choice(lines).rpartition(' => ')[0]} }}"
        for _ in range(chosen.randint(1, 4)):
            at, to = chosen.randint(0, len(text)), chosen.randint(0, len(text))
            cut = text[min(at, to) : min(at, to) + chosen.randint(0, 12)]
            change = chosen.choice(["", cut, chosen.choice(pieces()), chr(chosen.choice([0, 10, 34, 96, 0xE9, 0xD800, 0xDC80, 0x1F600]))])
            text = text[:at] + change + text[at + chosen.randint(0, 3) :]
        checked(evaluate("f", text, limits=SMALL))
