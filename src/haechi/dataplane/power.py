"""Signals to a host's first process, and what can be seen of it from outside."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from haechi.dataplane.cgroup import Cgroups

POWEROFF, REBOOT = signal.SIGRTMIN + 4, signal.SIGRTMIN + 5  # as systemd understands them


def ask(groups: Cgroups, id: str, number: int, timeout: float) -> bool:
    """Ask the first process to power off or reboot; True when it has ended."""
    end = time.monotonic() + timeout
    before = groups.init(id)
    while before and time.monotonic() < end:
        # again every second: a first process that has only just started does not hear it yet
        if send(groups, id, before, number, min(1.0, end - time.monotonic())):
            return True
    return not before


def send(groups: Cgroups, id: str, pid: int, number: int, wait: float = 0) -> bool:
    """Send a signal to a process of the host; True when it ends within `wait` seconds or is gone."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if groups.init(id) != pid:  # the number may have gone to another process before we held it
            return True
        signal.pidfd_send_signal(fd, number)
        return _ended(fd, wait)
    except ProcessLookupError:
        return True
    finally:
        os.close(fd)


def _ended(pidfd: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(int(timeout * 1000)))


def listening(pid: int, table: str) -> bool:
    """Whether a socket listens on port 22 where that process lives."""
    try:
        lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    except OSError:  # it ended
        return False
    fields = (line.split() for line in lines)
    return any(field[1].endswith(":0016") and field[3] == "0A" for field in fields)
