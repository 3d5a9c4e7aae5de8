"""Boots one host and stays as its shim: console log, reboot. A program of its own, run as `python -I -S launcher.py LOCK ...`.

    pin PATH BASE     make a user namespace (uids from BASE) and a network namespace it owns; pin the latter at PATH
    boot DIRECTORY    boot the host described in DIRECTORY/boot; returns when its first process runs
    mute PID          give the host of that first process, whose shim was killed, a console that takes everything

LOCK is a descriptor that stays open until the work is done (-1: none): it keeps the host locked although the caller may be killed.

It cannot be part of a server: a process with threads may not enter a user namespace. It knows nothing but the host's directory:

    boot            lines `key value`: name, base, netns, layer (several, top first), cgroup (several, v2 first), shim (groups for us)
    rw/             the host's own layer: upper, work
    identity.json   what `identity.apply` is to write; becomes applied.json once the host has started with it
    console.log     what the host wrote to its console, bounded
    shim.lock       locked as long as this program lives
    reboot          a file that asks us to start the host again after it was killed

The shim imports little and leaves ctypes, json and signal to its children, for its memory counts once per host.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys

LOG_KEEP, LOG_MAX = 64 << 10, 512 << 10  # bytes
SIGHUP, SIGKILL = 1, 9
INIT = "/sbin/init"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container": "haechi", "TERM": "vt220"}
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
Config = dict[str, list[str]]


def main(arguments: list[str]) -> int:
    sys.path.insert(0, SOURCE)  # -I and -S leave only the standard library
    lock, what, *rest = arguments
    if int(lock) >= 0:
        os.set_inheritable(int(lock), False)  # not into the host's first process
    if what == "pin":
        pin(rest[0], int(rest[1]))
    elif what == "mute":
        mute(rest[0])
    else:
        return boot(rest[0], int(lock))
    return 0


def pin(path: str, base: int) -> None:
    """Make a user namespace that maps uids and gids 0 to 65535 to `base` and up, and a network namespace owned by it.

    The pinned network namespace keeps its owner alive; whoever has the one finds the other (`syscalls.owner`).
    """
    from haechi.dataplane import syscalls

    ready, made = os.pipe()
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(go)
            syscalls.unshare(syscalls.NEWUSER | syscalls.NEWNET)  # the user namespace is made first and owns the other
            os.write(made, b"1")
            os.read(wait, 1)  # live until the parent has pinned us; end of file if it dies
        finally:
            os._exit(0)
    os.close(made)
    try:
        if not os.read(ready, 1):
            raise OSError("cannot make a user namespace (user.max_user_namespaces?)")
        for kind in ("uid_map", "gid_map"):
            write(f"/proc/{child}/{kind}", f"0 {base} 65536\n")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o444))
        syscalls.mount(f"/proc/{child}/ns/net", path, flags=syscalls.BIND)  # a bind mount keeps a namespace without processes
    finally:
        os.close(go)
        os.waitpid(child, 0)


def mute(pid: str) -> None:
    """Show the null device as the host's console."""
    from haechi.dataplane import syscalls

    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    syscalls.setns(namespace, syscalls.NEWNS)  # from here on all paths are the host's
    if os.stat("/dev/console").st_rdev != os.stat("/dev/null").st_rdev:
        syscalls.umount("/dev/console", syscalls.DETACH)  # the dead terminal has no name any more to mount on
        syscalls.mount("/dev/null", "/dev/console", flags=syscalls.BIND)


def boot(directory: str, lock: int) -> int:
    """Start the shim in the background and wait for its word. Prints what went wrong and returns 1 when the host did not start."""
    os.chdir(directory)
    said, say = os.pipe()
    if os.fork():
        os.close(say)
        words = read_all(said)
        sys.stderr.write(words)
        return 1 if words else 0
    os.setsid()  # no terminal, no signals meant for the server
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    shim(say, lock)
    os._exit(0)


