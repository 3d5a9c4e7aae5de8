"""sys/: mounts and their tuning, moving them, auth methods, policies, capabilities, what is visible, audit devices, tools."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from haechi.vault.auth import userpass
from haechi.vault.errors import Unavailable
from tests.vaultlab import VaultLab

DENIED = (403, ["1 error occurred:\n\t* permission denied\n\n"])
BUILT_IN = {"cubbyhole/", "sys/"}


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    made = VaultLab()
    yield made
    made.close()


def user(vault: VaultLab, rules: str, default: bool = True) -> str:
    """A token with these rules."""
    name = "p" + hashlib.sha256(rules.encode()).hexdigest()[:8]
    vault.ok("PUT", f"sys/policies/acl/{name}", {"policy": rules})
    body = {"policies": [name], "no_default_policy": not default}
    return str(vault.ok("POST", "auth/token/create", body)["auth"]["client_token"])


def rule(path: str, *capabilities: str) -> str:
    return f'path "{path}" {{ capabilities = {json.dumps(capabilities)} }}\n'


def reopen(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/seal")
    vault.ok("PUT", "sys/unseal", {"key": vault.keys[0]})


class FailingStorage:
    """Makes the commits of a lab fail within a `with`."""

    def __init__(self, vault: VaultLab) -> None:
        self.storage, self.commit = vault.storage, vault.storage.commit

    def __enter__(self) -> None:
        def fail(changes: Mapping[str, bytes | None]) -> None:
            raise Unavailable("the disk is full")

        self.storage.commit = fail  # type: ignore[method-assign]

    def __exit__(self, *error: object) -> None:
        self.storage.commit = self.commit  # type: ignore[method-assign]


# Mounts.


def test_a_new_vault_has_the_built_in_mounts(vault: VaultLab) -> None:
    answer = vault.ok("GET", "sys/mounts")
    assert set(answer["data"]) >= BUILT_IN and all(answer[path] == mount for path, mount in answer["data"].items())
    assert re.fullmatch("cubbyhole_[0-9a-f]{8}", answer["cubbyhole/"]["accessor"]) and answer["cubbyhole/"]["local"] is True
    methods = vault.ok("GET", "sys/auth")["data"]
    assert list(methods) == ["token/"] and methods["token/"]["config"]["token_type"] == "default-service"
    assert re.fullmatch("auth_token_[0-9a-f]{8}", methods["token/"]["accessor"])


def test_a_mount_is_made_seen_and_taken_away_with_its_data(vault: VaultLab) -> None:
    assert vault.call("POST", "sys/mounts/team/kv", {"type": "kv-v2", "description": "d", "config": {"max_lease_ttl": "1h"}}) == (204, None)
    mount = vault.ok("GET", "sys/mounts")["data"]["team/kv/"]
    assert (mount["type"], mount["description"], mount["options"]) == ("kv", "d", {"version": "2"})
    assert mount["config"]["max_lease_ttl"] == 3600 and mount["config"]["default_lease_ttl"] == 0
    assert vault.ok("GET", "sys/mounts/team/kv")["data"] == mount
    vault.ok("POST", "team/kv/data/a", {"data": {"x": "y"}})
    reopen(vault)
    assert vault.ok("GET", "team/kv/data/a")["data"]["data"] == {"x": "y"}
    assert vault.call("DELETE", "sys/mounts/team/kv") == (204, None)
    assert vault.refused("GET", "sys/mounts/team/kv") == (400, ["No secret engine mount at team/kv/"])
    assert vault.refused("GET", "team/kv/data/a") == (404, ['no handler for route "team/kv/data/a". route entry not found.'])
    assert vault.core.store.begin().paths("logical/" + mount["uuid"] + "/") == []
    assert vault.call("DELETE", "sys/mounts/team/kv") == (204, None)
    vault.ok("POST", "sys/mounts/team/kv", {"type": "kv", "options": {"version": 2}})
    assert vault.refused("GET", "team/kv/data/a")[0] == 404  # and nothing comes back


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("kv", {"type": "kv"}, "path is already in use at kv/"),
        ("kv/below", {"type": "kv"}, "path is already in use at kv/"),
        ("a", {"type": "kv"}, "path is already in use at a/b/"),
        ("x", {"type": "nothing"}, "plugin not found in the catalog: nothing"),
        ("x", {"type": "userpass"}, "plugin not found in the catalog: userpass"),
        ("x", {}, "backend type must be specified as a string"),
        ("x", {"type": "system"}, 'mount type of "system" is not mountable'),
        ("x", {"type": "cubbyhole"}, 'mount type of "cubbyhole" is not mountable'),
        ("sys", {"type": "kv"}, 'cannot mount "sys/"'),
        ("sys/below", {"type": "kv"}, "path is already in use at sys/"),
        ("auth", {"type": "kv"}, 'cannot mount "auth/"'),
        ("auth/x", {"type": "kv"}, 'cannot mount "auth/x/"'),
        ("x", {"type": "kv", "options": {"version": "3"}}, 'unsupported version "3" of kv'),
        ("x", {"type": "kv", "config": {"default_lease_ttl": "2000h"}}, "given default lease TTL greater than system max lease TTL"),
        ("x", {"type": "kv", "config": {"max_lease_ttl": "soon"}}, "unable to parse max_lease_ttl"),
        ("x", {"type": "kv", "config": {"max_lease_ttl": "-1h"}}, "max_lease_ttl cannot be negative"),
        ("x", {"type": "kv", "config": {"listing_visibility": "all"}}, "invalid listing_visibility"),
        ("x%20y", {"type": "kv"}, "path cannot contain whitespace"),
        ("x*", {"type": "kv"}, "path cannot contain whitespace"),
        ("+/x", {"type": "kv"}, "path cannot contain whitespace"),
        ("x%00", {"type": "kv"}, "path cannot contain whitespace"),
        ("x", {"type": "kv", "config": "no map"}, "Field validation failed"),
    ],
)
def test_what_cannot_be_mounted(vault: VaultLab, path: str, body: dict[str, Any], text: str) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "sys/mounts/a/b", {"type": "kv"})
    before = vault.ok("GET", "sys/mounts")["data"]
    status, errors = vault.refused("POST", f"sys/mounts/{path}", body)
    assert status == 400 and errors[0].startswith(text)
    assert vault.ok("GET", "sys/mounts")["data"] == before
    reopen(vault)
    assert vault.ok("GET", "sys/mounts")["data"] == before


def test_a_mount_that_could_not_be_stored_is_not_there(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/kept", {"type": "kv", "description": "old"})
    with FailingStorage(vault):
        assert vault.refused("POST", "sys/mounts/kv", {"type": "kv"})[0] == 500
        assert vault.refused("DELETE", "sys/mounts/kept")[0] == 500
        assert vault.refused("POST", "sys/mounts/kept/tune", {"description": "new"})[0] == 500
        assert vault.refused("PUT", "sys/policies/acl/p", {"policy": rule("kept/*", "read")})[0] == 500
    assert set(vault.ok("GET", "sys/mounts")["data"]) == BUILT_IN | {"kept/"}
    assert vault.ok("GET", "sys/mounts/kept")["data"]["description"] == "old"
    assert vault.refused("GET", "sys/policies/acl/p") == (404, [])
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})


def test_a_storage_that_neither_writes_nor_reads_seals(vault: VaultLab, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*any: Any) -> Any:
        raise Unavailable("the disk is gone")

    get = vault.storage.get
    vault.storage.get = vault.storage.children = fail  # type: ignore[method-assign,assignment]
    with FailingStorage(vault):
        assert vault.refused("POST", "sys/mounts/kv", {"type": "kv"})[0] == 500
    assert not vault.core.store.is_open and "sealing" in caplog.text
    vault.storage.get = get  # type: ignore[method-assign]
    assert vault.refused("GET", "sys/mounts") == (503, ["Vault is sealed"])


@pytest.mark.parametrize("path", ["sys", "cubbyhole"])
def test_built_in_mounts_stay(vault: VaultLab, path: str) -> None:
    assert vault.refused("DELETE", f"sys/mounts/{path}") == (400, [f'cannot unmount "{path}/"'])
    assert vault.refused("POST", "sys/remount", {"from": path, "to": "x"}) == (400, [f'cannot remount "{path}/"'])


def test_the_longest_mount_answers(vault: VaultLab) -> None:
    for path in ("one", "two/three", "two/four/five"):
        vault.ok("POST", f"sys/mounts/{path}", {"type": "kv"})
        vault.ok("POST", f"{path}/a/b/c", {"is": path})
        assert vault.ok("GET", f"{path}/a/b/c")["data"] == {"is": path}
    assert vault.refused("GET", "two/a")[0] == vault.refused("GET", "two")[0] == vault.refused("GET", "oneone/a")[0] == 404
    assert vault.refused("GET", "two/four")[1] == ['no handler for route "two/four". route entry not found.']
    assert vault.ok("LIST", "one")["data"]["keys"] == ["a/"]


# Tune.


def test_tuning_changes_what_is_named_only(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv", "description": "d"})
    first = vault.ok("GET", "sys/mounts/kv/tune")
    assert first["data"]["default_lease_ttl"] == first["max_lease_ttl"] == 2_764_800 and first["description"] == "d"
    body = {"default_lease_ttl": "10m", "max_lease_ttl": 3600, "audit_non_hmac_request_keys": ["a", "b"], "listing_visibility": "unauth"}
    assert vault.call("POST", "sys/mounts/kv/tune", body) == (204, None)
    assert vault.call("POST", "sys/mounts/kv/tune", {"audit_non_hmac_request_keys": "c"}) == (204, None)
    reopen(vault)
    tuned = vault.ok("GET", "sys/mounts/kv/tune")["data"]
    assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"], tuned["description"]) == (600, 3600, "d")
    assert tuned["audit_non_hmac_request_keys"] == ["c"] and tuned["listing_visibility"] == "unauth"
    assert vault.ok("GET", "sys/mounts")["data"]["kv/"]["config"]["default_lease_ttl"] == 600
    status, errors = vault.refused("POST", "sys/mounts/kv/tune", {"default_lease_ttl": "2h"})
    assert status == 400 and errors[0].startswith("given default lease TTL greater than backend max lease TTL")
    assert vault.ok("GET", "sys/mounts/kv/tune")["data"] == tuned
    vault.ok("POST", "sys/mounts/kv/tune", {"default_lease_ttl": "system", "max_lease_ttl": "system", "listing_visibility": ""})
    assert vault.ok("GET", "sys/mounts/kv/tune")["data"]["max_lease_ttl"] == 2_764_800
    assert vault.refused("POST", "sys/mounts/none/tune", {"description": "x"})[0] == 400
    assert vault.refused("GET", "sys/mounts/none/tune")[0] == 400


def test_kv_goes_from_version_1_to_2_and_not_back(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    vault.ok("POST", "kv/a/b", {"x": "y"})
    answer = vault.ok("POST", "sys/mounts/kv/tune", {"options": {"version": "2"}})
    assert "Upgrading mount from version 1 to version 2" in answer["warnings"][0]
    assert vault.ok("GET", "kv/data/a/b")["data"]["data"] == {"x": "y"}
    assert vault.refused("POST", "sys/mounts/kv/tune", {"options": {"version": "1"}})[0] == 400
    assert vault.refused("POST", "sys/mounts/kv/tune", {"options": {"version": "3"}})[0] == 400
    assert vault.call("POST", "sys/mounts/kv/tune", {"options": {"version": "2"}}) == (204, None)


# Remount.


def test_a_mount_moves_with_its_data(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/old", {"type": "kv"})
    vault.ok("POST", "old/a", {"x": "y"})
    migration = vault.ok("POST", "sys/remount", {"from": "old/", "to": "new/place"})["data"]["migration_id"]
    status = vault.ok("GET", f"sys/remount/status/{migration}")["data"]
    info = {"source_mount": "old/", "target_mount": "new/place/", "status": "success"}
    assert status == {"migration_id": migration, "migration_info": info}
    reopen(vault)
    assert vault.ok("GET", "new/place/a")["data"] == {"x": "y"} and vault.refused("GET", "old/a")[0] == 404
    assert vault.refused("GET", "sys/remount/status/none")[0] == 400


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("none", "x", 'no matching mount at "none/"'),
        ("kv", "other", 'existing mount at "other/"'),
        ("kv", "other/below", 'existing mount at "other/"'),
        ("kv", "sys", 'cannot remount to destination "sys/"'),
        ("kv", "auth/kv", "cannot remount between secrets engines and auth methods"),
        ("auth/token", "auth/x", 'cannot remount "auth/token/"'),
        ("auth/up", "kv2", "cannot remount between secrets engines and auth methods"),
        ("kv", "a b", "path cannot contain whitespace"),
        ("kv", "a/../b", "path cannot contain whitespace"),
        ("kv", "", "both 'from' and 'to' path must be specified as a string"),
    ],
)
def test_what_cannot_be_moved(vault: VaultLab, source: str, target: str, text: str) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "sys/mounts/other", {"type": "kv"})
    vault.ok("POST", "sys/auth/up", {"type": "userpass"})
    before = (vault.ok("GET", "sys/mounts")["data"], vault.ok("GET", "sys/auth")["data"])
    status, errors = vault.refused("POST", "sys/remount", {"from": source, "to": target})
    assert status == 400 and errors[0].startswith(text)
    assert (vault.ok("GET", "sys/mounts")["data"], vault.ok("GET", "sys/auth")["data"]) == before


# Auth methods.


def test_an_auth_method_is_made_tuned_and_taken_away_with_its_tokens(vault: VaultLab) -> None:
    assert vault.call("POST", "sys/auth/people", {"type": "userpass", "description": "d"}) == (204, None)
    vault.ok("POST", "sys/auth/people/tune", {"default_lease_ttl": "10m", "token_type": "default-service"})
    assert vault.ok("GET", "sys/auth/people/tune")["data"]["default_lease_ttl"] == 600
    assert vault.ok("GET", "sys/auth/people")["data"]["type"] == "userpass"
    vault.ok("POST", "auth/people/users/bob", {"password": "pw"})
    token = vault.ok("POST", "auth/people/login/bob", {"password": "pw"}, token="")["auth"]["client_token"]
    assert vault.ok("GET", "auth/token/lookup-self", token=token)["data"]["ttl"] == 600
    assert vault.refused("POST", "sys/auth/people", {"type": "approle"}) == (400, ["path is already in use at auth/people/"])
    assert vault.call("DELETE", "sys/auth/people") == (204, None)
    assert vault.refused("GET", "auth/token/lookup-self", token=token)[0] == 403
    assert vault.refused("POST", "auth/people/login/bob", {"password": "pw"}, token="") == (403, ["permission denied"])
    assert vault.refused("DELETE", "sys/auth/token") == (400, ["token credential backend cannot be disabled"])
    assert vault.refused("POST", "sys/auth/token", {"type": "token"})[0] == 400
    assert vault.refused("POST", "sys/auth/x", {"type": "kv"}) == (400, ["plugin not found in the catalog: kv"])
    assert vault.refused("POST", "sys/auth/token/tune", {"token_type": "batch"})[0] == 400


def test_protected_paths_need_sudo(vault: VaultLab) -> None:
    everything = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }'
    plain, sudo = user(vault, everything, False), user(vault, everything.replace('"list"', '"list", "sudo"'), False)
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    for method, path, body in [
        ("POST", "sys/auth/x", {"type": "userpass"}),
        ("GET", "sys/auth/token", None),
        ("POST", "sys/auth/token/tune", {"description": "x"}),
        ("DELETE", "sys/auth/x", None),
        ("GET", "sys/audit", None),
        ("POST", "sys/audit/x", {"type": "file", "options": {"file_path": "discard"}}),
        ("DELETE", "sys/audit/x", None),
        ("GET", "sys/config/auditing/request-headers", None),
        ("PUT", "sys/rotate", None),
        ("POST", "sys/remount", {"from": "kv", "to": "kv2"}),
        ("PUT", "sys/leases/revoke-prefix/x", None),
        ("PUT", "sys/leases/revoke-force/x", None),
        ("LIST", "sys/leases/lookup", None),
        ("LIST", "auth/token/accessors", None),
        ("POST", "auth/token/revoke-orphan", {"token": "x"}),
        ("PUT", "sys/step-down", None),
        ("PUT", "sys/seal", None),
    ]:
        assert vault.refused(method, path, body, token=plain) == DENIED, path
        assert vault.call(method, path, body, token=sudo)[0] != 403, path


# Policies.


def test_policies_are_written_read_listed_and_deleted(vault: VaultLab) -> None:
    text = rule("kv/*", "read")
    assert vault.ok("LIST", "sys/policies/acl")["data"]["keys"] == ["default", "root"]
    assert vault.call("PUT", "sys/policies/acl/mine", {"policy": text}) == (204, None)
    assert vault.ok("GET", "sys/policies/acl/mine")["data"] == {"name": "mine", "policy": text}
    old = vault.ok("GET", "sys/policy/mine")
    assert old["data"] == {"name": "mine", "rules": text} and (old["name"], old["rules"]) == ("mine", text)
    vault.ok("PUT", "sys/policy/older", {"rules": base64.b64encode(text.encode()).decode()})
    assert vault.ok("GET", "sys/policies/acl/older")["data"]["policy"] == text
    vault.ok("PUT", "sys/policies/acl/team/a/b", {"policy": text})
    names = ["default", "mine", "older", "team/a/b", "root"]
    assert vault.ok("LIST", "sys/policies/acl")["data"]["keys"] == vault.ok("GET", "sys/policies/acl?list=true")["data"]["keys"] == names
    assert vault.ok("GET", "sys/policy")["policies"] == names
    answer = vault.ok("PUT", "sys/policies/acl/Loud", {"policy": text})
    assert answer["warnings"] == ["policy name was converted to loud"]
    assert vault.call("DELETE", "sys/policies/acl/LOUD") == vault.call("DELETE", "sys/policies/acl/none") == (204, None)
    assert vault.refused("GET", "sys/policies/acl/loud") == (404, [])


@pytest.mark.parametrize(
    ("method", "name", "body", "text"),
    [
        ("PUT", "root", {"policy": rule("a", "read")}, 'cannot update "root" policy'),
        ("PUT", "response-wrapping", {"policy": rule("a", "read")}, 'cannot update "response-wrapping" policy'),
        ("DELETE", "root", None, 'cannot delete "root" policy'),
        ("DELETE", "default", None, "cannot delete default policy"),
        ("PUT", "x", {}, "'policy' parameter not supplied or empty"),
        ("PUT", "x", {"policy": "  "}, "'policy' parameter not supplied or empty"),
        ("PUT", "x", {"policy": 'path "a" {'}, "failed to parse policy: "),
        ("PUT", "x", {"policy": rule("a", "fly")}, "failed to parse policy: "),
        ("PUT", "x", {"policy": rule("a/+*", "read")}, "failed to parse policy: "),
        ("PUT", "x", {"policy": ["a"]}, "Field validation failed"),
    ],
)
def test_policies_that_cannot_be(vault: VaultLab, method: str, name: str, body: Any, text: str) -> None:
    status, errors = vault.refused(method, f"sys/policies/acl/{name}", body)
    assert status == 400 and errors[0].startswith(text)
    assert vault.ok("LIST", "sys/policies/acl")["data"]["keys"] == ["default", "root"]


def test_a_policy_holds_as_soon_as_it_is_written_or_gone(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "kv/a", {"x": "y"})
    token = vault.ok("POST", "auth/token/create", {"policies": ["later"]})["auth"]["client_token"]
    assert vault.refused("GET", "kv/a", token=token) == DENIED
    vault.ok("PUT", "sys/policies/acl/later", {"policy": rule("kv/a", "read")})
    assert vault.ok("GET", "kv/a", token=token)["data"] == {"x": "y"}
    vault.ok("PUT", "sys/policies/acl/later", {"policy": rule("kv/*", "read") + rule("kv/a", "deny")})
    assert vault.refused("GET", "kv/a", token=token) == DENIED
    vault.ok("DELETE", "sys/policies/acl/later")
    assert vault.refused("GET", "kv/b", token=token) == DENIED
    vault.ok("PUT", "sys/policies/acl/default", {"policy": rule("kv/a", "read")})
    assert vault.ok("GET", "kv/a", token=token)
    assert vault.refused("GET", "auth/token/lookup-self", token=token) == DENIED


def test_odd_spellings_of_a_path_lead_around_no_rule(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "sys/auth/up", {"type": "userpass"})
    vault.ok("POST", "kv/secret", {"x": "y"})
    vault.ok("POST", "auth/up/users/boss", {"password": "pw"})
    denied = rule("kv/secret", "deny") + rule("auth/up/users/boss", "deny") + rule("sys/mounts/kv", "deny")
    wide = "".join(rule(path, "create", "read", "update", "delete", "list", "sudo") for path in ("kv/*", "auth/*", "sys/*"))
    token = user(vault, wide + denied, False)
    for path in ("kv/secret", "kv/secret/", "kv/%73ecret", "auth/up/users/boss", "auth/up/users/boss/", "sys/mounts/kv", "sys/mounts/kv/"):
        for method in ("GET", "DELETE"):
            assert vault.refused(method, path, token=token) == DENIED, path
    for path in ("kv//secret", "kv/./secret", "kv/x/../secret", "kv%2f%2fsecret", "/kv/secret", "sys/mounts//kv", "kv/x/%2e%2e/secret"):
        assert vault.call("DELETE", path, token=token)[0] in (301, 403), path
    assert vault.refused("GET", "kv/SECRET", token=token)[0] == vault.refused("GET", "kv/secret%00", token=token)[0] == 404
    assert vault.ok("GET", "kv/secret")["data"] == {"x": "y"} and vault.ok("GET", "auth/up/users/boss") and vault.ok("GET", "sys/mounts/kv")
    assert vault.call("DELETE", "auth/up/users/other/", token=token)[0] == 204


# Capabilities.


def test_capabilities_of_any_token(vault: VaultLab) -> None:
    rules = rule("kv/*", "read", "list") + rule("kv/no", "deny")
    token = user(vault, rules)
    accessor = vault.ok("GET", "auth/token/lookup-self", token=token)["data"]["accessor"]
    paths = ["kv/a", "kv/no", "other", "/kv/a"]
    expected = {"kv/a": ["list", "read"], "kv/no": ["deny"], "other": ["deny"], "/kv/a": ["list", "read"]}
    for path, body, who in (
        ("sys/capabilities", {"token": token, "paths": paths}, vault.root),
        ("sys/capabilities-accessor", {"accessor": accessor, "paths": ",".join(paths)}, vault.root),
        ("sys/capabilities-self", {"paths": paths}, token),
    ):
        answer = vault.ok("POST", path, body, token=who)
        assert {name: answer["data"][name] for name in paths} == {name: answer[name] for name in paths} == expected
    answer = vault.ok("POST", "sys/capabilities-self", {"path": "kv/a"}, token=token)
    assert answer["capabilities"] == answer["data"]["kv/a"] == ["list", "read"]
    assert vault.ok("POST", "sys/capabilities-self", {"path": "x"})["capabilities"] == ["root"]
    assert vault.refused("POST", "sys/capabilities-self", {}) == (400, ["paths must be supplied"])
    assert vault.refused("POST", "sys/capabilities", {"token": "hvs.x", "path": "a"})[0] == 400
    assert vault.refused("POST", "sys/capabilities-accessor", {"accessor": "x", "path": "a"})[0] == 400
    assert vault.refused("POST", "sys/capabilities", {"token": vault.root, "path": "a"}, token=token) == DENIED


# What is visible.


def test_mounts_are_shown_to_those_who_can_reach_them(vault: VaultLab) -> None:
    for name in ("open", "mine", "other"):
        vault.ok("POST", f"sys/mounts/{name}", {"type": "kv", "description": name})
    vault.ok("POST", "sys/mounts/open/tune", {"listing_visibility": "unauth"})
    token = user(vault, rule("mine/deep/*", "read"), False)

    def shown(token: str) -> set[str]:
        data = vault.ok("GET", "sys/internal/ui/mounts", token=token)["data"]
        return {*data["secret"], *("auth/" + path for path in data["auth"])}

    assert shown("") == shown("hvs.unknown") == {"open/"}
    assert set(vault.ok("GET", "sys/internal/ui/mounts", token="")["data"]["secret"]["open/"]) == {"type", "description", "options"}
    assert shown(token) == {"open/", "mine/"}
    assert shown(vault.root) == BUILT_IN | {"open/", "mine/", "other/", "auth/token/"}
    assert vault.ok("GET", "sys/internal/ui/mounts/mine/deep/x", token=token)["data"]["path"] == "mine/"
    text = 'preflight capability check returned 403, please ensure client\'s policies grant access to path "other/x/"'
    assert vault.refused("GET", "sys/internal/ui/mounts/other/x", token=token) == (403, [text])
    for path in ("open", "none"):
        assert vault.refused("GET", f"sys/internal/ui/mounts/{path}", token="")[0] == 403


def test_the_whole_of_a_tokens_rules(vault: VaultLab) -> None:
    assert vault.ok("GET", "sys/internal/ui/resultant-acl")["data"]["root"] is True
    rules = rule("kv/a", "read") + rule("kv/*", "list") + rule("sys/internal/ui/resultant-acl", "read")
    data = vault.ok("GET", "sys/internal/ui/resultant-acl", token=user(vault, rules, False))["data"]
    assert data["root"] is False and data["exact_paths"]["kv/a"] == {"capabilities": ["read"]}
    assert data["glob_paths"] == {"kv/": {"capabilities": ["list"]}}


# Audit devices.


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_audit_devices_are_enabled_listed_asked_and_disabled(vault: VaultLab, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    body = {"type": "file", "description": "d", "options": {"file_path": str(file)}}
    assert vault.ok("GET", "sys/audit")["data"] == {}
    assert vault.call("POST", "sys/audit/disk", body) == (204, None)
    listed = vault.ok("GET", "sys/audit")
    assert listed["data"]["disk/"] == listed["disk/"] and listed["disk/"]["options"] == {"file_path": str(file)}
    assert vault.refused("POST", "sys/audit/disk", body) == (400, ["path already in use"])
    assert vault.refused("POST", "sys/audit/x", {"type": "carrier-pigeon"}) == (400, ['unknown backend type: "carrier-pigeon"'])
    hashed = vault.ok("POST", "sys/audit-hash/disk", {"input": vault.root})["data"]["hash"]
    assert lines(file)[-1]["auth"]["client_token"] == hashed
    assert vault.refused("POST", "sys/audit-hash/none", {"input": "x"}) == (400, ['unknown audit backend "none/"'])
    reopen(vault)
    before = len(lines(file))
    vault.refused("GET", "nothing/here", token="")
    assert [line["type"] for line in lines(file)[before:]] == ["request", "response"]
    assert vault.call("DELETE", "sys/audit/disk") == vault.call("DELETE", "sys/audit/none") == (204, None)
    before = len(lines(file))
    vault.ok("GET", "sys/mounts")
    assert len(lines(file)) == before and vault.root not in file.read_text()


def test_nothing_is_done_or_told_when_no_device_can_write(vault: VaultLab, tmp_path: Path) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    vault.ok("POST", "ssh/roles/r", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
    vault.ok("POST", "kv/a", {"old": "1"})
    otp = vault.ok("POST", "ssh/creds/r", {"ip": "10.0.0.1"})["data"]["key"]
    limited = vault.ok("POST", "auth/token/create", {"num_uses": 3})["auth"]["client_token"]
    vault.ok("POST", "sys/audit/disk", {"type": "file", "options": {"file_path": str(tmp_path / "audit.log")}})
    (opened,) = vault.core.audit.devices.values()
    broken = True

    def write(entry: Mapping[str, Any]) -> None:
        if broken:
            raise OSError(28, "No space left on device")

    opened.write = write  # type: ignore[method-assign]
    for method, path, body, token in (
        ("GET", "kv/a", None, vault.root),
        ("POST", "kv/a", {"new": "2"}, vault.root),
        ("PUT", "ssh/verify", {"otp": otp}, ""),
        ("GET", "kv/a", None, ""),
        ("GET", "sys/internal/ui/mounts", None, ""),
        ("PUT", "sys/seal", None, vault.root),
        ("GET", "none", None, limited),
    ):
        status, answer = vault.call(method, path, body, token=token)
        assert status == 500 and set(answer) == {"errors"} and "internal error" in answer["errors"][0], path
    broken = False
    assert vault.ok("GET", "kv/a")["data"] == {"old": "1"}
    assert vault.ok("PUT", "ssh/verify", {"otp": otp}, token="")["data"]["ip"] == "10.0.0.1"


def test_a_refused_request_is_written_down_with_its_reason(vault: VaultLab, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    vault.ok("POST", "sys/audit/disk", {"type": "file", "options": {"file_path": str(file)}})
    token = user(vault, rule("kv/*", "read"))
    before = len(lines(file))
    vault.refused("GET", "sys/mounts", token=token)
    vault.refused("PUT", "sys/mounts/kv", {"type": "secret-canary"}, token="hvs.canary")
    denied, _, unknown, answer = lines(file)[before:]
    assert "permission denied" in denied["error"] and denied["request"]["path"] == "sys/mounts"
    assert denied["auth"]["policy_results"] == {"allowed": False} or denied["auth"]["policy_results"]["allowed"] is False
    assert "invalid token" in unknown["error"] and "invalid token" in answer["error"]
    assert "canary" not in file.read_text()


# Tools.


def test_random_bytes_and_hashes(vault: VaultLab) -> None:
    assert len(base64.b64decode(vault.ok("POST", "sys/tools/random/16")["data"]["random_bytes"])) == 16
    assert len(vault.ok("POST", "sys/tools/random", {"bytes": 5, "format": "hex"})["data"]["random_bytes"]) == 10
    for body in ({"bytes": 0}, {"bytes": 1 << 20}, {"bytes": -1}, {"format": "octal"}):
        assert vault.refused("POST", "sys/tools/random", body)[0] == 400
    body = {"input": base64.b64encode(b"abc").decode()}
    assert vault.ok("POST", "sys/tools/hash/sha2-256", body)["data"]["sum"] == hashlib.sha256(b"abc").hexdigest()
    for path, bad in (("hash/md5", body), ("hash", {"input": "not base64!"}), ("hash", {**body, "format": "octal"})):
        assert vault.refused("POST", f"sys/tools/{path}", bad)[0] == 400


def test_locked_users_are_listed_and_unlocked(vault: VaultLab) -> None:
    vault.ok("POST", "sys/auth/up", {"type": "userpass"})
    vault.ok("POST", "auth/up/users/bob", {"password": "pw"})
    for _ in range(5):
        vault.refused("POST", "auth/up/login/bob", {"password": "no"}, token="")
    assert vault.refused("POST", "auth/up/login/bob", {"password": "pw"}, token="") == (403, ["permission denied"])
    data = vault.ok("GET", "sys/locked-users")["data"]
    (place,) = data["by_namespace"][0]["mount_accessors"]
    assert data["total"] == 1 and place["alias_identifiers"] == ["bob"]
    assert vault.call("POST", f"sys/locked-users/{place['mount_accessor']}/unlock/bob") == (204, None)
    assert vault.ok("POST", "auth/up/login/bob", {"password": "pw"}, token="")["auth"]


# Meanwhile.


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("DELETE", "sys/auth/up", None), 400),
        (("POST", "sys/remount", {"from": "auth/up", "to": "auth/moved"}), 404),
        (("PUT", "sys/seal", None), 503),
        (("POST", "auth/up/users/bob", {"password": "new"}), 400),
        (("DELETE", "auth/up/users/bob", None), 400),
        (("POST", "sys/auth/up/tune", {"description": "x"}), 200),
    ],
)
def test_a_login_on_its_way_gives_no_token_when_its_ground_is_gone(
    vault: VaultLab, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str, Any], status: int
) -> None:
    """The password's hash is computed in a thread; what happens meanwhile holds."""
    vault.ok("POST", "sys/auth/up", {"type": "userpass"})
    vault.ok("POST", "auth/up/users/bob", {"password": "pw"})
    hashing, go = threading.Event(), threading.Event()
    verify = userpass.verify_password

    def slow(stored: str, password: str) -> bool:
        hashing.set()
        assert go.wait(10)
        return verify(stored, password)

    monkeypatch.setattr(userpass, "verify_password", slow)

    async def both() -> tuple[int, int]:
        login = asyncio.ensure_future(vault.send("POST", "auth/up/login/bob", {"password": "pw"}, token=""))
        while not hashing.is_set():
            await asyncio.sleep(0.001)
        changed = await vault.send(change[0], change[1], change[2])
        go.set()
        return changed.status_code, (await login).status_code

    changed, found = vault.run(both())
    assert changed in (200, 204) and found == status
    if status == 503:
        vault.ok("PUT", "sys/unseal", {"key": vault.keys[0]})
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == (2 if status == 200 else 1)


def test_errors_in_the_audit_log_do_not_quote_what_was_sent(vault: VaultLab, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    vault.ok("POST", "sys/audit/disk", {"type": "file", "options": {"file_path": str(file)}})
    vault.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    vault.ok("POST", "ssh/roles/r", {"key_type": "otp", "default_user": "u", "cidr_list": "0.0.0.0/0"})
    for path, body in (
        ("ssh/creds/r", {"ip": "canary-7f-otp"}),
        ("ssh/creds/r", {"ip": "canary"}),  # too short to be a secret
        ("sys/mounts/x", {"type": "canarysecret"}),
        ("sys/audit/x", {"type": "canarysecret"}),
        ("sys/policies/acl/x", {"policy": "path canary-7f-otp"}),
    ):
        vault.refused("POST", path, body)
    errors = [line["error"] for line in lines(file) if "error" in line]
    assert 'Invalid IP "(as sent)"' in errors and 'Invalid IP "canary"' in errors and 'unknown backend type: "(as sent)"' in errors
    assert not any("canary-7f-otp" in error for error in errors)
    vault.refused("PUT", "ssh/verify", {"otp": "other"}, token="")
    assert lines(file)[-1]["error"] == "OTP not found"
