"""Control groups of the hosts: limits, the kill switch and the kernel's own word on what is alive.

Two layouts: cgroup v2 with the controllers in it, and the hybrid one, where v2 only groups processes and memory, cpu and pids are
v1 hierarchies. A host has one group of its name in each hierarchy used, below one named after the site.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from haechi.dataplane import kernel

CONTROLLERS = ("memory", "cpu", "pids")
SHIMS = "_shims"  # where the hosts' launchers live, away from whoever started them
PERIOD = 100_000  # microseconds


def parse_mounts(text: str) -> tuple[Path, dict[str, Path]]:
    """Where v2 is mounted, and each v1 controller, out of /proc/self/mounts. KernelError when there is no v2."""
    v2: Path | None = None
    v1: dict[str, Path] = {}
    for line in text.splitlines():
        _, where, kind, options, *_ = line.split(" ")
        if kind == "cgroup2" and v2 is None:
            v2 = Path(where)
        elif kind == "cgroup":
            v1.update({name: Path(where) for name in options.split(",") if name in CONTROLLERS})
    if v2 is None:
        raise kernel.KernelError("no cgroup2 file system is mounted; hosts need one (Linux 5.19 or later)")
    return v2, v1


class Cgroups:
    """All groups of one site. Ids are host ids."""

    def __init__(self, prefix: str, mounts: tuple[Path, dict[str, Path]] | None = None) -> None:
        top, v1 = parse_mounts(Path("/proc/self/mounts").read_text()) if mounts is None else mounts
        self.root = top / prefix  # of v2
        self._v1 = {name: path / prefix for name, path in v1.items()}
        self._v2_controllers = [name for name in CONTROLLERS if name not in v1]

    def paths(self, id: str) -> list[Path]:
        """The groups a host's processes are in, v2 first."""
        return [self.root / id, *(path / id for path in dict.fromkeys(self._v1.values()))]

    def create(self, id: str) -> None:
        """Make a host's groups and the launchers' one. Idempotent."""
        for path in (*self.paths(SHIMS), *self.paths(id)):
            path.mkdir(parents=True, exist_ok=True)
        for parent in (self.root.parent, self.root):
            available = (parent / "cgroup.controllers").read_text().split()
            wanted = [f"+{name}" for name in self._v2_controllers if name in available]
            if wanted:
                (parent / "cgroup.subtree_control").write_text(" ".join(wanted))

    def limit(self, id: str, *, memory_mib: int, cpus: int, pids: int) -> None:
        """Bound a host's memory (MiB, page cache included), processor time (whole processors) and number of tasks.

        KernelError when a running host already uses more memory and cannot give it back.
        """
        memory = memory_mib << 20
        for name, v1_files, v2_files in (
            ("memory", {"memory.limit_in_bytes": memory}, {"memory.swap.max": 0, "memory.max": memory}),
            ("cpu", {"cpu.cfs_period_us": PERIOD, "cpu.cfs_quota_us": cpus * PERIOD}, {"cpu.max": f"{cpus * PERIOD} {PERIOD}"}),
            ("pids", {"pids.max": pids}, {"pids.max": pids}),
        ):
            path, files = (self._v1[name] / id, v1_files) if name in self._v1 else (self.root / id, v2_files)
            for file, value in files.items():
                if (path / file).exists():  # a kernel without this controller, or without swap accounting
                    try:
                        (path / file).write_text(str(value))
                    except OSError as error:
                        raise kernel.KernelError(f"limit {name} of {id} to {value}: {error.strerror}") from error

    def ids(self) -> list[str]:
        """Every host that has a group, alive or not."""
        try:
            return [entry.name for entry in os.scandir(self.root) if entry.is_dir() and entry.name != SHIMS]
        except FileNotFoundError:
            return []

    def populated(self, id: str) -> bool:
        """Whether any process of the host is alive."""
        return self._event(id, "populated")

    def frozen(self, id: str) -> bool:
        return self._event(id, "frozen")

    def _event(self, id: str, name: str) -> bool:
        try:
            return f"{name} 1" in (self.root / id / "cgroup.events").read_text()
        except (FileNotFoundError, OSError):  # removed, before or while reading (ENODEV)
            return False

    def thaw(self, id: str) -> None:
        (self.root / id / "cgroup.freeze").write_text("0")

    def init(self, id: str) -> int:
        """Process id (as seen here) of the host's first process; 0 when it has none."""
        for directory, _, _ in os.walk(self.root / id):
            with contextlib.suppress(OSError):  # groups and processes come and go while we look
                for pid in (Path(directory) / "cgroup.procs").read_text().split():
                    with contextlib.suppress(OSError):
                        status = Path(f"/proc/{pid}/status").read_text()
                        inner = status.partition("\nNSpid:")[2].partition("\n")[0].split()
                        if len(inner) == 2 and inner[1] == "1":
                            return int(pid)
        return 0

    def kill(self, id: str, timeout: float = 10) -> None:
        """Kill every process of the host and wait until none is left. KernelError when some are after `timeout` seconds."""
        end = time.monotonic() + timeout
        with contextlib.suppress(FileNotFoundError):
            (self.root / id / "cgroup.kill").write_text("1")
        while self.populated(id):
            if time.monotonic() > end:
                raise kernel.KernelError(f"{id}: processes survive SIGKILL")
            time.sleep(0.005)

    def remove(self, id: str, timeout: float = 2) -> None:
        """Remove a dead host's groups, with what the host made below them."""
        for path in self.paths(id):
            _remove(path, time.monotonic() + timeout)

    def destroy(self) -> None:
        """Remove the site's own groups; those of hosts must be gone."""
        end = time.monotonic() + 2
        for path in (self.root, *dict.fromkeys(self._v1.values())):
            _remove(path, end)


def _remove(path: Path, end: float) -> None:
    for directory, _, _ in os.walk(path, topdown=False):
        while True:
            try:
                os.rmdir(directory)
                break
            except FileNotFoundError:
                break
            except OSError as error:  # EBUSY for some milliseconds after the last process is gone
                if time.monotonic() > end:
                    raise kernel.KernelError(f"remove group {directory}: {error.strerror}") from error
                time.sleep(0.005)
