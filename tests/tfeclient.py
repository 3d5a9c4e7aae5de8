"""The real terraform program as a client of a Terraform Enterprise server under test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.tfeworker import Server

SERVICES = ("tfe.v2", "tfe.v2.1", "tfe.v2.2", "state.v2")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
DATA = """variable "name" { default = "none" }
resource "terraform_data" "a" { input = var.name }
output "name" { value = terraform_data.a.output }
"""


def remote(workspaces: str, host: str = "app.terraform.io") -> str:
    """`backend "remote"` as people write it."""
    return _block('backend "remote"', workspaces, host)


def cloud(workspaces: str, host: str = "app.terraform.io") -> str:
    """A `cloud` block as people write it."""
    return _block("cloud", workspaces, host)


def _block(kind: str, workspaces: str, host: str) -> str:
    place = f'    hostname     = "{host}"\n    organization = "acme"\n    workspaces {{ {workspaces} }}\n'
    return f"terraform {{\n  {kind} {{\n{place}  }}\n}}\n"


class Terraform:
    """terraform in one directory. The name app.terraform.io means the server, by the CLI configuration and nothing else."""

    def __init__(self, server: Server, directory: Path, token: str = "", **files: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.write(**files)
        token = token or (server.home / "token").read_text().strip()
        services = "\n".join(f'    "{name}" = "http://127.0.0.1:{server.port}/api/v2/"' for name in SERVICES)
        settings = directory.parent / f"{directory.name}.tfrc"
        host = f'host "app.terraform.io" {{\n  services = {{\n{services}\n  }}\n}}\n'
        settings.write_text(host + f'credentials "app.terraform.io" {{\n  token = "{token}"\n}}\ndisable_checkpoint = true\n')
        self.log = directory.parent / f"{directory.name}.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory.parent),
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "TF_LOG": "debug",
            "TF_LOG_PATH": str(self.log),
        }

    def write(self, **files: str) -> None:
        """Configuration files, by their name without .tf."""
        for name, text in files.items():
            (self.directory / f"{name}.tf").write_text(text)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """A terraform that goes on."""
        return subprocess.Popen(
            ["terraform", *arguments],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0, say: str = "", **environment: str) -> str:
        """What it prints, without colours. Fails the test on another exit code."""
        process = self.start(*arguments, **environment)
        out, _ = process.communicate(say, timeout=120)
        text = COLOUR.sub("", out)
        assert process.returncode == code, f"terraform {' '.join(arguments)}: {process.returncode}\n{text}"
        return text

    def converse(self, command: str, *dialogue: str) -> str:
        """A command at whose prompts somebody answers: prompt, answer, prompt, answer. What it prints; it must succeed."""
        process = self.start(command)
        assert process.stdin is not None and process.stdout is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        shown, turns = "", list(zip(dialogue[::2], dialogue[1::2], strict=True))
        while piece := os.read(process.stdout.fileno(), 4096):
            shown += COLOUR.sub("", piece.decode(errors="replace"))
            if turns and turns[0][0] in shown and shown.rstrip().endswith("Enter a value:"):
                process.stdin.write(turns.pop(0)[1] + "\n")
                process.stdin.flush()
        watchdog.cancel()
        process.stdin.close()
        process.stdout.close()
        assert process.wait(timeout=60) == 0, shown
        return shown

    def json(self, *arguments: str) -> Any:
        """What it prints, as JSON."""
        return json.loads(self(*arguments))

    def complaints(self) -> list[str]:
        """Lines of its log that tell of errors or of panics."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if "[ERROR]" in line or "panic" in line]
