"""The one error that leaves this room, with the place in the policy where it happened."""

from __future__ import annotations


class PolicyError(Exception):
    """A policy that cannot be read, that failed while it ran, or that was stopped.

    `kind` is "parse", "runtime" or "limit"; `place` is "file:line:column", empty where the fault has no place.
    """

    def __init__(self, message: str, kind: str = "runtime", place: str = "") -> None:
        super().__init__(message)
        self.message, self.kind, self.place = message, kind, place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class Source:
    """The text of one policy or module file, and where an offset lies in it."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text.encode("utf-8", "replace").decode()

    def place(self, at: int) -> str:
        """ "file:line:column", counted from 1; columns count bytes, as the vendor's do."""
        line_start = self.text.rfind("\n", 0, at) + 1
        column = len(self.text[line_start:at].encode("utf-8", "surrogateescape")) + 1
        return f"{self.name}:{self.text.count(chr(10), 0, at) + 1}:{column}"

    def error(self, at: int, message: str, kind: str = "runtime") -> PolicyError:
        return PolicyError(message, kind, self.place(at))