def shim(say: int, held: int) -> None:
    """Boot the host again and again until it powers off or dies. What keeps the first boot from happening goes to `say`."""
    from haechi.dataplane import syscalls

    alive = os.open("shim.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(say, b"another launcher holds this host\n")
        return
    syscalls.become_subreaper()  # the first process's parent only lives to enter the namespaces
    log = Console("console.log")
    while True:
        status, words = run(log, [fd for fd in (say, held) if fd >= 0])
        if words:
            log.write(f"--- {words}\n".encode())
            if say >= 0:
                os.write(say, words.encode())
            return
        say = held = -1
        # reboot(2) and poweroff inside a pid namespace end its first process by SIGHUP and SIGINT
        death = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        again = death == SIGHUP or (death == SIGKILL and os.path.exists("reboot"))
        if os.path.exists("reboot"):
            os.unlink("reboot")
        log.write(f"--- {'reboot' if again else 'stopped'} ({os.waitstatus_to_exitcode(status)})\n".encode())
        if not again:
            return


def run(log: Console, until_up: list[int]) -> tuple[int, str]:
    """One life of the host: its wait status, or why it did not start. Closes the descriptors `until_up` once it runs."""
    master, slave = os.openpty()
    try:
        config = read_config("boot")
        for group in config["shim"]:
            write(f"{group}/cgroup.procs", "0")
        os.fchown(slave, int(config["base"][0]), -1)
        init = start(config, slave)
        if os.path.exists("identity.json"):
            os.rename("identity.json", "applied.json")
        for fd in until_up:
            os.close(fd)
        return follow(init, master, log), ""
    except OSError as error:
        return 0, str(error)
    finally:
        os.close(master)
        os.close(slave)


def start(config: Config, console: int) -> int:
    """Fork the host's first process. Returns its pid once it has become init; raises OSError with its words when it did not."""
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter(config, console, tell)
        except BaseException as error:
            os.write(tell, f"boot {config['name'][0]}: {error}\n".encode())
        os._exit(1)
    os.close(tell)
    lines = read_all(hear).splitlines()  # ends when init's copy closes on exec
    os.waitpid(child, 0)
    pid = next((int(line) for line in lines if line.isdecimal()), 0)
    words = "\n".join(line for line in lines if not line.isdecimal())
    if words or not pid:
        if pid:
            os.waitpid(pid, 0)
        raise OSError(words or "the boot process died without a word")
    return pid


def follow(init: int, master: int, log: Console) -> int:
    """Copy the console to the log until the first process ends. Returns its wait status."""
    death = os.pidfd_open(init)
    poll = select.poll()
    poll.register(master, select.POLLIN)
    poll.register(death, select.POLLIN)
    try:
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if master in ready:
                log.write(os.read(master, 4096))
            elif death in ready:
                return os.waitpid(init, 0)[1]
    finally:
        os.close(death)


def enter(config: Config, console: int, tell: int) -> None:
    """Build the host's file tree, enter its namespaces and fork its first process, whose pid is told. Never returns."""
    import json
    import signal
    import time

    from haechi.dataplane import identity, syscalls
    from haechi.dataplane.syscalls import mount

    base = int(config["base"][0])
    reset_group(config["cgroup"][0], base)
    for group in config["cgroup"]:
        write(f"{group}/cgroup.procs", "0")
    want, had = (json.loads(read_file(name) or "{}") for name in ("identity.json", "applied.json"))
    net = os.open(config["netns"][0], os.O_RDONLY)
    user = syscalls.owner(net)

    syscalls.unshare(syscalls.NEWNS)  # mounts from here on are ours alone and vanish with us
    mount("none", "/", flags=syscalls.REC | syscalls.PRIVATE)
    os.makedirs("mnt", exist_ok=True)
    rw = os.path.abspath("rw")
    mount("tmpfs", "mnt", "tmpfs", syscalls.NOSUID, "mode=711")
    os.chdir("mnt")  # short relative names from here: mount data is one page, and the mapped root may not walk the way here
    lower = [f"l{number}" for number in range(len(config["layer"]))]
    for name, layer in zip(lower, config["layer"], strict=True):
        os.mkdir(name)
        syscalls.mount_idmapped(layer, name, user, read_only=True)
    for name in ("rw", "root"):
        os.mkdir(name)
    syscalls.mount_idmapped(rw, "rw", user)
    options = f"lowerdir={':'.join(lower)},upperdir=rw/upper,workdir=rw/work,index=off,metacopy=off"
    syscalls.mount_as(base, "overlay", "root", "overlay", options)

    try:
        syscalls.unshare(syscalls.NEWTIME)  # before entering the user namespace: setting clocks takes real root
        clocks = {"boottime": time.CLOCK_BOOTTIME, "monotonic": time.CLOCK_MONOTONIC}
        write("/proc/self/timens_offsets", "".join(f"{name} -{int(time.clock_gettime(clock))} 0\n" for name, clock in clocks.items()))
    except OSError as error:
        os.write(console, f"no clock of its own: {error}\n".encode())  # uptime shows the machine's; nothing else needs it
    syscalls.new_keyring()
    os.setgroups([])
    syscalls.setns(user, syscalls.NEWUSER)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    syscalls.setns(net, syscalls.NEWNET)
    # the new cgroup namespace's root is the group we are in; the new pid namespace begins with our next child
    syscalls.unshare(syscalls.NEWNS | syscalls.NEWUTS | syscalls.NEWIPC | syscalls.NEWCGROUP | syscalls.NEWPID)
    child = os.fork()
    if child:
        os.write(tell, f"{child}\n".encode())
        os._exit(0)
    try:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)  # Python ignores some, our starter may have too, and exec keeps that
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.umask(0o022)
        furnish(console)  # from here on this machine's files are out of reach: nothing can be imported
        if want:
            identity.apply(want, had)
        become_init(console)
    except BaseException as error:
        os.write(tell, f"boot {config['name'][0]}: {error}\n".encode())
    os._exit(1)


