"""What a site leaves on the machine: everything that carries its prefix or its home, found by looking, not by asking haechi."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path


def leftovers(site: int, home: Path) -> dict[str, list[str]]:
    """Namespaces, links, routes, tables, mounts, cgroups, processes and files of a site; empty lists are left out."""
    prefix = f"hx{site}"

    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    links = [link["ifname"] for link in json.loads("".join(lines("ip", "-j", "link")))]
    public = f"198.18.{16 * site}."
    found = {
        "namespaces": [n for n in lines("ip", "netns") if n.startswith(f"{prefix}-")],
        "links": [name for name in links if name.startswith(prefix)],
        "routes": [r for r in lines("ip", "route", "show", "table", "all") if public in r or f"dev {prefix}" in r],
        "addresses": [a for a in lines("ip", "-o", "addr") if public in a],
        "tables": [t for t in lines("nft", "list", "tables") if prefix in t.split()],
        "mounts": [m for m in Path("/proc/mounts").read_text().splitlines() if str(home) in m or f"/{prefix}-" in m],
        "cgroups": [str(p) for name in (prefix, f"{prefix}-*") for p in Path("/sys/fs/cgroup").glob(f"**/{name}")],
        "processes": [p.name for p in Path("/proc").iterdir() if p.name.isdigit() and _belongs(p, home)],
        "files": [str(p) for p in (home, Path(f"/run/haechi-{site}")) if p.exists()],
    }
    return {kind: things for kind, things in found.items() if things}


def _belongs(process: Path, home: Path) -> bool:
    try:
        return str(home).encode() in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except OSError:  # it ended while we looked, or it is a kernel thread
        return False
