"""The base layer: one Debian system, bootstrapped from this machine's own apt sources and kept as a tar.

The tar is named by a digest of everything that goes into it, so a changed recipe or changed sources make another one. Our own
additions (`guest`) are put on top when it is unpacked: changing them costs no new bootstrap.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from haechi.dataplane import kernel

GUEST = Path(__file__).with_name("guest")
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "sudo",
    "iproute2",
    "iputils-ping",
    "ca-certificates",
    "curl",
    "python3-minimal",
    "procps",
    "netbase",
    "libcap2-bin",
    "less",
    "unzip",
    "cloud-init",
)
# Units that fail or wait in a container: 0.5 s to ssh without them, 1.6 s and "degraded" with them.
MASKED = (
    "dev-hugepages.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "e2scrub_reap.service",
    "e2scrub_all.timer",
    "fstrim.timer",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "systemd-pstore.service",
    "systemd-remount-fs.service",
    "modprobe@.service",
    "systemd-modules-load.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-firstboot.service",
    "getty@tty1.service",
    "console-getty.service",
    "systemd-networkd.service",
    "systemd-networkd-wait-online.service",
    "systemd-random-seed.service",
    "networking.service",
)
# name in `guest` -> (path in the guest, mode)
FILES = {
    "user-data": ("usr/local/sbin/user-data", 0o755),
    "user-data.service": ("etc/systemd/system/user-data.service", 0o644),
    "datasource": ("usr/lib/python3/dist-packages/cloudinit/sources/DataSourceAliYunLocal.py", 0o644),
    "cloud.cfg": ("etc/cloud/cloud.cfg.d/95_local.cfg", 0o644),
}
TEXTS = {
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/systemd/journald.conf.d/50-size.conf": "[Journal]\nSystemMaxUse=32M\n",
    "etc/cloud/cloud-init.disabled": "started by user-data.service, only when user data is cloud-init's\n",
}
LINKS = {
    **{f"etc/systemd/system/{unit}": "/dev/null" for unit in MASKED},
    # its generator costs a shell at every boot to find out that it is disabled
    "etc/systemd/system-generators/cloud-init-generator": "/dev/null",
    "etc/systemd/system/multi-user.target.wants/user-data.service": "/etc/systemd/system/user-data.service",
}
# the bootstrap itself does without recommended packages; what users install later is as on any Debian
LAST = "; ".join(
    (
        "sed -i /Install-Recommends/d etc/apt/apt.conf.d/99mmdebstrap",
        "rm -f etc/ssh/ssh_host_* etc/hostname etc/resolv.conf etc/ssh/sshd_config.d/50-cloud.conf",
        ": > etc/machine-id",
    )
)
EPOCH = "1735689600"  # no file is newer than this: the same sources give the same tar


def read_release() -> tuple[str, str]:
    """This machine's distribution as (id, codename), for example ("debian", "bookworm"). KeyError when it has no codename."""
    pairs = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    values = {key: value.strip("\"'") for key, _, value in pairs}
    return values["ID"], values["VERSION_CODENAME"]


def parse_sources(listing: str, distribution: str, codename: str) -> list[str]:
    """One-line apt sources of the distribution itself, out of `URI|release|component|origin` lines; other vendors' are left out."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in listing.splitlines():
        uri, release, component, origin = (part.strip() for part in line.split("|"))
        ours = not origin or origin.lower() == distribution
        if ours and release.split("-")[0] == codename and uri.partition(":")[0] in ("http", "https", "file"):
            components = found.setdefault((uri, release), [])
            if component not in components:
                components.append(component)
    return [f"deb {uri} {release} {' '.join(components)}" for (uri, release), components in found.items()]


def read_sources() -> list[str]:
    """This machine's own sources, from apt itself. KernelError when apt names none of the distribution's."""
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
    lines = parse_sources(kernel.run("apt-get", "indextargets", "--format", form, "Created-By: Packages"), *read_release())
    if not lines:
        raise kernel.KernelError("apt has no source of this distribution: nothing to build the base image from")
    return lines


def read_options() -> list[str]:
    """apt options that this machine's network needs (proxies, repositories whose dates are old), as configuration lines."""
    wanted = ("acquire::http::proxy", "acquire::https::proxy", "acquire::check-valid-until", "acquire::check-date")
    lines = kernel.run("apt-config", "dump").splitlines()
    return [line for line in lines if line.split(" ")[0].lower() in wanted and '""' not in line]


