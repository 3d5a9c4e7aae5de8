"""Commands on an instance by SSH with the operator's key, as `verify` needs them."""

from __future__ import annotations

import subprocess

from haechi.pipeline.run import operator_key
from haechi.settings import Target

SECONDS = 60
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "LogLevel": "ERROR",
    "ConnectTimeout": "5",
    "IdentitiesOnly": "yes",
}


def command(target: Target, address: str, *arguments: str) -> list[str]:
    """The ssh command line for root at an instance; `arguments` are options of ssh and the command there."""
    options = [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", *options, "-i", str(operator_key(target)), "-l", "root", address, *arguments]


def read(target: Target, address: str, script: str, stdin: str = "") -> str:
    """What a script prints there. AssertionError when it fails."""
    done = run(target, address, script, stdin)
    assert done.returncode == 0, f"{script.splitlines()[0]!r} at {address}: {done.returncode}: {done.stderr.strip()[-200:]}"
    return done.stdout


def run(target: Target, address: str, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A script there, to its end."""
    return subprocess.run(command(target, address, script), input=stdin, capture_output=True, text=True, timeout=SECONDS)
