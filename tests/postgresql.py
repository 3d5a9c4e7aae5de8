"""A PostgreSQL server of its own for tests: the program from the machine, or from the pgserver package."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

USER = "nobody"  # it refuses to run as root
_numbers = itertools.count(1)


def programs() -> Path | None:
    """The directory of initdb and postgres; None when there are none."""
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return Path(found).parent
    package = importlib.util.find_spec("pgserver")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "pginstall" / "bin"


@contextmanager
def postgresql(directory: Path) -> Iterator[str]:
    """The URL of a server, whose files are in a directory below /tmp that others may enter."""
    where = programs()
    assert where is not None
    directory.mkdir(mode=0o700)
    shutil.chown(directory, USER)
    if not where.is_relative_to("/usr"):  # below a checkout, perhaps where nobody may look
        for name in ("pgserver", "pgserver.libs"):
            shutil.copytree(where.parents[2] / name, directory / "program" / name)
        where = directory / "program" / "pgserver" / "pginstall" / "bin"
    data, sockets = directory / "data", directory / "s"
    options = {"user": USER if os.geteuid() == 0 else None, "env": {"PATH": "/usr/bin:/bin", "LANG": "C"}, "cwd": directory}
    command = [str(where / "initdb"), "-D", str(data), "-U", "haechi", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(command, check=True, capture_output=True, **options)  # type: ignore[call-overload]
    sockets.mkdir()
    shutil.chown(sockets, USER)
    arguments = ["-D", str(data), "-k", str(sockets), "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=300"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([str(where / "postgres"), *arguments], stdout=log, stderr=log, **options)  # type: ignore[call-overload]
    url = f"postgresql+psycopg://haechi@/postgres?host={sockets}"
    try:
        _await(url, process, directory / "log")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    deadline = time.monotonic() + 60
    while True:
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def new_database(url: str) -> str:
    """The URL of a new, empty database of a server."""
    name = f"test{next(_numbers)}"
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    return url.replace("/postgres?", f"/{name}?")
