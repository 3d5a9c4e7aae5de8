"""Files that several programs and threads share: locks, whole replacement, removal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from haechi.dataplane import kernel


@contextlib.contextmanager
def held(path: Path) -> Iterator[int]:
    """Hold a file lock (other threads and processes wait). Gives its descriptor."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Remove a tree, but nothing that is mounted in it. KernelError when something stays."""
    if path.exists():
        kernel.run("rm", "-rf", "--one-file-system", str(path), timeout=600)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, {} when there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    except FileNotFoundError:
        return {}


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, readable by root only."""
    half = path.with_name(path.name + ".new")
    fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "w") as file:
        file.write(text)
    half.rename(path)
