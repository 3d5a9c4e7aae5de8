"""The product code and API version."""

from haechi.cloud.action import Product

ecs = Product("ecs", "2014-05-26")
