"""Judges a plan: every policy set of the workspace, as one policy check."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.policy import rego
from haechi.tfe.policy.sentinel.check import check_policies, render_check
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.limits import Limits
from haechi.tfe.policy.sentinel.terraform import imports_of_plan
from haechi.tfe.policy.sets import LoadedSet, unpacked
from haechi.tfe.store import Tx, one

SECONDS = 30.0  # for all sets of a run together
COUNTS = ("passed", "total-failed", "hard-failed", "soft-failed", "advisory-failed")


@dataclass
class Outcome:
    """How a run's policies ended. `status` is passed, soft_failed or hard_failed; `output` is for people."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    documents: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self) -> str:
        return "hard_failed" if self.counts["hard-failed"] else "soft_failed" if self.counts["soft-failed"] else "passed"

    @property
    def result(self) -> dict[str, Any]:
        """The `result` attribute of the policy check; duration in milliseconds."""
        return {"result": self.status == "passed", **self.counts, "duration": round(self.seconds * 1000), **self.documents}

    @property
    def output(self) -> str:
        return "\n\n".join(self.texts) + "\n"

    def add(self, level: str, passed: bool) -> None:
        """Count one policy of an enforcement level."""
        if passed:
            self.counts["passed"] += 1
            return
        self.counts["total-failed"] += 1
        self.counts[{"advisory": "advisory-failed", "soft-mandatory": "soft-failed"}.get(level, "hard-failed")] += 1


def evaluate_sets(sets: Sequence[LoadedSet], plan: dict[str, Any], run: dict[str, Any], work: Path) -> Outcome:
    """Judge a plan (`terraform show -json`) by every set. A set that cannot be evaluated is a hard failure with its reason."""
    outcome = Outcome()
    started = time.monotonic()
    for loaded in sets:
        left = max(0.1, SECONDS - (time.monotonic() - started))
        if len(sets) > 1:
            outcome.texts.append(f"=== Policy set: {loaded.name} ===")
        try:
            directory = unpacked(loaded, work)
            if loaded.kind == "opa":
                _judge_rego(outcome, loaded, directory, {"plan": plan, "run": run}, left)
            else:
                _judge_sentinel(outcome, loaded, directory, plan, run, left)
        except (PolicyError, OSError, ValueError) as error:
            outcome.add("hard-mandatory", False)
            outcome.texts.append(f"The policy set {loaded.name} could not be evaluated: {error}")
    outcome.seconds = time.monotonic() - started
    return outcome


def _judge_sentinel(
    outcome: Outcome, loaded: LoadedSet, directory: Path, plan: dict[str, Any], run: dict[str, Any], seconds: float
) -> None:
    limits = Limits(seconds=min(Limits().seconds, seconds))
    check = check_policies(directory, imports_of_plan(plan, run), loaded.params, limits)
    for policy, result in check.policies:
        outcome.add(policy.level, result.passed)
    documents = outcome.documents.setdefault("sentinel", {"data": {}})
    documents["data"][loaded.name] = check.counts()["sentinel"]
    outcome.texts.append(render_check(check).rstrip())


def _judge_rego(outcome: Outcome, loaded: LoadedSet, directory: Path, document: dict[str, Any], seconds: float) -> None:
    results, _ = rego.evaluate(directory, document, min(rego.SECONDS, seconds))
    mandatory = "soft-mandatory" if loaded.overridable else "hard-mandatory"
    lines = [f"OPA Result: {str(all(r.passed for r in results)).lower()}", "", f"{len(results)} policies evaluated.", ""]
    for number, result in enumerate(results, 1):
        outcome.add("advisory" if result.policy.level == "advisory" else mandatory, result.passed)
        lines += [f"## Policy {number}: {result.policy.name} ({result.policy.level})", "", f"Result: {str(result.passed).lower()}", ""]
        if result.policy.description:
            lines += [result.policy.description, ""]
        if result.error:
            lines += [f"Error: {result.error}", ""]
        lines += [f"  - {violation}" for violation in result.violations] + ([""] if result.violations else [])
    documents = outcome.documents.setdefault("opa", {})
    documents[loaded.name] = [
        {
            "policy_name": r.policy.name,
            "enforcement_level": r.policy.level,
            "query": r.policy.query,
            "status": "passed" if r.passed else "errored" if r.error else "failed",
            "violations": list(r.violations),
            "error": r.error,
        }
        for r in results
    ]
    outcome.texts.append("\n".join(lines).rstrip())


def run_document(tx: Tx, run: Row[Any]) -> dict[str, Any]:
    """What policies learn of a run: the data of tfrun, and Rego's input.run."""
    w, o, p, v, t = schema.workspaces, schema.organizations, schema.projects, schema.variables, schema.workspace_tags
    workspace = one(tx, w, w.c.id == run.workspace_id)
    assert workspace is not None, "runs go with their workspace"
    organization, project = one(tx, o, o.c.id == workspace.organization_id), one(tx, p, p.c.id == workspace.project_id)
    assert organization is not None and project is not None, "workspaces go with both"
    creator = one(tx, schema.users, schema.users.c.id == run.created_by_id) if run.created_by_id else None
    variables = tx.execute(sa.select(v).where(v.c.workspace_id == workspace.id).order_by(v.c.key)).all()
    tags = tx.execute(sa.select(t.c.key, t.c.value).where(t.c.workspace_id == workspace.id).order_by(t.c.key, t.c.value)).all()
    return {
        "id": run.id,
        "created_at": run.created_at,
        "created_by": creator.username if creator else "",
        "message": run.message,
        "commit_sha": "",
        "speculative": run.plan_only,
        "is_destroy": run.is_destroy,
        "refresh": run.refresh,
        "refresh_only": run.refresh_only,
        "replace_addrs": run.replace_addrs,
        "target_addrs": run.target_addrs,
        "variables": {row.key: {"category": row.category, "sensitive": row.sensitive} for row in variables},
        "organization": {"name": organization.name},
        "project": {"id": project.id, "name": project.name},
        "workspace": {
            "id": workspace.id,
            "name": workspace.name,
            "created_at": workspace.created_at,
            "description": workspace.description,
            "execution_mode": workspace.execution_mode,
            "auto_apply": workspace.auto_apply,
            "tags": [key for key, value in tags if not value],
            "tag_bindings": [{"key": key, "value": value} for key, value in tags if value],
            "working_directory": workspace.working_directory,
            "vcs_repo": None,
        },
    }
