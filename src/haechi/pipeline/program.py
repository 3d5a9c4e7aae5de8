"""The terraform program: found on the PATH, or fetched from its publisher with a pinned checksum."""

from __future__ import annotations

import hashlib
import io
import platform
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx

from haechi.pipeline.failure import Failure

VERSION = "1.11.4"
SHA256 = "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc"  # of terraform_1.11.4_linux_amd64.zip
PUBLISHER = f"https://releases.hashicorp.com/terraform/{VERSION}/terraform_{VERSION}_linux_amd64.zip"
REGISTRY = "https://registry.terraform.io/.well-known/terraform.json"


def find_program(directory: Path, say: Callable[[str], None]) -> str:
    """Path of terraform or tofu; fetches terraform into `directory` when there is none. Raises Failure."""
    own = directory / "terraform"
    found = shutil.which("terraform") or shutil.which("tofu") or (str(own) if own.exists() else "")
    if found:
        return found
    if platform.machine() != "x86_64":
        raise Failure(
            f"There is no terraform program for {platform.machine()} here.", "Install terraform or tofu on the PATH and try again."
        )
    say(f"fetching terraform {VERSION} from its publisher")
    try:
        archive = httpx.get(PUBLISHER, timeout=120, follow_redirects=True).raise_for_status().content
    except httpx.HTTPError as error:
        raise Failure(f"terraform is not on the PATH and cannot be fetched: {error}", "Install terraform or tofu and try again.") from error
    if hashlib.sha256(archive).hexdigest() != SHA256:
        raise Failure("The terraform that was fetched is not the pinned one.", "Install terraform or tofu yourself and try again.")
    directory.mkdir(parents=True, exist_ok=True)
    temporary = own.with_suffix(".tmp")
    temporary.write_bytes(zipfile.ZipFile(io.BytesIO(archive)).read("terraform"))
    temporary.chmod(0o755)
    temporary.replace(own)
    return str(own)


def registry_answers() -> bool:
    """Whether the public provider registry is reachable (asked for at most 3 s)."""
    try:
        return httpx.get(REGISTRY, timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
