"""`vault ssh` and otp_login: an ssh of our own making stands in for OpenSSH and asks the helper as OpenSSH does."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.otp_login import ssh_with_otp
from haechi.vaultcli.ssh import parse_target, resolve
from tests.unit.vaultcli_fake import FakeVault, at_home, errors, secret, serve

OTP = "0c0ffee0-cafe-4bad-8ace-canary000000"
FAKE_SSH = """#!{python}
import json, os, stat, subprocess, sys, time
def ask(question, run=subprocess.run):
    done = run([os.environ["SSH_ASKPASS"], question], capture_output=True, text=True)
    return [done.returncode, done.stdout]
folder = os.path.dirname(os.environ["SSH_ASKPASS"])
for _ in range(500):  # the real one reaches a password question only after a handshake
    if os.path.exists(folder + "/pid") and os.path.getsize(folder + "/pid"):
        break
    time.sleep(0.01)
answers = [ask(q) for q in json.loads(os.environ.get("T_QUESTIONS", '["Password: "]'))]
through = "import os,subprocess;print(subprocess.run([os.environ['SSH_ASKPASS'],'Password: '],capture_output=True,text=True).stdout,end='')"
if os.environ.get("T_JUMP"):
    answers.append(subprocess.run([sys.executable, "-c", through], capture_output=True, text=True).stdout)
modes = {{n: stat.S_IMODE(os.stat(folder + "/" + n).st_mode) for n in os.listdir(folder)}}
with open({report!r}, "w") as f:
    json.dump({{"argv": sys.argv[1:], "answers": answers, "env": dict(os.environ), "folder": folder,
               "mode": stat.S_IMODE(os.stat(folder).st_mode), "modes": modes}}, f)
end = os.environ.get("T_END", "0")
if end == "wait":
    print("waiting", flush=True)
    time.sleep(60)
if end.startswith("-"):
    os.kill(os.getpid(), -int(end))
sys.exit(int(end))
"""


class Ssh:
    """A PATH whose ssh reports what it saw."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report = folder / "report.json"
        (folder / "ssh").write_text(FAKE_SSH.format(python=sys.executable, report=str(self.report)))
        (folder / "ssh").chmod(0o755)
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setattr(tempfile, "tempdir", str(self.temporary))
        self._monkeypatch = monkeypatch

    def set(self, **values: str) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(f"T_{name.upper()}", value)

    @property
    def saw(self) -> dict[str, Any]:
        return dict(json.loads(self.report.read_text()))


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    return Ssh(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeVault]:
    yield from serve()


