"""The parts of vault-ssh-helper that ask nobody: flags, configuration, addresses, JSON."""

from __future__ import annotations

import ipaddress
import json
import subprocess

import pytest

from haechi.sshhelper import vault_ssh_helper as helper
from tests.unit.sshhelper_bench import FILE, PYTHON


@pytest.mark.parametrize(
    ("argv", "config", "dev", "verify"),
    [
        (["-config=a", "-dev"], "a", True, False),
        (["-config", "a", "--dev=true"], "a", True, False),
        (["--config=a=b", "-dev=0", "-verify-only"], "a=b", False, True),
        (["--config", "-dev", "-verify-only=T"], "-dev", False, True),
        (["-dev", "-dev=false", "-config=x", "-config=y"], "y", False, False),
    ],
)
def test_flags(argv: list[str], config: str, dev: bool, verify: bool) -> None:
    flags = helper.parse_flags(argv)
    assert (flags.config, flags.dev, flags.verify_only) == (config, dev, verify)


@pytest.mark.parametrize(
    "line", ["-dev true", "config=x", "-dev=maybe", "-config", "-log-level", "-log-level=x", "---dev", "--", "-", "-x=1"]
)
def test_flags_refused(line: str) -> None:
    with pytest.raises(helper.RefusedError):
        helper.parse_flags(line.split())


def test_config_in_hcl_and_json() -> None:
    text = """
        # a comment = "x"
        vault_addr = "http://a:1"  // another
        "ssh_mount_point" = "ssh\\u002dotp" /* one
        more */ namespace = "n"
        ca_cert = "/c#d"
        ca_path = "", tls_server_name = "name"
        tls_skip_verify = true
        allowed_roles = "a,b"
        allowed_cidr_list = "10.0.0.0/8"
        allowed_roles = "c"
    """
    values = {key: getattr(helper.parse_config(text), key) for key in helper.KEYS}
    assert values == {
        "vault_addr": "http://a:1",
        "ssh_mount_point": "ssh-otp",
        "namespace": "n",
        "ca_cert": "/c#d",
        "ca_path": "",
        "tls_server_name": "name",
        "tls_skip_verify": True,
        "allowed_roles": "c",
        "allowed_cidr_list": "10.0.0.0/8",
    }
    same = helper.parse_config(json.dumps(values, indent=1))
    assert {key: getattr(same, key) for key in helper.KEYS} == values
    loose = helper.parse_config('vault_addr="http://a"\ntls_skip_verify="True"\nssh_mount_point=5\nnamespace=""')
    assert (loose.tls_skip_verify, loose.ssh_mount_point) == (True, "5")
    example = helper.read_config(str(FILE.parent / "files" / "config.hcl.example"))
    assert (example.ssh_mount_point, example.allowed_roles, example.tls_skip_verify) == ("ssh-otp", "otp_key_role", False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ssh_helper: missing config 'vault_addr'"),
        ("{}", "ssh_helper: missing config 'vault_addr'"),
        ('vault_addr = "http://a"\nvault_adr = "b"', "ssh_helper: invalid key 'vault_adr' on line 2"),
        ('{"vault_adr": "b"}', "ssh_helper: invalid key 'vault_adr'"),
        ("vault_addr = true", "ssh_helper: 'vault_addr' must be a string on line 1"),
        ('allowed_roles = ["a"]', "ssh_helper: 'allowed_roles' must be a string on line 1"),
        ('tls_skip_verify = "yes"', "ssh_helper: 'tls_skip_verify' must be true or false on line 1"),
        ("tls_skip_verify = yes", "ssh_helper: error parsing config: unknown value 'yes' on line 1"),
        ('vault_addr "http://a"', "ssh_helper: error parsing config: expected '=' on line 1"),
        ('listener "tcp" {}', "ssh_helper: error parsing config: expected '=' on line 1"),
        ("vault_addr = ", "ssh_helper: error parsing config: unknown value '' on line 1"),
        ('\nvault_addr = "http', "ssh_helper: error parsing config: string without an end on line 2"),
        ('vault_addr = "\\q"', "ssh_helper: error parsing config: unknown escape on line 1"),
        ('vault_addr = "\\u00g0"', "ssh_helper: error parsing config: bad \\u escape on line 1"),
        ("/* x", "ssh_helper: error parsing config: comment without an end on line 1"),
        ('{"vault_addr": "http://a" "namespace": "b"}', "ssh_helper: error parsing config: expected ',' on line 1"),
        ('{"vault_addr": "http://a"} x', "ssh_helper: error parsing config: text after the end on line 1"),
        ('vault_addr = "http://a"\nnamespace = "a\\r\\nX: y"', None),
        ('vault_addr = "http://a"\nssh_mount_point = "a?b"', None),
    ],
)
def test_config_refused(text: str, reason: str | None) -> None:
    with pytest.raises(helper.RefusedError) as refused:
        helper.parse_config(text)
    assert str(refused.value) == reason if reason else "may hold printable ASCII only" in str(refused.value)


