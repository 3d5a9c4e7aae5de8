"""Rows 4.5 and 4.10: hosts that take one-time passwords, and logging in with one."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from ipaddress import ip_network

from haechi.pipeline import remote
from haechi.pipeline.failure import Failure
from haechi.pipeline.otp import issue
from haechi.pipeline.run import Run
from haechi.pipeline.vault import read_known
from haechi.pipeline.vault_setup import AUDIT_FILE, MOUNT, ROLE, USER

PAM = re.compile(
    r"auth\s+requisite\s+pam_exec\.so\s+(?=.*\bexpose_authtok\b)(?:.*\blog=(?P<log>\S+))?"
    r".*?(?P<helper>/\S*vault-ssh-helper)\s+(?P<flags>.*)"
)
NEXT = re.compile(r"auth\s+optional\s+pam_unix\.so\s+(?=.*\bnot_set_pass\b)(?=.*\buse_first_pass\b)")
SSHD = {"usepam": "yes", "kbdinteractiveauthentication": "yes", "passwordauthentication": "no"}
OTHER_USER = "daemon"  # there on every host; it lets nobody in, but PAM asks the helper first
LOGIN = """
import sys
from haechi.vaultcli.otp_login import ssh_with_otp
sys.exit(ssh_with_otp(sys.stdin.readline().strip(), sys.argv[1], sys.argv[2], sys.argv[3:]))
"""


def row_4_5(run: Run) -> str:
    """On every instance: PAM's lines, sshd's settings in effect, the helper's own check, and a list of addresses that are its own."""
    outputs = run.outputs("03_app")
    for public, private in zip(outputs["public_ips"], outputs["private_ips"], strict=True):
        found = _pam(run, public)
        settings = dict(line.split(" ", 1) for line in remote.read(run.target, public, "sshd -T").splitlines() if " " in line)
        wrong = {name: settings.get(name) for name, value in SSHD.items() if settings.get(name) != value}
        assert not wrong, f"sshd at {public} has {wrong}"
        helper, flags = found["helper"], found["flags"]
        path = re.search(r"-config[= ](\S+)", flags)
        assert path, f"the helper at {public} has no -config"
        remote.read(run.target, public, f"{helper} -verify-only {flags}")
        elsewhere = f'copy=$(mktemp) && sed "s,{MOUNT},nowhere," {path[1]} > $copy; {helper} -verify-only {flags.replace(path[1], "$copy")}'
        elsewhere += "; code=$?; rm -f $copy; exit $code"
        assert remote.run(run.target, public, elsewhere).returncode == 1, f"the helper at {public} is content with any mount"
        config = remote.read(run.target, public, f"cat {path[1]}")
        listed = re.search(r'^\s*allowed_cidr_list\s*=\s*"([^"]*)"', config, re.M)
        networks = {ip_network(c.strip()) for c in listed[1].split(",")} if listed else set()
        assert networks <= {ip_network(public), ip_network(private)}, f"{public} accepts passwords for {listed and listed[1]}"
        assert re.search(rf'^\s*allowed_roles\s*=\s*"{ROLE}"', config, re.M), f"{public} accepts other roles than {ROLE}"
    count = len(outputs["public_ips"])
    shown = ", ".join(f"{name} {value}" for name, value in SSHD.items())
    return f"{count} instances: PAM asks the helper first; {shown}; -verify-only 0, for another mount 1; own addresses only"


def row_4_10(run: Run) -> str:
    """A one-time password lets in once; replayed, invented, for another host or another user it does not, and the host says why."""
    first, second = run.outputs("03_app")["public_ips"][:2]
    name = remote.read(run.target, first, "hostname").strip()
    otp = issue(run.target, first, USER)
    spent = [otp]
    done = _log_in(run, otp, USER, first, "id -un && hostname")
    assert (done.returncode, done.stdout.split()) == (0, [USER, name]), f"the password did not let in: {done.stderr.strip()[-200:]}"
    reasons = [
        _refusal(run, otp, USER, first, "OTP not found"),
        _refusal(run, str(uuid.uuid4()), USER, first, "OTP not found"),
    ]
    for address, user, reason in ((second, USER, r"invalid IP|did not match"), (first, OTHER_USER, "username")):
        spent.append(issue(run.target, first, USER))
        reasons.append(_refusal(run, spent[-1], user, address, reason))
    try:
        issue(run.target, first, "root")
    except Failure as refused:
        reasons.append("for root: not issued")
        assert "allowed users" in refused.what or "default username" in refused.what, refused.what
    else:
        raise AssertionError("Vault issued a password for root")
    audited = _audited(run, spent)
    replayed, _, host, user, root = reasons
    return f"{USER}@{name} once; refused: replayed ({replayed}), invented, for another host ({host}), user ({user}), {root}{audited}"


def _pam(run: Run, address: str) -> dict[str, str]:
    """helper, flags and log of the PAM line that comes first. AssertionError when the lines are not the story's."""
    text = remote.read(run.target, address, "cat /etc/pam.d/sshd")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    auth = [line for line in lines if line.startswith(("auth", "-auth", "@include common-auth"))]
    found = PAM.fullmatch(auth[0]) if auth else None
    assert found, f"the first auth line of PAM at {address} is not the helper's: {auth[:1]}"
    assert len(auth) == 2 and NEXT.match(auth[1]), f"what follows the helper in PAM at {address} is {auth[1:]}"
    return {name: value or "" for name, value in found.groupdict().items()}


def _log_in(run: Run, otp: str, user: str, address: str, command: str) -> subprocess.CompletedProcess[str]:
    options = {**remote.OPTIONS, "BatchMode": "no"}
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    words = [sys.executable, "-c", LOGIN, user, address, *words, command]
    return subprocess.run(words, input=f"{otp}\n", capture_output=True, text=True, timeout=remote.SECONDS)


def _refusal(run: Run, otp: str, user: str, address: str, reason: str) -> str:
    """Try to log in and fail; the reason in that host's own log. AssertionError when it lets in or gives another reason."""
    log = _pam(run, address)["log"]
    before = int(remote.read(run.target, address, f"cat {log} 2>/dev/null | wc -c"))
    done = _log_in(run, otp, user, address, "true")
    assert done.returncode == 255, f"{user}@{address} was let in"
    said = remote.read(run.target, address, f"tail -c +{before + 1} {log}")
    assert otp not in said, f"the password is in {log} of {address}"
    found = [line for line in said.splitlines() if re.search(reason, line)]
    assert found, f"the log of {address} gives no reason like {reason!r}: {said.strip()[-300:]}"
    return re.sub(r"^.*?(\[ERROR\]|\*)\s*", "", found[-1])[:120]


def _audited(run: Run, otps: list[str]) -> str:
    """Vault's audit log has the passwords' issue and verification, and not the passwords. "" for a Vault of others."""
    known = read_known(run.target)
    if known is None or not known.managed:
        return ""
    address = run.outputs("01_vault")["public_ip"]
    paths = [f'"path":"{MOUNT}/{path}"' for path in (f"creds/{ROLE}", "verify")]
    script = "; ".join([*(f"grep -cF '{path}' {AUDIT_FILE}" for path in paths), f"grep -cFf - {AUDIT_FILE} || true"])
    issued, verified, shown = map(int, remote.read(run.target, address, script, "".join(f"{otp}\n" for otp in otps)).split())
    assert issued and verified, f"the audit log has {issued} issues and {verified} verifications"
    assert not shown, "a password stands in the audit log"
    return f"; {issued} issues and {verified} verifications audited, no password among them"
