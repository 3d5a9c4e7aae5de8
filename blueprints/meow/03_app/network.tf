data "alicloud_zones" "default" {
  available_disk_category     = "cloud_efficiency"
  available_resource_creation = "VSwitch"
}

resource "alicloud_vpc" "app" {
  vpc_name   = "${var.name}-vpc"
  cidr_block = "172.16.0.0/16"
  tags       = local.tags
}

resource "alicloud_vswitch" "app" {
  vswitch_name = "${var.name}-vswitch"
  vpc_id       = alicloud_vpc.app.id
  cidr_block   = "172.16.0.0/24"
  zone_id      = data.alicloud_zones.default.zones[0].id
  tags         = local.tags
}

resource "alicloud_security_group" "app" {
  security_group_name = "${var.name}-app"
  description         = "Instances behind the load balancer"
  vpc_id              = alicloud_vpc.app.id
  tags                = local.tags
}

# The load balancer speaks to its backends from 100.64.0.0/10; nobody else needs the page's port.
resource "alicloud_security_group_rule" "http" {
  type              = "ingress"
  ip_protocol       = "tcp"
  port_range        = "80/80"
  priority          = 1
  policy            = "accept"
  cidr_ip           = "100.64.0.0/10"
  description       = "page, from the load balancer"
  security_group_id = alicloud_security_group.app.id
}

resource "alicloud_security_group_rule" "ssh" {
  type              = "ingress"
  ip_protocol       = "tcp"
  port_range        = "22/22"
  priority          = 1
  policy            = "accept"
  cidr_ip           = var.operator_cidr
  description       = "ssh, from the operator"
  security_group_id = alicloud_security_group.app.id
}
