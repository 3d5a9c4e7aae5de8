"""Names, paths and address ranges of one haechi on this machine.

A machine can carry up to 16 sites that never touch each other: every kernel object a site makes carries its prefix, every
public address comes from its own /20 of 198.18.0.0/16. Site 0 is the user's; tests use others.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

SITES = 16


@dataclass(frozen=True)
class Site:
    """One haechi. `home` holds what must survive a reboot, `run` what must not, `cache` what can be rebuilt."""

    index: int
    home: Path
    run: Path
    cache: Path
    core_rules: str = ""  # what HAECHI_CRS names; see core_rules
    core_rules_sha256: str = ""

    @property
    def prefix(self) -> str:
        """Leads every namespace, interface, cgroup and table name of this site."""
        return f"hx{self.index}"

    @property
    def public(self) -> IPv4Network:
        """Where public addresses come from: 198.18.(16*index).0/20, benchmark space that no real network uses."""
        return IPv4Network((0xC6120000 + (self.index << 12), 20))

    @property
    def outside(self) -> str:
        """The machine's own address as seen from the instances: the first of `public`."""
        return str(self.public[1])

    def netns(self, id: str) -> str:
        """Name under /run/netns of the namespace of one network, host or balancer."""
        return f"{self.prefix}-{id}"

    def ifname(self, kind: str, id: str) -> str:
        """Interface name (12 characters): prefix, one letter for its kind, eight hexadecimal digits of the id."""
        return f"{self.prefix}{kind}{hashlib.blake2s(id.encode(), digest_size=4).hexdigest()}"


def read_site(environ: os._Environ[str] | dict[str, str] | None = None) -> Site:
    """The site named by HAECHI_SITE (0 to 15), HAECHI_HOME and HAECHI_CACHE; an empty variable counts as not set.

    HAECHI_CRS and HAECHI_CRS_SHA256 name the core rules of its firewalls. Raises ValueError on a bad index, on a home that is not
    absolute or is a place of the system, on a relative path of core rules and on what is no checksum.
    """
    env = os.environ if environ is None else environ
    index = int(env.get("HAECHI_SITE") or "0")
    if not 0 <= index < SITES:
        raise ValueError(f"HAECHI_SITE must be 0 to {SITES - 1}, not {index}")
    suffix = f"-{index}" if index else ""
    home = Path(env.get("HAECHI_HOME") or f"/var/lib/haechi{suffix}")
    cache = Path(env.get("HAECHI_CACHE") or "/var/cache/haechi")
    for name, path in (("HAECHI_HOME", home), ("HAECHI_CACHE", cache)):
        if not path.is_absolute() or len(path.parts) < 3:
            raise ValueError(f"{name} must be an absolute path below a directory, not {str(path)!r}")
    rules, checksum = env.get("HAECHI_CRS", ""), env.get("HAECHI_CRS_SHA256", "").lower()
    if rules and not rules.startswith("https://") and not Path(rules).is_absolute():
        raise ValueError(f"HAECHI_CRS must be an absolute path or an https:// URL, not {rules!r}")
    if checksum and not re.fullmatch("[0-9a-f]{64}", checksum):
        raise ValueError("HAECHI_CRS_SHA256 must be 64 hexadecimal digits")
    return Site(index, home, Path(f"/run/haechi{suffix}"), cache, rules, checksum)
