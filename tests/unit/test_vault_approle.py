"""AppRole: roles and each of their fields, role IDs, secret IDs with their limits, login."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from haechi.vault.auth.approle import AppRole
from haechi.vault.errors import VaultError
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Auth, Request
from haechi.vault.mounts import Mount
from tests.vault_view import DAY, DictView, FakeServices, ask
from tests.vaultlab import VaultLab

WRONG = (400, ["invalid role or secret ID"])
HOME = "127.0.0.1"


class Lab:
    """A mount with one role, web, whose role ID is web-id."""

    def __init__(self, config: dict[str, Any] | None = None, **role: Any) -> None:
        self.services = FakeServices()
        self.backend = AppRole(self.services, Mount("auth/approle/", "approle", config=config or {}))
        self.view = DictView()
        self.write("role/web", role_id="web-id", **role)

    def ask(self, operation: str, path: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
        return ask(self.backend, operation, path, data, self.view, **more)

    def write(self, path: str, **data: Any) -> Any:
        return self.ask(UPDATE, path, data)

    def read(self, path: str) -> dict[str, Any]:
        data: dict[str, Any] = self.ask(READ, path).data
        return data

    def secret(self, role: str = "web", **data: Any) -> str:
        secret: str = self.write(f"role/{role}/secret-id", **data).data["secret_id"]
        return secret

    def login(self, secret: str = "", role_id: str = "web-id", address: str = HOME) -> Auth:
        auth: Auth = self.ask(UPDATE, "login", {"role_id": role_id, "secret_id": secret}, remote_address=address).auth
        return auth

    def refused(self, operation: str, path: str, data: dict[str, Any] | None = None, **more: Any) -> tuple[int, list[str]]:
        before = dict(self.view.entries)
        with pytest.raises(VaultError) as refusal:
            self.ask(operation, path, data, **more)
        self.view.entries = before  # as the core does with what a refused request wrote
        return refusal.value.status, refusal.value.errors

    def no_login(self, secret: str = "", role_id: str = "web-id", address: str = HOME) -> tuple[int, list[str]]:
        return self.refused(UPDATE, "login", {"role_id": role_id, "secret_id": secret}, remote_address=address)


# Roles.


def test_a_new_role_reads_as_vaults() -> None:
    lab = Lab(token_policies=["default"])
    assert lab.read("role/WEB") == {
        "bind_secret_id": True,
        "local_secret_ids": False,
        "secret_id_bound_cidrs": None,
        "secret_id_num_uses": 0,
        "secret_id_ttl": 0,
        "token_bound_cidrs": [],
        "token_explicit_max_ttl": 0,
        "token_max_ttl": 0,
        "token_no_default_policy": False,
        "token_num_uses": 0,
        "token_period": 0,
        "token_policies": ["default"],
        "token_ttl": 0,
        "token_type": "default",
    }
    assert lab.ask(LIST, "role").data == {"keys": ["web"]}
    assert lab.refused(READ, "role/other") == (404, [])


def test_all_fields_and_a_partial_update() -> None:
    fields: dict[str, Any] = {
        "bind_secret_id": False,
        "secret_id_bound_cidrs": ["10.0.0.0/8"],
        "secret_id_num_uses": 3,
        "secret_id_ttl": 600,
        "token_bound_cidrs": ["192.0.2.0/24"],
        "token_explicit_max_ttl": 7200,
        "token_max_ttl": 3600,
        "token_no_default_policy": True,
        "token_num_uses": 4,
        "token_period": 60,
        "token_policies": ["a", "b"],
        "token_ttl": 1200,
        "token_type": "service",
    }
    lab = Lab(**fields | {"secret_id_ttl": "10m", "token_policies": "a,b", "token_ttl": "20m"})
    assert lab.read("role/web") == fields | {"local_secret_ids": False}
    assert lab.write("role/web", token_num_uses=5) is None
    assert lab.read("role/web") == fields | {"local_secret_ids": False, "token_num_uses": 5}


def test_old_names_of_fields() -> None:
    lab = Lab(policies="B,a", period="5m", bound_cidr_list="10.0.0.0/8")
    found = lab.read("role/web")
    assert (found["policies"], found["token_policies"], found["period"], found["token_period"]) == (["a", "b"], ["a", "b"], 300, 300)
    assert found["secret_id_bound_cidrs"] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"token_type": "bad_token"}, "invalid 'token_type' value \"bad_token\""),
        ({"secret_id_num_uses": -1}, "secret_id_num_uses cannot be negative"),
        ({"secret_id_bound_cidrs": "10.0.0.1"}, "failed to validate CIDR blocks: invalid CIDR address: 10.0.0.1"),
        ({"secret_id_bound_cidrs": "x/8"}, "failed to validate CIDR blocks: invalid CIDR address: x/8"),
        ({"bind_secret_id": False}, "at least one constraint should be enabled on the role"),
        ({"role_id": ""}, "invalid role_id supplied, or failed to generate a role_id"),
        ({"role_id": "web-id"}, "role_id already in use"),
        ({"period": "800h"}, 'period of "800h0m0s" is greater than the backend\'s maximum lease TTL of "768h0m0s"'),
    ],
)
def test_roles_that_are_refused(data: dict[str, Any], text: str) -> None:
    lab = Lab()
    assert lab.refused(UPDATE, "role/new", data) == (400, [text])
    assert lab.ask(LIST, "role").data == {"keys": ["web"]}


def test_types_that_have_no_use_here_are_adjusted() -> None:
    lab = Lab()
    answer = lab.write("role/web", token_type="default-batch")
    assert answer.warnings == ["default-batch has no useful meaning; adjusting to batch"]
    assert lab.read("role/web")["token_type"] == "batch"
    assert "truncated" in lab.write("role/web", token_max_ttl="800h").warnings[0]


def test_local_secret_ids_are_decided_at_creation() -> None:
    lab = Lab()
    lab.write("role/near", local_secret_ids=True)
    assert lab.read("role/near/local-secret-ids") == {"local_secret_ids": True}
    assert lab.read("role/near")["local_secret_ids"] is True
    text = "local_secret_ids can only be modified during role creation"
    assert lab.refused(UPDATE, "role/near", {"local_secret_ids": False}) == (400, [text])


def test_deleting_a_role_ends_its_secrets_and_frees_its_role_id() -> None:
    lab = Lab()
    secret = lab.secret()
    lab.ask(DELETE, "role/web")
    assert lab.no_login(secret) == WRONG
    assert lab.view.entries == {}
    lab.write("role/web", role_id="web-id")
    assert lab.no_login(secret) == WRONG
    assert lab.ask(DELETE, "role/never") is None


def test_role_ids_are_unique_and_can_be_set() -> None:
    lab = Lab()
    lab.write("role/other")
    assert uuid.UUID(lab.read("role/other/role-id")["role_id"])
    assert lab.refused(UPDATE, "role/other/role-id", {"role_id": "web-id"}) == (400, ["role_id already in use"])
    assert lab.refused(UPDATE, "role/other/role-id", {}) == (400, ["missing role_id"])
    lab.write("role/web/role-id", role_id="web-id-2")
    assert lab.read("role/web/role-id") == {"role_id": "web-id-2"}
    secret = lab.secret()
    assert lab.no_login(secret) == WRONG
    assert lab.login(secret, "web-id-2")
    lab.write("role/other/role-id", role_id="web-id")  # free again
    assert lab.refused(UPDATE, "role/none/role-id", {"role_id": "x"}) == (404, ["1 error occurred:\n\t* unsupported path\n\n"])


SETTINGS = [
    ("policies", {"token_policies": "B,a"}, {"token_policies": ["a", "b"]}, {"token_policies": []}),
    ("policies", {"policies": "c"}, {"token_policies": ["c"], "policies": ["c"]}, {"token_policies": []}),
    ("period", {"token_period": "1m"}, {"token_period": 60}, {"token_period": 0}),
    ("period", {"period": 30}, {"token_period": 30, "period": 30}, {"token_period": 0}),
    ("secret-id-num-uses", {"secret_id_num_uses": 7}, {"secret_id_num_uses": 7}, {"secret_id_num_uses": 0}),
    ("secret-id-ttl", {"secret_id_ttl": "1h"}, {"secret_id_ttl": 3600}, {"secret_id_ttl": 0}),
    ("token-ttl", {"token_ttl": "1h"}, {"token_ttl": 3600}, {"token_ttl": 0}),
    ("token-max-ttl", {"token_max_ttl": "1h"}, {"token_max_ttl": 3600}, {"token_max_ttl": 0}),
    ("token-num-uses", {"token_num_uses": 3}, {"token_num_uses": 3}, {"token_num_uses": 0}),
    ("token-bound-cidrs", {"token_bound_cidrs": "10.0.0.0/8"}, {"token_bound_cidrs": ["10.0.0.0/8"]}, {"token_bound_cidrs": None}),
    ("secret-id-bound-cidrs", {"secret_id_bound_cidrs": "10.0.0.0/8"}, {"secret_id_bound_cidrs": ["10.0.0.0/8"]}, None),
    ("bound-cidr-list", {"bound_cidr_list": "10.0.0.0/8"}, {"bound_cidr_list": ["10.0.0.0/8"]}, {"bound_cidr_list": None}),
]


@pytest.mark.parametrize(("part", "sent", "shown", "empty"), SETTINGS)
def test_each_field_has_an_endpoint(part: str, sent: dict[str, Any], shown: dict[str, Any], empty: dict[str, Any] | None) -> None:
    lab = Lab()
    path = f"role/web/{part}"
    empty = empty or {name: None for name in shown}
    assert lab.read(path) == empty
    assert lab.write(path, **sent) is None
    assert lab.read(path) == shown
    assert lab.refused(UPDATE, path, {})[0] == 400
    assert lab.ask(DELETE, path) is None
    assert lab.read(path) == empty
    assert lab.refused(READ, f"role/none/{part}") == (404, [])
    assert lab.refused(UPDATE, f"role/none/{part}", sent)[0] == 404
    assert lab.ask(DELETE, f"role/none/{part}") is None


def test_bind_secret_id_endpoint() -> None:
    lab = Lab(token_bound_cidrs="127.0.0.0/8")
    lab.write("role/web/bind-secret-id", bind_secret_id=False)
    assert lab.read("role/web/bind-secret-id") == {"bind_secret_id": False}
    assert lab.login().metadata == {"role_name": "web"}
    assert lab.refused(UPDATE, "role/web/secret-id") == (400, ["bind_secret_id is not set on the role"])
    assert lab.refused(DELETE, "role/web/token-bound-cidrs")[0] == 400  # its last constraint
    lab.ask(DELETE, "role/web/bind-secret-id")
    assert lab.read("role/web/bind-secret-id") == {"bind_secret_id": True}
    assert lab.no_login() == (400, ["missing secret_id"])


@pytest.mark.parametrize(
    ("part", "data", "text"),
    [
        ("token-ttl", {"token_ttl": 20}, "token_ttl should not be greater than token_max_ttl"),
        ("token-max-ttl", {"token_max_ttl": 3}, "token_max_ttl should be greater than or equal to token_ttl"),
        ("secret-id-num-uses", {"secret_id_num_uses": -2}, "secret_id_num_uses cannot be negative"),
        ("secret-id-num-uses", {}, "missing secret_id_num_uses"),
        ("period", {}, "missing period"),
        ("policies", {}, "missing token_policies"),
        ("secret-id-bound-cidrs", {"secret_id_bound_cidrs": []}, "missing bound_cidr_list"),
        ("bound-cidr-list", {"bound_cidr_list": "1.2.3.4"}, "failed to validate CIDR blocks: invalid CIDR address: 1.2.3.4"),
    ],
)
def test_values_an_endpoint_refuses(part: str, data: dict[str, Any], text: str) -> None:
    lab = Lab(token_ttl=5, token_max_ttl=10)
    before = lab.read("role/web")
    assert lab.refused(UPDATE, f"role/web/{part}", data) == (400, [text])
    assert lab.read("role/web") == before


# Secret IDs.


def test_a_generated_secret_id() -> None:
    lab = Lab()
    answer = lab.write("role/web/secret-id", metadata='{"foo": "bar"}', cidr_list=["127.0.0.1/32"]).data
    assert set(answer) == {"secret_id", "secret_id_accessor", "secret_id_num_uses", "secret_id_ttl"}
    shown = {
        "secret_id_accessor": answer["secret_id_accessor"],
        "secret_id_num_uses": 0,
        "secret_id_ttl": 0,
        "creation_time": "2023-11-14T22:13:20Z",
        "expiration_time": "0001-01-01T00:00:00Z",
        "last_updated_time": "2023-11-14T22:13:20Z",
        "metadata": {"foo": "bar"},
        "cidr_list": ["127.0.0.1/32"],
        "token_bound_cidrs": [],
    }
    assert lab.write("role/web/secret-id/lookup", secret_id=answer["secret_id"]).data == shown
    assert lab.write("role/web/secret-id-accessor/lookup", secret_id_accessor=answer["secret_id_accessor"]).data == shown
    assert lab.ask(LIST, "role/web/secret-id").data == {"keys": [answer["secret_id_accessor"]]}
    assert answer["secret_id"] not in json.dumps(lab.view.entries)


def test_a_chosen_secret_id() -> None:
    lab = Lab()
    assert lab.write("role/web/custom-secret-id", secret_id="my own").data["secret_id"] == "my own"
    text = "failed to store secret_id: SecretID is already registered"
    assert lab.refused(UPDATE, "role/web/custom-secret-id", {"secret_id": "my own"}) == (400, [text])
    assert lab.refused(UPDATE, "role/web/custom-secret-id", {}) == (400, ["missing secret_id"])
    assert lab.login("my own")
    lab.write("role/other", role_id="other-id")
    assert lab.no_login("my own", "other-id") == WRONG  # another role's
    lab.write("role/other/custom-secret-id", secret_id="my own")
    assert lab.login("my own", "other-id")
    assert lab.refused(UPDATE, "role/web/custom-secret-id", {"secret_id": "x" * 4097})[0] == 400
    assert lab.refused(UPDATE, "role/web/custom-secret-id", {"secret_id": "\ud800"})[0] == 400


def test_destroying_by_secret_and_by_accessor() -> None:
    lab = Lab()
    for path, name in (("secret-id", "secret_id"), ("secret-id-accessor", "secret_id_accessor")):
        for operation in (UPDATE, DELETE):
            answer = lab.write("role/web/secret-id").data
            assert lab.ask(operation, f"role/web/{path}/destroy", {name: answer[name]}) is None
            assert lab.no_login(answer["secret_id"]) == WRONG
            assert lab.write("role/web/secret-id/lookup", secret_id=answer["secret_id"]) is None  # 204
            accessor = answer["secret_id_accessor"]
            gone = (404, [f'failed to find accessor entry for secret_id_accessor: "{accessor}"'])
            assert lab.refused(UPDATE, "role/web/secret-id-accessor/lookup", {"secret_id_accessor": accessor}) == gone
            assert lab.refused(UPDATE, "role/web/secret-id-accessor/destroy", {"secret_id_accessor": accessor}) == gone
    assert lab.ask(LIST, "role/web/secret-id").data == {"keys": []}
    assert not [key for key in lab.view.entries if key.startswith(("secret_id/", "accessor/"))]
    assert lab.write("role/web/secret-id/destroy", secret_id="unknown") is None


def test_an_accessor_works_only_for_its_role() -> None:
    lab = Lab()
    lab.write("role/other")
    answer = lab.write("role/web/secret-id").data
    accessor = {"secret_id_accessor": answer["secret_id_accessor"]}
    assert lab.ask(UPDATE, "role/other/secret-id-accessor/lookup", accessor) is None
    assert lab.refused(UPDATE, "role/other/secret-id-accessor/destroy", accessor) == (403, ["invalid secret id accessor"])
    assert lab.no_login(answer["secret_id_accessor"]) == WRONG  # an accessor is no secret
    assert lab.login(answer["secret_id"])


def test_endpoints_of_a_role_that_is_not_there() -> None:
    lab = Lab()
    missing = ['role "none" does not exist']
    assert lab.refused(LIST, "role/none/secret-id") == (400, missing)
    assert lab.refused(UPDATE, "role/none/secret-id") == (404, missing)
    assert lab.refused(UPDATE, "role/none/secret-id/lookup", {"secret_id": "x"}) == (400, missing)
    assert lab.refused(UPDATE, "role/web/secret-id/lookup", {}) == (400, ["missing secret_id"])
    assert lab.refused(UPDATE, "role/web/secret-id-accessor/lookup", {}) == (400, ["missing secret_id_accessor"])


def test_uses_are_counted_and_the_last_one_deletes() -> None:
    lab = Lab(secret_id_num_uses=2)
    answer = lab.write("role/web/secret-id").data
    assert answer["secret_id_num_uses"] == 2
    secret = answer["secret_id"]
    lab.services.time += 5
    assert lab.login(secret)
    shown = lab.write("role/web/secret-id/lookup", secret_id=secret).data
    assert (shown["secret_id_num_uses"], shown["last_updated_time"]) == (1, "2023-11-14T22:13:25Z")
    assert lab.login(secret)
    assert lab.no_login(secret) == WRONG
    assert lab.ask(LIST, "role/web/secret-id").data == {"keys": []}


def test_a_refused_login_spends_no_use() -> None:
    lab = Lab(secret_id_num_uses=1, secret_id_bound_cidrs="10.0.0.0/8")
    secret = lab.secret()
    assert lab.no_login(secret, address="192.0.2.1")[0] == 400
    assert lab.login(secret, address="10.0.0.1")
    assert lab.no_login(secret, address="10.0.0.1") == WRONG


def test_secret_ids_expire() -> None:
    lab = Lab(secret_id_ttl="1m")
    secret, other = lab.secret(), lab.secret(ttl=30)
    lab.services.time += 30
    assert lab.no_login(other) == WRONG
    assert lab.login(secret)
    lab.services.time += 30
    assert lab.no_login(secret) == WRONG
    assert lab.write("role/web/secret-id/lookup", secret_id=secret) is None
    assert lab.ask(LIST, "role/web/secret-id").data == {"keys": []}


def test_tidying_removes_what_expired_and_nothing_else() -> None:
    lab = Lab()
    short, long = lab.secret(ttl=10), lab.secret()
    lab.services.time += 11
    answer = lab.write("tidy/secret-id")
    assert answer.status == 202 and answer.warnings[0].startswith("Tidy operation successfully started.")
    assert len([key for key in lab.view.entries if key.startswith("secret_id/")]) == 1
    assert len([key for key in lab.view.entries if key.startswith("accessor/")]) == 1
    assert lab.login(long) and lab.no_login(short) == WRONG


def test_a_secret_ids_life_is_capped_by_the_mount() -> None:
    lab = Lab()
    answer = lab.write("role/web/secret-id", ttl="9000h").data
    assert answer["secret_id_ttl"] == 32 * DAY
    lab.services.time += 32 * DAY
    assert lab.no_login(answer["secret_id"]) == WRONG


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"num_uses": -1}, "num_uses cannot be negative"),
        ({"num_uses": 0}, "num_uses cannot be higher than the role's secret_id_num_uses"),
        ({"num_uses": 6}, "num_uses cannot be higher than the role's secret_id_num_uses"),
        ({"ttl": 0}, "ttl cannot be longer than the role's secret_id_ttl"),
        ({"ttl": "2h"}, "ttl cannot be longer than the role's secret_id_ttl"),
        ({"cidr_list": "10.0.0.1"}, "failed to validate CIDR blocks: invalid CIDR address: 10.0.0.1"),
        ({"token_bound_cidrs": "x"}, "failed to validate token CIDR blocks: invalid CIDR address: x"),
        (
            {"cidr_list": "11.0.0.0/8"},
            'failed to verify subset relationship between CIDR blocks on the role ["10.0.0.0/8"] '
            'and CIDR blocks on the secret ID ["11.0.0.0/8"]',
        ),
        ({"metadata": "{nonsense"}, "failed to parse metadata: not a valid JSON object"),
        ({"metadata": "nonsense"}, "failed to parse metadata: expected key=value pairs"),
        ({"metadata": {"a": 1}}, "failed to parse metadata: values must be texts"),
        ({"metadata": [1]}, "failed to parse metadata: expected an object"),
    ],
)
def test_secret_ids_that_are_refused(data: dict[str, Any], text: str) -> None:
    lab = Lab(secret_id_num_uses=5, secret_id_ttl="1h", secret_id_bound_cidrs="10.0.0.0/8")
    assert lab.refused(UPDATE, "role/web/secret-id", data) == (400, [text])
    lab.secret(num_uses=5, ttl="1h", cidr_list="10.1.0.0/16", token_bound_cidrs="10.0.0.0/8", metadata={"a": "1"})


def test_forms_of_metadata() -> None:
    lab = Lab()
    wanted = {"a": "1", "b": "two"}
    for form in (wanted, json.dumps(wanted), base64.b64encode(json.dumps(wanted).encode()).decode(), "a=1, b=two"):
        secret = lab.secret(metadata=form)
        assert lab.login(secret).metadata == {**wanted, "role_name": "web"}


# Login.


def test_a_login() -> None:
    lab = Lab(token_policies="B,a", token_ttl="1m", token_max_ttl="1h", token_num_uses=3, token_period=0, token_no_default_policy=True)
    auth = lab.login(lab.secret())
    assert (auth.policies, auth.metadata, auth.display_name) == (["a", "b"], {"role_name": "web"}, "")
    assert (auth.ttl, auth.max_ttl, auth.num_uses, auth.no_default_policy, auth.token_type) == (60.0, 3600.0, 3, True, "service")


def test_logins_that_are_refused() -> None:
    lab = Lab()
    secret = lab.secret()
    assert lab.no_login(secret, "") == (400, ["missing role_id"])
    assert lab.no_login("") == (400, ["missing secret_id"])
    assert lab.no_login(secret, "unknown") == lab.no_login("wrong") == lab.no_login("\ud800") == lab.no_login(secret, "\ud800") == WRONG
    assert lab.login(f" {secret} ", " web-id\n")


def test_five_wrong_secrets_lock_the_role_id() -> None:
    lab = Lab()
    secret = lab.secret()
    assert [lab.no_login("wrong") for _ in range(5)] == [WRONG] * 5
    assert lab.no_login(secret) == (403, ["permission denied"])
    assert lab.backend.locked() == ["web-id"]
    lab.backend.unlock("web-id")
    assert lab.login(secret)
    assert [lab.no_login("x", "unknown") for _ in range(6)] == [WRONG] * 6


def test_addresses_of_secret_and_role() -> None:
    lab = Lab(secret_id_bound_cidrs="10.0.0.0/8")
    tight, loose = lab.secret(cidr_list="10.1.0.0/16"), lab.secret()
    assert lab.login(tight, address="10.1.0.1") and lab.login(loose, address="10.2.0.1")
    text = 'source address "10.2.0.1" unauthorized through CIDR restrictions on the secret ID'
    assert lab.no_login(tight, address="10.2.0.1") == (400, [text])
    text = 'source address "192.0.2.1" unauthorized by CIDR restrictions on the role'
    assert lab.no_login(loose, address="192.0.2.1") == (400, [text])
    lab.write("role/web", secret_id_bound_cidrs="10.2.0.0/16")  # the secret's are no part of it any more
    assert "failed to verify subset" in lab.no_login(tight, address="10.1.0.1")[1][0]


def test_the_tokens_addresses() -> None:
    lab = Lab(token_bound_cidrs="10.0.0.0/8")
    assert lab.login(lab.secret()).bound_cidrs == ["10.0.0.0/8"]
    assert lab.login(lab.secret(token_bound_cidrs="10.1.2.3/32")).bound_cidrs == ["10.1.2.3"]


def test_renewing() -> None:
    lab = Lab()
    auth = lab.login(lab.secret())
    lab.write("role/web", token_ttl=60, token_period=30, token_policies="others")
    renewed = lab.backend.renew_login(lab.view, auth)
    assert (renewed.ttl, renewed.period, renewed.policies) == (60.0, 30.0, auth.policies)
    lab.ask(DELETE, "role/web")
    with pytest.raises(VaultError, match='role "web" does not exist during renewal'):
        lab.backend.renew_login(lab.view, auth)


def test_secrets_stay_out_of_reprs() -> None:
    lab = Lab()
    secret = lab.secret()
    answer = lab.write("role/web/custom-secret-id", secret_id="canary")
    request = Request("id", UPDATE, "login", {"role_id": "web-id", "secret_id": secret})
    assert "canary" not in repr(answer) and secret not in repr(request)


# Through the whole Vault.


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    vault = VaultLab()
    vault.ok("POST", "sys/auth/approle", {"type": "approle"})
    vault.ok("POST", "auth/approle/role/web", {"token_policies": "default", "secret_id_num_uses": 2})
    yield vault
    vault.close()


def test_over_http(vault: VaultLab) -> None:
    assert vault.refused("LIST", "auth/approle/role/web/secret-id") == (404, [])
    made = vault.ok("POST", "auth/approle/role/web/secret-id", {"metadata": '{"foo": "bar"}'})["data"]
    role_id = vault.ok("GET", "auth/approle/role/web/role-id")["data"]["role_id"]
    login = {"role_id": role_id, "secret_id": made["secret_id"]}
    auth = vault.ok("POST", "auth/approle/login", login, token="")["auth"]
    assert auth["metadata"] == {"foo": "bar", "role_name": "web"}
    token = vault.ok("GET", "auth/token/lookup-self", token=auth["client_token"])["data"]
    assert (token["display_name"], token["path"]) == ("approle", "auth/approle/login")
    assert vault.ok("LIST", "auth/approle/role/web/secret-id")["data"] == {"keys": [made["secret_id_accessor"]]}
    vault.ok("POST", "auth/approle/login", login, token="")
    assert vault.refused("POST", "auth/approle/login", login, token="") == WRONG
    assert vault.call("POST", "auth/approle/role/web/secret-id/lookup", {"secret_id": made["secret_id"]}) == (204, None)
    assert vault.call("POST", "auth/approle/tidy/secret-id")[0] == 202
    assert vault.call("DELETE", "auth/approle/role/web") == (204, None)
    assert vault.refused("LIST", "auth/approle/role") == (404, [])


def test_a_wrapped_secret_id(vault: VaultLab) -> None:
    answer = vault.ok("POST", "auth/approle/role/web/secret-id", {}, headers={"X-Vault-Wrap-TTL": "5m"})
    assert answer["wrap_info"]["ttl"] == 300 and answer["data"] is None
    inside = vault.ok("POST", "sys/wrapping/unwrap", token=answer["wrap_info"]["token"])["data"]
    assert uuid.UUID(inside["secret_id"])


def test_one_use_is_one_login_however_many_try_at_once(vault: VaultLab) -> None:
    vault.ok("POST", "auth/approle/role/web", {"role_id": "web-id"})
    secret = vault.ok("POST", "auth/approle/role/web/secret-id", {"num_uses": 1})["data"]["secret_id"]
    vault.ok("POST", "sys/auth/approle/tune", {"user_lockout_config": {"lockout_disable": True}})

    async def try_all() -> list[int]:
        login = {"role_id": "web-id", "secret_id": secret}
        return [
            answer.status_code for answer in await asyncio.gather(*(vault.send("POST", "auth/approle/login", login) for _ in range(20)))
        ]

    assert sorted(vault.run(try_all())) == [200] + [400] * 19


def test_secret_ids_live_through_a_seal(vault: VaultLab) -> None:
    vault.ok("POST", "auth/approle/role/web", {"role_id": "web-id"})
    secret = vault.ok("POST", "auth/approle/role/web/secret-id", {})["data"]["secret_id"]
    vault.ok("PUT", "sys/seal")
    vault.ok("PUT", "sys/unseal", {"key": vault.keys[0]})
    assert vault.ok("POST", "auth/approle/login", {"role_id": "web-id", "secret_id": secret}, token="")["auth"]
