"""The product code and API version."""

from haechi.cloud.action import Product

bssopenapi = Product(
    "bssopenapi",
    "2017-12-14",
    absent="renewing, bills, budgets",
)
