"""The same on PostgreSQL: runs, states and logs as on SQLite, and two servers that share one database."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import new_database, postgresql
from tests.tfelab import TfeLab, tfe_lab
from tests.tfeworker import Server, served
from tests.unit.test_tfe_access import test_states_are_shared_as_the_workspace_says, test_tokens_are_shown_once_expire_and_are_revoked  # noqa: F401
from tests.unit.test_tfe_lifecycle import *  # noqa: F403
from tests.unit.test_tfe_logs import run, test_a_hundred_followers_get_the_same, test_any_cut_of_the_log  # noqa: F401
from tests.unit.test_tfe_states import *  # noqa: F403
from tests.unit.test_tfe_worker import DATA
from tests.unit.test_tfe_workspaces import test_finding_by_name_prefix_and_tag  # noqa: F401


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="haechi-pg-") as directory:
        Path(directory).chmod(0o755)
        with postgresql(Path(directory) / "pg") as found:
            yield found


@pytest.fixture
def lab(url: str, tmp_path: Path) -> Iterator[TfeLab]:
    with tfe_lab(tmp_path, new_database(url)) as lab:
        lab.organization()
        yield lab


def test_two_servers_and_their_workers_share_a_database(url: str, tmp_path: Path) -> None:
    database = new_database(url)
    with served(tmp_path / "one", database=database) as first:
        second = Server(tmp_path / "two", database=database)
        shutil.copytree(tmp_path / "one", tmp_path / "two", ignore=shutil.ignore_patterns("worker*", "runs", "policies"))
        second.start()
        try:
            runs = [first.run(first.workspace(f"w{n}"), {"main.tf": DATA}, auto_apply=True) for n in range(6)]
            assert {second.ended(run) for run in runs} == {"applied"}
            assert all("Apply complete!" in second.log(run, "apply") for run in runs)
        finally:
            second.end()
