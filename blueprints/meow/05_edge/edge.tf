data "terraform_remote_state" "slb" {
  backend = "remote"
  config = {
    organization = var.organization
    workspaces   = { name = "04_slb" }
  }
}

locals {
  domain = "${var.host}.${var.zone}"
  secure = var.certificate != ""
}

# user -> DNS CNAME -> Anti-DDoS -> WAF -> Cloud Firewall -> load balancer -> instances
resource "alicloud_ddoscoo_instance" "edge" {
  name         = "${var.name}-ddos"
  port_count   = "50"
  domain_count = "50"
  bandwidth    = "300"
}

resource "alicloud_wafv3_instance" "edge" {}

resource "alicloud_wafv3_domain" "page" {
  instance_id = alicloud_wafv3_instance.edge.id
  domain      = local.domain
  listen {
    http_ports      = [80]
    xff_header_mode = 1 # Anti-DDoS lies in front and tells the visitor's address
  }
  redirect {
    backends    = [data.terraform_remote_state.slb.outputs.slb_address]
    loadbalance = "roundRobin"
  }
}

resource "alicloud_ddoscoo_domain_resource" "page" {
  domain       = local.domain
  instance_ids = [alicloud_ddoscoo_instance.edge.id]
  rs_type      = 1
  real_servers = [alicloud_wafv3_domain.page.cname]
  proxy_types {
    proxy_type  = "http"
    proxy_ports = [80]
  }

  # https ends here: http is sent to it, WAF is spoken to in http
  dynamic "proxy_types" {
    for_each = local.secure ? [443] : []
    content {
      proxy_type  = "https"
      proxy_ports = [proxy_types.value]
    }
  }
  https_ext = local.secure ? jsonencode({ Http2 = 1, Http2https = 1, Https2http = 1 }) : null
  cert_name = local.secure ? "${var.name}-page" : null
  cert      = local.secure ? var.certificate : null
  key       = local.secure ? var.private_key : null
}

resource "alicloud_alidns_domain" "zone" {
  domain_name = var.zone
}

resource "alicloud_alidns_record" "page" {
  domain_name = alicloud_alidns_domain.zone.domain_name
  rr          = var.host
  type        = "CNAME"
  value       = alicloud_ddoscoo_domain_resource.page.cname
}
