"""The product code and API version."""

from haechi.cloud.action import Product

location = Product("location", "2015-06-12")
