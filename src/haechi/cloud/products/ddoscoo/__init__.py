"""Anti-DDoS Pro and Premium: instances, domains, ports, lists, frequency control, blackholes, and what was measured.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.ddoscoo import blackholes, domains, frequency, instances, lists, monitoring, more, policies, ports  # noqa: F401
from haechi.cloud.products.ddoscoo.product import ddoscoo

__all__ = ["ddoscoo"]
