"""The page's certificate: ours as long as it fits, anew when it does not, the user's own as it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from haechi.pipeline import certificate
from haechi.pipeline.certificate import page_certificate, trust_in_tools
from haechi.pipeline.failure import Failure


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def own(directory: Path, name: str) -> None:
    directory.mkdir()
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    made = openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, "-keyout", directory / "page.key", "-out", directory / "page.pem"
    )
    assert made.returncode == 0, made.stderr


def test_openssl_trusts_it_for_its_name_alone(tmp_path: Path) -> None:
    chain, key = page_certificate(tmp_path / "edge", "cat.meow.test")
    verify = ["verify", "-x509_strict", "-CAfile", tmp_path / "edge" / "ca.pem", "-verify_hostname"]
    assert openssl(*verify, "cat.meow.test", tmp_path / "edge" / "page.pem").returncode == 0
    assert openssl(*verify, "dog.meow.test", tmp_path / "edge" / "page.pem").returncode != 0
    assert (tmp_path / "edge" / "page.key").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in chain and "PRIVATE" in key
    assert sorted(p.name for p in (tmp_path / "edge").iterdir()) == ["ca.pem", "page.key", "page.pem"]


def test_it_stays_until_the_name_changes_or_the_end_is_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = page_certificate(tmp_path, "cat.meow.test")
    assert page_certificate(tmp_path, "cat.meow.test") == first
    second = page_certificate(tmp_path, "dog.meow.test")
    assert second != first and page_certificate(tmp_path, "dog.meow.test") == second
    monkeypatch.setattr(certificate, "LEAST_DAYS", 400)
    assert page_certificate(tmp_path, "dog.meow.test") != second


def test_a_pair_of_ones_own_is_taken_as_it_is_or_refused(tmp_path: Path) -> None:
    own(tmp_path / "edge", "cat.meow.test")
    before = (tmp_path / "edge" / "page.pem").read_text(), (tmp_path / "edge" / "page.key").read_text()
    assert page_certificate(tmp_path / "edge", "cat.meow.test") == before
    with pytest.raises(Failure, match=r"is not for dog\.meow\.test"):
        page_certificate(tmp_path / "edge", "dog.meow.test")
    shutil.rmtree(tmp_path / "edge")
    own(tmp_path / "edge", "*.meow.test")
    assert "BEGIN" in page_certificate(tmp_path / "edge", "dog.meow.test")[0]
    (tmp_path / "edge" / "page.pem").write_text("x")
    with pytest.raises(Failure, match="holds no certificate"):
        page_certificate(tmp_path / "edge", "cat.meow.test")


def test_tools_trust_it_once(tmp_path: Path) -> None:
    directory, bundle = tmp_path / "edge", tmp_path / "ca-bundle.pem"
    page_certificate(directory, "cat.test")
    trust_in_tools(directory, bundle)
    assert not bundle.exists()  # the server makes it, with this authority in it
    bundle.write_text("others\n")
    for _ in range(2):
        trust_in_tools(directory, bundle)
        assert bundle.read_text() == "others\n" + (directory / "ca.pem").read_text() and bundle.stat().st_mode & 0o777 == 0o644
    assert openssl("verify", "-CAfile", bundle, directory / "page.pem").returncode == 0
