"""Configurations that take each resource through its life: as first applied, as changed, how it is imported."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.provider_bench import Terraform, changes_of

Values = Mapping[str, Any]
IMAGE = "debian_12_5_x64_20G_alibase_20240325.vhd"


@dataclass(frozen=True)
class Life:
    """`changes` says what the second configuration does to each address: "update", "replace", "create" or "delete".

    `imports` gives ids for `terraform import` from the state's values; `unread` are addresses whose plan after import is an
    update, because the cloud does not give back what was configured (passwords).
    """

    name: str
    first: str
    second: str
    changes: Mapping[str, str]
    imports: Mapping[str, Callable[[Values], str]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def _id(values: Values) -> str:
    return str(values["id"])


def _ids(*addresses: str) -> dict[str, Callable[[Values], str]]:
    return dict.fromkeys(addresses, _id)


NETWORK = """
resource "alicloud_vpc" "v" {
  vpc_name   = "net"
  cidr_block = "10.0.0.0/8"
}
resource "alicloud_vswitch" "s" {
  vpc_id       = alicloud_vpc.v.id
  cidr_block   = "10.1.0.0/16"
  zone_id      = "ap-southeast-1a"
  vswitch_name = "net"
}
resource "alicloud_security_group" "g" {
  security_group_name = "net"
  vpc_id              = alicloud_vpc.v.id
}
"""

_NETWORK_1 = """
resource "alicloud_vpc" "v" {
  vpc_name    = "one"
  cidr_block  = "10.0.0.0/8"
  description = "the first"
  tags        = { stage = "test", gone = "soon" }
  timeouts {
    create = "3m"
  }
}
resource "alicloud_vpc" "old_style" {
  name       = "old"
  cidr_block = "192.168.0.0/16"
}
resource "alicloud_vswitch" "s" {
  vpc_id       = alicloud_vpc.v.id
  cidr_block   = "10.1.0.0/16"
  zone_id      = "ap-southeast-1a"
  vswitch_name = "one"
  tags         = { stage = "test" }
}
resource "alicloud_vswitch" "old_style" {
  name              = "old"
  vpc_id            = alicloud_vpc.old_style.id
  cidr_block        = "192.168.1.0/24"
  availability_zone = "ap-southeast-1b"
}
resource "alicloud_security_group" "g" {
  name        = "one"
  description = "the first"
  vpc_id      = alicloud_vpc.v.id
  tags        = { stage = "test" }
}
resource "alicloud_security_group" "peer" {
  security_group_name = "peer"
  vpc_id              = alicloud_vpc.v.id
  inner_access_policy = "Drop"
}
resource "alicloud_security_group_rule" "ssh" {
  type              = "ingress"
  ip_protocol       = "tcp"
  port_range        = "22/22"
  security_group_id = alicloud_security_group.g.id
  cidr_ip           = "10.0.0.0/8"
  description       = "ssh"
}
resource "alicloud_security_group_rule" "from_peer" {
  type                     = "ingress"
  ip_protocol              = "all"
  nic_type                 = "intranet"
  port_range               = "-1/-1"
  priority                 = 50
  policy                   = "drop"
  security_group_id        = alicloud_security_group.g.id
  source_security_group_id = alicloud_security_group.peer.id
}
resource "alicloud_security_group_rule" "out" {
  for_each          = toset(["80/80", "443/443", "53/53", "8200/8200"])
  type              = "egress"
  ip_protocol       = "tcp"
  port_range        = each.value
  security_group_id = alicloud_security_group.g.id
  cidr_ip           = "0.0.0.0/0"
}
"""
_NETWORK_2 = (
    _NETWORK_1.replace('vpc_name    = "one"', 'vpc_name    = "two"')
    .replace('description = "the first"\n  tags        = { stage = "test", gone = "soon" }', 'tags = { stage = "second", new = "yes" }')
    .replace('name       = "old"', 'name       = "older"')
    .replace('vswitch_name = "one"', 'vswitch_name = "two"\n  description  = "now described"')
    .replace('name        = "one"\n  description = "the first"', 'name        = "two"\n  description = "the second"')
    .replace('inner_access_policy = "Drop"', 'inner_access_policy = "Accept"')
    .replace('description       = "ssh"', 'description       = "secure shell"')
    .replace("priority                 = 50", "priority                 = 60")
    .replace('"53/53", ', "")
    .replace('cidr_block        = "192.168.1.0/24"', 'cidr_block        = "192.168.2.0/24"')
)
NETWORK_LIFE = Life(
    "network",
    _NETWORK_1,
    _NETWORK_2,
    {
        "alicloud_vpc.v": "update",
        "alicloud_vpc.old_style": "update",
        "alicloud_vswitch.s": "update",
        "alicloud_vswitch.old_style": "replace",
        "alicloud_security_group.g": "update",
        "alicloud_security_group.peer": "update",
        "alicloud_security_group_rule.ssh": "update",
        "alicloud_security_group_rule.from_peer": "replace",
        'alicloud_security_group_rule.out["53/53"]': "delete",
    },
    _ids(
        "alicloud_vpc.v",
        "alicloud_vswitch.s",
        "alicloud_security_group.g",
        "alicloud_security_group.peer",
        "alicloud_security_group_rule.ssh",
        "alicloud_security_group_rule.from_peer",
    ),
)

_INSTANCE_1 = (
    NETWORK
    + f"""
