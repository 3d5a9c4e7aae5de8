"""Login with name and password, the token_* parameters, and the lock after failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from haechi.vault.auth import userpass as module
from haechi.vault.auth.common import auth_values, check_cidrs, merge_token_params, render_token_params, same_policies
from haechi.vault.auth.lockout import Rules, parse_rules
from haechi.vault.auth.userpass import Userpass, hash_password, verify_password
from haechi.vault.errors import VaultError
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Auth, Request
from haechi.vault.mounts import Mount
from tests.vault_view import DictView, FakeServices, ask
from tests.vaultlab import VaultLab

PASSWORD = "canary-password-5up3r"
EMPTY = {
    "token_bound_cidrs": [],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 0,
    "token_no_default_policy": False,
    "token_num_uses": 0,
    "token_period": 0,
    "token_policies": [],
    "token_ttl": 0,
    "token_type": "default",
}


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COST", 16)
    monkeypatch.setattr(module, "_NOBODY", module._stored(b"s" * 16, b"h" * 32))


class Lab:
    """A mount with one user, mei."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.services = FakeServices()
        self.backend = Userpass(self.services, Mount("auth/userpass/", "userpass", config=config or {}))
        self.view = DictView()
        self.write("users/mei", password=PASSWORD, policies="Cats,dogs")

    def ask(self, operation: str, path: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
        return ask(self.backend, operation, path, data, self.view, **more)

    def write(self, path: str, **data: Any) -> Any:
        return self.ask(UPDATE, path, data)

    def login(self, name: str = "mei", password: str = PASSWORD, address: str = "127.0.0.1") -> Auth:
        auth: Auth = self.ask(UPDATE, f"login/{name}", {"password": password}, remote_address=address).auth
        return auth

    def refused(self, operation: str, path: str, data: dict[str, Any] | None = None, **more: Any) -> tuple[int, list[str]]:
        with pytest.raises(VaultError) as refusal:
            self.ask(operation, path, data, **more)
        return refusal.value.status, refusal.value.errors

    def fail(self, name: str = "mei", password: str = "wrong") -> tuple[int, list[str]]:
        return self.refused(UPDATE, f"login/{name}", {"password": password}, remote_address="127.0.0.1")


WRONG = (400, ["invalid username or password"])
LOCKED = (403, ["permission denied"])


def test_a_login_gives_policies_name_and_metadata() -> None:
    auth = Lab().login()
    assert (auth.policies, auth.display_name, auth.metadata) == (["cats", "dogs"], "mei", {"username": "mei"})
    assert (auth.token_type, auth.renewable, auth.ttl, auth.num_uses) == ("service", True, 0, 0)


def test_names_are_case_folded() -> None:
    lab = Lab()
    lab.write("users/BOB", password="x")
    assert lab.login("Bob", "x").metadata == {"username": "bob"}
    assert lab.ask(LIST, "users").data == {"keys": ["bob", "mei"]}
    assert lab.ask(READ, "users/bOb").data == EMPTY


def test_wrong_password_and_unknown_user_are_told_the_same() -> None:
    lab = Lab()
    assert lab.fail() == lab.fail("nobody") == lab.fail("nobody", PASSWORD) == WRONG
    assert lab.fail(password="") == (400, ["missing password"])


def test_an_unknown_user_costs_a_hash_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = module.verify_password

    def spy(stored: str, password: str) -> bool:
        seen.append(stored)
        return real(stored, password)

    monkeypatch.setattr(module, "verify_password", spy)
    lab = Lab()
    lab.fail()
    lab.fail("nobody")
    assert len(seen) == 2
    assert seen[0].split("$")[:4] == seen[1].split("$")[:4]


def test_the_real_hash_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COST", 2**14)
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first.startswith("scrypt$16384$8$1$") and first != second
    assert verify_password(first, PASSWORD) and not verify_password(first, PASSWORD + "x")


def test_passwords_of_any_text() -> None:
    lab = Lab()
    for odd in ("ü" * 400, "\ud800", "a$b$c", " "):
        lab.write("users/odd", password=odd)
        assert lab.login("odd", odd)
        assert lab.fail("odd", odd + "x") == WRONG


def test_the_password_is_nowhere_in_the_storage_or_the_reading() -> None:
    lab = Lab()
    assert PASSWORD not in json.dumps(lab.view.entries)
    assert lab.ask(READ, "users/mei").data == EMPTY | {"token_policies": ["cats", "dogs"], "policies": ["cats", "dogs"]}
    request = Request("id", UPDATE, "login/mei", {"password": PASSWORD})
    assert PASSWORD not in repr(request)


def test_a_new_user_needs_a_password() -> None:
    lab = Lab()
    assert lab.refused(UPDATE, "users/new", {"token_policies": ["a"]}) == (400, ["missing password"])
    assert lab.refused(UPDATE, "users/mei", {"password": ""}) == (400, ["missing password"])
    assert lab.refused(READ, "users/new") == (404, [])


def test_an_update_without_password_keeps_it() -> None:
    lab = Lab()
    lab.write("users/mei", ttl="10s")
    auth = lab.login()
    assert (auth.ttl, auth.policies) == (10.0, ["cats", "dogs"])
    assert lab.ask(READ, "users/mei").data["ttl"] == 10


def test_whether_a_user_exists() -> None:
    lab = Lab()
    route, captures = lab.backend.find_route("users/mei") or (None, {})
    assert route is not None and route.exists
    request = Request("id", UPDATE, "users/mei", view=lab.view)
    assert lab.backend.user_exists(request, **captures) and not lab.backend.user_exists(request, "new")


def test_password_and_policies_endpoints() -> None:
    lab = Lab()
    lab.write("users/mei/password", password="second")
    assert lab.fail(password=PASSWORD) == WRONG
    lab.write("users/mei/policies", token_policies="B,a,A")
    assert lab.login(password="second").policies == ["a", "b"]
    assert "policies" not in lab.ask(READ, "users/mei").data
    lab.write("users/mei/policies", policies="c")
    assert lab.ask(READ, "users/mei").data["policies"] == ["c"]
    assert lab.refused(UPDATE, "users/new/password", {"password": "x"}) == (400, ["username does not exist"])
    assert lab.refused(UPDATE, "users/new/policies", {"policies": "x"}) == (400, ["username does not exist"])
    assert lab.refused(UPDATE, "users/mei/password", {}) == (400, ["missing password"])


def test_a_deleted_user_is_gone() -> None:
    lab = Lab()
    assert lab.ask(DELETE, "users/mei") is None
    assert lab.fail(password=PASSWORD) == WRONG
    assert lab.ask(DELETE, "users/mei") is None
    assert lab.ask(LIST, "users").data == {"keys": []}


def test_a_password_changed_while_it_was_checked_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    real = module.verify_password

    def meanwhile(stored: str, password: str) -> bool:
        user = lab.view.get("user/mei")
        assert user is not None
        lab.view.put("user/mei", {**user, "password": hash_password("other")})
        return real(stored, password)

    monkeypatch.setattr(module, "verify_password", meanwhile)
    assert lab.fail(password=PASSWORD) == WRONG
    monkeypatch.setattr(module, "verify_password", real)
    assert lab.login(password="other")


# The lock.


def test_five_failures_lock_even_the_right_password_for_fifteen_minutes() -> None:
    lab = Lab()
    lab.write("users/bob", password="x")
    assert [lab.fail() for _ in range(5)] == [WRONG] * 5
    assert lab.fail(password=PASSWORD) == lab.fail(password=PASSWORD) == LOCKED
    assert lab.backend.locked() == ["mei"]
    assert lab.login("bob", "x")
    lab.services.time += 15 * 60 - 1
    assert lab.fail(password=PASSWORD) == LOCKED
    lab.services.time += 1
    assert lab.login()
    assert lab.backend.locked() == []


def test_four_failures_do_not_lock_and_a_login_clears_them() -> None:
    lab = Lab()
    for _ in range(3):
        assert [lab.fail() for _ in range(4)] == [WRONG] * 4
        assert lab.login()


def test_old_failures_are_forgotten() -> None:
    lab = Lab()
    assert [lab.fail() for _ in range(4)] == [WRONG] * 4
    lab.services.time += 15 * 60 + 1
    assert [lab.fail() for _ in range(4)] == [WRONG] * 4
    assert lab.login()


def test_unlocking_by_hand() -> None:
    lab = Lab()
    for _ in range(5):
        lab.fail()
    lab.backend.unlock("MEI")
    assert lab.login()


def test_unknown_names_are_never_locked() -> None:
    lab = Lab()
    assert [lab.fail("nobody") for _ in range(9)] == [WRONG] * 9
    assert lab.backend.locked() == []


def test_the_lock_is_tunable() -> None:
    lab = Lab({"user_lockout_config": {"lockout_threshold": 2, "lockout_duration": "1m"}})
    assert [lab.fail() for _ in range(3)] == [WRONG, WRONG, LOCKED]
    lab.services.time += 60
    assert lab.login()
    off = Lab({"user_lockout_config": {"lockout_disable": True}})
    assert [off.fail() for _ in range(9)] == [WRONG] * 9
    assert off.login()


@pytest.mark.parametrize("bad", [{"lockout_threshold": "many"}, {"lockout_threshold": -1}, {"lockout_duration": "soon"}])
def test_rules_that_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(VaultError) as caught:
        parse_rules(bad)
    assert caught.value.status == 400
    assert parse_rules({}) == Rules(5, 900, 900, False)


def test_many_guesses_at_once_do_not_get_around_the_lock() -> None:
    lab = Lab()

    async def guess(password: str) -> int:
        route, captures = lab.backend.find_route("login/mei") or (None, {})
        assert route is not None
        request = Request("id", UPDATE, "login/mei", {"password": password}, view=lab.view, fields=route.fields)
        try:
            await lab.backend.login(request, **captures)
        except VaultError as refusal:
            return refusal.status
        return 200

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(guess(f"guess{n}") for n in range(40)))

    statuses = asyncio.run(all_at_once())
    assert sorted(statuses) == [400] * 5 + [403] * 35


