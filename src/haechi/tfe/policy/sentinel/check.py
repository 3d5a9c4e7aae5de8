"""A policy set over one run's plan: every policy's result, the counts of a policy check, and the text that people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from haechi.tfe.policy.sentinel.applying import Applied, applied_document
from haechi.tfe.policy.sentinel.config import Config, Policy, read_config, read_imports, read_text, source_path
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.evaluation import Import, Result, evaluate
from haechi.tfe.policy.sentinel.limits import Limits


@dataclass
class Check:
    """The policies of a set, in the order of its sentinel.hcl, and how they ended."""

    policies: list[tuple[Policy, Result]]

    def failed(self, level: str = "") -> int:
        """How many policies did not pass, of one enforcement level or of all."""
        return sum(not result.passed and level in ("", policy.level) for policy, result in self.policies)

    @property
    def status(self) -> Literal["passed", "soft_failed", "hard_failed"]:
        """What the run does: a failed advisory policy changes nothing."""
        return "hard_failed" if self.failed("hard-mandatory") else "soft_failed" if self.failed("soft-mandatory") else "passed"

    def counts(self) -> dict[str, Any]:
        """The `result` attribute of a policy check."""
        return {
            "result": self.status == "passed",
            "passed": len(self.policies) - self.failed(),
            "total-failed": self.failed(),
            "hard-failed": self.failed("hard-mandatory"),
            "soft-failed": self.failed("soft-mandatory"),
            "advisory-failed": self.failed("advisory"),
            "duration": round(sum(result.seconds for _, result in self.policies) * 1000),  # milliseconds
            "sentinel": applied_document([Applied(policy.level, result) for policy, result in self.policies]),
        }


def check_policies(
    directory: Path,
    imports: Mapping[str, Import],
    params: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    now: int | None = None,
) -> Check:
    """Evaluates the policy set in `directory`, a sentinel.hcl (or .json) and its policies; no file outside of it is read.

    imports: of the run, before the modules of the set; params: of the policy set, which policy blocks may override. A policy that cannot
    be read has failed. PolicyError of kind "config" where the set itself cannot be read.
    """
    path = next((each for each in (directory / "sentinel.hcl", directory / "sentinel.json") if each.is_file()), None)
    if path is None:
        raise PolicyError("the policy set has no sentinel.hcl", "config")
    config = read_config(source_path(path.name, directory, directory))
    own = Config(modules=config.modules, static_files=config.static_files, plugins=config.plugins)
    behind = {**read_imports(own, directory, directory), **imports}
    found: list[tuple[Policy, Result]] = []
    for policy in config.policies:
        name = Path(policy.source).name
        try:
            text = read_text(source_path(policy.source, directory, directory))
        except PolicyError as error:
            found.append((policy, Result(name, "error", error=error)))
            continue
        given = {**config.params, **(params or {}), **policy.params}
        found.append((policy, evaluate(name, text, given, imports=behind, limits=limits, now=now)))
    return Check(found)


def render_check(check: Check) -> str:
    """The output of a policy check, as Terraform Enterprise words it."""
    passed = check.status == "passed"
    broken = [result for _, result in check.policies if result.status in ("undefined", "error")]
    lines = [f"Sentinel Result: {str(passed).lower()}", ""]
    if not check.failed():
        lines.append("Sentinel evaluated to true because all Sentinel policies evaluated to true.")
    elif passed:
        lines += ["Sentinel evaluated to true because only advisory policies evaluated to false.", "The run is not held up by them."]
    else:
        lines.append("Sentinel evaluated to false because one or more Sentinel policies evaluated")
        lines.append(
            "to false. This false was not due to an undefined value or runtime error."
            if not broken
            else "to false, some of them due to an undefined value or runtime error."
        )
    lines += ["", f"{len(check.policies)} policies evaluated.", ""]
    for number, (policy, result) in enumerate(check.policies, 1):
        lines += [f"## Policy {number}: {policy.name} ({policy.level})", "", f"Result: {str(result.passed).lower()}", ""]
        if result.error is not None:
            lines += [f"Error: {result.error}", ""]
        elif result.status == "undefined":
            lines += [f"main is undefined; the value is missing at {result.undefined_at or 'an unknown place'}", ""]
        if result.prints:
            lines += [*result.prints, ""]
        if result.rules:
            lines += [result.trace(), ""]
    return "\n".join(lines)
