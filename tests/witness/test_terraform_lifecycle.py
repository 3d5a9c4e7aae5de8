"""Each resource's life on the real local cloud, with the real terraform and haechi's provider, through the door and its CA.

Apply with ten at once, empty plan, change, empty plan, import, destroy; then nothing may be left of hosts and packets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.clients.aliyun import Aliyun
from tests.unit.provider_bench import Terraform, changes_of
from tests.unit.provider_cases import IMAGE, LIVES, Life, live
from tests.witness.conftest import Server

# No keys, no endpoints: what `haechi env` sets has to be enough.
PROVIDER = """
terraform {
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = "~> 1.140"
    }
  }
}
provider "alicloud" {
}
"""


@pytest.fixture
def terraform(server: Server, tmp_path: Path) -> Iterator[Terraform]:
    terraform = Terraform(tmp_path, server.tools)
    terraform.write(PROVIDER, "provider.tf")
    yield terraform
    if terraform.state():
        terraform.destroy()


def client(server: Server, key: str = "", secret: str = "") -> Aliyun:
    given = {name: f"127.0.0.1:{server.port}" for name in ("ecs", "vpc", "slb", "ram", "sts")}
    return Aliyun(server.tools["ALICLOUD_REGION"], key or server.key, secret or server.secret, endpoints=given, protocol="http")


def left_over(server: Server) -> dict[str, Any]:
    """How many objects of each kind the account has."""
    cloud = client(server)
    asked = [
        ("vpc", "2016-04-28", "DescribeVpcs"),
        ("vpc", "2016-04-28", "DescribeVSwitches"),
        ("vpc", "2016-04-28", "DescribeEipAddresses"),
        ("ecs", "2014-05-26", "DescribeInstances"),
        ("ecs", "2014-05-26", "DescribeDisks"),
        ("ecs", "2014-05-26", "DescribeSecurityGroups"),
        ("ecs", "2014-05-26", "DescribeKeyPairs"),
        ("slb", "2014-05-15", "DescribeLoadBalancers"),
    ]
    return {action: count for product, version, action in asked if (count := cloud.call(product, version, action)["TotalCount"])}


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_life(life: Life, terraform: Terraform, server: Server) -> None:
    before = left_over(server)
    live(life, terraform)
    assert left_over(server) == before
    server.haechi("doctor")


DATA = f"""
data "alicloud_regions" "here" {{
  current = true
}}
data "alicloud_zones" "z" {{
  available_disk_category     = "cloud_efficiency"
  available_resource_creation = "VSwitch"
}}
data "alicloud_zones" "slb" {{
  available_resource_creation = "Slb"
  enable_details              = true
}}
data "alicloud_instance_types" "t" {{
  availability_zone = data.alicloud_zones.z.zones[0].id
  cpu_core_count    = 1
  memory_size       = 1
}}
data "alicloud_images" "i" {{
  name_regex  = "^ubuntu"
  owners      = "system"
  most_recent = true
}}
data "alicloud_account" "a" {{
}}
data "alicloud_caller_identity" "me" {{
}}
resource "alicloud_vpc" "v" {{
  vpc_name   = "seen"
  cidr_block = "10.0.0.0/8"
  tags       = {{ stage = "seen" }}
}}
resource "alicloud_vswitch" "s" {{
  vswitch_name = "seen"
  vpc_id       = alicloud_vpc.v.id
  cidr_block   = "10.1.0.0/16"
  zone_id      = data.alicloud_zones.z.zones[0].id
}}
resource "alicloud_security_group" "g" {{
  security_group_name = "seen"
  vpc_id              = alicloud_vpc.v.id
}}
resource "alicloud_instance" "i" {{
  instance_name   = "seen"
  image_id        = "{IMAGE}"
  instance_type   = data.alicloud_instance_types.t.instance_types[0].id
  security_groups = [alicloud_security_group.g.id]
  vswitch_id      = alicloud_vswitch.s.id
}}
resource "alicloud_slb_load_balancer" "lb" {{
  load_balancer_name = "seen"
  address_type       = "internet"
}}
data "alicloud_vpcs" "v" {{
  ids  = [alicloud_vpc.v.id]
  tags = {{ stage = "seen" }}
}}
data "alicloud_vswitches" "s" {{
  vpc_id     = alicloud_vswitch.s.vpc_id
  name_regex = "^se"
}}
data "alicloud_instances" "i" {{
  ids = [alicloud_instance.i.id]
}}
data "alicloud_slb_load_balancers" "lb" {{
  ids            = [alicloud_slb_load_balancer.lb.id]
  enable_details = true
}}
data "alicloud_slbs" "none" {{
  name_regex = "^no such name$"
  depends_on = [alicloud_slb_load_balancer.lb]
}}
output "seen" {{
  value = {{
    region   = data.alicloud_regions.here.regions[0].id
    account  = data.alicloud_account.a.id
    caller   = data.alicloud_caller_identity.me.account_id
    image    = data.alicloud_images.i.images[0].name
    slb_zone = data.alicloud_zones.slb.zones[0].slb_slave_zone_ids
    vpc      = data.alicloud_vpcs.v.vpcs[0].vpc_name
    vswitch  = data.alicloud_vswitches.s.vswitches[0].zone_id
    private  = data.alicloud_instances.i.instances[0].private_ip == alicloud_instance.i.private_ip
    disks    = data.alicloud_instances.i.instances[0].disk_device_mappings[0].type
    address  = data.alicloud_slb_load_balancers.lb.balancers[0].address == alicloud_slb_load_balancer.lb.address
    none     = length(data.alicloud_slbs.none.slbs)
  }}
}}
"""


def test_data_sources(terraform: Terraform, server: Server) -> None:
    terraform.write(DATA)
    terraform.init()
    terraform.apply()
    terraform.plan_is_empty()
    seen = json.loads(terraform.run("output", "-json", "seen").stdout)
    assert seen["image"].startswith("ubuntu") and seen["slb_zone"]
    expected = {"region": server.tools["ALICLOUD_REGION"], "account": server.account, "caller": server.account, "vpc": "seen", "none": 0}
    expected |= {"private": True, "address": True, "disks": "system"}
    assert {name: seen[name] for name in expected} == expected


def test_wrong_keys_are_told(terraform: Terraform) -> None:
    terraform.environment["ALICLOUD_SECRET_KEY"] = "not-the-secret"
    terraform.write('data "alicloud_zones" "z" {\n}\n')
    terraform.init()
    done = terraform.run("plan", "-no-color", codes=(1,))
    assert "SignatureDoesNotMatch" in done.stderr and "not-the-secret" not in done.stdout + done.stderr


def test_a_failed_create_is_kept_and_mended(terraform: Terraform) -> None:
    """What exists after an error is in the state (tainted), and the next apply replaces it."""
    broken = """
