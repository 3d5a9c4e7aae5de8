"""Leases: looked up, renewed, revoked; what ends with time, with a token, with a mount. OTPs of ssh are the leases at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from haechi.vault.logical import Lease, View
from haechi.vault.store import PrefixView
from tests.vaultlab import VaultLab

SYSTEM = 768 * 3600
OTP_POLICY = """
path "ssh/creds/*" { capabilities = ["update"] }
path "auth/token/create" { capabilities = ["update"] }
"""


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    made = VaultLab()
    made.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    made.ok("POST", "ssh/roles/web", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
    made.ok("POST", "ssh/roles/db", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
    made.ok("PUT", "sys/policies/acl/otp", {"policy": OTP_POLICY})
    yield made
    made.close()


def issue(vault: VaultLab, role: str = "web", token: str | None = None) -> tuple[str, str]:
    """Lease id and password."""
    answer = vault.ok("POST", f"ssh/creds/{role}", {"ip": "10.0.0.1"}, token=token)
    return answer["lease_id"], answer["data"]["key"]


def works(vault: VaultLab, otp: str) -> bool:
    return vault.call("PUT", "ssh/verify", {"otp": otp}, token="")[0] == 200


def known(vault: VaultLab, lease_id: str) -> bool:
    return vault.call("PUT", "sys/leases/lookup", {"lease_id": lease_id})[0] == 200


def otp_user(vault: VaultLab, **more: Any) -> str:
    return str(vault.ok("POST", "auth/token/create", {"policies": ["otp"], **more})["auth"]["client_token"])


def renewable(vault: VaultLab, ttl: float = 3600, max_ttl: float = 0, **data: Any) -> str:
    """A lease that may be renewed, which no engine here gives."""
    mount = vault.core.mounts.get("ssh/")
    assert mount is not None
    transaction = vault.core.store.begin()
    lease = Lease(ttl, max_ttl, True, {"otp": "x", **data})
    entry = vault.core.leases.issue(transaction, "ssh/creds/web", mount.accessor, "", lease, ttl, vault.clock())
    vault.run(vault.core.store.settle(transaction))
    return entry.id


def test_a_secret_comes_with_a_lease_that_can_be_looked_up(vault: VaultLab) -> None:
    answer = vault.ok("POST", "ssh/creds/web", {"ip": "10.0.0.1"})
    assert re.fullmatch("ssh/creds/web/[0-9A-Za-z]{24}", answer["lease_id"])
    assert (answer["lease_duration"], answer["renewable"]) == (SYSTEM, False)
    vault.clock.advance(100)
    assert vault.ok("PUT", "sys/leases/lookup", {"lease_id": answer["lease_id"]})["data"] == {
        "id": answer["lease_id"],
        "issue_time": "2023-11-14T22:13:20Z",
        "expire_time": "2023-12-16T22:13:20Z",
        "last_renewal": None,
        "renewable": False,
        "ttl": SYSTEM - 100,
    }


@pytest.mark.parametrize("action", ["lookup", "renew", "revoke"])
def test_a_lease_must_be_named(vault: VaultLab, action: str) -> None:
    assert vault.refused("PUT", f"sys/leases/{action}", {}) == (400, ["lease_id must be specified"])


def test_a_lease_nobody_knows(vault: VaultLab) -> None:
    for lease_id in ("ssh/creds/web/nothing", "ssh/creds/web", "x", "a//b", "../x", "\ud800", "é/\0"):
        assert vault.refused("PUT", "sys/leases/lookup", {"lease_id": lease_id}) == (400, ["invalid lease"])
        assert vault.refused("PUT", "sys/leases/renew", {"lease_id": lease_id}) == (400, ["invalid lease"])
    assert vault.refused("PUT", "sys/leases/lookup", {"lease_id": "a/" * 100_000}) == (400, ["the path is too long"])


# Revoking.


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sys/leases/revoke", {"lease_id": "ID", "sync": True}),
        ("sys/leases/revoke", {"url_lease_id": "ID", "sync": True}),
        ("sys/leases/revoke/ID", {"sync": True}),
        ("sys/revoke/ID", {"sync": True}),
        ("sys/revoke", {"lease_id": "ID", "sync": True}),
        ("sys/leases/revoke-prefix/ID", {}),
        ("sys/leases/revoke-prefix/ssh/creds/web", {}),
        ("sys/revoke-prefix/ssh/creds/web", {}),
        ("sys/leases/revoke-force/ssh", {}),
        ("sys/revoke-force/ssh/creds", {}),
    ],
)
def test_revoking_ends_the_password_and_no_other(vault: VaultLab, path: str, body: dict[str, Any]) -> None:
    lease_id, otp = issue(vault)
    other_id, other = issue(vault, "db")
    body = {name: lease_id if value == "ID" else value for name, value in body.items()}
    status, _ = vault.call("PUT", path.replace("ID", lease_id), body)
    assert status in (202, 204) and not known(vault, lease_id) and not works(vault, otp)
    whole = path.endswith(("force/ssh", "force/ssh/creds"))
    assert known(vault, other_id) != whole and works(vault, other) != whole


def test_without_sync_the_answer_is_202_and_with_it_204(vault: VaultLab) -> None:
    assert vault.call("PUT", "sys/leases/revoke", {"lease_id": issue(vault)[0]}) == (202, None)
    assert vault.call("PUT", "sys/leases/revoke", {"lease_id": issue(vault)[0], "sync": True}) == (204, None)
    assert vault.call("PUT", "sys/leases/revoke", {"lease_id": "unknown", "sync": True}) == (204, None)


def test_a_prefix_is_of_whole_segments(vault: VaultLab) -> None:
    lease_id, _ = issue(vault)
    vault.ok("PUT", "sys/leases/revoke-prefix/ssh/creds/we")
    vault.ok("PUT", "sys/leases/revoke-prefix/ssh/cred")
    assert known(vault, lease_id)
    vault.ok("PUT", "sys/leases/revoke-prefix/ssh/creds/web")
    assert not known(vault, lease_id)


def test_prefixes_and_listings_need_sudo(vault: VaultLab) -> None:
    rules = 'path "sys/leases/*" { capabilities = ["update", "list", "read"] }'
    vault.ok("PUT", "sys/policies/acl/plain", {"policy": rules + rules.replace("leases/*", "revoke-prefix/*")})
    vault.ok("PUT", "sys/policies/acl/sudo", {"policy": rules.replace('"read"', '"sudo"')})
    bodies = ({"policies": [name], "no_default_policy": True} for name in ("plain", "sudo"))  # default has a rule for sys/leases/lookup
    plain, sudo = (vault.ok("POST", "auth/token/create", body)["auth"]["client_token"] for body in bodies)
    lease_id, _ = issue(vault)
    for method, path in (
        ("LIST", "sys/leases/lookup"),
        ("LIST", "sys/leases/lookup/"),
        ("LIST", "sys/leases/lookup/ssh"),
        ("PUT", "sys/leases/revoke-prefix/ssh"),
        ("PUT", "sys/leases/revoke-force/ssh"),
        ("PUT", "sys/revoke-prefix/ssh"),
    ):
        assert vault.refused(method, path, token=plain)[0] == 403, path
    assert known(vault, lease_id)
    assert vault.ok("LIST", "sys/leases/lookup", token=sudo)["data"]["keys"] == ["ssh/"]
    assert vault.ok("PUT", "sys/leases/lookup", {"lease_id": lease_id}, token=plain)["data"]["id"] == lease_id  # the same path
    vault.ok("PUT", "sys/leases/revoke-prefix/ssh", token=sudo)
    assert not known(vault, lease_id)


def test_leases_are_listed_folder_by_folder(vault: VaultLab) -> None:
    assert vault.refused("LIST", "sys/leases/lookup") == (404, [])
    first, second = issue(vault)[0], issue(vault, "db")[0]
    assert vault.ok("LIST", "sys/leases/lookup/ssh/creds")["data"]["keys"] == ["db/", "web/"]
    assert vault.ok("LIST", "sys/leases/lookup/ssh/creds/web/")["data"]["keys"] == [first.rpartition("/")[2]]
    assert vault.ok("GET", "sys/leases/lookup/ssh/creds/db?list=true")["data"]["keys"] == [second.rpartition("/")[2]]


def test_what_ends_ends_with_its_token(vault: VaultLab) -> None:
    parent = otp_user(vault)
    child = vault.ok("POST", "auth/token/create", {}, token=parent)["auth"]["client_token"]
    made = [issue(vault, token=token) for token in (parent, child, vault.root)]
    vault.ok("POST", "auth/token/revoke", {"token": parent})
    assert [known(vault, lease_id) for lease_id, _ in made] == [False, False, True]
    assert [works(vault, otp) for _, otp in made] == [False, False, True]


def test_what_ends_ends_with_its_mount(vault: VaultLab) -> None:
    lease_id, otp = issue(vault)
    vault.ok("POST", "sys/remount", {"from": "ssh", "to": "moved"})
    assert not known(vault, lease_id) and vault.call("PUT", "moved/verify", {"otp": otp})[0] == 400
    lease_id = vault.ok("POST", "moved/creds/web", {"ip": "10.0.0.1"})["lease_id"]
    vault.ok("DELETE", "sys/mounts/moved")
    assert not known(vault, lease_id) and vault.refused("LIST", "sys/leases/lookup") == (404, [])
    assert vault.core.store.begin().paths("sys/lease/") == []


def test_tokens_below_a_login_path_end_by_prefix(vault: VaultLab) -> None:
    vault.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    vault.ok("POST", "auth/userpass/users/bob", {"password": "pw"})
    tokens = [vault.ok("POST", "auth/userpass/login/bob", {"password": "pw"}, token="")["auth"]["client_token"] for _ in range(2)]
    vault.ok("PUT", "sys/leases/revoke-prefix/auth/userpass/login/al")
    assert vault.ok("GET", "auth/token/lookup-self", token=tokens[0])
    vault.ok("PUT", "sys/leases/revoke-prefix/auth/userpass/login/bob")
    for token in tokens:
        assert vault.refused("GET", "auth/token/lookup-self", token=token)[0] == 403


# Renewing.


def test_what_is_not_renewable_is_not_renewed(vault: VaultLab) -> None:
    assert vault.refused("PUT", "sys/leases/renew", {"lease_id": issue(vault)[0]}) == (400, ["lease is not renewable"])


def test_a_renewal_moves_the_end_up_to_the_maximum(vault: VaultLab) -> None:
    lease_id = renewable(vault, ttl=100, max_ttl=300)
    vault.clock.advance(60)
    answer = vault.ok("PUT", "sys/leases/renew", {"lease_id": lease_id, "increment": 100})
    assert (answer["lease_id"], answer["lease_duration"], answer["renewable"], answer["data"]) == (lease_id, 100, True, None)
    vault.clock.advance(60)
    vault.sweep()
    looked = vault.ok("PUT", "sys/leases/lookup", {"lease_id": lease_id})["data"]
    assert looked["ttl"] == 40 and looked["last_renewal"] == "2023-11-14T22:14:20Z"
    assert vault.ok("PUT", f"sys/renew/{lease_id}", {"increment": "1h"})["lease_duration"] == 180  # 300 since it was issued
    vault.clock.advance(180)
    assert vault.refused("PUT", "sys/leases/renew", {"lease_id": lease_id}) == (400, ["lease expired"])
    vault.sweep()
    assert not known(vault, lease_id)


# Time.


def test_a_password_ends_with_its_time(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/ssh/tune", {"default_lease_ttl": "10m"})
    lease_id, otp = issue(vault)
    vault.clock.advance(599)
    vault.sweep()
    assert known(vault, lease_id)
    vault.clock.advance(2)
    vault.sweep()
    assert not known(vault, lease_id) and not works(vault, otp)


def test_what_ended_while_it_was_sealed_is_gone_before_anything_is_served(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/ssh/tune", {"default_lease_ttl": "10m"})
    ended, alive = issue(vault), None
    vault.clock.advance(300)
    alive = issue(vault)
    token = otp_user(vault, ttl="5m")
    for _ in range(250):  # more than are ended at once
        issue(vault, "db", token=token)
    vault.ok("PUT", "sys/seal")
    vault.clock.advance(301)
    vault.ok("PUT", "sys/unseal", {"key": vault.keys[0]})
    assert not works(vault, ended[1]) and works(vault, alive[1])
    assert vault.ok("LIST", "sys/leases/lookup/ssh/creds")["data"]["keys"] == ["web/"]
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == 1


def test_one_that_cannot_be_ended_is_tried_again_and_stops_no_other(vault: VaultLab, caplog: pytest.LogCaptureFixture) -> None:
    mount = vault.core.mounts.get("ssh/")
    assert mount is not None
    backend, broken = vault.core.backend(mount), True
    plain = backend.revoke

    def revoke(view: View, data: dict[str, Any]) -> None:
        if broken and data["otp"] == "stuck":
            raise RuntimeError("secret-canary")
        plain(view, data)

    backend.revoke = revoke  # type: ignore[method-assign]
    stuck, other = renewable(vault, 100, otp="stuck"), renewable(vault, 101)
    vault.clock.advance(102)
    vault.sweep()
    assert known(vault, stuck) and not known(vault, other)
    assert "a lease could not be ended" in caplog.text
    vault.clock.advance(30)
    vault.sweep()
    assert known(vault, stuck)
    broken = False
    vault.clock.advance(31)
    vault.sweep()
    assert not known(vault, stuck)
    broken = True
    stuck = renewable(vault, 100, otp="stuck")
    assert vault.refused("PUT", "sys/leases/revoke", {"lease_id": stuck, "sync": True}) == (500, ["internal error"])
    assert known(vault, stuck)
    vault.ok("PUT", "sys/leases/revoke-force/ssh")
    assert not known(vault, stuck)


def test_an_entry_that_does_not_open_stops_no_other(vault: VaultLab, caplog: pytest.LogCaptureFixture) -> None:
    torn, other = renewable(vault, 100), renewable(vault, 101)
    barrier = vault.core.store.barrier
    vault.storage.commit({barrier.hide(f"sys/lease/id/{torn}"): b"garbage"})
    vault.core.store._clear_cache()
    vault.clock.advance(102)
    vault.sweep()
    assert not known(vault, other) and "a lease could not be ended" in caplog.text


def test_ending_gives_back_all_storage(vault: VaultLab) -> None:
    def paths() -> list[str]:
        transaction = vault.core.store.begin()
        return [path for folder in ("sys/lease/", "sys/token/", "logical/", "cubbyhole/") for path in transaction.paths(folder)]

    before = paths()
    vault.ok("POST", "cubbyhole/x", {"a": "b"}, token=vault.root)
    vault.ok("DELETE", "cubbyhole/x")
    token = otp_user(vault, ttl="1h")
    for _ in range(5):
        issue(vault, token=token)
    assert len(paths()) > len(before) + 15
    vault.clock.advance(3601)
    vault.sweep()
    assert paths() == before


def test_tidy_says_it_began(vault: VaultLab) -> None:
    status, body = vault.call("POST", "sys/leases/tidy")
    assert status == 202 and "Tidy operation successfully started" in body["warnings"][0]


def test_a_view_of_a_lease_owner_is_its_mounts(vault: VaultLab) -> None:
    transaction = vault.core.store.begin()
    mount = vault.core.mounts.get("ssh/")
    assert mount is not None
    found = vault.core._lease_owner(transaction, mount.accessor)
    assert found is not None and isinstance(found[1], PrefixView) and found[1].list("roles/") == ["db", "web"]
    assert vault.core._lease_owner(transaction, "ssh_00000000") is None
