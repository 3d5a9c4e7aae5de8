"""Virtual Private Cloud: VPCs, vSwitches, elastic IP addresses.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.vpc.product import vpc

__all__ = ["vpc"]
