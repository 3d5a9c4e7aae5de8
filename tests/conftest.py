"""Fixtures that every lane shares."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.localcloud import LocalCloud

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job; tests interrupt programs, and themselves
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A cloud in this process without hosts and packets."""
    local = LocalCloud(tmp_path)
    yield local
    local.close()
