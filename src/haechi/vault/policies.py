"""Stored policies, and the access lists made of them.

Storage: sys/policy/<name> {"policy": text}. `root` and `response-wrapping` are built in, `default` starts as the built-in text.
"""

from __future__ import annotations

from collections.abc import Sequence

from haechi.vault.acl import ACL
from haechi.vault.errors import invalid
from haechi.vault.policy import DEFAULT_POLICY, RESPONSE_WRAPPING_POLICY, Policy, parse_policy
from haechi.vault.store import Transaction

PREFIX = "sys/policy/"
FIXED = ("root", "response-wrapping")
BUILT_IN = {"default": DEFAULT_POLICY, "response-wrapping": RESPONSE_WRAPPING_POLICY}
REMEMBERED = 1024  # access lists


class Policies:
    """Parsed once, until something is written."""

    def __init__(self) -> None:
        self._parsed: dict[str, Policy] = {}
        self._lists: dict[tuple[str, ...], ACL] = {}

    def forget(self) -> None:
        """What is remembered may be outdated."""
        self._parsed.clear()
        self._lists.clear()

    def text(self, transaction: Transaction, name: str) -> str | None:
        """The policy's text as it was written; None when there is none. That of `root` is empty."""
        if name in FIXED:
            return BUILT_IN.get(name, "")
        entry = transaction.get(PREFIX + name)
        text: str | None = entry["policy"] if entry else BUILT_IN.get(name)
        return text

    def names(self, transaction: Transaction) -> list[str]:
        """Every policy but response-wrapping, sorted, root last as Vault lists it."""
        return [*sorted({*(path[len(PREFIX) :] for path in transaction.paths(PREFIX)), "default"}), "root"]

    def write(self, transaction: Transaction, name: str, text: str) -> None:
        """Raises VaultError 400 for a text that does not parse and for the fixed ones."""
        if name in FIXED:
            raise invalid(f'cannot update "{name}" policy')
        try:
            policy = parse_policy(name, text)
        except ValueError as error:
            why = str(error)
            raise invalid(why if why.startswith("failed to parse policy") else f"failed to parse policy: {why}") from None
        transaction.put(PREFIX + name, {"policy": policy.text})
        self.forget()

    def delete(self, transaction: Transaction, name: str) -> None:
        if name in (*FIXED, "default"):
            raise invalid(f'cannot delete "{name}" policy' if name in FIXED else "cannot delete default policy")
        transaction.delete(PREFIX + name)
        self.forget()

    def access(self, transaction: Transaction, names: Sequence[str]) -> ACL:
        """The access list of a token with these policies; unknown ones grant nothing."""
        key = tuple(names)
        if key not in self._lists:
            found = [policy for name in key if (policy := self._policy(transaction, name)) is not None]
            if len(self._lists) >= REMEMBERED:
                self._lists.clear()
            self._lists[key] = ACL(found, root="root" in key)
        return self._lists[key]

    def _policy(self, transaction: Transaction, name: str) -> Policy | None:
        if name == "root":
            return None
        if name not in self._parsed:
            text = self.text(transaction, name)
            if text is None:
                return None
            self._parsed[name] = parse_policy(name, text)
        return self._parsed[name]
