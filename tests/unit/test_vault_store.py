"""The store: transactions that see each other at once, groups that become durable together or not at all, listings meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from haechi.vault.barrier import Barrier, Keyring
from haechi.vault.errors import Unavailable, VaultError
from haechi.vault.storage import MemoryStorage, SqliteStorage, Storage
from haechi.vault.store import CACHED_BYTES, DEEPEST, LARGE, LONGEST, PrefixView, Store

Work = Callable[["Lab"], Coroutine[Any, Any, None]]


class SlowStorage(MemoryStorage):
    """Commits wait for `go`; the next one fails when `fail` is set. `groups` are the sizes of what was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.fail, self.groups = threading.Event(), False, list[int]()
        self.go.set()

    def commit(self, changes: Mapping[str, bytes | None]) -> None:
        assert self.go.wait(10)
        if self.fail:
            raise Unavailable("the disk is full")
        self.groups.append(len(changes))
        super().commit(changes)


class Lab:
    def __init__(self, storage: Storage | None = None) -> None:
        self.storage = storage or SlowStorage()
        self.losses = 0
        self.store = Store(self.storage, self._lost)
        self.barrier = Barrier(Keyring.generate(0))

    def _lost(self) -> None:
        self.losses += 1

    @property
    def slow(self) -> SlowStorage:
        assert isinstance(self.storage, SlowStorage)
        return self.storage

    def put(self, **values: Any) -> asyncio.Task[None]:
        """Settle a transaction that puts {"is": value} at each name ("__" for "/"); None deletes."""
        transaction = self.store.begin()
        for name, value in values.items():
            path = name.replace("__", "/")
            transaction.delete(path) if value is None else transaction.put(path, {"is": value})
        return asyncio.ensure_future(self.store.settle(transaction))

    def get(self, path: str) -> Any:
        found = self.store.begin().get(path)
        return found and found["is"]

    def on_disk(self, path: str) -> bool:
        return self.storage.get(self.barrier.hide(path)) is not None

    async def read(self, path: str) -> Any:
        """A request that only reads."""
        transaction = self.store.begin()
        found = transaction.get(path)
        await self.store.settle(transaction)
        return found and found["is"]


def run(work: Work, storage: Storage | None = None) -> None:
    async def main() -> None:
        lab = Lab(storage)
        assert await lab.store.open(lab.barrier)
        await asyncio.wait_for(work(lab), 20)

    asyncio.run(main())


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_is_settled_is_on_disk_and_seen() -> None:
    async def work(lab: Lab) -> None:
        await lab.put(a=1, b__c=2)
        assert lab.on_disk("a") and lab.on_disk("b/c") and lab.get("a") == 1
        await lab.put(a=None)
        assert not lab.on_disk("a") and lab.get("a") is None and lab.get("b/c") == 2

    run(work)


def test_a_transaction_sees_its_own_writes_and_leaves_none_when_dropped() -> None:
    async def work(lab: Lab) -> None:
        await lab.put(a=1)
        transaction = lab.store.begin()
        transaction.put("b", {"is": 2})
        transaction.delete("a")
        assert transaction.get("b") == {"is": 2} and transaction.get("a") is None and transaction.list("") == ["b"]
        assert lab.get("b") is None and lab.get("a") == 1 and lab.store.begin().list("") == ["a"]
        assert lab.slow.groups == [1]

    run(work)


def test_what_is_read_can_be_changed_without_changing_what_is_stored() -> None:
    async def work(lab: Lab) -> None:
        await lab.put(a=[1])
        for _ in range(2):
            found = lab.store.begin().get("a")
            assert found == {"is": [1]}
            found["is"].append(2)

    run(work)


def test_nobody_is_answered_before_the_disk_has_it_and_many_share_one_commit() -> None:
    async def work(lab: Lab) -> None:
        lab.slow.go.clear()
        first = lab.put(a=1)
        await turns()
        others = [lab.put(**{f"n{n}": n}) for n in range(100)]
        await turns()
        assert lab.get("n7") == 7 and lab.get("a") == 1  # seen at once
        assert not first.done() and not any(other.done() for other in others)
        lab.slow.go.set()
        await asyncio.gather(first, *others)
        assert lab.slow.groups == [1, 100]

    run(work)


def test_a_reader_of_something_unsettled_waits_for_it_and_others_do_not() -> None:
    async def work(lab: Lab) -> None:
        await lab.put(old=0)
        lab.slow.go.clear()
        writer = lab.put(a=1)
        await turns()
        reader, lister, other = (asyncio.ensure_future(work) for work in (lab.read("a"), self_list(lab, ""), lab.read("old")))
        await turns()
        assert other.done() and other.result() == 0
        assert not reader.done() and not lister.done() and not writer.done()
        lab.slow.go.set()
        assert await reader == 1 and await lister == ["a", "old"]
        await writer

    run(work)


async def self_list(lab: Lab, prefix: str) -> list[str]:
    transaction = lab.store.begin()
    names = transaction.list(prefix)
    await lab.store.settle(transaction)
    return names


