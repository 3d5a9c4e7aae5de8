"""Classic Load Balancer: load balancers, listeners, server groups, access control lists.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.slb.product import slb

__all__ = ["slb"]
