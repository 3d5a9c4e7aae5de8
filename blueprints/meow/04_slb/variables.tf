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

variable "organization" {
  description = "Organization of Terraform Enterprise whose workspace 03_app holds the instances' ids."
  type        = string
  default     = "meow"
}
