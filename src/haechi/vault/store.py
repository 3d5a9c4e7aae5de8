"""The sealed store: JSON objects by path, through the barrier, written durably in groups.

Requests run one at a time on the event loop and see each other's writes at once. What they wrote is collected while the group before
is on its way to the disk, so many requests share one fsync; each waits for the group it belongs to, and also for groups that it
has only read from. When a group cannot be written everything since the last durable one is forgotten and all who wait are told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from haechi.vault.barrier import Barrier, BarrierError
from haechi.vault.errors import Unavailable, invalid, sealed
from haechi.vault.storage import Storage

CACHED, CACHED_BYTES, LARGE = 65_536, 64 << 20, 1 << 20  # entries held decrypted while unsealed, bytes of all and of the largest
LONGEST, DEEPEST = 16_384, 512  # characters and segments of a path
Changes = dict[str, bytes | None]


def _check(path: str) -> None:
    """The cost of a path grows with the square of its depth, and requests choose it."""
    if len(path) > LONGEST or path.count("/") > DEEPEST:
        raise invalid("the path is too long")


class Transaction:
    """What one request reads and writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.changes: Changes = {}
        self.read_unsettled = False

    def get(self, path: str) -> dict[str, Any] | None:
        """The object at a path, or None. Raises VaultError 400 for an absurdly long path, as all of these do."""
        _check(path)
        text = self.changes[path] if path in self.changes else self._store.read(path, self)
        found: dict[str, Any] | None = None if text is None else json.loads(text.decode())  # json looks for the encoding of bytes
        return found

    def put(self, path: str, value: Mapping[str, Any]) -> None:
        _check(path)
        self.changes[path] = json.dumps(value, separators=(",", ":")).encode()

    def delete(self, path: str) -> None:
        _check(path)
        self.changes[path] = None

    def paths(self, prefix: str) -> list[str]:
        """Every path below `prefix`."""
        found: list[str] = []
        folders = [prefix]
        while folders:
            folder = folders.pop()
            for name in self.list(folder):
                (folders if name.endswith("/") else found).append(folder + name)
        return found

    def delete_all(self, prefix: str) -> None:
        for path in self.paths(prefix):
            self.delete(path)

    def list(self, prefix: str) -> list[str]:
        """Sorted names directly below `prefix`; folders end with "/"."""
        _check(prefix)
        return self._store.children(prefix, self)


class PrefixView:
    """A backend's part of a transaction: the View of the contract."""

    def __init__(self, transaction: Transaction, prefix: str) -> None:
        self._transaction, self._prefix = transaction, prefix

    def get(self, key: str) -> dict[str, Any] | None:
        return self._transaction.get(self._prefix + key)

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        self._transaction.put(self._prefix + key, value)

    def delete(self, key: str) -> None:
        self._transaction.delete(self._prefix + key)

    def list(self, prefix: str = "") -> list[str]:
        return self._transaction.list(self._prefix + prefix)

    def delete_all(self, prefix: str = "") -> None:
        self._transaction.delete_all(self._prefix + prefix)


