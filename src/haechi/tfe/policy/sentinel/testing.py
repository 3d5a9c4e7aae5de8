"""`sentinel test`: every policy of a directory against its test cases, test/<policy>/*.hcl and *.json."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haechi.tfe.policy.sentinel.config import read_config, read_imports, read_text
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.evaluation import Answer, Result, evaluate
from haechi.tfe.policy.sentinel.limits import Limits


@dataclass
class CaseResult:
    """One test case: passed if `faults` is empty. `path` is relative to the directory; `result` is None where nothing was evaluated."""

    path: str
    faults: list[str] = field(default_factory=list)
    result: Result | None = None

    @property
    def passed(self) -> bool:
        return not self.faults


@dataclass
class PolicyResult:
    """One policy file and its cases, in order of their names."""

    path: str
    cases: list[CaseResult]

    @property
    def passed(self) -> bool:
        return all(each.passed for each in self.cases)


def run_tests(paths: list[Path], only: str = "", limits: Limits | None = None) -> list[PolicyResult]:
    """Results of all policies in the paths: directories, whose *.sentinel files are taken, or policy files.

    `only` is a regular expression (policy, or policy/case). PolicyError of kind "config" where a path holds no policy or `only` is none.
    """
    found: list[PolicyResult] = []
    try:
        wanted = [re.compile(each) for each in only.split("/", 1)]
    except re.error as error:
        raise PolicyError(f"-run: {error}", "config") from None
    for path in paths:
        policies = sorted(path.glob("*.sentinel")) if path.is_dir() else [path] if path.is_file() else []
        if not policies:
            raise PolicyError(f"{path} holds no policy", "config")
        for policy in policies:
            if wanted[0].search(policy.stem):
                found.append(_test_policy(policy, wanted[1] if len(wanted) > 1 else None, limits))
    return found


def _test_policy(policy: Path, only: re.Pattern[str] | None, limits: Limits | None) -> PolicyResult:
    directory = policy.parent / "test" / policy.stem
    cases = sorted(each for each in directory.glob("*") if each.suffix in (".hcl", ".json") and each.is_file())
    chosen = [each for each in cases if only is None or only.search(each.stem)]
    return PolicyResult(policy.name, [_test_case(policy, each, limits) for each in chosen])


def _test_case(policy: Path, case: Path, limits: Limits | None) -> CaseResult:
    found = CaseResult(str(case.relative_to(policy.parent)))
    try:
        config = read_config(case)
        imports = read_imports(config, case.parent)
        text = read_text(policy)
    except PolicyError as error:
        found.faults.append(str(error))
        return found
    expected = config.test or {"main": True}
    result = found.result = evaluate(policy.name, text, config.params, config.given, imports, limits, wanted=list(expected))
    for rule, value in expected.items():
        fault = _fault(rule, value, result.answers.get(rule), result)
        if fault:
            found.faults.append(fault)
    return found


def _fault(rule: str, expected: Any, answer: Answer | None, result: Result) -> str:
    error = answer.error if answer is not None else result.error
    if answer is None or error is not None:
        # As with the vendor's program, a rule that fails with an error is as good as false; one that had to be stopped is not.
        return "" if expected is False and error is not None and error.kind == "runtime" else str(error)
    value: Any = False if answer.undefined else answer.value
    if type(value) is type(expected) and value == expected:
        return ""
    got = "undefined" if answer.undefined else _shown(value)
    return "" if answer.undefined and expected is False else f'expected "{rule}" to be {_shown(expected)}, got: {got}'


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def render_tests(results: list[PolicyResult], verbose: bool = False) -> str:
    """As the vendor's program prints them: traces and prints of failed cases, of all with `verbose`."""
    lines: list[str] = []
    for policy in results:
        lines.append(f"{_word(policy.passed)} - {policy.path}")
        if not policy.cases:
            lines.append("  no test files found")
        for case in policy.cases:
            lines.append(f"  {_word(case.passed)} - {case.path}")
            lines += [f"    {each}" for each in case.faults]
            if case.result is not None and (verbose or not case.passed):
                lines += _details(case.result)
    return "\n".join(lines)


def _word(passed: bool) -> str:
    return "PASS" if passed else "FAIL"


def _details(result: Result) -> list[str]:
    lines: list[str] = []
    if result.prints:
        lines += ["", "    logs:", *(f"      {line}" for each in result.prints for line in each.split("\n"))]
    if result.error is not None:
        lines += ["", "    error:", f"      {result.error}"]
    if result.rules:
        lines += ["", "    trace:", *(f"      {each}".rstrip() for each in result.trace().split("\n")), ""]
    return lines


def tests_document(results: list[PolicyResult]) -> dict[str, Any]:
    """The results as JSON."""
    return {
        "passed": all(each.passed for each in results),
        "policies": [
            {"path": policy.path, "status": _word(policy.passed).lower(), "cases": [_case_document(each) for each in policy.cases]}
            for policy in results
        ],
    }


def _case_document(case: CaseResult) -> dict[str, Any]:
    result = case.result
    return {
        "path": case.path,
        "status": _word(case.passed).lower(),
        "errors": case.faults,
        "logs": result.prints if result is not None else [],
        "trace": result.trace() if result is not None else "",
        "duration": round(result.seconds * 1e6) if result is not None else 0,  # microseconds
    }
