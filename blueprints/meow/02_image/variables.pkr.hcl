variable "region" {
  description = "Region the image is built in, and stays in."
  type        = string
  default     = "ap-southeast-1"
}

variable "name" {
  description = "Leads the name of the image, and is the page's title."
  type        = string
  default     = "meow"
}

variable "release" {
  description = "Ends the image's name. The same release again needs `packer build -force`, which deletes the old image; not while instances use it."
  type        = string
  default     = "1"
}

variable "source_image" {
  description = "Public image to start from; a Debian or an Ubuntu."
  type        = string
  default     = "debian_12_5_x64_20G_alibase_20240325.vhd"
}

variable "instance_type" {
  description = "Type of the instance that the image is made of."
  type        = string
  default     = "ecs.t6-c1m1.large"
}

variable "vault_addr" {
  description = "Vault that hosts of this image ask about one-time passwords, like http://203.0.113.7:8200. It is asked once during the build."
  type        = string
}

variable "ssh_helper" {
  description = "Path of the program vault-ssh-helper, haechi's or HashiCorp's."
  type        = string
}

variable "ssh_otp_mount" {
  description = "Where Vault's ssh engine is mounted."
  type        = string
  default     = "ssh-otp"
}

variable "ssh_otp_role" {
  description = "The only role whose passwords open these hosts."
  type        = string
  default     = "otp_key_role"
}

variable "ssh_otp_user" {
  description = "The account that one-time passwords are for; made with unlimited sudo and no password of its own."
  type        = string
  default     = "test"
}
