"""Connections between VPCs: two VPCs that both route to a connection reach each other, through the VPC firewall if there is one.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.vpcpeer import connections, tags  # noqa: F401
from haechi.cloud.products.vpcpeer.product import vpcpeer

__all__ = ["vpcpeer"]
