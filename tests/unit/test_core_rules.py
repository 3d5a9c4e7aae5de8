"""Where the core rules come from: Debian's, a folder, an archive, and what is none of these."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from haechi.dataplane import core_rules
from haechi.dataplane.kernel import KernelError
from haechi.dataplane.site import Site, read_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(10, tmp_path / "home", tmp_path / "run", tmp_path / "cache")


def archive(path: Path, *names: str) -> str:
    """A .tar.gz with these files; its checksum."""
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 2
            tar.addfile(member, io.BytesIO(b"#\n"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def said(site: Site) -> str:
    with pytest.raises(KernelError) as refused:
        core_rules.prepare(site, print)
        core_rules.folder(site)
    return str(refused.value)


def test_debians_without_a_setting(site: Site) -> None:
    core_rules.prepare(site, print)
    assert core_rules.folder(site) == core_rules.DEBIAN and not site.cache.exists()


def test_a_release_or_its_rules(site: Site, tmp_path: Path) -> None:
    rules = tmp_path / "crs" / "rules"
    rules.mkdir(parents=True)
    (rules / core_rules.FIRST).touch()
    for setting in (rules, rules.parent):
        named = replace(site, core_rules=str(setting))
        core_rules.prepare(named, print)
        assert core_rules.folder(named) == rules


def test_an_archive_is_unpacked_once(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "crs.tar.gz"
    checksum = archive(path, f"coreruleset-9.9/rules/{core_rules.FIRST}")
    for named in (replace(site, core_rules=str(path)), replace(site, core_rules=str(path), core_rules_sha256=checksum)):
        core_rules.prepare(named, print)
        core_rules.prepare(named, print)
        found = core_rules.folder(named)
        assert found == site.cache / "core-rules" / checksum / "crs" / "coreruleset-9.9" / "rules" and (found / core_rules.FIRST).exists()
    assert [p.name for p in (site.cache / "core-rules").iterdir()] == [checksum]


def test_what_is_refused(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "crs.tar.gz"
    assert "HAECHI_CRS must name" in said(replace(site, core_rules=str(tmp_path)))
    assert "cannot be read" in said(replace(site, core_rules=str(path)))
    archive(path, "README")
    assert "no release" in said(replace(site, core_rules=str(path)))
    assert "promises" in said(replace(site, core_rules=str(path), core_rules_sha256="0" * 64))
    archive(path, f"rules/{core_rules.FIRST}", "../../outside")
    assert "cannot be unpacked" in said(replace(site, core_rules=str(path)))
    path.write_bytes(b"no archive")
    assert "cannot be unpacked" in said(replace(site, core_rules=str(path)))
    assert "HAECHI_CRS_SHA256" in said(replace(site, core_rules="https://127.0.0.1:1/crs.tar.gz"))
    assert "cannot be fetched" in said(replace(site, core_rules="https://127.0.0.1:1/crs.tar.gz", core_rules_sha256="0" * 64))
    assert not list((site.cache / "core-rules").iterdir())


def test_settings() -> None:
    site = read_site({"HAECHI_CRS": "https://rules.test/crs.tar.gz", "HAECHI_CRS_SHA256": "AB" * 32})
    assert (site.core_rules, site.core_rules_sha256) == ("https://rules.test/crs.tar.gz", "ab" * 32)
    for bad in ({"HAECHI_CRS": "crs"}, {"HAECHI_CRS": "http://rules.test/crs.tar.gz"}, {"HAECHI_CRS_SHA256": "ab"}):
        with pytest.raises(ValueError, match="HAECHI_CRS"):
            read_site(bad)
