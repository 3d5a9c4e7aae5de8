"""ACL policies: their text read into rules, and the built-in ones. Pure. What rules decide together is in acl.py.

Text is HCL or JSON, or base64 of either. Error texts are Vault's. Two deliberate refusals: `mfa_methods` and `control_group` restrict a
rule by engines that do not exist here, and a rule without its restriction would grant more than was written.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from haechi.hcl import Body, HclError, blocks, last, parse_hcl, plain
from haechi.vault.durations import parse_duration
from haechi.vault.errors import listed

CAPABILITIES = ("create", "delete", "deny", "list", "patch", "read", "recover", "subscribe", "sudo", "update")

_LEGACY = {
    "deny": ("deny",),
    "read": ("read", "list"),
    "write": ("create", "read", "update", "delete", "list"),
    "sudo": ("create", "read", "update", "delete", "list", "sudo"),
}
_UNSUPPORTED = ("control_group", "mfa_methods")
_RULE_KEYS = (
    *("comment", "policy", "capabilities", "allowed_parameters", "denied_parameters", "required_parameters"),
    *("min_wrapping_ttl", "max_wrapping_ttl", "subscribe_event_types", *_UNSUPPORTED),
)

Parameters = Mapping[str, tuple[Any, ...]]  # lower-case name: values; no values stand for any value


@dataclass(frozen=True)
class Rule:
    """One `path`. The pattern has no leading "/", and its wildcards as written; times are seconds, 0 for no limit."""

    pattern: str
    capabilities: frozenset[str]
    allowed_parameters: Parameters = field(default_factory=dict)
    denied_parameters: Parameters = field(default_factory=dict)
    required_parameters: tuple[str, ...] = ()
    min_wrapping_ttl: float = 0
    max_wrapping_ttl: float = 0


@dataclass(frozen=True)
class Policy:
    """A policy; `text` is what was written, out of base64, as reading the policy gives it back."""

    name: str
    rules: tuple[Rule, ...]
    text: str = field(default="", repr=False)


def parse_policy(name: str, text: str) -> Policy:
    """The policy in `text`. ValueError "failed to parse policy: ..." when it is not one."""
    try:
        text = _decode(text)
        return Policy(name, _rules(parse_hcl(text)), text)
    except ValueError as error:
        raise ValueError(f"failed to parse policy: {error}") from None


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True).decode()
    except UnicodeDecodeError:
        raise HclError("illegal UTF-8 encoding") from None
    except ValueError:  # not base64
        return text


def _rules(document: Body) -> tuple[Rule, ...]:
    _check_keys(document, ("name", "path"), "")
    if isinstance(last(document, "name"), list | Body):
        raise HclError('"name" must be text')
    rules = (_rule(pattern, body) for (pattern,), body in blocks(document, "path", 1))
    return tuple(rule for rule in rules if rule is not None)


def _rule(pattern: str, body: Body) -> Rule | None:
    """One path's rule, or None for a templated path: there is no identity engine, so no token has what the template asks for."""
    templated = _check_template(pattern)
    path = f"path {_quoted(pattern)}"
    _check_keys(body, _RULE_KEYS, f"{path}: ")
    for key in _UNSUPPORTED:
        if key in body:
            raise HclError(f"{path}: {key} is not supported")
    stripped = pattern.removeprefix("/")
    if "+*" in stripped:
        raise HclError(f"path {_quoted(stripped)}: invalid use of wildcards ('+*' is forbidden)")
    capabilities = _capabilities(body, path)
    if "deny" in capabilities:  # which stands alone: Vault does not look at the rest
        return None if templated else Rule(stripped, capabilities)
    shortest, longest = _duration(body, "min_wrapping_ttl"), _duration(body, "max_wrapping_ttl")
    if shortest and longest and longest < shortest:
        raise HclError("max_wrapping_ttl cannot be less than min_wrapping_ttl")
    rule = Rule(
        stripped,
        capabilities,
        _parameters(body, "allowed_parameters"),
        _parameters(body, "denied_parameters"),
        tuple(_texts(body, "required_parameters", path)),
        shortest,
        longest,
    )
    return None if templated else rule


