"""Machine-wide kernel parameters that a site needs, given back when its last user goes.

Several sites share one machine, so what a value was before is remembered for all of them in one file, together with who still
needs it. The file names the boot it belongs to: after a reboot the kernel has its own values again and the file means nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from haechi.dataplane import kernel

LEDGER = Path("/run/haechi-sysctl.json")
BOOT = Path("/proc/sys/kernel/random/boot_id")


def hold(holder: str, values: Iterable[tuple[str, str]]) -> None:
    """Set parameters given as (path below /proc/sys, value) for `holder` (a site's prefix). Idempotent; OSError if one cannot be set."""
    wanted = dict(values)
    with _ledger() as held:
        for path, value in wanted.items():
            was = read(path)
            entry = held.setdefault(path, {"was": was, "holders": []})
            if holder not in entry["holders"]:
                entry["holders"].append(holder)
            if was != value:
                kernel.sysctl([(path, value)])


def release(holder: str) -> None:
    """Let go of everything `holder` holds; what nobody else holds gets its old value back."""
    with _ledger() as held:
        for path, entry in list(held.items()):
            if holder in entry["holders"]:
                entry["holders"].remove(holder)
                if not entry["holders"]:
                    kernel.sysctl([(path, entry["was"])])
                    del held[path]


def read(path: str) -> str:
    """One parameter's value, blanks between several values made single; "" when the kernel has no such parameter."""
    file = Path("/proc/sys") / path
    return " ".join(file.read_text().split()) if file.exists() else ""


@contextmanager
def _ledger() -> Iterator[dict[str, Any]]:
    """The parameters held since boot, by path, written back (or removed when none is left) if the block succeeds or fails."""
    boot = BOOT.read_text().strip()
    with _locked() as file:
        text = file.read()
        stored = json.loads(text) if text else {}
        held: dict[str, Any] = stored["held"] if stored.get("boot") == boot else {}
        try:
            yield held
        finally:
            file.truncate(0)
            if held:
                file.write(json.dumps({"boot": boot, "held": held}, indent=1))
            else:
                LEDGER.unlink()


@contextmanager
def _locked() -> Iterator[TextIO]:
    """The file, held alone; opened again when the one before us removed it meanwhile."""
    while True:
        with LEDGER.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if LEDGER.exists() and os.fstat(file.fileno()).st_ino == LEDGER.stat().st_ino:
                file.seek(0)
                yield file
                return
