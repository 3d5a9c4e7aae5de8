"""Fixtures that every lane shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.localcloud import LocalCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A cloud in this process without hosts and packets."""
    local = LocalCloud(tmp_path)
    yield local
    local.close()