resource "alicloud_ecs_key_pair" "k" {{
  key_pair_name = "pair"
  tags          = {{ a = "b" }}
}}
resource "alicloud_security_group" "second" {{
  security_group_name = "second"
  vpc_id              = alicloud_vpc.v.id
}}
resource "alicloud_instance" "web" {{
  count                = 2
  instance_name        = "web-${{count.index}}"
  host_name            = "web${{count.index}}"
  image_id             = "{IMAGE}"
  instance_type        = "ecs.n1.tiny"
  security_groups      = [alicloud_security_group.g.id]
  vswitch_id           = alicloud_vswitch.s.id
  password             = "Sesame-1234"
  user_data            = "#!/bin/sh\\necho one\\n"
  system_disk_category = "cloud_efficiency"
  system_disk_size     = 40
  tags                 = {{ role = "web" }}
  lifecycle {{
    ignore_changes = [description]
  }}
}}
resource "alicloud_instance" "db" {{
  image_id        = "{IMAGE}"
  instance_type   = "ecs.n1.tiny"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id      = alicloud_vswitch.s.id
  key_name        = alicloud_ecs_key_pair.k.key_pair_name
  data_disks {{
    name     = "data"
    size     = 20
    category = "cloud_efficiency"
  }}
}}
"""
)
_INSTANCE_2 = (
    _INSTANCE_1.replace("count                = 2", "count                = 3")
    .replace('"web-${count.index}"', '"www-${count.index}"')
    .replace("echo one", "echo two")
    .replace('{ role = "web" }', '{ role = "www" }')
    .replace("size     = 20", "size     = 30")
    .replace('a = "b"', 'a = "c"')
    .replace('host_name            = "web', 'internet_max_bandwidth_out = 5\n  host_name = "web')
    .replace("[alicloud_security_group.g.id]\n  vswitch_id           =", "[alicloud_security_group.second.id]\n  vswitch_id           =")
)
INSTANCE_LIFE = Life(
    "instance",
    _INSTANCE_1,
    _INSTANCE_2,
    {
        "alicloud_instance.web[0]": "update",
        "alicloud_instance.web[1]": "update",
        "alicloud_instance.web[2]": "create",
        "alicloud_instance.db": "replace",
        "alicloud_ecs_key_pair.k": "update",
    },
    _ids("alicloud_instance.web[0]", "alicloud_ecs_key_pair.k"),
    unread=("alicloud_instance.web[0]",),
)

_EIP_1 = (
    NETWORK
    + f"""