def test_when_a_group_fails_nothing_since_the_last_durable_one_remains_and_all_are_told() -> None:
    async def work(lab: Lab) -> None:
        await lab.put(a="old", kept=1)
        lab.slow.go.clear()
        first = lab.put(a="new", b=1)
        await turns()
        second, reader = lab.put(a="newer", c=1), asyncio.ensure_future(lab.read("b"))
        await turns()
        assert lab.get("a") == "newer"
        lab.slow.fail = True
        lab.slow.go.set()
        for task in (first, second, reader):
            with pytest.raises(Unavailable, match="the disk is full"):
                await task
        assert lab.losses == 1
        assert [lab.get(name) for name in ("a", "b", "c", "kept")] == ["old", None, None, 1]
        assert lab.store.begin().list("") == ["a", "kept"]
        lab.slow.fail = False
        await lab.put(b=2)  # and it goes on
        assert lab.get("b") == 2 and lab.on_disk("b")

    run(work)


def test_an_unexpected_error_of_the_storage_shows_its_kind_only() -> None:
    async def work(lab: Lab) -> None:
        def commit(changes: Mapping[str, bytes | None]) -> None:
            raise RuntimeError("secret-canary")

        lab.storage.commit = commit  # type: ignore[method-assign]
        with pytest.raises(Unavailable, match=r"^the storage could not be written: RuntimeError$"):
            await lab.put(a=1)

    run(work)


def test_sealing_refuses_at_once_and_still_writes_what_is_on_its_way() -> None:
    async def work(lab: Lab) -> None:
        await lab.put(a=1)
        lab.slow.go.clear()
        first = lab.put(b=2)
        await turns()
        second = lab.put(c=3)
        await turns()
        late = lab.store.begin()
        late.put("d", {"is": 4})
        lab.store.shut()
        closing = asyncio.ensure_future(lab.store.written())
        await turns()
        for refused in (lambda: lab.get("a"), lambda: lab.get("b"), lambda: lab.store.begin().list("")):
            with pytest.raises(VaultError, match="Vault is sealed"):
                refused()
        with pytest.raises(VaultError, match="Vault is sealed"):
            await lab.store.settle(late)
        assert not closing.done() and not first.done()
        opening = asyncio.ensure_future(lab.store.open(lab.barrier))
        await turns()
        assert not opening.done()  # not before the old groups are written
        lab.slow.go.set()
        await asyncio.gather(first, second, closing)
        assert await opening
        assert [lab.get(name) for name in "abcd"] == [1, 2, 3, None]

    run(work)


def test_sealing_ends_under_a_load_that_does_not() -> None:
    async def work(lab: Lab) -> None:
        refused = 0

        async def writer(name: str) -> None:
            nonlocal refused
            try:
                for n in range(1_000_000):
                    await lab.put(**{name: n})
            except VaultError as error:
                assert error.status == 503
                refused += 1

        writers = [asyncio.ensure_future(writer(f"w{n}")) for n in range(16)]
        while len(lab.slow.groups) < 5:
            await asyncio.sleep(0.001)
        lab.store.shut()
        await lab.store.written()
        await asyncio.gather(*writers)
        assert refused == 16 and not lab.store.is_open

    run(work)


def test_a_store_is_opened_once() -> None:
    async def work(lab: Lab) -> None:
        assert not await lab.store.open(Barrier(Keyring.generate(0)))
        await lab.put(a=1)
        assert lab.on_disk("a")

    run(work)


def test_a_value_that_does_not_open_is_unavailable_and_not_shown() -> None:
    async def work(lab: Lab) -> None:
        lab.storage.commit({lab.barrier.hide("a"): b"garbage", lab.barrier.hide("b"): lab.barrier.seal_value("a", b"{}")})
        for path in "ab":
            with pytest.raises(Unavailable, match=r"^an entry (of \d+ bytes does not open|has version \d+)$"):
                lab.get(path)
        lab.storage.commit({"not-a-name": b""})
        with pytest.raises(Unavailable, match=r"^a name does not open$"):
            lab.store.begin().list("")

    run(work)


@pytest.mark.parametrize("path", ["a" * (LONGEST + 1), "a/" * (DEEPEST + 1)])
def test_an_absurd_path_is_refused(path: str) -> None:
    async def work(lab: Lab) -> None:
        transaction = lab.store.begin()
        for use in (transaction.get, transaction.delete, transaction.list, lambda path: transaction.put(path, {})):
            with pytest.raises(VaultError) as caught:
                use(path)
            assert caught.value.status == 400
        assert not transaction.changes

    run(work)


