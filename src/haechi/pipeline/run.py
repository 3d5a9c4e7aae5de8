"""One run of the pipeline: what its steps share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haechi.pipeline import program, sweep
from haechi.pipeline.terraform import Terraform
from haechi.settings import Target

PARTS = ("01_vault", "03_app", "04_slb")


@dataclass(frozen=True)
class VaultOptions:
    """What the user asked of `up`; "" leaves it as it was. `shares` is a file, or - for the terminal."""

    address: str = ""
    package: str = ""
    shares: str = ""


@dataclass
class Run:
    """One run of the pipeline. `say` takes a line of progress."""

    target: Target
    blueprint: Path
    say: Callable[[str], None]
    vault: VaultOptions = VaultOptions()
    values: dict[str, str] = field(default_factory=dict, repr=False)  # of this run; may hold a token

    def is_applied(self, name: str) -> bool:
        """Whether terraform has a state of a part."""
        return (self.target.work / "meow" / name / "terraform.tfstate").exists()

    def part(self, name: str) -> Terraform:
        """Terraform on the working copy of one part of the blueprint."""
        terraform = find_terraform(self.target, self.say)
        return Terraform(terraform, self.target.work / "meow" / name, self.target.environment(), self.say)


@dataclass(frozen=True)
class Step:
    """A step. `run` returns one line of what it found or did."""

    name: str
    title: str
    run: Callable[[Run], str]
    local_only: bool = False


def find_terraform(target: Target, say: Callable[[str], None]) -> str:
    """The terraform program for this target."""
    return program.find_program(target.site.home / "bin", say)


def operator_key(target: Target) -> Path:
    """The operator's SSH key pair of this target, made on first use."""
    path = target.site.home / "ssh" / "operator"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "haechi-operator", "-f", str(path)], check=True)
    return path


def apply_part(run: Run, name: str, variables: dict[str, object]) -> dict[str, Any]:
    """terraform apply of one part of the blueprint, after a sweep; its outputs."""
    part = run.part(name)
    part.copy_from(run.blueprint / name, variables)
    part.init()
    for line in sweep.remove_strays(run.target, name, part.resources()):
        run.say(line)
    part.apply()
    return part.outputs()
