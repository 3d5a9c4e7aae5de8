"""The product code and API version."""

from haechi.cloud.action import Product

waf = Product(
    "waf-openapi",
    "2021-10-01",
    absent="cloud-native and hybrid access, bots, API security, data leakage, tamper-proofing, regions, scan protection, challenges",
)
