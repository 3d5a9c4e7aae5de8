"""Policies and what they decide. The cases are in tests/cases/vault; an independent slow resolver checks the fast one on random rules."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest

from haechi.vault.acl import ACL, OPERATIONS, Verdict
from haechi.vault.policy import CAPABILITIES, DEFAULT_POLICY, RESPONSE_WRAPPING_POLICY, Policy, parse_policy

CASES = Path(__file__).parents[1] / "cases" / "vault"
TABLE = json.loads((CASES / "policies.json").read_text())
BUILT_IN = {"default": DEFAULT_POLICY, "response-wrapping": RESPONSE_WRAPPING_POLICY}


def acl(*names: str) -> ACL:
    if names == ("root",):
        return ACL([], root=True)
    return ACL([parse_policy(name, BUILT_IN.get(name) or TABLE["policies"][name]) for name in names])


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["about"])
def test_table(case: dict[str, Any]) -> None:
    rules = acl(*case["policies"])
    if "capabilities" in case:
        assert rules.capabilities(case["path"]) == case["capabilities"]
        if not case["path"].endswith("/") and not case.get("limited"):  # what is shown is what is done
            for operation in OPERATIONS:
                assert rules.check(operation, case["path"]).allowed == bool({operation, "root"} & set(case["capabilities"])), operation
        return
    verdict = rules.check(case["operation"], case["path"], case.get("data"), case.get("wrap_ttl", 0))
    assert verdict.allowed is case["allowed"]
    assert verdict.sudo is case.get("sudo", verdict.sudo)
    assert verdict.granting == tuple(case.get("granting", verdict.granting))
    assert bool(verdict.granting) is verdict.allowed


@pytest.mark.parametrize("case", json.loads((CASES / "policy_errors.json").read_text()), ids=lambda case: case["about"])
def test_errors(case: dict[str, str]) -> None:
    with pytest.raises(ValueError) as raised:
        parse_policy("x", case["policy"])
    assert str(raised.value).startswith("failed to parse policy: " + case["error"])


def test_text_is_kept() -> None:
    text = '# mine\npath "kv/*" { capabilities = ["read"] }\n'
    for given in (text, base64.b64encode(text.encode()).decode(), base64.encodebytes(text.encode()).decode()):
        policy = parse_policy("mine", given)
        assert (policy.name, policy.text, len(policy.rules)) == ("mine", text, 1)
        assert "kv" in repr(policy) and "# mine" not in repr(policy)
    assert parse_policy("empty", "").rules == ()


def test_rule_reads_everything() -> None:
    text = """
    name = "other"
    path "kv/x" {
      comment = "why"
      capabilities = ["read", "read", "sudo"]
      required_parameters = ["a"]
      allowed_parameters { "A" = ["x", 1] }
      denied_parameters = { b = "one" }
      subscribe_event_types = ["*"]
      min_wrapping_ttl = "1m"
      max_wrapping_ttl = 90
    }
    """
    (rule,) = parse_policy("p", text).rules
    assert (rule.pattern, rule.capabilities, rule.required_parameters) == ("kv/x", {"read", "sudo"}, ("a",))
    assert (rule.allowed_parameters, rule.denied_parameters) == ({"a": ("x", 1)}, {"b": ("one",)})
    assert (rule.min_wrapping_ttl, rule.max_wrapping_ttl) == (60, 90)


def test_all_capabilities_are_accepted() -> None:
    for word in CAPABILITIES:
        assert acl_of(f'path "x" {{ capabilities = ["{word}"] }}').capabilities("x") == [word]


def acl_of(*texts: str) -> ACL:
    return ACL([parse_policy(f"p{number}", text) for number, text in enumerate(texts)])


def test_default_policy_is_the_documented_one() -> None:
    rules = acl("default").resultant()
    shown = {path: each["capabilities"] for kind in ("exact_paths", "glob_paths") for path, each in rules[kind].items()}
    update = ["update"]
    assert shown == {
        "auth/token/lookup-self": ["read"],
        "auth/token/renew-self": update,
        "auth/token/revoke-self": update,
        "sys/capabilities-self": update,
        "sys/internal/ui/resultant-acl": ["read"],
        "sys/renew": update,
        "sys/leases/renew": update,
        "sys/leases/lookup": update,
        "cubbyhole/": ["create", "delete", "list", "read", "update"],
        "sys/wrapping/wrap": update,
        "sys/wrapping/lookup": update,
        "sys/wrapping/unwrap": update,
        "sys/tools/hash": update,
        "sys/tools/hash/": update,
        "sys/control-group/request": update,
        "identity/oidc/provider/+/authorize": ["read", "update"],
    }


def test_root() -> None:
    root = acl("root")
    assert root.check("delete", "sys/x", {"a": 1}) == Verdict(True, True, ("root",))
    assert root.resultant() == {"root": True}
    assert root.may_see_mount("kv/")


def test_resultant() -> None:
    text = """
    path "kv/a" { capabilities = ["update", "create"]
      allowed_parameters = { "X" = ["1"] "y" = [] }
      denied_parameters = { "z" = [] }
      required_parameters = ["x"]
      min_wrapping_ttl = "1m"
      max_wrapping_ttl = "2m" }
    path "kv/b*" { capabilities = ["read"] }
    path "kv/+/c*" { capabilities = ["deny"] }
    path "kv/none" {}
    """
    assert acl_of(text).resultant() == {
        "root": False,
        "exact_paths": {
            "kv/a": {
                "capabilities": ["create", "update"],
                "min_wrapping_ttl": 60,
                "max_wrapping_ttl": 120,
                "allowed_parameters": {"x": ["1"], "y": []},
                "denied_parameters": {"z": []},
                "required_parameters": ["x"],
            },
            "kv/none": {"capabilities": ["deny"]},
        },
        "glob_paths": {"kv/b": {"capabilities": ["read"]}, "kv/+/c*": {"capabilities": ["deny"]}},
    }


SEEN = [  # rule, mount, seen
    ("kv/*", "kv/", True),
    ("kv/data/app", "kv/", True),
    ("kv/data/*", "kv/", True),
    ("kv", "kv/", True),
    ("k*", "kv/", True),
    ("*", "kv/", True),
    ("kv2/*", "kv/", False),
    ("kv", "kv2/", False),
    ("other/*", "kv/", False),
    ("+", "kv/", True),
    ("+/data/x", "kv/", True),
    ("+/*", "kv/", True),
    ("kv/+/x", "kv/", True),
    ("kv/+", "kv/", True),
    ("no/+/x", "kv/", False),
    ("+/userpass/*", "auth/userpass/", True),
    ("+/userp*", "auth/userpass/", True),
    ("+/user/*", "auth/userpass/", False),
    ("auth/+/login", "auth/userpass/", True),
    ("auth/+", "auth/userpass/", True),
    ("+/x", "a/b/c/", False),
    ("a/+", "a/b/c/", False),
    ("a/+/c/d", "a/b/c/", True),
    ("a/+/d/d", "a/b/c/", False),
    ("a/+/*", "a/b/c/", True),
    ("auth/userpass/users/x", "auth/userpass/", True),
    ("auth/userpass/users/x", "auth/userpass2/", False),
]


@pytest.mark.parametrize(("pattern", "mount", "seen"), SEEN)
def test_mounts_seen(pattern: str, mount: str, seen: bool) -> None:
    assert acl_of(f'path "{pattern}" {{ capabilities = ["read"] }}').may_see_mount(mount) is seen
    assert acl_of(f'path "{pattern}" {{ capabilities = ["deny"] }}').may_see_mount(mount) is False
    assert acl_of(f'path "{pattern}" {{}}').may_see_mount(mount) is False


def test_mount_with_a_deny_and_a_grant_below() -> None:
    assert acl_of('path "kv/*" { capabilities = ["deny"] }', 'path "kv/data/x" { capabilities = ["read"] }').may_see_mount("kv/")
    assert not acl_of('path "k*" { capabilities = ["read"] }', 'path "kv/*" { capabilities = ["deny"] }').may_see_mount("kv/")
    assert acl().may_see_mount("kv/") is False


def segmented(pattern: str) -> bool:
    return any(part.startswith("+") for part in pattern.split("/"))


def slow_winners(patterns: list[str], path: str) -> list[str]:
    """Patterns that match a path, best first, straight from the documentation; of globs the longest only."""

    def segments_match(pattern: str) -> bool:
        text, wanted = pattern.removesuffix("*"), path.split("/")
        parts = text.split("/")
        if pattern == text:
            return len(parts) == len(wanted) and all(part in ("+", got) for part, got in zip(parts, wanted, strict=True))
        if len(wanted) < len(parts):
            return False
        pairs = list(zip(parts, wanted, strict=False))
        return all(part in ("+", got) for part, got in pairs[:-1]) and pairs[-1][1].startswith(pairs[-1][0])

    globs = [each for each in patterns if each.endswith("*") and not segmented(each) and path.startswith(each[:-1])]
    found = sorted(globs, key=len)[-1:] + [each for each in patterns if segmented(each) and segments_match(each)]

    def rank(pattern: str) -> tuple[Any, ...]:
        text = pattern.removesuffix("*")
        first = text.find("+") if segmented(pattern) else len(text)
        plus = text.split("/").count("+") if segmented(pattern) else 0
        return first, text == pattern, -plus, len(text), text

    return sorted(found, key=rank, reverse=True)


def test_random_rules_against_a_slow_resolver() -> None:
    chance = random.Random(3)
    pieces = ["a", "b", "ab", "+", "", "+a"]

    def some_path(*extra: str) -> str:
        return "/".join(chance.choice([*pieces[: 5 if extra else 3], *extra]) for _ in range(chance.randint(1, 4)))

    decided = set()
    for _ in range(400):
        drawn = [(some_path("+", "+a") + chance.choice(["", "*"])).lstrip("/") for _ in range(chance.randint(1, 8))]
        patterns = [each for each in dict.fromkeys(drawn) if "+*" not in each]
        grants = {each: chance.choice(["read", "list", "deny", "update"]) for each in patterns}
        rules = acl_of("\n".join(f'path "{each}" {{ capabilities = ["{grants[each]}"] }}' for each in patterns))
        for _ in range(12):
            path = chance.choice(["", "a/"]) + some_path() + chance.choice(["", "", "/"])
            exact = [each for each in patterns if each == path and each[-1:] != "*" and not segmented(each)]
            winner = next(iter(exact or slow_winners(patterns, path)), None)
            verdict = rules.check("read", path)
            assert verdict.allowed is (winner is not None and grants[winner] == "read"), (patterns, path, winner)
            decided.add((verdict.allowed, winner is not None, bool(exact)))
    assert len(decided) == 5  # allowed or not, by an exact path or by a wildcard; and nothing matched


def test_many_policies_are_one_set_of_rules() -> None:
    policies: list[Policy] = [
        parse_policy(f"p{number}", f'path "kv/{number}/*" {{ capabilities = ["read"] }}\npath "shared" {{ capabilities = ["list"] }}')
        for number in range(300)
    ]
    rules = ACL(policies)
    assert rules.check("read", "kv/299/x") == Verdict(True, False, ("p299",))
    assert not rules.check("read", "kv/300/x").allowed
    assert len(rules.check("list", "shared").granting) == 300
