"""How the control side fails in front of people."""

from __future__ import annotations


class Failure(Exception):
    """What went wrong, and what to do next: two lines."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\n{hint}")
        self.what = what
        self.hint = hint
