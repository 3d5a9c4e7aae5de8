"""The instance metadata service, pure and over a socket."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode

import httpx
import pytest

from haechi.cloud.metadata import Metadata, Service, answer, find_instance
from haechi.cloud.metadata_roles import RoleSessions
from tests.localcloud import ACCOUNT, LocalCloud
from tests.unit.ecs_bench import IMAGE, Bench, make_bench, make_key, make_role

SCRIPT = b"#!/bin/sh\necho \xff\n"


@pytest.fixture
def bench(cloud: LocalCloud) -> Bench:
    return make_bench(cloud)


class Asker:
    """Asks as one instance; `time` is the service's clock."""

    def __init__(self, bench: Bench, id: str) -> None:
        self.bench, self.id, self.time = bench, id, 1000.0
        self.service = Service(ACCOUNT, lambda: self.time, credentials=RoleSessions(bench.cloud.store))

    def __call__(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        view = self.bench.cloud.store.view()
        instance = view.get("instance", self.id)
        assert instance is not None
        lower = {k.replace("_", "-"): v for k, v in headers.items()}
        status, _, body = answer(self.service, view, instance, path, lower, method)
        return status, body.decode("latin-1")


@pytest.fixture
def ask(bench: Bench) -> Asker:
    key = make_key(bench.cloud)
    id = bench.run(HostName="web-1", InstanceName="web", KeyPairName=key, InternetMaxBandwidthOut=5, UserData=b64encode(SCRIPT).decode())
    return Asker(bench, id)


def test_items(bench: Bench, ask: Asker) -> None:
    seen = bench.get(ask.id)
    interface = seen["NetworkInterfaces"]["NetworkInterface"][0]
    public = seen["PublicIpAddress"]["IpAddress"][0]
    mac = interface["MacAddress"]
    for path, text in {
        "instance-id": ask.id,
        "hostname": "web-1",
        "region-id": "ap-southeast-1",
        "zone-id": "ap-southeast-1a",
        "private-ipv4": "10.1.0.1",
        "eipv4": public,
        "public-ipv4": public,
        "mac": mac,
        "vpc-id": bench.vpc,
        "vswitch-id": bench.vswitch,
        "vpc-cidr-block": "10.0.0.0/8",
        "vswitch-cidr-block": "10.1.0.0/24",
        "image-id": IMAGE,
        "instance/instance-type": "ecs.n1.tiny",
        "instance/instance-name": "web",
        "network-type": "vpc",
        "public-keys/0/openssh-key": "ssh-ed25519 AAAA me",
        "dns-conf/nameservers": "100.100.2.136\n100.100.2.138",
        "owner-account-id": ACCOUNT,
        "serial-number": seen["SerialNumber"],
        f"network/interfaces/macs/{mac}/gateway": "10.1.0.253",
        f"network/interfaces/macs/{mac}/netmask": "255.255.255.0",
        f"network/interfaces/macs/{mac}/primary-ip-address": "10.1.0.1",
        f"network/interfaces/macs/{mac}/private-ipv4s": '["10.1.0.1"]',
        f"network/interfaces/macs/{mac}/network-interface-id": interface["NetworkInterfaceId"],
    }.items():
        assert ask(f"/latest/meta-data/{path}") == (200, text), path
        assert ask(f"/2016-01-01/meta-data/{path}") == (200, text), path
    assert ask("/latest/meta-data/ntp-conf/ntp-servers")[0] == ask("/latest/meta-data/source-address")[0] == 200


def test_directories(ask: Asker) -> None:
    assert ask("/") == (200, "2016-01-01\nlatest")
    assert ask("/latest/") == ask("/latest") == (200, "dynamic/\nmeta-data/\nuser-data")
    top = ask("/latest/meta-data/")[1].split("\n")
    assert {"instance-id", "instance/", "network/", "public-keys/", "hostname"} <= set(top) and "ram/" not in top
    assert [t.rstrip("/") for t in top] == sorted(t.rstrip("/") for t in top)
    assert ask("/latest/meta-data/public-keys/") == (200, "0/")
    assert ask("/latest/meta-data/instance")[1].split("\n")[:2] == ["instance-name", "instance-type"]


@pytest.mark.parametrize("path", ["/nothing", "/latest/x", "/latest/meta-data/x", "/latest/meta-data/hostname/x", "/1999/meta-data"])
def test_what_is_not_there(ask: Asker, path: str) -> None:
    assert ask(path)[0] == 404


def test_user_data(bench: Bench, ask: Asker) -> None:
    assert ask("/latest/user-data") == (200, SCRIPT.decode("latin-1"))
    plain = Asker(bench, bench.run())
    assert plain("/latest/user-data")[0] == 404 and plain("/latest/") == (200, "dynamic/\nmeta-data/")
    assert plain("/latest/meta-data/public-keys/")[0] == plain("/latest/meta-data/eipv4")[0] == 404


def test_identity_document(bench: Bench, ask: Asker) -> None:
    status, text = ask("/latest/dynamic/instance-identity/document")
    document = json.loads(text)
    assert status == 200 and document["instance-id"] == ask.id and document["owner-account-id"] == ACCOUNT
    assert document["private-ipv4"] == "10.1.0.1" and document["zone-id"] == "ap-southeast-1a"


def test_eip_role_and_tags(bench: Bench, ask: Asker) -> None:
    make_role(bench.cloud, "app")
    bench.cloud.call("AttachInstanceRamRole", InstanceIds=f'["{ask.id}"]', RamRoleName="app")
    bench.cloud.call(
        "TagResources", version="2014-05-26", ResourceType="instance", ResourceId=[ask.id], Tag=[{"Key": "env", "Value": "dev"}]
    )
    assert ask("/latest/meta-data/ram/security-credentials/") == (200, "app")
    given = json.loads(ask("/latest/meta-data/ram/security-credentials/app")[1])
    assert given["Code"] == "Success" and given == json.loads(ask("/latest/meta-data/ram/security-credentials/app")[1])
    stored = bench.cloud.store.view().get("sts_credential", given["AccessKeyId"])
    assert stored is not None and stored["SecurityToken"] == given["SecurityToken"] and stored["RoleName"] == "app"
    assert ask("/latest/meta-data/ram/security-credentials/other")[0] == 404
    assert ask("/latest/meta-data/tags/instance/env")[0] == 404
    bench.cloud.call("ModifyInstanceMetadataOptions", InstanceId=ask.id, HttpEndpoint="enabled", InstanceMetadataTags="enabled")
    assert ask("/latest/meta-data/tags/instance/env") == (200, "dev")
    other = Asker(bench, bench.create())
    eip = bench.cloud.call("AllocateEipAddress", version="2016-04-28")
    bench.cloud.call("AssociateEipAddress", version="2016-04-28", AllocationId=eip["AllocationId"], InstanceId=other.id)
    assert other("/latest/meta-data/eipv4") == (200, eip["EipAddress"]) and other("/latest/meta-data/public-ipv4")[0] == 404


def test_tokens(bench: Bench, ask: Asker) -> None:
    status, token = ask("/latest/api/token", "PUT", x_aliyun_ecs_metadata_token_ttl_seconds="60")
    assert status == 200 and "\n" not in token
    for ttl in ("0", "21601", "", "x"):
        assert ask("/latest/api/token", "PUT", x_aliyun_ecs_metadata_token_ttl_seconds=ttl)[0] == 400
    assert ask("/latest/api/token", "GET")[0] == 405 and ask("/latest/meta-data/hostname", "POST")[0] == 405
    assert ask("/latest/meta-data/hostname")[0] == 200
    bench.cloud.call("ModifyInstanceMetadataOptions", InstanceId=ask.id, HttpEndpoint="enabled", HttpTokens="required")
    assert ask("/latest/meta-data/hostname")[0] == ask("/latest/user-data")[0] == 403
    assert ask("/latest/meta-data/hostname", x_aliyun_ecs_metadata_token=token) == (200, "web-1")
    assert ask("/latest/meta-data/hostname", x_aliyun_ecs_metadata_token=token + "0")[0] == 401
    assert ask("/latest/meta-data/hostname", x_aliyun_ecs_metadata_token="é")[0] == 401
    other = Asker(bench, bench.create())
    other.service = ask.service
    assert other("/latest/meta-data/hostname", x_aliyun_ecs_metadata_token=token)[0] == 401
    ask.time += 61
    assert ask("/latest/meta-data/hostname", x_aliyun_ecs_metadata_token=token)[0] == 401
    forwarded = {"x_aliyun_ecs_metadata_token_ttl_seconds": "60", "x_forwarded_for": "1.2.3.4"}
    assert ask("/latest/api/token", "PUT", **forwarded)[0] == 403
    bench.cloud.call("ModifyInstanceMetadataOptions", InstanceId=ask.id, HttpEndpoint="disabled")
    assert ask("/latest/meta-data/hostname")[0] == 403


def test_who_asks(bench: Bench, ask: Asker) -> None:
    view = bench.cloud.store.view()
    found = find_instance(view, bench.vpc, "10.1.0.1")
    assert found is not None and found.id == ask.id
    assert find_instance(view, bench.vpc, "10.1.0.2") is None and find_instance(view, "vpc-other", "10.1.0.1") is None


def test_over_a_socket(bench: Bench, ask: Asker) -> None:
    with bench.cloud.store.write() as tx:
        instance = tx.get("instance", ask.id)
        assert instance is not None
        tx.change(instance, PrivateIpAddress="127.0.0.1", RamRoleName="app")
    make_role(bench.cloud, "app")

    async def session() -> None:
        metadata = Metadata(bench.cloud.runtime)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        metadata.serve(bench.vpc, listener)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            for _ in range(2):  # on one connection
                assert (await http.get("/latest/meta-data/instance-id")).text == ask.id
            assert (await http.get("/latest/user-data")).content == SCRIPT
            assert (await http.get("/latest/nothing")).status_code == 404
            head = await http.head("/latest/meta-data/instance-id")
            assert head.headers["content-length"] == str(len(ask.id)) and head.content == b""
            token = (await http.put("/latest/api/token", headers={"X-aliyun-ecs-metadata-token-ttl-seconds": "60"})).text
            good = await http.get("/latest/meta-data/hostname", headers={"X-aliyun-ecs-metadata-token": token})
            assert good.text == "web-1"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 20000)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            role = await http.get("/latest/meta-data/ram/security-credentials/app")
            assert role.json()["Code"] == "Success" and role.headers["connection"] == "close"
            assert (await http.get("/latest/meta-data/ram/security-credentials/")).text == "app"
        metadata.close()
        await asyncio.sleep(0)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(session())


def test_a_stranger_gets_nothing(bench: Bench, ask: Asker) -> None:
    metadata = Metadata(bench.cloud.runtime)
    assert metadata.reply(bench.vpc, "10.1.0.99", "/latest/meta-data/instance-id", {}, "GET")[0] == 404
