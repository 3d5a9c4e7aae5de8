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

variable "operator_cidr" {
  description = "The only range that may log in with SSH; it reaches Vault too."
  type        = string
  default     = "198.18.0.0/15"
}

variable "client_cidrs" {
  description = "Further ranges that reach Vault: hosts that check one-time passwords, image builds."
  type        = list(string)
  default     = []
}

variable "public_key" {
  description = "OpenSSH public key of the operator, who may log in with it as well as with the password; empty for none."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[^\n]*$", var.public_key))
    error_message = "public_key must be one line."
  }
}

variable "cpu_core_count" {
  description = "Cores of the instance."
  type        = number
  default     = 1
}

variable "memory_size" {
  description = "Memory of the instance in GiB."
  type        = number
  default     = 1
}

variable "vault_package" {
  description = "Which Vault is installed: haechi (a package given by vault_package_url) or hashicorp (HashiCorp's own, from its apt repository)."
  type        = string
  default     = "haechi"
  validation {
    condition     = contains(["haechi", "hashicorp"], var.vault_package)
    error_message = "vault_package must be haechi or hashicorp."
  }
}

variable "vault_package_url" {
  description = "Where the instance fetches haechi's package from; `haechi up` publishes it on the local cloud's package mirror."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(https?://[!-&(-~]+)?$", var.vault_package_url))
    error_message = "vault_package_url must be an http:// or https:// address, or empty."
  }
}

variable "vault_package_sha256" {
  description = "SHA-256 of that package, 64 hexadecimal digits."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^([0-9a-f]{64})?$", var.vault_package_sha256))
    error_message = "vault_package_sha256 must be 64 hexadecimal digits, or empty."
  }
}

variable "vault_version" {
  description = "Version of HashiCorp's package, like 1.16.3; empty for the newest. haechi's package has one version only."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^([0-9][0-9A-Za-z.+~]*)?$", var.vault_version))
    error_message = "vault_version must be a version like 1.16.3, or empty."
  }
}
