"""The trace of a policy: which rules were evaluated, to what, and the parts of their boolean expressions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_STEPS = 2000  # kept of one evaluation


@dataclass
class Step:
    """One evaluated rule or part of one. `what` is its text in the policy, or `Rule "name"`; `value` is plain data."""

    what: str
    place: str  # file:line:column
    value: Any = None
    undefined: bool = False
    parts: list[Step] = field(default_factory=list)

    def label(self) -> str:
        """TRUE, FALSE, UNDEFINED, or the value of a rule that holds something else than a bool."""
        if self.undefined:
            return "UNDEFINED"
        return str(self.value).upper() if isinstance(self.value, bool) else f"VALUE {str(self.value)[:200]}"


def render_trace(rules: list[Step], description: str = "") -> str:
    """As the vendor's program prints it: main first, every rule with the parts of its expression indented below it."""
    blocks = []
    if description:
        blocks.append("Description:\n" + "\n".join(f"  {each}".rstrip() for each in description.split("\n")))
    for rule in sorted(rules, key=lambda each: each.what != 'Rule "main"'):
        blocks.append("\n".join(_lines(rule, "")))
    return "\n\n".join(blocks)


def _lines(step: Step, indent: str) -> list[str]:
    lines = [f"{indent}{step.label()} - {step.place} - {step.what}"]
    for part in step.parts:
        lines += _lines(part, indent + "  ")
    return lines
