"""Random configurations, and random plans behind Terraform's imports: a PolicyError or a result, never another exception."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

from haechi.tfe.policy.sentinel.config import parse_config, read_imports
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.evaluation import evaluate
from haechi.tfe.policy.sentinel.terraform import imports_of_plan

PLANS = Path(__file__).parents[1] / "cases" / "sentinel" / "plans"
NAMES = ("tfplan", "tfplan/v2", "tfconfig", "tfconfig/v2", "tfstate", "tfstate/v2", "tfrun")

WORDS = (
    'policy module mock import param global test sentinel source data value params config plan rules main "a" "static" "plugin" "module" '
)
WORDS += '"x/y" { } { } = = : , [ ] 1 null true "advisory" enforcement_level \n \n'
KEYS = [
    "policy",
    "module",
    "modules",
    "mock",
    "import",
    "param",
    "global",
    "test",
    "source",
    "path",
    "data",
    "value",
    "params",
    "config",
    "plan",
    "rules",
    "static",
    "plugin",
    "format",
    "a",
]


def junk(chosen: random.Random, depth: int) -> Any:
    kind = chosen.randint(0, 7 if depth else 5)
    if kind >= 6:
        return [junk(chosen, depth - 1) for _ in range(chosen.randint(0, 3))]
    if kind >= 3 and depth:
        return {chosen.choice(KEYS): junk(chosen, depth - 1) for _ in range(chosen.randint(0, 4))}
    return [None, True, 1, "x", "", 1.5][kind]


def parse(text: str, directory: Path) -> None:
    with contextlib.suppress(PolicyError):
        read_imports(parse_config(text, "f"), directory, directory)


def test_random_configurations(tmp_path: Path) -> None:
    chosen, words = random.Random(21), WORDS.split(" ")
    for _ in range(4000):
        parse(" ".join(chosen.choice(words) for _ in range(chosen.randint(1, 25))), tmp_path)
        parse(json.dumps({chosen.choice(KEYS[:8]): junk(chosen, 4) for _ in range(2)}), tmp_path)
        kind = chosen.choice(KEYS[:8])
        parse(
            f'{kind} "a" {chosen.choice(["", chr(34) + "b" + chr(34)])} {{\n {chosen.choice(KEYS[8:])} = {json.dumps(junk(chosen, 2))}\n}}',
            tmp_path,
        )


def spoil(chosen: random.Random, value: Any) -> Any:
    """The value with something in it replaced, or gone."""
    if isinstance(value, dict) and value and chosen.random() < 0.95:
        key = chosen.choice(sorted(value))
        changed = {**value, key: spoil(chosen, value[key])}
        return {name: each for name, each in changed.items() if name != key or chosen.random() < 0.9}
    if isinstance(value, list) and value and chosen.random() < 0.9:
        at = chosen.randrange(len(value))
        return [*value[:at], spoil(chosen, value[at]), *value[at + 1 :]]
    return junk(chosen, 2)


def test_spoiled_plans() -> None:
    chosen = random.Random(22)
    plans = [json.loads(each.read_text()) for each in sorted(PLANS.glob("*.json"))]
    seen = set()
    for _ in range(400):
        plan = chosen.choice(plans)
        for _ in range(chosen.randint(1, 3)):
            plan = spoil(chosen, plan)
        for name in NAMES:
            text = f'import "{name}" as i\nprint(i)\nmain = true'
            result = evaluate("f", text, imports=imports_of_plan(plan if isinstance(plan, dict) else {}, {"workspace": junk(chosen, 1)}))
            seen.add(result.status)
    assert seen == {"passed", "error"}
