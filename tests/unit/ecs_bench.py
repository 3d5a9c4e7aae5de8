"""What tests of instances need before they start: a network, a group, and patience."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.localcloud import LocalCloud, Refused

IMAGE = "debian_12_5_x64_20G_alibase_20240325.vhd"
TYPE = "ecs.n1.tiny"
GROUP = {
    "SecurityGroupName": "",
    "Description": "",
    "SecurityGroupType": "normal",
    "InnerAccessPolicy": "Accept",
    "Rules": [],
    "Tags": {},
    "CreatedAt": 1,
}


@dataclass
class Bench:
    """A cloud with one VPC, two vSwitches in two zones and a security group."""

    cloud: LocalCloud
    vpc: str
    vswitch: str
    other: str
    group: str

    def run(self, wait: bool = True, **params: Any) -> str:
        """RunInstances of one instance; its id once it runs."""
        base = {"ImageId": IMAGE, "InstanceType": TYPE, "VSwitchId": self.vswitch, "SecurityGroupId": self.group}
        given = {k: v for k, v in {**base, **params}.items() if v is not None}
        id: str = self.cloud.call("RunInstances", **given)["InstanceIdSets"]["InstanceIdSet"][0]
        if wait:
            self.wait(id, "Running")
        return id

    def create(self, **params: Any) -> str:
        """CreateInstance; it stays Stopped."""
        base = {"ImageId": IMAGE, "InstanceType": TYPE, "VSwitchId": self.vswitch, "SecurityGroupId": self.group}
        id: str = self.cloud.call("CreateInstance", **{**base, **params})["InstanceId"]
        return id

    def get(self, id: str) -> dict[str, Any]:
        items = self.cloud.call("DescribeInstances", InstanceIds=f'["{id}"]')["Instances"]["Instance"]
        return items[0] if items else {}

    def wait(self, id: str, status: str) -> dict[str, Any]:
        """The instance once it has a status; {} when it is to vanish (status "")."""
        return until(lambda: self.get(id), lambda i: i.get("Status", "") == status)

    def stored(self, id: str, kind: str = "instance") -> Any:
        return self.cloud.store.view().get(kind, id)


def until(read: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + 5
    while True:
        value = read()
        if good(value):
            return value
        assert time.monotonic() < end, value
        time.sleep(0.005)


def make_bench(cloud: LocalCloud) -> Bench:
    vpc = cloud.call("CreateVpc", version="2016-04-28", CidrBlock="10.0.0.0/8")["VpcId"]
    one, two = (
        cloud.call("CreateVSwitch", version="2016-04-28", VpcId=vpc, CidrBlock=cidr, ZoneId=zone)["VSwitchId"]
        for cidr, zone in (("10.1.0.0/24", "ap-southeast-1a"), ("10.2.0.0/24", "ap-southeast-1b"))
    )
    return Bench(cloud, vpc, one, two, make_group(cloud, vpc))


def make_group(cloud: LocalCloud, vpc: str, id: str = "sg-one") -> str:
    """A security group put straight into the store: security groups have tests of their own."""
    with cloud.store.write() as tx:
        tx.put("security_group", id, "ap-southeast-1", {**GROUP, "VpcId": vpc})
    return id


def make_key(cloud: LocalCloud, name: str = "pair") -> str:
    data = {"KeyPairName": name, "KeyPairFingerPrint": "aa", "PublicKey": "ssh-ed25519 AAAA me", "Tags": {}, "CreatedAt": 1}
    with cloud.store.write() as tx:
        tx.put("key_pair", f"ap-southeast-1/{name}", "ap-southeast-1", data)
    return name


def make_role(cloud: LocalCloud, name: str, service: str = "ecs.aliyuncs.com") -> None:
    """A RAM role that a service may assume."""
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": [service]}}
    document = json.dumps({"Version": "1", "Statement": [allow]})
    cloud.call("CreateRole", version="2015-05-01", RoleName=name, AssumeRolePolicyDocument=document)


def refused(cloud: LocalCloud, action: str, code: str, status: int = 400, **params: Any) -> None:
    """The action is refused with this code and status, and nothing is stored."""
    before = dict(cloud.store.view().tables)
    with pytest.raises(Refused) as error:
        cloud.call(action, version="2014-05-26", **params)
    assert (error.value.code, error.value.status) == (code, status), error.value
    assert dict(cloud.store.view().tables) == before