# Addresses, types, renewing.


def test_bound_addresses() -> None:
    lab = Lab()
    lab.write("users/mei", token_bound_cidrs="10.0.0.0/8,192.0.2.7/32")
    assert lab.ask(READ, "users/mei").data["token_bound_cidrs"] == ["10.0.0.0/8", "192.0.2.7"]
    assert lab.login(address="10.9.9.9").bound_cidrs == ["10.0.0.0/8", "192.0.2.7"]
    assert lab.login(address="192.0.2.7")
    assert lab.refused(UPDATE, "login/mei", {"password": PASSWORD}, remote_address="192.0.2.8") == LOCKED
    for bad in ("nonsense", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "1.2.3"):
        text = f'Unable to convert "{bad}" to an IPv4 or IPv6 address, or a UNIX Socket'
        assert lab.refused(UPDATE, "users/mei", {"token_bound_cidrs": bad}) == (400, [text])


@pytest.mark.parametrize(
    ("bound", "address", "inside"),
    [
        ([], "203.0.113.1", True),
        ([], "", True),
        (["10.0.0.0/8"], "10.255.0.1", True),
        (["10.1.2.3/8"], "10.255.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["192.0.2.1"], "192.0.2.1", True),
        (["192.0.2.1"], "192.0.2.2", False),
        (["192.0.2.1", "10.0.0.0/8"], "10.0.0.1", True),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["2001:db8::/32"], "2001:db8:1::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["2001:db8::/32"], "10.0.0.1", False),
        (["::/0"], "10.0.0.1", False),
        (["0.0.0.0/0"], "10.0.0.1", True),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8"], "not an address", False),
    ],
)
def test_check_cidrs(bound: list[str], address: str, inside: bool) -> None:
    assert check_cidrs(bound, address) is inside


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"token_type": "wood"}, "invalid 'token_type' value \"wood\""),
        ({"token_num_uses": -1}, "'token_num_uses' cannot be negative"),
        ({"token_ttl": 20, "token_max_ttl": 10}, "'token_ttl' cannot be greater than 'token_max_ttl'"),
        (
            {"token_type": "batch", "token_period": 5},
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
        ),
        (
            {"token_type": "batch", "token_num_uses": 5},
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
        ),
    ],
)
def test_parameters_that_do_not_fit(values: dict[str, Any], text: str) -> None:
    with pytest.raises(VaultError) as refusal:
        merge_token_params({}, values)
    assert (refusal.value.status, refusal.value.errors) == (400, [text])


