"""One haechi on a site of its own, driven only by its command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.leftovers import leftovers

SITE = 6


@dataclass(frozen=True)
class Story:
    """The site's command line."""

    home: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "haechi", *arguments]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def haechi(self, *arguments: str, code: int = 0) -> str:
        """Standard output; fails the test on another exit code."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, f"haechi {' '.join(arguments)}: {process.returncode}\n{out[-3000:]}\n{err[-3000:]}"
        return out


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Ends with a purge, after which nothing of the site may be left."""
    home = tmp_path_factory.mktemp("story") / "home"
    environment = {
        **os.environ,
        "HAECHI_SITE": str(SITE),
        "HAECHI_HOME": str(home),
        "HAECHI_CACHE": os.environ.get("HAECHI_CACHE", "/var/cache/haechi"),
        "HAECHI_PROVIDERS": "local",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for name in ("HAECHI_TARGET", "HAECHI_VAULT_ADDR", "VAULT_ADDR", "VAULT_TOKEN"):
        environment.pop(name, None)
    story = Story(home, environment)
    yield story
    story.haechi("down", "--purge")
    assert leftovers(SITE, home) == {}
