"""The product code and API version."""

from haechi.cloud.action import Product

ram = Product(
    "ram",
    "2015-05-01",
    absent="password policy, MFA devices, SSO, conditions in policies",
)
