"""Elastic Compute Service: instances, disks, images, key pairs, security groups.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.ecs import (  # noqa: F401
    authorization,
    availability,
    catalog,
    disk_changes,
    disks,
    image_changes,
    image_sharing,
    images,
    instance_changes,
    instance_read,
    interfaces,
    key_pairs,
    lifetime,
    options,
    power,
    public_address,
    ram_role,
    run_instances,
    security_groups,
    snapshots,
    system_disk,
    tags,
    type_queries,
)
from haechi.cloud.products.ecs.product import ecs

__all__ = ["ecs"]
