"""The product code and API version."""

from haechi.cloud.action import Product

cloudfw = Product(
    "cloudfw",
    "2017-12-07",
    absent="firewalls of NAT gateways and transit routers, intrusion prevention, threat intelligence, geography, schedules, IPv6",
)
