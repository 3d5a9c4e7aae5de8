"""What every random resource shares: keepers, nothing to read, nothing to delete; and a repeatable choice from a seed."""

from __future__ import annotations

import random
from typing import Any

from haechi.provider.resource import Data
from haechi.provider.schema import Attribute, optional
from haechi.provider.types import STRING_MAP

KEEPERS: Attribute = optional(STRING_MAP, force_new=True)


def nothing(context: Any, d: Data) -> None:
    """The value lives in the state only."""


def chooser(seed: str | None) -> random.Random:
    """A source of choices: the operating system's, or a repeatable one from a seed (not the original provider's sequence)."""
    return random.Random(seed) if seed else random.SystemRandom()
