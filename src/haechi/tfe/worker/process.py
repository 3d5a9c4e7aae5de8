"""Starting a command under the supervisor, finding it again, following what it prints, signalling it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

SUPERVISOR = Path(__file__).with_name("supervise.py")
LOOK_SECONDS = 0.02
KILLED = -9  # what a command ended with whose supervisor was killed, too


class Command:
    """One command in a directory of its own. `start` it once; `attach` finds one that an earlier server started."""

    def __init__(self, directory: Path, log: Path | None = None) -> None:
        self.directory = directory
        self.log = log or directory / "stdout"
        self.errors = self.log if log else directory / "stderr"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether it was ever started, by this server or another."""
        return (self.directory / "job.json").exists()

    def start(
        self,
        argv: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        *,
        isolate: bool,
        hidden: Sequence[Path],
        shown: Sequence[Path],
        writable: Sequence[Path],
        temporary: Path,
    ) -> None:
        """Begin. The supervisor holds the lock from before it exists, so nobody can mistake it for dead. FileExistsError: it was begun."""
        if self.directory.exists() and not self.started:  # a server ended just here
            shutil.rmtree(self.directory)
        self.directory.mkdir(parents=True, mode=0o700)
        self.log.touch(mode=0o600)
        job = {
            "argv": list(argv),
            "cwd": str(cwd),
            "stdout": str(self.log),
            "stderr": str(self.errors),
            "isolate": isolate,
            "hidden": [str(path) for path in hidden],
            "shown": [str(path) for path in shown],
            "writable": [str(path) for path in writable],
            "temporary": str(temporary),
        }
        temporary = self.directory / ".job.json"
        temporary.write_text(json.dumps(job))
        lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            temporary.rename(self.directory / "job.json")
            command = [sys.executable, "-I", "-S", str(SUPERVISOR), str(self.directory)]
            self._process = subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=(lock,), cwd="/"
            )
        finally:
            os.close(lock)

    def ended(self) -> bool:
        """Whether the command is over; its supervisor, too."""
        if self._process is not None and self._process.poll() is None:
            return False
        with open(self.directory / "lock", "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    @property
    def code(self) -> int:
        """Exit code of a command that has ended, or minus the signal; KILLED where nobody wrote it down."""
        try:
            return int((self.directory / "exit").read_text())
        except (FileNotFoundError, ValueError):
            return KILLED

    def pid(self) -> int:
        """The command's process id, 0 while there is none."""
        try:
            return int((self.directory / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def interrupt(self) -> None:
        """One SIGINT to terraform alone; a second would make it give up without saving the state."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it now, with every process it started."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        deadline = time.monotonic() + 1
        while not self.ended() and time.monotonic() < deadline:
            if pid := self.pid():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                return
            time.sleep(0.01)

    def clear(self) -> None:
        """Forget what an earlier server started under this name; it ends if it has not."""
        if self.started:
            self.kill()
            self.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def follow(self, offset: int = 0, each: Callable[[], None] = lambda: None) -> Iterator[bytes]:
        """What it prints, from a byte of its log on, until it has ended; `each` is called at every look."""
        with open(self.log, "rb") as file:
            file.seek(offset)
            while True:
                over = self.ended()
                data = file.read(1 << 20)
                if data:
                    yield data
                elif over:
                    return
                else:
                    each()
                    time.sleep(LOOK_SECONDS)

    def wait(self, each: Callable[[], None] = lambda: None) -> int:
        """Its exit code, once it has ended."""
        while not self.ended():
            each()
            time.sleep(LOOK_SECONDS)
        return self.code
