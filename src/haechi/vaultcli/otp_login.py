"""Log in with OpenSSH and a one-time password that nobody types.

The password is never an argument, an environment variable or a log line. It waits in a file of mode 0600 in a private directory
(0700) for the askpass helper, which gives it once, removes it, and answers nobody but the ssh started here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

OPTIONS = ("PreferredAuthentications=keyboard-interactive", "PubkeyAuthentication=no", "NumberOfPasswordPrompts=1")
# SSH_ASKPASS_REQUIRE=force sends every question here: that about an unknown host key, and those of a jump host's own ssh. Both go
# on to the terminal; the password is only for a question of the ssh whose process id is in `pid`.
HELPER = """#!/bin/sh
dir=${0%/*}
case "$1" in
*yes/no*|*"'yes'"*) own=no ;;
*) own=yes ;;
esac
[ "$PPID" = "$(cat "$dir/pid" 2>/dev/null)" ] || own=no
if [ "$own" = no ]; then
    (: </dev/tty) 2>/dev/null || exit 1
    exec 3<>/dev/tty
    printf '%s' "$1" >&3
    case "$1" in *yes/no*|*"'yes'"*) ;; *) trap 'stty echo <&3' EXIT; stty -echo <&3 ;; esac
    IFS= read -r answer <&3 || exit 1
    printf '%s\\n' "$answer"
    exit 0
fi
mv "$dir/otp" "$dir/given" 2>/dev/null || exit 1
cat "$dir/given"
rm -f "$dir/given"
"""


def ssh_with_otp(otp: str, user: str, host: str, arguments: list[str]) -> int:
    """Run `ssh user@host ARGUMENTS` (options, then a command) on this terminal and answer its password question with `otp`.

    Returns ssh's exit status (255 when the login failed, 128+n when a signal n ended it). ValueError for a user or host that ssh
    would read as an option or an OTP that is no single line; FileNotFoundError when there is no ssh.
    """
    if not user or not host or user.startswith("-") or host.startswith("-"):
        raise ValueError("the user and the host must be names")
    if not otp or "\n" in otp:
        raise ValueError("the one-time password must be one line")
    ssh = shutil.which("ssh")
    if ssh is None:
        raise FileNotFoundError("there is no ssh program on the PATH")
    directory = Path(tempfile.mkdtemp(prefix="haechi-otp-"))  # 0700
    try:
        _write(directory / "askpass", HELPER, 0o700)
        _write(directory / "otp", otp + "\n", 0o600)
        environment = {**os.environ, "SSH_ASKPASS": str(directory / "askpass"), "SSH_ASKPASS_REQUIRE": "force"}
        options = [word for option in OPTIONS for word in ("-o", option)]
        return _run([ssh, *options, "-l", user, host, *arguments], environment, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(command: list[str], environment: dict[str, str], directory: Path) -> int:
    """ssh has the terminal: an interrupt is for it, a request to end is handed on to it."""
    process = subprocess.Popen(command, env=environment)
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
        signal.SIGHUP: signal.signal(signal.SIGHUP, lambda *_: process.terminate()),
    }
    try:
        _write(directory / "pid", str(process.pid), 0o600)
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
