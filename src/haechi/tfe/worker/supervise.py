"""Runs one command of terraform, and outlives the server that started it. A program of its own: python -I -S supervise.py DIRECTORY

DIRECTORY/job.json: {argv, cwd, stdout, stderr, isolate, hidden, shown, writable, temporary}. The environment is the command's. A lock is
inherited, and by the command as well: it is free when both are gone. Writes `pid` (of the command) and at the end `exit` (its exit code, or
minus the signal) there.

Isolated, the command sees no other process and nothing of the hidden directories but what is shown: another run's files, the database
and the keys of this machine are not there. It keeps the user root but not the powers that could undo this.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWIPC = 0x00020000, 0x20000000, 0x08000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG = 24, 38, 1
# chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service: what package scripts and local-exec may need.
KEPT = {0, 1, 3, 4, 5, 6, 7, 10}
LAST_CAPABILITY = 40
# Plugins put their sockets into TMPDIR, whose path must stay below 108 bytes: a run's own directory may be deeper than that.
TEMPORARY = "/dev/shm"

libc = ctypes.CDLL(None, use_errno=True)
Job = dict[str, Any]


def call(name: str, *arguments: object) -> None:
    """A function of the C library that returns 0. Raises OSError."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)"""
    call("mount", source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), data and data.encode())


def hide(job: Job) -> None:
    """Cover the hidden directories and let what is shown through. In a mount namespace of our own."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    through = [(path, os.open(path, os.O_PATH)) for path in [*job["shown"], *job["writable"]] if os.path.exists(path)]
    for path in job["hidden"]:
        if os.path.isdir(path):
            mount("haechi", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k")
    for path, fd in through:
        if not os.path.exists(path):  # it was covered
            if os.path.isdir(f"/proc/self/fd/{fd}"):
                os.makedirs(path)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
            mount(f"/proc/self/fd/{fd}", path, None, MS_BIND | MS_REC)
            if path not in job["writable"]:
                mount("none", path, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
        os.close(fd)


def drop_powers() -> None:
    """For good: neither this process nor any program it starts gets them back."""
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in KEPT and libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() != 22:
            raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")
    mask = sum(1 << capability for capability in KEPT)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    call("capset", header, data)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def run(job: Job) -> int:
    """The command's exit code, or minus the signal that ended it."""
    if job["isolate"]:
        call("unshare", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC)
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go)
            os.read(ready, 1)  # until the parent has written our number down
            for number, path in ((1, job["stdout"]), (2, job["stderr"])):
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.dup2(fd, number)
                os.close(fd)
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            if job["isolate"]:
                hide(job)
                mount(job["temporary"], TEMPORARY, None, MS_BIND)
                os.environ["TMPDIR"] = TEMPORARY
                mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
                drop_powers()
            os.chdir(job["cwd"])
            for number in (signal.SIGINT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(job["argv"][0], job["argv"])
        except BaseException as error:
            os.write(2, f"haechi: the command could not be started: {error}\n".encode())
            os._exit(127)
    write("pid", str(pid))
    os.close(ready)
    os.close(go)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def write(name: str, text: str) -> None:
    """A file that appears whole."""
    with open(f".{name}", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f".{name}", name)


def main() -> None:
    os.chdir(sys.argv[1])
    os.umask(0o077)
    with open("job.json") as file:
        job = json.load(file)
    try:
        code = run(job)
    except OSError as error:
        with open(job["stderr"], "a") as file:
            file.write(f"haechi: the command could not be isolated: {error}\n")
        code = 127
    write("exit", str(code))


main()
