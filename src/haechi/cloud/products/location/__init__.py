"""Location service: which endpoint serves a product in a region.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.location import endpoints  # noqa: F401
from haechi.cloud.products.location.product import location

__all__ = ["location"]