def test_old_names_follow_the_new_ones() -> None:
    legacy = ("policies", "ttl")
    stored = merge_token_params({}, {"policies": ["B", "a", "b"], "ttl": 10}, legacy)
    assert render_token_params(stored) == EMPTY | {"token_policies": ["a", "b"], "policies": ["a", "b"], "token_ttl": 10, "ttl": 10}
    stored = merge_token_params(stored, {"token_ttl": 20, "token_policies": ["Z"]}, legacy)
    assert render_token_params(stored) == EMPTY | {"token_policies": ["Z"], "token_ttl": 20}
    stored = merge_token_params(stored, {"token_ttl": 30, "ttl": 5}, legacy)
    assert render_token_params(stored) == EMPTY | {"token_policies": ["Z"], "token_ttl": 30, "ttl": 30}
    assert merge_token_params(stored, {}, legacy) == stored
    assert merge_token_params({}, {"period": 9}, legacy)["token_period"] == 0  # not a name this endpoint takes


@pytest.mark.parametrize(
    ("asked", "tuned", "given"),
    [
        ("default", "", "service"),
        ("default", "default-service", "service"),
        ("default", "default-batch", "batch"),
        ("batch", "default-service", "batch"),
        ("batch", "service", "service"),
        ("service", "batch", "batch"),
        ("default", "batch", "batch"),
    ],
)
def test_token_types(asked: str, tuned: str, given: str) -> None:
    stored = merge_token_params({}, {"token_type": asked})
    assert auth_values(stored, Mount("auth/u/", "userpass", config={"token_type": tuned}))["token_type"] == given


