"""The log of calls: one JSON line each, in a file of bounded size, without secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE_LIMIT = 16 << 20  # bytes; one older file is kept


class Trace:
    """Writes calls to `path`. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        self._file = path.open("a", buffering=1)

    def write(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False)
        with self._lock:
            self._file.write(line + "\n")
            if self._file.tell() > FILE_LIMIT:
                self._file.close()
                self._path.replace(self._path.with_suffix(".old.jsonl"))
                self._path.touch(mode=0o600)
                self._file = self._path.open("a", buffering=1)

    def close(self) -> None:
        with self._lock:
            self._file.close()


def read_trace(path: Path, last: int) -> Iterator[dict[str, Any]]:
    """The last records of a log, oldest first. A line cut short by a crash is left out."""
    lines = path.read_text(errors="replace").splitlines()[-last:] if path.exists() else []
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue
