"""Web Application Firewall 3.0: domains in CNAME mode, templates and rules, the log of attacks and statistics.

Each module registers its actions when it is imported here.
"""

from haechi.cloud.products.waf import domains, instances, logs, objects, rules, statistics, templates  # noqa: F401
from haechi.cloud.products.waf.product import waf

__all__ = ["waf"]
