"""The product code and API version."""

from haechi.cloud.action import Product

cloudfw = Product(
    "cloudfw",
    "2017-12-07",
    absent="firewalls between VPCs and of NAT gateways, intrusion prevention, threat intelligence, geography, schedules of policies, IPv6",
)
