"""Tokens over HTTP: who may make which, how long they live, how often they serve, what ends with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from haechi.vault.storage import MemoryStorage
from haechi.vault.tokens import ID
from tests.vaultlab import VaultLab

HOUR = 3600
SYSTEM = 768 * HOUR
NO_TOKEN = (403, ["permission denied"])
DENIED = (403, ["1 error occurred:\n\t* permission denied\n\n"])
UNKNOWN = (403, ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"])
MAKER = 'path "auth/token/create*" { capabilities = ["update"] }'


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    made = VaultLab()
    made.ok("PUT", "sys/policies/acl/app", {"policy": 'path "kv/*" { capabilities = ["create", "read", "update", "list"] }'})
    made.ok("PUT", "sys/policies/acl/maker", {"policy": MAKER})
    made.ok("PUT", "sys/policies/acl/sudo-maker", {"policy": MAKER.replace('"update"', '"update", "sudo"')})
    made.ok("POST", "sys/mounts/kv", {"type": "kv"})
    yield made
    made.close()


def make(vault: VaultLab, token: str | None = None, path: str = "auth/token/create", **body: Any) -> dict[str, Any]:
    """The `auth` of a new token."""
    return dict(vault.ok("POST", path, body, token=token)["auth"])


def make_text(vault: VaultLab, *policies: str, **body: Any) -> str:
    return str(make(vault, policies=list(policies), **body)["client_token"])


def look(vault: VaultLab, token: str) -> dict[str, Any]:
    return dict(vault.ok("GET", "auth/token/lookup-self", token=token)["data"])


def lives(vault: VaultLab, token: str) -> bool:
    """Whether the token is known; does not use it."""
    return vault.call("POST", "auth/token/lookup", {"token": token})[0] == 200


# Who asks.


def test_no_token_a_wrong_one_and_one_without_rights_are_told_apart(vault: VaultLab) -> None:
    assert vault.refused("GET", "kv/a", token="") == NO_TOKEN
    assert vault.refused("GET", "kv/a", token="hvs.unknown") == UNKNOWN
    assert vault.refused("GET", "kv/a", token=make_text(vault, "default")) == DENIED
    assert vault.refused("GET", "kv/a", token=make_text(vault, "app"))[0] == 404
    for odd in (
        "x" * 8193,
        "hvb.",
        "hvb.AAAA",
        "hvb." + "A" * 400,
        "hvb.%%%",
        "hvs.",
        vault.root + "x",
        vault.root.upper(),
        vault.root[:-1],
    ):
        assert vault.refused("GET", "kv/a", token=odd) == UNKNOWN


def test_a_token_may_come_as_bearer(vault: VaultLab) -> None:
    for headers in ({"Authorization": f"Bearer {vault.root}"}, {"Authorization": f"bearer  {vault.root} "}):
        assert vault.call("GET", "auth/token/lookup-self", token="", headers=headers)[0] == 200
    assert vault.refused("GET", "auth/token/lookup-self", token="", headers={"Authorization": f"Basic {vault.root}"}) == NO_TOKEN


def test_of_two_token_headers_the_first_counts(vault: VaultLab) -> None:
    async def ask(*tokens: str) -> int:
        headers = httpx.Headers([("X-Vault-Token", token) for token in tokens])
        return (await vault._http.get("/v1/auth/token/lookup-self", headers=headers)).status_code

    assert vault.run(ask(vault.root, "hvs.other")) == 200
    assert vault.run(ask("hvs.other", vault.root)) == 403


# Making.


def test_a_token_of_root_has_what_was_asked_and_default(vault: VaultLab) -> None:
    auth = make(vault, policies=["App", " app ", "maker"], meta={"team": "a"}, display_name="ci", ttl="1h", num_uses=7)
    assert auth["client_token"].startswith("hvs.") and len(auth["accessor"]) == 24
    assert auth["policies"] == auth["token_policies"] == ["app", "default", "maker"]
    assert (auth["lease_duration"], auth["renewable"], auth["token_type"], auth["orphan"]) == (HOUR, True, "service", False)
    assert (auth["metadata"], auth["num_uses"], auth["entity_id"], auth["mfa_requirement"]) == ({"team": "a"}, 7, "", None)
    known = look(vault, auth["client_token"])
    assert known["id"] == auth["client_token"] and known["accessor"] == auth["accessor"]
    assert (known["display_name"], known["path"], known["meta"]) == ("token-ci", "auth/token/create", {"team": "a"})
    assert (known["creation_ttl"], known["ttl"], known["explicit_max_ttl"], known["num_uses"]) == (HOUR, HOUR, 0, 6)
    assert known["creation_time"] == 1_700_000_000 and known["issue_time"] == "2023-11-14T22:13:20Z"
    assert known["expire_time"] == "2023-11-14T23:13:20Z" and known["type"] == "service"


def test_without_policies_it_has_those_of_its_parent(vault: VaultLab) -> None:
    parent = make_text(vault, "app", "maker")
    assert make(vault, parent)["policies"] == ["app", "default", "maker"]
    assert make(vault, parent, no_default_policy=True)["policies"] == ["app", "maker"]
    assert make(vault, vault.root)["policies"] == ["root"]


def test_a_root_token_never_ends_and_others_do(vault: VaultLab) -> None:
    root = make(vault, policies=["root"])
    assert (root["lease_duration"], root["renewable"]) == (0, False) and look(vault, root["client_token"])["expire_time"] is None
    assert make(vault, policies=["root"], ttl="1h")["lease_duration"] == HOUR
    assert make(vault, policies=["app"])["lease_duration"] == SYSTEM
    vault.clock.advance(10 * SYSTEM)
    vault.sweep()
    assert lives(vault, root["client_token"])


def test_an_unknown_policy_is_warned_about(vault: VaultLab) -> None:
    answer = vault.ok("POST", "auth/token/create", {"policies": ["nobody", "app"]})
    assert answer["warnings"] == ['Policy "nobody" does not exist'] and answer["auth"]["policies"] == ["app", "default", "nobody"]


@pytest.mark.parametrize(
    ("policy", "body", "text"),
    [
        ("maker", {"policies": ["app"]}, "child policies must be subset of parent"),
        ("maker", {"policies": ["root"]}, "child policies must be subset of parent"),
        ("maker", {"no_parent": True}, "root or sudo privileges required to create orphan token"),
        ("maker", {"period": "1h"}, "root or sudo privileges required to create periodic token"),
        ("maker", {"id": "mine"}, "root or sudo privileges required to specify token id"),
        ("sudo-maker", {"policies": ["root"]}, "root tokens may not be created without parent token being root"),
        ("sudo-maker", {"policies": ["ROOT"]}, "root tokens may not be created without parent token being root"),
        ("sudo-maker", {"policies": ["response-wrapping"]}, 'cannot assign policy "response-wrapping"'),
        ("root", {"id": "a.b"}, "'id' value cannot contain a dot or one of the prefixes of generated tokens"),
        ("root", {"id": "hvs" + "a" * 24}, "'id' value cannot contain a dot or one of the prefixes of generated tokens"),
        ("root", {"type": "batch"}, "batch tokens cannot be root tokens"),
        ("root", {"type": "batch", "policies": ["app"], "period": 5}, "batch tokens cannot be periodic"),
        ("root", {"type": "batch", "policies": ["app"], "num_uses": 5}, "batch tokens cannot be periodic"),
        ("root", {"type": "other"}, "invalid 'token_type' value"),
        ("root", {"ttl": "soon"}, "Field validation failed"),
        ("root", {"ttl": "-5s"}, "Field validation failed"),
        ("root", {"num_uses": "many"}, "Field validation failed"),
        ("root", {"entity_alias": "x"}, "entity_alias is not supported"),
    ],
)
def test_what_may_not_be_made(vault: VaultLab, policy: str, body: dict[str, Any], text: str) -> None:
    parent = vault.root if policy == "root" else make_text(vault, policy)
    before = len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"])
    status, errors = vault.refused("POST", "auth/token/create", body, token=parent)
    assert status == 400 and errors[0].startswith(text)
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == before


def test_sudo_may_more(vault: VaultLab) -> None:
    parent = make_text(vault, "sudo-maker")
    assert make(vault, parent, policies=["app"])["policies"] == ["app", "default"]
    assert make(vault, parent, no_parent=True)["orphan"] is True
    assert make(vault, parent, period="1h")["lease_duration"] == HOUR
    assert make(vault, parent, id="chosen")["client_token"] == "chosen"
    assert vault.refused("POST", "auth/token/create", {"id": "chosen"}) == (400, ["cannot create a token with a duplicate ID"])


def test_orphans_are_made_by_whoever_may_use_that_path(vault: VaultLab) -> None:
    parent = make_text(vault, "maker")
    made = make(vault, parent, "auth/token/create-orphan")
    assert made["orphan"] is True and made["policies"] == ["default", "maker"]
    assert vault.refused("POST", "auth/token/create-orphan", {"policies": ["app"]}, token=parent)[0] == 400
    assert vault.refused("POST", "auth/token/create-orphan", {}, token=make_text(vault, "app")) == DENIED


def test_use_limited_and_batch_tokens_have_no_children(vault: VaultLab) -> None:
    limited = make_text(vault, "maker", num_uses=5)
    assert vault.refused("POST", "auth/token/create", {}, token=limited) == (400, ["restricted use token cannot generate child tokens"])
    batch = make_text(vault, "maker", type="batch")
    assert vault.refused("POST", "auth/token/create", {}, token=batch) == (400, ["batch tokens cannot create more tokens"])


def test_parameters_nobody_knows_are_named(vault: VaultLab) -> None:
    answer = vault.ok("POST", "auth/token/create", {"policies": ["app"], "colour": "red", "Ttl": "1h"})
    assert answer["warnings"] == ["Endpoint ignored these unrecognized parameters: [Ttl colour]"]


# How long.


def test_a_ttl_is_capped_and_a_warning_says_so(vault: VaultLab) -> None:
    answer = vault.ok("POST", "auth/token/create", {"policies": ["app"], "ttl": "1000h"})
    assert answer["auth"]["lease_duration"] == SYSTEM
    assert answer["warnings"] == ['TTL of "1000h0m0s" exceeded the effective max_ttl of "768h0m0s"; TTL value is capped accordingly']
    vault.ok("POST", "sys/auth/token/tune", {"max_lease_ttl": "5m", "default_lease_ttl": "2m"})
    assert make(vault, policies=["app"], ttl="30m")["lease_duration"] == 300
    assert make(vault, policies=["app"])["lease_duration"] == 120


def test_a_token_ends_when_its_time_has_come_and_not_before(vault: VaultLab) -> None:
    token = make_text(vault, "app", ttl=100)
    vault.clock.advance(99.5)
    vault.sweep()
    assert vault.refused("GET", "kv/a", token=token)[0] == 404
    vault.clock.advance(0.5)
    assert vault.refused("GET", "kv/a", token=token) == UNKNOWN  # before anything swept
    vault.sweep()
    assert vault.refused("GET", "kv/a", token=token) == UNKNOWN
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == 1


def test_renewing_moves_the_end_up_to_the_maximum(vault: VaultLab) -> None:
    token = make_text(vault, "app", ttl="1h")
    vault.clock.advance(1800)
    assert look(vault, token)["ttl"] == 1800
    auth = vault.ok("POST", "auth/token/renew-self", {}, token=token)["auth"]
    assert (auth["lease_duration"], auth["client_token"]) == (HOUR, token)
    assert look(vault, token)["last_renewal_time"] == 1_700_001_800
    assert vault.ok("POST", "auth/token/renew-self", {"increment": "2h"}, token=token)["auth"]["lease_duration"] == 2 * HOUR
    answer = vault.ok("POST", "auth/token/renew", {"token": token, "increment": "2000h"})
    assert answer["auth"]["lease_duration"] == SYSTEM - 1800 and "capped" in answer["warnings"][0]
    for _ in range(16):
        vault.clock.advance(48 * HOUR - 1)
        vault.call("POST", "auth/token/renew-self", {"increment": "48h"}, token=token)
    assert not lives(vault, token)  # 768 h after its making, renewed or not


def test_what_was_renewed_is_not_swept_at_its_old_end(vault: VaultLab) -> None:
    token = make_text(vault, "app", ttl=100)
    for _ in range(5):
        vault.clock.advance(60)
        vault.ok("POST", "auth/token/renew-self", {}, token=token)
        vault.sweep()
    assert lives(vault, token)
    vault.clock.advance(50)
    vault.sweep()  # past the end that was looked for first: the next one must be looked for
    vault.clock.advance(50)
    vault.sweep()
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == 1
    token = make_text(vault, "app", ttl=100)
    vault.ok("POST", "auth/token/renew-self", {"increment": "20s"}, token=token)  # and an end may come closer
    vault.clock.advance(21)
    vault.sweep()
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == 1


def test_renewing_often_costs_no_memory(vault: VaultLab) -> None:
    token = make_text(vault, "app", ttl=100)
    for _ in range(300):
        vault.clock.advance(0.1)
        vault.ok("POST", "auth/token/renew-self", {}, token=token)
    assert len(vault.core.leases._ending) < 10


def test_explicit_max_ttl_ends_it_whatever_is_renewed(vault: VaultLab) -> None:
    answer = vault.ok("POST", "auth/token/create", {"policies": ["app"], "ttl": "2h", "explicit_max_ttl": "1h"})
    token = answer["auth"]["client_token"]
    assert answer["auth"]["lease_duration"] == HOUR and "explicit max TTL" in answer["warnings"][0]
    vault.clock.advance(1800)
    assert vault.ok("POST", "auth/token/renew-self", {"increment": "1h"}, token=token)["auth"]["lease_duration"] == 1800
    vault.clock.advance(1800)
    assert not lives(vault, token)


def test_a_periodic_token_lives_as_long_as_it_is_renewed(vault: VaultLab) -> None:
    token = make_text(vault, "app", period="24h")
    assert look(vault, token)["period"] == 24 * HOUR
    for _ in range(60):
        vault.clock.advance(23 * HOUR)
        auth = vault.ok("POST", "auth/token/renew-self", {"increment": "1h"}, token=token)["auth"]
        assert auth["lease_duration"] == 24 * HOUR
    vault.clock.advance(25 * HOUR)
    assert not lives(vault, token)


def test_a_periodic_token_with_an_explicit_maximum_ends(vault: VaultLab) -> None:
    token = make_text(vault, "app", period="24h", explicit_max_ttl="36h")
    vault.clock.advance(20 * HOUR)
    assert vault.ok("POST", "auth/token/renew-self", {}, token=token)["auth"]["lease_duration"] == 16 * HOUR


def test_what_is_not_renewable_is_not_renewed(vault: VaultLab) -> None:
    fixed = (400, ["lease is not renewable"])
    token = make_text(vault, "app", renewable=False)
    assert vault.refused("POST", "auth/token/renew-self", {}, token=token) == fixed
    assert vault.refused("POST", "auth/token/renew-self", {}) == fixed  # root
    assert vault.refused("POST", "auth/token/renew", {"token": make_text(vault, "app", type="batch")}) == fixed
    assert vault.refused("POST", "auth/token/renew", {}) == (400, ["missing token ID"])
    assert vault.refused("POST", "auth/token/renew", {"token": "hvs.x"}) == (403, ["bad token"])


# How often.


def test_each_use_counts_denied_ones_too_and_the_last_ends_it(vault: VaultLab) -> None:
    token = make_text(vault, "app", num_uses=4)
    assert vault.refused("GET", "kv/a", token=token)[0] == 404
    assert vault.refused("GET", "sys/mounts", token=token) == DENIED
    assert vault.refused("POST", "kv/a", b"{", token=token)[0] == 400  # not a request yet: not counted
    assert vault.ok("POST", "auth/token/lookup", {"token": token})["data"]["num_uses"] == 2
    vault.ok("POST", "kv/a", {"b": "c"}, token=token)
    assert vault.ok("GET", "kv/a", token=token)["data"] == {"b": "c"}  # the last one is served
    assert vault.refused("GET", "kv/a", token=token) == UNKNOWN
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == 1


def test_a_denied_last_use_ends_it(vault: VaultLab) -> None:
    token = make_text(vault, "app", num_uses=1)
    assert vault.refused("GET", "sys/mounts", token=token) == DENIED
    assert vault.refused("GET", "kv/a", token=token) == UNKNOWN


def test_of_many_at_once_only_as_many_pass_as_uses_are_left(vault: VaultLab) -> None:
    vault.ok("POST", "kv/a", {"b": "c"})
    for uses in (1, 3):
        token = make_text(vault, "app", num_uses=uses)

        async def all_at_once(token: str = token) -> list[int]:
            return [r.status_code for r in await asyncio.gather(*(vault.send("GET", "kv/a", token=token) for _ in range(30)))]

        assert sorted(vault.run(all_at_once())) == [200] * uses + [403] * (30 - uses)


def test_renewing_wins_no_uses_back(vault: VaultLab) -> None:
    """The renewal's own use was counted before those of the others, and it is stored after them."""
    token = make_text(vault, "default", num_uses=20, ttl="1h")

    async def all_at_once() -> None:
        uses = (vault.send("GET", "auth/token/lookup-self", token=token) for _ in range(14))
        await asyncio.gather(vault.send("POST", "auth/token/renew-self", {}, token=token), *uses)

    vault.run(all_at_once())
    assert vault.ok("POST", "auth/token/lookup", {"token": token})["data"]["num_uses"] == 5


