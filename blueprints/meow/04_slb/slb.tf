locals {
  tags = { blueprint = "${var.name}/04_slb" }
}

data "terraform_remote_state" "app" {
  backend = "remote"
  config = {
    organization = var.organization
    workspaces   = { name = "03_app" }
  }
}

resource "alicloud_slb_load_balancer" "app" {
  load_balancer_name   = "${var.name}-slb"
  address_type         = "internet"
  internet_charge_type = "PayByTraffic"
  load_balancer_spec   = "slb.s1.small"
  tags                 = local.tags
}

resource "alicloud_slb_backend_server" "app" {
  load_balancer_id = alicloud_slb_load_balancer.app.id

  dynamic "backend_servers" {
    for_each = data.terraform_remote_state.app.outputs.ecs_ids
    content {
      server_id = backend_servers.value
      weight    = 100
    }
  }
}

resource "alicloud_slb_listener" "http" {
  load_balancer_id          = alicloud_slb_load_balancer.app.id
  frontend_port             = 80
  backend_port              = 80
  protocol                  = "http"
  bandwidth                 = -1
  sticky_session            = "on"
  sticky_session_type       = "insert"
  cookie_timeout            = 86400
  health_check              = "on"
  health_check_uri          = "/"
  health_check_connect_port = 80
  healthy_threshold         = 2
  unhealthy_threshold       = 2
  health_check_timeout      = 2
  health_check_interval     = 1
  health_check_http_code    = "http_2xx,http_3xx"
  x_forwarded_for {
    retrive_slb_ip = true
    retrive_slb_id = true
  }
  depends_on = [alicloud_slb_backend_server.app]
}
