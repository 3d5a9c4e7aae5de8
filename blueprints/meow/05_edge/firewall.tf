# Cloud Firewall in front of every public address; `haechi up` switches it on for them
resource "alicloud_cloud_firewall_address_book" "inner" {
  group_name   = "${var.name}-inner-ports"
  group_type   = "port"
  description  = "Services that nobody on the internet needs."
  address_list = ["23/23", "2375/2376", "3306/3306", "3389/3389", "5432/5432", "6379/6379", "27017/27017"]
}

resource "alicloud_cloud_firewall_control_policy" "inner" {
  direction        = "in"
  acl_action       = "drop"
  description      = "${var.name}: inner services are not for the internet"
  source           = "0.0.0.0/0"
  source_type      = "net"
  destination      = "0.0.0.0/0"
  destination_type = "net"
  proto            = "TCP"
  dest_port_type   = "group"
  dest_port_group  = alicloud_cloud_firewall_address_book.inner.group_name
}

# The load balancer answers WAF alone, and operator_cidr. A policy is added behind those that are there: the order is that of depends_on.
locals {
  origin = "${data.terraform_remote_state.slb.outputs.slb_address}/32"
}

resource "alicloud_cloud_firewall_address_book" "waf" {
  count        = var.origin_only ? 1 : 0
  group_name   = "${var.name}-waf"
  group_type   = "ip"
  description  = "Where WAF's requests come from; haechi up writes them down."
  address_list = ["127.0.0.1/32"]

  lifecycle {
    ignore_changes = [address_list] # no attribute of WAF tells its addresses
  }
}

resource "alicloud_cloud_firewall_control_policy" "origin_from_waf" {
  count            = var.origin_only ? 1 : 0
  direction        = "in"
  acl_action       = "accept"
  description      = "${var.name}: WAF visits the load balancer"
  source           = alicloud_cloud_firewall_address_book.waf[0].group_name
  source_type      = "group"
  destination      = local.origin
  destination_type = "net"
  proto            = "TCP"
  dest_port_type   = "port"
  dest_port        = "80/80"
  release          = "true"
  depends_on       = [alicloud_cloud_firewall_control_policy.inner]
}

resource "alicloud_cloud_firewall_control_policy" "origin_from_operator" {
  count            = var.origin_only && var.operator_cidr != "" ? 1 : 0
  direction        = "in"
  acl_action       = "accept"
  description      = "${var.name}: the operator visits the load balancer"
  source           = var.operator_cidr
  source_type      = "net"
  destination      = local.origin
  destination_type = "net"
  proto            = "TCP"
  dest_port_type   = "port"
  dest_port        = "0/0"
  release          = "true"
  depends_on       = [alicloud_cloud_firewall_control_policy.origin_from_waf]
}

resource "alicloud_cloud_firewall_control_policy" "origin" {
  count            = var.origin_only ? 1 : 0
  direction        = "in"
  acl_action       = "drop"
  description      = "${var.name}: nobody else visits the load balancer"
  source           = "0.0.0.0/0"
  source_type      = "net"
  destination      = local.origin
  destination_type = "net"
  proto            = "TCP"
  dest_port_type   = "port"
  dest_port        = "0/0"
  release          = "true"
  depends_on       = [alicloud_cloud_firewall_control_policy.origin_from_waf, alicloud_cloud_firewall_control_policy.origin_from_operator]
}
