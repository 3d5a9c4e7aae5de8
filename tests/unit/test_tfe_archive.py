"""Uploaded archives: what is taken, and what is refused before a byte of it is written."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from haechi.tfe import archive
from tests.tfeworker import pack


def packed(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for member in members:
            file.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0, mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mode = kind, link, size, mode
    return made


def link(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, to)


def test_files_directories_and_links_inside_are_unpacked(tmp_path: Path) -> None:
    data = packed(
        member("./"),
        member("a/main.tf", size=3),
        member("b", tarfile.DIRTYPE),
        member("b/run.sh", size=1, mode=0o755),
        link("b/up.tf", "../a/main.tf"),
    )
    archive.unpack(data, tmp_path / "out")
    assert (tmp_path / "out/b/up.tf").read_text() == "xxx"
    assert os.access(tmp_path / "out/b/run.sh", os.X_OK) and not os.access(tmp_path / "out/a/main.tf", os.X_OK)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (b"resource {}", "not a tar archive"),
        (gzip.compress(b"no tar at all" * 100), "not a tar archive"),
        (pack({"main.tf": "x" * 5000})[:-40], "cut off"),
        (packed(member("../main.tf")), "leads out"),
        (packed(member("a/../../main.tf")), "leads out"),
        (packed(member("/etc/passwd")), "absolute"),
        (packed(member("a" * 300)), "too long"),
        (packed(link("a", "/etc")), "leads out"),
        (packed(link("a", "../outside")), "leads out"),
        (packed(link("d/a", "../../outside")), "leads out"),
        (packed(link("a", "b/../../c")), "leads out"),
        (packed(link("a", "."), member("a/x")), "below"),
        (packed(member("a"), member("a/x")), "below"),
        (packed(member("a"), link("a", "b")), "twice"),
        (packed(link("a", "b"), link("a", "c")), "twice"),
        (packed(member("hard", tarfile.LNKTYPE, "main.tf")), "neither a file"),
        (packed(member("fifo", tarfile.FIFOTYPE)), "neither a file"),
        (packed(member("disk", tarfile.BLKTYPE)), "neither a file"),
    ],
)
def test_refused(data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(archive.ArchiveError, match=said):
        archive.check_archive(data)
    with pytest.raises(archive.ArchiveError):
        archive.unpack(data, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_bombs_are_stopped_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED", 1 << 20)
    with pytest.raises(archive.ArchiveError, match="more than 1 MiB"):
        archive.check_archive(pack({"zeros": "0" * (3 << 20)}))
    monkeypatch.setattr(archive, "MEMBERS", 10)
    with pytest.raises(archive.ArchiveError, match="more than 10 files"):
        archive.check_archive(pack({f"f{n}": "" for n in range(11)}))
