"""Web application firewalls: a namespace each with a public address and nginx in it. `Wafs` makes the kernel match a plan."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from haechi.dataplane import core_rules, kernel, links, waf_nginx
from haechi.dataplane.fleet import Fleet, link_of
from haechi.dataplane.plan import Plan
from haechi.dataplane.process import Process
from haechi.dataplane.waf_nginx import WafConfig
from haechi.dataplane.waf_plan import Waf
from haechi.dataplane.waf_rules import UNICODE

log = logging.getLogger("haechi.waf")
START_SECONDS = 20.0
LOGS = ("access.json", "audit.json")
LOG_LIMIT = 64 << 20


class Wafs(Fleet[Waf]):
    """All firewalls of one site."""

    kind, word, room = "waf", "Firewall", "wafs"

    def logs(self, id: str) -> tuple[Path, Path]:
        """The files that requests and hits of core rules are written to, a JSON document a line."""
        return self._home / id / LOGS[0], self._home / id / LOGS[1]

    # one firewall

    def _wanted(self, plan: Plan) -> list[Waf]:
        return [waf if waf.nameserver else replace(waf, nameserver=self._site.outside) for waf in plan.wafs.values()]

    def _apply(self, waf: Waf) -> None:
        if self._in_place(waf):
            return
        directory = self._home / waf.id
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = waf_nginx.render(waf, directory, core_rules.folder(self._site))
        self._applied.pop(waf.id, None)
        links.apply_links(self._site, link_of(waf))
        if config.text:
            self._run(waf.id, config)
        else:
            self._process(waf.id).stop()
        self._applied[waf.id] = waf

    def _run(self, id: str, config: WafConfig) -> None:
        """Check the configuration, then start nginx or have it changed without losing a connection."""
        directory, process = self._home / id, self._process(id)
        if process.in_place() and self._digest(id) == config.digest:
            return
        before = {path.name: path.read_text() for path in self._files(directory)}
        self._write(directory, {**config.files, "nginx.conf": config.text})
        if not (directory / "unicode.mapping").exists():
            shutil.copyfile(UNICODE, directory / "unicode.mapping")
        try:
            self._check(id, directory)
        except kernel.KernelError:
            self._write(directory, before)
            raise
        workers = self._workers(process.pid())
        if process.in_place():
            process.signal(signal.SIGHUP)
        else:
            process.stop()
            for name in ("page.sock", "status.sock"):  # nginx does not start on what an earlier one left
                (directory / name).unlink(missing_ok=True)
            process.start()
        deadline = time.monotonic() + START_SECONDS
        while self._digest(id) != config.digest:
            if time.monotonic() > deadline or not process.pid():
                raise kernel.KernelError(f"nginx of {id} did not come up: {self._last_words(directory)}")
            time.sleep(0.01)
        while any(_accepts(worker) for worker in workers) and time.monotonic() < deadline:  # the old rules hold as long as they do
            time.sleep(0.005)
        for path in self._files(directory):
            if path.name not in config.files and path.name != "nginx.conf":
                path.unlink()

    def _workers(self, pid: int) -> list[int]:
        path = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(word) for word in path.read_text().split()] if pid and path.exists() else []

    def _check(self, id: str, directory: Path) -> None:
        try:
            kernel.run("ip", "netns", "exec", self._site.netns(id), "nginx", "-t", "-q", "-c", str(directory / "nginx.conf"), timeout=60)
        except kernel.KernelError as error:
            words = [line for line in str(error).splitlines() if "[emerg]" in line]
            raise kernel.KernelError(f"nginx of {id} refuses: {'; '.join(words) or error}") from error

    def _files(self, directory: Path) -> list[Path]:
        return [path for pattern in ("*.conf", "rules.json", "*.pem") for path in directory.glob(pattern)]

    def _write(self, directory: Path, files: dict[str, str]) -> None:
        for name, text in files.items():
            temporary = directory / f"{name}.tmp"
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            temporary.replace(directory / name)

    def _digest(self, id: str) -> str:
        """Of the configuration that the worker which answers runs; "" when none answers."""
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(2)
                one.connect(str(self._home / id / "status.sock"))
                one.sendall(b"GET / HTTP/1.0\r\n\r\n")
                parts = b""
                while part := one.recv(4096):
                    parts += part
        except OSError:
            return ""
        return parts.rpartition(b"\r\n\r\n")[2].decode(errors="replace")

    def _last_words(self, directory: Path) -> str:
        path = directory / "error.log"
        return path.read_text(errors="replace")[-400:].strip() if path.exists() else ""

    def _stop(self, id: str) -> None:
        self._process(id).stop()

    def _process(self, id: str) -> Process:
        directory = self._home / id
        command = ("nginx", "-c", str(directory / "nginx.conf"))
        return Process("nginx", command, self._site.netns(id), directory, f"{self._site.prefix}-{self.room}/{id}")

    # watching

    def _look(self, id: str, waf: Waf) -> None:
        process = self._process(id)
        process.reap()
        if waf.domains and not process.pid():
            with contextlib.suppress(kernel.KernelError):
                self._revive(id, waf)
        for path in self.logs(id):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > LOG_LIMIT:
                    os.truncate(path, 0)  # nginx keeps the audit log's file open; both are written at their end

    def _revive(self, id: str, waf: Waf) -> None:
        with self._lock:
            if self._applied.get(id) != waf or self._process(id).pid():
                return
            log.warning("nginx of %s died and is started again", id)
            del self._applied[id]
            try:
                self._apply(waf)
            finally:
                self._applied.setdefault(id, waf)

    def _differences(self, waf: Waf) -> Iterator[str]:
        yield from links.differences(self._site, link_of(waf))
        config = waf_nginx.render(waf, self._home / waf.id, core_rules.folder(self._site))
        if not config.text:
            if self._process(waf.id).pid():
                yield "nginx runs and has nothing to do"
        elif not self._process(waf.id).in_place():
            yield "nginx is not running in its namespace"
        elif self._digest(waf.id) != config.digest:
            yield "nginx does not run its configuration"


def _accepts(worker: int) -> bool:
    """Whether a worker of nginx still takes new connections."""
    try:
        title = Path(f"/proc/{worker}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(title) and b"shutting down" not in title
