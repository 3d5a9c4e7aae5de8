output "instance_id" {
  value = alicloud_instance.vault.id
}

output "public_ip" {
  value = alicloud_instance.vault.public_ip
}

output "private_ip" {
  value = alicloud_instance.vault.primary_ip_address
}

output "password" {
  description = "Password of root."
  value       = random_password.root.result
  sensitive   = true
}

output "ssh" {
  description = "The command that logs in."
  value       = "ssh root@${alicloud_instance.vault.public_ip}"
}

output "vault_addr" {
  description = "VAULT_ADDR of whoever uses this Vault."
  value       = "http://${alicloud_instance.vault.public_ip}:8200"
}
