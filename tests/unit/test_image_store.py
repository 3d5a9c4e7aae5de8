"""Chains and layers on disk."""

import json
from pathlib import Path

import pytest

from haechi.dataplane.image import Images
from haechi.dataplane.site import Site


@pytest.fixture
def images(tmp_path: Path) -> Images:
    images = Images(Site(11, tmp_path, tmp_path / "run", tmp_path / "cache"))
    with images.locked():
        for name in ("base-1", "one", "two"):
            (tmp_path / "images/layer" / name).mkdir()
            (tmp_path / "images/layer" / name / "file").write_text("x" * 1500000)
        for id, chain in {"base": "base-1", "one": "one\nbase-1", "two": "two\none\nbase-1"}.items():
            (tmp_path / "images/chain" / id).write_text(chain + "\n")
    return images


def names(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "images/layer").iterdir()}


def test_a_chain_is_read_top_first(images: Images, tmp_path: Path) -> None:
    assert [path.name for path in images.layers("two")] == ["two", "one", "base-1"]
    assert images.exists("two") and not images.exists("three")
    assert sorted(images.ids()) == ["base", "one", "two"]
    assert images.size_mib("base") == 2 and images.size_mib("two") == 5
    with pytest.raises(KeyError):
        images.layers("three")


def test_a_layer_stays_as_long_as_something_lies_on_it(images: Images, tmp_path: Path) -> None:
    images.delete("one")
    assert not images.exists("one") and names(tmp_path) == {"base-1", "one", "two"}
    home = tmp_path / "hosts" / "i-1"
    home.mkdir(parents=True)
    (home / "machine.json").write_text(json.dumps({"layers": ["two", "one", "base-1"]}))
    images.delete("two")
    images.delete("two")
    assert names(tmp_path) == {"base-1", "one", "two"}
    (home / "machine.json").unlink()
    images.collect()
    assert names(tmp_path) == {"base-1"}


def test_the_base_cannot_be_deleted(images: Images) -> None:
    with pytest.raises(ValueError, match="base"):
        images.delete("base")
    assert images.exists("base")


def test_no_image_of_a_host_that_is_not_there(images: Images) -> None:
    with pytest.raises(KeyError):
        images.commit("i-none", "m-1")
