"""The Sentinel language by tables: expressions and what print writes of them, programs and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from haechi.tfe.policy.sentinel.evaluation import Result, evaluate

CASES = Path(__file__).parents[1] / "cases" / "sentinel"
NOW = 1_795_651_200 * 10**9  # 2026-11-26T00:00:00Z, a Thursday
IMPORTS = ["strings", "types", "time", "json", "base64", "decimal", "version", "units", "sockaddr", "collection"]
PREFACE = "".join(f'import "{each}"\n' for each in [*IMPORTS, "collection/lists", "collection/maps"])


def expressions() -> list[tuple[str, str]]:
    lines = [line for name in ("operators", "undefined", "values", "imports") for line in (CASES / f"{name}.txt").read_text().split("\n")]
    pairs = [line.rpartition(" => ") for line in lines if line and not line.startswith("#")]
    return [(left, right) for left, _, right in pairs]


def programs() -> list[tuple[str, str, str, list[str]]]:
    found = []
    for block in (CASES / "programs.txt").read_text().split("=== ")[1:]:
        name, _, rest = block.partition("\n")
        text, _, expected = rest.partition("--- ")
        status, *prints = expected.rstrip("\n").split("\n")
        found.append((name, text.replace("\n", "\r\n") if name.startswith("windows") else text, status, prints))
    return found


def run(text: str) -> Result:
    return evaluate("f.sentinel", text, now=NOW)


@pytest.mark.parametrize(("expression", "expected"), expressions(), ids=[each[0] for each in expressions()])
def test_expression(expression: str, expected: str) -> None:
    result = run(f"{PREFACE}\nprint([{expression}])\nmain = true")
    if expected.startswith("error: "):
        assert result.status == "error"
        assert expected.removeprefix("error: ") in str(result.error)
    else:
        assert (str(result.error or ""), result.prints[-1:]) == ("", [f"[{expected}]"])


@pytest.mark.parametrize(("text", "status", "prints"), [each[1:] for each in programs()], ids=[each[0] for each in programs()])
def test_program(text: str, status: str, prints: list[str]) -> None:
    result = run(text)
    if status.startswith("error: "):
        assert result.status == "error"
        assert status.removeprefix("error: ") in str(result.error)
    else:
        assert (result.status, result.prints) == (status, prints), result.error


def test_there_are_enough_cases() -> None:
    assert len(expressions()) + len(programs()) > 400
