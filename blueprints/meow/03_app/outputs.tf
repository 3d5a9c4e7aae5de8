output "ecs_ids" {
  description = "Instances that serve the page: those the load balancer gets."
  value       = slice(alicloud_instance.app[*].id, 0, min(var.instance_count, coalesce(var.serving_count, var.instance_count)))
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
