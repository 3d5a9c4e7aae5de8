"""Drives instances to the state the API promised: Pending and Starting to Running, Stopping to Stopped or gone.

An action only writes the wanted transition (`Status`, plus `Deleting`, `Rebooting`, `ForceStop`) and wakes a worker after its
commit; the worker does the slow thing outside any lock and writes down what really became of it. On start every transition that
was cut short is taken up again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from haechi.cloud.paging import iso_minute
from haechi.cloud.runtime import Dataplane
from haechi.cloud.store import Resource, Store, Transaction, View
from haechi.dataplane.plan import Plan

log = logging.getLogger("haechi.machines")
WORKERS = 8
WATCH_SECONDS = 1.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Machines:
    """The workers. `remove` deletes an instance and what belongs to it from a transaction (given by the ecs product)."""

    def __init__(
        self,
        store: Store,
        dataplane: Dataplane,
        render: Callable[[View], Plan],
        remove: Callable[[Transaction, Resource], None],
        state: Path,
    ) -> None:
        self._store = store
        self._dataplane = dataplane
        self._render = render
        self._remove = remove
        self._state = state
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="machine")
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="machine-watch", daemon=True)

    def open(self) -> None:
        """Take up what was cut short, then watch for machines that went down by themselves."""
        boot = BOOT_ID.read_text().strip()
        seen = self._state.read_text().strip() if self._state.exists() else ""
        states = self._dataplane.host_states()
        for instance in self._store.view().find("instance"):
            if instance["Status"] == "Running" and states.get(instance.id) != "running":
                # The machine itself went down with it: start it again. Else its guest powered off while nobody watched.
                self._set(instance.id, Status="Starting" if boot != seen else "Stopped")
        self._state.parent.mkdir(parents=True, exist_ok=True)
        self._state.write_text(boot)
        for instance in self._store.view().find("instance"):
            if instance["Status"] not in ("Running", "Stopped") or instance.get("Deleting"):
                self.wake(instance.id)
        self._watcher.start()

    def close(self) -> None:
        """Stop working. Machines keep running; transitions are taken up by the next `open`."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._watcher.is_alive():
            self._watcher.join()

    def wake(self, id: str) -> None:
        """Look at an instance soon and do what its state asks for."""
        if not self._closing.is_set():
            self._pool.submit(self._work, id)

    def _work(self, id: str) -> None:
        with self._guard:
            lock = self._locks.setdefault(id, threading.Lock())
        with lock:
            try:
                while not self._closing.is_set():
                    instance = self._store.view().get("instance", id)
                    if instance is None or not self._step(instance):
                        return
            except Exception:
                log.exception("instance %s", id)
                self._set(id, Status="Stopped", Rebooting=False, Deleting=False)

    def _step(self, instance: Resource) -> bool:
        """One transition; True when the instance has to be looked at again."""
        id, status = instance.id, instance["Status"]
        if instance.get("Deleting"):
            self._dataplane.delete_host(id)
            with self._store.write(lambda view: self._dataplane.apply(self._render(view))) as tx:
                current = tx.get("instance", id)
                if current is not None:
                    self._remove(tx, current)
            return False
        if status == "Stopping":
            self._dataplane.stop_host(id, bool(instance.get("ForceStop")))
            return self._settle(instance, Status="Stopped", ForceStop=False)
        if status in ("Pending", "Starting"):
            plan = self._render(self._store.view())
            if instance.get("Rebooting"):
                self._dataplane.reboot_host(plan, id, bool(instance.get("ForceStop")))
            else:
                self._dataplane.start_host(plan, id)
            started = iso_minute(self._store.now())
            return self._settle(instance, Status="Running", StartTime=started, Rebooting=False, ForceStop=False)
        return False

    def _settle(self, instance: Resource, **data: object) -> bool:
        """Write the outcome unless another transition was asked for meanwhile; then True."""
        with self._store.write() as tx:
            current = tx.get("instance", instance.id)
            if current is None:
                return False
            if current["Status"] != instance["Status"] or current.get("Deleting"):
                return True
            tx.change(current, **data)
        return False

    def _set(self, id: str, **data: object) -> None:
        with self._store.write() as tx:
            current = tx.get("instance", id)
            if current is not None:
                tx.change(current, **data)

    def _watch(self) -> None:
        suspects: set[str] = set()
        while not self._closing.wait(WATCH_SECONDS):
            running = [i for i in self._store.view().find("instance") if i["Status"] == "Running" and not i.get("Deleting")]
            states = self._dataplane.host_states() if running else {}
            down = {i.id for i in running if states.get(i.id) != "running"}
            for id in down & suspects:  # seen down twice: a reboot from inside looks like this for a moment
                log.warning("instance %s went down by itself", id)
                self._set(id, Status="Stopped")
            suspects = down
