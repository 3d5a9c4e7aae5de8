"""KV version 1: objects by path, folders, the ttl that is only shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from haechi.vault.engines.kv1 import KV1
from haechi.vault.errors import VaultError
from haechi.vault.logical import CREATE, DELETE, LIST, PATCH, READ, UPDATE, Request
from haechi.vault.mounts import Mount
from tests.vault_view import DAY, DictView, FakeServices, ask
from tests.vaultlab import VaultLab


class Lab:
    def __init__(self, **mount: Any) -> None:
        self.backend, self.view = KV1(FakeServices(), Mount("secret/", "kv", **mount)), DictView()

    def ask(self, operation: str, path: str, data: dict[str, Any] | None = None) -> Any:
        return ask(self.backend, operation, path, data, self.view)

    def refused(self, operation: str, path: str, data: dict[str, Any] | None = None) -> tuple[int, list[str]]:
        with pytest.raises(VaultError) as caught:
            self.ask(operation, path, data)
        return caught.value.status, caught.value.errors


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_an_object_comes_back_as_it_was_sent(lab: Lab) -> None:
    sent = {"text": "x", "number": 1.5, "null": None, "deep": {"list": [1, {"a": True}]}, "path": "p", "version": 3}
    assert lab.ask(UPDATE, "a", sent) is None
    assert lab.ask(READ, "a").data == sent


def test_a_write_replaces_the_whole_object(lab: Lab) -> None:
    lab.ask(UPDATE, "a", {"one": 1})
    lab.ask(UPDATE, "a", {"two": 2})
    assert lab.ask(READ, "a").data == {"two": 2}


def test_a_deleted_object_is_gone_and_nothing_else(lab: Lab) -> None:
    lab.ask(UPDATE, "a", {"k": "v"})
    lab.ask(UPDATE, "a/b", {"k": "v"})
    assert lab.ask(DELETE, "a") is None
    assert lab.refused(READ, "a") == (404, [])
    assert lab.ask(READ, "a/b").data == {"k": "v"}
    assert lab.ask(DELETE, "never-there") is None


def test_listing_shows_keys_and_folders_of_one_level(lab: Lab) -> None:
    for path in ("top", "dir/one", "dir/two/three", "dir"):
        lab.ask(UPDATE, path, {"k": "v"})
    assert lab.ask(LIST, "").data == {"keys": ["dir", "dir/", "top"]}
    assert lab.ask(LIST, "dir").data == {"keys": ["one", "two/"]}
    assert lab.ask(LIST, "top").data == {"keys": []}


@pytest.mark.parametrize("path", ["with space", "ünïcode/키", "http:/test.com", "a.b-c_d@e", "%2F", "..", "data/config", "a\nb", "-"])
def test_names_are_free_text(lab: Lab, path: str) -> None:
    lab.ask(UPDATE, path, {"k": path})
    assert lab.ask(READ, path).data == {"k": path}
    assert lab.ask(LIST, path.rpartition("/")[0]).data == {"keys": [path.rpartition("/")[2]]}


def test_writes_without_path_or_data_are_refused(lab: Lab) -> None:
    assert lab.refused(UPDATE, "", {"k": "v"}) == (400, ["missing path"])
    assert lab.refused(UPDATE, "a", {}) == (400, ["missing data fields"])
    assert lab.view.entries == {}


def test_patch_is_not_for_version_1(lab: Lab) -> None:
    lab.ask(UPDATE, "a", {"k": "v"})
    assert lab.refused(PATCH, "a", {"k": "w"})[0] == 405
    assert lab.ask(READ, "a").data == {"k": "v"}


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ({"k": "v"}, 32 * DAY),
        ({"ttl": "1h30m"}, 5400),
        ({"ttl": 90}, 90),
        ({"lease": "2m"}, 120),
        ({"ttl": "1h", "lease": "2m"}, 3600),
        ({"ttl": "soon"}, 32 * DAY),
        ({"ttl": {"a": 1}}, 32 * DAY),
    ],
)
def test_the_lease_duration_is_the_ttl_in_the_object(lab: Lab, data: dict[str, Any], seconds: int) -> None:
    lab.ask(UPDATE, "a", data)
    answer = lab.ask(READ, "a")
    assert (answer.lease, answer.lease_duration) == (None, seconds)


def test_the_lease_duration_follows_the_mount() -> None:
    lab = Lab(default_lease_ttl=600)
    lab.ask(UPDATE, "a", {"k": "v"})
    assert lab.ask(READ, "a").lease_duration == 600


def test_a_first_write_is_a_create() -> None:
    seen: list[str] = []

    class Watched(KV1):
        def write(self, request: Request, path: str) -> None:
            seen.append(request.operation)
            super().write(request, path)

    backend, view = Watched(FakeServices(), Mount("secret/", "kv")), DictView()
    for path in ("a", "a", "a/b"):
        ask(backend, UPDATE, path, {"k": "v"}, view)
    assert seen == [CREATE, UPDATE, CREATE]


# Through the whole of Vault


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    vault = VaultLab()
    vault.ok("POST", "sys/mounts/secret", {"type": "kv"})
    yield vault
    vault.close()


def test_http(vault: VaultLab) -> None:
    assert vault.call("PUT", "secret/dir/a", {"k": "v", "ttl": "1h"}) == (204, None)
    answer = vault.ok("GET", "secret/dir/a")
    assert answer["data"] == {"k": "v", "ttl": "1h"}
    assert [answer[name] for name in ("lease_id", "renewable", "lease_duration", "mount_type")] == ["", False, 3600, "kv"]
    vault.ok("POST", "secret/b", {"k": "v"})
    assert vault.ok("GET", "secret/b")["lease_duration"] == 2764800
    assert vault.ok("LIST", "secret")["data"] == {"keys": ["b", "dir/"]}
    assert vault.ok("GET", "secret/dir?list=true")["data"] == {"keys": ["a"]}
    assert vault.refused("LIST", "secret/none") == (404, [])
    assert vault.refused("POST", "secret/b") == (400, ["missing data fields"])
    assert vault.call("DELETE", "secret/b") == (204, None)
    assert vault.refused("GET", "secret/b") == (404, [])


def test_http_names_with_escapes(vault: VaultLab) -> None:
    vault.ok("PUT", "secret/with%20space/%ED%82%A4", {"k": "v"})
    assert vault.ok("LIST", "secret/with%20space")["data"] == {"keys": ["키"]}


def test_http_generic_is_an_alias(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/old", {"type": "generic"})
    vault.ok("POST", "old/a", {"k": "v"})
    assert vault.ok("GET", "old/a")["data"] == {"k": "v"}
