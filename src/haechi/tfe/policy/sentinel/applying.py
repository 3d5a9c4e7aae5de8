"""`sentinel apply`: one policy, or all of a sentinel.hcl, against what that file says stands behind the imports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haechi.tfe.policy.sentinel.config import Config, Level, Policy, read_config, read_imports, read_text, source_path
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.evaluation import Import, Result, evaluate
from haechi.tfe.policy.sentinel.limits import Limits

EXIT_CODES = {"passed": 0, "failed": 1, "undefined": 2, "error": 3}  # the vendor's; 9 is for faults that are not the policy's


@dataclass(frozen=True)
class Applied:
    """A policy's enforcement level and its result."""

    level: Level
    result: Result


def apply_policies(
    policy: str = "",
    config: Path | None = None,
    params: dict[str, Any] | None = None,
    given: dict[str, Any] | None = None,
    limits: Limits | None = None,
) -> list[Applied]:
    """Evaluates `policy`, the label of a policy block or a file; every policy block's if it is empty.

    `config` is a configuration file, sentinel.hcl or sentinel.json of this directory if there is one. PolicyError of kind "config".
    """
    path = config or next((each for each in (Path("sentinel.hcl"), Path("sentinel.json")) if each.is_file()), None)
    settings, directory = (read_config(path), path.parent) if path is not None else (Config(), Path())
    chosen = [each for each in settings.policies if policy in ("", each.name)]
    if not chosen and policy:
        chosen, here = [Policy(Path(policy).name, policy)], Path()
    else:
        here = directory
    if not chosen:
        raise PolicyError("no policy to apply: name a file, or write a sentinel.hcl", "config")
    imports = read_imports(settings, directory)
    return [_apply(each, here, imports, settings.params | (params or {}), settings.given | (given or {}), limits) for each in chosen]


def _apply(
    policy: Policy, directory: Path, imports: dict[str, Import], params: dict[str, Any], given: dict[str, Any], limits: Limits | None
) -> Applied:
    path = source_path(policy.source, directory, None)
    return Applied(policy.level, evaluate(path.name, read_text(path), {**params, **policy.params}, given, imports, limits))


def parse_values(pairs: list[str]) -> dict[str, Any]:
    """key=value of the command line; a value that is JSON is read as such. PolicyError of kind "config"."""
    found: dict[str, Any] = {}
    for each in pairs:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise PolicyError(f"{each!r} is not key=value", "config")
        try:
            found[key] = json.loads(value)
        except (ValueError, RecursionError):
            found[key] = value
    return found


def exit_code(applied: list[Applied]) -> int:
    """The code of the worst policy that is not advisory among several; of the one policy that was asked for in any case."""
    counted = applied if len(applied) == 1 else [each for each in applied if each.level != "advisory"]
    return max((EXIT_CODES[each.result.status] for each in counted), default=0)


def render_applied(applied: list[Applied], trace: bool = False) -> str:
    """As the vendor's program prints them: the trace of what failed, or of everything with `trace`."""
    blocks: list[str] = []
    for each in applied:
        result = each.result
        blocks.append(f"{'Pass' if result.passed else 'Error' if result.status == 'error' else 'Fail'} - {result.name}")
        if result.prints:
            blocks.append("\n".join(["Print messages:", "", *result.prints]))
        if result.error is not None:
            blocks.append(f"Error: {result.error}")
        if result.status == "undefined":
            blocks.append(f"main is undefined; the value is missing at {result.undefined_at or 'an unknown place'}")
        if result.rules and (trace or not result.passed):
            blocks.append(result.trace())
    return "\n\n".join(blocks)


def applied_document(applied: list[Applied]) -> dict[str, Any]:
    """The results as JSON."""
    policies = []
    for each in applied:
        result = each.result
        policies.append(
            {
                "policy": result.name,
                "enforcement_level": each.level,
                "result": result.passed,
                "status": result.status,
                "error": str(result.error or ""),
                "prints": result.prints,
                "trace": result.trace(),
                "duration": round(result.seconds * 1e6),  # microseconds
            }
        )
    return {"result": exit_code(applied) == 0, "policies": policies}
