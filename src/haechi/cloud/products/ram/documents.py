"""Policy documents: read, checked, evaluated. Pure.

Grammar: {"Version": "1", "Statement": [{"Effect": "Allow"|"Deny", "Action"|"NotAction": text or list, "Resource"|"NotResource": text or
list}]}; in a role's trust policy "Principal" stands for Resource. Source: "Policy elements" and "Policy structure and syntax".

Two limits. A Condition is refused when the policy is written, so none is ever skipped in silence. Of a resource name
acs:<product>:<region>:<account>:<what> the last part is not compared: an Allow for one instance allows all of the product's, a Deny for
one denies all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

RAM_CODES = {  # how policies call products whose API code is another
    "bssopenapi": ("bss", "bssapi"),
    "cloudfw": ("yundun-cloudfirewall",),
    "ddoscoo": ("yundun-ddoscoo",),
    "sas": ("yundun-sas",),
    "waf-openapi": ("yundun-waf",),
}


class Malformed(ValueError):
    """What is wrong with a document, for people."""


@dataclass(frozen=True)
class Statement:
    """One statement, its patterns compiled."""

    allow: bool
    action: re.Pattern[str]
    other_actions: bool  # NotAction
    resources: tuple[tuple[re.Pattern[str], ...], ...]  # per name: product, region, account; empty for "*"
    other_resources: bool  # NotResource
    principals: Mapping[str, tuple[str, ...]]

    def covers(self, names: Iterable[str], region: str, account: str, products: Iterable[str]) -> bool:
        """Whether the statement speaks about an action; `names` are its spellings as <product>:<Action>."""
        if any(self.action.fullmatch(n) for n in names) == self.other_actions:
            return False
        if any(not parts for parts in self.resources):
            return not self.other_resources
        if self.other_resources:  # names of single objects, which are not compared: the rest is always more than them
            return True
        return any(
            any(parts[0].fullmatch(p) for p in products) and parts[1].fullmatch(region) and parts[2].fullmatch(account)
            for parts in self.resources
        )


Policy = tuple[Statement, ...]


def _patterns(values: Iterable[str]) -> re.Pattern[str]:
    """Any of some patterns with * and ?, in any case. Atomic groups: a text with many stars must not take exponential time."""
    return re.compile("|".join(f"(?:{_spell(v)})" for v in values), re.IGNORECASE | re.DOTALL)


def _spell(value: str) -> str:
    first, *rest = ("".join("." if c == "?" else re.escape(c) for c in piece) for piece in value.split("*"))
    if not rest:
        return first
    return first + "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece) + ".*" + rest[-1]


def _texts(value: object, what: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > 500 or not all(isinstance(v, str) and v and len(v) <= 1024 for v in values):
        raise Malformed(f"{what} must be text or a list of texts.")
    return tuple(str(v) for v in values)


def _resources(values: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], ...], ...]:
    result: list[tuple[re.Pattern[str], ...]] = []
    for value in values:
        parts = value.split(":", 4)
        if value == "*":
            result.append(())
        elif len(parts) == 5 and parts[0] == "acs":
            result.append(tuple(_patterns([p or "*"]) for p in parts[1:4]))
        else:
            raise Malformed("A resource must be * or acs:<product>:<region>:<account>:<name>.")
    return tuple(result)


def _statement(raw: object, trust: bool) -> Statement:
    if not isinstance(raw, dict):
        raise Malformed("A statement must be an object.")
    known = {"Effect", "Action", "NotAction", "Sid"} | ({"Principal"} if trust else {"Resource", "NotResource"})
    if raw.get("Condition"):
        raise Malformed("Condition is not supported by this cloud.")
    if set(raw) - known - {"Condition"}:
        raise Malformed("A statement has an element that is unknown here.")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise Malformed("Effect must be Allow or Deny.")
    if ("Action" in raw) == ("NotAction" in raw):
        raise Malformed("A statement needs Action or NotAction.")
    actions = _texts(raw.get("Action", raw.get("NotAction")), "Action")
    if not all(a == "*" or re.fullmatch(r"[A-Za-z0-9*?_\-]+:[A-Za-z0-9*?_\-/]+", a) for a in actions):
        raise Malformed("An action must be * or <product>:<Action>.")
    if trust:
        return Statement(raw["Effect"] == "Allow", _patterns(actions), "NotAction" in raw, (), False, _principals(raw.get("Principal")))
    if ("Resource" in raw) == ("NotResource" in raw):
        raise Malformed("A statement needs Resource or NotResource.")
    names = _resources(_texts(raw.get("Resource", raw.get("NotResource")), "Resource"))
    return Statement(raw["Effect"] == "Allow", _patterns(actions), "NotAction" in raw, names, "NotResource" in raw, {})


def _principals(raw: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(raw, dict) or not raw or set(raw) - {"RAM", "Service", "Federated"}:
        raise Malformed("Principal must name RAM, Service or Federated.")
    return {kind: _texts(value, "Principal") for kind, value in raw.items()}


@lru_cache(maxsize=1024)
def parse_policy(text: str, trust: bool = False) -> Policy:
    """The statements of a document. Raises Malformed."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("It is not JSON.") from None
    if not isinstance(document, dict) or set(document) - {"Version", "Statement"}:
        raise Malformed("It must be an object with Version and Statement.")
    if document.get("Version") != "1":
        raise Malformed('Version must be "1".')
    statements = document.get("Statement")
    if not isinstance(statements, list) or not statements:
        raise Malformed("Statement must be a list that is not empty.")
    return tuple(_statement(s, trust) for s in statements)


def decide(policies: Iterable[Policy], product: str, action: str, region: str, account: str) -> bool:
    """Whether policies allow an action: some statement allows it and none denies it."""
    products = (product, *RAM_CODES.get(product, ()))
    names = [f"{p}:{action}" for p in products]
    allowed = False
    for policy in policies:
        for statement in policy:
            if statement.covers(names, region, account, products):
                if not statement.allow:
                    return False
                allowed = True
    return allowed


def trusts(policy: Policy, arns: Iterable[str], kind: str = "RAM") -> bool:
    """Whether a role's trust policy lets one of these principals assume it."""
    allowed = False
    wanted = {a.lower() for a in arns}
    for statement in policy:
        named = {p.lower() for p in statement.principals.get(kind, ())}
        spoken = bool(statement.action.fullmatch("sts:AssumeRole")) != statement.other_actions
        if spoken and named & wanted:
            if not statement.allow:
                return False
            allowed = True
    return allowed
