"""What both phases share: starting a command in the run's directory, streaming what it prints, obeying signals."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from haechi.tfe.runs import logs
from haechi.tfe.store import Tx
from haechi.tfe.worker.context import Context
from haechi.tfe.worker.process import Command

LIMIT_SECONDS = {"plan": 2 * 3600.0, "apply": 24 * 3600.0}  # then it is interrupted
GRACE_SECONDS = 300.0  # and then killed
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Signal:
    """What is wanted of a job, as the worker's loop last heard: people cancel and force, the server stops, time is over ("expire")."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.wanted = ""
        self.obeyed = ""
        self.cause = ""  # what came first

    def want(self, wanted: str) -> None:
        """Signals grow: first one of the gentle ones, then force."""
        order = ("", "cancel", "stop", "expire", "force")
        with self._lock:
            if order.index(wanted) > order.index(self.wanted):
                self.wanted = wanted
                self.cause = self.cause or wanted

    def obey(self, command: Command) -> None:
        """Interrupt once, kill when forced; each only once."""
        wanted = self.wanted
        if wanted == self.obeyed:
            return
        if wanted == "force":
            command.kill()
        elif self.obeyed == "":
            command.interrupt()
        self.obeyed = wanted

    def end(self, otherwise: str) -> str:
        """How a phase ended that did not succeed."""
        if self.cause not in ("cancel", "force"):
            return otherwise
        return "force_canceled" if self.wanted == "force" else "canceled"

    def reason(self, otherwise: str) -> str:
        """Why it did not succeed."""
        return {"stop": "The server was stopped.", "expire": "It took too long."}.get(self.cause, otherwise)


class Phase:
    """One phase of one run."""

    def __init__(self, context: Context, signal: Signal, version: str) -> None:
        self.context, self.signal = context, signal
        self.began = time.monotonic()
        self.command: Command | None = None
        machine = ARCHITECTURES.get(platform.machine(), platform.machine())
        # Clients leave out the first three lines of an apply's log.
        self.preamble = f"Terraform v{version}\non linux_{machine}\nInitializing plugins and modules...\n".encode()

    @property
    def log_id(self) -> str:
        return self.context.job.log_id

    def start(self, name: str, arguments: Sequence[str], log: Path | None = None) -> Command:
        """Start terraform in the run's directory."""
        context = self.context
        settings, directory = context.services.settings, context.directory
        command = Command(directory.command(name), log)
        command.start(
            [settings.terraform, *arguments],
            directory.work,
            context.environment,
            isolate=os.geteuid() == 0,
            hidden=[settings.home.absolute(), *settings.hidden],
            shown=[*settings.shown, directory.cli_config.absolute()],
            writable=[directory.files.absolute()],
            temporary=directory.temporary.absolute(),
        )
        return command

    def attend(self, command: Command) -> None:
        """Pass on what is wanted of the job, and see that it ends some day."""
        over = time.monotonic() - self.began - LIMIT_SECONDS[self.context.job.phase]
        if over > 0:
            self.signal.want("expire" if over < GRACE_SECONDS else "force")
        self.signal.obey(command)

    def abort(self) -> None:
        """The worker itself failed: nothing that it started may go on unattended."""
        if self.command is not None and self.command.started:
            self.command.kill()
            self.command.wait()

    def run(self, name: str, *arguments: str) -> Command:
        """Run a short command to its end; one that an earlier server had begun is begun anew."""
        Command(self.context.directory.command(name)).clear()
        command = self.start(name, arguments)
        command.wait(lambda: self.attend(command))
        return command

    def write(self, data: bytes) -> None:
        """Add to the log."""
        with self.context.services.store.write() as tx:
            logs.append(tx, self.log_id, data)
        self.context.services.store.bell.ring(self.log_id)

    def open_log(self) -> int:
        """Begin the log, unless an earlier server did; how many bytes of terraform's output it holds already."""
        with self.context.services.store.write() as tx:
            size = logs.size(tx, self.log_id)
            if size == 0:
                logs.append(tx, self.log_id, self.preamble)
        self.context.services.store.bell.ring(self.log_id)
        return max(0, size - len(logs.STX) - len(self.preamble))

    def stream(self, command: Command, skip: int) -> bytes:
        """Follow a command to its end and store what it prints but for the first `skip` bytes; the last piece is returned instead."""
        self.command = command
        redactor, pending = self.context.redactor, b""
        for data in command.follow(0, lambda: self.attend(command)):
            self.attend(command)
            shown = redactor.feed(data.replace(logs.STX, b"").replace(logs.ETX, b""))  # as the log keeps it, for the count
            shown, skip = shown[skip:], max(0, skip - len(shown))
            if pending:
                self.write(pending)
            pending = b""
            if shown and command.ended():
                pending = shown
            elif shown:
                self.write(shown)
        rest = redactor.flush()
        return pending + rest[skip:]

    def close(self, tx: Tx, data: bytes = b"") -> None:
        """End the log, in the transaction that makes true what clients read next."""
        logs.append(tx, self.log_id, data, close=True)

    def ring(self) -> None:
        """Tell everybody who waits for this run."""
        context = self.context
        context.services.store.bell.ring(self.log_id, context.run.id, context.workspace.id, "jobs")
