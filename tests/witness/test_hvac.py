"""hvac as a judge of what its own suite leaves out: userpass, leases, certificates, ceremonies, a sealed Vault. Each with its refusal."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hvac  # type: ignore[import-untyped]
import pytest
import requests
from hvac.exceptions import Forbidden, InternalServerError, InvalidPath, InvalidRequest, VaultDown  # type: ignore[import-untyped]

from tests.vaultserver import VaultServer


class Lab:
    """A server with 3 shares of which 2 unseal, and clients of it."""

    def __init__(self, place: Path) -> None:
        self.server = VaultServer(place)
        self.server.start()
        self.server.initialize(3, 2)
        self._clients: list[Any] = []
        self.root = self.client(self.server.root)

    def client(self, token: str = "", **options: Any) -> Any:
        """An hvac.Client; without a token unless one is given."""
        session = requests.Session()
        session.trust_env = False  # no proxies
        made = hvac.Client(url=self.server.address, token=token, session=session, **options)
        self._clients.append(made)
        return made

    def with_policy(self, name: str, text: str) -> Any:
        """A client whose token has this policy and the default one."""
        self.root.sys.create_or_update_policy(name, text)
        return self.client(self.root.auth.token.create(policies=[name], ttl="1h")["auth"]["client_token"])

    def close(self) -> None:
        for client in self._clients:
            client.adapter.close()
        self.server.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("vault"))
    yield lab
    lab.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Lab]:
    """A Vault that a test may seal."""
    lab = Lab(tmp_path)
    yield lab
    lab.close()


# userpass


def test_userpass(lab: Lab) -> None:
    lab.root.sys.enable_auth_method("userpass", path="people")
    users = lab.root.auth.userpass
    with pytest.raises(InvalidPath):
        users.list_user(mount_point="people")
    users.create_or_update_user("Mei", password="one", policies=["cats"], mount_point="people", token_ttl="10m")
    with pytest.raises(InvalidRequest, match="missing password"):
        users.create_or_update_user("bob", mount_point="people")
    assert users.list_user(mount_point="people")["data"]["keys"] == ["mei"]
    shown = users.read_user("mei", mount_point="people")["data"]
    assert (shown["token_policies"], shown["policies"], shown["token_ttl"]) == (["cats"], ["cats"], 600)
    assert "password" not in json.dumps(shown)
    with pytest.raises(InvalidPath):
        users.read_user("bob", mount_point="people")

    mei = lab.client()
    auth = mei.auth.userpass.login("mei", "one", mount_point="people")["auth"]
    assert (auth["policies"], auth["metadata"], auth["lease_duration"]) == (["cats", "default"], {"username": "mei"}, 600)
    assert mei.is_authenticated() and mei.auth.token.lookup_self()["data"]["display_name"] == "people-mei"
    assert mei.auth.token.renew_self(increment="5m")["auth"]["lease_duration"] == 300
    with pytest.raises(Forbidden):
        mei.auth.userpass.list_user(mount_point="people")
    for name, password in (("mei", "two"), ("bob", "one")):
        with pytest.raises(InvalidRequest, match="invalid username or password"):
            lab.client().auth.userpass.login(name, password, mount_point="people")

    users.update_password_on_user("mei", "two", mount_point="people")
    with pytest.raises(InvalidRequest, match="username does not exist"):
        users.update_password_on_user("bob", "two", mount_point="people")
    with pytest.raises(InvalidRequest):
        lab.client().auth.userpass.login("mei", "one", mount_point="people")
    assert lab.client().auth.userpass.login("mei", "two", mount_point="people")["auth"]["client_token"]
    users.delete_user("mei", mount_point="people")
    with pytest.raises(InvalidRequest):
        lab.client().auth.userpass.login("mei", "two", mount_point="people")
    with pytest.raises(InvalidRequest, match="user no longer exists"):
        mei.auth.token.renew_self()
    mei.logout(revoke_token=True)
    assert not mei.is_authenticated()


# kv v2


def test_kv_subkeys(lab: Lab) -> None:
    lab.root.sys.enable_secrets_engine("kv", path="sub", options={"version": "2"})
    kv = lab.root.secrets.kv.v2
    kv.create_or_update_secret("a/b", secret={"x": "canary", "y": {"z": ["canary"]}}, mount_point="sub")
    answer = lab.root.read("sub/subkeys/a/b")["data"]
    assert answer["subkeys"] == {"x": None, "y": {"z": None}} and answer["metadata"]["version"] == 1
    assert "canary" not in json.dumps(answer)
    assert lab.root.read("sub/subkeys/a/b?depth=1")["data"]["subkeys"] == {"x": None, "y": None}
    assert lab.root.read("sub/subkeys/a") is None
    kv.delete_latest_version_of_secret("a/b", mount_point="sub")
    with pytest.raises(InvalidPath):
        lab.root.adapter.get("/v1/sub/subkeys/a/b")


def test_kv_patch_and_check_and_set(lab: Lab) -> None:
    lab.root.sys.enable_secrets_engine("kv", path="patch", options={"version": "2"})
    kv = lab.root.secrets.kv.v2
    kv.create_or_update_secret("a", secret={"x": 1, "y": {"p": 1, "q": 2}, "gone": True}, cas=0, mount_point="patch")
    headers = {"Content-Type": "application/merge-patch+json"}
    change = {"data": {"y": {"q": 3}, "gone": None, "new": "n"}, "options": {"cas": 1}}
    made = lab.root.adapter.request("PATCH", "/v1/patch/data/a", headers=headers, json=change)
    assert made["data"]["version"] == 2
    with pytest.raises(InvalidRequest, match="check-and-set parameter did not match the current version"):
        lab.root.adapter.request("PATCH", "/v1/patch/data/a", headers=headers, json=change)
    with pytest.raises(InvalidPath):
        lab.root.adapter.request("PATCH", "/v1/patch/data/none", headers=headers, json={"data": {"x": 1}})
    refused = lab.root.adapter.request("PATCH", "/v1/patch/data/a", json=change, raise_exception=False)
    assert getattr(refused, "status_code", 0) == 415
    read = kv.read_secret_version("a", mount_point="patch", raise_on_deleted_version=True)["data"]["data"]
    assert read == {"x": 1, "y": {"p": 1, "q": 3}, "new": "n"}
    with pytest.raises(InvalidRequest):
        kv.create_or_update_secret("a", secret={}, cas=0, mount_point="patch")
    writer = lab.with_policy("no-patch", 'path "patch/data/*" { capabilities = ["create", "update", "read"] }')
    with pytest.raises(Forbidden):
        writer.adapter.request("PATCH", "/v1/patch/data/a", headers=headers, json={"data": {"x": 2}})


# ssh


def test_ssh_certificates(lab: Lab, tmp_path: Path) -> None:
    lab.root.sys.enable_secrets_engine("ssh", path="ca")
    ssh = lab.root.secrets.ssh
    with pytest.raises(InvalidRequest, match="keys haven't been configured yet"):
        ssh.read_public_key(mount_point="ca")
    made = lab.root.write_data("ca/config/ca", data={"generate_signing_key": True, "key_type": "ed25519"})["data"]["public_key"]
    with pytest.raises(InvalidRequest, match="already configured"):
        ssh.submit_ca_information(generate_signing_key=True, mount_point="ca")
    assert ssh.read_public_key(mount_point="ca")["data"]["public_key"] == made
    assert lab.client().adapter.get("/v1/ca/public_key").text == made  # for hosts, without a token
    role = {"allow_user_certificates": True, "allowed_users": "mei", "default_extensions": {"permit-pty": ""}, "ttl": "10m"}
    ssh.create_role(name="people", key_type="ca", mount_point="ca", **role)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    public = (tmp_path / "key.pub").read_text()
    signed = ssh.sign_ssh_key(name="people", public_key=public, valid_principals="mei", mount_point="ca")["data"]
    (tmp_path / "key-cert.pub").write_text(signed["signed_key"])
    (tmp_path / "ca.pub").write_text(made)
    command = ["ssh-keygen", "-L", "-f", str(tmp_path / "key-cert.pub")]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", str(tmp_path / "ca.pub")], check=True, capture_output=True, text=True).stdout
    assert fingerprint.split()[1] in shown and "user certificate" in shown and "permit-pty" in shown
    assert f"Serial: {int(signed['serial_number'], 16)}" in shown and "mei" in shown.partition("Principals:")[2]
    for wrong, text in (
        ({"valid_principals": "root"}, "root is not a valid value for valid_principals"),
        ({"valid_principals": "mei", "cert_type": "host"}, "cert_type 'host' is not allowed by role"),
        ({"valid_principals": "mei", "public_key": "nonsense"}, "failed to parse public_key as SSH key"),
        ({"valid_principals": "mei", "name": "nobody"}, "Unknown role: nobody"),
    ):
        with pytest.raises(InvalidRequest, match=text):
            ssh.sign_ssh_key(**{"name": "people", "public_key": public, "mount_point": "ca", **wrong})
    ssh.delete_ca_information(mount_point="ca")
    with pytest.raises(InvalidRequest):
        ssh.sign_ssh_key(name="people", public_key=public, valid_principals="mei", mount_point="ca")


@pytest.fixture
def otp(lab: Lab, request: pytest.FixtureRequest) -> str:
    """A mount of one-time passwords with a role `otp`."""
    mount = request.node.name.replace("_", "-").removeprefix("test-")
    lab.root.sys.enable_secrets_engine("ssh", path=mount)
    lab.root.secrets.ssh.create_role(name="otp", key_type="otp", default_user="mei", cidr_list="127.0.0.0/8", mount_point=mount)
    return str(mount)


def test_ssh_one_time_passwords(lab: Lab, otp: str) -> None:
    ssh = lab.root.secrets.ssh
    made = ssh.generate_ssh_credentials(name="otp", ip="127.0.0.1", mount_point=otp)
    assert {k: v for k, v in made["data"].items() if k != "key"} == {"key_type": "otp", "username": "mei", "ip": "127.0.0.1", "port": 22}
    assert (made["lease_duration"], made["renewable"]) == (768 * 3600, False)
    host = lab.client()
    found = host.secrets.ssh.verify_ssh_otp(otp=made["data"]["key"], mount_point=otp)["data"]
    assert found == {"username": "mei", "ip": "127.0.0.1", "role_name": "otp"}
    with pytest.raises(InvalidRequest, match="OTP not found"):
        host.secrets.ssh.verify_ssh_otp(otp=made["data"]["key"], mount_point=otp)
    with pytest.raises(InvalidRequest, match="IP does not belong to role"):
        ssh.generate_ssh_credentials(name="otp", ip="10.0.0.1", mount_point=otp)
    with pytest.raises(InvalidRequest, match="Username"):
        ssh.generate_ssh_credentials(name="otp", ip="127.0.0.1", username="root", mount_point=otp)
    with pytest.raises(Forbidden):
        host.secrets.ssh.generate_ssh_credentials(name="otp", ip="127.0.0.1", mount_point=otp)


# leases


def test_leases(lab: Lab, otp: str) -> None:
    ssh, sys = lab.root.secrets.ssh, lab.root.sys
    made = [ssh.generate_ssh_credentials(name="otp", ip="127.0.0.1", mount_point=otp) for _ in range(4)]
    ids = [answer["lease_id"] for answer in made]
    looked = sys.read_lease(ids[0])["data"]
    assert (looked["id"], looked["renewable"], looked["last_renewal"]) == (ids[0], False, None)
    assert 768 * 3600 - 60 < looked["ttl"] <= 768 * 3600 and looked["expire_time"] > looked["issue_time"]
    assert sys.list_leases(f"{otp}/creds/otp")["data"]["keys"] == sorted(id.rpartition("/")[2] for id in ids)
    assert sys.list_leases(otp)["data"]["keys"] == ["creds/"]
    with pytest.raises(InvalidRequest, match="lease is not renewable"):
        sys.renew_lease(ids[0])
    for call in (sys.read_lease, sys.renew_lease):
        with pytest.raises(InvalidRequest, match="invalid lease"):
            call(f"{otp}/creds/otp/none")
    user = lab.with_policy("leases", 'path "sys/leases/*" { capabilities = ["list", "update"] }')  # without sudo
    assert user.sys.read_lease(ids[0])["data"]["id"] == ids[0]
    for call in (user.sys.list_leases, user.sys.revoke_prefix, user.sys.revoke_force):
        with pytest.raises(Forbidden):
            call(otp)

    def dead(number: int) -> bool:
        try:
            ssh.verify_ssh_otp(otp=made[number]["data"]["key"], mount_point=otp)
        except InvalidRequest:
            return True
        return False

    user.sys.revoke_lease(ids[0])
    with pytest.raises(InvalidRequest, match="invalid lease"):
        sys.read_lease(ids[0])
    assert dead(0) and not dead(1)
    sys.revoke_prefix(f"{otp}/creds")
    assert dead(2) and dead(3)
    with pytest.raises(InvalidPath):
        sys.list_leases(otp)
    later = ssh.generate_ssh_credentials(name="otp", ip="127.0.0.1", mount_point=otp)
    assert sys.revoke_force(otp).status_code == 204
    with pytest.raises(InvalidRequest, match="invalid lease"):
        sys.read_lease(later["lease_id"])


def test_a_lease_ends_with_its_token(lab: Lab, otp: str) -> None:
    user = lab.with_policy("otp", f'path "{otp}/creds/otp" {{ capabilities = ["update"] }}')
    made = user.secrets.ssh.generate_ssh_credentials(name="otp", ip="127.0.0.1", mount_point=otp)
    assert lab.root.sys.read_lease(made["lease_id"])["data"]["id"] == made["lease_id"]
    user.auth.token.revoke_self()
    with pytest.raises(InvalidRequest, match="invalid lease"):
        lab.root.sys.read_lease(made["lease_id"])
    with pytest.raises(InvalidRequest, match="OTP not found"):
        lab.client().secrets.ssh.verify_ssh_otp(otp=made["data"]["key"], mount_point=otp)


# wrapping, capabilities


def test_wrapping(lab: Lab) -> None:
    wrapped = lab.root.sys.wrap({"a": {"b": 1}}, ttl="90s")
    info = wrapped["wrap_info"]
    assert (info["ttl"], info["creation_path"], wrapped["data"]) == (90, "sys/wrapping/wrap", None)
    looked = lab.client().write_data("sys/wrapping/lookup", data={"token": info["token"]})["data"]
    assert (looked["creation_ttl"], looked["creation_path"]) == (90, "sys/wrapping/wrap")
    again = lab.root.write_data("sys/wrapping/rewrap", data={"token": info["token"]})
    assert again["data"] is None and again["wrap_info"]["token"] != info["token"] and again["wrap_info"]["ttl"] == 90
    with pytest.raises(InvalidRequest, match="wrapping token is not valid or does not exist"):
        lab.root.sys.unwrap(info["token"])
    receiver = lab.client(again["wrap_info"]["token"])
    assert receiver.sys.unwrap()["data"] == {"a": {"b": 1}}
    calls: list[Callable[[], Any]] = [lambda: receiver.sys.unwrap(), lambda: lab.root.sys.unwrap(again["wrap_info"]["token"])]
    for call in calls:
        with pytest.raises(InvalidRequest, match="wrapping token is not valid or does not exist"):
            call()


def test_a_wrapped_token_s_only_use_is_unwrapping(lab: Lab) -> None:
    info = lab.root.auth.token.create(policies=["default"], wrap_ttl="60s")["wrap_info"]
    with pytest.raises(Forbidden):
        lab.client(info["token"]).auth.token.lookup_self()
    fresh = lab.root.auth.token.create(policies=["default"], wrap_ttl="60s")["wrap_info"]
    auth = lab.root.sys.unwrap(fresh["token"])["auth"]
    assert auth["accessor"] == fresh["wrapped_accessor"] and lab.client(auth["client_token"]).is_authenticated()


def test_capabilities(lab: Lab) -> None:
    user = lab.with_policy("caps", 'path "some/*" { capabilities = ["read", "list"] }\npath "some/no" { capabilities = ["deny"] }')
    accessor = lab.root.auth.token.lookup(user.token)["data"]["accessor"]
    expected = {"some/a": ["list", "read"], "some/no": ["deny"], "other": ["deny"]}
    for answer in (
        user.sys.get_capabilities(list(expected)),
        lab.root.sys.get_capabilities(list(expected), token=user.token),
        lab.root.sys.get_capabilities(list(expected), accessor=accessor),
    ):
        assert answer["data"] == expected
    assert lab.root.sys.get_capabilities(["anything"])["capabilities"] == ["root"]
    with pytest.raises(InvalidRequest, match="paths must be supplied"):
        user.sys.get_capabilities([])
    with pytest.raises(Forbidden):
        user.sys.get_capabilities(["some/a"], token=lab.root.token)
    with pytest.raises(InvalidRequest, match="invalid token"):
        lab.root.sys.get_capabilities(["some/a"], token="nonsense")
    with pytest.raises(Forbidden):
        lab.client().sys.get_capabilities(["some/a"])


# tokens


def test_token_roles_and_accessors(lab: Lab) -> None:
    token = lab.root.auth.token
    lab.root.sys.create_or_update_policy("small", 'path "x" { capabilities = ["read"] }')
    token.create_or_update_role("deploy", allowed_policies=["small"], orphan=True, token_period="1h", path_suffix="ci")
    role = token.read_role("deploy")["data"]
    assert (role["allowed_policies"], role["orphan"], role["token_period"], role["token_type"]) == (
        ["small"],
        True,
        3600,
        "default-service",
    )
    assert token.list_roles()["data"]["keys"] == ["deploy"]
    made = token.create(role_name="deploy")["auth"]
    shown = token.lookup_accessor(made["accessor"])["data"]
    assert (shown["id"], shown["period"], shown["role"], shown["orphan"]) == ("", 3600, "deploy", True)
    assert (shown["path"], shown["policies"]) == ("auth/token/create/deploy/ci", ["default", "small"])
    with pytest.raises(InvalidRequest, match="must be subset of the role's allowed policies"):
        token.create(role_name="deploy", policies=["other"])
    assert token.renew_accessor(made["accessor"])["auth"]["lease_duration"] == 3600
    token.delete_role("deploy")
    with pytest.raises(InvalidRequest, match="could not be found"):
        token.renew(made["client_token"])
    token.revoke_accessor(made["accessor"])
    with pytest.raises(InvalidRequest, match="invalid accessor"):
        token.lookup_accessor(made["accessor"])
    with pytest.raises(Forbidden):
        token.lookup(made["client_token"])


def test_a_namespace_header_changes_nothing(lab: Lab) -> None:
    assert lab.client(lab.root.token, namespace="team/").auth.token.lookup_self()["data"]["path"] == "auth/token/root"
    with pytest.raises(Forbidden):
        lab.client("nonsense", namespace="team/").auth.token.lookup_self()


def test_github_that_is_not_configured(lab: Lab) -> None:
    lab.root.sys.enable_auth_method("github")
    with pytest.raises(InternalServerError, match="configuration has not been set"):
        lab.client().auth.github.login("ghp_any")
    lab.root.sys.disable_auth_method("github")
    with pytest.raises(Forbidden):
        lab.client().auth.github.login("ghp_any")


# ceremonies of the holders of shares


def test_generating_a_root_token(lab: Lab) -> None:
    sys, keys = lab.client().sys, lab.server.keys  # no token: the shares are what counts
    assert sys.read_root_generation_progress()["started"] is False
    with pytest.raises(InvalidRequest, match="no root generation in progress"):
        sys.generate_root(keys[0], "none")
    with pytest.raises(InvalidRequest, match="OTP string is wrong length"):
        sys.start_root_token_generation(otp="short")
    begun = sys.start_root_token_generation()
    assert len(begun["otp"]) == begun["otp_length"]
    with pytest.raises(InvalidRequest, match="root generation already in progress"):
        sys.start_root_token_generation()
    with pytest.raises(InvalidRequest, match="incorrect nonce supplied"):
        sys.generate_root(keys[0], "another")
    assert sys.generate_root(keys[0], begun["nonce"])["progress"] == 1
    with pytest.raises(InvalidRequest, match="already been provided"):
        sys.generate_root(keys[0], begun["nonce"])
    done = sys.generate_root(keys[2], begun["nonce"])
    assert done["complete"] is True and done["encoded_token"] == done["encoded_root_token"]
    mixed = base64.b64decode(done["encoded_token"] + "=" * (-len(done["encoded_token"]) % 4))
    token = bytes(a ^ b for a, b in zip(mixed, begun["otp"].encode(), strict=True)).decode()
    assert lab.client(token).auth.token.lookup_self()["data"]["policies"] == ["root"]
    begun = sys.start_root_token_generation()
    sys.generate_root(keys[0], begun["nonce"])
    sys.cancel_root_generation()
    with pytest.raises(InvalidRequest, match="no root generation in progress"):
        sys.generate_root(keys[1], begun["nonce"])


def test_rekeying_with_verification(own: Lab) -> None:
    sys, keys = own.client().sys, own.server.keys
    with pytest.raises(InvalidRequest, match="threshold cannot be larger than shares"):
        sys.start_rekey(secret_shares=2, secret_threshold=3)
    begun = sys.start_rekey(secret_shares=4, secret_threshold=3, require_verification=True)
    assert (begun["t"], begun["n"], begun["verification_required"]) == (3, 4, True)
    sys.rekey(keys[0], begun["nonce"])
    done = sys.rekey(keys[1], begun["nonce"])
    assert done["complete"] and len(done["keys"]) == 4 and done["verification_required"]
    assert (sys.read_seal_status()["t"], sys.read_seal_status()["n"]) == (2, 3)  # the old ones hold until the new ones are proved
    nonce = sys.read_rekey_verify_progress()["nonce"]
    assert nonce == done["verification_nonce"]
    with pytest.raises(InvalidRequest, match="rekey verification failed"):
        for key in (done["keys"][0], done["keys"][1], keys[0]):
            sys.rekey_verify(key, nonce)
    sys.rekey_verify(done["keys"][0], nonce)
    sys.cancel_rekey_verify()
    fresh = sys.read_rekey_verify_progress()
    assert fresh["progress"] == 0 and fresh["nonce"] != nonce
    with pytest.raises(InvalidRequest, match="incorrect nonce supplied"):
        sys.rekey_verify(done["keys"][0], nonce)
    assert sys.rekey_verify_multi(done["keys"][1:], fresh["nonce"])["complete"] is True
    with pytest.raises(InvalidRequest, match="no rekey operation in progress"):
        sys.read_rekey_verify_progress()
    own.root.sys.seal()
    with pytest.raises(InvalidRequest):
        sys.submit_unseal_keys(keys)
    sys.submit_unseal_key(reset=True)
    assert sys.submit_unseal_keys(done["keys"])["sealed"] is False
    assert own.root.is_authenticated()


def test_a_sealed_vault(own: Lab) -> None:
    own.root.sys.enable_auth_method("userpass")
    with pytest.raises(Forbidden):
        own.client().sys.seal()
    assert not own.root.sys.is_sealed()
    own.root.sys.seal()
    anyone = own.client()
    status = anyone.sys.read_seal_status()
    assert (status["sealed"], status["t"], status["n"], status["progress"]) == (True, 2, 3, 0)
    assert anyone.sys.read_health_status(method="GET").status_code == 503
    assert anyone.sys.read_health_status().status_code == 503  # HEAD
    assert anyone.sys.read_health_status(method="GET", sealed_code=299).status_code == 299
    assert anyone.sys.is_initialized()
    calls: list[Callable[[], Any]] = [
        lambda: own.root.read("cubbyhole/x"),
        lambda: own.root.auth.token.lookup_self(),
        lambda: own.root.sys.list_auth_methods(),
        lambda: anyone.auth.userpass.login("mei", "x"),
        lambda: anyone.sys.unwrap("hvs.nothing"),
        lambda: anyone.sys.start_root_token_generation(),
        lambda: anyone.sys.start_rekey(secret_shares=1, secret_threshold=1),
        lambda: own.root.adapter.get("/v1/no/such/path"),
    ]
    for call in calls:
        with pytest.raises(VaultDown, match="Vault is sealed"):
            call()
    with pytest.raises(InvalidRequest):
        anyone.sys.submit_unseal_key("not a share")
    assert anyone.sys.submit_unseal_key(own.server.keys[0])["progress"] == 1
    assert anyone.sys.submit_unseal_key(own.server.keys[0])["progress"] == 1  # the same again counts once
    assert anyone.sys.submit_unseal_key(own.server.keys[2])["sealed"] is False
    assert own.root.is_authenticated() and "userpass/" in own.root.sys.list_auth_methods()["data"]
