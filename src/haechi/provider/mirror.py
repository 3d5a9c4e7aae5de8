"""Installs the providers where terraform finds them without a registry: a filesystem mirror and the settings file that names it.

https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation
"""

from __future__ import annotations

import os
from pathlib import Path

ALICLOUD = "1.289.0"
RANDOM = "3.7.2"
# The same program answers to a few older numbers, for configurations that pin one exactly.
_OLDER_ALICLOUD = (
    "1.271.0", "1.262.1", "1.250.0", "1.239.0", "1.230.1", "1.220.1", "1.200.0", "1.173.0", "1.140.0", "1.124.0", "1.113.0", "1.103.0",
)  # fmt: skip
_OLDER_RANDOM = ("3.6.3", "3.5.1", "3.4.3", "3.1.0", "2.3.0")
_HOST = "registry.terraform.io"
_ADDRESSES = {
    f"{_HOST}/aliyun/alicloud": ("alicloud", (ALICLOUD, *_OLDER_ALICLOUD)),
    # Configurations from before Terraform 0.13 name no source and mean this address.
    f"{_HOST}/hashicorp/alicloud": ("alicloud", (ALICLOUD, *_OLDER_ALICLOUD)),
    f"{_HOST}/hashicorp/random": ("random", (RANDOM, *_OLDER_RANDOM)),
}

# The lock file keeps a hash of this program, so nothing in it may differ between machines: the interpreter's path is in a
# file at the mirror's root. Terraform links to the mirror's folders (the climb below works) or copies them (then the variable).
_SCRIPT = """#!/bin/sh
root="${HAECHI_MIRROR:-${0%/*}/../../../../..}"
read -r python < "$root/interpreter" || { echo "haechi: set HAECHI_MIRROR to the provider mirror" >&2; exit 1; }
exec "$python" -m haechi.provider NAME "$@"
"""


def install(directory: Path, python: str) -> None:
    """Write the mirror and `terraformrc` into a directory; `python` is the absolute path of an interpreter that has haechi.

    Terraform uses it with TF_CLI_CONFIG_FILE=<directory>/terraformrc. Installing again changes nothing.
    """
    install_mirror(directory, python)
    _write(directory.absolute() / "terraformrc", render_terraformrc(directory.absolute()))


def install_mirror(directory: Path, python: str) -> None:
    """Write the mirror alone, for whoever composes the settings file."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "interpreter", python + "\n")
    for address, (name, versions) in _ADDRESSES.items():
        for version in versions:
            folder = directory / address / version / "linux_amd64"
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / f"terraform-provider-{name}_v{version}", _SCRIPT.replace("NAME", name), mode=0o755)


def render_terraformrc(directory: Path) -> str:
    """Terraform settings: our providers from the mirror only, everything else from its usual place."""
    addresses = ", ".join(f'"{a}"' for a in _ADDRESSES)
    return f"""provider_installation {{
  filesystem_mirror {{
    path    = "{directory}"
    include = [{addresses}]
  }}
  direct {{
    exclude = [{addresses}]
  }}
}}
disable_checkpoint = true
"""


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write by replacing: a terraform that is running the old file keeps it."""
    if path.exists() and path.read_text() == text:
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)
