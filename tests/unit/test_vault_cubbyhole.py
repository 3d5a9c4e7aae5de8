"""Cubbyhole: what one token puts there no other sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from haechi.vault.engines.cubbyhole import Cubbyhole
from haechi.vault.errors import VaultError
from haechi.vault.logical import DELETE, LIST, READ, UPDATE
from haechi.vault.mounts import Mount
from haechi.vault.tokens import Token
from tests.vault_view import DictView, FakeServices, ask
from tests.vaultlab import VaultLab


def token(id: str, type: str = "service") -> Token:
    return Token(id, "accessor", ["default"], "auth/token/create", type=type)


class Lab:
    def __init__(self) -> None:
        self.backend, self.view = Cubbyhole(FakeServices(), Mount("cubbyhole/", "cubbyhole")), DictView()

    def ask(self, operation: str, path: str, data: dict[str, Any] | None = None, who: Token | None = None) -> Any:
        return ask(self.backend, operation, path, data, self.view, token=who or token("mine"))

    def refused(self, operation: str, path: str, data: dict[str, Any] | None = None, who: Token | None = None) -> tuple[int, list[str]]:
        with pytest.raises(VaultError) as caught:
            self.ask(operation, path, data, who)
        return caught.value.status, caught.value.errors


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_write_read_list_delete(lab: Lab) -> None:
    assert lab.ask(UPDATE, "a", {"k": "v"}) is None
    lab.ask(UPDATE, "dir/b", {"k": "w"})
    assert lab.ask(READ, "a").data == {"k": "v"}
    assert lab.ask(READ, "a").lease_duration == 0
    assert lab.ask(LIST, "").data == {"keys": ["a", "dir/"]}
    assert lab.ask(LIST, "dir").data == {"keys": ["b"]}
    assert lab.ask(DELETE, "a") is None
    assert lab.refused(READ, "a") == (404, [])
    assert lab.ask(READ, "dir/b").data == {"k": "w"}


def test_every_token_has_its_own(lab: Lab) -> None:
    other = token("other")
    lab.ask(UPDATE, "a", {"k": "mine"})
    assert lab.refused(READ, "a", who=other) == (404, [])
    assert lab.ask(LIST, "", who=other).data == {"keys": []}
    lab.ask(UPDATE, "a", {"k": "theirs"}, who=other)
    lab.ask(DELETE, "a", who=other)
    assert lab.ask(READ, "a").data == {"k": "mine"}


def test_a_wrapped_answer_is_an_ordinary_key(lab: Lab) -> None:
    lab.view.put("mine/response", {"response": "{}"})
    assert lab.ask(READ, "response").data == {"response": "{}"}


def test_clearing_a_tokens_prefix_leaves_the_others(lab: Lab) -> None:
    lab.ask(UPDATE, "a/b", {"k": "v"})
    lab.ask(UPDATE, "a", {"k": "v"}, who=token("mine2"))
    lab.view.delete_all("mine/")
    assert lab.refused(READ, "a/b") == (404, [])
    assert lab.ask(READ, "a", who=token("mine2")).data == {"k": "v"}


def test_writes_without_path_or_data_are_refused(lab: Lab) -> None:
    assert lab.refused(UPDATE, "", {"k": "v"}) == (400, ["missing path"])
    assert lab.refused(UPDATE, "a", {}) == (400, ["missing data fields"])
    assert lab.view.entries == {}


@pytest.mark.parametrize(("operation", "path"), [(READ, "a"), (UPDATE, "a"), (DELETE, "a"), (LIST, "")])
def test_batch_tokens_have_none(lab: Lab, operation: str, path: str) -> None:
    status, errors = lab.refused(operation, path, {"k": "v"}, who=token("", "batch"))
    assert (status, errors) == (400, ['cubbyhole operations are only supported by "service" type tokens'])


# Through the whole of Vault


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    vault = VaultLab()
    yield vault
    vault.close()


def new_token(vault: VaultLab, **options: Any) -> str:
    return str(vault.ok("POST", "auth/token/create", {"policies": ["default"], **options})["auth"]["client_token"])


def test_http_one_corner_per_token(vault: VaultLab) -> None:
    one, two = new_token(vault), new_token(vault)
    assert vault.call("PUT", "cubbyhole/dir/a", {"k": "v"}, one) == (204, None)
    answer = vault.ok("GET", "cubbyhole/dir/a", token=one)
    assert (answer["data"], answer["lease_duration"], answer["mount_type"]) == ({"k": "v"}, 0, "cubbyhole")
    assert vault.ok("LIST", "cubbyhole", token=one)["data"] == {"keys": ["dir/"]}
    for token in (two, vault.root):
        assert vault.refused("GET", "cubbyhole/dir/a", token=token) == (404, [])
        assert vault.refused("LIST", "cubbyhole", token=token) == (404, [])
    assert vault.refused("PUT", "cubbyhole/a", {}, one) == (400, ["missing data fields"])
    assert vault.refused("GET", "cubbyhole/dir/a", token="")[0] == 403
    assert vault.refused("GET", "cubbyhole/dir/a", token=new_token(vault, type="batch"))[0] == 400


def test_http_nothing_stays_of_a_revoked_token(vault: VaultLab) -> None:
    token = new_token(vault)
    mount = vault.core.mounts.get("cubbyhole/")
    assert mount is not None
    before = vault.core.store.begin().paths(mount.prefix)
    vault.ok("PUT", "cubbyhole/dir/a", {"k": "v"}, token)
    assert len(vault.core.store.begin().paths(mount.prefix)) == len(before) + 1
    vault.ok("POST", "auth/token/revoke", {"token": token})
    assert vault.core.store.begin().paths(mount.prefix) == before
