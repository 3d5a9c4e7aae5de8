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

variable "certificate" {
  description = "Certificate of the page's name, as PEM with its chain. Without one the page is served by http."
  type        = string
  default     = ""
}

variable "private_key" {
  description = "Its private key, as PEM."
  type        = string
  default     = ""
  sensitive   = true
}

variable "origin_only" {
  description = "Whether the load balancer answers nobody but WAF and operator_cidr."
  type        = bool
  default     = true
}

variable "operator_cidr" {
  description = "Who may visit the load balancer without WAF; nobody when empty."
  type        = string
  default     = ""
}