resource "alicloud_instance" "i" {{
  image_id        = "{IMAGE}"
  instance_type   = "ecs.n1.tiny"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id      = alicloud_vswitch.s.id
}}
resource "alicloud_eip_address" "e" {{
  address_name         = "one"
  bandwidth            = "5"
  internet_charge_type = "PayByTraffic"
  tags                 = {{ a = "b" }}
}}
resource "alicloud_eip_association" "a" {{
  allocation_id = alicloud_eip_address.e.id
  instance_id   = alicloud_instance.i.id
}}
resource "alicloud_eip" "alone" {{
  name = "old"
}}
"""
)
EIP_LIFE = Life(
    "eip",
    _EIP_1,
    _EIP_1.replace('"one"', '"two"').replace('"5"', '"10"').replace('a = "b"', 'c = "d"').replace('name = "old"', 'name = "older"'),
    {"alicloud_eip_address.e": "update", "alicloud_eip.alone": "update"},
    _ids("alicloud_eip_address.e", "alicloud_eip_association.a", "alicloud_eip.alone"),
)

_SLB_1 = (
    NETWORK
    + f"""
resource "alicloud_instance" "i" {{
  count           = var.instances
  image_id        = "{IMAGE}"
  instance_type   = "ecs.n1.tiny"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id      = alicloud_vswitch.s.id
}}
variable "instances" {{
  default = 2
}}
resource "alicloud_slb_load_balancer" "lb" {{
  load_balancer_name = "one"
  address_type       = "internet"
  load_balancer_spec = "slb.s1.small"
  tags               = {{ a = "b" }}
}}
resource "alicloud_slb" "inside" {{
  name          = "inside"
  address_type  = "intranet"
  specification = "slb.s1.small"
  vswitch_id    = alicloud_vswitch.s.id
}}
resource "alicloud_slb_backend_server" "b" {{
  load_balancer_id = alicloud_slb_load_balancer.lb.id
  dynamic "backend_servers" {{
    for_each = alicloud_instance.i[*].id
    content {{
      server_id = backend_servers.value
      weight    = 100
    }}
  }}
}}
resource "alicloud_slb_attachment" "a" {{
  load_balancer_id = alicloud_slb.inside.id
  instance_ids     = [alicloud_instance.i[0].id]
  weight           = 90
}}
resource "alicloud_slb_server_group" "g" {{
  load_balancer_id = alicloud_slb_load_balancer.lb.id
  name             = "one"
  servers {{
    server_ids = [alicloud_instance.i[0].id, alicloud_instance.i[1].id]
    port       = 8080
    weight     = 80
  }}
}}
resource "alicloud_slb_acl" "acl" {{
  name = "one"
  entry_list {{
    entry   = "10.0.0.0/8"
    comment = "inside"
  }}
  entry_list {{
    entry = "192.168.0.0/16"
  }}
}}
resource "alicloud_slb_acl" "open" {{
  name = "open"
  lifecycle {{
    ignore_changes = [entry_list]
  }}
}}
resource "alicloud_slb_acl_entry_attachment" "one" {{
  acl_id  = alicloud_slb_acl.open.id
  entry   = "172.16.0.0/12"
  comment = "attached"
}}
resource "alicloud_slb_listener" "http" {{
  load_balancer_id    = alicloud_slb_load_balancer.lb.id
  frontend_port       = 80
  backend_port        = 80
  protocol            = "http"
  bandwidth           = 10
  sticky_session      = "on"
  sticky_session_type = "insert"
  cookie_timeout      = 3600
  health_check_domain = "example.com"
  x_forwarded_for {{
    retrive_slb_ip = true
  }}
  acl_status = "on"
  acl_type   = "white"
  acl_id     = alicloud_slb_acl.acl.id
}}
resource "alicloud_slb_listener" "tcp" {{
  load_balancer_id = alicloud_slb_load_balancer.lb.id
  frontend_port    = 22
  backend_port     = 22
  protocol         = "tcp"
}}
resource "alicloud_slb_listener" "udp" {{
  load_balancer_id = alicloud_slb_load_balancer.lb.id
  frontend_port    = 53
  backend_port     = 53
  protocol         = "udp"
}}
resource "alicloud_slb_listener" "group" {{
  load_balancer_id = alicloud_slb_load_balancer.lb.id
  frontend_port    = 8080
  protocol         = "http"
  server_group_id  = alicloud_slb_server_group.g.id
  health_check     = "off"
}}
"""
)
SLB_LIFE = Life(
    "slb",
    _SLB_1,
    _SLB_1.replace("default = 2", "default = 3")
    .replace('load_balancer_name = "one"', 'load_balancer_name = "two"')
    .replace('a = "b"', 'c = "d"')
    .replace("weight           = 90", "weight           = 70")
    .replace('name             = "one"', 'name             = "two"')
    .replace("weight     = 80", "weight     = 60")
    .replace('entry = "192.168.0.0/16"', 'entry = "172.16.0.0/12"')
    .replace("cookie_timeout      = 3600", 'cookie_timeout      = 7200\n  scheduler = "rr"')
    .replace("frontend_port    = 53", "frontend_port    = 5353")
    .replace('comment = "attached"', 'comment = "again"')
    .replace('protocol         = "tcp"', 'protocol         = "tcp"\n  persistence_timeout = 60'),
    {
        "alicloud_instance.i[2]": "create",
        "alicloud_slb_load_balancer.lb": "update",
        "alicloud_slb_backend_server.b": "update",
        "alicloud_slb_attachment.a": "update",
        "alicloud_slb_server_group.g": "update",
        "alicloud_slb_acl.acl": "update",
        "alicloud_slb_acl_entry_attachment.one": "replace",
        "alicloud_slb_listener.http": "update",
        "alicloud_slb_listener.tcp": "update",
        "alicloud_slb_listener.udp": "replace",
    },
    _ids(
        "alicloud_slb_load_balancer.lb",
        "alicloud_slb.inside",
        "alicloud_slb_backend_server.b",
        "alicloud_slb_server_group.g",
        "alicloud_slb_acl.acl",
        "alicloud_slb_acl_entry_attachment.one",
        "alicloud_slb_listener.http",
        "alicloud_slb_listener.tcp",
        "alicloud_slb_listener.udp",
    ),
)

_RAM_1 = """
resource "alicloud_ram_user" "u" {
  name         = "pipeline"
  display_name = "The pipeline"
  comments     = "one"
}
resource "alicloud_ram_access_key" "k" {
  user_name = alicloud_ram_user.u.name
}
resource "alicloud_ram_user" "forced" {
  name  = "forced"
  force = true
}
"""
RAM_LIFE = Life(
    "ram",
    _RAM_1,
    _RAM_1.replace('"one"', '"two"').replace(
        "user_name = alicloud_ram_user.u.name", 'user_name = alicloud_ram_user.u.name\n  status = "Inactive"'
    ),
    {"alicloud_ram_user.u": "update", "alicloud_ram_access_key.k": "update"},
    {"alicloud_ram_user.u": _id, "alicloud_ram_access_key.k": lambda v: f"{v['id']}:{v['user_name']}"},
)

_IMAGE_1 = (
    NETWORK
    + f"""
