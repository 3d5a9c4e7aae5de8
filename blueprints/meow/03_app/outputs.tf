output "ecs_ids" {
  description = "Instances that serve the page."
  value       = alicloud_instance.app[*].id
}

output "vswitchid" {
  value = alicloud_vswitch.app.id
}

output "public_ips" {
  value = alicloud_instance.app[*].public_ip
}

output "private_ips" {
  value = alicloud_instance.app[*].primary_ip_address
}
