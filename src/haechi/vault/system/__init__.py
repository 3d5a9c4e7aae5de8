"""The system backend: everything below sys/ that needs an open barrier, one file per topic. operator.py has the rest."""

from __future__ import annotations

from haechi.vault.system.audit import AuditPaths
from haechi.vault.system.keys import KeyPaths
from haechi.vault.system.leases import LeasePaths
from haechi.vault.system.mounts import MountPaths
from haechi.vault.system.policies import PolicyPaths
from haechi.vault.system.wrapping import WrappingPaths

PARTS = (MountPaths, PolicyPaths, LeasePaths, WrappingPaths, AuditPaths, KeyPaths)


class System(*PARTS):  # type: ignore[misc]
    """Mounted at sys/."""

    TYPE = "system"
    ROUTES = tuple(route for part in PARTS for route in part.ROUTES)
