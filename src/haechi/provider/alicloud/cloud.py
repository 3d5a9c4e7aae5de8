"""What every alicloud resource gets first: the connection, calls that are repeated as the original repeats them, and waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from haechi.clients.aliyun import Aliyun, ApiError
from haechi.provider.alicloud import credentials
from haechi.provider.alicloud.config import DEFAULT_REGION, check_region, with_environment
from haechi.provider.resource import Problem
from haechi.provider.schema import Values

VERSIONS = {
    "ecs": "2014-05-26",
    "vpc": "2016-04-28",
    "vpcpeer": "2022-01-01",
    "slb": "2014-05-15",
    "ram": "2015-05-01",
    "sts": "2015-04-01",
    "bssopenapi": "2017-12-14",
    "alidns": "2015-01-09",
    "ddoscoo": "2020-01-01",
    "cloudfw": "2017-12-07",
    "waf-openapi": "2021-10-01",
}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
T = TypeVar("T")


class Cloud:
    """One account and region, used by many operations at once."""

    def __init__(self, client: Aliyun, account_id: str = "") -> None:
        self.client, self.region, self.account_id = client, client.region, account_id
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def stop(self) -> None:
        """End all waits: the person interrupted terraform."""
        self._stopped.set()

    def lock(self, key: str) -> threading.Lock:
        """A lock of this process for changes that the cloud takes only one at a time."""
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())

    def call(
        self, product: str, action: str, params: Mapping[str, Any] | None = None, retry: tuple[str, ...] = (), timeout: float = 300
    ) -> dict[str, Any]:
        """Call an action; errors whose code is in `retry` (or starts with one of them and a dot) are tried again until the timeout."""
        pauses, end = _pauses(), time.monotonic() + timeout
        while True:
            try:
                return self.client.call(product, VERSIONS[product], action, params)
            except ApiError as error:
                again = error.is_throttling or any(error.code == code or error.code.startswith(code + ".") for code in retry)
                if not again or time.monotonic() > end:
                    raise
            self._pause(next(pauses))

    def delete(
        self,
        product: str,
        action: str,
        params: Mapping[str, Any],
        gone: tuple[str, ...] = (),
        retry: tuple[str, ...] = (),
        timeout: float = 300,
    ) -> None:
        """Call a deleting action; an object that is gone already is fine."""
        try:
            self.call(product, action, params, retry, timeout)
        except ApiError as error:
            if not is_missing(error, *gone):
                raise

    def find(self, product: str, action: str, params: Mapping[str, Any], gone: tuple[str, ...] = ()) -> dict[str, Any] | None:
        """Call a reading action; None if it answers that the object does not exist."""
        try:
            return self.call(product, action, params)
        except ApiError as error:
            if is_missing(error, *gone):
                return None
            raise

    def pages(
        self, product: str, action: str, params: Mapping[str, Any], *path: str, size: int = 50, counter: str = "PageNumber"
    ) -> Iterator[dict[str, Any]]:
        """All items, at this path of each answer, of a reading action that counts pages by this parameter."""
        number = 1
        while True:
            page = items(self.call(product, action, {**params, counter: number, "PageSize": size}), *path)
            yield from page
            if len(page) < size:
                return
            number += 1

    def wait(
        self, what: str, read: Callable[[], T], done: Callable[[T], bool], timeout: float, failed: Callable[[T], str | None] | None = None
    ) -> T:
        """Read until `done`, first at once, then with growing pauses; `failed` gives the reason to give up early."""
        pauses, end = _pauses(), time.monotonic() + timeout
        while True:
            found = read()
            if done(found):
                return found
            reason = failed(found) if failed else None
            if reason is None and time.monotonic() > end:
                reason = f"timeout after {timeout:.0f}s"
            if reason:
                raise Problem(f"[ERROR] terraform-provider-alicloud: waiting for {what} failed", reason)
            self._pause(next(pauses))

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Problem("The operation was interrupted", "Terraform was asked to stop; what was begun is kept in the state.")


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def is_missing(error: ApiError, *codes: str) -> bool:
    """Whether an error says that the object does not exist."""
    return error.status == 404 or error.code in codes


def items(answer: Mapping[str, Any] | None, *path: str) -> list[Any]:
    """The list at a path of an answer, such as ("Vpcs", "Vpc"); empty if absent."""
    found: Any = answer or {}
    for name in path:
        found = (found or {}).get(name)
    return list(found or [])


def configure(config: Values) -> Cloud:
    """The connection for a provider block."""
    values = with_environment(config)
    credentials.read_profile(values)
    values["region"] = values["region"] or DEFAULT_REGION
    check_region(values)
    endpoints = {k: v for e in config.get("endpoints") or [] for k, v in e.items() if v}

    def connect(source: credentials.Source) -> Aliyun:
        return Aliyun(
            values["region"],
            credentials=source,
            endpoints=endpoints,
            protocol=values["protocol"] or "HTTPS",
            user_agent="HashiCorp-Terraform haechi-provider",
            timeout=float(values["client_read_timeout"] or 60000) / 1000,
            connect_timeout=float(values["client_connect_timeout"] or 60000) / 1000,
        )

    return Cloud(connect(credentials.choose(values, connect)), values["account_id"] or "")
