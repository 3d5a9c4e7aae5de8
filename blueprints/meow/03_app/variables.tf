variable "region" {
  description = "Region everything is built in."
  type        = string
  default     = "ap-southeast-1"
}

variable "name" {
  description = "Leads the name of every resource."
  type        = string
  default     = "meow"
}

variable "instance_count" {
  description = "How many instances serve the page."
  type        = number
  default     = 3
  validation {
    condition     = var.instance_count >= 1 && var.instance_count <= 20
    error_message = "instance_count must be 1 to 20."
  }
}

variable "serving_count" {
  description = "How many of them the load balancer gets; null for all. Lower this first and instance_count when 04_slb has let go of the others: no request is lost."
  type        = number
  default     = null
  validation {
    condition     = try(var.serving_count >= 1 && var.serving_count <= 20, true)
    error_message = "serving_count must be 1 to 20, or null."
  }
}

variable "golden" {
  description = "Boot the golden image of 02_image, in which page and one-time passwords are; else a public image that user data makes so."
  type        = bool
  default     = false
}

variable "image_name_regex" {
  description = "The newest image whose name matches is booted; null for the golden one's, or the public Debian 12's."
  type        = string
  default     = null
}

variable "image_owners" {
  description = "Who owns that image: system for public ones, self for one's own; null for the one that fits."
  type        = string
  default     = null
}

variable "operator_cidr" {
  description = "The only range that may log in with SSH."
  type        = string
  default     = "198.18.0.0/15"
}

variable "public_key" {
  description = "OpenSSH public key of the operator; empty for none."
  type        = string
  default     = ""
}

variable "vault_addr" {
  description = "Vault that checks one-time passwords, like http://203.0.113.7:8200; empty: no one-time passwords on these hosts. Not for the golden image, which knows its own."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(https?://[0-9A-Za-z.:_-]+/?)?$", var.vault_addr))
    error_message = "vault_addr must be an http:// or https:// address without a path, or empty."
  }
}

variable "ssh_helper_url" {
  description = "Where hosts fetch vault-ssh-helper from, haechi's or HashiCorp's (the program itself, or a .zip of it); needed with vault_addr."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(https?://[!-&(-~]+)?$", var.ssh_helper_url))
    error_message = "ssh_helper_url must be an http:// or https:// address, or empty."
  }
}

variable "ssh_helper_sha256" {
  description = "SHA-256 of what ssh_helper_url names, 64 hexadecimal digits; needed with vault_addr."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^([0-9a-f]{64})?$", var.ssh_helper_sha256))
    error_message = "ssh_helper_sha256 must be 64 hexadecimal digits, or empty."
  }
}

variable "ssh_otp_mount" {
  description = "Where Vault's ssh engine is mounted."
  type        = string
  default     = "ssh-otp"
  validation {
    condition     = can(regex("^[0-9A-Za-z/_-]+$", var.ssh_otp_mount))
    error_message = "ssh_otp_mount must be a path in Vault."
  }
}

variable "ssh_otp_role" {
  description = "The only role whose passwords open these hosts."
  type        = string
  default     = "otp_key_role"
  validation {
    condition     = can(regex("^[0-9A-Za-z_.-]+$", var.ssh_otp_role))
    error_message = "ssh_otp_role must be the name of a role."
  }
}

variable "ssh_otp_user" {
  description = "The account that one-time passwords are for; made with unlimited sudo and no password of its own."
  type        = string
  default     = "test"
  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,31}$", var.ssh_otp_user))
    error_message = "ssh_otp_user must be the name of a Linux account."
  }
}
