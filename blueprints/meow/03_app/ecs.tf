locals {
  tags = { blueprint = "${var.name}/03_app" }
}

data "alicloud_images" "app" {
  name_regex  = var.image_name_regex
  owners      = var.image_owners
  most_recent = true
}

data "alicloud_instance_types" "app" {
  availability_zone = data.alicloud_zones.default.zones[0].id
  cpu_core_count    = 1
  memory_size       = 1
}

resource "alicloud_ecs_key_pair" "operator" {
  count         = var.public_key == "" ? 0 : 1
  key_pair_name = "${var.name}-operator"
  public_key    = var.public_key
  tags          = local.tags
}

resource "alicloud_instance" "app" {
  count                      = var.instance_count
  instance_name              = format("%s-app-%02d", var.name, count.index + 1)
  host_name                  = format("%s-app-%02d", var.name, count.index + 1)
  image_id                   = data.alicloud_images.app.images[0].id
  instance_type              = data.alicloud_instance_types.app.instance_types[0].id
  vswitch_id                 = alicloud_vswitch.app.id
  security_groups            = [alicloud_security_group.app.id]
  system_disk_category       = "cloud_efficiency"
  system_disk_size           = 20
  internet_charge_type       = "PayByTraffic"
  internet_max_bandwidth_out = 100
  key_name                   = var.public_key == "" ? null : alicloud_ecs_key_pair.operator[0].key_pair_name
  user_data = templatefile("${path.module}/files/deploy_app.sh.tftpl", {
    prefix = var.name
    cat    = file("${path.module}/files/cat.svg")
  })
  tags = local.tags
}
