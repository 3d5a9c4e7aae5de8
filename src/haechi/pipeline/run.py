"""One run of the pipeline: what its steps share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haechi.pipeline import program, sweep, tfe
from haechi.pipeline.terraform import Terraform, list_resources
from haechi.pipeline.terraformrc import HOST
from haechi.settings import Target

REMOTE_PARTS = ("03_app", "04_slb", "05_edge")  # applied by Terraform Enterprise; their states are in workspaces of the same names
PARTS = ("01_vault", *REMOTE_PARTS)


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
    yes: bool = False  # confirm runs without asking
    command: str = "up"  # what the records of runs name
    values: dict[str, str] = field(default_factory=dict, repr=False)  # of this run; may hold a token

    def is_applied(self, name: str) -> bool:
        """Whether terraform has a state of a part, here or in its workspace."""
        if (self.target.work / "meow" / name / "terraform.tfstate").exists():
            return True
        return name in REMOTE_PARTS and bool(self.outputs(name))

    def outputs(self, name: str) -> dict[str, Any]:
        """Output values of a part by name; {} before the first apply, or when there is no server to ask."""
        if name not in REMOTE_PARTS:
            return self.part(name).outputs()
        found = tfe.workspace(self.target, name)
        if found is None:
            return {}
        with tfe.client(self.target) as server:
            return server.outputs(found["id"])

    def resources(self, name: str) -> list[dict[str, Any]]:
        """Managed resources in a part's state: {type, name, values} each."""
        if name not in REMOTE_PARTS:
            return self.part(name).resources()
        found = tfe.workspace(self.target, name)
        if found is None:
            return []
        with tfe.client(self.target) as server:
            return list_resources(server.state(found["id"]))

    def part(self, name: str) -> Terraform:
        """Terraform on the working copy of one part of the blueprint."""
        terraform = find_terraform(self.target, self.say)
        environment = self.target.environment()
        if name in REMOTE_PARTS and not self.target.local and self.target.tfe_token:
            environment[f"TF_TOKEN_{HOST.replace('.', '_')}"] = self.target.tfe_token
        backend = {"organization": tfe.organization(self.target)} if name in REMOTE_PARTS else {}
        return Terraform(terraform, self.target.work / "meow" / name, environment, self.say, backend)


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
