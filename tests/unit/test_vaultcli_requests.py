"""Every command of `vault`: what it asks the server and what it says when the server agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.vaultcli.commands import FAMILIES, family
from tests.unit.vaultcli_fake import TOKEN, FakeVault, at_home, errors, secret, serve

Lines = list[tuple[str, str, Any]]
NO_OPTIONS = {"type": "kv", "description": "", "local": False, "seal_wrap": False, "options": None}
LEASES = {"default_lease_ttl": "0s", "max_lease_ttl": "0s"}
TOKEN_BODY = {
    "display_name": "",
    "num_uses": 0,
    "renewable": True,
    "type": "service",
    "ttl": "0s",
    "explicit_max_ttl": "0s",
    "period": "0s",
}
NO_PGP = "is not supported: this vault command does not encrypt with PGP. Nothing was sent."
MOVED = {"POST sys/remount": secret({"migration_id": "m"}), "GET sys/remount/status/m": secret({"migration_info": {"status": "success"}})}
SYS = {"type": "system", "accessor": "s", "description": "d"}
V1 = ("GET sys/internal/ui/mounts/kv/a", secret({"path": "kv/", "options": None}))
V2 = ("GET sys/internal/ui/mounts/kv/a", secret({"path": "kv/", "options": {"version": "2"}}))
V2_MOUNT = ("GET sys/internal/ui/mounts/kv", secret({"path": "kv/", "options": {"version": "2"}}))
ASK_A: tuple[str, str, Any] = ("GET", "sys/internal/ui/mounts/kv/a", None)
ASK_MOUNT: tuple[str, str, Any] = ("GET", "sys/internal/ui/mounts/kv", None)
WRITTEN = "Success! Data written to: "
GONE = "Success! Data deleted (if it existed) at: "

# command line, answers beside 204, requests, what is printed
CASES: list[tuple[str, dict[str, Any], Lines, str]] = [
    ("read kv/a", {"GET kv/a": secret({"b": "c"})}, [("GET", "kv/a", None)], "Key    Value\n---    -----\nb      c\n"),
    ("read /kv/a/ version=3", {"GET kv/a?version=3": secret({"b": 1})}, [("GET", "kv/a?version=3", None)], "b      1\n"),
    ("write kv/a b=c d=1", {}, [("PUT", "kv/a", {"b": "c", "d": "1"})], WRITTEN + "kv/a\n"),
    ("write -f sys/rotate", {}, [("PUT", "sys/rotate", {})], WRITTEN + "sys/rotate\n"),
    ("write -force auth//x", {}, [("PUT", "auth/x", {})], WRITTEN + "auth//x\n"),
    ("delete kv/a", {}, [("DELETE", "kv/a", None)], GONE + "kv/a\n"),
    (
        "list kv/",
        {"GET kv?list=true": secret({"keys": ["b/", "a"]})},
        [("GET", "kv?list=true", None)],
        "Keys\n----\na\nb/\n",
    ),
    (
        "list -detailed ssh/roles",
        {"GET ssh/roles?list=true": secret({"keys": ["r", "s"], "key_info": {"r": {"key_type": "otp", "ttl": 3600}}})},
        [("GET", "ssh/roles?list=true", None)],
        "Keys    key_type    ttl\n----    --------    ---\nr       otp         1h\ns       n/a         n/a\n",
    ),
    (
        "unwrap hvs.wrapped",
        {"PUT sys/wrapping/unwrap": secret({"a": "b"})},
        [("PUT", "sys/wrapping/unwrap", {"token": "hvs.wrapped"})],
        "a      b\n",
    ),
    ("unwrap", {}, [("PUT", "sys/wrapping/unwrap", {})], "Successfully unwrapped. There was no data in the wrapped secret.\n"),
    ("kv get kv/a", dict([V1, ("GET kv/a", secret({"b": "c"}))]), [ASK_A, ("GET", "kv/a", None)], "b      c\n"),
    (
        "kv get -version=2 kv/a",
        dict([V2, ("GET kv/data/a?version=2", secret({"data": {"b": "c"}, "metadata": {"version": 2}}))]),
        [ASK_A, ("GET", "kv/data/a?version=2", None)],
        "b      c\n",
    ),
    ("kv put kv/a b=c", dict([V1]), [ASK_A, ("PUT", "kv/a", {"b": "c"})], WRITTEN + "kv/a\n"),
    (
        "kv put -mount=kv -cas=0 a b=c",
        dict([V2_MOUNT]),
        [ASK_MOUNT, ("PUT", "kv/data/a", {"data": {"b": "c"}, "options": {"cas": 0}})],
        WRITTEN + "kv/data/a\n",
    ),
    (
        "kv patch -cas=4 -remove-data=x kv/a b=c",
        dict([V2]),
        [ASK_A, ("PATCH", "kv/data/a", {"data": {"b": "c", "x": None}, "options": {"cas": 4}})],
        WRITTEN + "kv/data/a\n",
    ),
    (
        "kv patch -method=rw -remove-data=x kv/a b=c",
        dict([V2, ("GET kv/data/a", secret({"data": {"x": "1", "y": "2"}, "metadata": {"version": 7}}))]),
        [ASK_A, ("GET", "kv/data/a", None), ("PUT", "kv/data/a", {"data": {"y": "2", "b": "c"}, "options": {"cas": 7}})],
        WRITTEN + "kv/data/a\n",
    ),
    ("kv delete kv/a", dict([V1]), [ASK_A, ("DELETE", "kv/a", None)], GONE + "kv/a\n"),
    ("kv delete kv/a", dict([V2]), [ASK_A, ("DELETE", "kv/data/a", None)], GONE + "kv/data/a\n"),
    (
        "kv delete -versions=1,2 -versions=5 kv/a",
        dict([V2]),
        [ASK_A, ("PUT", "kv/delete/a", {"versions": [1, 2, 5]})],
        GONE + "kv/data/a\n",
    ),
    ("kv undelete -versions=3 kv/a", dict([V2]), [ASK_A, ("PUT", "kv/undelete/a", {"versions": [3]})], WRITTEN + "kv/undelete/a\n"),
    (
        "kv destroy -mount kv/ -versions 3 a",
        dict([V2_MOUNT]),
        [ASK_MOUNT, ("PUT", "kv/destroy/a", {"versions": [3]})],
        WRITTEN + "kv/destroy/a\n",
    ),
    (
        "kv list kv/",
        dict([V2_MOUNT, ("GET kv/metadata?list=true", secret({"keys": ["a"]}))]),
        [ASK_MOUNT, ("GET", "kv/metadata?list=true", None)],
        "Keys\n----\na\n",
    ),
    (
        "kv list -mount=kv",
        dict([V2_MOUNT, ("GET kv/metadata?list=true", secret({"keys": ["a"]}))]),
        [ASK_MOUNT, ("GET", "kv/metadata?list=true", None)],
        "Keys\n----\na\n",
    ),
    (
        "kv rollback -version=2 kv/a",
        dict(
            [
                V2,
                ("GET kv/data/a", secret({"data": {"b": "new"}, "metadata": {"version": 5}})),
                ("GET kv/data/a?version=2", secret({"data": {"b": "old"}, "metadata": {"version": 2, "deletion_time": ""}})),
                ("PUT kv/data/a", secret({"version": 6})),
            ]
        ),
        [
            ASK_A,
            ("GET", "kv/data/a", None),
            ("GET", "kv/data/a?version=2", None),
            ("PUT", "kv/data/a", {"data": {"b": "old"}, "options": {"cas": 5}}),
        ],
        "version    6\n",
    ),
    (
        "kv enable-versioning kv/",
        {},
        [("POST", "sys/mounts/kv/tune", {"options": {"version": "2"}})],
        "Success! Tuned the secrets engine at: kv/\n",
    ),
    (
        "kv metadata put -max-versions=3 -cas-required -delete-version-after=90m -custom-metadata=o=me kv/a",
        dict([V2]),
        [
            ASK_A,
            (
                "PUT",
                "kv/metadata/a",
                {"max_versions": 3, "cas_required": True, "delete_version_after": "1h30m0s", "custom_metadata": {"o": "me"}},
            ),
        ],
        WRITTEN + "kv/metadata/a\n",
    ),
    (
        "kv metadata patch -custom-metadata=o=me -remove-custom-metadata=p -cas-required=false kv/a",
        dict([V2]),
        [ASK_A, ("PATCH", "kv/metadata/a", {"cas_required": False, "custom_metadata": {"o": "me", "p": None}})],
        WRITTEN + "kv/metadata/a\n",
    ),
    ("kv metadata delete kv/a", dict([V2]), [ASK_A, ("DELETE", "kv/metadata/a", None)], GONE + "kv/metadata/a\n"),
    (
        "kv metadata get kv/a",
        dict([V2, ("GET kv/metadata/a", secret({"versions": {"1": {"destroyed": False}}, "max_versions": 0}))]),
        [ASK_A, ("GET", "kv/metadata/a", None)],
        "== Metadata Path ==\nkv/metadata/a\n\n====== Metadata ======\nKey             Value\n---             -----\nmax_versions    0\n\n"
        "==== Version 1 ====\nKey          Value\n---          -----\ndestroyed    false\n",
    ),
    (
        "secrets enable -path=kv-v2 -version=2 -description=d kv",
        {},
        [
            (
                "POST",
                "sys/mounts/kv-v2",
                {**NO_OPTIONS, "description": "d", "config": {**LEASES, "force_no_cache": False}, "options": {"version": "2"}},
            )
        ],
        "Success! Enabled the kv secrets engine at: kv-v2/\n",
    ),
    (
        "secrets enable -max-lease-ttl=30m -audit-non-hmac-request-keys=a -audit-non-hmac-request-keys=b ssh",
        {},
        [
            (
                "POST",
                "sys/mounts/ssh",
                {
                    **NO_OPTIONS,
                    "type": "ssh",
                    "config": {
                        "default_lease_ttl": "0s",
                        "max_lease_ttl": "30m0s",
                        "force_no_cache": False,
                        "audit_non_hmac_request_keys": ["a", "b"],
                    },
                },
            )
        ],
        "Success! Enabled the ssh secrets engine at: ssh/\n",
    ),
    ("secrets disable kv", {}, [("DELETE", "sys/mounts/kv", None)], "Success! Disabled the secrets engine (if it existed) at: kv/\n"),
    (
        "secrets tune -default-lease-ttl=72h -max-lease-ttl=system -options=version=2 kv/",
        {},
        [("POST", "sys/mounts/kv/tune", {"default_lease_ttl": "72h0m0s", "max_lease_ttl": "system", "options": {"version": "2"}})],
        "Success! Tuned the secrets engine at: kv/\n",
    ),
    (
        "secrets move kv/ new",
        MOVED,
        [("POST", "sys/remount", {"from": "kv/", "to": "new/"}), ("GET", "sys/remount/status/m", None)],
        "Started moving secrets engine kv/ to new/, with migration ID m\n"
        "Success! Finished moving secrets engine kv/ to new/, with migration ID m\n",
    ),
    (
        "secrets list",
        {
            "GET sys/mounts": secret(
                {"sys/": {"type": "system", "accessor": "s", "description": "d"}, "kv/": {"type": "kv", "accessor": "k"}}
            )
        },
        [("GET", "sys/mounts", None)],
        "Path    Type      Accessor    Description\n----    ----      --------    -----------\n"
        "kv/     kv        k           n/a\nsys/    system    s           d\n",
    ),
    (
        "auth enable userpass",
        {},
        [("POST", "sys/auth/userpass", {**NO_OPTIONS, "type": "userpass", "config": LEASES})],
        "Success! Enabled userpass auth method at: userpass/\n",
    ),
    (
        "auth disable userpass/",
        {},
        [("DELETE", "sys/auth/userpass", None)],
        "Success! Disabled the auth method (if it existed) at: userpass/\n",
    ),
    (
        "auth tune -token-type=batch -description=x userpass",
        {},
        [("POST", "sys/auth/userpass/tune", {"description": "x", "token_type": "batch"})],
        "Success! Tuned the auth method at: userpass/\n",
    ),
    (
        "auth list",
        {"GET sys/auth": secret({"token/": {"type": "token", "accessor": "t", "description": "token based"}})},
        [("GET", "sys/auth", None)],
        "Path      Type     Accessor    Description    Version\n----      ----     --------    -----------    -------\n"
        "token/    token    t           token based    n/a\n",
    ),
    (
        "auth move a b",
        MOVED,
        [("POST", "sys/remount", {"from": "auth/a/", "to": "auth/b/"}), ("GET", "sys/remount/status/m", None)],
        "Success! Finished moving auth method a/ to b/",
    ),
    (
        "policy list",
        {"GET sys/policies/acl?list=true": secret({"keys": ["default", "root"]})},
        [("GET", "sys/policies/acl?list=true", None)],
        "default\nroot\n",
    ),
    (
        "policy read Default",
        {"GET sys/policies/acl/default": secret({"name": "default", "policy": "path {}\n"})},
        [("GET", "sys/policies/acl/default", None)],
        "path {}\n",
    ),
    ("policy delete p", {}, [("DELETE", "sys/policies/acl/p", None)], "Success! Deleted policy: p\n"),
    (
        "token create -policy=a -policy=b -ttl=1h -period=2m -orphan -use-limit=3 -display-name=d -metadata=k=v -no-default-policy",
        {"POST auth/token/create": secret(auth={"client_token": "hvs.new", "policies": ["a"]})},
        [
            (
                "POST",
                "auth/token/create",
                {
                    **TOKEN_BODY,
                    "policies": ["a", "b"],
                    "ttl": "1h0m0s",
                    "period": "2m0s",
                    "no_parent": True,
                    "num_uses": 3,
                    "display_name": "d",
                    "meta": {"k": "v"},
                    "no_default_policy": True,
                },
            )
        ],
        "token                hvs.new\n",
    ),
    (
        "token create -role=r -type=batch -id=x -renewable=true",
        {"POST auth/token/create/r": secret(auth={"client_token": "hvb.new"})},
        [("POST", "auth/token/create/r", {**TOKEN_BODY, "type": "batch", "renewable": False, "id": "x"})],
        "token                hvb.new\n",
    ),
    (
        "token create -renewable=false",
        {"POST auth/token/create": secret(auth={"client_token": "t"})},
        [("POST", "auth/token/create", {**TOKEN_BODY, "renewable": False})],
        "token ",
    ),
    ("token lookup", {"GET auth/token/lookup-self": secret({"id": "i"})}, [("GET", "auth/token/lookup-self", None)], "id     i\n"),
    ("token lookup t", {"POST auth/token/lookup": secret({"id": "i"})}, [("POST", "auth/token/lookup", {"token": "t"})], "id     i\n"),
    (
        "token lookup -accessor a",
        {"POST auth/token/lookup-accessor": secret({"id": ""})},
        [("POST", "auth/token/lookup-accessor", {"accessor": "a"})],
        "id     n/a\n",
    ),
    (
        "token renew -increment=30m",
        {"PUT auth/token/renew-self": secret(auth={"client_token": "t", "lease_duration": 1800})},
        [("PUT", "auth/token/renew-self", {"increment": 1800})],
        "token_duration       30m\n",
    ),
    (
        "token renew t",
        {"PUT auth/token/renew": secret(auth={"client_token": "t"})},
        [("PUT", "auth/token/renew", {"increment": 0, "token": "t"})],
        "token_duration       ∞\n",
    ),
    (
        "token renew -accessor -i 5 a",
        {"POST auth/token/renew-accessor": secret(auth={"client_token": ""})},
        [("POST", "auth/token/renew-accessor", {"increment": 5, "accessor": "a"})],
        "token                n/a\n",
    ),
    ("token revoke t", {}, [("PUT", "auth/token/revoke", {"token": "t"})], "Success! Revoked token (if it existed)\n"),
    ("token revoke -self", {}, [("PUT", "auth/token/revoke-self", {})], "Success! Revoked token (if it existed)\n"),
    ("token revoke -accessor a", {}, [("POST", "auth/token/revoke-accessor", {"accessor": "a"})], "Success!"),
    ("token revoke -mode=orphan t", {}, [("PUT", "auth/token/revoke-orphan", {"token": "t"})], "Success!"),
    ("token revoke -mode path auth/userpass", {}, [("PUT", "sys/leases/revoke-prefix/auth/userpass", {})], "Success!"),
    (
        "token capabilities kv/a",
        {"POST sys/capabilities-self": secret({"kv/a": ["update", "read"], "capabilities": ["update", "read"]})},
        [("POST", "sys/capabilities-self", {"path": "kv/a"})],
        "read, update\n",
    ),
    (
        "token capabilities t kv/a",
        {"POST sys/capabilities": secret({"capabilities": ["deny"]})},
        [("POST", "sys/capabilities", {"token": "t", "path": "kv/a"})],
        "deny\n",
    ),
    ("print token", {}, [], f"{TOKEN}\n"),
    (
        "lease lookup l/1",
        {"PUT sys/leases/lookup": secret({"id": "l/1"})},
        [("PUT", "sys/leases/lookup", {"lease_id": "l/1"})],
        "id     l/1\n",
    ),
    (
        "lease renew -increment=1h l/1",
        {"PUT sys/leases/renew": secret(lease_id="l/1", lease_duration=3600, renewable=True)},
        [("PUT", "sys/leases/renew", {"increment": 3600, "lease_id": "l/1"})],
        "lease_id           l/1\nlease_duration     1h\nlease_renewable    true\n",
    ),
    (
        "lease revoke l/1",
        {},
        [("PUT", "sys/leases/revoke", {"lease_id": "l/1", "sync": False})],
        "All revocation operations queued successfully!\n",
    ),
    ("lease revoke -sync l/1", {}, [("PUT", "sys/leases/revoke", {"lease_id": "l/1", "sync": True})], "Success! Revoked lease: l/1\n"),
    (
        "lease revoke -sync -prefix l",
        {},
        [("PUT", "sys/leases/revoke-prefix/l", {"sync": True})],
        "Success! Revoked any leases with prefix: l\n",
    ),
    (
        "lease revoke -force -prefix l",
        {},
        [("PUT", "sys/leases/revoke-force/l", {})],
        "Success! Force revoked any leases with prefix: l\n",
    ),
    (
        "audit enable -path=log file file_path=/x mode=0600",
        {},
        [("PUT", "sys/audit/log", {"type": "file", "description": "", "options": {"file_path": "/x", "mode": "0600"}, "local": False})],
        "Success! Enabled the file audit device at: log/\n",
    ),
    ("audit disable file", {}, [("DELETE", "sys/audit/file", None)], "Success! Disabled audit device (if it was enabled) at: file/\n"),
    (
        "audit list -detailed",
        {"GET sys/audit": secret({"file/": {"type": "file", "path": "file/", "description": "", "options": {"file_path": "/x"}}})},
        [("GET", "sys/audit", None)],
        "Path     Type    Description    Replication    Options\n----     ----    -----------    -----------    -------\n"
        "file/    file    n/a            replicated     file_path=/x\n",
    ),
    ("operator seal", {}, [("PUT", "sys/seal", {})], "Success! Vault is sealed.\n"),
    (
        "operator rotate",
        {"GET sys/key-status": secret({"term": 2, "install_time": "2024-03-04T05:06:07.123456789Z", "encryptions": 9})},
        [("PUT", "sys/rotate", {}), ("GET", "sys/key-status", None)],
        "Success! Rotated key\n\nKey Term            2\nInstall Time        04 Mar 24 05:06 UTC\nEncryption Count    9\n",
    ),
    (
        "operator key-status",
        {"GET sys/key-status": {"term": 1, "install_time": "2024-03-04T05:06:07+01:00"}},
        [("GET", "sys/key-status", None)],
        "Key Term            1\nInstall Time        04 Mar 24 04:06 UTC\nEncryption Count    0\n",
    ),
    (
        "ssh -mode=otp -role=r -mount-point=ssh-otp -no-exec -field=key test@127.0.0.1 ls",
        {"PUT ssh-otp/creds/r": secret({"key": "otp-1"}, lease_id="l")},
        [("PUT", "ssh-otp/creds/r", {"username": "test", "ip": "127.0.0.1"})],
        "otp-1",
    ),
]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeVault]:
    yield from serve()


@pytest.fixture
def vault(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVault:
    return at_home(fake, tmp_path, monkeypatch)


@pytest.mark.parametrize(("line", "answers", "lines", "out"), CASES, ids=lambda v: v if isinstance(v, str) and "\n" not in v else "")
def test_a_command_asks_and_says(vault: FakeVault, line: str, answers: dict[str, Any], lines: Lines, out: str) -> None:
    vault.answers = answers
    done = vault.run(*line.split())
    assert (done.code, done.err if "-force -prefix" not in line else "") == (0, "")
    assert out in done.out
    assert vault.lines == lines
    for asked in vault.asked:
        assert asked.headers["x-vault-request"] == "true"
        assert asked.headers["x-vault-token"] == TOKEN
        assert asked.headers.get("content-type") == ("application/merge-patch+json" if asked.method == "PATCH" else None)


# commands whose conversations have tests of their own
ELSEWHERE = {"login", "server", "status", "version", "policy write", "operator init", "operator unseal", "operator rekey"}
ELSEWHERE |= {"operator generate-root"}


def test_every_command_has_a_case() -> None:
    names = {c.name for word in FAMILIES for c in family(word)}
    tried = {max((n for n in names if f"{line} ".startswith(f"{n} ")), key=len) for line, *_ in CASES}
    assert names - tried == ELSEWHERE


REFUSED = [
    ("read kv/a", "Error reading kv/a"),
    ("write kv/a b=c", "Error writing data to kv/a"),
    ("delete kv/a", "Error deleting kv/a"),
    ("list kv", "Error listing kv"),
    ("unwrap", "Error unwrapping"),
    ("secrets enable kv", "Error enabling"),
    ("secrets list", "Error listing secrets engines"),
    ("secrets tune kv", "Error tuning secrets engine kv/"),
    ("secrets disable kv", "Error disabling secrets engine at kv/"),
    ("secrets move a b", "Error moving secrets engine a/ to b/"),
    ("auth enable userpass", "Error enabling userpass auth"),
    ("auth disable userpass", "Error disabling auth method at userpass/"),
    ("auth list", "Error listing enabled authentications"),
    ("policy list", "Error listing policies"),
    ("policy delete p", "Error deleting p"),
    ("token create", "Error creating token"),
    ("token lookup", "Error looking up token"),
    ("token renew", "Error renewing token"),
    ("token revoke t", "Error revoking token"),
    ("token capabilities kv", "Error listing capabilities"),
    ("lease lookup l", "error looking up lease id l"),
    ("lease renew l", "Error renewing l"),
    ("lease revoke l", "Error revoking lease l"),
    ("lease revoke -prefix l", "Error revoking leases with prefix l"),
    ("audit enable file", "Error enabling audit device"),
    ("audit list", "Error listing audits"),
    ("audit disable file", "Error disabling audit device"),
    ("operator init", "Error initializing"),
    ("operator seal", "Error sealing"),
    ("operator rotate", "Error rotating key"),
    ("operator key-status", "Error reading key status"),
    ("operator unseal k", "Error unsealing"),
    ("operator rekey -init", "Error initializing rekey"),
    ("operator rekey -status", "Error reading rekey status"),
    ("operator rekey -cancel", "Error canceling rekey"),
    ("operator generate-root -init", "Error initializing root generation"),
    ("operator generate-root -status", "Error getting root generation status"),
    ("operator generate-root -cancel", "Error canceling root token generation"),
    ("login t", "Error authenticating: error looking up token"),
    ("login -method=userpass username=u password=p", "Error authenticating"),
    ("ssh -mode=otp -role=r u@127.0.0.1", "failed to generate credential: failed to get credentials"),
]


@pytest.mark.parametrize(("line", "prefix"), REFUSED)
def test_a_refusal_ends_with_2_and_the_servers_words(vault: FakeVault, monkeypatch: pytest.MonkeyPatch, line: str, prefix: str) -> None:
    monkeypatch.setattr(FakeVault, "answer", lambda self, method, path: (*errors(403, "permission denied"), {}))
    done = vault.run(*line.split())
    asked = vault.asked[-1]
    url = f"{asked.method} {vault.address}{asked.path}"
    assert done.code == 2 and done.out == ""
    assert f"{prefix}: Error making API request.\n\nURL: {url}\nCode: 403. Errors:\n\n* permission denied\n" in done.err
    assert TOKEN not in done.err


USAGE = [
    ("read", "Not enough arguments (expected 1, got 0)"),
    ("write", "Not enough arguments (expected 1, got 0)"),
    ("write kv/a", "Must supply data or use -force"),
    ("kv put kv/a", "Must supply data"),
    ("kv put", "Not enough arguments (expected >1, got 0)"),
    ("kv get a b", "Too many arguments (expected 1, got 2)"),
    ("kv list", "Not enough arguments (expected 1, got 0)"),
    ("kv undelete kv/a", 'No versions provided, use the "-versions" flag to specify the version to undelete.'),
    ("kv destroy -versions=1,x kv/a", "Invalid value 1,x for the versions flag"),
    ("kv rollback kv/a", "Version flag must be specified"),
    ("kv rollback -version=0 kv/a", "Invalid value 0 for the version flag"),
    ("secrets move a", "Not enough arguments (expected 2, got 1)"),
    ("secrets enable /", "The path of the mount is empty"),
    ("policy write p", "Not enough arguments (expected 2, got 1)"),
    ("token lookup a b", "Too many arguments (expected 0-1, got 2)"),
    ("token lookup -accessor", "Not enough arguments with -accessor (expected 1, got 0)"),
    ("token revoke", "Not enough arguments (expected 1 or -self, got 0)"),
    ("token revoke -self t", "Too many arguments with -self (expected 0, got 1)"),
    ("token revoke -accessor -mode=path t", "Cannot use -accessor with -mode=path!"),
    ("token revoke -mode=all t", "Invalid mode: all"),
    ("token capabilities", "Not enough arguments (expected 1-2, got 0)"),
    ("lease lookup", "Missing ID!"),
    ("lease revoke -force l", "Specifying -force requires also specifying -prefix"),
    ("audit enable", "Error enabling audit device: audit type missing. Valid types include 'file', 'socket' and 'syslog'."),
    ("operator init x", "Too many arguments (expected 0, got 1)"),
    ("operator init -pgp-keys=k", f"-pgp-keys {NO_PGP}"),
    ("operator rekey -init -backup", f"-backup {NO_PGP}"),
    ("operator rekey -target=recovery -init", "Unknown target: recovery"),
    (
        "operator generate-root -init -pgp-key=k",
        "-pgp-key is not supported: this vault command does not encrypt with PGP. Nothing was sent.",
    ),
    ("server", "Must specify at least one config path using -config"),
    ("ssh", "Not enough arguments (expected 1-n, got 0)"),
    ("ssh u@127.0.0.1", "No -role specified. Use -role to tell Vault which ssh role to use for"),
    ("ssh -role=r u@127.0.0.1", "No -mode specified. Use -mode to tell Vault which ssh authentication mode to"),
    ("ssh -role=r -mode=dynamic u@127.0.0.1", "Unknown SSH mode: dynamic"),
    ("ssh -role=r -mode=otp -- -v", "Error parsing the ssh command: failed to find a hostname"),
    ("login -no-store -no-print t", "-no-store and -no-print cannot be used together"),
    ("login -method=github", "Unknown auth method: github."),
    ("read -nope kv/a", "flag provided but not defined: -nope"),
    ("secrets enable -format=json kv", "flag provided but not defined: -format"),
    ("read -format=xml kv/a", "Invalid output format: xml"),
    ("write kv/a no-equals-sign", "Failed to parse K=V data: invalid key/value pair: format must be key=value"),
    ("write kv/a b=@/no/such/file", "Failed to parse K=V data: error reading file: open /no/such/file: No such file or directory"),
]


@pytest.mark.parametrize(("line", "text"), USAGE)
def test_wrong_usage_ends_with_1_and_asks_nothing(vault: FakeVault, line: str, text: str) -> None:
    done = vault.run(*line.split())
    assert (done.code, done.out, vault.asked) == (1, "", [])
    assert done.err.startswith(text)
    assert "no-equals-sign" not in done.err


def test_a_policy_comes_from_a_file_or_stdin_and_its_name_is_lowered(vault: FakeVault, tmp_path: Path) -> None:
    (tmp_path / "p.hcl").write_text('path "*" {}\n')
    done = vault.run("policy", "write", "Super", str(tmp_path / "p.hcl"))
    assert (done.code, done.out) == (0, "Success! Uploaded policy: super\n")
    assert done.err == 'Policy name was converted from "Super" to "super"\n'
    assert vault.run("policy", "write", "p", "-", stdin="from stdin").code == 0
    assert vault.lines == [
        ("PUT", "sys/policies/acl/super", {"policy": 'path "*" {}\n'}),
        ("PUT", "sys/policies/acl/p", {"policy": "from stdin"}),
    ]
    done = vault.run("policy", "write", "p", "/no/such")
    assert (done.code, done.err) == (2, "Error opening policy file: open /no/such: No such file or directory\n")
    vault.answers["GET sys/policies/acl/none"] = errors(404)
    done = vault.run("policy", "read", "none")
    assert (done.code, done.err) == (2, "No policy named: none\n")


def test_data_from_files_and_stdin(vault: FakeVault, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("from file\n")
    (tmp_path / "o.json").write_text('{"n": 1, "deep": {"a": [true]}}')
    assert vault.run("write", "x", f"a=@{tmp_path}/f", "b=-", "c=\\@home", "d=1", "d=2", "e=", stdin="piped\n").code == 0
    assert vault.run("write", "x", f"@{tmp_path}/o.json", "n=2").code == 0
    assert vault.run("write", "x", "-", stdin='{"k": null}').code == 0
    assert [a.body for a in vault.asked] == [
        {"a": "from file\n", "b": "piped\n", "c": "@home", "d": ["1", "2"], "e": ""},
        {"n": [1, "2"], "deep": {"a": [True]}},
        {"k": None},
    ]
    done = vault.run("write", "x", "a=-", "b=-", stdin="once")
    assert (done.code, done.err) == (1, "Failed to parse K=V data: stdin already consumed\n")
    done = vault.run("write", "x", "-", stdin="[canary]")
    assert (done.code, done.err) == (1, "Failed to parse K=V data: the input is not a JSON object\n")


def test_a_v1_mount_has_no_versions(vault: FakeVault) -> None:
    vault.answers = dict([V1])
    for line, code, text in (
        ("kv patch kv/a b=c", 2, "K/V engine mount must be version 2 for patch support\n"),
        ("kv rollback -version=1 kv/a", 2, "K/V engine mount must be version 2 for rollback support\n"),
        ("kv undelete -versions=1 kv/a", 1, "Undelete not supported on KV Version 1\n"),
        ("kv destroy -versions=1 kv/a", 1, "Destroy not supported on KV Version 1\n"),
        ("kv metadata get kv/a", 1, "Metadata not supported on KV Version 1\n"),
    ):
        done = vault.run(*line.split())
        assert (done.code, done.err) == (code, text)
    assert vault.lines == [ASK_A] * 5


def test_the_mount_is_asked_for_and_a_refusal_is_told(vault: FakeVault) -> None:
    text = 'preflight capability check returned 403, please ensure client\'s policies grant access to path "kv/"'
    vault.answers = {"GET sys/internal/ui/mounts/kv/a": errors(403, text)}
    done = vault.run("kv", "get", "kv/a")
    assert done.code == 2 and done.err.endswith(f"* {text}\n")
    vault.answers = {"GET sys/internal/ui/mounts/kv/a": errors(404), "GET kv/a": secret({"b": "c"})}  # a server too old to tell
    assert vault.run("kv", "get", "-field=b", "kv/a").out == "c"
    vault.answers = {"GET sys/internal/ui/mounts/kv/a": secret({"path": "ns/kv/", "options": {"version": "2"}})}
    vault.asked.clear()
    vault.run("kv", "delete", "kv/a")
    assert vault.lines[-1] == ("DELETE", "kv/data/a", None)


def test_patch_falls_back_where_the_policy_has_no_patch(vault: FakeVault) -> None:
    vault.answers = dict([V2])
    vault.answers["GET kv/data/a"] = secret({"data": {"x": "1"}, "metadata": {"version": 3}})
    for status in (403, 405):
        vault.asked.clear()
        vault.answers["PATCH kv/data/a"] = errors(status, "no")
        done = vault.run("kv", "patch", "kv/a", "b=c")
        assert done.code == 0 and ("we recommend" in done.err) == (status == 403)
        assert vault.lines[-1] == ("PUT", "kv/data/a", {"data": {"x": "1", "b": "c"}, "options": {"cas": 3}})
    for method, status in (("patch", 403), ("", 400)):
        vault.asked.clear()
        vault.answers["PATCH kv/data/a"] = errors(status, "no")
        done = vault.run("kv", "patch", f"-method={method}", "kv/a", "b=c")
        assert done.code == 2 and done.err.startswith("Error writing data to kv/data/a: Error making API request.")
        assert vault.lines[-1][0] == "PATCH"
    done = vault.run("kv", "patch", "-method=both", "kv/a", "b=c")
    assert (done.code, done.err) == (2, "Unsupported method provided to -method flag: both\n")


@pytest.mark.parametrize(
    ("metadata", "data", "text"),
    [
        ({"version": 2, "deletion_time": "2024-01-01T00:00:00Z"}, None, "Cannot roll back to a version that has been deleted\n"),
        ({"version": 2, "destroyed": True}, None, "Cannot roll back to a version that has been destroyed\n"),
        ({"version": 2}, None, "No data found at kv/data/a; rollback only works on existing data\n"),
    ],
)
def test_a_dead_version_cannot_be_rolled_back_to(vault: FakeVault, metadata: dict[str, Any], data: Any, text: str) -> None:
    vault.answers = dict([V2])
    vault.answers["GET kv/data/a"] = (404, secret({"data": None, "metadata": {"version": 3, "deletion_time": "x"}}))
    vault.answers["GET kv/data/a?version=2"] = (404, secret({"data": data, "metadata": metadata}))
    done = vault.run("kv", "rollback", "-version=2", "kv/a")
    assert (done.code, done.err) == (2, text)
    assert all(method == "GET" for method, _, _ in vault.lines)


def test_a_deleted_version_shows_its_metadata(vault: FakeVault) -> None:
    vault.answers = dict([V2])
    deleted = {"data": None, "metadata": {"created_time": "c", "deletion_time": "d", "version": 1}}
    vault.answers["GET kv/data/a"] = (404, secret(deleted))
    done = vault.run("kv", "get", "kv/a")
    assert done.code == 0 and "deletion_time    d\n" in done.out and "= Data =" not in done.out
    done = vault.run("kv", "get", "-field=x", "kv/a")
    assert (done.code, done.err) == (2, "No data found at kv/data/a\n")
    assert json.loads(vault.run("kv", "get", "-format=json", "kv/a").out)["data"] == deleted
    vault.answers["GET kv/data/a"] = errors(404)
    done = vault.run("kv", "get", "kv/a")
    assert (done.code, done.err) == (2, "No value found at kv/data/a\n")


def test_a_refused_write_shows_the_warnings_that_came_with_it(vault: FakeVault) -> None:
    warning = "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."
    vault.answers = {"PUT kv/a": (404, {"errors": [], "data": None, "warnings": [warning]})}
    done = vault.run("write", "kv/a", "b=c")
    assert done.code == 2 and "Error writing data to kv/a" in done.err
    assert "WARNING! The following warnings were returned from Vault:\n\n  * Invalid path for a versioned K/V" in done.err


def test_lists_without_keys(vault: FakeVault) -> None:
    vault.answers = {"GET x?list=true": errors(404)}
    done = vault.run("list", "x")
    assert (done.code, done.out, done.err) == (2, "", "No value found at x\n")
    done = vault.run("list", "-format=json", "x")
    assert (done.code, done.out, done.err) == (2, "{}\n", "")
    vault.answers = {"GET x?list=true": secret({"a": "b"})}
    done = vault.run("list", "x")
    assert (done.code, done.err) == (2, "No entries found at x\n")
    vault.answers = {"GET sys/audit": secret({})}
    done = vault.run("audit", "list")
    assert (done.code, done.out) == (2, "No audit devices are enabled.\n")


def test_a_failed_move_is_told(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haechi.vaultcli.mounts.POLL_SECONDS", 0.0)
    vault.answers = {
        "POST sys/remount": secret({"migration_id": "m"}),
        "GET sys/remount/status/m": [secret({"migration_info": {"status": s}}) for s in ("in-progress", "failure")],
    }
    done = vault.run("secrets", "move", "a", "b")
    assert done.code == 2 and "Waiting for terminal status" in done.out
    assert done.err == "Failure! Error encountered moving secrets engine a/ to b/, with migration ID m\n"
