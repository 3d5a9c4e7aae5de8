"""The real packer against the local cloud: what a build leaves when it succeeds, fails, is interrupted or killed, and what an image is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from haechi.pipeline.cloud import ECS
from haechi.pipeline.leftovers import find_leftovers, remove_leftovers
from tests.leftovers import leftovers
from tests.vaultserver import VaultServer
from tests.witness.conftest import Server, running
from tests.witness.packer import DEBIAN, Packer, client, end, image_of, inventory, template, tree_holds

SITE = 11
ROOT = Path(__file__).parents[2]
BLUEPRINT = ROOT / "blueprints" / "meow" / "02_image"
HELPER = ROOT / "src" / "haechi" / "sshhelper" / "vault_ssh_helper.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("packer") / "home"
    with running(SITE, home) as server:
        yield server
    assert leftovers(SITE, home) == {}


@pytest.fixture
def packer(server: Server, tmp_path: Path) -> Packer:
    return Packer(server, tmp_path)


def doctor(server: Server) -> dict[str, Any]:
    """What the server tells `haechi doctor`."""
    transport = httpx.HTTPTransport(uds=f"/run/haechi-{SITE}/control.sock")
    with httpx.Client(transport=transport, base_url="http://haechi", timeout=60) as control:
        told: dict[str, Any] = control.get("/doctor").json()
        return told


def delete_images(server: Server) -> None:
    cloud = client(server)
    own = cloud.call("ecs", ECS, "DescribeImages", {"ImageOwnerAlias": "self", "Status": "ALL", "PageSize": 100})["Images"]["Image"]
    for image in own:
        cloud.call("ecs", ECS, "DeleteImage", {"ImageId": image["ImageId"], "Force": True})
        for disk in image["DiskDeviceMappings"]["DiskDeviceMapping"]:
            cloud.call("ecs", ECS, "DeleteSnapshot", {"SnapshotId": disk["SnapshotId"], "Force": True})


def test_build_and_build_again(server: Server, packer: Packer) -> None:
    before = inventory(server)
    packer.write(template("again", "echo once > /root/made"))
    first = image_of(packer.run("build"))
    assert "is used by an existing alicloud image" in packer.run("build", code=1)
    second = image_of(packer.run("build", "-force"))
    after = inventory(server)
    assert first != second and after["DescribeImages"] - before["DescribeImages"] == {second}
    assert len(after["DescribeSnapshots"] - before["DescribeSnapshots"]) == 1
    kept = ("DescribeImages", "DescribeSnapshots")
    assert {k: v for k, v in after.items() if k not in kept} == {k: v for k, v in before.items() if k not in kept}
    assert doctor(server) == {"faults": [], "mended": [], "temporaries": []}
    delete_images(server)
    assert inventory(server) == before


def test_an_image_in_use_is_not_deleted(server: Server, packer: Packer) -> None:
    """The template that overwrites it fails after its provisioners, as on the real cloud, and cleans up."""
    packer.write(template("used", "true"))
    image = image_of(packer.run("build"))
    cloud = client(server)
    host = Host(server, image)
    try:
        before = inventory(server)
        assert "ImageUsingByInstance" in packer.run("build", "-force", code=1)
        assert inventory(server) == before
        cloud.call("ecs", ECS, "DeleteImage", {"ImageId": image, "Force": True})  # the host keeps its layers
        assert host.ssh_banner()
    finally:
        host.close()
    delete_images(server)


@pytest.mark.parametrize("why", ["false", "exit 7"])
def test_a_failing_provisioner(why: str, server: Server, packer: Packer) -> None:
    before = inventory(server)
    packer.write(template("failing", why))
    assert "Script exited with non-zero exit status" in packer.run("build", code=1)
    assert inventory(server) == before


def test_a_template_for_red_hat(server: Server, packer: Packer) -> None:
    """What this image is stands in its description; yum and `passwd --stdin` are not there, and the build says so."""
    before = inventory(server)
    image = "centos_7_9_x64_20G_alibase_20210824.vhd"
    packer.write(template("red", "echo secret | passwd --stdin root", "yum -y install httpd", source=image))
    out = packer.run("build", code=1)
    assert "unrecognized option '--stdin'" in out and "exit status: 6" in out
    packer.write(template("red", "yum -y install httpd", source=image))
    out = packer.run("build", code=1)
    assert "yum: not found" in out and "exit status: 127" in out
    assert inventory(server) == before
    [found] = client(server).call("ecs", ECS, "DescribeImages", {"ImageId": image})["Images"]["Image"]
    assert "Debian 12, not CentOS" in found["Description"] or "is Debian 12" in found["Description"]


PHASES = (
    "Creating vpc",
    "Creating instance",
    "Allocating eip",
    "Starting instance",
    "Connected to SSH",
    "Stopping instance",
    "Creating image",
)


@pytest.mark.parametrize("marker", PHASES)
def test_interrupted(marker: str, server: Server, packer: Packer) -> None:
    before = inventory(server)
    packer.write(template("interrupted", "sleep 2"))
    out = packer.signal_at(marker, signal.SIGINT, "build")
    assert "Cleanly cancelled builds after being interrupted" in out
    assert inventory(server) == before
    assert doctor(server) == {"faults": [], "mended": [], "temporaries": []}


def test_killed(server: Server, packer: Packer) -> None:
    """Everything stays; the cloud tells what it is, and it can be taken away, but not while the build lives."""
    before = inventory(server)
    packer.write(template("killed", "sleep 600"))
    told: list[dict[str, Any]] = []
    alive: list[int] = []

    process = packer.start("build")
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Connected to SSH" in line:
                told = doctor(server)["temporaries"]
                alive = [len(find_leftovers(told, server.port))]
                os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    finally:
        end(process)
    assert sorted(t["kind"] for t in told) == sorted(("instance", "eip", "security_group", "vswitch", "vpc", "key_pair"))
    assert all(t["agent"].startswith("HashiCorp-Packer/") for t in told) and alive == [0]
    found = find_leftovers(doctor(server)["temporaries"], server.port)
    assert {one.id for one in found} == {t["id"] for t in told}
    assert inventory(server) != before
    assert len(list(remove_leftovers(client(server), found))) == 6
    assert inventory(server) == before


def test_two_at_once_and_a_large_file(server: Server, tmp_path: Path) -> None:
    data = os.urandom(50 << 20)
    (tmp_path / "data").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    before = inventory(server)
    builds = []
    for name in ("one", "two"):
        place = tmp_path / name
        place.mkdir()
        packer = Packer(server, place)
        check = f"echo {digest} /tmp/upload | sha256sum -c"
        packer.write(template(name, check, f"echo {name} > /root/who", "rm /tmp/upload", upload=str(tmp_path / "data")))
        builds.append(packer.start("build"))
    try:
        outs = [build.communicate(timeout=300)[0] for build in builds]
    finally:
        for build in builds:
            end(build)
    assert [build.returncode for build in builds] == [0, 0], outs
    layers = server.home / "images" / "layer"
    assert [(layers / image_of(out) / "root" / "who").read_text() for out in outs] == ["one\n", "two\n"]
    delete_images(server)
    assert inventory(server) == before


class Host:
    """An instance of an image, in a network of its own, without user data."""

    def __init__(self, server: Server, image: str, amount: int = 1) -> None:
        self.cloud = client(server)
        call = self.cloud.call
        self.vpc = call("vpc", "2016-04-28", "CreateVpc", {"CidrBlock": "10.0.0.0/8"})["VpcId"]
        zone = call("ecs", ECS, "DescribeZones")["Zones"]["Zone"][0]["ZoneId"]
        vswitch = {"VpcId": self.vpc, "CidrBlock": "10.0.0.0/24", "ZoneId": zone}
        self.vswitch = call("vpc", "2016-04-28", "CreateVSwitch", vswitch)["VSwitchId"]
        self.group = call("ecs", ECS, "CreateSecurityGroup", {"VpcId": self.vpc})["SecurityGroupId"]
        everything = {"IpProtocol": "all", "PortRange": "-1/-1", "SourceCidrIp": "0.0.0.0/0"}
        call("ecs", ECS, "AuthorizeSecurityGroup", {"SecurityGroupId": self.group, "Permissions": [everything]})
        wanted = {"ImageId": image, "InstanceType": "ecs.t6-c1m1.large", "SecurityGroupId": self.group, "VSwitchId": self.vswitch}
        more = {"Amount": amount, "InternetMaxBandwidthOut": 100, "HostName": "golden"}
        self.started = time.monotonic()
        self.ids = call("ecs", ECS, "RunInstances", {**wanted, **more})["InstanceIdSets"]["InstanceIdSet"]
        found = call("ecs", ECS, "DescribeInstances", {"InstanceIds": json.dumps(self.ids)})["Instances"]["Instance"]
        self.addresses = [i["PublicIpAddress"]["IpAddress"][0] for i in found]
        self.ids = [i["InstanceId"] for i in found]

    def ssh_banner(self) -> bool:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((self.addresses[0], 22), timeout=1) as connection:
                    if connection.recv(4) == b"SSH-":
                        return True
            except OSError:
                time.sleep(0.05)
        return False

    def page(self, number: int) -> str:
        deadline = time.monotonic() + 60
        while True:
            try:
                return httpx.get(f"http://{self.addresses[number]}/", trust_env=False, timeout=2).raise_for_status().text
            except httpx.HTTPError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def close(self) -> None:
        for id in self.ids:
            self.cloud.call("ecs", ECS, "DeleteInstance", {"InstanceId": id, "Force": True})
        while self.cloud.call("ecs", ECS, "DescribeInstances", {"InstanceIds": json.dumps(self.ids)})["TotalCount"]:
            time.sleep(0.1)
        self.cloud.call("ecs", ECS, "DeleteSecurityGroup", {"SecurityGroupId": self.group})
        self.cloud.call("vpc", "2016-04-28", "DeleteVSwitch", {"VSwitchId": self.vswitch})
        self.cloud.call("vpc", "2016-04-28", "DeleteVpc", {"VpcId": self.vpc})


@pytest.fixture
def vault(server: Server, tmp_path: Path) -> Iterator[VaultServer]:
    """Where both the machine and the instances reach it, with what `haechi up` writes into one."""
    vault = VaultServer(tmp_path, host=f"198.18.{16 * SITE}.1")
    vault.start()
    vault.initialize()
    vault.call("POST", "sys/mounts/kv-v2", {"type": "kv", "options": {"version": "2"}})
    vault.call("POST", "kv-v2/data/alicloud", {"data": {"access_key": server.key, "secret_key": server.secret}})
    vault.call("POST", "sys/policies/acl/packer", {"policy": 'path "kv-v2/data/alicloud" {\n  capabilities = ["read"]\n}\n'})
    vault.call("POST", "sys/mounts/ssh-otp", {"type": "ssh"})
    role = {"key_type": "otp", "default_user": "test", "allowed_users": "test", "cidr_list": "0.0.0.0/0"}
    vault.call("POST", "ssh-otp/roles/otp_key_role", role)
    yield vault
    vault.close()


def log_in(vault: VaultServer, place: Path, address: str, for_address: str, command: str) -> subprocess.CompletedProcess[str]:
    """OpenSSH with a one-time password that Vault gave for `for_address`."""
    otp = vault.call("POST", "ssh-otp/creds/otp_key_role", {"ip": for_address, "username": "test"})["data"]["key"]
    askpass = place / "askpass"
    askpass.write_text(f"#!/bin/sh\necho {otp}\n")
    askpass.chmod(0o700)
    options = {
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": str(place / "known_hosts"),
        "PreferredAuthentications": "keyboard-interactive",
        "PubkeyAuthentication": "no",
        "NumberOfPasswordPrompts": "1",
        "LogLevel": "ERROR",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    environment = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    return subprocess.run(["ssh", *words, f"test@{address}", command], env=environment, capture_output=True, text=True, timeout=60)


def test_the_blueprint(server: Server, vault: VaultServer, tmp_path: Path) -> None:
    """Built with keys from Vault; hosts of it serve the page and take one-time passwords, each its own; no secret is anywhere."""
    place = tmp_path / "02_image"
    shutil.copytree(BLUEPRINT, place)
    token = vault.call("POST", "auth/token/create", {"policies": ["packer"], "ttl": "1h"})["auth"]["client_token"]
    none = {"ALICLOUD_ACCESS_KEY": "", "ALICLOUD_SECRET_KEY": ""}
    packer = Packer(server, place, {**none, "VAULT_ADDR": vault.address, "VAULT_TOKEN": token})
    variables = {"vault_addr": vault.address, "ssh_helper": str(HELPER), "region": server.tools["ALICLOUD_REGION"]}
    words = [word for name, value in variables.items() for word in ("-var", f"{name}={value}")]
    before = inventory(server)
    packer.run("validate", *words)
    out = packer.run("build", "-force", *words)
    assert "vault-ssh-helper verification successful" in out
    image = image_of(out)
    [found] = client(server).call("ecs", ECS, "DescribeImages", {"ImageId": image})["Images"]["Image"]
    assert found["ImageName"] == "meow-golden-1" and found["Size"] == 20

    layer = server.home / "images" / "layer" / image
    secrets = [server.secret.encode(), token.encode(), vault.root.encode()]
    assert packer.log.stat().st_size > 10_000 and not any(s.decode() in out for s in secrets)
    assert tree_holds(layer, secrets) + tree_holds(packer.log, secrets) + tree_holds(server.home / "log", secrets) == []
    assert tree_holds(layer, [vault.address.encode()]) and tree_holds(packer.log, [b"vault_otp.sh"])  # we do look into them
    assert tree_holds(layer, [b"packer_", b"ssh-rsa AAAA"]) == []
    for absent in ("root/.ssh/authorized_keys", "etc/ssh/ssh_host_ed25519_key", "var/www/html/index.html", "etc/hostname"):
        assert not (layer / absent).is_file()
    assert (layer / "etc/machine-id").read_text() == "" and [p for p in (layer / "tmp").rglob("*") if p.is_file()] == []
    assert [p for p in (layer / "var/log").rglob("*") if p.is_file()] == []

    host = Host(server, image, amount=2)
    try:
        for number, id in enumerate(host.ids):
            assert f'<code id="instance">{id}</code>' in host.page(number)
        one, two = host.addresses
        inside = "systemctl is-system-running --wait; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub; cat /etc/machine-id"
        shown = [log_in(vault, tmp_path, a, a, inside) for a in (one, two)]
        told = [s.stdout.split() for s in shown]
        assert [t[0] for t in told] == ["running", "running"] and [len(t) for t in told] == [3, 3], shown
        assert told[0][1] != told[1][1] and told[0][2] != told[1][2]
        crossed = log_in(vault, tmp_path, one, two, "true")  # a password for the neighbour opens nothing here
        assert crossed.returncode == 255 and "Permission denied" in crossed.stderr
    finally:
        host.close()
    delete_images(server)
    assert inventory(server) == before


def test_sources_that_are_copied() -> None:
    """The cat of the image is the cat of the public way."""
    assert (BLUEPRINT / "files/cat.svg").read_bytes() == (BLUEPRINT.parent / "03_app/files/cat.svg").read_bytes()
    assert DEBIAN in (BLUEPRINT / "variables.pkr.hcl").read_text()
