"""`haechi verify`: the story's rows, each proved by doing the thing from outside.

One function per row; it returns what it saw, or raises AssertionError (the row is not true) or another exception (it could not
be tried). Adding a row is one function and one line in ROWS.
"""

from __future__ import annotations

from collections.abc import Callable

from haechi.pipeline.rows.app import row_4_8, row_4_9, row_4_11
from haechi.pipeline.rows.provider import row_4_1, row_4_2
from haechi.pipeline.steps import Run

ROWS: tuple[tuple[str, str, Callable[[Run], str]], ...] = (
    ("4.1", "the Alibaba Cloud provider's resources and data sources", row_4_1),
    ("4.2", "terraform init and the provider's credentials", row_4_2),
    ("4.8", "three instances from the blueprint", row_4_8),
    ("4.9", "the load balancer serves from all of them", row_4_9),
    ("4.11", "the cat, in a browser's eyes", row_4_11),
)
