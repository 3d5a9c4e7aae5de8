output "domain" {
  description = "Name of the page."
  value       = local.domain
}

output "cname" {
  description = "What the name leads to."
  value       = alicloud_ddoscoo_domain_resource.page.cname
}

output "ddos_id" {
  value = alicloud_ddoscoo_instance.edge.id
}

output "ddos_address" {
  description = "Public address that takes the floods."
  value       = alicloud_ddoscoo_instance.edge.ip
}

output "origin" {
  description = "Address of the load balancer behind it."
  value       = data.terraform_remote_state.slb.outputs.slb_address
}

output "policy" {
  description = "Cloud Firewall's policy against inner services."
  value       = alicloud_cloud_firewall_control_policy.inner.acl_uuid
}

output "waf_id" {
  value = alicloud_wafv3_instance.edge.id
}

output "waf_cname" {
  description = "Where Anti-DDoS sends the page's requests."
  value       = alicloud_wafv3_domain.page.cname
}

output "waf_book" {
  description = "Address book that holds WAF's addresses; null while the load balancer is open to everybody."
  value       = one(alicloud_cloud_firewall_address_book.waf[*].id)
}

output "operator_policy" {
  description = "Policy that lets operator_cidr visit the load balancer."
  value       = one(alicloud_cloud_firewall_control_policy.origin_from_operator[*].acl_uuid)
}
