# The golden image: a Debian with one-time passwords from Vault and the page with the cat. Packer 1.6.6 brings the alicloud-ecs builder
# along; later ones need it installed: packer plugins install github.com/hashicorp/alicloud (1.6.6 would refuse a required_plugins block).
#
#   VAULT_ADDR=... VAULT_TOKEN=... packer build -var vault_addr=... -var ssh_helper=... .

locals {
  access_key = vault("/kv-v2/data/alicloud", "access_key")
  secret_key = vault("/kv-v2/data/alicloud", "secret_key")
}

source "alicloud-ecs" "golden" {
  access_key = local.access_key
  secret_key = local.secret_key
  region     = var.region

  image_name        = "${var.name}-golden-${var.release}"
  image_description = "Apache with the page; one-time passwords of ${var.vault_addr}"
  tags              = { blueprint = "${var.name}/02_image" }

  # A VPC, a vSwitch, a security group, a key pair and an EIP are made for the build and deleted with it.
  source_image                = var.source_image
  instance_name               = "packer-${var.name}-golden"
  instance_type               = var.instance_type
  io_optimized                = true
  internet_charge_type        = "PayByTraffic"
  internet_max_bandwidth_out  = 100
  associate_public_ip_address = true # asked for by later builders; this one always does
  ssh_username                = "root"
  system_disk_mapping {
    disk_category = "cloud_efficiency"
    disk_size     = 20 # no disk made of the image can be smaller
  }
}

build {
  sources = ["source.alicloud-ecs.golden"]

  provisioner "file" {
    source      = "${path.root}/files"
    destination = "/tmp"
  }

  provisioner "file" {
    source      = var.ssh_helper
    destination = "/tmp/files/vault-ssh-helper"
  }

  # Vault OTP
  provisioner "shell" {
    script = "${path.root}/scripts/vault_otp.sh"
    environment_vars = [
      "VAULT_ADDR=${var.vault_addr}",
      "MOUNT=${var.ssh_otp_mount}",
      "ROLE=${var.ssh_otp_role}",
      "OTP_USER=${var.ssh_otp_user}",
    ]
  }

  # Web server
  provisioner "shell" {
    script           = "${path.root}/scripts/web_server.sh"
    environment_vars = ["PREFIX=${var.name}"]
  }

  provisioner "shell" {
    script = "${path.root}/scripts/clean.sh"
  }
}
