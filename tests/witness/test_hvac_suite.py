"""hvac 2.4.0's own integration suite against our `vault` executable: what is in scope passes, all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.witness import hvac_suite
from tests.witness.hvac_suite import Run
from tests.witness.test_sdk_new import wait

VAULT = Path(sys.executable).with_name("vault")
FILES = (
    "api/auth_methods/test_approle.py",
    "api/auth_methods/test_github.py",
    "api/auth_methods/test_token.py",
    "api/secrets_engines/test_kv_v1.py",
    "api/secrets_engines/test_kv_v2.py",
    "api/secrets_engines/test_ssh.py",
    "api/system_backend",
    "v1",
)
PASSING = 257
# Tests that must fail, and what they must fail with: they mount an engine or a method that is not offered.
PKI, TRANSIT, GCP = (f"plugin not found in the catalog: {name}" for name in ("pki", "transit", "gcp"))
EXPECTED = {
    "api.system_backend.test_lease.TestLease::test_list_leases": PKI,  # (leases by hvac: test_hvac.py)
    "api.system_backend.test_lease.TestLease::test_read_lease": PKI,
    "api.system_backend.test_lease.TestLease::test_revoke_force": PKI,
    "api.system_backend.test_lease.TestLease::test_revoke_lease": PKI,
    "api.system_backend.test_lease.TestLease::test_revoke_prefix": PKI,
    "v1.test_integration.IntegrationTest::test_auth_gcp_alternate_mount_point_with_no_client_token_exception": GCP,
    "v1.test_integration.IntegrationTest::test_write_with_response": TRANSIT,
    "v1.test_system_backend.TestSystemBackend::test_read_lease": PKI,
}
# What hvac itself leaves out, and how often.
SKIPPED = {
    "EGP policies only supported with Enterprise Vault": 5,
    "Namespaces only supported with Enterprise Vault": 1,
    "Newer version of quota JSON changes path structure and adds role. Route only works on enterprise from 1.15 onwards": 5,
    "Older versions of Vault return different JSON structure": 4,
    "RGP policies only supported with Enterprise Vault": 5,
    "Raft automated snapshots only supported in Enterprise Vault": 6,
    "Skipping test case, Vault HA required but not available.": 4,
    "Vault 1.13.0 dropped this feature.": 2,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hvac_suite.unpack(hvac_suite.fetch_sdist(hvac_suite.cache()), tmp_path_factory.mktemp("hvac"))


@pytest.fixture(scope="module")
def python() -> Path:
    return hvac_suite.build_virtualenv(hvac_suite.cache())


@pytest.fixture(scope="module")
def whole(python: Path, source: Path) -> Run:
    return hvac_suite.run(python, source, VAULT, FILES)


def test_all_of_it_passes_except_what_needs_other_engines(whole: Run) -> None:
    failed = {name: outcome.text for name, outcome in whole.outcomes.items() if outcome.result == "failed"}
    unexpected = {name: text for name, text in failed.items() if EXPECTED.get(name, "never") not in text}
    assert not unexpected, "\n\n".join(f"{name}\n{text}" for name, text in unexpected.items())
    assert set(EXPECTED) == set(failed), "these pass now, or are gone: take them off the list"
    assert len(whole.names("passed")) == PASSING, whole.output[-2000:]


def test_nothing_is_skipped_but_by_hvac_s_own_conditions(whole: Run) -> None:
    assert Counter(whole.outcomes[name].text for name in whole.names("skipped")) == SKIPPED


def test_no_server_is_left(whole: Run) -> None:
    assert whole.left == ()


def test_nothing_passes_without_our_executable(python: Path, source: Path, tmp_path: Path) -> None:
    outcomes = hvac_suite.run(python, source, tmp_path / "missing", ("api/secrets_engines/test_kv_v1.py",)).outcomes
    assert outcomes and {outcome.result for outcome in outcomes.values()} == {"skipped"}


def test_the_second_time_needs_no_network(python: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hvac_suite, "_pip", lambda *_: pytest.fail("pip was asked"))
    assert hvac_suite.fetch_sdist(hvac_suite.cache()).is_file()
    assert hvac_suite.build_virtualenv(hvac_suite.cache()) == python
    with pytest.raises(pytest.fail.Exception):
        hvac_suite.fetch_sdist(tmp_path)


def test_a_process_that_is_left_would_be_seen(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, "HOME": str(tmp_path)})
    try:
        wait(lambda: hvac_suite.living(str(tmp_path)) == (process.pid,), 10)  # its environment is readable a moment after it was started
    finally:
        process.kill()
        process.wait()
    assert hvac_suite.living(str(tmp_path)) == ()


def test_another_file_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "hvac-2.4.0.tar.gz").write_bytes(b"something else")
    with pytest.raises(AssertionError, match="not the file it should be"):
        hvac_suite.fetch_sdist(tmp_path)
