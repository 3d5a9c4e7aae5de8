"""Cloud DNS: domains and their records, which the name server of the local internet answers from.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.alidns import domains, reading, records, tags, weights  # noqa: F401
from haechi.cloud.products.alidns.product import alidns

__all__ = ["alidns"]
