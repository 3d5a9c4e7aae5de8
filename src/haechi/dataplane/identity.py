"""What makes a copy of an image one particular machine: names, keys, password. Written before its first process starts.

Runs with the guest's own root directory as root (inside its namespaces when it boots, in a chroot when an image is made of it), so a
symbolic link the guest planted leads nowhere but into the guest. Standard library only.

An identity is a JSON object: hostname, address, machine_id, nameservers, password_hash, user, public_keys, host_key, host_key_pub.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from typing import Any

Identity = dict[str, Any]
DROPIN = "/etc/ssh/sshd_config.d/50-cloud.conf"
SUDOERS = "/etc/sudoers.d/50-cloud"


def apply(want: Identity, had: Identity) -> None:
    """Bring the guest from identity `had` ({} for a fresh copy of an image) to `want`.

    Only what differs between the two is written: what the guest changed itself stays.
    """

    def differs(*keys: str) -> bool:
        return any(want[key] != had.get(key) for key in keys)

    accounts = list(dict.fromkeys(("root", want["user"])))
    new_user = differs("user")
    if new_user and want["user"] != "root":
        add_user(want["user"])
    if differs("machine_id"):
        put("/etc/machine-id", want["machine_id"] + "\n", 0o444)
    if differs("hostname", "address"):
        put("/etc/hostname", want["hostname"] + "\n")
        old, new = _hosts_line(had), _hosts_line(want)
        lines = [new if line == old else line for line in read("/etc/hosts").splitlines()]
        put("/etc/hosts", "\n".join(lines if new in lines else [*lines, new]) + "\n")
    if differs("nameservers") and want["nameservers"]:
        put("/etc/resolv.conf", "".join(f"nameserver {address}\n" for address in want["nameservers"]))
    if differs("password_hash") or new_user:
        set_passwords({account: want["password_hash"] or "*" for account in accounts})
        yes = bool(want["password_hash"])
        root, word = ("yes", "yes") if yes else ("prohibit-password", "no")
        put(DROPIN, f"PermitRootLogin {root}\nPasswordAuthentication {word}\n")
    if differs("public_keys") or new_user:
        for account in accounts:
            swap_keys(account, had.get("public_keys", ()), want["public_keys"])
    if differs("host_key"):
        put("/etc/ssh/ssh_host_ed25519_key", want["host_key"], 0o600)
        put("/etc/ssh/ssh_host_ed25519_key.pub", want["host_key_pub"])


def scrub(had: Identity) -> None:
    """Take a machine's identity out of a copy of its files: the opposite of `apply`, plus what its boots left behind."""
    put("/etc/machine-id", "", 0o444)
    for path in ("/etc/hostname", "/etc/resolv.conf", "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", DROPIN):
        drop(path)
    if not os.path.islink("/var/lib/dbus/machine-id"):
        drop("/var/lib/dbus/machine-id")
    for directory, wanted in (
        ("/etc/ssh", lambda name: name.startswith("ssh_host_")),
        ("/var/log", lambda name: name.startswith("cloud-init")),
        ("/var/log/journal", lambda name: True),
        ("/var/lib/cloud", lambda name: True),
    ):
        empty(directory, wanted)
    lines = read("/etc/hosts").splitlines()
    put("/etc/hosts", "".join(f"{line}\n" for line in lines if line != _hosts_line(had)))
    accounts = dict.fromkeys(("root", had.get("user", "root")))
    set_passwords(dict.fromkeys(accounts, "*"))
    for account in accounts:
        swap_keys(account, had.get("public_keys", ()), ())


def _hosts_line(identity: Identity) -> str:
    return f"{identity.get('address', '')} {identity.get('hostname', '')}"


def add_user(name: str) -> None:
    """Make a login account with a home and unlimited sudo, unless it is there."""
    if not any(line.startswith(f"{name}:") for line in read("/etc/passwd").splitlines()):
        path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        status = os.spawnve(os.P_WAIT, "/usr/sbin/useradd", ["useradd", "-m", "-s", "/bin/bash", name], path)
        if status:
            raise OSError(f"useradd {name}: status {status}")
    if os.path.isdir(os.path.dirname(SUDOERS)):
        put(SUDOERS, f"{name} ALL=(ALL) NOPASSWD:ALL\n", 0o440)


def set_passwords(hashes: dict[str, str]) -> None:
    """Write crypt(3) hashes ("*": no password) into the shadow file."""
    rows = [line.split(":") for line in read("/etc/shadow").splitlines()]
    for row in rows:
        if row[0] in hashes:
            row[1] = hashes[row[0]]
            row[2] = row[2] if row[2] not in ("", "0") else "20000"  # 0 would force a change at the first login
    put("/etc/shadow", "".join(":".join(row) + "\n" for row in rows), 0o640)


def swap_keys(account: str, old: Iterable[str], new: Iterable[str]) -> None:
    """Replace our public keys in an account's authorized_keys; others stay where they are."""
    rows = [line.split(":") for line in read("/etc/passwd").splitlines()]
    found = next((row for row in rows if row[0] == account), None)
    if found is None:
        return
    uid, gid, home = int(found[2]), int(found[3]), found[5]
    directory, path = f"{home}/.ssh", f"{home}/.ssh/authorized_keys"
    gone = {key.strip() for key in old}
    lines = [line for line in read(path).splitlines() if line.strip() not in gone]
    lines += [key.strip() for key in new if key.strip() not in lines]
    if not lines:
        drop(path)
    elif os.path.isdir(home):
        if not os.path.isdir(directory):
            drop(directory)  # a link to nowhere
            os.mkdir(directory, 0o700)
            os.chown(directory, uid, gid)
        put(path, "\n".join(lines) + "\n", 0o600, uid, gid)


def read(path: str) -> str:
    """Text of a regular file, "" when there is none. A fifo in its place must not make us wait."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return ""
    with open(fd, encoding="utf-8", errors="surrogateescape") as file:
        return file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else ""


def put(path: str, text: str, mode: int = 0o644, uid: int | None = None, gid: int | None = None) -> None:
    """Write a file in one step; an existing one keeps its owner unless told."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        now = os.lstat(path)
    except FileNotFoundError:
        now = None
    half = f"{path}.cloud-new"
    drop(half)
    fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        os.fchmod(fd, mode)
        os.fchown(fd, uid if uid is not None else now.st_uid if now else 0, gid if gid is not None else now.st_gid if now else 0)
    os.rename(half, path)


def drop(path: str) -> None:
    """Remove a file if it is there."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return


def empty(directory: str, wanted: Callable[[str], bool]) -> None:
    """Remove the entries of a directory whose name is wanted. (shutil costs a boot 10 ms.)"""
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        if wanted(name):
            top = f"{directory}/{name}"
            if os.path.islink(top) or not os.path.isdir(top):
                os.unlink(top)
                continue
            for parent, directories, files in os.walk(top, topdown=False):
                for entry in (f"{parent}/{child}" for child in (*directories, *files)):
                    if os.path.isdir(entry) and not os.path.islink(entry):
                        os.rmdir(entry)
                    else:
                        os.unlink(entry)
            os.rmdir(top)