@pytest.fixture
def vault(fake: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVault:
    return at_home(fake, tmp_path, monkeypatch)


def test_the_password_is_given_once_to_the_ssh_that_was_started(ssh: Ssh) -> None:
    ssh.set(questions='["(u@h) Password: ", "(u@h) Password: "]')
    assert ssh_with_otp(OTP, "u", "h", ["-p", "22", "ls", "-l"]) == 0
    saw = ssh.saw
    assert saw["answers"] == [[0, OTP + "\n"], [1, ""]]
    assert saw["argv"] == [
        *("-o", "PreferredAuthentications=keyboard-interactive", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"),
        *("-l", "u", "h", "-p", "22", "ls", "-l"),
    ]
    assert saw["env"]["SSH_ASKPASS_REQUIRE"] == "force"


def test_the_password_is_no_argument_no_variable_and_nothing_is_left(ssh: Ssh) -> None:
    ssh.set(questions="[]")
    assert ssh_with_otp(OTP, "u", "h", []) == 0
    saw = ssh.saw
    assert OTP not in json.dumps([saw["argv"], saw["env"]])
    assert saw["mode"] == 0o700 and saw["modes"] == {"askpass": 0o700, "otp": 0o600, "pid": 0o600}
    assert Path(saw["folder"]).parent == ssh.temporary and list(ssh.temporary.iterdir()) == []


def test_a_question_about_the_host_key_is_for_the_user(ssh: Ssh) -> None:
    questions = ["Are you sure you want to continue connecting (yes/no/[fingerprint])? ", "Please type 'yes', 'no' or the fingerprint: "]
    ssh.set(questions=json.dumps([*questions, "Password: "]))
    answers = _on_a_terminal("yes\nyes\n")
    assert answers == [[0, "yes\n"], [0, "yes\n"], [0, OTP + "\n"]]


def test_without_a_terminal_a_host_key_is_not_accepted(ssh: Ssh) -> None:
    ssh.set(questions='["Are you sure you want to continue connecting (yes/no/[fingerprint])? "]', jump="1")
    code = "import sys; from haechi.vaultcli.otp_login import ssh_with_otp; ssh_with_otp(sys.stdin.read(), 'u', 'h', [])"
    subprocess.run([sys.executable, "-c", code], input=OTP, text=True, start_new_session=True, env=_with_source(), check=True)
    assert ssh.saw["answers"] == [[1, ""], ""]


def test_another_ssh_behind_it_is_not_given_the_password(ssh: Ssh) -> None:
    ssh.set(questions="[]", jump="1")
    assert _on_a_terminal("typed\n") == ["typed\n"]


def _with_source() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "TMPDIR": str(tempfile.tempdir)}


def _on_a_terminal(typed: str) -> Any:
    """What the fake ssh was answered, with a user at a terminal who types that; the OTP comes by a pipe, not by the terminal."""
    source, report = str(Path(__file__).parents[2] / "src"), str(Path(str(tempfile.tempdir)).parent / "report.json")
    read_end, write_end = os.pipe()
    os.write(write_end, OTP.encode())
    os.close(write_end)
    code = (
        f"import fcntl, os, sys, termios; sys.path.insert(0, {source!r}); from haechi.vaultcli.otp_login import ssh_with_otp\n"
        f"fcntl.ioctl(0, termios.TIOCSCTTY, 0); sys.exit(ssh_with_otp(os.read({read_end}, 99).decode(), 'u', 'h', []))"
    )
    terminal, child_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=child_end,
        stdout=child_end,
        stderr=child_end,
        start_new_session=True,
        pass_fds=(read_end,),
        env=_with_source(),
    )
    os.close(child_end)
    os.close(read_end)
    os.write(terminal, typed.encode())
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other side is gone
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    assert process.wait(20) == 0, shown
    assert OTP.encode() not in shown
    return json.loads(Path(report).read_text())["answers"]


@pytest.mark.parametrize(("end", "code"), [("0", 0), ("7", 7), ("255", 255), ("-9", 137)])
def test_sshs_exit_status_is_returned(ssh: Ssh, end: str, code: int) -> None:
    ssh.set(questions="[]", end=end)
    assert ssh_with_otp(OTP, "u", "h", []) == code
    assert list(ssh.temporary.iterdir()) == []


def test_a_request_to_end_is_handed_on_and_the_handlers_come_back(ssh: Ssh) -> None:
    ssh.set(questions="[]", end="wait")
    code = (
        "import signal, sys; from haechi.vaultcli.otp_login import ssh_with_otp\n"
        "code = ssh_with_otp(sys.stdin.readline().strip(), 'u', 'h', [])\n"
        "print(code, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.getsignal(signal.SIGINT) == signal.default_int_handler)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_with_source(), start_new_session=True
    )
    assert process.stdin and process.stdout
    process.stdin.write(OTP + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)  # is for ssh, which here is not told of it
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=20)
    assert rest == "143 True True\n"
    assert list(ssh.temporary.iterdir()) == []


MISREAD = [("-oX", "h", OTP), ("u", "-oX", OTP), ("", "h", OTP), ("u", "", OTP), ("u", "h", ""), ("u", "h", "a\nb")]


@pytest.mark.parametrize(("user", "host", "otp"), MISREAD)
def test_what_ssh_would_misread_is_refused(ssh: Ssh, user: str, host: str, otp: str) -> None:
    with pytest.raises(ValueError, match="must be") as error:
        ssh_with_otp(otp, user, host, [])
    assert OTP not in str(error.value) and not ssh.report.exists()