@pytest.mark.parametrize(
    ("address", "dev", "parsed"),
    [
        ("http://a", True, (False, "a", 80, "a", "")),
        ("HTTPS://a.b/", False, (True, "a.b", 443, "a.b", "")),
        ("http://[::1]:8200/x/y/", True, (False, "::1", 8200, "[::1]:8200", "/x/y")),
        ("http://a:0200/", True, (False, "a", 200, "a:0200", "")),
        *(
            (bad, True, None)
            for bad in ("a:8200", "http://", "http://a:b", "http://a:70000", "http://u@a", "http://a b", "http://a/?x", "http://a\n")
        ),
        *((bad, True, None) for bad in ("http://[::1", "http://[a]:1", "http://[::1]8200", "http://\u00e4", "://a", "http://:8200")),
    ],
)
def test_vault_addresses(address: str, dev: bool, parsed: tuple[bool, str, int, str, str] | None) -> None:
    if parsed:
        assert helper.parse_address(address, dev) == parsed
        return
    with pytest.raises(helper.RefusedError):
        helper.parse_address(address, dev)


def test_blocks_agree_with_ipaddress() -> None:
    addresses = ["10.0.0.0", "10.255.255.255", "11.0.0.0", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "fe80::1", "2001:db9::"]
    for block in ("10.0.0.0/8", "10.1.2.3/9", "0.0.0.0/0", "10.0.0.0/32", "2001:db8::/32", "::/0", "fe80::1/128", "255.255.255.254/31"):
        size, network, drop = helper.parse_cidr(block)
        for text in addresses:
            address = helper.pack(text)
            assert address is not None
            within = len(address) == size and int.from_bytes(address, "big") >> drop == network
            assert within == (ipaddress.ip_address(text) in ipaddress.ip_network(block, strict=False)), (block, text)
    for bad in ("10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "/8", "10.0.0.0/\u0662", "10.0.0.0/8/8", ""):
        with pytest.raises(helper.RefusedError, match="invalid CIDR address"):
            helper.parse_cidr(bad)


def test_addresses_of_this_host() -> None:
    setup = "ip link set lo up; ip address add 198.51.100.7/24 dev lo; ip address add 10.9.9.1 peer 10.9.9.2/32 dev lo"
    ask = f"import runpy; print(sorted(a.hex() for a in runpy.run_path({str(FILE)!r})['read_addresses']()))"
    script = f'{setup}; ip address add 2001:db8::7/64 dev lo nodad; exec {PYTHON} -IS -c "{ask}"'
    done = subprocess.run(["unshare", "--net", "sh", "-ec", script], check=True, capture_output=True, text=True)
    wanted = ("127.0.0.1", "::1", "198.51.100.7", "10.9.9.1", "2001:db8::7")  # not the peer's, and no broadcast
    assert done.stdout.strip() == str(sorted(ipaddress.ip_address(text).packed.hex() for text in wanted))


def test_json_agrees_with_json() -> None:
    for text in ('{"a": [1, -2.5, 1e3, true, false, null, "\\u00e9\\ud83d\\ude00\\n\\/"], "b": {}}', "[]", '""', ' "\u00e9" ', "12"):
        assert helper.parse_json(text) == json.loads(text)
    for text in ("", "{", "[1,]", "[1 2]", '{"a"}', "{a: 1}", "nul", "1 2", '"\\ud83d"', "# x\n1", "nan", "1_0", "'a'"):
        with pytest.raises(ValueError):
            helper.parse_json(text)
