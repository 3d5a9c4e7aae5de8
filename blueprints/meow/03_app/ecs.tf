locals {
  tags = { blueprint = "${var.name}/03_app" }

  otp_login = var.vault_addr == "" ? "" : templatefile("${path.module}/files/otp_login.sh.tftpl", {
    vault_addr = var.vault_addr
    url        = var.ssh_helper_url
    sha256     = var.ssh_helper_sha256
    mount      = var.ssh_otp_mount
    role       = var.ssh_otp_role
    user       = var.ssh_otp_user
  })
  deploy_app = templatefile("${path.module}/files/deploy_app.sh.tftpl", {
    prefix = var.name
    cat    = file("${path.module}/files/cat.svg")
  })
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
  user_data                  = "#!/bin/bash\n${local.otp_login}${local.deploy_app}"
  tags                       = local.tags

  lifecycle {
    ignore_changes       = [user_data] # it runs once: a change later would only restart the instance
    replace_triggered_by = [terraform_data.otp_login]
    precondition {
      condition     = var.vault_addr == "" || (var.ssh_helper_url != "" && var.ssh_helper_sha256 != "")
      error_message = "One-time passwords (vault_addr) need ssh_helper_url and ssh_helper_sha256; `haechi up` gives them."
    }
  }
}

# Hosts keep for life whom they ask about one-time passwords, so another Vault means other hosts.
resource "terraform_data" "otp_login" {
  input = [var.vault_addr, var.ssh_otp_mount, var.ssh_otp_role, var.ssh_otp_user]
}
