output "slb_id" {
  value = alicloud_slb_load_balancer.app.id
}

output "slb_address" {
  description = "Public address of the page."
  value       = alicloud_slb_load_balancer.app.address
}

output "url" {
  value = "http://${alicloud_slb_load_balancer.app.address}/"
}
