"""Each resource's life with the real terraform: apply, empty plan, change, empty plan, import, destroy; and what data sources find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.localcloud import LocalCloud
from tests.unit.provider_bench import Terraform, open_door, provider_block
from tests.unit.provider_cases import EDGE_LIFE, FIREWALL_LIFE, LIVES, WAF_LIFE, Life, live


@pytest.fixture
def terraform(cloud: LocalCloud, tmp_path: Path) -> Iterator[Terraform]:
    door = open_door(cloud)
    folder = tmp_path / "work"
    folder.mkdir()
    terraform = Terraform(folder, {})
    terraform.write(provider_block(door.port), "provider.tf")
    yield terraform
    door.close()


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_life(life: Life, terraform: Terraform, cloud: LocalCloud) -> None:
    live(life, terraform)
    assert not cloud.dataplane.plan.hosts and not cloud.dataplane.plan.networks


FOUND = """
data "alicloud_wafv3_instances" "all" { depends_on = [alicloud_wafv3_instance.w] }
data "alicloud_wafv3_domains" "shop" {
  instance_id    = alicloud_wafv3_instance.w.id
  ids            = [alicloud_wafv3_domain.shop.id]
  enable_details = true
}
data "alicloud_ddoscoo_instances" "edge" {
  name_regex = "^edge$"
  depends_on = [alicloud_ddoscoo_instance.d]
}
data "alicloud_alidns_domains" "tagged" {
  tags       = { stage = "test" }
  depends_on = [alicloud_alidns_domain.meow]
}
data "alicloud_alidns_records" "mail" {
  domain_name = alicloud_alidns_domain.meow.domain_name
  type        = "MX"
  depends_on  = [alicloud_alidns_record.mail]
}
data "alicloud_alidns_records" "none" {
  domain_name = alicloud_alidns_domain.meow.domain_name
  rr_regex    = "^nothing$"
}
data "alicloud_cloud_firewall_instances" "all" { depends_on = [alicloud_cloud_firewall_instance.f] }
data "alicloud_cloud_firewall_control_policies" "in" {
  direction  = "in"
  depends_on = [alicloud_cloud_firewall_control_policy_order.rest]
}
data "alicloud_cloud_firewall_address_books" "ports" {
  group_type = "port"
  depends_on = [alicloud_cloud_firewall_address_book.ports]
}
output "found" {
  value = {
    waf      = data.alicloud_wafv3_instances.all.ids
    domains  = data.alicloud_wafv3_domains.shop.domains[*].redirect[0].backends
    ports    = data.alicloud_wafv3_domains.shop.domains[0].listen[0].http_ports
    ddos     = data.alicloud_ddoscoo_instances.edge.instances[*].port_count
    zones    = data.alicloud_alidns_domains.tagged.names
    mail     = data.alicloud_alidns_records.mail.records[*].value
    none     = data.alicloud_alidns_records.none.ids
    firewall = data.alicloud_cloud_firewall_instances.all.instances[*].payment_type
    policies = data.alicloud_cloud_firewall_control_policies.in.policies[*].description
    group    = data.alicloud_cloud_firewall_control_policies.in.policies[*].dest_port_group_ports
    books    = data.alicloud_cloud_firewall_address_books.ports.books[*].address_list
  }
}
"""


def test_what_data_sources_find_of_the_edge(terraform: Terraform) -> None:
    terraform.write(WAF_LIFE.first + EDGE_LIFE.first + FIREWALL_LIFE.first + FOUND)
    terraform.init()
    terraform.apply()
    terraform.plan_is_empty()
    found = json.loads(terraform.run("output", "-json", "found").stdout)
    state = terraform.state()
    assert found["waf"] == [state["alicloud_wafv3_instance.w"]["id"]]
    assert found["domains"] == [["198.18.224.9", "198.18.224.10"]] and found["ports"] == ["80", "8080"]
    assert found["ddos"] == [50] and found["zones"] == ["meow.test"]
    assert found["mail"] == ["mail.meow.test"] and found["none"] == []
    assert found["firewall"] == ["Subscription"]
    assert "offices log in" in found["policies"] and ["22/22", "2222/2230"] in found["group"]
    assert found["books"] == [["22", "2222/2230"]] or found["books"] == [["22/22", "2222/2230"]]
    terraform.destroy()
