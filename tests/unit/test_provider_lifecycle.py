"""Each resource's life with the real terraform: apply, empty plan, change, empty plan, import, destroy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.localcloud import LocalCloud
from tests.unit.provider_bench import Terraform, open_door, provider_block
from tests.unit.provider_cases import LIVES, Life, live


@pytest.fixture
def terraform(cloud: LocalCloud, tmp_path: Path) -> Iterator[Terraform]:
    door = open_door(cloud)
    folder = tmp_path / "work"
    folder.mkdir()
    terraform = Terraform(folder, {})
    terraform.write(provider_block(door.port), "provider.tf")
    yield terraform
    door.close()


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
def test_life(life: Life, terraform: Terraform, cloud: LocalCloud) -> None:
    live(life, terraform)
    assert not cloud.dataplane.plan.hosts and not cloud.dataplane.plan.networks
