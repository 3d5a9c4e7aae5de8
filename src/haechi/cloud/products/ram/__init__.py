"""Resource Access Management: users, access keys, groups, roles, policies.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.ram import attachments, groups, keys, logins, policies, roles, users  # noqa: F401
from haechi.cloud.products.ram.product import ram

__all__ = ["ram"]
