"""Machines: made from an image, started, stopped, removed.

    hosts/<id>/machine.json    what never changes: slot (uid range), machine_id, host_key, host_key_pub, image, disk, layers
    hosts/<id>/identity.json   what the next boot writes into the guest; applied.json: what the last one wrote
    hosts/<id>/rw/             the host's own layer
    hosts/<id>/boot            what the launcher needs (see `launcher`)
    hosts/<id>/used            its network namespace has been booted in: the next start from stopped gets a new one

The kernel is asked what runs (control groups), never a file: a host survives its server and its launcher. /run/netns/<name> pins a
network namespace, which keeps the user namespace that owns it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from haechi.dataplane import kernel, plan, power
from haechi.dataplane.cgroup import SHIMS, Cgroups
from haechi.dataplane.files import held, read_json, remove_tree, write_text
from haechi.dataplane.image import Images
from haechi.dataplane.site import Site

LAUNCHER = Path(__file__).with_name("launcher.py")
SLOTS = 1024  # uid ranges per site; 16 sites fill 0x40000000 to 0x7fffffff
TASKS = 4096


def sysctls_needed() -> list[tuple[str, str]]:
    """Kernel parameters of this machine as (path below /proc/sys, value) that many hosts at once need; none is lowered."""
    # the default of 128 inotify instances ends at about 20 hosts: their first process dies without one
    least = {"fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524288}
    return [(path, str(max(value, int(Path("/proc/sys", path).read_text())))) for path, value in least.items()]


class Hosts:
    """The hosts of one site. Calls about different hosts may run at the same time; calls about the same one wait for each other."""

    def __init__(self, site: Site, images: Images) -> None:
        self._site = site
        self._images = images
        self._homes = site.home / "hosts"
        self._groups = Cgroups(site.prefix)
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        for id in self._groups.ids():
            with self._disk(id):
                self._mend(id)

    def prepare(self, host: plan.Host) -> None:
        """Make everything a start needs but the network interface: disk, identity, namespaces. Safe to repeat.

        A running host gets a changed identity at its next start. A stopped one gets a fresh network namespace if it has run in
        the old one, and an empty disk if its image or its disk is another one. KeyError when there is no such image, KernelError
        when the kernel refuses.
        """
        with self._locks[host.id]:
            alive = self._groups.populated(host.id)
            home = self._homes / host.id
            machine = self._machine(host)
            if (machine["image"], machine["disk"]) != (host.image, host.disk) and not alive:
                machine = self._replace_disk(host, machine)
            for name in ("upper", "work"):
                (home / "rw" / name).mkdir(mode=0o755, parents=True, exist_ok=True)
            want = _identity(host, machine)
            applied = read_json(home / "applied.json")
            if want != applied:
                write_text(home / "identity.json", json.dumps(want))
            else:
                (home / "identity.json").unlink(missing_ok=True)
            if not alive:
                with self._disk(host.id) as lock:
                    if (home / "used").exists():
                        self._release(host.id)
                        (home / "used").unlink()
                    self._pin(host.id, _base(self._site, machine["slot"]), lock)

    def boot(self, host: plan.Host) -> None:
        """Start a prepared host; returns when its first process runs. Nothing happens when it runs already.

        KernelError with the launcher's words when it does not start.
        """
        with self._locks[host.id], self._disk(host.id) as lock:
            if self._groups.populated(host.id):
                return
            self._groups.create(host.id)
            self._limit(host)
            self._launch(host.id, lock)

    def resize(self, host: plan.Host) -> None:
        """Apply the plan's memory and processors to a running host. KernelError when it uses more memory than that."""
        with self._locks[host.id]:
            if self._groups.populated(host.id):
                self._limit(host)

    def wait_ready(self, id: str, timeout: float = 30) -> bool:
        """Wait until something listens on the host's port 22. False after `timeout` seconds, or at once when the host is not running."""
        end = time.monotonic() + timeout
        pause = 0.02
        while self._groups.populated(id):
            pid = self._groups.init(id)
            if pid and any(power.listening(pid, table) for table in ("tcp", "tcp6")):
                return True
            if time.monotonic() > end:
                return False
            time.sleep(pause)
            pause = min(pause * 1.3, 0.2)
        return False

    def stop(self, id: str, force: bool = False, timeout: float = 30) -> None:
        """Power a host off and release its namespaces. `force`, or `timeout` seconds gone by: as if the plug was pulled."""
        with self._locks[id], self._disk(id):
            self._mend(id)
            if self._groups.populated(id) and not force:
                power.ask(self._groups, id, power.POWEROFF, timeout)
            (self._homes / id / "reboot").unlink(missing_ok=True)
            self._groups.kill(id)
            self._wait_shim(id)
            self._release(id)
            self._groups.remove(id)

    def reboot(self, id: str, force: bool = False, timeout: float = 30) -> None:
        """Restart a running host in its namespaces; returns when its new first process runs. ValueError when it is not running."""
        with self._locks[id], self._disk(id) as lock:
            self._mend(id)
            before = self._groups.init(id)
            if not before:
                raise ValueError(f"{id} is not running")
            home = self._homes / id
            (home / "reboot").touch(mode=0o600)  # asks the launcher to start it again even when it has to be killed
            if force or not power.ask(self._groups, id, power.REBOOT, timeout):
                power.send(self._groups, id, before, signal.SIGKILL)
            end = time.monotonic() + 10
            while self._shim_alive(id) and time.monotonic() < end:
                after = self._groups.init(id)
                if after and after != before:
                    return
                time.sleep(0.01)
            self._groups.kill(id)  # its launcher was killed, or could not: start it as a new one
            self._wait_shim(id)
            (home / "reboot").unlink(missing_ok=True)
            self._launch(id, lock)

    def delete(self, id: str) -> None:
        """Remove a host, running or not, and everything it has. Nothing happens when there is none."""
        with self._locks[id]:
            self.stop(id, force=True)
            home, gone = self._homes / id, self._homes / f".{id}"
            remove_tree(gone)  # left by a delete that was killed
            if home.exists():
                with self._disk(id):
                    home.rename(gone)
                remove_tree(gone)
                self._images.collect()

    def state(self, id: str) -> str:
        """running, stopped or absent, from the kernel itself."""
        if self._groups.populated(id):
            return "running"
        return "stopped" if (self._homes / id).is_dir() else "absent"

    def states(self) -> dict[str, str]:
        """State by id of every host this site has, also of those nobody planned."""
        try:
            found = dict.fromkeys((entry.name for entry in os.scandir(self._homes) if not entry.name.startswith(".")), "stopped")
        except FileNotFoundError:
            found = {}
        return found | {id: "running" for id in self._groups.ids() if self._groups.populated(id)}

    def console(self, id: str) -> bytes:
        """The last 64 KiB that the host wrote to its console."""
        try:
            with open(self._homes / id / "console.log", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - (64 << 10)))
                return file.read()
        except FileNotFoundError:
            return b""

    def destroy(self) -> None:
        """Remove every host and image of this site, with every pin, group and file."""
        left = {path.name.lstrip(".") for path in self._homes.glob("*") if path.is_dir()}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.delete, left | set(self.states()) | set(self._groups.ids())))
        self._groups.kill(SHIMS)
        self._groups.remove(SHIMS)
        self._groups.destroy()
        remove_tree(self._homes)
        self._images.destroy()

    def _machine(self, host: plan.Host) -> dict[str, Any]:
        """What never changes about a host, made up the first time."""
        home = self._homes / host.id
        machine = read_json(home / "machine.json")
        if machine:
            return machine
        private, public = _make_host_key(f"root@{host.hostname}")
        with self._images.locked():  # one at a time: a free slot, and no layer removed before its name is written down
            chain = self._images.chain(host.image)
            taken = {read_json(path)["slot"] for path in self._homes.glob("*/machine.json")}
            slot = next((number for number in range(SLOTS) if number not in taken), None)
            if slot is None:
                raise kernel.KernelError(f"a site holds {SLOTS} hosts at most")
            machine = {"slot": slot, "machine_id": secrets.token_hex(16), "host_key": private, "host_key_pub": public}
            machine |= {"image": host.image, "disk": host.disk, "layers": chain}
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._homes.chmod(0o700)
            write_text(home / "machine.json", json.dumps(machine))
        return machine

    def _replace_disk(self, host: plan.Host, machine: dict[str, Any]) -> dict[str, Any]:
        home = self._homes / host.id
        with self._disk(host.id), self._images.locked():
            machine = machine | {"image": host.image, "disk": host.disk, "layers": self._images.chain(host.image)}
            (home / "applied.json").unlink(missing_ok=True)
            remove_tree(home / "rw")
            write_text(home / "machine.json", json.dumps(machine))
        self._images.collect()
        return machine

    @contextlib.contextmanager
    def _disk(self, id: str) -> Iterator[int]:
        """Hold a host against everybody else, also against an image being made of its disk and programs of a server that was killed."""
        home = self._homes / id
        with held(home / "disk.lock") if home.is_dir() else contextlib.nullcontext(-1) as lock:
            yield lock

    def _pin(self, id: str, base: int, lock: int) -> None:
        name = self._site.netns(id)
        if not kernel.netns_exists(name):
            (kernel.NETNS / name).unlink(missing_ok=True)
            _run_launcher(lock, "pin", str(kernel.NETNS / name), str(base))

    def _release(self, id: str) -> None:
        name = self._site.netns(id)
        if kernel.netns_exists(name):
            with contextlib.suppress(kernel.KernelError):  # there may be none
                # at once: the namespace itself, and the interface's other end with it, goes some time after its last user
                kernel.ip("link delete eth0", netns=name)
        kernel.netns_delete(name)

    def _limit(self, host: plan.Host) -> None:
        self._groups.limit(host.id, memory_mib=host.memory_mib, cpus=host.cpus, pids=TASKS)

    def _launch(self, id: str, lock: int) -> None:
        home = self._homes / id
        machine = read_json(home / "machine.json")
        lines = [("name", id), ("base", _base(self._site, machine["slot"])), ("netns", kernel.NETNS / self._site.netns(id))]
        lines += [("layer", path) for path in self._images.paths(machine["layers"])]
        lines += [("cgroup", path) for path in self._groups.paths(id)]
        lines += [("shim", path) for path in self._groups.paths(SHIMS)]
        write_text(home / "boot", "".join(f"{key} {value}\n" for key, value in lines))
        (home / "used").touch(mode=0o600)
        _run_launcher(lock, "boot", str(home))

    def _mend(self, id: str) -> None:
        """Undo what killed programs left: a host frozen by a commit, a dead console. The caller holds the host."""
        if self._groups.frozen(id):
            self._groups.thaw(id)
        init = self._groups.init(id)
        if init and not self._shim_alive(id):
            # systemd tries for a second to open a console whose other end is gone, for every line: a poweroff takes 50 s
            with contextlib.suppress(kernel.KernelError):  # it may end meanwhile
                _run_launcher(-1, "mute", str(init))

    def _shim_alive(self, id: str) -> bool:
        try:
            fd = os.open(self._homes / id / "shim.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(fd)

    def _wait_shim(self, id: str, timeout: float = 5) -> None:
        end = time.monotonic() + timeout
        while self._shim_alive(id):
            if time.monotonic() > end:
                raise kernel.KernelError(f"{id}: its launcher does not end")
            time.sleep(0.005)


def _run_launcher(lock: int, *arguments: str) -> None:
    """Run the launcher; it holds the lock (-1: none) until it is done, even when we are killed. KernelError with its words."""
    command = [sys.executable, "-I", "-S", str(LAUNCHER), str(lock), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, pass_fds=[lock] if lock >= 0 else [], env={})
    except subprocess.TimeoutExpired as error:
        raise kernel.KernelError(f"launcher {' '.join(arguments)}: nothing happens for a minute") from error
    if done.returncode:
        raise kernel.KernelError(done.stderr.strip() or f"launcher {' '.join(arguments)}: status {done.returncode}")


def _base(site: Site, slot: int) -> int:
    """First uid and gid of a host's 65536."""
    return 0x40000000 + ((site.index * SLOTS + slot) << 16)


def _identity(host: plan.Host, machine: dict[str, Any]) -> dict[str, Any]:
    """What `identity.apply` writes."""
    return {
        "hostname": host.hostname,
        "address": host.port.address,
        "machine_id": machine["machine_id"],
        "nameservers": list(host.nameservers),
        "password_hash": host.password_hash,
        "user": host.user,
        "public_keys": list(host.public_keys),
        "host_key": machine["host_key"],
        "host_key_pub": machine["host_key_pub"],
    }


def _make_host_key(comment: str) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "key"
        kernel.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
        return path.read_text(), path.with_suffix(".pub").read_text()