def test_without_ssh_there_is_no_login(ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(FileNotFoundError, match="no ssh program"):
        ssh_with_otp(OTP, "u", "h", [])
    assert list(ssh.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "user", "host", "has_port", "before", "after"),
    [
        ("u@h", "u", "h", False, "", ""),
        ("u@h ls -l /", "u", "h", False, "", "ls -l /"),
        ("u@h -p 22 -v ls", "u", "h", True, "", "-p 22 -v ls"),
        ("-p 22 -v u@h", "u", "h", True, "-p 22 -v", ""),
        ("-p22 u@h", "u", "h", True, "-p22", ""),
        ("-o Port=22 h -l u", "u", "h", True, "-o Port=22", "-l u"),
        ("-oUser=u -vvv h", "u", "h", False, "-oUser=u -vvv", ""),
        ("-o User=other u@h", "u", "h", False, "-o User=other", ""),
        ("a@b@h", "a@b", "h", False, "", ""),
        ("u@::1", "u", "::1", False, "", ""),
        ("-i key -4 u@h cmd -p 9", "u", "h", False, "-i key -4", "cmd -p 9"),
    ],
)
def test_an_ssh_command_line_is_read(line: str, user: str, host: str, has_port: bool, before: str, after: str) -> None:
    target = parse_target(line.split())
    assert (target.user, target.host, target.has_port) == (user, host, has_port)
    assert (target.before, target.after) == (before.split(), after.split())


def test_a_host_without_a_user_and_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    assert parse_target(["h"]).user == "me"
    for line in ([], ["-p", "22"], ["-v"]):
        with pytest.raises(CommandError, match="failed to find a hostname"):
            parse_target(line)


