"""Runs the rows of the story and reports each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from haechi.pipeline.rows import ROWS
from haechi.pipeline.run import Run
from haechi.pipeline.up import blueprint
from haechi.settings import Target


def verify(target: Target, told: Callable[[dict[str, object]], None], only: Sequence[str] = ()) -> list[dict[str, object]]:
    """One object per row: {row, ok, what, evidence, seconds}; `told` gets each as soon as it is known."""
    run = Run(target, blueprint(), lambda line: None)
    results: list[dict[str, object]] = []
    for row, what, prove in ROWS:
        if only and row not in only:
            continue
        started = time.monotonic()
        try:
            ok, evidence = True, prove(run)
        except Exception as error:  # a row that cannot be tried is a row that fails, with the reason as its evidence
            ok, evidence = False, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        seconds = round(time.monotonic() - started, 1)
        results.append({"row": row, "ok": ok, "what": what, "evidence": evidence, "seconds": seconds})
        told(results[-1])
    return results
