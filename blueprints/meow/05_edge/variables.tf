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
  description = "Organization of Terraform Enterprise whose workspace 04_slb holds the load balancer's address."
  type        = string
  default     = "meow"
}

variable "zone" {
  description = "Domain that the page's name is in."
  type        = string
  default     = "meow.test"
}

variable "host" {
  description = "The page's name in it."
  type        = string
  default     = "cat"
}
