"""Security Token Service: who am I, and temporary credentials.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.sts import identity, sessions  # noqa: F401
from haechi.cloud.products.sts.product import sts

__all__ = ["sts"]