resource "alicloud_instance" "i" {{
  image_id        = "{IMAGE}"
  instance_type   = "ecs.n1.tiny"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id      = alicloud_vswitch.s.id
  status          = "Stopped"
}}
resource "alicloud_image" "golden" {{
  image_name  = "golden"
  instance_id = alicloud_instance.i.id
  description = "one"
  tags        = {{ stage = "one" }}
}}
resource "alicloud_key_pair" "own" {{
  key_name   = "own"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl somebody"
}}
data "alicloud_images" "mine" {{
  owners     = "self"
  name_regex = "^golden"
  depends_on = [alicloud_image.golden]
}}
output "mine" {{
  value = data.alicloud_images.mine.ids == tolist([alicloud_image.golden.id])
}}
"""
)
IMAGE_LIFE = Life(
    "image",
    _IMAGE_1,
    _IMAGE_1.replace('image_name  = "golden"', 'image_name  = "golden2"')
    .replace('"one"', '"two"')
    .replace('key_name   = "own"', 'key_name   = "owned"')
    .replace('status          = "Stopped"', 'status          = "Running"'),
    {"alicloud_image.golden": "update", "alicloud_key_pair.own": "replace", "alicloud_instance.i": "update"},
    _ids("alicloud_image.golden"),
    unread=("alicloud_image.golden",),  # the instance it was made of
)


def _certificate() -> tuple[str, str]:
    """A throw-away certificate and its key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=30))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode(), private.decode()