def test_what_is_remembered_decrypted_stays_within_its_bytes() -> None:
    async def work(lab: Lab) -> None:
        big = "x" * (LARGE - 100)
        for n in range(CACHED_BYTES // LARGE + 10):
            await lab.put(**{f"n{n}": big})
        await lab.put(huge="y" * LARGE, small=1)
        kept = lab.store._cache
        assert sum(len(path) + len(text) for path, text in kept.items()) == lab.store._cached_bytes <= CACHED_BYTES
        assert "small" in kept and "huge" not in kept and "n0" not in kept
        assert lab.get("huge") == "y" * LARGE and lab.get("n0") == big
        for n in range(CACHED_BYTES // LARGE + 10):
            await lab.put(**{f"n{n}": None})
        assert sum(len(path) + len(text) for path, text in kept.items()) == lab.store._cached_bytes < 100

    run(work)


# Listings.


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    made: Storage = SlowStorage() if request.param == "memory" else SqliteStorage(tmp_path)
    yield made
    made.close()


def test_listings_show_names_and_folders_once(storage: Storage) -> None:
    async def work(lab: Lab) -> None:
        await lab.put(a=1, a__b=1, a__c__d=1, a__c__e=1, b=1)
        begin = lab.store.begin
        assert begin().list("") == ["a", "a/", "b"]
        assert begin().list("a/") == ["b", "c/"] and begin().list("a/c/") == ["d", "e"]
        assert begin().list("c/") == begin().list("b/") == []
        assert sorted(begin().paths("a/")) == ["a/b", "a/c/d", "a/c/e"]
        view = PrefixView(begin(), "a/")
        assert view.list() == ["b", "c/"] and view.list("c/") == ["d", "e"]
        view.delete_all("c/")
        assert view.list() == ["b"] and view.get("c/d") is None and view.get("b") == {"is": 1}

    run(work, storage)


def test_long_listings_come_whole(storage: Storage) -> None:
    async def work(lab: Lab) -> None:
        transaction = lab.store.begin()
        for n in range(1300):
            transaction.put(f"many/{n:04}", {})
            transaction.put(f"folders/f{n % 7}/{n}", {})
        await lab.store.settle(transaction)
        assert lab.store.begin().list("many/") == [f"{n:04}" for n in range(1300)]
        assert lab.store.begin().list("folders/") == [f"f{n}/" for n in range(7)]
        assert len(lab.store.begin().paths("")) == 2600

    run(work, storage)


def test_unsettled_creates_and_deletes_are_listed_like_settled_ones() -> None:
    """A random walk: at every moment the listing is that of a plain dictionary."""
    import random

    choice = random.Random(7)
    paths = ["a", "a/x", "a/y", "a/z/1", "a/z/2", "b/x/1", "b/x/2", "c"]

    def expected(model: dict[str, int], prefix: str) -> list[str]:
        rests = [path[len(prefix) :].partition("/") for path in model if path.startswith(prefix)]
        return sorted({name + slash for name, slash, _ in rests})

    async def work(lab: Lab) -> None:
        model: dict[str, int] = {}
        waiting: list[asyncio.Task[None]] = []
        for step in range(600):
            transaction = lab.store.begin()
            local = dict(model)
            for path in choice.sample(paths, choice.randint(1, 3)):
                if choice.random() < 0.5:
                    transaction.put(path, {"is": step})
                    local[path] = step
                else:
                    transaction.delete(path)
                    local.pop(path, None)
            for prefix in ("", "a/", "a/z/", "b/", "b/x/", "c/"):
                assert transaction.list(prefix) == expected(local, prefix), step
                assert lab.store.begin().list(prefix) == expected(model, prefix), step
            waiting.append(asyncio.ensure_future(lab.store.settle(transaction)))
            model = local
            lab.slow.go.set() if choice.random() < 0.5 else lab.slow.go.clear()
            await turns(choice.choice((1, 2, 30)))
            if choice.random() < 0.05:
                lab.slow.go.set()
                await asyncio.gather(*waiting)
                waiting.clear()
        lab.slow.go.set()
        await asyncio.gather(*waiting)
        assert {path: lab.get(path) for path in paths if lab.get(path) is not None} == model

    run(work)


# SQLite.


def test_a_storage_belongs_to_one_server_at_a_time(tmp_path: Path) -> None:
    first = SqliteStorage(tmp_path)
    with pytest.raises(Unavailable, match="another server uses the storage"):
        SqliteStorage(tmp_path)
    first.close()
    SqliteStorage(tmp_path).close()


def test_files_of_a_storage_are_its_owners_only(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "new" / "data")
    storage.commit({"a": b"1"})
    assert (tmp_path / "new" / "data").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "new" / "data").iterdir()} == {0o600}
    storage.close()


def test_a_file_that_is_no_database_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "vault.db").write_bytes(os.urandom(4096))
    with pytest.raises(Unavailable, match=r"vault\.db cannot be opened"):
        SqliteStorage(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be opened"):
        SqliteStorage(tmp_path / "file" / "below")


def test_a_commit_is_all_or_nothing(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path)
    storage.commit({"a": b"1", "b": b"1"})
    with pytest.raises(Unavailable):
        storage.commit({"a": None, "c": b"1", "b": object()})  # type: ignore[dict-item]
    assert (storage.get("a"), storage.get("b"), storage.get("c")) == (b"1", b"1", None)
    storage.commit({"c": b"2"})
    storage.close()
    with pytest.raises(Unavailable):
        storage.commit({"d": b"1"})
    again = SqliteStorage(tmp_path)
    assert again.keys("") == ["a", "b", "c"] and again.children("") == ["a", "b", "c"]
    again.close()
