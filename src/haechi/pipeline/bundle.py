"""Packs haechi's Vault server with the libraries it needs, and the SSH helper, for instances to fetch from the package mirror.

The package is one `.tar.gz` that unpacks to `haechi-vault/`: `bin/vault`, run by the instance's own /usr/bin/python3, and `lib/`.
Files are read by path and by what importlib.metadata lists; nothing of the server is imported here.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import haechi
from haechi.pipeline.failure import Failure

URL = "http://mirrors.cloud.aliyuncs.com/haechi/"  # the mirror directory's `haechi/`, as instances see it
SOURCE = Path(haechi.__file__).parent
PARTS = ("__init__.py", "hcl.py", "vault", "vaultcli")  # of haechi
HELPER = "sshhelper/vault_ssh_helper.py"
LIBRARIES = ("cryptography", "cffi", "uvicorn", "h11", "click", "httptools", "uvloop", "orjson")
UNUSED_SUFFIXES = (".pyc", ".pyx", ".pxd", ".pxi", ".pyi", ".c", ".h", ".typed", ".txt")
UNUSED_FOLDERS = (
    "__pycache__",
    "tests",
    "sboms",
    "cffi",
    "..",
)  # of cffi only the compiled module beside it is needed
EPOCH = 1735689600  # the date of every file in the package
RELEASES = {"bookworm": "3.11", "trixie": "3.13", "jammy": "3.10", "noble": "3.12"}  # python3 of Debian and Ubuntu releases

LAUNCHER = b"""#!/usr/bin/python3 -IS
import os
import sys

home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if sys.version_info[:2] != (%d, %d):
    sys.exit("haechi's vault was packed for Python %d.%d, this is %%d.%%d" %% sys.version_info[:2])
sys.path.insert(0, os.path.join(home, "lib"))
from haechi.vaultcli import main

sys.exit(main())
"""


@dataclass(frozen=True)
class Published:
    """Where instances find the two files, and the SHA-256 they must have (hexadecimal)."""

    vault_url: str
    vault_sha256: str
    helper_url: str
    helper_sha256: str


@dataclass(frozen=True)
class Entry:
    """One file of the package: its path below `haechi-vault/`, a digest of its content, and where the content is."""

    path: str
    digest: str
    file: Path


def publish(mirror: Path, source: Path = SOURCE) -> Published:
    """Put the package and the helper into `mirror/haechi/`, named by what is in them, and remove older ones.

    Nothing is written when they are there. `source` is the haechi package's directory. One caller at a time. Raises Failure.
    """
    check_python()
    entries = sorted(collect(source), key=lambda entry: entry.path)
    launcher = LAUNCHER % (sys.version_info[:2] * 2)
    names = repr([(entry.path, entry.digest) for entry in entries])
    package = f"vault-{hashlib.sha256(launcher + names.encode()).hexdigest()[:16]}.tar.gz"
    helper_text = _read(source / HELPER)
    helper = f"vault-ssh-helper-{hashlib.sha256(helper_text).hexdigest()[:16]}"
    directory = mirror / "haechi"
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / package).exists():
        _write(directory / package, pack(entries, launcher))
    if not (directory / helper).exists():
        _write(directory / helper, helper_text)
    for path in directory.iterdir():
        if path.name.removeprefix(".").startswith("vault-") and path.name not in (package, helper):
            path.unlink()
    sums = [hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in (package, helper)]
    return Published(URL + package, sums[0], URL + helper, sums[1])


def check_python() -> None:
    """Raises Failure unless compiled modules of this environment fit the Python of the instances."""
    ours, theirs = "{}.{}".format(*sys.version_info[:2]), guest_python()
    if ours != theirs:
        raise Failure(
            f"haechi runs on Python {ours}, its instances have {theirs or 'one that is not known'}: its Vault would not start there.",
            f"Make haechi's environment with the system's own python3{f' ({theirs})' if theirs else ''}, or choose another Vault.",
        )


def guest_python(root: Path = Path("/")) -> str:
    """Version of the python3 of this machine's release, which is also the instances', like "3.11"; "" when it cannot be told."""
    release, program = root / "etc/os-release", root / "usr/bin/python3"
    lines = release.read_text().splitlines() if release.exists() else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    known = RELEASES.get(values.get("VERSION_CODENAME", "").strip("\"'"), "")
    if known or not program.is_symlink():
        return known
    return os.readlink(program).rpartition("/")[2].removeprefix("python")


def collect(source: Path) -> Iterator[Entry]:
    """Every file of the package but the launcher. Raises Failure when one that must be there is missing."""
    for part in PARTS:
        path = source / part
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if _used(PurePosixPath(file.relative_to(source))):
                yield Entry(f"lib/haechi/{file.relative_to(source)}", hashlib.sha256(_read(file)).hexdigest(), file)
    for library in LIBRARIES:
        try:
            listed = importlib.metadata.files(library)
        except importlib.metadata.PackageNotFoundError:
            listed = None
        if listed is None:
            raise Failure(f"The library {library} is not installed in a way that tells its files.", "Install haechi again with pip.")
        for one in listed:
            if _used(one):
                file = Path(str(one.locate()))
                # the installer's own checksum saves reading 30 MB at each run
                yield Entry(f"lib/{one}", one.hash.value if one.hash else hashlib.sha256(_read(file)).hexdigest(), file)


def _used(path: PurePosixPath) -> bool:
    """Whether a file of a library is wanted on an instance: code and licences."""
    if path.parent.name.endswith(".dist-info"):
        return path.name == "METADATA" or path.name.startswith("LICENSE")
    if "licenses" in path.parts:
        return True
    return path.suffix not in UNUSED_SUFFIXES and not any(part in UNUSED_FOLDERS for part in path.parts[:-1])


def pack(entries: list[Entry], launcher: bytes) -> bytes:
    """The package: the same entries give the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, "bin/vault", launcher, 0o755)
        for entry in entries:
            _add(tar, entry.path, _read(entry.file), 0o644)
    return gzip.compress(plain.getbuffer(), compresslevel=1, mtime=0)  # higher levels cost seconds and save a tenth


def _add(tar: tarfile.TarFile, path: str, data: bytes, mode: int) -> None:
    info = tarfile.TarInfo(f"haechi-vault/{path}")
    info.size, info.mode, info.mtime = len(data), mode, EPOCH
    tar.addfile(info, io.BytesIO(data))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Failure(f"{path} is missing from this installation.", "Install haechi again.") from None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; the name it has meanwhile is one that the mirror does not serve."""
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o644)
    temporary.replace(path)
