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

variable "app_state" {
  description = "Terraform state of 03_app, where the instances' ids are read from."
  type        = string
  default     = "../03_app/terraform.tfstate"
}
