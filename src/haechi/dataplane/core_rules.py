"""Which OWASP Core Rule Set the firewalls load: Debian's, or a newer one that HAECHI_CRS names.

HAECHI_CRS is a folder (a release, or its `rules`), a .tar.gz of one, or an https:// URL of such a file, which needs HAECHI_CRS_SHA256.
An archive is unpacked once into the cache, under its checksum.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

from haechi.dataplane.kernel import KernelError
from haechi.dataplane.site import Site

DEBIAN = Path("/usr/share/modsecurity-crs/rules")
FIRST = "REQUEST-901-INITIALIZATION.conf"  # every release has it
LARGEST = 64 << 20  # bytes, of an archive and of what is in it
SECONDS = 60.0


def prepare(site: Site, progress: Callable[[str], None]) -> None:
    """Fetch and unpack what the setting names, if that is an archive. KernelError when it cannot be had or is not what was promised."""
    if not _is_archive(site.core_rules):
        folder(site)
        return
    if _is_url(site.core_rules):
        if not site.core_rules_sha256:
            raise KernelError("HAECHI_CRS is a URL and HAECHI_CRS_SHA256 is not set: what is downloaded must be what you looked at")
        if (_place(site, site.core_rules_sha256) / "done").exists():
            return
        progress(f"fetching the core rules from {site.core_rules}")
        data = _fetch(site.core_rules)
    else:
        data = _read(Path(site.core_rules))
    found = hashlib.sha256(data).hexdigest()
    if site.core_rules_sha256 not in ("", found):
        raise KernelError(f"the core rules of HAECHI_CRS have the checksum {found}, not the one that HAECHI_CRS_SHA256 promises")
    _unpack(data, _place(site, found))


def folder(site: Site) -> Path:
    """Where the rules' files are. KernelError when the setting names none."""
    if not site.core_rules:
        return _rules_in(DEBIAN, "install modsecurity-crs")
    if not _is_archive(site.core_rules):
        return _rules_in(Path(site.core_rules), "HAECHI_CRS must name a folder with the core rules")
    checksum = site.core_rules_sha256 or hashlib.sha256(_read(Path(site.core_rules))).hexdigest()
    return _rules_in(_place(site, checksum) / "crs", "run haechi prepare")


def _rules_in(path: Path, advice: str) -> Path:
    for candidate in (path, path / "rules", *sorted(path.glob("*/rules"))):
        if (candidate / FIRST).is_file():
            return candidate
    raise KernelError(f"the core rules are not in {path}; {advice}")


def _is_url(setting: str) -> bool:
    return setting.startswith("https://")


def _is_archive(setting: str) -> bool:
    return _is_url(setting) or setting.endswith((".tar.gz", ".tgz"))


def _place(site: Site, checksum: str) -> Path:
    return site.cache / "core-rules" / checksum


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KernelError(f"the core rules of HAECHI_CRS cannot be read: {error}") from error


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # https only, see _is_url
            data: bytes = answer.read(LARGEST + 1)
    except OSError as error:
        raise KernelError(f"the core rules cannot be fetched from {url}: {error}") from error
    if len(data) > LARGEST:
        raise KernelError(f"what {url} sends is larger than {LARGEST >> 20} MiB")
    return data


def _unpack(data: bytes, place: Path) -> None:
    if (place / "done").exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        archive, tree = Path(scratch) / "archive", Path(scratch) / "new" / "crs"
        archive.write_bytes(data)
        try:
            with tarfile.open(archive) as tar:
                if sum(member.size for member in tar) > LARGEST:
                    raise KernelError(f"the core rules unpack to more than {LARGEST >> 20} MiB")
                tar.extractall(tree, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise KernelError(f"the core rules of HAECHI_CRS cannot be unpacked: {error}") from error
        _rules_in(tree, "this is no release of the core rules")
        (tree.parent / "done").touch()
        shutil.rmtree(place, ignore_errors=True)  # what an unpacking that was killed left
        tree.parent.rename(place)
