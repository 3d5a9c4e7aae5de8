locals {
  tags = { blueprint = "${var.name}/03_app" }

  # What makes a plain Debian serve the page, at its first boot; the golden image needs none of it.
  user_data = "#!/bin/bash\n${local.otp_login}${local.deploy_app}"
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
  name_regex  = coalesce(var.image_name_regex, var.golden ? "^${var.name}-golden-" : "^debian_12")
  owners      = coalesce(var.image_owners, var.golden ? "self" : "system")
  most_recent = true

  lifecycle {
    postcondition {
      condition     = length(self.images) > 0
      error_message = "There is no image with such a name. 02_image makes the golden one, with Packer; golden = false boots a public Debian instead."
    }
  }
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
  user_data                  = var.golden ? null : local.user_data
  tags                       = local.tags

  lifecycle {
    ignore_changes       = [user_data] # it runs once: a change later would only restart the instance
    replace_triggered_by = [terraform_data.made_of]
    precondition {
      condition     = var.golden || var.vault_addr == "" || (var.ssh_helper_url != "" && var.ssh_helper_sha256 != "")
      error_message = "One-time passwords (vault_addr) need ssh_helper_url and ssh_helper_sha256; `haechi up` gives them."
    }
  }
}

# Hosts keep for life whom they ask about one-time passwords: another golden image, or another Vault, means other hosts.
resource "terraform_data" "made_of" {
  input = var.golden ? [data.alicloud_images.app.images[0].id] : [var.vault_addr, var.ssh_otp_mount, var.ssh_otp_role, var.ssh_otp_user]
}
