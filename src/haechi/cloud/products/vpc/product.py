"""The product code and API version."""

from haechi.cloud.action import Product

vpc = Product("vpc", "2016-04-28")
