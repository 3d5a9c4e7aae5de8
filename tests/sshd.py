"""An OpenSSH server without installing one: out of the base image that every host lies on (`make test` has built it)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from haechi.dataplane.site import read_site


def unpack_sshd(into: Path) -> str:
    """Shell words that run sshd; what they need is unpacked below `into`."""
    tars = sorted(read_site().cache.glob("base-*.tar"), key=lambda path: path.stat().st_mtime)
    assert tars, "there is no base image: run `haechi prepare`"
    wanted = ["./usr/sbin/sshd", "./usr/lib/*/libwrap.so*"]
    subprocess.run(["tar", "-C", str(into), "-xf", str(tars[-1]), "--wildcards", *wanted], check=True)
    (library,) = {path.parent for path in into.glob("usr/lib/*/libwrap.so*")}
    return f"env LD_LIBRARY_PATH={library} {into}/usr/sbin/sshd"
