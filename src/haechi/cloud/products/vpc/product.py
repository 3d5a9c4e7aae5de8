"""The product code and API version."""

from haechi.cloud.action import Product

vpc = Product(
    "vpc",
    "2016-04-28",
    absent="custom route entries, NAT gateways, VPN, peering, network ACLs, EIPs on load balancers, IPv6",
)
