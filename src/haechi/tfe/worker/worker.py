"""The worker's loop: as many jobs at once as it has slots, each on a thread; heartbeats; signals; what dead workers left."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import threading
import time
from pathlib import Path

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.api.call import Services
from haechi.tfe.errors import ApiError
from haechi.tfe.runs import jobs, lifecycle, states
from haechi.tfe.runs.jobs import Job
from haechi.tfe.store import new_id, one
from haechi.tfe.worker.apply import Apply
from haechi.tfe.worker.context import read_context
from haechi.tfe.worker.directory import RunDirectory
from haechi.tfe.worker.phase import Phase, Signal
from haechi.tfe.worker.plan import Plan

log = logging.getLogger("haechi.tfe.worker")
LOOK_SECONDS = 1.0
BEAT_SECONDS = 5.0
KILL_SECONDS = 5.0
AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)  # of the database; it comes back


class Worker:
    """One worker of a server's home. Raises OSError when another process is that worker already."""

    def __init__(self, services: Services) -> None:
        self._services, self._settings, self._store = services, services.settings, services.store
        self._settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = open(self._settings.home / "worker.lock", "w")  # noqa: SIM115  held as long as the worker lives
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.id = _read_id(self._settings.home / "worker-id")
        self._running: dict[str, tuple[threading.Thread, Signal]] = {}
        self._stopping = threading.Event()
        self._bell = self._store.bell.listen("jobs")
        self._loop = threading.Thread(target=self._run, name="worker", daemon=True)
        self._version = ""

    def start(self) -> None:
        """Begin; jobs that an earlier server held are taken up again first."""
        jobs.beat(self._store, self.id)
        self._sweep()
        self._take_up()
        self._loop.start()

    def stop(self, seconds: float) -> None:
        """No new jobs; those at work are interrupted, may save their state for so long, and are killed then."""
        self._stopping.set()
        self._bell.set()
        self._loop.join()
        for patience, wanted in ((seconds, "stop"), (KILL_SECONDS, "force")):
            deadline = time.monotonic() + patience
            for _, signal in self._running.values():
                signal.want(wanted)
            for thread, _ in list(self._running.values()):
                thread.join(max(0.0, deadline - time.monotonic()))
        self._store.bell.unlisten("jobs", self._bell)
        self._lock.close()

    def _run(self) -> None:
        beaten = swept = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._bell.clear()
                self._running = {id: pair for id, pair in self._running.items() if pair[0].is_alive()}
                self._take()
                if self._running:
                    for id, wanted in jobs.signals(self._store, self.id).items():
                        if wanted and id in self._running:
                            self._running[id][1].want(wanted)
                if time.monotonic() - beaten > BEAT_SECONDS:
                    jobs.beat(self._store, self.id)
                    self._take_up()
                    beaten = time.monotonic()
                if time.monotonic() - swept > jobs.DEAD_SECONDS / 2:
                    self._bury()
                    swept = time.monotonic()
            except Exception:  # the database does not answer, or a run was changed while it was taken
                log.exception("the worker goes on")
                self._stopping.wait(LOOK_SECONDS)
            self._bell.wait(LOOK_SECONDS)

    def _take_up(self) -> None:
        """Go on with what an earlier server held, and with what lost its thread while the database was away."""
        for job in jobs.held(self._store, self.id):
            if job.id not in self._running:
                log.info("taking up the %s of %s again", job.phase, job.run_id)
                self._begin(job)

    def _take(self) -> None:
        while len(self._running) < self._settings.worker_slots and not self._stopping.is_set():
            job = jobs.take(self._store, self.id)
            if job is None:
                return
            self._begin(job)

    def _begin(self, job: Job) -> None:
        signal = Signal()
        thread = threading.Thread(target=self._work, args=(job, signal), name=f"{job.phase} {job.run_id}", daemon=True)
        self._running[job.id] = (thread, signal)
        thread.start()

    def _work(self, job: Job, signal: Signal) -> None:
        """One phase. Where the database is away, terraform goes on and the job is taken up again; nothing else leaves a run without end."""
        try:
            self._execute(job, signal)
            self._tidy(job.run_id)
        except AWAY:
            log.exception("the %s of %s waits for the database", job.phase, job.run_id)
        finally:
            self._store.bell.ring("jobs")

    def _execute(self, job: Job, signal: Signal) -> None:
        """One phase, to its end. Whatever goes wrong with the worker itself, the run ends and the workspace is free."""
        phase: Phase | None = None
        try:
            context = read_context(self._services, job)
            if context is None:
                return
            version = self._terraform_version()
            if job.phase == "plan":
                with self._store.write() as tx:
                    lifecycle.note_version(tx, job.run_id, version)
            phase = (Plan if job.phase == "plan" else Apply)(context, signal, version)
            phase.execute()
        except AWAY:
            raise
        except ApiError as error:  # somebody deleted the workspace, or the run ended otherwise
            log.warning("the %s of %s could not be recorded: %s", job.phase, job.run_id, error)
        except Exception:
            log.exception("the %s of %s failed in the worker", job.phase, job.run_id)
            try:
                if phase is not None:
                    phase.abort()
            finally:
                self._abandon(job.run_id, "The worker failed; its log says why.")

    def _terraform_version(self) -> str:
        if not self._version:
            done = subprocess.run([self._settings.terraform, "version", "-json"], capture_output=True, check=True, env=_bare())
            self._version = str(json.loads(done.stdout)["terraform_version"])
        return self._version

    def _abandon(self, run_id: str, reason: str) -> None:
        try:
            with self._store.write() as tx:
                lifecycle.abandon(self._store, tx, run_id, reason)
        except ApiError as error:
            log.warning("%s could not be ended: %s", run_id, error)
        self._store.bell.ring(run_id, "jobs")

    def _bury(self) -> None:
        """End the runs of workers that have not been heard of for a minute."""
        jobs.beat(self._store, self.id)  # the machine may have slept: we are not one of them
        with self._store.read() as tx:
            lost = jobs.orphans(tx)
        for run_id in lost:
            self._abandon(run_id, "The worker of the run is gone.")

    def _tidy(self, run_id: str) -> None:
        """The directory of a run that is over goes."""
        with self._store.read() as tx:
            run = one(tx, schema.runs, schema.runs.c.id == run_id)
        if run is None or run.status in states.FINAL:
            RunDirectory(self._settings.home / "runs" / run_id, "").remove()

    def _sweep(self) -> None:
        """Directories of runs that ended while no server ran."""
        for path in (self._settings.home / "runs").glob("run-*"):
            self._tidy(path.name)


def _read_id(path: Path) -> str:
    """This home's name among the workers of a database, made once."""
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        temporary.write_text(new_id("worker"))
        temporary.replace(path)
    return path.read_text().strip()


def _bare() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "CHECKPOINT_DISABLE": "1", "HOME": "/"}