def furnish(console: int) -> None:
    """Give the root file system in `root` its kernel file systems and devices, then make it the root."""
    from haechi.dataplane import syscalls
    from haechi.dataplane.syscalls import BIND, NODEV, NOEXEC, NOSUID, mount

    mount("root", "root", flags=BIND | syscalls.REC)  # mounts inherited from a richer namespace are locked: pivot_root wants our own
    mount("proc", "root/proc", "proc", NOSUID | NODEV | NOEXEC)
    mount("sysfs", "root/sys", "sysfs", NOSUID | NODEV | NOEXEC | syscalls.RDONLY)
    mount("cgroup2", "root/sys/fs/cgroup", "cgroup2", NOSUID | NODEV | NOEXEC)
    mount("tmpfs", "root/run", "tmpfs", NOSUID | NODEV, "mode=755,size=128m")
    mount("tmpfs", "root/dev", "tmpfs", NOSUID | syscalls.STRICTATIME, "mode=755,size=64k,nr_inodes=1k")
    for name in ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "fuse"):
        if os.path.exists(f"/dev/{name}"):  # device nodes cannot be made in a user namespace, only shown
            os.makedirs(os.path.dirname(f"root/dev/{name}"), exist_ok=True)
            write(f"root/dev/{name}", "")
            mount(f"/dev/{name}", f"root/dev/{name}", flags=BIND)
    write("root/dev/console", "")
    mount(os.ttyname(console), "root/dev/console", flags=BIND)
    for name, kind, flags, data in (
        ("pts", "devpts", NOSUID | NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        ("shm", "tmpfs", NOSUID | NODEV, "mode=1777"),
        ("mqueue", "mqueue", NOSUID | NODEV | NOEXEC, ""),
    ):
        os.mkdir(f"root/dev/{name}")
        mount(kind, f"root/dev/{name}", kind, flags, data)
    os.symlink("pts/ptmx", "root/dev/ptmx")
    os.symlink("/proc/self/fd", "root/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"root/dev/{name}")
    write("root/proc/sys/net/ipv4/ping_group_range", "0 65534")
    syscalls.pivot_root("root")


def become_init(console: int) -> None:
    """Drop what we inherited and become the host's first process."""
    for fd in (0, 1, 2):
        os.dup2(console, fd)
    os.setsid()
    os.execve(INIT, [INIT], ENVIRONMENT)  # closes every descriptor but 0 to 2: Python's are all close-on-exec


def reset_group(path: str, owner: int) -> None:
    """Empty the host's v2 group of what an earlier boot made in it and hand it to the host's root."""
    import time

    for directory, _, _ in os.walk(path, topdown=False):
        for attempt in range(200):
            try:
                if directory != path:
                    os.rmdir(directory)
                break
            except OSError:  # EBUSY for some milliseconds after the last process is gone
                if attempt == 199:
                    raise
                time.sleep(0.005)
    enabled = read_file(f"{path}/cgroup.subtree_control").split()
    if enabled:  # a group that distributes controllers takes no processes
        write(f"{path}/cgroup.subtree_control", " ".join(f"-{name}" for name in enabled))
    for name in ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"):
        os.chown(path + name, owner, owner)


class Console:
    """A log file that keeps at least the last 64 KiB and at most 512."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        os.write(self._fd, data)
        self._size += len(data)
        if self._size > LOG_MAX:
            tail = os.pread(self._fd, LOG_KEEP, self._size - LOG_KEEP)
            os.close(self._fd)
            half = os.open(self._path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(half, tail)
            os.close(half)
            os.rename(self._path + ".new", self._path)
            self._open()


def read_config(path: str) -> Config:
    config: Config = {}
    for line in read_file(path).splitlines():
        key, _, value = line.partition(" ")
        config.setdefault(key, []).append(value)
    return config


def read_file(path: str) -> str:
    """Text of a file, "" when there is none."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def read_all(fd: int) -> str:
    """Text from a pipe until all its writers are gone; closes it."""
    with open(fd, errors="replace") as file:
        return file.read()


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
