"""One running haproxy: configurations checked, started, reloaded without losing a connection, asked how its servers are."""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from haechi.dataplane import haproxy, kernel
from haechi.dataplane.haproxy import Config
from haechi.dataplane.process import Process
from haechi.dataplane.site import Site

START_SECONDS = 10.0
ASK_SECONDS = 2.0
HEALTH_SECONDS = 0.2
RUNNING = "2"  # srv_op_state


class Proxy:
    """The haproxy of one subject (a balancer unless `render` says otherwise). What it runs is asked from itself, so a new object takes over
    where an old one ended."""

    def __init__(self, site: Site, id: str, room: str = "balancers", render: Callable[[Any, Path, int], Config] = haproxy.render) -> None:
        self.id = id
        self.directory = site.run / room / id
        self._rendered = render
        self._file = self.directory / "haproxy.cfg"
        command = ("haproxy", "-W", "-db", "-f", str(self._file))
        self._process = Process(
            "haproxy", command, site.netns(id), self.directory, f"{site.prefix}-{'helpers' if room == 'balancers' else room}/{id}"
        )
        self._servers: dict[tuple[str, str], bool] = {}  # last known

    def prepare(self, balancer: Any) -> Config:
        """The subject's configuration, accepted by haproxy. KernelError, and nothing has changed, when it is not."""
        config = self._render(balancer)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if config.text and not self._written(config):
            new = [name for name in config.files if not (self.directory / name).exists()]
            trial = self._file.with_suffix(".new")
            try:
                self._write(trial, config)
                kernel.run("haproxy", "-c", "-f", str(trial))
            except kernel.KernelError as error:
                for name in new:
                    (self.directory / name).unlink(missing_ok=True)
                words = [line.partition(" : ")[2] for line in str(error).splitlines() if "[ALERT]" in line]
                raise kernel.KernelError(f"haproxy of {self.id} refuses: {'; '.join(words) or error}") from error
            finally:
                trial.unlink(missing_ok=True)
        return config

    def apply(self, config: Config) -> None:
        """Run this configuration: start, reload or end haproxy; open connections live on. On KernelError the one before runs on."""
        if not config.text:
            self.stop()
            return
        running = self._process.in_place()
        if running and self._running_digest(ASK_SECONDS) == config.digest and self._written(config):
            return
        before = self._file.read_text() if self._file.exists() else ""
        self._write(self._file, config)
        try:
            if running:
                self._reload(config)
            else:
                self._start(config.digest)
        except kernel.KernelError:
            if running and before:
                _write_secret(self._file, before)
                self._process.signal(signal.SIGUSR2)  # it waits with the old workers for a configuration that works
            raise
        for path in self.directory.glob("*.pem"):
            if path.name not in config.files:
                path.unlink()

    def alive(self) -> bool:
        """Whether it runs; takes microseconds. Keeps its log short, too."""
        self._process.reap()
        self._process.trim()
        return bool(self._process.pid())

    def pid(self) -> int:
        """Process id of the master; 0 when it does not run."""
        return self._process.pid()

    def stop(self) -> None:
        """End it with all its connections."""
        self._process.stop()
        self._file.unlink(missing_ok=True)
        self._servers = {}

    def servers(self) -> dict[tuple[str, str], bool]:
        """Whether each server gets traffic, by names of its backend and its own; the last known while haproxy does not answer."""
        try:
            text = self.ask("show servers state", HEALTH_SECONDS)
        except kernel.KernelError:
            return self._servers
        rows = (line.split(" ", 6) for line in text.splitlines()[2:] if line)
        self._servers = {(row[1], row[3]): row[5] == RUNNING for row in rows}
        return self._servers

    def frontends(self) -> list[dict[str, str]]:
        """`show stat` of the listeners since the last reload, one dict a line. KernelError when haproxy does not answer."""
        head, *rows = self.ask("show stat -1 1 -1", ASK_SECONDS).strip().splitlines()
        names = head.removeprefix("# ").split(",")
        return [dict(zip(names, row.split(","), strict=False)) for row in rows]

    def differences(self, balancer: Any) -> Iterator[str]:
        """Each sentence one thing that is not as the subject wants it."""
        config = self._render(balancer)
        if not config.text:
            if self._process.pid():
                yield "haproxy runs and has nothing to do"
        elif not self._process.pid():
            yield "haproxy is not running"
        elif not self._process.in_place():
            yield "haproxy runs in a namespace that was deleted"
        elif not self._written(config):
            yield "haproxy's configuration is not the wanted one"
        elif self._running_digest(ASK_SECONDS) != config.digest:
            yield "haproxy does not run its configuration"

    def ask(self, command: str, seconds: float) -> str:
        """One command to the running haproxy; KernelError when it does not answer within `seconds`."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(seconds)
                connection.connect(str(self.directory / "admin.sock"))
                connection.sendall(command.encode() + b"\n")
                parts = []
                while part := connection.recv(65536):
                    parts.append(part)
        except OSError as error:
            raise kernel.KernelError(f"haproxy of {self.id} does not answer: {error}") from error
        return b"".join(parts).decode()

    def _render(self, balancer: Any) -> Config:
        return self._rendered(balancer, self.directory, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    def _written(self, config: Config) -> bool:
        wanted = {**config.files, self._file.name: config.text}
        paths = {self.directory / name: content for name, content in wanted.items()}
        return all(path.exists() and path.read_text() == content for path, content in paths.items())

    def _write(self, path: Path, config: Config) -> None:
        for name, content in config.files.items():
            _write_secret(self.directory / name, content)
        _write_secret(path, config.text)

    def _start(self, digest: str) -> None:
        self._process.stop()
        (self.directory / "state").unlink(missing_ok=True)
        self._process.start()
        self._wait(digest)

    def _reload(self, config: Config) -> None:
        """Hand sockets and what is known of servers to a new worker; the old one ends when its connections do."""
        deadline = time.monotonic() + ASK_SECONDS
        # the master, which every reload starts anew, is ready some milliseconds after the worker that answers
        while not (self._process.catches(signal.SIGUSR2) and self._running_digest(ASK_SECONDS)):
            if time.monotonic() > deadline:
                self._start(config.digest)
                return
            time.sleep(0.01)
        _write_secret(self.directory / "state", haproxy.kept_state(self.ask("show servers state", ASK_SECONDS), config.text))
        self._process.signal(signal.SIGUSR2)
        self._wait(config.digest)

    def _wait(self, digest: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._running_digest(ASK_SECONDS) != digest:
            if time.monotonic() > deadline or not self.alive():
                log = self.directory / "haproxy.log"
                tail = log.read_text(errors="replace")[-500:] if log.exists() else ""
                raise kernel.KernelError(f"haproxy of {self.id} did not come up: {tail.strip()}")
            time.sleep(0.003)

    def _running_digest(self, seconds: float) -> str:
        """Of the configuration that the worker which answers was started with; "" when none answers."""
        try:
            text = self.ask("show info", seconds)
        except kernel.KernelError:
            return ""
        return next((line.split(": ")[1] for line in text.splitlines() if line.startswith("description: ")), "")


def _write_secret(path: Path, content: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    temporary.replace(path)
