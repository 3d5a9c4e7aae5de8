"""The product code and API version."""

from haechi.cloud.action import Product

sts = Product(
    "sts",
    "2015-04-01",
    absent="OIDC and SAML sessions",
)
