"""haechi: Alibaba Cloud, Vault and Terraform Enterprise on one Linux machine, guarded and proved."""

__version__ = "0.1.0"
