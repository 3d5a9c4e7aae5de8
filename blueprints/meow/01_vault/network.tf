data "alicloud_zones" "default" {
  available_disk_category     = "cloud_efficiency"
  available_resource_creation = "VSwitch"
}

resource "alicloud_vpc" "vault" {
  vpc_name   = "${var.name}-vault-vpc"
  cidr_block = "172.17.0.0/16"
  tags       = local.tags
}

resource "alicloud_vswitch" "vault" {
  vswitch_name = "${var.name}-vault-vswitch"
  vpc_id       = alicloud_vpc.vault.id
  cidr_block   = "172.17.0.0/24"
  zone_id      = data.alicloud_zones.default.zones[0].id
  tags         = local.tags
}

resource "alicloud_security_group" "vault" {
  security_group_name = "${var.name}-vault"
  description         = "Vault"
  vpc_id              = alicloud_vpc.vault.id
  tags                = local.tags
}

resource "alicloud_security_group_rule" "ssh" {
  type              = "ingress"
  ip_protocol       = "tcp"
  port_range        = "22/22"
  priority          = 1
  policy            = "accept"
  cidr_ip           = var.operator_cidr
  description       = "ssh, from the operator"
  security_group_id = alicloud_security_group.vault.id
}

resource "alicloud_security_group_rule" "api" {
  for_each          = toset(concat([var.operator_cidr], var.client_cidrs))
  type              = "ingress"
  ip_protocol       = "tcp"
  port_range        = "8200/8200"
  priority          = 1
  policy            = "accept"
  cidr_ip           = each.value
  description       = "Vault's API"
  security_group_id = alicloud_security_group.vault.id
}
