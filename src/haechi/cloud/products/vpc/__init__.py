"""Virtual Private Cloud: VPCs, vSwitches, route tables, elastic IP addresses.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.vpc import bindings, eips, places, route_entries, routes, tags, vpcs, vswitches  # noqa: F401
from haechi.cloud.products.vpc.product import vpc

__all__ = ["vpc"]
