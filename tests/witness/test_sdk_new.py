"""The vendor's current SDKs (ACS3-HMAC-SHA256) as judges: create, list, page, delete; refusals by code."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_slb20140515 import models as slb_models
from alibabacloud_slb20140515.client import Client as Slb
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config
from alibabacloud_vpc20160428 import models as vpc_models
from alibabacloud_vpc20160428.client import Client as Vpc

from tests.witness.conftest import Server

REGION = "ap-southeast-1"


def config(server: Server, key: str = "", secret: str = "", protocol: str = "http") -> Config:
    return Config(
        access_key_id=key or server.key,
        access_key_secret=secret or server.secret,
        endpoint=f"127.0.0.1:{server.port}",
        region_id=REGION,
        protocol=protocol,
    )


def wait(what: Callable[[], Any], seconds: float = 60) -> Any:
    """The first true value of `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError("it did not come true in time")


def refused(call: Callable[[], Any]) -> str:
    """The error code of a call that must fail."""
    with pytest.raises(Exception) as caught:
        call()
    return str(getattr(caught.value, "code", "") or caught.value)


def test_networks_page_and_go(server: Server) -> None:
    vpc = Vpc(config(server))
    made = [
        vpc.create_vpc(vpc_models.CreateVpcRequest(region_id=REGION, vpc_name=f"sdk-{n}", cidr_block="10.0.0.0/8")).body.vpc_id
        for n in range(5)
    ]
    seen: list[str] = []
    for number in (1, 2, 3):
        page = vpc.describe_vpcs(vpc_models.DescribeVpcsRequest(region_id=REGION, page_number=number, page_size=2)).body
        assert page.total_count >= 5 and page.page_number == number
        seen += [v.vpc_id for v in page.vpcs.vpc]
    assert len(seen) == len(set(seen)) and len(set(seen)) >= 5
    for id in made:
        vpc.delete_vpc(vpc_models.DeleteVpcRequest(region_id=REGION, vpc_id=id))
    left = vpc.describe_vpcs(vpc_models.DescribeVpcsRequest(region_id=REGION, page_size=50)).body.vpcs.vpc
    assert not {v.vpc_id for v in left} & set(made)


def test_an_instance_lives_and_dies(server: Server) -> None:
    vpc, ecs = Vpc(config(server)), Ecs(config(server))
    network = vpc.create_vpc(vpc_models.CreateVpcRequest(region_id=REGION, cidr_block="172.16.0.0/12")).body.vpc_id
    zone = ecs.describe_zones(ecs_models.DescribeZonesRequest(region_id=REGION)).body.zones.zone[0].zone_id
    subnet = vpc.create_vswitch(
        vpc_models.CreateVSwitchRequest(region_id=REGION, vpc_id=network, cidr_block="172.16.5.0/24", zone_id=zone)
    ).body.v_switch_id
    group = ecs.create_security_group(ecs_models.CreateSecurityGroupRequest(region_id=REGION, vpc_id=network)).body.security_group_id
    assert "DependencyViolation" in refused(lambda: vpc.delete_vpc(vpc_models.DeleteVpcRequest(region_id=REGION, vpc_id=network)))
    image = (
        ecs.describe_images(ecs_models.DescribeImagesRequest(region_id=REGION, image_owner_alias="system")).body.images.image[0].image_id
    )
    request = ecs_models.RunInstancesRequest(
        region_id=REGION,
        image_id=image,
        instance_type="ecs.t6-c1m1.large",
        security_group_id=group,
        v_switch_id=subnet,
        amount=3,
        client_token=uuid.uuid4().hex,
        tag=[ecs_models.RunInstancesRequestTag(key="who", value="sdk")],
    )
    ids = ecs.run_instances(request).body.instance_id_sets.instance_id_set
    assert ecs.run_instances(request).body.instance_id_sets.instance_id_set == ids  # the same token, the same instances
    assert len(ids) == 3

    def described(**more: Any) -> list[Any]:
        answer = ecs.describe_instances(ecs_models.DescribeInstancesRequest(region_id=REGION, **more)).body
        return list(answer.instances.instance)

    wait(lambda: all(i.status == "Running" for i in described(v_switch_id=subnet)))
    tagged = described(tag=[ecs_models.DescribeInstancesRequestTag(key="who", value="sdk")])
    assert {i.instance_id for i in tagged} == set(ids)
    first = ecs.describe_instances(ecs_models.DescribeInstancesRequest(region_id=REGION, v_switch_id=subnet, max_results=2)).body
    rest = ecs.describe_instances(
        ecs_models.DescribeInstancesRequest(region_id=REGION, v_switch_id=subnet, max_results=2, next_token=first.next_token)
    ).body
    assert len(first.instances.instance) == 2 and len(rest.instances.instance) == 1 and not rest.next_token

    ecs.stop_instance(ecs_models.StopInstanceRequest(instance_id=ids[0]))
    wait(lambda: described(instance_ids=f'["{ids[0]}"]')[0].status == "Stopped")
    assert "IncorrectInstanceStatus" in refused(lambda: ecs.reboot_instance(ecs_models.RebootInstanceRequest(instance_id=ids[0])))
    ecs.start_instance(ecs_models.StartInstanceRequest(instance_id=ids[0]))
    wait(lambda: described(instance_ids=f'["{ids[0]}"]')[0].status == "Running")
    disks = ecs.describe_disks(ecs_models.DescribeDisksRequest(region_id=REGION, instance_id=ids[0])).body.disks.disk
    assert [d.type for d in disks] == ["system"]

    assert "IncorrectInstanceStatus" in refused(
        lambda: ecs.delete_instance(ecs_models.DeleteInstanceRequest(instance_id=ids[0], force=False))
    )
    for id in ids:
        ecs.delete_instance(ecs_models.DeleteInstanceRequest(instance_id=id, force=True))
    wait(lambda: not described(v_switch_id=subnet))
    ecs.delete_security_group(ecs_models.DeleteSecurityGroupRequest(region_id=REGION, security_group_id=group))
    vpc.delete_vswitch(vpc_models.DeleteVSwitchRequest(region_id=REGION, v_switch_id=subnet))
    vpc.delete_vpc(vpc_models.DeleteVpcRequest(region_id=REGION, vpc_id=network))


def test_load_balancers(server: Server) -> None:
    slb = Slb(config(server))
    made = [
        slb.create_load_balancer(
            slb_models.CreateLoadBalancerRequest(region_id=REGION, load_balancer_name=f"sdk-{n}", address_type="internet")
        ).body
        for n in range(3)
    ]
    names = {b.load_balancer_name for b in made}
    page = slb.describe_load_balancers(slb_models.DescribeLoadBalancersRequest(region_id=REGION, page_size=2, page_number=2)).body
    assert page.total_count >= 3 and page.page_number == 2
    assert len(names) == 3
    for balancer in made:
        slb.delete_load_balancer(slb_models.DeleteLoadBalancerRequest(region_id=REGION, load_balancer_id=balancer.load_balancer_id))


def test_users_keys_and_refusals(server: Server) -> None:
    ram = Ram(config(server))
    for n in range(3):
        ram.create_user(ram_models.CreateUserRequest(user_name=f"sdk-{n}"))
    first = ram.list_users(ram_models.ListUsersRequest(max_items=2)).body
    assert first.is_truncated and len(first.users.user) == 2
    rest = ram.list_users(ram_models.ListUsersRequest(max_items=2, marker=first.marker)).body
    assert {u.user_name for u in first.users.user} & {u.user_name for u in rest.users.user} == set()

    key = ram.create_access_key(ram_models.CreateAccessKeyRequest(user_name="sdk-0")).body.access_key
    who = Sts(config(server, key.access_key_id, key.access_key_secret)).get_caller_identity().body
    assert who.identity_type == "RAMUser" and who.arn.endswith("user/sdk-0") and who.account_id == server.account
    ram.update_access_key(ram_models.UpdateAccessKeyRequest(user_name="sdk-0", user_access_key_id=key.access_key_id, status="Inactive"))
    sts = Sts(config(server, key.access_key_id, key.access_key_secret))
    assert "InvalidAccessKeyId.Inactive" in refused(sts.get_caller_identity)
    assert "DeleteConflict" in refused(lambda: ram.delete_user(ram_models.DeleteUserRequest(user_name="sdk-0")))
    ram.delete_access_key(ram_models.DeleteAccessKeyRequest(user_name="sdk-0", user_access_key_id=key.access_key_id))
    assert "InvalidAccessKeyId.NotFound" in refused(sts.get_caller_identity)
    for n in range(3):
        ram.delete_user(ram_models.DeleteUserRequest(user_name=f"sdk-{n}"))


def test_root_and_wrong_secret(server: Server) -> None:
    assert Sts(config(server)).get_caller_identity().body.identity_type == "Account"
    assert "SignatureDoesNotMatch" in refused(Sts(config(server, secret="wrong")).get_caller_identity)
    assert "InvalidAccessKeyId.NotFound" in refused(Sts(config(server, key="LTAInobody")).get_caller_identity)
