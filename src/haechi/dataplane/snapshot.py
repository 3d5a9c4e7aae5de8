"""Copies a host's own layer into an image layer. A program of its own, run as `python -I -S snapshot.py`, request on stdin.

Of its own because it needs a mount namespace and a chroot, and because it thaws the host even when the server that asked is killed.
The request is a JSON object:

    upper      the host's own layer
    into       an existing empty directory; gets `tree`, the new layer (and scratch directories, for the caller to remove)
    layers     the layers under it, top first: names relative to `into`
    freeze     the host's v2 control group when it runs, else ""
    identity   what `identity.scrub` is to take out
    flatten    true: `tree` is everything, not only what differs from `layers`
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any


def main(request: dict[str, Any]) -> None:
    from haechi.dataplane import identity, syscalls

    into, group = request["into"], request["freeze"]
    os.chdir(into)
    os.mkdir("upper", 0o755)
    try:
        if group:
            freeze(group)
        subprocess.run(["cp", "-a", "--reflink=auto", f"{request['upper']}/.", "upper"], check=True)  # whiteouts and xattrs too
    finally:
        if group:
            write(f"{group}/cgroup.freeze", "0")

    syscalls.unshare(syscalls.NEWNS)
    syscalls.mount("none", "/", flags=syscalls.REC | syscalls.PRIVATE)
    for name in ("work", "root"):
        os.mkdir(name)
    data = f"lowerdir={':'.join(request['layers'])},upperdir=upper,workdir=work,index=off,metacopy=off"
    syscalls.mount("overlay", "root", "overlay", 0, data)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chroot("root")  # the guest's links lead into the guest
            os.chdir("/")
            identity.scrub(request["identity"])
            status = 0
        except OSError as error:
            sys.stderr.write(f"take the identity out: {error}\n")
            sys.stderr.flush()
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
    if request["flatten"]:
        os.mkdir("tree", 0o755)
        subprocess.run(["cp", "-a", "root/.", "tree"], check=True)
        syscalls.umount("root")
    else:
        syscalls.umount("root")
        os.rename("upper", "tree")
    subprocess.run(["sync", "-f", "tree"], check=True)


def freeze(group: str, timeout: float = 10) -> None:
    """Stop every process of the group and wait until they stand."""
    write(f"{group}/cgroup.freeze", "1")
    end = time.monotonic() + timeout
    while True:
        with open(f"{group}/cgroup.events") as file:
            events = file.read()
        if "frozen 1" in events or "populated 0" in events:
            return
        if time.monotonic() > end:
            raise TimeoutError("the host does not freeze")
        time.sleep(0.002)


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    try:
        main(json.load(sys.stdin))
    except (OSError, subprocess.CalledProcessError) as failure:
        sys.exit(f"snapshot: {failure}")
