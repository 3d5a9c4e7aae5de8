"""Billing: what the Terraform provider asks of it at configure time.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.bssopenapi.product import bssopenapi

__all__ = ["bssopenapi"]
