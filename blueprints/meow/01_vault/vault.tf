locals {
  tags = { blueprint = "${var.name}/01_vault" }
}

data "alicloud_images" "vault" {
  name_regex  = "^ubuntu_22_04"
  owners      = "system"
  most_recent = true
}

data "alicloud_instance_types" "vault" {
  availability_zone = data.alicloud_zones.default.zones[0].id
  cpu_core_count    = var.cpu_core_count
  memory_size       = var.memory_size
}

resource "random_password" "root" {
  length           = 20
  min_lower        = 2
  min_upper        = 2
  min_numeric      = 2
  min_special      = 1
  override_special = "_-+=."
}

resource "alicloud_instance" "vault" {
  instance_name              = "${var.name}-vault"
  host_name                  = "${var.name}-vault"
  image_id                   = data.alicloud_images.vault.images[0].id
  instance_type              = data.alicloud_instance_types.vault.instance_types[0].id
  vswitch_id                 = alicloud_vswitch.vault.id
  security_groups            = [alicloud_security_group.vault.id]
  system_disk_category       = "cloud_efficiency"
  system_disk_size           = 20
  internet_charge_type       = "PayByTraffic"
  internet_max_bandwidth_out = 100
  password                   = random_password.root.result
  user_data = templatefile("${path.module}/files/install_vault.sh.tftpl", {
    public_key = var.public_key # here and not as a key pair: with one the cloud refuses the password
    package    = var.vault_package
    url        = var.vault_package_url
    sha256     = var.vault_package_sha256
    version    = var.vault_version
  })
  tags = local.tags

  lifecycle {
    # Vault's data lies on this disk: neither a newer image nor a newer package may replace or restart the instance.
    ignore_changes = [image_id, user_data]
    precondition {
      condition     = var.vault_package != "haechi" || (var.vault_package_url != "" && var.vault_package_sha256 != "")
      error_message = "vault_package \"haechi\" needs vault_package_url and vault_package_sha256; `haechi up` gives them. HashiCorp's own is vault_package = \"hashicorp\"."
    }
  }
}
