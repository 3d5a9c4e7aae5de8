"""The package that puts Vault onto an instance: what is in it, that it is always the same, and that it runs by itself."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from haechi.pipeline import bundle
from haechi.pipeline.failure import Failure

MAIN = """
import sys
import cryptography.hazmat.primitives.ciphers.aead, h11, httptools, orjson, uvicorn, uvloop, click, _cffi_backend
import haechi.vault

def main():
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    assert AESGCM(b"k" * 32).decrypt(b"n" * 12, AESGCM(b"k" * 32).encrypt(b"n" * 12, b"text", None), None) == b"text"
    uvloop.new_event_loop().close()
    home = sys.argv[2]
    print(sys.argv[1], orjson.dumps([1]).decode(), all(m.__file__.startswith(home) for m in (h11, orjson, uvicorn, uvloop, haechi.vault)))
    return 3
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A haechi whose Vault only shows that its libraries are there."""
    files = {
        "__init__.py": "",
        "cli.py": "import typer",
        "hcl.py": "",
        "vault/__init__.py": "",
        "vault/engines/kv.py": "",
        "vault/default.hcl": "path {}",
        "vault/__pycache__/kv.cpython-311.pyc": "x",
        "vaultcli/__init__.py": MAIN,
        "sshhelper/vault_ssh_helper.py": "#!/usr/bin/python3\n",
    }
    for name, text in files.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "source"


def files_of(mirror: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (mirror / "haechi").iterdir()}


def test_what_is_published(source: Path, tmp_path: Path) -> None:
    made = bundle.publish(tmp_path / "mirror", source)
    files = files_of(tmp_path / "mirror")
    assert len(files) == 2
    for url, sha256 in ((made.vault_url, made.vault_sha256), (made.helper_url, made.helper_sha256)):
        assert url.startswith("http://mirrors.cloud.aliyuncs.com/haechi/vault-")
        assert hashlib.sha256(files[url.rpartition("/")[2]]).hexdigest() == sha256
    assert files[made.helper_url.rpartition("/")[2]] == b"#!/usr/bin/python3\n"


def test_what_is_in_the_package(source: Path, tmp_path: Path) -> None:
    made = bundle.publish(tmp_path, source)
    with tarfile.open(tmp_path / "haechi" / made.vault_url.rpartition("/")[2]) as tar:
        members = tar.getmembers()
    names = {member.name.removeprefix("haechi-vault/") for member in members}
    assert all(member.name.startswith("haechi-vault/") and member.isreg() and member.uid == 0 for member in members)
    assert {n for n in names if n.startswith(("bin/", "lib/haechi/"))} == {
        "bin/vault",
        "lib/haechi/__init__.py",
        "lib/haechi/hcl.py",
        "lib/haechi/vault/__init__.py",
        "lib/haechi/vault/engines/kv.py",
        "lib/haechi/vault/default.hcl",
        "lib/haechi/vaultcli/__init__.py",
    }
    assert {"lib/uvicorn/main.py", "lib/cryptography/__init__.py", "lib/h11/__init__.py"} <= names
    assert any(n.startswith("lib/cryptography-") and "LICENSE" in n for n in names)
    assert not [n for n in names if n.endswith((".pyx", ".pyc", ".pyi")) or "__pycache__" in n or "/tests/" in n or ".." in n]
    assert [m.mode for m in members if m.name.endswith("bin/vault")] == [0o755]
    assert sum(member.size for member in members) < 40 << 20


def test_the_same_inputs_give_the_same_bytes(source: Path, tmp_path: Path) -> None:
    one, other = bundle.publish(tmp_path / "one", source), bundle.publish(tmp_path / "other", source)
    assert one == other and files_of(tmp_path / "one") == files_of(tmp_path / "other")


def test_nothing_is_written_twice_and_the_old_goes(source: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    first = bundle.publish(mirror, source)
    before = {path.name: path.stat().st_ino for path in (mirror / "haechi").iterdir()}
    (mirror / "haechi" / ".vault-0.tar.gz").write_text("cut off")
    (mirror / "haechi" / "other").write_text("somebody else's")
    assert bundle.publish(mirror, source) == first
    assert {path.name: path.stat().st_ino for path in (mirror / "haechi").iterdir() if path.name != "other"} == before
    (source / "vault" / "engines" / "kv.py").write_text("changed = 1\n")
    second = bundle.publish(mirror, source)
    assert second.vault_url != first.vault_url and second.helper_url == first.helper_url
    assert files_of(mirror).keys() == {"other", *(url.rpartition("/")[2] for url in (second.vault_url, second.helper_url))}


def test_it_runs_with_nothing_but_the_system_s_python(source: Path, tmp_path: Path) -> None:
    made = bundle.publish(tmp_path, source)
    with tarfile.open(tmp_path / "haechi" / made.vault_url.rpartition("/")[2]) as tar:
        tar.extractall(tmp_path / "opt", filter="data")
    link = tmp_path / "vault"
    link.symlink_to(tmp_path / "opt" / "haechi-vault" / "bin" / "vault")
    command = ["env", "-i", "PATH=/usr/bin:/bin", f"PYTHONPATH={source}", str(link), "hello", str(tmp_path / "opt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("hello [1] True\n", "", 3)


def test_another_python_is_told_at_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"(3, 9)" in bundle.LAUNCHER % (3, 9, 3, 9)
    program = tmp_path / "vault"
    program.write_bytes(bundle.LAUNCHER % (3, 9, 3, 9))
    done = subprocess.run(["/usr/bin/python3", "-IS", str(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("haechi's vault was packed for Python 3.9, this is 3.")
    monkeypatch.setattr(bundle, "guest_python", lambda: "3.9")
    with pytest.raises(Failure, match=r"instances have 3\.9") as failure:
        bundle.publish(tmp_path / "mirror", source)
    assert str(failure.value).count("\n") == 1 and not (tmp_path / "mirror").exists()


@pytest.mark.parametrize(
    ("release", "link", "version"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "", "3.11"),
        ('VERSION_CODENAME="jammy"\n', "/etc/alternatives/python3", "3.10"),
        ("VERSION_CODENAME=forky\n", "python3.14", "3.14"),
        ("VERSION_CODENAME=forky\n", "", ""),
        ("", "python3.12", "3.12"),
    ],
)
def test_the_python_of_a_release(tmp_path: Path, release: str, link: str, version: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "etc" / "os-release").write_text(release)
    if link:
        (tmp_path / "usr" / "bin" / "python3").symlink_to(link)
    assert bundle.guest_python(tmp_path) == version


@pytest.mark.parametrize("name", ["vaultcli", "sshhelper"])
def test_what_is_missing_is_said(source: Path, tmp_path: Path, name: str) -> None:
    (source / name).rename(tmp_path / "away")
    with pytest.raises(Failure, match=f"{name}.* is missing"):
        bundle.publish(tmp_path / "mirror", source)


def test_this_environment_fits() -> None:
    assert bundle.guest_python() == "{}.{}".format(*sys.version_info[:2])


def test_the_server_itself_is_whole(tmp_path: Path) -> None:
    """What the real package holds is all that the server imports."""
    bundle.publish(tmp_path / "mirror")
    (package,) = (tmp_path / "mirror" / "haechi").glob("vault-*.tar.gz")
    subprocess.run(["tar", "-C", str(tmp_path), "-xzf", str(package)], check=True)
    home = tmp_path / "haechi-vault"
    imports = f"import sys; sys.path.insert(0, {str(home / 'lib')!r}); import haechi.vault.server, haechi.vaultcli"
    for command in (["/usr/bin/python3", "-IS", "-c", imports], [str(home / "bin" / "vault"), "-version"]):
        done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