def test_no_login_makes_a_root_token() -> None:
    lab = Lab()
    lab.write("users/mei", token_policies="a,Root")
    assert lab.fail(password=PASSWORD) == (400, ["auth methods cannot create root tokens"])


def test_renewing() -> None:
    lab = Lab()
    auth = lab.login()
    lab.write("users/mei", token_ttl="5m", token_max_ttl="1h")
    renewed = lab.backend.renew_login(lab.view, Auth(["cats", "default", "dogs"], data=auth.data))
    assert (renewed.ttl, renewed.max_ttl, renewed.period) == (300.0, 3600.0, 0.0)
    lab.write("users/mei", token_policies="cats")
    with pytest.raises(VaultError, match="policies have changed, not renewing"):
        lab.backend.renew_login(lab.view, auth)
    lab.ask(DELETE, "users/mei")
    with pytest.raises(VaultError, match="no longer exists"):
        lab.backend.renew_login(lab.view, auth)


def test_same_policies() -> None:
    assert same_policies(["a", "B"], ["b", "a", "default"])
    assert not same_policies(["a"], ["a", "b"])


# Through the whole Vault.


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    vault = VaultLab()
    vault.ok("POST", "sys/auth/people", {"type": "userpass"})
    vault.ok("POST", "auth/people/users/mei", {"password": PASSWORD, "token_policies": "cats", "token_ttl": "10m"})
    yield vault
    vault.close()


def test_over_http(vault: VaultLab) -> None:
    auth = vault.ok("PUT", "auth/people/login/Mei", {"password": PASSWORD}, token="")["auth"]
    assert (auth["policies"], auth["metadata"], auth["lease_duration"]) == (["cats", "default"], {"username": "mei"}, 600)
    token = vault.ok("GET", "auth/token/lookup-self", token=auth["client_token"])["data"]
    assert (token["display_name"], token["path"], token["meta"]) == ("people-mei", "auth/people/login/Mei", {"username": "mei"})
    assert vault.refused("PUT", "auth/people/login/mei", {"password": "wrong"}, token="") == WRONG
    assert vault.refused("GET", "auth/people/users/none") == (404, [])
    assert vault.ok("LIST", "auth/people/users")["data"] == {"keys": ["mei"]}
    vault.ok("DELETE", "auth/people/users/mei")
    assert vault.refused("LIST", "auth/people/users") == (404, [])
    assert vault.refused("GET", "auth/people/login/mei", token="")[0] == 405


def test_locked_users_over_http(vault: VaultLab) -> None:
    for _ in range(5):
        assert vault.refused("PUT", "auth/people/login/mei", {"password": "wrong"}, token="") == WRONG
    assert vault.refused("PUT", "auth/people/login/mei", {"password": PASSWORD}, token="") == LOCKED
    accessor = vault.ok("GET", "sys/auth")["data"]["people/"]["accessor"]
    assert vault.ok("GET", "sys/locked-users")["data"]["by_namespace"][0]["mount_accessors"] == [
        {"mount_accessor": accessor, "counts": 1, "alias_identifiers": ["mei"]}
    ]
    vault.ok("POST", f"sys/locked-users/{accessor}/unlock/mei")
    assert vault.ok("PUT", "auth/people/login/mei", {"password": PASSWORD}, token="")["auth"]


def test_renewing_over_http(vault: VaultLab) -> None:
    token = vault.ok("PUT", "auth/people/login/mei", {"password": PASSWORD}, token="")["auth"]["client_token"]
    vault.ok("POST", "auth/people/users/mei", {"token_ttl": "20m"})
    assert vault.ok("POST", "auth/token/renew-self", {}, token=token)["auth"]["lease_duration"] == 1200
    vault.ok("POST", "auth/people/users/mei/policies", {"token_policies": "dogs"})
    status, errors = vault.refused("POST", "auth/token/renew-self", {}, token=token)
    assert status == 400 and "policies have changed" in errors[0]


def test_a_bound_address_binds_the_token_too(vault: VaultLab) -> None:
    vault.ok("POST", "auth/people/users/mei", {"token_bound_cidrs": "10.0.0.0/8"})
    assert vault.refused("PUT", "auth/people/login/mei", {"password": PASSWORD}, token="") == LOCKED
    vault.ok("POST", "auth/people/users/mei", {"token_bound_cidrs": "127.0.0.1"})
    assert vault.ok("PUT", "auth/people/login/mei", {"password": PASSWORD}, token="")["auth"]
