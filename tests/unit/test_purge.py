"""What a purge may remove: what haechi made, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from haechi.dataplane.site import read_site
from haechi.serve import purge
from haechi.settings import SettingsError, read_target


def test_a_purge_leaves_strangers_alone(tmp_path: Path) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    for path in (home / "log" / "cloud.log", home / "credentials.json", home / "src" / "mine.py", cache / "base-1.tar", cache / "other"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    site = read_site({"HAECHI_SITE": "5", "HAECHI_HOME": str(home), "HAECHI_CACHE": str(cache)})
    purge(site, keep_cache=False)
    assert [p.name for p in home.iterdir()] == ["src"] and (home / "src" / "mine.py").exists()
    assert [p.name for p in cache.iterdir()] == ["other"]


def test_a_purge_removes_all_of_its_own(tmp_path: Path) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    (home / "log").mkdir(parents=True)
    (home / "credentials.json").write_text("x")
    purge(read_site({"HAECHI_SITE": "5", "HAECHI_HOME": str(home), "HAECHI_CACHE": str(cache)}), keep_cache=True)
    assert not home.exists()


@pytest.mark.parametrize("name", ["HAECHI_HOME", "HAECHI_CACHE"])
@pytest.mark.parametrize("path", [".", "relative/path", "/", "/root"])
def test_a_home_must_be_a_place_of_its_own(name: str, path: str) -> None:
    with pytest.raises(ValueError):
        read_site({name: path})
    with pytest.raises(SettingsError):
        read_target("local", {name: path})


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_site({"HAECHI_HOME": "", "HAECHI_SITE": ""}).home == Path("/var/lib/haechi")
