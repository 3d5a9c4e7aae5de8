"""The product code and API version."""

from haechi.cloud.action import Product

slb = Product(
    "slb",
    "2014-05-15",
    absent="forwarding rules, master-slave groups, domain extensions, access logs, IPv6",
)
