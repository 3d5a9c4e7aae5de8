"""The product code and API version."""

from haechi.cloud.action import Product

vpc = Product(
    "vpc",
    "2016-04-28",
    absent="further route tables, routes to anything but connections between VPCs, NAT gateways, VPN, network ACLs, IPv6",
)
