"""The directory of a run: what lies where, from the plan to the apply at the same absolute path, because a plan names it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from haechi.tfe import archive

OVERRIDE = "zzzz_haechi_override.tf.json"  # read last: the backend in it replaces `backend "remote"` and `cloud`
VARIABLES = "zzz_haechi_"  # read last of *.auto.tfvars: the workspace's values beat the uploaded ones


class PrepareError(Exception):
    """The run cannot begin; one sentence for its log."""


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run. The run itself sees `files`, and `cli_config` read-only; what steers it lies beside, out of its reach."""

    root: Path
    workspace: str  # its name
    working_directory: str = ""

    @property
    def files(self) -> Path:
        """What the run may change, and with it whatever code its configuration starts: the server follows no link in it."""
        return self.root / "files"

    @property
    def configuration(self) -> Path:
        return self.files / "configuration"

    @property
    def work(self) -> Path:
        """Where terraform runs."""
        return self.configuration / self.working_directory

    @property
    def state(self) -> Path:
        """Where the local backend keeps the state of this workspace."""
        return self.files / "state" / self.workspace / "terraform.tfstate"

    @property
    def plan(self) -> Path:
        return self.files / "plan.out"

    @property
    def cli_config(self) -> Path:
        return self.root / "cli.tfrc"

    @property
    def home(self) -> Path:
        return self.files / "home"

    @property
    def temporary(self) -> Path:
        return self.files / "tmp"

    def command(self, name: str) -> Path:
        """The directory of a command's supervisor."""
        return self.root / "commands" / name

    def log(self, phase: str) -> Path:
        """What terraform prints in a phase."""
        return self.root / f"{phase}.log"

    def prepare(self, data: bytes) -> None:
        """Make it anew from a configuration version's archive. Raises PrepareError."""
        if self.root.exists():
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True, mode=0o700)
        for path in (self.files, self.home, self.temporary):
            path.mkdir()
        try:
            archive.unpack(data, self.configuration)
        except archive.ArchiveError as error:
            raise PrepareError(str(error)) from None
        if not self.work.resolve().is_relative_to(self.configuration.resolve()) or not self.work.is_dir():
            raise PrepareError(f"The configuration has no directory {self.working_directory!r}, the workspace's working directory.")
        self._clear()
        states = self.files / "state"
        backend = {"path": str(states / "default.tfstate"), "workspace_dir": str(states)}
        (self.work / OVERRIDE).write_text(json.dumps({"terraform": {"backend": {"local": backend}}}))

    def _clear(self) -> None:
        """Remove what would mislead terraform: states of other times, our own names, the settings of the client's backend."""
        for path in list(self.work.glob("terraform.tfstate*")) + list(self.work.glob(f"{VARIABLES}*")) + list(self.work.glob(OVERRIDE)):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for name in ("environment", "terraform.tfstate"):
            (self.work / ".terraform" / name).unlink(missing_ok=True)

    def write_state(self, data: bytes | None) -> None:
        """Put the current state in place; after init, which stumbles over one that it did not expect."""
        if data is not None:
            path = self._own(self.state)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def read_state(self) -> bytes | None:
        """The state as terraform left it. Raises PrepareError where something else lies in its place."""
        path = self._own(self.state)
        if not path.exists():
            return None
        if not path.is_file():
            raise PrepareError("The state is not a file.")
        return path.read_bytes()

    def _own(self, path: Path) -> Path:
        """Where a path really leads, while nothing of the run is alive. Raises PrepareError where that is not among its files."""
        real = path.resolve()
        if not real.is_relative_to(self.files.resolve()):
            raise PrepareError(f"{path.name} leads out of the run's directory.")
        return real

    def write_variables(self, plain: dict[str, str], hcl: dict[str, str], run: dict[str, str]) -> None:
        """Values for terraform's variables: as text, as expressions, and those of this run, which win."""
        files = {
            "1.auto.tfvars.json": json.dumps(plain) if plain else "",
            "2.auto.tfvars": _assignments(hcl),
            "3.auto.tfvars": _assignments(run),
        }
        for name, text in files.items():
            if text:
                path = self._own(self.work / f"{VARIABLES}{name}")
                path.touch(mode=0o600)
                path.write_text(text)

    def remove(self) -> None:
        """Forget it."""
        shutil.rmtree(self.root, ignore_errors=True)


def _assignments(values: dict[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in values.items() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key))