class Store:
    """Everything behind the barrier. `lost` is called when a group could not be written, after its changes are forgotten."""

    def __init__(self, storage: Storage, lost: Callable[[], None]) -> None:
        self.storage = storage
        self._lost = lost
        self._barrier: Barrier | None = None
        self._cache: dict[str, bytes] = {}
        self._cached_bytes = 0
        self._thread = ThreadPoolExecutor(1, "vault-store")  # of its own: writes must not queue behind the hashing of passwords
        self._next: Changes = {}  # the group that is being collected
        self._flying: Changes = {}  # the group that is being written
        self._next_done: asyncio.Future[None] | None = None
        self._flying_done: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    @property
    def barrier(self) -> Barrier:
        """Raises VaultError 503 while sealed."""
        if self._barrier is None:
            raise sealed()
        return self._barrier

    @property
    def is_open(self) -> bool:
        return self._barrier is not None

    async def open(self, barrier: Barrier) -> bool:
        """What was being written when it was closed is written first. False when another has opened it meanwhile."""
        await self.written()
        if self._barrier is not None:
            return False
        self._barrier = barrier
        return True

    def shut(self) -> None:
        """Refuse everything from now on and forget what is decrypted. What is being written still will be: wait with `written`."""
        self._barrier = None
        self._clear_cache()

    async def written(self) -> None:
        """Until nothing is being written."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    def write_first(self, barrier: Barrier, more: Changes, fill: Callable[[Transaction], None]) -> None:
        """Replace all of the storage, in one commit: by `more` (as it stands on disk) and by what `fill` puts. The store stays closed."""
        transaction = self.begin()
        self._barrier = barrier
        try:
            fill(transaction)
        finally:
            self._barrier = None
        gone: Changes = dict.fromkeys(self.storage.keys(""))
        self.storage.commit({**gone, **_sealed(barrier, transaction.changes), **more})

    def begin(self) -> Transaction:
        return Transaction(self)

    def read(self, path: str, reader: Transaction) -> bytes | None:
        barrier = self.barrier
        for group in (self._next, self._flying):
            if path in group:
                reader.read_unsettled = True
                return group[path]
        if path in self._cache:
            return self._cache[path]
        blob = self.storage.get(barrier.hide(path))
        if blob is None:
            return None
        try:
            text = barrier.open_value(path, blob)
        except BarrierError as error:
            raise Unavailable(str(error)) from None
        self._remember(path, text)
        return text

    def _remember(self, path: str, text: bytes) -> None:
        if len(text) > LARGE:
            return
        while self._cache and (len(self._cache) >= CACHED or self._cached_bytes + len(path) + len(text) > CACHED_BYTES):
            self._uncache(next(iter(self._cache)))
        self._cache[path] = text
        self._cached_bytes += len(path) + len(text)

    def _uncache(self, path: str) -> None:
        text = self._cache.pop(path, None)
        if text is not None:
            self._cached_bytes -= len(path) + len(text)

    def _clear_cache(self) -> None:
        self._cache.clear()
        self._cached_bytes = 0

    def children(self, prefix: str, reader: Transaction) -> list[str]:
        """Names below a prefix as the reader sees them. A name under which the newest changes may have left nothing is looked into."""
        barrier = self.barrier
        hidden = self.storage.children(barrier.hide(prefix))
        try:
            names = {barrier.show(prefix, name) for name in hidden}
        except BarrierError as error:
            raise Unavailable(str(error)) from None
        unsettled = {**self._flying, **self._next}
        reader.read_unsettled |= any(path.startswith(prefix) for path in unsettled)
        changes = {path: text for path, text in {**unsettled, **reader.changes}.items() if path.startswith(prefix)}
        gone = {path for path, text in changes.items() if text is None}
        for path in changes.keys() - gone:
            name, slash, _ = path[len(prefix) :].partition("/")
            names.add(name + slash)
        for path in gone:
            name, slash, _ = path[len(prefix) :].partition("/")
            if not slash:
                names.discard(name)
            elif name + slash in names and not self._anything(prefix + name + slash, changes, gone):
                names.discard(name + slash)
        return sorted(names)

    def _anything(self, folder: str, changes: Changes, gone: set[str]) -> bool:
        """Whether a folder holds anything once these paths are gone."""
        if any(path.startswith(folder) and path not in gone for path in changes):
            return True
        barrier = self.barrier
        deleted = {barrier.hide(path) for path in gone if path.startswith(folder)}
        return any(key not in deleted for key in self.storage.keys(barrier.hide(folder)))

    async def settle(self, transaction: Transaction) -> None:
        """Make a transaction's writes visible now and durable before this returns. Raises Unavailable: then nothing is stored."""
        if transaction.changes:
            barrier = self.barrier
            if self._next_done is None:
                self._next_done = asyncio.get_running_loop().create_future()
            self._next.update(transaction.changes)
            done = self._next_done
            if self._writer is None:
                self._writer = asyncio.create_task(self._write(barrier))
        elif transaction.read_unsettled:
            waiting = self._next_done or self._flying_done
            if waiting is None:
                return
            done = waiting
        else:
            return
        await asyncio.shield(done)

    async def _write(self, barrier: Barrier) -> None:
        """Write group after group until nothing waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._next:
                self._flying, self._next = self._next, {}
                self._flying_done, self._next_done = self._next_done, None
                assert self._flying_done is not None
                try:
                    await loop.run_in_executor(self._thread, self._commit, barrier, self._flying)
                except Exception as error:
                    self._forget(error)
                    return
                for path, text in self._flying.items():
                    self._uncache(path)
                    if text is not None and self._barrier is barrier:
                        self._remember(path, text)
                self._flying = {}
                self._flying_done.set_result(None)
                self._flying_done = None
        finally:
            self._writer = None

    def _commit(self, barrier: Barrier, group: Changes) -> None:
        self.storage.commit(_sealed(barrier, group))

    def _forget(self, error: Exception) -> None:
        waiting = [future for future in (self._flying_done, self._next_done) if future is not None]
        self._flying, self._next, self._flying_done, self._next_done = {}, {}, None, None
        self._clear_cache()
        why = error if isinstance(error, Unavailable) else Unavailable(f"the storage could not be written: {type(error).__name__}")
        for future in waiting:
            future.set_exception(why)
            future.exception()  # retrieved: nobody may be waiting
        self._lost()


def _sealed(barrier: Barrier, group: Changes) -> Changes:
    return {barrier.hide(path): None if text is None else barrier.seal_value(path, text) for path, text in group.items()}
