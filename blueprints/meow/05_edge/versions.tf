terraform {
  required_version = ">= 1.5"

  # Another organization, without a change here: terraform init -backend-config=organization=NAME
  backend "remote" {
    organization = "meow"
    workspaces {
      name = "05_edge"
    }
  }

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.200.0"
    }
  }
}

provider "alicloud" {
  region = var.region
}
