"""Billing: what was bought, buying, and what the Terraform provider asks of it.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.bssopenapi import instances, orders, prices  # noqa: F401
from haechi.cloud.products.bssopenapi.product import bssopenapi

__all__ = ["bssopenapi"]
