"""Resource Access Management: users, access keys, roles, policies.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.ram.product import ram

__all__ = ["ram"]
