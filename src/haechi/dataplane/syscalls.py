"""The Linux system calls that Python has no function for. Standard library only: the launcher runs without site packages.

Every function raises OSError naming the call and what it was asked.
"""

from __future__ import annotations

import ctypes
import fcntl
import os

NEWNS, NEWTIME, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x80, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE, STRICTATIME = 1, 2, 4, 8, 4096, 16384, 1 << 18, 1 << 24
DETACH = 2
# calls without a libc function; those that carry one number everywhere are newer than the common table
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_PIVOT_ROOT, _KEYCTL = {"x86_64": (155, 250), "aarch64": (41, 219)}.get(os.uname().machine, (0, 0))
_NS_GET_USERNS = 0xB701

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd"))


def _check(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def setns(fd: int, kind: int) -> None:
    """Enter the namespace behind `fd`."""
    _check(_libc.setns(fd, kind), f"setns {kind:#x}")


def owner(fd: int) -> int:
    """A descriptor of the user namespace that owns the namespace behind `fd`."""
    return fcntl.ioctl(fd, _NS_GET_USERNS)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). `data` is at most one page, which is why callers use short relative paths."""
    encoded = [text.encode() or None for text in (source, target, kind)]
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() or None), f"mount {kind or flags} {source} on {target}")


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(target.encode(), flags), f"umount {target}")


def mount_idmapped(source: str, target: str, userns: int, read_only: bool = False) -> None:
    """Show the tree `source` at `target` with owners shifted into the user namespace: uid 0 on disk is its root (Linux 5.12)."""
    clone, cloexec, at_cwd, empty_path, from_empty = 1, os.O_CLOEXEC, -100, 0x1000, 4
    tree = _check(_libc.syscall(_OPEN_TREE, at_cwd, source.encode(), clone | cloexec), f"open_tree {source}")
    try:
        attr = _MountAttr(0x100000 | (1 if read_only else 0), 0, 0, userns)  # MOUNT_ATTR_IDMAP
        size = ctypes.sizeof(attr)
        _check(_libc.syscall(_MOUNT_SETATTR, tree, b"", empty_path, ctypes.byref(attr), size), f"mount_setattr {source}")
        _check(_libc.syscall(_MOVE_MOUNT, tree, b"", at_cwd, target.encode(), from_empty), f"move_mount {target}")
    finally:
        os.close(tree)


def mount_as(uid: int, source: str, target: str, kind: str, data: str) -> None:
    """mount(2) with the file system identity of `uid` but all capabilities.

    An overlay keeps the mounter's identity for everything it does in its upper layer: plain root has no id in an idmapped
    upper, and the overlay would turn read-only.
    """
    secbits, no_setuid_fixup = 28, 4  # PR_SET_SECUREBITS: changing the identity leaves the capabilities alone
    _check(_libc.prctl(secbits, no_setuid_fixup, 0, 0, 0), "prctl securebits")
    _libc.setfsgid(uid)
    _libc.setfsuid(uid)
    try:
        mount(source, target, kind, 0, data)
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(0)
        _check(_libc.prctl(secbits, 0, 0, 0, 0), "prctl securebits")


def become_subreaper() -> None:
    """Grandchildren whose parent ends become children of this process."""
    _check(_libc.prctl(36, 1, 0, 0, 0), "prctl subreaper")


def new_keyring() -> None:
    """Leave the session keyring of whoever started us."""
    _check(_libc.syscall(_KEYCTL, 1, None), "keyctl join session")


def pivot_root(path: str) -> None:
    """Make `path` (a mount point) the root and drop the old one."""
    os.chdir(path)
    _check(_libc.syscall(_PIVOT_ROOT, b".", b"."), "pivot_root")
    umount(".", DETACH)
    os.chdir("/")
