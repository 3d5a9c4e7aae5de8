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

variable "image_name_regex" {
  description = "The newest image whose name matches is booted."
  type        = string
  default     = "^debian_12"
}

variable "image_owners" {
  description = "Who owns that image: system for public ones, self for one's own."
  type        = string
  default     = "system"
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