_PEM, _KEY = _certificate()
_HTTPS_1 = f"""
resource "alicloud_slb_load_balancer" "lb" {{
  load_balancer_name = "tls"
  address_type       = "internet"
}}
resource "alicloud_slb_server_certificate" "c" {{
  name               = "one"
  server_certificate = <<-EOT
{_PEM}EOT
  private_key        = <<-EOT
{_KEY}EOT
}}
resource "alicloud_slb_listener" "https" {{
  load_balancer_id      = alicloud_slb_load_balancer.lb.id
  frontend_port         = 443
  backend_port          = 80
  protocol              = "https"
  server_certificate_id = alicloud_slb_server_certificate.c.id
  health_check          = "off"
}}
resource "alicloud_slb_listener" "forward" {{
  load_balancer_id = alicloud_slb_load_balancer.lb.id
  frontend_port    = 80
  protocol         = "http"
  listener_forward = "on"
  forward_port     = alicloud_slb_listener.https.frontend_port
}}
"""
HTTPS_LIFE = Life(
    "https",
    _HTTPS_1,
    _HTTPS_1.replace('"one"', '"two"').replace('health_check          = "off"', 'tls_cipher_policy     = "tls_cipher_policy_1_2"'),
    {"alicloud_slb_server_certificate.c": "update", "alicloud_slb_listener.https": "update"},
    _ids("alicloud_slb_listener.https"),
)

_EDGE_1 = """
resource "alicloud_ddoscoo_instance" "d" {
  name         = "edge"
  port_count   = "50"
  domain_count = "50"
  bandwidth    = "300"
}
resource "alicloud_ddoscoo_domain_resource" "shop" {
  domain       = "shop.meow.test"
  instance_ids = [alicloud_ddoscoo_instance.d.id]
  real_servers = ["198.18.224.9"]
  rs_type      = 0
  proxy_types {
    proxy_type  = "http"
    proxy_ports = [80, 8080]
  }
}
resource "alicloud_ddoscoo_port" "ssh" {
  instance_id       = alicloud_ddoscoo_instance.d.id
  frontend_port     = "2222"
  frontend_protocol = "tcp"
  backend_port      = "22"
  real_servers      = ["198.18.224.9"]
}
resource "alicloud_alidns_domain" "meow" {
  domain_name = "meow.test"
  tags        = { stage = "test", gone = "soon" }
}
resource "alicloud_alidns_record" "shop" {
  domain_name = alicloud_alidns_domain.meow.domain_name
  rr          = "shop"
  type        = "CNAME"
  value       = "${alicloud_ddoscoo_domain_resource.shop.cname}."
}
resource "alicloud_alidns_record" "mail" {
  domain_name = alicloud_alidns_domain.meow.domain_name
  rr          = "@"
  type        = "MX"
  value       = "mail.meow.test"
  priority    = 10
}
"""
_EDGE_2 = (
    _EDGE_1.replace('name         = "edge"', 'name         = "other"')
    .replace('real_servers = ["198.18.224.9"]', 'real_servers = ["198.18.224.9", "198.18.224.10"]')
    .replace('real_servers      = ["198.18.224.9"]', 'real_servers      = ["198.18.224.10"]')
    .replace("rs_type      = 0", f'rs_type = 0\n  cert_name = "shop"\n  cert = <<-EOT\n{_PEM}EOT\n  key = <<-EOT\n{_KEY}EOT\n')
    .replace(', gone = "soon"', "")
    .replace("priority    = 10", 'priority    = 20\n  status      = "DISABLE"\n  remark      = "off"')
)
EDGE_LIFE = Life(
    "edge",
    _EDGE_1,
    _EDGE_2,
    {
        "alicloud_ddoscoo_instance.d": "update",
        "alicloud_ddoscoo_domain_resource.shop": "update",
        "alicloud_ddoscoo_port.ssh": "update",
        "alicloud_alidns_domain.meow": "update",
        "alicloud_alidns_record.mail": "update",
    },
    _ids(
        "alicloud_ddoscoo_domain_resource.shop", "alicloud_ddoscoo_port.ssh", "alicloud_alidns_domain.meow", "alicloud_alidns_record.shop"
    ),
    unread=("alicloud_ddoscoo_domain_resource.shop",),  # its private key
)

