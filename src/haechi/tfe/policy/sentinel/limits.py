"""What one evaluation may use; the meter stops it with a PolicyError of kind "limit"."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from haechi.tfe.policy.sentinel.errors import PolicyError

CELL = 64  # bytes that one element of a list or map is counted as


@dataclass(frozen=True)
class Limits:
    """steps: syntax nodes evaluated; memory: bytes ever allocated; depth: calls inside calls; output: characters printed."""

    steps: int = 20_000_000
    seconds: float = 10.0
    memory: int = 1 << 28
    depth: int = 40
    output: int = 1 << 18


class Meter:
    """Counts for one evaluation, its modules included."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits, self.clock = limits, clock
        self.started = clock()
        self.steps = self.memory = self.depth = self.output = 0
        self.next_look = 0

    def look(self) -> None:
        """Called when `steps` reaches `next_look`, every thousand steps or so."""
        self.next_look = min(self.steps + 1000, self.limits.steps)
        if self.steps >= self.limits.steps:
            raise PolicyError(f"stopped after {self.limits.steps} steps", "limit")
        if self.clock() - self.started > self.limits.seconds:
            raise PolicyError(f"stopped after {self.limits.seconds:g} seconds", "limit")

    def work(self, steps: int) -> None:
        """Work that no syntax node stands for, like comparing two lists or matching a text."""
        self.steps += steps
        if self.steps >= self.next_look:
            self.look()

    def text(self, length: int) -> None:
        """A text of this length is about to be made."""
        self.memory += length
        if self.memory > self.limits.memory:
            raise PolicyError(f"stopped after allocating {self.limits.memory} bytes", "limit")

    def cells(self, count: int) -> None:
        """A list or map of so many elements is about to be made, or to grow by as many."""
        self.text(CELL * (count + 1))
        self.work(count)

    def enter(self) -> None:
        self.depth += 1
        if self.depth > self.limits.depth:
            raise PolicyError(f"calls nested more than {self.limits.depth} deep", "limit")

    def leave(self) -> None:
        self.depth -= 1

    def printed(self, length: int) -> None:
        self.output += length
        if self.output > self.limits.output:
            raise PolicyError(f"stopped after printing {self.limits.output} characters", "limit")
