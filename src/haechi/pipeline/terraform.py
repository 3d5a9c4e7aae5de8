"""Runs the real terraform on a working copy of one part of the blueprint, and tells what it does while it does it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from haechi.pipeline.failure import Failure

Say = Callable[[str], None]
PAST = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "read": "read"}


class Terraform:
    """One root module in `directory`, driven by `program` with `environment` on top of this process's own.

    `backend` are settings of the state's backend that stand over those in the files.
    """

    def __init__(
        self, program: str, directory: Path, environment: Mapping[str, str], say: Say, backend: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        settings = [f"-backend-config={name}={value}" for name, value in (backend or {}).items()]
        self._backend = ["-reconfigure", *settings] if settings else []  # the state is not here: nothing to move
        self._program = program
        self._environment = {**os.environ, **environment, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_INPUT": "0"}
        self._say = say

    def copy_from(self, source: Path, variables: Mapping[str, object]) -> None:
        """Bring the working copy up to date with the blueprint; state and variables of other runs stay."""
        self.copy_files(source)
        (self.directory / "haechi.auto.tfvars.json").write_text(json.dumps(dict(variables), indent=2) + "\n")
        self._mend_state()

    def copy_files(self, source: Path) -> None:
        """The blueprint's files into the working copy, without variables of ours: a remote part's are in its workspace."""
        shutil.copytree(source, self.directory, dirs_exist_ok=True)
        (self.directory / "haechi.auto.tfvars.json").unlink(missing_ok=True)

    def _mend_state(self) -> None:
        """A state file cut off by a power failure is replaced by its backup, or put aside."""
        state = self.directory / "terraform.tfstate"
        for candidate in (state, state.with_suffix(".tfstate.backup")):
            try:
                json.loads(candidate.read_text())
            except FileNotFoundError:
                if candidate is state:
                    return
            except ValueError:
                self._say(f"{candidate.name} was cut off and is put aside")
                candidate.replace(candidate.with_suffix(".broken"))
            else:
                if candidate is not state:
                    shutil.copy(candidate, state)
                return

    def init(self) -> None:
        """terraform init; quick when nothing changed. A lock file of other provider versions is renewed."""
        done = self._run("init", "-no-color", *self._backend)
        if done.returncode:
            (self.directory / ".terraform.lock.hcl").unlink(missing_ok=True)
            done = self._run("init", "-no-color", "-upgrade", *self._backend)
        if done.returncode:
            raise Failure(
                f"terraform init failed in {self.directory}: {_last(done.stderr)}", "Run `haechi doctor`, then `haechi up` again."
            )

    def apply(self) -> None:
        """terraform apply, telling each resource as it is done. Raises Failure with the first error's words."""
        self._stream("apply", "-auto-approve", "-json", "-parallelism=10")

    def destroy(self) -> None:
        """terraform destroy."""
        self._stream("destroy", "-auto-approve", "-json", "-parallelism=10")

    def plan_is_empty(self) -> bool:
        """Whether a plan finds nothing to change."""
        return self.plan()[0]

    def plan(self) -> tuple[bool, str]:
        """Whether a plan finds nothing to change, and what terraform printed."""
        done = self._run("plan", "-detailed-exitcode", "-no-color", "-lock=false")
        if done.returncode == 1:
            raise Failure(f"terraform plan failed in {self.directory}: {_last(done.stderr)}", "Run `haechi doctor`.")
        return done.returncode == 0, done.stdout

    def text(self, *arguments: str) -> str:
        """What a command that changes nothing prints for people. Raises Failure."""
        done = self._run(*arguments)
        if done.returncode:
            raise Failure(f"terraform {arguments[0]} failed in {self.directory}: {_last(done.stderr)}", "Run `haechi doctor`.")
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """Output values by name; empty before the first apply."""
        if not (self.directory / "terraform.tfstate").exists():
            return {}
        done = self._run("output", "-json", "-no-color")
        if done.returncode:
            return {}
        return {name: item["value"] for name, item in json.loads(done.stdout).items()}

    def resources(self) -> list[dict[str, Any]]:
        """Managed resources in the state: {type, name, values} each."""
        state = self.directory / "terraform.tfstate"
        if not state.exists():
            return []
        return list_resources(json.loads(state.read_text()))

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments], cwd=self.directory, env=self._environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def _stream(self, *arguments: str) -> None:
        errors: list[str] = []
        command = [self._program, *arguments]
        with subprocess.Popen(
            command,
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    self._tell(line, errors)
            except BaseException:  # Ctrl-C: let terraform write its state, then go
                process.send_signal(2)
                process.wait()
                raise
        if process.returncode:
            what = errors[0] if errors else f"terraform {arguments[0]} ended with {process.returncode}"
            raise Failure(what, f"See {self.directory}; `haechi doctor` checks the machine, `haechi up` carries on from here.")

    def _tell(self, line: str, errors: list[str]) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            self._say(line.rstrip())
            return
        kind = event.get("type", "")
        if kind in ("apply_complete", "apply_start", "apply_progress"):
            hook = event["hook"]
            address, action = hook["resource"]["addr"], hook["action"]
            if kind == "apply_complete":
                self._say(f"{address}: {PAST.get(action, action)}" + (f" {hook['id_value']}" if hook.get("id_value") else ""))
            elif kind == "apply_progress":
                self._say(f"{address}: {action}, {hook.get('elapsed_seconds', 0)} s")
        elif kind == "diagnostic" and event.get("@level") == "error":
            diagnostic = event["diagnostic"]
            errors.append(" ".join(f"{diagnostic['summary']} {diagnostic.get('detail', '')}".split()))


def list_resources(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Managed resources of a state file's content: {type, name, values} each."""
    return [
        {"type": resource["type"], "name": resource["name"], "values": instance["attributes"]}
        for resource in state.get("resources", [])
        if resource["mode"] == "managed"
        for instance in resource["instances"]
    ]


def _last(text: str) -> str:
    lines = [line.strip(" │╷╵") for line in text.splitlines()]
    return " ".join(line for line in lines if line)[:600]
