"""Our regular expressions against Python's on texts and patterns where the two syntaxes agree."""

from __future__ import annotations

import contextlib
import random
import re
import warnings

import pytest

from haechi.tfe.policy.sentinel.limits import Limits, Meter
from haechi.tfe.policy.sentinel.regex import MAX_PROGRAM, Regex, RegexError

PIECES = [
    "a",
    "b",
    "c",
    ".",
    "[ab]",
    "[^a]",
    "[a-c1]",
    "(",
    "(?:",
    ")",
    "|",
    "*",
    "+",
    "?",
    "{1,2}",
    "{2}",
    "^",
    "$",
    r"\b",
    r"\d",
    r"\W",
    "A",
    r"\.",
]


def compiled(pattern: str) -> Regex:
    return Regex(pattern, Meter(Limits()))


def test_random_patterns_agree_with_python_s() -> None:
    chosen, compared = random.Random(11), 0
    for _ in range(6000):
        pattern = "".join(chosen.choice(PIECES) for _ in range(chosen.randint(1, 7)))
        fold = chosen.random() < 0.2
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other = re.compile(pattern.replace("$", r"\Z"), re.ASCII | (re.I if fold else 0))
            ours = compiled(("(?i)" if fold else "") + pattern)
        except (re.error, RegexError):
            continue
        for _ in range(3):
            text = "".join(chosen.choice("abcAB1. \n") for _ in range(chosen.randint(0, 7)))
            assert ours.search(text) == bool(other.search(text)), (pattern, text)
            compared += 1
    assert compared > 4000


def test_random_texts_are_patterns_or_refused() -> None:
    chosen = random.Random(12)
    pieces = [
        *PIECES,
        "\\",
        "[",
        "]",
        "{",
        "}",
        "(?",
        "(?i",
        "(?P<",
        "[:alpha:]",
        "[[:^digit:]]",
        r"\p",
        r"\pL",
        r"\P{Lu}",
        r"\x",
        r"\x{",
        r"\Q",
        r"\E",
        "é",
    ]
    for _ in range(6000):
        pattern = "".join(chosen.choice(pieces) for _ in range(chosen.randint(1, 9)))
        with contextlib.suppress(RegexError):
            compiled(pattern).search("ab1é")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\p{Lu}+$", "ÀB", True),
        (r"^\PL+$", "12", True),
        (r"^\P{L}+$", "1a", False),
        ("[[:^alpha:]]", "ab1", True),
        (r"[^\d\s]", "1 2", False),
        (r"^\x41\x{1F600}$", "A😀", True),
        (r"\Qa.b\E+", "a.bb", True),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        ("(?i:A)b", "ab", True),
        ("(?i:A)b", "aB", False),
        ("(?i)(?-i)a", "A", False),
        (r"\Aa\z", "a", True),
        ("(?s).", "\n", True),
        ("x{,2}", "x{,2}", True),
        ("a{2}", "a", False),
        ("(?m)^b$", "a\nb\nc", True),
        (r"\B", "", True),
    ],
)
def test_syntax_that_python_lacks(pattern: str, text: str, found: bool) -> None:
    assert compiled(pattern).search(text) is found


@pytest.mark.parametrize(
    "pattern", ["(" * 1000 + ")" * 1000, "(a{1000}){1000}", "a{1,1000}" * 100, "(((a{100}){100}){100}){100}", "a**", "(?<!a)", "[b-a]"]
)
def test_patterns_that_are_refused(pattern: str) -> None:
    with pytest.raises(RegexError):
        compiled(pattern)


def test_matching_is_linear() -> None:
    meter = Meter(Limits())
    Regex("(a|a)*(a|a)*(a|a)*b", meter).search("a" * 20_000)
    assert meter.steps < 20_000 * 4 + MAX_PROGRAM
