"""The product code and API version."""

from haechi.cloud.action import Product

vpcpeer = Product("vpcpeer", "2022-01-01", absent="connections to VPCs of other accounts, bandwidth limits, IPv6")
