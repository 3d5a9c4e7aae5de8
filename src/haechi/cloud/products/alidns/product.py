"""The product code and API version."""

from haechi.cloud.action import Product

alidns = Product(
    "alidns",
    "2015-01-09",
    absent="domain groups, lines, URL forwarding, DNSSEC, secondary DNS, global traffic manager, query logs",
)
