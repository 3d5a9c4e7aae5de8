"""hvac's own integration suite, unmodified, as a lane of ours: fetched by name and digest, run in a virtualenv of its own.

Both lie in HAECHI_CACHE; once they are there no network is needed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

VERSION = "2.4.0"
SHA256 = "e0056ad9064e7923e874e6769015b032580b639e29246f5ab1044f7959c1c7e0"
# What the files we run import. requests: test_illegal_token expects a header check that newer releases make themselves, in other words.
REQUIREMENTS = """\
certifi==2026.10.19.post1
charset-normalizer==3.5.3
execnet==2.1.2
idna==3.20
iniconfig==2.3.1
packaging==23.2
parameterized==0.8.1
pluggy==1.7.0
pyhcl==0.4.5
pytest==7.4.4
pytest-xdist==3.8.0
requests==2.32.5
urllib3==2.8.0
"""
RUN_SECONDS = 600
GONE_SECONDS = 10  # the suite kills its servers and does not wait for their end
OURS = ("LANG", "LC_ALL", "TMPDIR")  # what the suite inherits of our environment: no proxies, no other Vault, no consul


@dataclass(frozen=True)
class Outcome:
    """One test of the suite: "passed", "failed" or "skipped", and why."""

    result: str
    text: str = ""


@dataclass(frozen=True)
class Run:
    """What a run gave: outcomes by "module.Class::test" below tests.integration_tests, and process ids that it left."""

    outcomes: Mapping[str, Outcome]
    left: tuple[int, ...]
    output: str

    def names(self, result: str) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome.result == result}


def cache() -> Path:
    return Path(os.environ.get("HAECHI_CACHE") or "/var/cache/haechi")


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """One at a time; others wait for whoever fetches or builds."""
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "hvac.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch_sdist(place: Path) -> Path:
    """The sdist in `place`, by pip when it is not there yet. Raises AssertionError when it is another file."""
    name = f"hvac-{VERSION}.tar.gz"
    with _locked(place):
        if not (place / name).exists():
            with tempfile.TemporaryDirectory(dir=place) as half:
                _pip(sys.executable, "download", f"hvac=={VERSION}", "--no-binary=hvac", "--no-deps", "-d", half)
                check_digest(Path(half) / name)
                (Path(half) / name).rename(place / name)
    check_digest(place / name)
    return place / name


def check_digest(path: Path) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == SHA256, f"{path} is not the file it should be: sha256 {found}. Remove it to have it fetched again."


def build_virtualenv(place: Path) -> Path:
    """The interpreter of a virtualenv with REQUIREMENTS in `place`; made anew when the list or our interpreter changes."""
    key = hashlib.sha256(f"{REQUIREMENTS}{sys.version}{sys.base_prefix}".encode()).hexdigest()[:16]
    whole = place / f"hvac-venv-{key}"
    with _locked(place):
        if not (whole / "complete").exists():
            shutil.rmtree(whole, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(whole)], check=True, capture_output=True, timeout=300)
            (whole / "requirements.txt").write_text(REQUIREMENTS)
            _pip(str(whole / "bin/python"), "install", "--no-deps", "-r", str(whole / "requirements.txt"))
            (whole / "complete").touch()
    return whole / "bin/python"


def _pip(python: str, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"pip {' '.join(arguments)}: {done.stderr[-2000:]}"


def unpack(sdist: Path, place: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    return place / f"hvac-{VERSION}"


def run(python: Path, source: Path, vault: Path, files: tuple[str, ...], workers: int = 2) -> Run:
    """Run files of tests/integration_tests against the executable `vault`. The working directory is the unpacked sdist."""
    place = Path(tempfile.mkdtemp(dir=source.parent))
    home, programs, report = place / "home", place / "bin", place / "report.xml"
    home.mkdir()
    programs.mkdir()
    (programs / "vault").symlink_to(vault)
    environment = {name: os.environ[name] for name in OURS if name in os.environ}
    environment |= {"HOME": str(home), "PATH": str(programs)}
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers), "--dist", "worksteal"]
    command += [f"--junitxml={report}", *(f"tests/integration_tests/{name}" for name in files)]
    with open(place / "output", "w+") as output:
        process = subprocess.Popen(command, cwd=source, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            process.wait(RUN_SECONDS)
        finally:
            left = _wait_for_end(str(home))
            if process.poll() is None or left:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        text = output.read()
    assert report.exists(), text[-4000:]
    return Run(_parse_report(report), left, text)


def _wait_for_end(home: str) -> tuple[int, ...]:
    """Processes that still have `home` in their environment, given a little time to go."""
    deadline = time.monotonic() + GONE_SECONDS
    while (left := living(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def living(home: str) -> tuple[int, ...]:
    """Processes whose HOME that is."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and f"HOME={home}\0".encode() in (place / "environ").read_bytes() + b"\0":
                found.append(int(place.name))
        except OSError:  # it ended while we looked
            continue
    return tuple(found)


def _parse_report(path: Path) -> dict[str, Outcome]:
    outcomes = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.integration_tests.')}::{case.get('name')}"
        bad = [case.find(kind) for kind in ("failure", "error")]
        skipped = case.find("skipped")
        if found := [element for element in bad if element is not None]:
            outcomes[name] = Outcome("failed", f"{found[0].get('message', '')}\n{found[0].text or ''}"[-1500:])
        elif skipped is not None:
            outcomes[name] = Outcome("skipped", skipped.get("message", ""))
        else:
            outcomes[name] = Outcome("passed")
    return outcomes
