"""Rego policy sets: policies.hcl (or .json) names queries; what a query yields are the violations.

https://developer.hashicorp.com/terraform/cloud-docs/policy-enforcement/define-policies/opa
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haechi import hcl
from haechi.tfe.policy.rego_child import UNREADABLE
from haechi.tfe.policy.sentinel.errors import PolicyError

SECONDS = 15.0  # for a whole set
LEVELS = ("advisory", "mandatory")
MOST_TEXT = 1 << 20  # bytes of one file
MOST_MEMORY = 512 << 20  # bytes of the child


@dataclass(frozen=True)
class RegoPolicy:
    """One block of policies.hcl."""

    name: str
    query: str
    level: str  # advisory | mandatory
    description: str = ""


@dataclass(frozen=True)
class RegoResult:
    """How one policy ended: `violations` empty and `error` "" is a pass."""

    policy: RegoPolicy
    violations: tuple[str, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.violations and not self.error


def read_policies(directory: Path) -> list[RegoPolicy]:
    """The policies that a set's policies.hcl or policies.json names. PolicyError of kind "config"."""
    path = next((each for each in (directory / "policies.hcl", directory / "policies.json") if each.is_file()), None)
    if path is None or path.is_symlink() or path.stat().st_size > MOST_TEXT:
        raise PolicyError("the policy set has no policies.hcl", "config")
    try:
        text = path.read_text()
        if path.suffix == ".json":
            named = json.loads(text).get("policy", {})
            if not isinstance(named, dict):
                raise PolicyError("policy must be an object", "config", path.name)
            found = [_policy(name, body) for name, body in named.items()]
        else:
            blocks = hcl.blocks(hcl.parse_hcl(text, literals=True), "policy", 1)
            found = [_policy(labels[0], {key: hcl.plain(hcl.last(body, key)) for key in body}) for labels, body in blocks]
    except (hcl.HclError, ValueError, AttributeError, UnicodeDecodeError) as error:
        raise PolicyError(str(error), "config", path.name) from None
    if not found:
        raise PolicyError("the policy set names no policy", "config", path.name)
    return found


def _policy(name: str, body: Any) -> RegoPolicy:
    given = body if isinstance(body, dict) else {}
    query, level = given.get("query"), given.get("enforcement_level", "advisory")
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"policy {name!r} has no query")
    if level not in LEVELS:
        raise ValueError(f"policy {name!r} has the enforcement level {level!r}; use {' or '.join(LEVELS)}")
    return RegoPolicy(name, query, level, str(given.get("description") or ""))


def read_modules(directory: Path) -> dict[str, str]:
    """Every .rego file of a set but its tests, by its name. PolicyError of kind "config"."""
    found = {}
    for path in sorted(directory.rglob("*.rego")):
        if path.is_symlink() or path.name.endswith("_test.rego"):
            continue
        if path.stat().st_size > MOST_TEXT:
            raise PolicyError("the file is too large", "config", path.name)
        try:
            found[str(path.relative_to(directory))] = path.read_text()
        except UnicodeDecodeError:
            raise PolicyError("the file is not UTF-8", "config", path.name) from None
    return found


def evaluate(directory: Path, document: Mapping[str, Any], seconds: float = SECONDS) -> tuple[list[RegoResult], float]:
    """(one result per policy, seconds it took). `document` is the input: {plan, run}. PolicyError where the set cannot be read."""
    policies = read_policies(directory)
    asked = {"modules": read_modules(directory), "queries": [p.query for p in policies], "input": document}
    started = time.monotonic()
    answers = _ask(json.dumps(asked).encode(), len(policies), seconds)
    return [_result(p, answer) for p, answer in zip(policies, answers, strict=True)], time.monotonic() - started


def check_modules(directory: Path) -> int:
    """How many policies a set has; PolicyError of kind "config" where the engine cannot read a module."""
    policies = read_policies(directory)
    results, _ = evaluate(directory, {"plan": {}, "run": {}})
    broken = [r.error for r in results if r.error.startswith(UNREADABLE)]
    if broken and policies:
        raise PolicyError(broken[0][:1000], "config")
    return len(policies)


def _ask(request: bytes, count: int, seconds: float) -> list[dict[str, Any]]:
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-S", str(Path(__file__).with_name("rego_child.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        stopped: list[str] = []
        watcher = threading.Thread(target=_watch, args=(process, seconds, stopped))
        watcher.start()
        output, _ = process.communicate(request)
        watcher.join()
    try:
        answers = json.loads(output) if process.returncode == 0 else None
    except ValueError:
        answers = None
    if not isinstance(answers, list) or len(answers) != count:
        reason = stopped[0] if stopped else "stopped: it used more time than it may, or the engine failed"
        return [{"error": reason}] * count
    return answers


def _watch(process: subprocess.Popen[bytes], seconds: float, stopped: list[str]) -> None:
    """End a child that takes too long or too much. (The engine reserves 256 GiB of addresses, so no limit of the kernel's can bound it.)"""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        try:
            used = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):  # it has just ended
            used = 0
        if used > MOST_MEMORY or time.monotonic() > deadline:
            stopped.append("stopped: it used more memory than it may" if used > MOST_MEMORY else f"stopped after {seconds:g} seconds")
            process.kill()
            return
        time.sleep(0.01)


def _result(policy: RegoPolicy, answer: dict[str, Any]) -> RegoResult:
    if "error" in answer:
        return RegoResult(policy, error=str(answer["error"]))
    value = answer["value"]
    if isinstance(value, dict) and all(held is True for held in value.values()):
        value = list(value)  # `deny[reason] { ... }` of Rego before 1.0 is a set; the engine makes an object of it
    if isinstance(value, list):
        return RegoResult(policy, tuple(v if isinstance(v, str) else json.dumps(v) for v in value))
    return RegoResult(policy, error=f"the query yields {json.dumps(value)[:200]}, not a set or an array")
