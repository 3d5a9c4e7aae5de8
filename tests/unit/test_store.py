"""The store: what a reader sees, what a writer changes, what is on disk."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from haechi.cloud.store import Store, View


def put(store: Store, id: str, **data: object) -> None:
    with store.write() as tx:
        tx.put("thing", id, "r1", {"CreatedAt": store.now(), **data})


def test_a_view_is_a_picture_of_one_moment(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    put(store, "a", Name="x")
    before = store.view()
    put(store, "b", Name="x")
    assert [r.id for r in before.find("thing")] == ["a"]
    after = store.view()
    assert [r.id for r in after.find("thing", Name="x")] == ["a", "b"] and after.find("thing", "r2") == []
    assert after.get("thing", "a", "r2") is None and after.get("thing", "a", "r1") is not None
    store.close()


def test_a_transaction_sees_its_own_changes(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    put(store, "a", Name="x", Other=1)
    with store.write() as tx:
        first = tx.get("thing", "a")
        assert first is not None
        tx.change(first, Name="y")
        changed = tx.change(first, Other=2)  # from an old hand, and still nothing is lost
        assert (changed["Name"], changed["Other"]) == ("y", 2)
        seen = store.view().get("thing", "a")
        assert seen is not None and seen["Name"] == "x"
        tx.delete(changed)
        assert tx.find("thing") == []
        tx.put("thing", "a", "r1", {"Name": "z"})
    again = store.view().get("thing", "a")
    assert again is not None and dict(again.data) == {"Name": "z"}
    store.close()


def test_an_error_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    put(store, "a")
    with pytest.raises(ZeroDivisionError), store.write() as tx:
        tx.put("thing", "b", "r1", {})
        1 / 0  # noqa: B018
    assert [r.id for r in store.view().find("thing")] == ["a"]
    store.close()
    store = Store(tmp_path / "s.db")
    assert [r.id for r in store.view().find("thing")] == ["a"]
    store.close()


def test_apply_comes_before_the_commit_and_is_taken_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    seen: list[list[str]] = []

    def apply(view: View) -> None:
        seen.append([r.id for r in view.find("thing")])
        if len(seen) == 1:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"), store.write(apply) as tx:
        tx.put("thing", "a", "r1", {})
    assert seen == [["a"], []]
    with store.write(apply):
        pass  # nothing changed, nothing applied
    assert len(seen) == 2
    with pytest.raises(TypeError), store.write(apply) as tx:
        tx.put("thing", "a", "r1", {"Bad": object()})  # cannot be stored: taken back as well
    assert seen[2:] == [["a"], []] and store.view().find("thing") == []
    store.close()


def test_it_survives_and_keeps_order(tmp_path: Path) -> None:
    moments = iter([3.0, 1.0, 2.0])
    store = Store(tmp_path / "deep" / "s.db", now=lambda: next(moments))
    for id in ("c", "a", "b"):
        put(store, id, Text="é")
    store.close()
    assert stat.S_IMODE((tmp_path / "deep" / "s.db").stat().st_mode) == 0o600
    store = Store(tmp_path / "deep" / "s.db")
    assert [r.id for r in store.view().find("thing")] == ["a", "b", "c"]
    store.close()
    rows = sqlite3.connect(tmp_path / "deep" / "s.db").execute("select count(*) from resource").fetchone()
    assert rows == (3,)


def test_ids(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db", token=lambda n: "z" * n)
    assert store.new_id("vpc") == "vpc-" + "z" * 20
    store.close()