_FIREWALL_1 = """
resource "alicloud_cloud_firewall_instance" "f" {
  payment_type = "Subscription"
  spec         = "premium_version"
  ip_number    = 20
  band_width   = 10
  cfw_log      = true
  period       = 1
}
resource "alicloud_cloud_firewall_address_book" "offices" {
  group_name   = "offices"
  group_type   = "ip"
  description  = "who may log in"
  address_list = ["198.18.224.0/24", "198.18.225.7"]
}
resource "alicloud_cloud_firewall_address_book" "ports" {
  group_name   = "ports"
  group_type   = "port"
  description  = "of logins"
  address_list = ["22", "2222/2230"]
}
resource "alicloud_cloud_firewall_control_policy" "login" {
  direction        = "in"
  description      = "offices log in"
  acl_action       = "accept"
  source           = alicloud_cloud_firewall_address_book.offices.group_name
  source_type      = "group"
  destination      = "0.0.0.0/0"
  destination_type = "net"
  proto            = "TCP"
  dest_port_type   = "group"
  dest_port_group  = alicloud_cloud_firewall_address_book.ports.group_name
  release          = "true"
}
resource "alicloud_cloud_firewall_control_policy" "rest" {
  direction        = "in"
  description      = "nobody else does"
  acl_action       = "drop"
  source           = "0.0.0.0/0"
  source_type      = "net"
  destination      = "0.0.0.0/0"
  destination_type = "net"
  proto            = "TCP"
  dest_port        = "22/22"
  dest_port_type   = "port"
  application_name = "SSH"
}
resource "alicloud_cloud_firewall_control_policy" "names" {
  direction        = "out"
  description      = "only ours"
  acl_action       = "log"
  source           = "0.0.0.0/0"
  source_type      = "net"
  destination      = "*.meow.test"
  destination_type = "domain"
  proto            = "ANY"
}
resource "alicloud_cloud_firewall_control_policy_order" "rest" {
  acl_uuid  = alicloud_cloud_firewall_control_policy.rest.acl_uuid
  direction = "in"
  order     = 1
  depends_on = [alicloud_cloud_firewall_control_policy.login]
}
"""
FIREWALL_LIFE = Life(
    "firewall",
    _FIREWALL_1,
    _FIREWALL_1.replace('"198.18.225.7"', '"198.18.226.0/28"')
    .replace('acl_action       = "drop"', 'acl_action       = "log"')
    .replace('application_name = "SSH"', 'application_name = "ANY"')
    .replace('release          = "true"', 'release          = "false"')
    .replace("order     = 1", "order     = 2"),
    {
        "alicloud_cloud_firewall_address_book.offices": "update",
        "alicloud_cloud_firewall_control_policy.login": "update",
        "alicloud_cloud_firewall_control_policy.rest": "update",
        "alicloud_cloud_firewall_control_policy_order.rest": "update",
    },
    _ids(
        "alicloud_cloud_firewall_instance.f", "alicloud_cloud_firewall_control_policy.login", "alicloud_cloud_firewall_control_policy.names"
    ),
    unread=("alicloud_cloud_firewall_instance.f",),  # the period
)

