"""The thin edge to the kernel: `ip`, `nft`, namespaces and sysctls. Nothing here decides anything.

Every function raises `KernelError` with the command's own words when the kernel refuses.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

NETNS = Path("/run/netns")
CLONE_NEWNET = 0x40000000
T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


class KernelError(RuntimeError):
    """The kernel refused; the message is the tool's own."""


@contextmanager
def refusals() -> Iterator[None]:
    """One kind of error for whatever the kernel refuses."""
    try:
        yield
    except OSError as error:
        raise KernelError(str(error)) from error


def run(*command: str, stdin: str | None = None, timeout: float = 60) -> str:
    """Standard output of a program; KernelError when it fails or is missing."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise KernelError(f"{' '.join(command[:6])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def ip(*lines: str, netns: str = "") -> None:
    """Run `ip` sub-commands in one batch, in a namespace if named. Stops at the first that fails."""
    if lines:
        run("ip", *(("-n", netns) if netns else ()), "-batch", "-", stdin="\n".join(lines) + "\n")


def nft(ruleset: str, netns: str = "") -> None:
    """Load a ruleset atomically: all of it or nothing."""
    prefix = ("ip", "netns", "exec", netns) if netns else ()
    run(*prefix, "nft", "-f", "-", stdin=ruleset)


def counters(table: str, netns: str = "") -> dict[str, tuple[int, int]]:
    """Packets and bytes of the named counters of a table ("ip hx0w")."""
    prefix = ("ip", "netns", "exec", netns) if netns else ()
    listing = json.loads(run(*prefix, "nft", "-j", "list", "counters", "table", *table.split()))
    found = (item["counter"] for item in listing["nftables"] if "counter" in item)
    return {counter["name"]: (counter["packets"], counter["bytes"]) for counter in found}


def netns_exists(name: str) -> bool:
    """Whether a live namespace is pinned there. A plain file left by a reboot (/run may be on disk) does not count."""
    try:
        return os.stat(NETNS / name).st_dev != os.stat("/run").st_dev
    except FileNotFoundError:
        return False


def netns_add(name: str, values: Iterable[tuple[str, str]] = ()) -> None:
    """Make a namespace with its loopback up and the given sysctls, unless it is there already."""
    if not netns_exists(name):
        (NETNS / name).unlink(missing_ok=True)
        run("ip", "netns", "add", name)
        ip("link set lo up", netns=name)
    sysctl(values, netns=name)


def netns_delete(name: str) -> None:
    """Remove a namespace and whatever pin is left of it; nothing happens when there is none."""
    if netns_exists(name):
        run("ip", "netns", "delete", name)
    (NETNS / name).unlink(missing_ok=True)


def inside(netns: str, work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own that has entered the namespace (sockets made there stay there)."""
    result: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            fd = os.open(NETNS / netns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, CLONE_NEWNET):
                    raise KernelError(f"enter {netns}: {os.strerror(ctypes.get_errno())}")
            finally:
                os.close(fd)
            result.append(work())
        except BaseException as error:  # handed to the caller's thread below
            failure.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def sysctl(values: Iterable[tuple[str, str]], netns: str = "") -> None:
    """Set kernel parameters given as (path below /proc/sys, value)."""
    pairs = list(values)

    def write() -> None:
        for path, value in pairs:
            (Path("/proc/sys") / path).write_text(value)

    if pairs:
        inside(netns, write) if netns else write()


def uplink(netns: str, outer: str, *, outside: str) -> None:
    """Connect a namespace to the machine: `up0` inside, interface `outer` outside, default route to `outside`.

    The link carries no addresses of its own: both ends know each other by fixed MACs, so a public address needs nothing but
    a host route (`public_route`). Idempotent.
    """
    if os.path.exists(f"/sys/class/net/{outer}"):
        return
    ip(
        f"link add {outer} address 02:68:78:00:00:01 type veth peer name up0 address 02:68:78:00:00:02 netns {netns}",
        f"link set {outer} up",
        f"neigh replace 169.254.0.2 lladdr 02:68:78:00:00:02 dev {outer} nud permanent",
    )
    ip(
        "link set up0 up",
        "addr replace 169.254.0.2/32 dev up0",
        f"neigh replace {outside} lladdr 02:68:78:00:00:01 dev up0 nud permanent",
        f"route replace {outside}/32 dev up0",
        f"route replace default via {outside} dev up0",
        netns=netns,
    )
    sysctl([(f"net/ipv4/conf/{outer}/rp_filter", "0"), (f"net/ipv4/conf/{outer}/send_redirects", "0")])


def public_route(address: str, outer: str, *, outside: str) -> None:
    """Send a public address down an uplink; this machine speaks to it from `outside`."""
    ip(f"route replace {address}/32 via 169.254.0.2 dev {outer} onlink src {outside}")
