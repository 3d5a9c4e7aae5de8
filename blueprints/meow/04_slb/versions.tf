terraform {
  required_version = ">= 1.5"

  # Another organization, without a change here: terraform init -backend-config=organization=NAME
  backend "remote" {
    organization = "meow"
    workspaces {
      name = "04_slb"
    }
  }

  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.140.0"
    }
  }
}

provider "alicloud" {
  region = var.region
}
