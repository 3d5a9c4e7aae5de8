"""What a token's policies decide about a request: rules merged once, then one look-up per check. Pure.

Follows Vault's documented order: an exact path first; else the pattern whose first wildcard comes latest, then one without a `*` at
its end, then fewer `+`, then the longer, then the larger text. For LIST it follows the current Vault, where both spellings of the path,
with and without the "/" at its end, compete: before, `deny` on "kv/private/*" did not stop a LIST that "kv/*" allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from haechi.vault.policy import Policy, Rule

OPERATIONS = ("create", "delete", "list", "patch", "read", "recover", "update")
_WITH_PARAMETERS = frozenset(("create", "patch", "read", "recover", "update"))  # a read's are those of its query string


class Verdict(NamedTuple):
    """An answer: may the operation run, does the rule have sudo (the caller asks it for protected paths), who granted it."""

    allowed: bool
    sudo: bool
    granting: tuple[str, ...]


_ROOT = Verdict(True, True, ("root",))
_NOTHING = Verdict(False, False, ())


@dataclass(slots=True)
class _Permissions:
    """All that policies say about one pattern."""

    capabilities: set[str] = field(default_factory=set)
    names: dict[str, list[str]] = field(default_factory=dict)  # by capability: the policies that give it
    allowed: dict[str, list[Any]] = field(default_factory=dict)
    denied: dict[str, list[Any]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    shortest: float = 0
    longest: float = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    refusal: Verdict = _NOTHING
    limited: bool = False

    def add(self, policy: str, rule: Rule) -> None:
        """Another rule for the same pattern. Deny ends it; capabilities and parameters unite; the shorter of two limits holds."""
        if "deny" in self.capabilities:
            return
        if "deny" in rule.capabilities:
            self.capabilities, self.names = {"deny"}, {}
            return
        self.capabilities |= rule.capabilities
        for capability in rule.capabilities:
            names = self.names.setdefault(capability, [])
            if policy not in names:
                names.append(policy)
        self.shortest = min(filter(None, (self.shortest, max(rule.min_wrapping_ttl, 0))), default=0)
        self.longest = min(filter(None, (self.longest, max(rule.max_wrapping_ttl, 0))), default=0)
        _unite(self.allowed, rule.allowed_parameters)
        _unite(self.denied, rule.denied_parameters)
        self.required += [name for name in rule.required_parameters if name not in self.required]

    def compile(self) -> None:
        sudo = "sudo" in self.capabilities
        self.refusal = Verdict(False, sudo, ())
        self.verdicts = {
            operation: Verdict(True, sudo, tuple(self.names[operation])) for operation in OPERATIONS if operation in self.capabilities
        }
        self.limited = bool(self.allowed or self.denied or self.required or self.shortest or self.longest)

    @property
    def granted(self) -> list[str]:
        return sorted(self.capabilities) or ["deny"]

    def accepts(self, operation: str, data: Mapping[str, Any], wrap_ttl: float) -> bool:
        """Whether an allowed operation keeps within the limits."""
        if self.longest and not 0 < wrap_ttl <= self.longest:
            return False
        if self.shortest and wrap_ttl < self.shortest:
            return False
        if operation not in _WITH_PARAMETERS:
            return True
        if any(name.lower() not in data for name in self.required):
            return False
        return not data or self._accepts_parameters(data)

    def _accepts_parameters(self, data: Mapping[str, Any]) -> bool:
        if "*" in self.denied:
            return False
        others = "*" in self.allowed or not self.allowed
        for name, value in data.items():
            key = name.lower()
            if key in ("policies", "token_policies"):  # names of policies are lower-cased, so "ROOT" must not pass for another name
                value = _lowered(value)
            if key in self.denied and _is_denied(value, self.denied[key]):
                return False
            if key in self.allowed:
                if not _is_allowed(value, self.allowed[key]):
                    return False
            elif not others:
                return False
        return True


@dataclass(slots=True)
class _Wildcard:
    """One pattern with a `*` at its end or with `+` segments."""

    pattern: str
    permissions: _Permissions
    head: str = ""  # up to the first wildcard
    parts: list[str] = field(default_factory=list)  # segments; empty when the head says all
    last: str | None = None  # what the segment after those must start with, in a pattern that ends in *
    rank: tuple[int, bool, int, int, str] = (0, False, 0, 0, "")

    def __post_init__(self) -> None:
        text = self.pattern.removesuffix("*")
        ends_open = text != self.pattern
        if has_segments(self.pattern):
            self.head, self.parts = text[: text.index("+")], text.split("/")
            if ends_open:
                self.last = self.parts.pop()
        else:
            self.head = text
        self.rank = (len(self.head), not ends_open, -self.parts.count("+"), len(text.encode()), text)

    def matches(self, segments: list[str]) -> bool:
        """Whether a path that starts with the head, split at "/", matches."""
        count = len(self.parts)
        if self.last is None:
            if len(segments) != count:
                return False
        elif len(segments) <= count or not segments[count].startswith(self.last):
            return False
        return all(part in ("+", segment) for part, segment in zip(self.parts, segments, strict=False))

    def reaches(self, segments: list[str]) -> bool:
        """Whether some path at or below these segments can match."""
        parts = self.parts if self.last is None else [*self.parts, self.last]
        for at, segment in enumerate(segments):
            if at >= len(parts):
                return False
            if at == len(parts) - 1 and self.last is not None:
                return segment.startswith(self.last)
            if parts[at] not in ("+", segment):
                return False
        return True


class ACL:
    """The rules of several policies, ready to be asked. Building one costs some microseconds per rule: keep it, per set of policies."""

    def __init__(self, policies: Sequence[Policy], root: bool = False) -> None:
        self.root = root
        merged: dict[str, _Permissions] = {}
        for policy in policies:
            for rule in policy.rules:
                merged.setdefault(rule.pattern, _Permissions()).add(policy.name, rule)
        self._exact: dict[str, _Permissions] = {}
        self._wildcards: dict[str, list[_Wildcard]] = {}  # by head, best first
        for pattern, permissions in merged.items():
            permissions.compile()
            if pattern.endswith("*") or has_segments(pattern):
                wildcard = _Wildcard(pattern, permissions)
                self._wildcards.setdefault(wildcard.head, []).append(wildcard)
            else:
                self._exact[pattern] = permissions
        for same in self._wildcards.values():
            same.sort(key=lambda wildcard: wildcard.rank, reverse=True)
        self._lengths = sorted({len(head) for head in self._wildcards}, reverse=True)

    def check(self, operation: str, path: str, data: Mapping[str, Any] | None = None, wrap_ttl: float = 0) -> Verdict:
        """May `operation` (one of OPERATIONS) run on `path`, with these parameters, wrapped for so many seconds (0: not wrapped)?"""
        if self.root:
            return _ROOT
        permissions = self._find(path, operation == "list")
        if permissions is None:
            return _NOTHING
        verdict = permissions.verdicts.get(operation, permissions.refusal)
        if verdict.allowed and permissions.limited and not permissions.accepts(operation, data or {}, wrap_ttl):
            return permissions.refusal
        return verdict

    def capabilities(self, path: str) -> list[str]:
        """What is allowed on a path, sorted; ["root"] for root, ["deny"] for nothing."""
        if self.root:
            return ["root"]
        permissions = self._find(path, True)  # as for LIST, like Vault
        return ["deny"] if permissions is None else permissions.granted

    def may_see_mount(self, prefix: str) -> bool:
        """Whether anything is allowed on a mount ("kv/", "auth/userpass/") or could be below it."""
        if self.capabilities(prefix) != ["deny"]:
            return True
        segments = prefix.rstrip("/").split("/")
        if any(path.startswith(prefix) and permissions.granted != ["deny"] for path, permissions in self._exact.items()):
            return True
        return any(
            (wildcard.reaches(segments) if wildcard.parts else wildcard.head.startswith(prefix))
            for same in self._wildcards.values()
            for wildcard in same
            if wildcard.permissions.granted != ["deny"]
        )

    def resultant(self) -> dict[str, Any]:
        """The data of sys/internal/ui/resultant-acl: {"root": True}, or every rule. Globs are without their `*`, unless they have a `+`."""
        if self.root:
            return {"root": True}
        wildcards = (wildcard for same in self._wildcards.values() for wildcard in same)
        globs = {wildcard.pattern if wildcard.parts else wildcard.head: _shown(wildcard.permissions) for wildcard in wildcards}
        return {"root": False, "exact_paths": {path: _shown(each) for path, each in self._exact.items()}, "glob_paths": globs}

    def _find(self, path: str, for_list: bool) -> _Permissions | None:
        if path[:1] == "/":
            path = path.lstrip("/")
        found = self._exact.get(path)
        if found is not None:
            return found
        if for_list and path[-1:] == "/":
            return self._exact.get(path[:-1]) or self._find_listed(path)
        best = next(self._candidates(path), None)
        return None if best is None else best.permissions

    def _find_listed(self, path: str) -> _Permissions | None:
        """The rule for a LIST: the best one that allows it, unless a better one denies; else the best of all."""
        candidates = [*self._candidates(path[:-1]), *self._candidates(path)]
        if not candidates:
            return None
        candidates.sort(key=lambda wildcard: wildcard.rank, reverse=True)
        for wildcard in candidates:
            if wildcard.permissions.capabilities & {"deny", "list"}:
                return wildcard.permissions
        return candidates[0].permissions

    def _candidates(self, path: str) -> Iterator[_Wildcard]:
        """Matching patterns, best first. Of those that only end in `*`, the longest alone."""
        size, segments, globbed = len(path), None, False
        for length in self._lengths:
            if length > size:
                continue
            for wildcard in self._wildcards.get(path[:length], ()):
                if not wildcard.parts and wildcard.last is None:
                    if not globbed:
                        globbed = True
                        yield wildcard
                    continue
                if segments is None:
                    segments = path.split("/")
                if wildcard.matches(segments):
                    yield wildcard


def has_segments(pattern: str) -> bool:
    """Whether a pattern is compared segment by segment: one of them starts with `+`."""
    return pattern == "+" or pattern.startswith("+/") or "/+" in pattern


def _shown(permissions: _Permissions) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "capabilities": permissions.granted,
        "min_wrapping_ttl": int(permissions.shortest),
        "max_wrapping_ttl": int(permissions.longest),
        "allowed_parameters": permissions.allowed,
        "denied_parameters": permissions.denied,
        "required_parameters": permissions.required,
    }
    return {key: value for key, value in shown.items() if value}


def _unite(known: dict[str, list[Any]], more: Mapping[str, tuple[Any, ...]]) -> None:
    """No values stand for any value, so they win over some."""
    for name, values in more.items():
        either_any = not values or known.get(name) == []
        known[name] = [] if either_any else [*values, *known.get(name, ())]


def _is_denied(value: Any, values: list[Any]) -> bool:
    return not values or _is_in(value, values) or any(_is_in(each, values) for each in _pieces(value))


def _is_allowed(value: Any, values: list[Any]) -> bool:
    """A list, or text that may be a list with commas, is allowed when each part is; an empty one (unlike in Vault) is not."""
    pieces = _pieces(value)
    return not values or _is_in(value, values) or (bool(pieces) and all(_is_in(each, values) for each in pieces))


def _pieces(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [piece.strip() for piece in value.split(",")] if value else []
    return value if isinstance(value, list) else []


def _is_in(value: Any, values: list[Any]) -> bool:
    for each in values:
        if isinstance(each, str) and isinstance(value, str):
            if _matches(each, value):
                return True
        elif each == value and isinstance(each, bool) == isinstance(value, bool):
            return True
    return False


def _matches(pattern: str, text: str) -> bool:
    """A `*` at the start, at the end or at both stands for anything; a lone "*" only for itself."""
    if len(pattern) < 2 or "*" not in (pattern[0], pattern[-1]):
        return pattern == text
    if pattern[0] == pattern[-1]:
        return pattern[1:-1] in text
    return text.endswith(pattern[1:]) if pattern[0] == "*" else text.startswith(pattern[:-1])


def _lowered(value: Any) -> Any:
    if isinstance(value, str):
        return value.lower()
    return [each.lower() if isinstance(each, str) else each for each in value] if isinstance(value, list) else value
