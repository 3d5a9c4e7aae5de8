"""vault-ssh-helper as the program PAM starts, with nothing but python3-minimal, and the files that go with it."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sshhelper_bench import FILE, OTP, PAM, PYTHON, Authority, Host, Vault, reply

# top-level modules of libpython3.11-minimal (dpkg -c), and those inside python3.11-minimal's interpreter (sys.builtin_module_names)
MODULES = """__future__ _collections_abc _compat_pickle _py_abc _sitebuiltins _strptime _threading_local _weakrefset abc argparse ast base64
bisect calendar codecs collections compileall configparser contextlib copy copyreg csv datetime dis email encodings enum filecmp fnmatch
functools genericpath getopt glob hashlib heapq imp importlib inspect io ipaddress keyword linecache locale logging opcode operator optparse
os pathlib pickle pkgutil platform posixpath py_compile quopri random re reprlib runpy selectors signal site socket sre_compile
sre_constants sre_parse ssl stat string stringprep struct subprocess sysconfig tempfile textwrap threading token tokenize traceback
tracemalloc types typing urllib uu warnings weakref zipimport _hashlib _ssl
_abc _ast _bisect _blake2 _codecs _collections _csv _datetime _elementtree _functools _heapq _imp _io _locale _md5 _opcode _operator
_pickle _posixsubprocess _random _sha1 _sha256 _sha3 _sha512 _signal _socket _sre _stat _statistics _string _struct _symtable _thread
_tokenize _tracemalloc _warnings _weakref array atexit binascii builtins cmath errno faulthandler fcntl gc grp itertools marshal math
posix pwd pyexpat select spwd sys syslog time unicodedata xxsubtype zlib"""
MINIMAL = MODULES.split()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    vault = Vault()
    yield Host(tmp_path, vault)
    vault.close()


def run_program(command: list[str], otp: str = OTP, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=otp, stdout=subprocess.PIPE, stderr=stderr, env=PAM, text=True, timeout=30, check=False)


def test_program(host: Host) -> None:
    command = [PYTHON, "-I", "-S", str(FILE), "-config", str(host.config), "-dev"]
    done = run_program(command)
    assert (done.returncode, done.stdout) == (0, "")
    assert "ubuntu@127.0.0.1 authenticated!" in done.stderr
    host.vault.answer = reply(400, {"errors": ["OTP not found"]})
    done = run_program(command)
    assert (done.returncode, done.stdout) == (1, "")
    assert "[ERROR] Vault answered 400: OTP not found" in done.stderr and OTP not in done.stderr
    done = run_program(command, otp="\b\n\r\177INCORRECT")
    assert done.returncode == 1 and "INCORRECT" not in done.stderr
    assert len(host.vault.requests) == 2


def test_a_full_disk_does_not_close_the_host(host: Host) -> None:
    command = [PYTHON, "-IS", str(FILE), f"-config={host.config}", "-dev"]
    with open("/dev/full", "w") as full:
        assert run_program(command, stderr=full.fileno()).returncode == 0
        host.vault.says(username="root")
        assert run_program(command, stderr=full.fileno()).returncode == 1


def test_the_file_can_be_copied_as_it_is() -> None:
    assert FILE.read_text().startswith("#!/usr/bin/python3 -IS\n")
    assert os.access(FILE, os.X_OK)


def test_imports_are_in_python3_minimal() -> None:
    names = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        names |= {node.module or "."} if isinstance(node, ast.ImportFrom) else set()
    assert {name.split(".")[0] for name in names} <= set(MINIMAL)
    assert {"socket", "ssl"} <= names
    assert not {"json", "http", "uuid", "ctypes", "dataclasses"} & set(MINIMAL)


ONLY_MINIMAL = """
import sys

class OnlyMinimal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in MINIMAL:
            raise ImportError(name + " is not in python3-minimal")

loaded = {name.split(".")[0] for name in sys.modules} - set(MINIMAL) - {"__main__", "_frozen_importlib", "_frozen_importlib_external"}
assert not loaded, loaded
sys.meta_path.insert(0, OnlyMinimal())
"""


def test_program_with_python3_minimal_only(host: Host, tmp_path: Path) -> None:
    start = f"MINIMAL = {MINIMAL}\n{ONLY_MINIMAL}"
    assert "json is not in" in run_program([PYTHON, "-IS", "-c", start + "import json"]).stderr
    program = start + f"import runpy\nrunpy.run_path({str(FILE)!r}, run_name='__main__')"
    host.configure(vault_addr=f"http://localhost:{host.vault.port}", allowed_cidr_list="10.0.0.0/8")
    done = run_program([PYTHON, "-IS", "-c", program, f"-config={host.config}", "-dev"])
    assert (done.returncode, "authenticated!" in done.stderr) == (0, True), done.stderr
    authority = Authority(tmp_path)
    vault = Vault(tls=authority.context)
    try:
        host = Host(tmp_path, vault)
        host.configure(vault_addr=f"https://127.0.0.1:{vault.port}", ca_cert=str(authority.ca))
        done = run_program([PYTHON, "-IS", "-c", program, f"-config={host.config}"])
        assert (done.returncode, "authenticated!" in done.stderr) == (0, True), done.stderr
    finally:
        vault.close()


def test_pam_and_sshd_files() -> None:
    folder = FILE.parent / "files"
    lines = [line for line in (folder / "pam-sshd").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[:2] == [
        "auth requisite pam_exec.so quiet expose_authtok log=/var/log/vault-ssh.log /usr/local/bin/vault-ssh-helper "
        "-config=/etc/vault-ssh-helper.d/config.hcl -dev",
        "auth optional pam_unix.so not_set_pass use_first_pass nodelay",
    ]
    others = [line.split()[0] for line in lines[2:]]
    assert "auth" not in others and "@include common-auth" not in lines  # nothing else may say yes
    assert [line for line in lines if line.startswith("@include")] == [
        f"@include common-{kind}" for kind in ("account", "session", "password")
    ]
    options = dict(line.split() for line in (folder / "sshd-otp.conf").read_text().splitlines() if not line.startswith("#"))
    assert options == {
        "UsePAM": "yes",
        "KbdInteractiveAuthentication": "yes",
        "ChallengeResponseAuthentication": "yes",
        "PasswordAuthentication": "no",
    }
