"""The product code and API version."""

from haechi.cloud.action import Product

ecs = Product(
    "ecs",
    "2014-05-26",
    absent="launch templates, auto provisioning, dedicated hosts, spot market, automatic snapshot policies, "
    "secondary interfaces, cloud assistant, IPv6",
)