def test_hosts_are_resolved_to_an_address_ipv4_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET6, 1, 6, "", ("fd00::1", 0, 0, 0)), (socket.AF_INET, 1, 6, "", ("10.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    assert resolve("web") == "10.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found[:1])
    assert resolve("web") == "fd00::1"

    def fail(*args: object, **more: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(CommandError, match="Error resolving the ssh hostname") as error:
        resolve("web")
    assert error.value.code == 1


# --- vault ssh -----------------------------------------------------------------------------------

CREDENTIAL = secret({"key": OTP, "key_type": "otp", "username": "test", "ip": "127.0.0.1", "port": 2222}, lease_id="ssh-otp/creds/r/1")
LINE = ("ssh", "-role", "r", "-mode", "otp", "-mount-point", "ssh-otp")
CREATE = ("PUT", "ssh-otp/creds/r", {"username": "test", "ip": "127.0.0.1"})
REVOKE = ("PUT", "sys/leases/revoke", {"lease_id": "ssh-otp/creds/r/1"})


def test_vault_ssh_logs_in_and_ends_the_lease(vault: FakeVault, ssh: Ssh) -> None:
    vault.answers = {"PUT ssh-otp/creds/r": CREDENTIAL}
    ssh.set(end="3")
    done = vault.run(*LINE, "test@127.0.0.1", "-v", "df", "-h", "--format=x")
    assert (done.code, done.out, done.err) == (3, "", "")
    assert ssh.saw["answers"] == [[0, OTP + "\n"]]
    assert ssh.saw["argv"][6:] == ["-l", "test", "127.0.0.1", "-p", "2222", "-v", "df", "-h", "--format=x"]
    assert vault.lines == [CREATE, REVOKE]
    assert "StrictHostKeyChecking" not in json.dumps(ssh.saw["argv"])


def test_vault_ssh_passes_host_key_options_and_keeps_a_port(vault: FakeVault, ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.answers = {"PUT ssh-otp/creds/r": CREDENTIAL}
    monkeypatch.setenv("VAULT_SSH_STRICT_HOST_KEY_CHECKING", "yes")
    assert vault.run(*LINE, "-user-known-hosts-file=~/known", "--", "-p", "22", "test@127.0.0.1").code == 0
    assert ssh.saw["argv"][9:] == [
        *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={Path.home()}/known"),
        *("-p", "22"),
    ]
    vault.run(*LINE, "-strict-host-key-checking=no", "test@127.0.0.1")
    assert "StrictHostKeyChecking=no" in ssh.saw["argv"]


@pytest.mark.parametrize(("end", "warned"), [("0", False), ("1", False), ("255", True)])
def test_a_password_that_cannot_be_revoked_is_told_when_it_may_live(vault: FakeVault, ssh: Ssh, end: str, warned: bool) -> None:
    vault.answers = {"PUT ssh-otp/creds/r": CREDENTIAL, "PUT sys/leases/revoke": errors(403, "permission denied")}
    ssh.set(end=end)
    done = vault.run(*LINE, "test@127.0.0.1")
    assert done.code == int(end)
    text = "The one-time password may still be valid and could not be revoked: not permitted\n"
    assert done.err == (text if warned else "")


def test_vault_ssh_without_ssh_revokes(vault: FakeVault, ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.answers = {"PUT ssh-otp/creds/r": CREDENTIAL}
    monkeypatch.setenv("PATH", "/no/such")
    done = vault.run(*LINE, "test@127.0.0.1")
    assert (done.code, done.err) == (1, "failed to run ssh command: there is no ssh program on the PATH\n")
    assert vault.lines == [CREATE, REVOKE]


def test_no_exec_prints_the_credential(vault: FakeVault, ssh: Ssh) -> None:
    vault.answers = {"PUT ssh/creds/r": CREDENTIAL}
    line = ("ssh", "-role=r", "-mode=otp", "-no-exec")
    assert f"\nkey         {OTP}\n" in vault.run(*line, "test@127.0.0.1").out
    assert vault.run(*line, "-field=key", "test@127.0.0.1").out == OTP
    assert json.loads(vault.run(*line, "-format=json", "test@127.0.0.1").out)["data"]["key"] == OTP
    assert not ssh.report.exists() and REVOKE not in vault.lines


def test_an_answer_without_a_password_is_an_error(vault: FakeVault, ssh: Ssh) -> None:
    vault.answers = {"PUT ssh-otp/creds/r": secret({"key_type": "otp"})}
    done = vault.run(*LINE, "test@127.0.0.1")
    assert (done.code, done.err) == (2, "failed to generate credential: vault returned an invalid key\n")
    assert not ssh.report.exists()


def test_mode_ca_has_the_key_signed_and_logs_in_with_it(vault: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAA me\n")
    (tmp_path / "ssh").write_text(
        '#!/bin/sh\nfor a; do case "$a" in CertificateFile=*) cp "${a#*=}" "$HOME/cert" ;; esac; done\necho "$@" >"$HOME/argv"\nexit 4\n'
    )
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    vault.answers = {"PUT ssh/sign/r": secret({"signed_key": "signed\n", "serial_number": "1"})}
    line = ("ssh", "-role=r", "-mode=ca", f"-public-key-path={tmp_path}/id.pub", f"-private-key-path={tmp_path}/id")
    done = vault.run(*line, "test@127.0.0.1", "ls")
    assert (done.code, done.err) == (4, "")
    assert (Path.home() / "cert").read_text() == "signed\n"
    argv = (Path.home() / "argv").read_text()
    assert argv.endswith(f"-i {tmp_path}/id -l test 127.0.0.1 ls\n")
    assert not Path(argv.split("CertificateFile=")[1].split()[0]).exists()
    [(method, path, body)] = vault.lines
    assert (method, path) == ("PUT", "ssh/sign/r")
    assert (body["public_key"], body["valid_principals"], body["cert_type"]) == ("ssh-ed25519 AAA me\n", "test", "user")
    assert vault.run(*line, "-no-exec", "-field=signed_key", "test@127.0.0.1").out == "signed\n"
    vault.answers = {"PUT ssh/sign/r": secret({})}
    assert vault.run(*line, "test@127.0.0.1").err == "signed key is empty\n"
    done = vault.run("ssh", "-role=r", "-mode=ca", "-public-key-path=/no/such", "test@127.0.0.1")
    assert (done.code, done.err) == (1, "failed to read public key /no/such: No such file or directory\n")