def _capabilities(body: Body, path: str) -> frozenset[str]:
    words = _texts(body, "capabilities", path)
    legacy = "".join(_texts(body, "policy", path))
    if legacy:
        if legacy not in _LEGACY:
            raise HclError(f"{path}: invalid policy {_quoted(legacy)}")
        words += _LEGACY[legacy]
    for word in words:
        if word not in CAPABILITIES:
            raise HclError(f"{path}: invalid capability {_quoted(word)}")
        if word == "deny":
            return frozenset(("deny",))
    return frozenset(words)


def _texts(body: Body, key: str, path: str) -> list[str]:
    """An attribute as a list of texts; a single text is a list of one."""
    found: list[str] = []
    for value in body.get(key, ()):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, bool) or not isinstance(each, str | int | float):
                raise HclError(f"{path}: {key} must be a list of strings")
            found.append(str(each))
    return found


def _parameters(body: Body, key: str) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for _, parameters in blocks(body, key):
        for name, values in parameters.items():
            value = plain(values[-1])
            found[name.lower()] = tuple(value) if isinstance(value, list) else (value,)
    return found


def _duration(body: Body, key: str) -> float:
    try:
        return parse_duration(last(body, key))
    except ValueError as error:
        raise HclError(f"error parsing {key}: {error}") from None


def _check_keys(body: Body, valid: tuple[str, ...], prefix: str) -> None:
    wrong = [(line, key) for key, lines in body.lines.items() if key not in valid for line in lines]
    if wrong:
        raise HclError(listed(*(f"{prefix}invalid key {_quoted(key)} on line {line}" for line, key in sorted(wrong))))


def _check_template(pattern: str) -> bool:
    """Whether a path has templates. HclError where their braces do not match."""
    first, *rest = pattern.split("{{")
    if "}}" in first or any(piece.count("}}") != 1 for piece in rest):
        raise HclError("failed to validate policy templating: unbalanced templating characters")
    return bool(rest)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


RESPONSE_WRAPPING_POLICY = """
path "cubbyhole/response" {
    capabilities = ["create", "read"]
}

path "sys/wrapping/unwrap" {
    capabilities = ["update"]
}
"""

DEFAULT_POLICY = """
# A token may look up, renew and revoke itself
path "auth/token/lookup-self" {
    capabilities = ["read"]
}
path "auth/token/renew-self" {
    capabilities = ["update"]
}
path "auth/token/revoke-self" {
    capabilities = ["update"]
}

# It may ask what it is allowed on a path
path "sys/capabilities-self" {
    capabilities = ["update"]
}

# It may read its own entity, by id or by name
path "identity/entity/id/{{identity.entity.id}}" {
    capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
    capabilities = ["read"]
}

# The web interface asks for all of a token's rules
path "sys/internal/ui/resultant-acl" {
    capabilities = ["read"]
}

# A lease can be renewed and looked up by whoever knows its id; sys/renew is the old path
path "sys/renew" {
    capabilities = ["update"]
}
path "sys/leases/renew" {
    capabilities = ["update"]
}
path "sys/leases/lookup" {
    capabilities = ["update"]
}

# A token's own cubbyhole is its own
path "cubbyhole/*" {
    capabilities = ["create", "read", "update", "delete", "list"]
}

# Response wrapping: wrap values, see when a wrapping token was made, unwrap
path "sys/wrapping/wrap" {
    capabilities = ["update"]
}
path "sys/wrapping/lookup" {
    capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
    capabilities = ["update"]
}

# Tools
path "sys/tools/hash" {
    capabilities = ["update"]
}
path "sys/tools/hash/*" {
    capabilities = ["update"]
}

# The state of a control group request, for whoever has its accessor
path "sys/control-group/request" {
    capabilities = ["update"]
}

# Authorization requests to OIDC providers
path "identity/oidc/provider/+/authorize" {
    capabilities = ["read", "update"]
}
"""
