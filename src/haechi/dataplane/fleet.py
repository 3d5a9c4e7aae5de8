"""What scrubbers and firewalls have in common: a namespace each, helper programs in it, a room of files, and a watch over all of them."""

from __future__ import annotations

import contextlib
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from haechi.dataplane import kernel, links
from haechi.dataplane.links import Links
from haechi.dataplane.plan import Fault, Plan
from haechi.dataplane.process import cgroup_root
from haechi.dataplane.site import Site

WATCH_SECONDS = 0.5


class Member(Protocol):
    """One of a fleet, as the plan has it."""

    @property
    def id(self) -> str: ...
    @property
    def address(self) -> str: ...


M = TypeVar("M", bound=Member)


class Fleet(ABC, Generic[M]):
    """All of one kind of one site. Thread-safe; failures raise KernelError, and every method can be called again."""

    kind: str  # of faults
    word: str  # for people
    room: str  # name of the folder below the site's run directory, and of the cgroup

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.RLock()
        self._home = site.run / self.room
        self._applied: dict[str, M] = {}
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None

    def apply(self, plan: Plan) -> None:
        """Make every one match. One that fails holds up no other; a configuration that is refused leaves its member as it was."""
        with self._turn():
            errors = []
            wanted = self._wanted(plan)
            for id in self._known() - {member.id for member in wanted}:
                self._remove(id)
            for member in wanted:
                try:
                    self._apply_wanted(member)
                except (kernel.KernelError, OSError) as error:
                    errors.append(str(error))
            if errors:
                raise kernel.KernelError("; ".join(errors))

    def inspect(self, plan: Plan) -> list[Fault]:
        """What in the kernel differs from the plan. Changes nothing."""
        with self._turn():
            wanted = self._wanted(plan)
            extra = sorted(self._known() - {member.id for member in wanted})
            faults = [Fault("orphan", id, f"{self.word} {id} is not in the plan") for id in extra]
            return faults + [Fault(self.kind, member.id, what) for member in wanted for what in self._differences(member)]

    def repair(self, plan: Plan) -> None:
        """Apply the plan as if nothing were known where the kernel differs."""
        with self._turn():
            for fault in self.inspect(plan):
                self._applied.pop(fault.id, None)
            self.apply(plan)

    def start_watching(self) -> None:
        """From now on restart programs that die."""
        self._watcher = threading.Thread(target=self._watch, name=f"{self.kind}-watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching; everything keeps running."""
        self._closing.set()
        if self._watcher is not None:
            self._watcher.join()
        self._watcher = None

    def destroy(self) -> None:
        """Remove every one of this site, known or left over."""
        self.close()
        with self._turn():
            for id in self._known():
                self._remove(id)
            shutil.rmtree(self._home, ignore_errors=True)

    @abstractmethod
    def _wanted(self, plan: Plan) -> Sequence[M]:
        """The plan's members, as they are to be."""

    @abstractmethod
    def _apply(self, member: M) -> None:
        """Make one match, unless it does already; remember it in `_applied`."""

    def _apply_wanted(self, member: M) -> None:
        """The same, because the plan says so and not because something died."""
        self._apply(member)

    @abstractmethod
    def _stop(self, id: str) -> None:
        """End its programs and forget what is remembered of it."""

    @abstractmethod
    def _differences(self, member: M) -> Iterator[str]:
        """Each sentence one thing that is not as the plan wants it."""

    @abstractmethod
    def _look(self, id: str, member: M) -> None:
        """Every half second, of each member: bring back what died."""

    def _in_place(self, member: M) -> bool:
        """Whether exactly this was applied, to the namespace that has its name now."""
        return self._applied.get(member.id) == member and links.identity(self._site, link_of(member))[0] != 0

    def _remove(self, id: str) -> None:
        self._applied.pop(id, None)
        self._stop(id)
        links.remove_links(self._site, id)
        shutil.rmtree(self._home / id, ignore_errors=True)

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            for id, member in list(self._applied.items()):
                self._look(id, member)

    def _known(self) -> set[str]:
        places = (self._home, cgroup_root(f"{self._site.prefix}-{self.room}"))
        return {path.name for place in places if place.exists() for path in place.iterdir() if path.is_dir()}

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One caller at a time, and one kind of error for whatever the kernel refuses."""
        with self._lock:
            try:
                with kernel.refusals():
                    yield
            finally:
                with contextlib.suppress(OSError):  # others still use it, or it was never made
                    cgroup_root(f"{self._site.prefix}-{self.room}").rmdir()


def link_of(member: Member) -> Links:
    """A namespace with a public address and no network behind it."""
    return Links(member.id, member.address, True, "", "", ())
