"""The product code and API version."""

from haechi.cloud.action import Product

ddoscoo = Product(
    "ddoscoo",
    "2020-01-01",
    absent="scheduling between instances, caching, area blocking, intelligent protection, near-source blocking, request logs, IPv6",
)
