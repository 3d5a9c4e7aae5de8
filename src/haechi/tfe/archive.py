"""Archives that clients upload: gzip-compressed tar. Looked at with suspicion before a byte of them is written anywhere.

A link is taken only if it is relative and stays inside (the terraform program sends such links as they are); a hard link never.
"""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

MEMBERS = 20_000
NAME_BYTES = 1000
UNPACKED = 1 << 30  # bytes


class ArchiveError(ValueError):
    """The archive is refused; one sentence."""


class _Bounded(io.RawIOBase):
    """Decompresses as it is read, and stops at the limit: an archive that says little may mean much."""

    def __init__(self, data: bytes, limit: int) -> None:
        self._source, self._position, self._left = data, 0, limit
        self._gzip = zlib.decompressobj(wbits=31)
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._gzip.eof:
            piece = self._gzip.unconsumed_tail or self._source[self._position : self._position + (64 << 10)]
            if not self._gzip.unconsumed_tail:
                self._position += len(piece)
            if not piece:
                raise ArchiveError("The archive is cut off.")
            self._ready = self._gzip.decompress(piece, 1 << 20)
            self._left -= len(self._ready)
            if self._left < 0:
                raise ArchiveError(f"The archive holds more than {UNPACKED >> 20} MiB.")
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def check_archive(data: bytes) -> None:
    """Read it through without writing anything. Raises ArchiveError."""
    for _ in _members(data):
        pass


def unpack(data: bytes, directory: Path) -> None:
    """Write its files below `directory`, which is made and should be empty. Raises ArchiveError; what was written by then stays."""
    directory.mkdir(parents=True, exist_ok=True)
    links: list[tuple[str, str]] = []
    for name, member, content in _members(data):
        path = directory / name
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.issym():
            links.append((name, member.linkname))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = 0o755 if member.mode & 0o100 else 0o644
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb") as file:
                file.write(content)
    for name, target in links:  # last, so that nothing is ever written through one
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


def _members(data: bytes) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """(clean name, member, content) of every member, in order."""
    kinds: dict[str, str] = {}  # name -> file | directory | link
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Bounded(data, UNPACKED)), mode="r|", errorlevel=2) as archive:
            for count, member in enumerate(archive, 1):
                if count > MEMBERS:
                    raise ArchiveError(f"The archive holds more than {MEMBERS} files.")
                name = _clean(member.name)
                if name == ".":
                    continue
                kind = _kind(name, member)
                _fit(kinds, name, kind)
                content = b""
                if kind == "file":
                    file = archive.extractfile(member)
                    assert file is not None, "a regular file has content"
                    content = file.read()
                    if len(content) != member.size:
                        raise ArchiveError("The archive is cut off.")
                yield name, member, content
    except (tarfile.TarError, zlib.error, EOFError, UnicodeError) as error:
        raise ArchiveError("It is not a tar archive compressed with gzip, or it is damaged.") from error


def _clean(name: str) -> str:
    if "\0" in name or len(os.fsencode(name)) > NAME_BYTES or any(len(os.fsencode(part)) > 255 for part in name.split("/")):
        raise ArchiveError("The archive holds a name that is too long or holds a NUL.")
    if name.startswith("/"):
        raise ArchiveError(f"The archive holds the absolute name {name!r}.")
    if ".." in name.split("/"):
        raise ArchiveError(f"The archive holds the name {name!r}, which leads out of it.")
    return posixpath.normpath(name)


def _kind(name: str, member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "directory"
    if member.issym():
        target = member.linkname
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        down = target.lstrip("./")  # `..` behind a name could climb out of a directory that is itself a link
        out = target.startswith("/") or inside == ".." or inside.startswith("../") or ".." in down.split("/")
        if not target or "\0" in target or out:
            raise ArchiveError(f"The archive holds the link {name!r}, which leads out of it.")
        return "link"
    if member.isreg():
        return "file"
    raise ArchiveError(f"The archive holds {name!r}, which is neither a file, a directory nor a symbolic link.")


def _fit(kinds: dict[str, str], name: str, kind: str) -> None:
    """Refuse what lies below a link or a file, and a name that comes twice as something else."""
    above = posixpath.dirname(name)
    while above:
        if kinds.get(above, "directory") != "directory":
            raise ArchiveError(f"The archive holds {name!r} below {above!r}, which is not a directory.")
        kinds[above] = "directory"
        above = posixpath.dirname(above)
    known = kinds.get(name)
    if known and (known != kind or kind == "link"):
        raise ArchiveError(f"The archive holds {name!r} twice.")
    kinds[name] = kind
