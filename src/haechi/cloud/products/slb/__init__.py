"""Classic Load Balancer: load balancers, listeners, server groups, access control lists, certificates.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.slb import (  # noqa: F401
    acl_entries,
    acls,
    balancer_changes,
    balancer_reading,
    balancers,
    ca_certificates,
    certificates,
    group_servers,
    groups,
    health,
    listener_reading,
    listeners,
    places,
    servers,
    tags,
)
from haechi.cloud.products.slb.product import slb

__all__ = ["slb"]
