"""Elastic Compute Service: instances, disks, images, key pairs, security groups.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.ecs.product import ecs

__all__ = ["ecs"]
