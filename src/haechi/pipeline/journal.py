"""What `up` did and when: one JSON line per event, so that an interrupted run is seen by the next one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


class Journal:
    """Appends {time, step, event, ...} to a file; `event` is begin, end or fail."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, step: str, event: str, **more: Any) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"time": round(time.time(), 3), "step": step, "event": event, **more}) + "\n")

    def interrupted(self) -> str:
        """The step that began last and never ended, or ""."""
        open_step = ""
        for line in self._path.read_text().splitlines() if self._path.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:  # the line that a power cut left half written
                continue
            open_step = record["step"] if record["event"] == "begin" else ""
        return open_step