def parse_certificates(pem: str) -> set[str]:
    """Each certificate of a bundle as a PEM text of its own."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    bodies = ("".join(part.partition(end)[0].split()) for part in pem.split(begin)[1:])
    return {"\n".join((begin, *(body[i : i + 64] for i in range(0, len(body), 64)), end, "")) for body in bodies}


def read_authorities() -> set[str]:
    """Certificate authorities this machine trusts beyond the distribution's own: the guests must trust them too."""
    bundle = Path(os.environ.get("SSL_CERT_FILE", ""))
    paths = [Path("/etc/ssl/certs/ca-certificates.crt"), *Path("/usr/local/share/ca-certificates").rglob("*.crt")]
    paths += [bundle] if bundle.is_file() else []
    trusted = {text for path in paths if path.is_file() for text in parse_certificates(path.read_text(errors="replace"))}
    stock = {text for path in Path("/usr/share/ca-certificates").rglob("*.crt") for text in parse_certificates(path.read_text())}
    return trusted - stock


def name_layer(tar: Path) -> str:
    """Name of the layer made of that tar and today's additions."""
    guest = [(GUEST / name).read_text() for name in sorted(FILES)]
    return f"base-{digest(tar.name, guest, sorted(FILES.items()), sorted(TEXTS.items()), sorted(LINKS.items()))}"


def unpack(tar: Path, tree: Path) -> None:
    """Unpack the tar into the new directory `tree` and put our own files on top."""
    tree.mkdir(mode=0o755)
    # without --xattrs-include the file capabilities (ping) are lost
    kernel.run("tar", "-C", str(tree), "-xpf", str(tar), "--xattrs", "--xattrs-include=*", "--numeric-owner", timeout=600)
    for path, text in TEXTS.items():
        _put(tree / path, text, 0o644)
    for name, (path, mode) in FILES.items():
        _put(tree / path, (GUEST / name).read_text(), mode)
    for path, target in LINKS.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).unlink(missing_ok=True)
        (tree / path).symlink_to(target)


def _put(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def digest(*parts: object) -> str:
    """Sixteen hexadecimal digits over values whose `repr` is stable."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def build(cache: Path, progress: Callable[[str], None]) -> Path:
    """The base layer's tar in `cache`, made now if it is missing (about a minute). Other processes wait for the one that builds.

    Raises KernelError with mmdebstrap's last words.
    """
    sources, options, authorities = read_sources(), read_options(), read_authorities()
    name = f"base-{digest(PACKAGES, LAST, EPOCH, sources, options, sorted(authorities), os.uname().machine)}"
    tar = cache / f"{name}.tar"
    if tar.exists():
        return tar
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if tar.exists():
            return tar
        progress("building the base image, about a minute")
        work, half = cache / f"{name}.work", cache / f"{name}.half.tar"
        subprocess.run(["rm", "-rf", "--one-file-system", work], check=True)  # left by a build that was killed
        work.mkdir(mode=0o755)
        for text in authorities:
            _put(work / f"tree/usr/local/share/ca-certificates/host-{digest(text)}.crt", text, 0o644)
        (work / "tree").mkdir(exist_ok=True)
        (work / "tmp").mkdir()
        _bootstrap(work, half, sources, options, lock.fileno(), progress)
        half.rename(tar)
        subprocess.run(["rm", "-rf", "--one-file-system", work], check=True)
    return tar


def _bootstrap(work: Path, tar: Path, sources: list[str], options: list[str], lock: int, progress: Callable[[str], None]) -> None:
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += [f"--aptopt={option}" for option in ('Apt::Install-Recommends "false"', 'Acquire::Languages "none"', *options)]
    command += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "locale", "doc")]
    command += ["--dpkgopt=force-unsafe-io", "--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    command += [f"--customize-hook=sync-in {shlex.quote(str(work / 'tree'))} /"]
    command += ['--customize-hook=chroot "$1" update-ca-certificates', f'--customize-hook=cd "$1"; {LAST}']
    command += [read_release()[1], str(tar), *sources]
    env = {**os.environ, "TMPDIR": str(work / "tmp"), "SOURCE_DATE_EPOCH": EPOCH}
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    last: list[str] = []
    try:
        # it keeps the lock while it lives, even when we are killed: nobody cleans up under its feet
        with subprocess.Popen(command, env=env, stdin=null, stdout=null, stderr=pipe, text=True, pass_fds=[lock]) as process:
            assert process.stderr is not None
            for line in process.stderr:
                last = [*last[-19:], line]
                if line.startswith("I:"):
                    progress(line[2:].strip())
    except FileNotFoundError as error:
        raise kernel.KernelError("mmdebstrap is not installed: apt-get install mmdebstrap") from error
    if process.returncode:
        tar.unlink(missing_ok=True)
        raise kernel.KernelError("mmdebstrap failed: " + "".join(last).strip())
