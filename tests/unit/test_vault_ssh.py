"""The SSH engine's one-time passwords and roles: the backend alone, then as HTTP clients see it."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from haechi.vault.engines.ssh import SSH
from haechi.vault.errors import VaultError
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Response
from haechi.vault.mounts import Mount
from haechi.vault.storage import MemoryStorage
from tests.vault_view import DictView, FakeServices, ask
from tests.vaultlab import VaultLab

ROLE = {"key_type": "otp", "default_user": "ubuntu", "allowed_users": "alice, bob", "cidr_list": "10.0.0.0/8,fd00::/8"}


class Engine:
    """A mounted engine; calls give data, refusals give (status, text)."""

    def __init__(self, **role: Any) -> None:
        self.view, self.services = DictView(), FakeServices()
        self.backend = SSH(self.services, Mount("ssh/", "ssh"))
        if role:
            self.write("roles/web", role)

    def ask(self, operation: str, path: str, data: dict[str, Any] | None = None, **more: Any) -> Response | None:
        return ask(self.backend, operation, path, data, self.view, **more)

    def write(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        answer = self.ask(UPDATE, path, data, **more)
        return (answer.data or {}) if answer else {}

    def read(self, path: str) -> dict[str, Any]:
        answer = self.ask(READ, path)
        assert answer is not None and answer.data is not None
        return answer.data

    def refused(self, operation: str, path: str, data: dict[str, Any] | None = None) -> tuple[int, str]:
        before = dict(self.view.entries)
        with pytest.raises(VaultError) as caught:
            self.ask(operation, path, data)
        assert self.view.entries == before
        return caught.value.status, "; ".join(caught.value.errors)


def test_otp_role_is_read_as_vault_shows_it() -> None:
    engine = Engine()
    assert engine.ask(UPDATE, "roles/web", {"key_type": "OTP", "default_user": "root", "key": "", "admin_user": "", "ttl": ""}) is None
    expected = {"default_user": "root", "cidr_list": "", "exclude_cidr_list": "", "key_type": "otp", "port": 22, "allowed_users": ""}
    assert engine.read("roles/web") == expected
    engine.write("roles/web", ROLE | {"port": "2222", "exclude_cidr_list": "10.1.0.0/16"})
    assert engine.read("roles/web") == ROLE | {"port": 2222, "exclude_cidr_list": "10.1.0.0/16"}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"default_user": "root"}, "missing key type"),
        ({"key_type": "rsa", "default_user": "root"}, "invalid key type"),
        ({"key_type": "dynamic", "default_user": "root"}, "dynamic key type roles are no longer supported"),
        ({"key_type": "otp"}, "missing default user"),
        (
            {"key_type": "otp", "default_user": "root", "cidr_list": "10.0.0.0"},
            'failed to validate cidr_list: invalid CIDR entry "10.0.0.0"',
        ),
        (
            {"key_type": "otp", "default_user": "root", "cidr_list": "10.0.0.0/33"},
            'failed to validate cidr_list: invalid CIDR entry "10.0.0.0/33"',
        ),
        ({"key_type": "otp", "default_user": "root", "cidr_list": "::/0,"}, 'failed to validate cidr_list: invalid CIDR entry ""'),
        (
            {"key_type": "otp", "default_user": "root", "exclude_cidr_list": "10.0.0.0/255.0.0.0"},
            'failed to validate exclude_cidr_list: invalid CIDR entry "10.0.0.0/255.0.0.0"',
        ),
    ],
)
def test_bad_roles_are_refused(data: dict[str, Any], text: str) -> None:
    assert Engine().refused(UPDATE, "roles/web", data) == (400, text)


def test_roles_are_listed_and_deleted() -> None:
    engine = Engine(**ROLE)
    engine.write("roles/ca", {"key_type": "ca", "allow_user_certificates": True})
    listed = engine.ask(LIST, "roles")
    assert listed is not None
    assert listed.data == {"keys": ["ca", "web"], "key_info": {"ca": {"key_type": "ca"}, "web": {"key_type": "otp"}}}
    assert engine.ask(DELETE, "roles/web") is None
    assert engine.ask(DELETE, "roles/web") is None
    assert engine.refused(READ, "roles/web") == (404, "")
    assert engine.refused(UPDATE, "creds/web", {"ip": "10.0.0.1"}) == (400, 'Role "web" not found')


def test_a_password_is_issued_with_a_lease_and_stored_only_hashed() -> None:
    engine = Engine(**ROLE, port=2200)
    answer = engine.ask(UPDATE, "creds/web", {"ip": "10.1.2.3"})
    assert answer is not None and answer.data is not None and answer.lease is not None
    otp = answer.data["key"]
    assert uuid.UUID(otp).version == 4 and str(uuid.UUID(otp)) == otp
    assert answer.data == {"key_type": "otp", "key": otp, "username": "ubuntu", "ip": "10.1.2.3", "port": 2200}
    hashed = engine.services.keyed_hash(otp)
    assert answer.lease.data == {"otp": hashed} and answer.lease.ttl == 0 and not answer.lease.renewable
    assert json.loads(engine.view.entries[f"otp/{hashed}"]) == {"username": "ubuntu", "ip": "10.1.2.3", "role_name": "web"}
    assert otp not in repr(answer) + repr(engine.view.entries)
    assert engine.write("creds/web", {"ip": "10.1.2.3"})["key"] != otp


def test_a_password_is_good_once() -> None:
    engine = Engine(**ROLE)
    first, second = (engine.write("creds/web", {"ip": "10.1.2.3", "username": name})["key"] for name in ("alice", "bob"))
    assert engine.write("verify", {"otp": first}) == {"username": "alice", "ip": "10.1.2.3", "role_name": "web"}
    assert engine.refused(UPDATE, "verify", {"otp": first}) == (400, "OTP not found")
    assert engine.write("verify", {"otp": second})["username"] == "bob"
    assert not engine.view.list("otp/")


@pytest.mark.parametrize("data", [{}, {"otp": ""}, {"otp": "x"}, {"otp": str(uuid.UUID(int=7))}, {"otp": "verify-echo-response"}])
def test_other_passwords_are_unknown(data: dict[str, Any]) -> None:
    engine = Engine(**ROLE)
    engine.write("creds/web", {"ip": "10.1.2.3"})
    assert engine.refused(UPDATE, "verify", data) == (400, "OTP not found")


def test_verify_needs_no_token_and_echoes_and_the_rest_needs_one() -> None:
    engine = Engine()
    assert engine.write("verify", {"otp": "verify-echo-request"}) == {"message": "verify-echo-response"}
    assert {route.pattern for route in SSH.ROUTES if route.free} == {"verify", "public_key"}


def test_the_end_of_the_lease_ends_an_unspent_password_and_does_no_harm_to_others() -> None:
    engine = Engine(**ROLE)
    leases, otps = [], []
    for _ in range(3):
        answer = engine.ask(UPDATE, "creds/web", {"ip": "10.1.2.3"})
        assert answer is not None and answer.lease is not None and answer.data is not None
        leases.append(answer.lease)
        otps.append(answer.data["key"])
    engine.backend.revoke(engine.view, leases[0].data)
    assert engine.refused(UPDATE, "verify", {"otp": otps[0]}) == (400, "OTP not found")
    engine.write("verify", {"otp": otps[1]})
    engine.backend.revoke(engine.view, leases[1].data)
    engine.backend.revoke(engine.view, leases[1].data)
    assert engine.write("verify", {"otp": otps[2]})["role_name"] == "web"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "Missing ip"),
        ({"ip": ""}, "Missing ip"),
        ({"ip": "10.0.0"}, 'Invalid IP "10.0.0"'),
        ({"ip": "10.0.0.01"}, 'Invalid IP "10.0.0.01"'),
        ({"ip": "fd00::1%eth0"}, 'Invalid IP "fd00::1%eth0"'),
        ({"ip": 'x"\n'}, 'Invalid IP "x\\"\\n"'),
        ({"ip": "11.0.0.1"}, "Error validating IP: IP does not belong to role"),
        ({"ip": "fe80::1"}, "Error validating IP: IP does not belong to role"),
        ({"ip": "10.9.0.1"}, "Error validating IP: IP does not belong to role"),
        ({"ip": "10.0.0.1", "username": "carol"}, "Username is not present is allowed users list"),
        ({"ip": "10.0.0.1", "username": "alice, bob"}, "Username is not present is allowed users list"),
    ],
)
def test_passwords_are_refused(data: dict[str, Any], text: str) -> None:
    assert Engine(**ROLE, exclude_cidr_list="10.9.0.0/16").refused(UPDATE, "creds/web", data) == (400, text)


@pytest.mark.parametrize(("ip", "shown"), [("10.8.255.1", "10.8.255.1"), ("FD00:0::1", "fd00::1"), ("::ffff:10.0.0.1", "10.0.0.1")])
def test_addresses_of_both_families_are_normalised(ip: str, shown: str) -> None:
    assert Engine(**ROLE, exclude_cidr_list="10.9.0.0/16").write("creds/web", {"ip": ip})["ip"] == shown


@pytest.mark.parametrize(
    ("allowed", "username", "text"),
    [
        ("", "", ""),
        ("", "ubuntu", ""),
        ("", "alice", "Username has to be either in allowed users list or has to be a default username"),
        ("*", "anyone", ""),
        ("alice", "ubuntu", ""),
        ("alice,*", "anyone", "Username is not present is allowed users list"),
    ],
)
def test_allowed_users(allowed: str, username: str, text: str) -> None:
    engine = Engine(key_type="otp", default_user="ubuntu", cidr_list="0.0.0.0/0", allowed_users=allowed)
    data = {"ip": "1.2.3.4", "username": username}
    if text:
        assert engine.refused(UPDATE, "creds/web", data) == (400, text)
    else:
        assert engine.write("creds/web", data)["username"] == (username or "ubuntu")


def test_a_role_of_another_type_gives_no_passwords() -> None:
    engine = Engine(key_type="ca", allow_user_certificates=True, default_user="root")
    assert engine.refused(UPDATE, "creds/web", {"ip": "1.2.3.4"}) == (400, "Error validating IP: IP does not belong to role")
    engine.write("config/zeroaddress", {"roles": "web"})
    assert engine.refused(UPDATE, "creds/web", {"ip": "1.2.3.4"}) == (400, "role key type 'ca' not allowed to create credentials")


def test_zero_address_roles_take_any_address_until_they_are_removed() -> None:
    engine = Engine(key_type="otp", default_user="root")
    engine.write("roles/other", {"key_type": "otp", "default_user": "root"})
    assert engine.refused(READ, "config/zeroaddress") == (404, "")
    assert engine.refused(UPDATE, "creds/web", {"ip": "1.2.3.4"}) == (400, "Error validating IP: IP does not belong to role")
    assert engine.refused(UPDATE, "config/zeroaddress", {"roles": ""}) == (400, "Missing roles")
    assert engine.refused(UPDATE, "config/zeroaddress", {"roles": "web,none"}) == (400, 'Role "none" does not exist')
    assert engine.ask(UPDATE, "config/zeroaddress", {"roles": "web, other"}) is None
    assert engine.read("config/zeroaddress") == {"roles": ["web", "other"]}
    assert engine.write("creds/web", {"ip": "1.2.3.4"})["username"] == "root"
    engine.ask(DELETE, "roles/other")
    assert engine.read("config/zeroaddress") == {"roles": ["web"]}
    assert engine.ask(DELETE, "config/zeroaddress") is None
    assert engine.refused(UPDATE, "creds/web", {"ip": "1.2.3.4"})[0] == 400


def test_lookup_names_the_roles_of_an_address() -> None:
    engine = Engine(**ROLE)
    engine.write("roles/any", {"key_type": "otp", "default_user": "root"})
    engine.write("roles/v4", {"key_type": "otp", "default_user": "root", "cidr_list": "0.0.0.0/0"})
    assert engine.write("lookup", {"ip": "10.0.0.1"}) == {"roles": ["v4", "web"]}
    assert engine.write("lookup", {"ip": "fe80::1"}) == {"roles": None}
    engine.write("config/zeroaddress", {"roles": ["any", "web"]})
    assert engine.write("lookup", {"ip": "10.0.0.1"}) == {"roles": ["v4", "web", "any"]}
    assert engine.write("lookup", {"ip": "fe80::1"}) == {"roles": ["any", "web"]}
    assert engine.refused(UPDATE, "lookup", {}) == (400, "Missing ip")
    assert engine.refused(UPDATE, "lookup", {"ip": "ten"}) == (400, 'Invalid IP "ten"')


@pytest.mark.parametrize(
    ("operation", "path", "status"),
    [
        (READ, "verify", 405),
        (READ, "creds/web", 405),
        (LIST, "creds/web", 405),
        (UPDATE, "roles", 405),
        (READ, "keys/x", 404),
        (READ, "roles/a/b", 404),
    ],
)
def test_other_verbs_and_paths(operation: str, path: str, status: int) -> None:
    assert Engine(**ROLE).refused(operation, path)[0] == status


# over HTTP


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    lab = VaultLab()
    lab.ok("POST", "sys/mounts/ssh-otp", {"type": "ssh"})
    lab.ok("POST", "ssh-otp/roles/web", ROLE)
    yield lab
    lab.close()


def issue(vault: VaultLab, method: str = "POST") -> tuple[str, str]:
    """A password and the id of its lease."""
    answer = vault.ok(method, "ssh-otp/creds/web", {"ip": "10.0.0.1"})
    return answer["data"]["key"], answer["lease_id"]


def test_roles_as_hvac_writes_them(vault: VaultLab) -> None:
    body = {"key_type": "otp", "default_user": "root", "key": "", "admin_user": "", "key_bits": 1024, "install_script": "", "ttl": ""}
    body |= {"key_option_specs": "", "default_extensions": None, "allow_user_certificates": "", "allowed_user_key_lengths": None}
    assert vault.call("POST", "ssh-otp/roles/other", body) == (204, None)
    assert vault.ok("LIST", "ssh-otp/roles")["data"]["keys"] == ["other", "web"]
    assert vault.ok("GET", "ssh-otp/roles?list=true")["data"]["key_info"] == {"other": {"key_type": "otp"}, "web": {"key_type": "otp"}}
    assert vault.call("DELETE", "ssh-otp/roles/other") == (204, None)
    assert vault.refused("GET", "ssh-otp/roles/other") == (404, [])
    assert vault.call("DELETE", "ssh-otp/roles/web") == (204, None)
    assert vault.refused("LIST", "ssh-otp/roles") == (404, [])


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_helper_verifies_without_a_token(vault: VaultLab, method: str) -> None:
    otp, lease = issue(vault, method)
    assert lease.startswith("ssh-otp/creds/web/") and len(lease.rpartition("/")[2]) == 24
    body = json.dumps({"otp": otp}).encode()
    assert vault.ok(method, "ssh-otp/verify", body, token="")["data"] == {"username": "ubuntu", "ip": "10.0.0.1", "role_name": "web"}
    assert vault.refused(method, "ssh-otp/verify", body, token="") == (400, ["OTP not found"])
    assert vault.ok(method, "ssh-otp/verify", {"otp": "verify-echo-request"}, token="")["data"] == {"message": "verify-echo-response"}
    assert vault.refused(method, "ssh-otp/creds/web", {"ip": "10.0.0.1"}, token="") == (403, ["permission denied"])


def test_of_64_simultaneous_verifications_one_wins(vault: VaultLab) -> None:
    for _ in range(5):
        otp, _ = issue(vault)

        async def all_at_once(body: dict[str, str]) -> list[int]:
            sent = (vault.send("PUT", "ssh-otp/verify", body, token="") for _ in range(64))
            return [answer.status_code for answer in await asyncio.gather(*sent)]

        assert sorted(vault.run(all_at_once({"otp": otp}))) == [200] + [400] * 63


def test_leases_and_passwords_end_independently(vault: VaultLab) -> None:
    otp, lease = issue(vault)
    vault.ok("PUT", "sys/leases/revoke", {"lease_id": lease, "sync": True})
    assert vault.refused("PUT", "ssh-otp/verify", {"otp": otp}) == (400, ["OTP not found"])
    otp, lease = issue(vault)
    vault.ok("PUT", "ssh-otp/verify", {"otp": otp})
    found = vault.ok("PUT", "sys/leases/lookup", {"lease_id": lease})["data"]
    assert found["id"] == lease and not found["renewable"]
    vault.ok("PUT", "sys/leases/revoke", {"lease_id": lease, "sync": True})
    otp, lease = issue(vault)
    vault.clock.advance(2_764_801)
    vault.sweep()
    assert vault.refused("PUT", "ssh-otp/verify", {"otp": otp}) == (400, ["OTP not found"])


def test_passwords_survive_a_restart() -> None:
    storage = MemoryStorage()
    first = VaultLab(storage)
    first.ok("POST", "sys/mounts/ssh-otp", {"type": "ssh"})
    first.ok("POST", "ssh-otp/roles/web", ROLE)
    otp, _ = issue(first)
    first.close()
    second = VaultLab(storage, fresh=False)
    assert second.refused("PUT", "ssh-otp/verify", {"otp": otp}) == (503, ["Vault is sealed"])
    second.ok("PUT", "sys/unseal", {"key": first.keys[0]})
    assert second.ok("PUT", "ssh-otp/verify", {"otp": otp})["data"]["role_name"] == "web"
    assert second.refused("PUT", "ssh-otp/verify", {"otp": otp})[0] == 400
    second.close()


def test_two_authorities_made_at_once_do_not_replace_each_other(vault: VaultLab) -> None:
    async def both() -> list[tuple[int, str]]:
        sent = (
            vault.send("POST", "ssh-otp/config/ca", {"key_type": kind, "key_bits": bits}) for kind, bits in (("rsa", 2048), ("ed25519", 0))
        )
        return [(answer.status_code, answer.text) for answer in await asyncio.gather(*sent)]

    answers = sorted(vault.run(both()))
    assert [status for status, _ in answers] == [200, 400] and "keys are already configured" in answers[1][1]
    public = json.loads(answers[0][1])["data"]["public_key"]
    assert vault.call("GET", "ssh-otp/public_key", token="") == (200, public)
    assert vault.ok("GET", "ssh-otp/config/ca")["data"] == {"public_key": public}
    assert vault.refused("GET", "ssh-otp/config/ca", token="") == (403, ["permission denied"])


def test_certificates_over_http(vault: VaultLab) -> None:
    assert vault.refused("GET", "ssh-otp/public_key", token="") == (404, [])
    vault.ok("POST", "ssh-otp/config/ca", {"key_type": "ed25519"})
    vault.ok("POST", "ssh-otp/roles/ca", {"key_type": "ca", "allow_user_certificates": True, "default_user": "root"})
    answer = vault.ok("PUT", "ssh-otp/issue/ca", {"key_type": "ed25519"})
    assert answer["lease_id"] == "" and answer["data"]["signed_key"].startswith("ssh-ed25519-cert-v01@openssh.com ")
    public = vault.ok("GET", "ssh-otp/config/ca")["data"]["public_key"]
    body = {"public_key": public, "valid_principals": "", "ttl": "", "cert_type": "user", "key_id": "", "extensions": None}
    signed = vault.ok("POST", "ssh-otp/sign/ca", body)["data"]["signed_key"]
    assert b"vault-root-" in base64.b64decode(signed.split()[1])
    assert vault.refused("POST", "ssh-otp/sign/ca", body | {"valid_principals": "bob"}) == (
        400,
        ["role is not configured to allow any principals"],
    )