class HeldStorage(MemoryStorage):
    """Commits wait while `go` is cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()

    def commit(self, changes: Mapping[str, bytes | None]) -> None:
        assert self.go.wait(10)
        super().commit(changes)


@pytest.mark.parametrize("request_", [("POST", "auth/token/renew-self", {}), ("POST", "ssh/creds/r", {"ip": "10.0.0.1"})])
def test_a_token_revoked_while_its_use_is_being_counted_does_nothing_more(request_: tuple[str, str, dict[str, Any]]) -> None:
    storage = HeldStorage()
    vault = VaultLab(storage)
    vault.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    vault.ok("POST", "ssh/roles/r", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
    vault.ok("PUT", "sys/policies/acl/otp", {"policy": 'path "ssh/creds/r" { capabilities = ["update"] }'})
    token = make_text(vault, "otp", num_uses=5)
    entries = len(storage.entries)

    async def both() -> tuple[int, int]:
        storage.go.clear()
        used = asyncio.ensure_future(vault.send(*request_, token=token))
        await asyncio.sleep(0.01)
        revoked = asyncio.ensure_future(vault.send("POST", "auth/token/revoke", {"token": token}))
        await asyncio.sleep(0.01)
        storage.go.set()
        return (await used).status_code, (await revoked).status_code

    assert vault.run(both()) == (403, 204)
    assert not lives(vault, token) and vault.call("LIST", "sys/leases/lookup/ssh/creds/r")[0] == 404
    assert len(storage.entries) < entries  # it was not written again
    vault.close()


def test_a_token_whose_last_use_was_cut_off_ends_with_the_next_unseal(vault: VaultLab) -> None:
    token = make_text(vault, "root", num_uses=2)
    transaction = vault.core.store.begin()
    entry = vault.core.tokens.find(transaction, token, 0)
    assert entry is not None
    entry.num_uses = -1  # as it is stored before the last use begins
    vault.core.tokens.save(transaction, entry)
    vault.run(vault.core.store.settle(transaction))
    assert vault.refused("GET", "sys/mounts", token=token) == UNKNOWN
    vault.ok("PUT", "sys/seal")
    vault.ok("PUT", "sys/unseal", {"key": vault.keys[0]})
    assert vault.core.store.begin().get(ID + entry.id) is None


# Revoking.


def test_revoking_ends_all_that_hangs_below_but_no_orphans(vault: VaultLab) -> None:
    parent = make_text(vault, "maker")
    child = make(vault, parent)["client_token"]
    grandchild = make(vault, child)["client_token"]
    orphan = make(vault, child, "auth/token/create-orphan")["client_token"]
    beside = make_text(vault, "maker")
    vault.ok("POST", "cubbyhole/a", {"b": "c"}, token=grandchild)
    assert vault.call("POST", "auth/token/revoke", {"token": parent}) == (204, None)
    assert [lives(vault, token) for token in (parent, child, grandchild, orphan, beside)] == [False, False, False, True, True]
    assert vault.core.store.begin().paths("cubbyhole/") == []
    assert vault.core.store.begin().paths("sys/token/child/" + vault.core.tokens.hash(parent)) == []


def test_revoke_orphan_keeps_the_children(vault: VaultLab) -> None:
    parent = make_text(vault, "maker")
    child = make(vault, parent)["client_token"]
    assert vault.refused("POST", "auth/token/revoke-orphan", {"token": parent}, token=make_text(vault, "maker"))[0] == 403
    assert vault.refused("POST", "auth/token/revoke-orphan", {"token": "hvs.x"})[0] == 400
    assert vault.call("POST", "auth/token/revoke-orphan", {"token": parent}) == (204, None)
    assert not lives(vault, parent) and lives(vault, child) and look(vault, child)["orphan"] is True


def test_a_token_may_end_itself(vault: VaultLab) -> None:
    token = make_text(vault, "default")
    assert vault.call("POST", "auth/token/revoke-self", token=token) == (204, None)
    assert vault.refused("POST", "auth/token/revoke-self", token=token) == UNKNOWN
    assert vault.call("POST", "auth/token/revoke", {"token": token}) == (204, None)  # gone already
    assert vault.refused("POST", "auth/token/revoke", {}) == (400, ["missing token ID"])


def test_expiry_ends_the_children_too(vault: VaultLab) -> None:
    parent = make_text(vault, "maker", ttl=100)
    child = make(vault, parent, ttl="10h")["client_token"]
    vault.clock.advance(101)
    vault.sweep()
    assert not lives(vault, parent) and not lives(vault, child)


# Accessors.


def test_an_accessor_shows_renews_and_ends_but_never_gives_the_token(vault: VaultLab) -> None:
    auth = make(vault, policies=["app"], ttl="1h")
    accessor = {"accessor": auth["accessor"]}
    known = vault.ok("POST", "auth/token/lookup-accessor", accessor)["data"]
    assert known["id"] == "" and known["accessor"] == auth["accessor"] and known["policies"] == ["app", "default"]
    vault.clock.advance(60)
    renewed = vault.ok("POST", "auth/token/renew-accessor", {**accessor, "increment": "2h"})["auth"]
    assert renewed["client_token"] == "" and renewed["lease_duration"] == 2 * HOUR
    assert auth["accessor"] in vault.ok("LIST", "auth/token/accessors")["data"]["keys"]
    assert vault.call("POST", "auth/token/revoke-accessor", accessor) == (204, None)
    assert not lives(vault, auth["client_token"])
    for path in ("lookup", "renew", "revoke"):
        assert vault.refused("POST", f"auth/token/{path}-accessor", accessor) == (400, ["invalid accessor"])
        assert vault.refused("POST", f"auth/token/{path}-accessor", {}) == (400, ["missing accessor"])


def test_listing_accessors_needs_sudo(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/policies/acl/lister", {"policy": 'path "auth/token/accessors/" { capabilities = ["list"] }'})
    assert vault.refused("LIST", "auth/token/accessors", token=make_text(vault, "lister")) == DENIED


# Bound addresses.


def test_a_token_bound_to_other_addresses_is_refused_everywhere(vault: VaultLab) -> None:
    vault.ok("POST", "auth/token/roles/far", {"allowed_policies": "app,maker", "token_bound_cidrs": "10.0.0.0/8"})
    vault.ok("POST", "auth/token/roles/near", {"allowed_policies": "app,maker", "token_bound_cidrs": "127.0.0.1/32"})
    far, near = (make(vault, path=f"auth/token/create/{role}")["client_token"] for role in ("far", "near"))
    assert vault.refused("GET", "kv/a", token=far) == DENIED
    assert vault.refused("GET", "kv/a", token=near)[0] == 404
    assert look(vault, near)["bound_cidrs"] == ["127.0.0.1"]
    seen = [vault.ok("GET", "sys/internal/ui/mounts", token=token)["data"]["secret"] for token in (far, near)]
    assert "kv/" not in seen[0] and "kv/" in seen[1]  # also where no token is needed


def test_children_inherit_the_binding(vault: VaultLab) -> None:
    vault.ok("POST", "auth/token/roles/near", {"allowed_policies": "maker", "token_bound_cidrs": "127.0.0.1"})
    near = make(vault, path="auth/token/create/near")["client_token"]
    assert look(vault, make(vault, near)["client_token"])["bound_cidrs"] == ["127.0.0.1"]
    assert "bound_cidrs" not in look(vault, make(vault, near, "auth/token/create-orphan")["client_token"])


# Roles.


def test_a_role_decides_how_its_tokens_are_made(vault: VaultLab) -> None:
    role = {
        "allowed_policies": ["app", "Maker"],
        "disallowed_policies": "root",
        "orphan": True,
        "renewable": False,
        "path_suffix": "deploy",
        "token_explicit_max_ttl": "2h",
        "token_num_uses": 9,
    }
    assert vault.call("POST", "auth/token/roles/ci", role) == (204, None)
    known = vault.ok("GET", "auth/token/roles/ci")["data"]
    assert (known["name"], known["orphan"], known["renewable"], known["path_suffix"]) == ("ci", True, False, "deploy")
    assert known["allowed_policies"] == ["app", "Maker"] and known["explicit_max_ttl"] == known["token_explicit_max_ttl"] == 2 * HOUR
    auth = make(vault, path="auth/token/create/ci")
    assert auth["policies"] == ["app", "default", "maker"] and auth["orphan"] is True and auth["renewable"] is False
    assert (auth["lease_duration"], auth["num_uses"]) == (2 * HOUR, 9)
    text = auth["client_token"]
    data = vault.ok("POST", "auth/token/lookup", {"token": text})["data"]
    assert (data["role"], data["path"], data["explicit_max_ttl"]) == ("ci", "auth/token/create/ci/deploy", 2 * HOUR)
    assert make(vault, path="auth/token/create/ci", policies=["app"], num_uses=3)["num_uses"] == 3
    status, errors = vault.refused("POST", "auth/token/create/ci", {"policies": ["other"]})
    assert status == 400 and "must be subset of the role's allowed policies" in errors[0]
    assert vault.ok("LIST", "auth/token/roles")["data"]["keys"] == ["ci"]
    assert vault.call("DELETE", "auth/token/roles/ci") == (204, None)
    assert vault.refused("GET", "auth/token/roles/ci") == (404, [])
    assert vault.refused("LIST", "auth/token/roles") == (404, [])
    assert vault.refused("POST", "auth/token/create/ci", {}) == (400, ["unknown role ci"])


def test_a_role_lends_policies_its_user_does_not_have_but_not_root(vault: VaultLab) -> None:
    user = make_text(vault, "maker")
    vault.ok("POST", "auth/token/roles/lend", {"allowed_policies_glob": "ap*,ro*", "disallowed_policies_glob": "*-x"})
    assert make(vault, user, "auth/token/create/lend", policies=["app"])["policies"] == ["app", "default"]
    for policies in (["root"], ["app-x"], ["other"]):
        assert vault.refused("POST", "auth/token/create/lend", {"policies": policies}, token=user)[0] == 400
    vault.ok("POST", "auth/token/roles/open", {"disallowed_policies": "other"})
    assert make(vault, user, "auth/token/create/open", policies=["app"])["policies"] == ["app", "default"]
    assert vault.refused("POST", "auth/token/create/open", {"policies": ["other"]}, token=user)[0] == 400
    vault.ok("POST", "auth/token/roles/none", {})
    assert vault.refused("POST", "auth/token/create/none", {"policies": ["app"]}, token=user)[0] == 400


def test_a_periodic_role_renews_as_it_is_today(vault: VaultLab) -> None:
    vault.ok("POST", "auth/token/roles/p", {"token_period": "1h"})
    auth = make(vault, path="auth/token/create/p", policies=["app"])
    token = auth["client_token"]
    assert auth["lease_duration"] == HOUR
    vault.ok("POST", "auth/token/roles/p", {"token_period": "2h"})
    assert vault.ok("POST", "auth/token/renew-self", {}, token=token)["auth"]["lease_duration"] == 2 * HOUR
    vault.ok("DELETE", "auth/token/roles/p")
    assert vault.refused("POST", "auth/token/renew-self", {}, token=token)[0] == 400


# Batch tokens.


def test_a_batch_token_is_not_stored_and_works_until_its_end(vault: VaultLab) -> None:
    assert isinstance(vault.storage, MemoryStorage)
    before = dict(vault.storage.entries)
    auth = make(vault, policies=["app"], type="batch", ttl="1h")
    token = auth["client_token"]
    assert token.startswith("hvb.") and auth["accessor"] == "" and auth["token_type"] == "batch" and auth["renewable"] is False
    assert vault.storage.entries == before
    assert vault.refused("GET", "kv/a", token=token)[0] == 404
    assert vault.refused("GET", "sys/mounts", token=token) == DENIED
    assert vault.refused("POST", "auth/token/revoke", {"token": token}) == (400, ["batch tokens cannot be revoked"])
    for at in (10, 40, len(token) - 3):
        assert vault.refused("GET", "kv/a", token=token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]) == UNKNOWN
    vault.clock.advance(HOUR)
    assert vault.refused("GET", "kv/a", token=token) == UNKNOWN


def test_a_batch_token_ends_with_its_parent_and_so_do_its_leases(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    vault.ok("POST", "ssh/roles/r", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
    vault.ok("PUT", "sys/policies/acl/otp", {"policy": MAKER + 'path "ssh/creds/r" { capabilities = ["update"] }'})
    parent = make_text(vault, "otp")
    batch, orphan = (make(vault, parent, path, type="batch", ttl="1h")["client_token"] for path in CREATE_PATHS)
    otps = [vault.ok("POST", "ssh/creds/r", {"ip": "10.0.0.1"}, token=token) for token in (batch, orphan)]
    assert [otp["lease_duration"] for otp in otps] == [HOUR, HOUR]  # not longer than the token
    vault.ok("POST", "auth/token/revoke", {"token": parent})
    assert vault.refused("POST", "ssh/creds/r", {"ip": "10.0.0.1"}, token=batch) == UNKNOWN
    assert vault.refused("PUT", "ssh/verify", {"otp": otps[0]["data"]["key"]}, token="") == (400, ["OTP not found"])
    vault.ok("PUT", "ssh/verify", {"otp": otps[1]["data"]["key"]}, token="")


CREATE_PATHS = ("auth/token/create", "auth/token/create-orphan")


# What is told and what is kept.


def test_neither_tokens_nor_accessors_lie_in_the_storage_even_decrypted(vault: VaultLab) -> None:
    auth = make(vault, policies=["app"])
    transaction = vault.core.store.begin()
    paths = [path for folder in ("sys/", "core/", "auth/", "logical/", "cubbyhole/") for path in transaction.paths(folder)]
    assert len(paths) > 10
    for path in paths:
        text = f"{path} {transaction.get(path)}"
        assert auth["client_token"] not in text and vault.root not in text
        assert auth["accessor"] not in path


def test_a_token_of_the_process_says_no_secret_in_its_repr(vault: VaultLab) -> None:
    text = make_text(vault, "app")
    entry = vault.core.tokens.find(vault.core.store.begin(), text, vault.clock())
    assert text not in repr(entry)
    assert vault.call("POST", "auth/token/tidy")[0] == 202