resource "alicloud_slb_load_balancer" "lb" {
  load_balancer_name = "half"
  address_type       = "internet"
  tags               = { "acs:forbidden" = "x" }
}
"""
    terraform.write(broken)
    terraform.init()
    terraform.run("apply", "-auto-approve", "-no-color", codes=(1,))
    [lb] = terraform.state()
    terraform.write(broken.replace("acs:forbidden", "fine"))
    assert changes_of(terraform) == {lb: "replace"}
    terraform.apply()
    terraform.plan_is_empty()


def test_what_vanished_outside_is_made_again(terraform: Terraform, server: Server) -> None:
    terraform.write('resource "alicloud_vpc" "v" {\n  cidr_block = "10.0.0.0/8"\n}\n')
    terraform.init()
    terraform.apply()
    [vpc] = [v["id"] for v in terraform.state().values()]
    client(server).call("vpc", "2016-04-28", "DeleteVpc", {"VpcId": vpc})
    assert changes_of(terraform) == {"alicloud_vpc.v": "create"}


def test_keys_made_by_terraform_open_the_door(terraform: Terraform, server: Server) -> None:
    terraform.write(
        """
resource "alicloud_ram_user" "u" {
  name  = "robot"
  force = true
}
resource "alicloud_ram_access_key" "k" {
  user_name = alicloud_ram_user.u.name
}
"""
    )
    terraform.init()
    shown = terraform.apply()
    key = terraform.state()["alicloud_ram_access_key.k"]
    assert key["secret"] not in shown
    identity = client(server, key["id"], key["secret"]).call("sts", "2015-04-01", "GetCallerIdentity")
    assert identity["Arn"].endswith("user/robot")
