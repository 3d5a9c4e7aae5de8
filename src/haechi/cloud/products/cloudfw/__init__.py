"""Cloud Firewall: which public addresses it guards, policies in and out and between VPCs, address books, and what it saw.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.cloudfw import books, instance, order, outgoing, policies, switches, traffic, trends, vpc_firewalls, vpc_policies  # noqa: F401
from haechi.cloud.products.cloudfw.product import cloudfw

__all__ = ["cloudfw"]