_WAF_1 = """
resource "alicloud_wafv3_instance" "w" {}
resource "alicloud_wafv3_domain" "shop" {
  instance_id = alicloud_wafv3_instance.w.id
  domain      = "shop.meow.test"
  listen {
    http_ports      = [80, 8080]
    xff_header_mode = 1
  }
  redirect {
    backends    = ["198.18.224.9", "198.18.224.10"]
    loadbalance = "roundRobin"
    request_headers {
      key   = "X-From"
      value = "waf"
    }
  }
}
"""
WAF_LIFE = Life(
    "waf",
    _WAF_1,
    _WAF_1.replace('"198.18.224.9", ', "").replace('"roundRobin"', '"iphash"\n    read_timeout = 30').replace("[80, 8080]", "[80]"),
    {"alicloud_wafv3_domain.shop": "update"},
    _ids("alicloud_wafv3_instance.w", "alicloud_wafv3_domain.shop"),
    unread=("alicloud_wafv3_domain.shop",),  # of blocks, only arguments that are written are read
)
_DEFENSE_1 = """
resource "alicloud_wafv3_instance" "w" {}
resource "alicloud_wafv3_domain" "shop" {
  instance_id = alicloud_wafv3_instance.w.id
  domain      = "shop.meow.test"
  listen {
    http_ports = [80]
  }
  redirect {
    backends    = ["198.18.224.9"]
    loadbalance = "roundRobin"
  }
}
resource "alicloud_wafv3_defense_template" "own" {
  instance_id           = alicloud_wafv3_instance.w.id
  defense_template_name = "own rules"
  defense_scene         = "custom_acl"
  template_type         = "user_custom"
  template_origin       = "custom"
  status                = "1"
  resources             = ["${alicloud_wafv3_domain.shop.domain}-waf"]
}
resource "alicloud_wafv3_defense_rule" "login" {
  instance_id   = alicloud_wafv3_instance.w.id
  template_id   = alicloud_wafv3_defense_template.own.defense_template_id
  defense_type  = "template"
  defense_scene = "custom_acl"
  rule_name     = "logins"
  rule_status   = 1
  config {
    rule_action = "captcha"
    cc_status   = 1
    cc_effect   = "rule"
    conditions {
      key      = "URLPath"
      op_value = "prefix-match"
      values   = "/login"
    }
    conditions {
      key      = "Header"
      sub_key  = "X-Client"
      op_value = "ne"
      values   = "app"
    }
    rate_limit {
      target    = "remote_addr"
      interval  = 60
      threshold = 20
      ttl       = 300
    }
  }
}
resource "alicloud_wafv3_defense_template" "black" {
  instance_id           = alicloud_wafv3_instance.w.id
  defense_template_name = "black"
  defense_scene         = "ip_blacklist"
  template_type         = "user_default"
  template_origin       = "custom"
  status                = "1"
}
resource "alicloud_wafv3_defense_rule" "black" {
  instance_id   = alicloud_wafv3_instance.w.id
  template_id   = alicloud_wafv3_defense_template.black.defense_template_id
  defense_type  = "template"
  defense_scene = "ip_blacklist"
  rule_name     = "known"
  config {
    rule_action = "block"
    remote_addr = ["198.18.224.77", "198.18.225.0/24"]
  }
}
"""
DEFENSE_LIFE = Life(
    "waf rules",
    _DEFENSE_1,
    _DEFENSE_1.replace('"own rules"', '"our rules"')
    .replace('resources             = ["${alicloud_wafv3_domain.shop.domain}-waf"]', 'description = "nowhere yet"')
    .replace("threshold = 20", "threshold = 10")
    .replace('"logins"\n  rule_status   = 1', '"logins"\n  rule_status   = 0')
    .replace('"198.18.224.77", ', ""),
    {
        "alicloud_wafv3_defense_template.own": "update",
        "alicloud_wafv3_defense_rule.login": "update",
        "alicloud_wafv3_defense_rule.black": "update",
    },
    _ids(
        *("alicloud_wafv3_defense_template.own", "alicloud_wafv3_defense_template.black"),
        *("alicloud_wafv3_defense_rule.login", "alicloud_wafv3_defense_rule.black"),
    ),
)
_PEERING_1 = """
data "alicloud_account" "me" {}
resource "alicloud_vpc" "one" {
  cidr_block = "10.0.0.0/16"
}
resource "alicloud_vpc" "other" {
  cidr_block = "172.16.0.0/16"
}
resource "alicloud_vpc_peer_connection" "middle" {
  peer_connection_name = "middle"
  vpc_id               = alicloud_vpc.one.id
  accepting_ali_uid    = data.alicloud_account.me.id
  accepting_region_id  = "ap-southeast-1"
  accepting_vpc_id     = alicloud_vpc.other.id
  tags                 = { stage = "test", gone = "soon" }
}
resource "alicloud_route_entry" "there" {
  route_table_id        = alicloud_vpc.one.route_table_id
  destination_cidrblock = "172.16.0.0/16"
  nexthop_type          = "VpcPeer"
  nexthop_id            = alicloud_vpc_peer_connection.middle.id
  name                  = "there"
}
resource "alicloud_route_entry" "back" {
  route_table_id        = alicloud_vpc.other.route_table_id
  destination_cidrblock = "10.0.0.0/20"
  nexthop_type          = "VpcPeer"
  nexthop_id            = alicloud_vpc_peer_connection.middle.id
}
resource "alicloud_cloud_firewall_vpc_firewall" "middle" {
  vpc_firewall_name = "middle"
  status            = "open"
  local_vpc {
    vpc_id    = alicloud_vpc.one.id
    region_no = "ap-southeast-1"
    local_vpc_cidr_table_list {
      local_route_table_id = alicloud_vpc.one.route_table_id
      local_route_entry_list {
        local_destination_cidr     = alicloud_route_entry.there.destination_cidrblock
        local_next_hop_instance_id = alicloud_vpc_peer_connection.middle.id
      }
    }
  }
  peer_vpc {
    vpc_id    = alicloud_vpc.other.id
    region_no = "ap-southeast-1"
    peer_vpc_cidr_table_list {
      peer_route_table_id = alicloud_vpc.other.route_table_id
      peer_route_entry_list {
        peer_destination_cidr     = alicloud_route_entry.back.destination_cidrblock
        peer_next_hop_instance_id = alicloud_vpc_peer_connection.middle.id
      }
    }
  }
}
resource "alicloud_cloud_firewall_vpc_firewall_control_policy" "web" {
  vpc_firewall_id  = alicloud_cloud_firewall_vpc_firewall.middle.id
  order            = 1
  acl_action       = "drop"
  description      = "no web"
  application_name = "ANY"
  source           = "10.0.0.0/16"
  source_type      = "net"
  destination      = "172.16.0.0/24"
  destination_type = "net"
  proto            = "TCP"
  dest_port        = "80/88"
  dest_port_type   = "port"
  release          = true
}
"""
PEERING_LIFE = Life(
    "peering",
    _PEERING_1,
    _PEERING_1.replace('peer_connection_name = "middle"', 'peer_connection_name = "between"')
    .replace(', gone = "soon"', "")
    .replace('vpc_firewall_name = "middle"\n  status            = "open"', 'vpc_firewall_name = "between"\n  status = "close"')
    .replace('"80/88"', '"443/443"')
    .replace("release          = true", "release          = false"),
    {
        "alicloud_vpc_peer_connection.middle": "update",
        "alicloud_cloud_firewall_vpc_firewall.middle": "update",
        "alicloud_cloud_firewall_vpc_firewall_control_policy.web": "update",
    },
    _ids(
        *("alicloud_vpc_peer_connection.middle", "alicloud_route_entry.there", "alicloud_cloud_firewall_vpc_firewall.middle"),
        "alicloud_cloud_firewall_vpc_firewall_control_policy.web",
    ),
)
LIVES = [
    PEERING_LIFE,
    WAF_LIFE,
    DEFENSE_LIFE,
    FIREWALL_LIFE,
    EDGE_LIFE,
    NETWORK_LIFE,
    INSTANCE_LIFE,
    EIP_LIFE,
    SLB_LIFE,
    RAM_LIFE,
    IMAGE_LIFE,
    HTTPS_LIFE,
]


def live(life: Life, terraform: Terraform) -> None:
    """Apply, empty plan, change, empty plan, import, destroy: the plans and the state are asserted at each turn."""
    terraform.write(life.first)
    terraform.init()
    terraform.apply()
    terraform.plan_is_empty()
    terraform.write(life.second)
    assert changes_of(terraform) == life.changes
    terraform.apply()
    terraform.plan_is_empty()
    state = terraform.state()
    for address, import_id in life.imports.items():
        terraform.reimport(address, import_id(state[address]))
    assert changes_of(terraform) == dict.fromkeys(life.unread, "update")
    terraform.destroy()
    assert terraform.state() == {}
