"""Helper programs that must outlive the server: started in a namespace and a cgroup of their own, adopted again, stopped whole."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from haechi.dataplane import kernel
from haechi.dataplane.cgroup import parse_mounts

BOOT = Path("/proc/sys/kernel/random/boot_id")
LOG_LIMIT = 4 << 20  # bytes; a longer log starts anew at the next start or `trim`
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Process:
    """One program: `command` runs in namespace `netns`; its record and its log lie in `directory`, its cgroup below `parent`."""

    name: str
    command: tuple[str, ...]
    netns: str
    directory: Path
    parent: str

    @property
    def _cgroup(self) -> Path:
        return cgroup_root(self.parent) / self.name

    @property
    def _record(self) -> Path:
        return self.directory / f"{self.name}.json"

    def pid(self) -> int:
        """Its process id, also when an earlier server started it; 0 when it does not run."""
        pid, start, boot = self._read()
        return pid if start and boot == BOOT.read_text().strip() and start_time(pid) == start else 0

    def in_place(self) -> bool:
        """Whether it runs in the namespace that has the name now; one deleted by hand lives on under its programs, unreachable."""
        try:
            return os.stat(f"/proc/{self.pid()}/ns/net").st_ino == os.stat(kernel.NETNS / self.netns).st_ino
        except OSError:  # one of them is gone
            return False

    def catches(self, number: int) -> bool:
        """Whether a signal sent now reaches a handler: one that comes while a program starts kills it or is dropped."""
        try:
            lines = Path(f"/proc/{self.pid()}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return False
        masks = dict(line.split(":\t") for line in lines if line.startswith("Sig"))
        bit = 1 << (number - 1)
        return bool(int(masks["SigCgt"], 16) & bit and not int(masks["SigBlk"], 16) & bit)

    def start(self) -> None:
        """Start it unless it runs."""
        if self.pid():
            return
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._cgroup.mkdir(parents=True, exist_ok=True)
        self._kill()  # what a start that was cut short may have left in the group
        log = self.directory / f"{self.name}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            flags |= os.O_TRUNC
        output = os.open(log, flags, 0o600)
        # the shell enters the group before the program exists, so that no child of it can escape
        script = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'
        command = ("/bin/sh", "-c", script, "sh", str(self._cgroup), "ip", "netns", "exec", self.netns, *self.command)
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        except OSError as error:
            raise kernel.KernelError(f"{self.command[0]}: {error}") from error
        finally:
            os.close(output)
        process.returncode = 0  # it is not waited for by Popen: `reap` or the machine's first process does
        record = {"pid": process.pid, "start": start_time(process.pid), "boot": BOOT.read_text().strip()}
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps(record))
        temporary.replace(self._record)
        while start_time(process.pid) and str(process.pid) not in (self._cgroup / "cgroup.procs").read_text().split():
            time.sleep(0.001)  # until it is in the group, a stop would not see it

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens when it does not run."""
        pid = self.pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(pid, number)

    def stop(self) -> None:
        """End it and everything it started; leaves neither group nor record."""
        if self.pid():  # children whose parent is gone need no time
            self.signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self._populated() and time.monotonic() < deadline:
                self.reap()
                time.sleep(0.005)
        self._kill()
        self.reap()
        _remove_group(self._cgroup)
        with contextlib.suppress(OSError):  # others still live below it
            self._cgroup.parent.rmdir()
        self._record.unlink(missing_ok=True)

    def trim(self) -> None:
        """Empty the log if it has grown too long; the program, which appends, goes on at its start."""
        log = self.directory / f"{self.name}.log"
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > LOG_LIMIT:
                os.truncate(log, 0)

    def reap(self) -> None:
        """Take the exit status if this process is the parent; a zombie would count as running."""
        pid, start, boot = self._read()
        if start and boot == BOOT.read_text().strip() and _stat(pid)[1] == start:  # else the id may be another child's by now
            with contextlib.suppress(ChildProcessError):  # another server's child
                os.waitpid(pid, os.WNOHANG)

    def _read(self) -> tuple[int, str, str]:
        """Process id, start time and boot of the record; zero and blanks when there is none that can be read."""
        try:
            record = json.loads(self._record.read_text())
            return int(record["pid"]), str(record["start"]), str(record["boot"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0, "", ""

    def _populated(self) -> bool:
        try:
            return "populated 1" in (self._cgroup / "cgroup.events").read_text()
        except OSError:  # removed, before or while reading (ENODEV)
            return False

    def _kill(self) -> None:
        if not self._populated():
            return
        members = [int(pid) for pid in (self._cgroup / "cgroup.procs").read_text().split()]
        (self._cgroup / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + STOP_SECONDS
        while self._populated():
            if time.monotonic() > deadline:
                raise kernel.KernelError(f"{self.name} does not die")
            time.sleep(0.005)
        for pid in members:  # a zombie keeps the group, also one that the record does not know
            with contextlib.suppress(ChildProcessError):  # not our child
                os.waitpid(pid, 0)  # killed, but perhaps not yet to be waited for


def _remove_group(path: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        try:
            path.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as error:  # EBUSY for some milliseconds after the last process is gone
            if time.monotonic() > deadline:
                raise kernel.KernelError(f"remove group {path}: {error.strerror}") from error
            time.sleep(0.005)


def cgroup_root(parent: str) -> Path:
    """The v2 group that holds the helper programs of one owner."""
    return parse_mounts(Path("/proc/self/mounts").read_text())[0] / parent


def start_time(pid: int) -> str:
    """When a process started, in clock ticks since boot, so that a reused id is told apart; "" when it is gone or a zombie."""
    state, start = _stat(pid)
    return "" if state in "ZX" else start


def _stat(pid: int) -> tuple[str, str]:
    """State and start time of a process, zombies too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return fields[0], fields[19]
