"""Durations and server configurations as Vault reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from haechi.vault.config import Config, ConfigError, Listener, Storage, parse_config, read_config
from haechi.vault.durations import parse_duration, render_duration

DURATIONS = [
    (0, 0.0),
    (30, 30.0),
    (2.0, 2.0),
    ("30", 30.0),
    ("-30", -30.0),
    ("30s", 30.0),
    ("1h30m", 5400.0),
    ("1h0m5s", 3605.0),
    ("1.5h", 5400.0),
    (".5s", 0.5),
    ("7d", 604800.0),
    ("250ms", 0.25),
    ("1us", 1e-6),
    ("1µs", 1e-6),
    ("1ns", 1e-9),
    ("-1m", -60.0),
    ("+1m", 60.0),
    ("768h", 2764800.0),
    ("", 0.0),
    (None, 0.0),
]


@pytest.mark.parametrize(("value", "seconds"), DURATIONS)
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("soon", 'time: invalid duration "soon"'),
        ("h", 'time: invalid duration "h"'),
        ("-", 'time: invalid duration "-"'),
        (" 5s", 'time: invalid duration " 5s"'),
        ("٣s", 'time: invalid duration "٣s"'),
        ("1.5", 'time: missing unit in duration "1.5"'),
        (1.5, 'time: missing unit in duration "1.5"'),
        ("1h30", 'time: missing unit in duration "1h30"'),
        ("5 s", 'time: unknown unit " s" in duration "5 s"'),
        ("1w", 'time: unknown unit "w" in duration "1w"'),
        ("1.5d", 'time: unknown unit "d" in duration "1.5d"'),
        ("1h1d", 'time: unknown unit "d" in duration "1h1d"'),
        ("99999999999", 'time: invalid duration "99999999999"'),
        ("9" * 5000, "time: invalid duration"),
        ("9" * 5000 + "h", "time: invalid duration"),
        (10**400, "time: invalid duration"),
        (float("nan"), "time: missing unit"),
        (float("inf"), "time: "),
        (True, "could not parse duration from input"),
        ([], "could not parse duration from input"),
        ({}, "could not parse duration from input"),
    ],
)
def test_no_durations(value: object, error: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_duration(value)
    assert str(raised.value).startswith(error)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (60, "1m0s"),
        (3600, "1h0m0s"),
        (3661, "1h1m1s"),
        (2764800, "768h0m0s"),
        (90.5, "1m30.5s"),
        (0.25, "250ms"),
        (0.0015, "1.5ms"),
        (0.00001, "10µs"),
        (1e-9, "1ns"),
        (59.9999999999, "1m0s"),
        (-90, "-1m30s"),
        (-1e-12, "0s"),
    ],
)
def test_rendered_durations(seconds: float, text: str) -> None:
    assert render_duration(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds, abs=1e-9)


FULL = """
ui            = true
disable_mlock = "true"
api_addr      = "http://198.18.0.5:8200"
cluster_addr  = "https://198.18.0.5:8201"
cluster_name  = "meow"
log_level     = "WARN"
pid_file      = "/run/vault.pid"
raw_storage_endpoint = 1
disable_cache = 0
plugin_directory  = "/opt/plugins"
default_lease_ttl = "1h"
max_lease_ttl     = 86400
backend "file" { path = "/var/lib/vault" }
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = 1
  max_request_size     = 1048576
  max_request_duration = "10s"
}
listener "tcp" {
  address = "[::1]:8300"
  tls_cert_file = "/etc/vault/cert.pem"
  tls_key_file  = "/etc/vault/key.pem"
  tls_client_ca_file = "/etc/vault/ca.pem"
  tls_require_and_verify_client_cert = true
  tls_min_version = "tls13"
}
"""
FULL_CONFIG = Config(
    listeners=(
        Listener("0.0.0.0:8200", tls_disable=True, max_request_size=1 << 20, max_request_duration=10),
        Listener("[::1]:8300", False, "/etc/vault/cert.pem", "/etc/vault/key.pem", "/etc/vault/ca.pem", True, "tls13"),
    ),
    storage=Storage("file", "/var/lib/vault"),
    api_addr="http://198.18.0.5:8200",
    cluster_addr="https://198.18.0.5:8201",
    cluster_name="meow",
    default_lease_ttl=3600,
    max_lease_ttl=86400,
    log_level="warn",
    ui=True,
    pid_file="/run/vault.pid",
    disable_mlock=True,
    raw_storage_endpoint=True,
    plugin_directory="/opt/plugins",
)
FULL_JSON = {
    "ui": True,
    "disable_mlock": "true",
    "api_addr": "http://198.18.0.5:8200",
    "cluster_addr": "https://198.18.0.5:8201",
    "cluster_name": "meow",
    "log_level": "WARN",
    "pid_file": "/run/vault.pid",
    "raw_storage_endpoint": "1",
    "plugin_directory": "/opt/plugins",
    "default_lease_ttl": "1h",
    "max_lease_ttl": "86400",
    "storage": {"file": {"path": "/var/lib/vault"}},
    "listener": [
        {"tcp": {"address": "0.0.0.0:8200", "tls_disable": "1", "max_request_size": "1048576", "max_request_duration": "10s"}},
        {
            "tcp": {
                "address": "[::1]:8300",
                "tls_cert_file": "/etc/vault/cert.pem",
                "tls_key_file": "/etc/vault/key.pem",
                "tls_client_ca_file": "/etc/vault/ca.pem",
                "tls_require_and_verify_client_cert": True,
                "tls_min_version": "tls13",
            }
        },
    ],
}


def test_everything_in_hcl_and_in_json() -> None:
    assert parse_config(FULL) == FULL_CONFIG
    assert parse_config(json.dumps(FULL_JSON)) == FULL_CONFIG


def test_defaults() -> None:
    config = parse_config('storage "inmem" {}\nlistener "tcp" { tls_disable = true }')
    assert config == Config((Listener(tls_disable=True),), Storage("inmem"))
    (listener,) = config.listeners
    assert (listener.address, listener.max_request_size, listener.max_request_duration) == ("127.0.0.1:8200", 33554432, 90)
    assert (config.default_lease_ttl, config.max_lease_ttl) == (2764800, 2764800)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("127.0.0.1:8200", "127.0.0.1", 8200), ("[::]:8200", "::", 8200), (":8200", "", 8200), ("vault.local:0", "vault.local", 0)],
)
def test_addresses(address: str, host: str, port: int) -> None:
    (listener,) = parse_config(f'storage "inmem" {{}}\nlistener "tcp" {{ tls_disable = true\n address = "{address}" }}').listeners
    assert (listener.host, listener.port) == (host, port)


MINIMAL = 'storage "sqlite" { path = "/v/db" }\nlistener "tcp" { tls_disable = true }\n'


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("false", False), ('"true"', True), ('"F"', False), ("1", True), ("0", False), ('"1"', True)]
)
def test_flags(value: str, expected: bool) -> None:
    assert parse_config(MINIMAL + f"ui = {value}").ui is expected


def test_what_has_no_effect_is_named() -> None:
    text = """
    telemetry { disable_hostname = true }
    disabel_mlock = true
    storage "file" { path = "/v"  node_id = "x" }
    listener "tcp" { tls_disable = true  cluster_address = "x:1"  telemetry { a = 1 } }
    seal "shamir" {}
    """
    ignored = parse_config(text).ignored
    assert set(ignored) == {"telemetry", "disabel_mlock", "storage.file.node_id", "listener.tcp.cluster_address", "listener.tcp.telemetry"}
    assert parse_config(MINIMAL).ignored == ()


REFUSED = [
    ('storage "raft" { path = "/v" }', "unsupported storage type 'raft'", "file, sqlite, inmem"),
    ('storage "consul" {}', "unsupported storage type 'consul'", "file, sqlite, inmem"),
    ("", "a storage backend must be specified", 'storage "file"'),
    ('storage "inmem" {}\nbackend "file" { path = "/v" }', "only one storage block is permitted", "Have one"),
    ('storage "file" {}', "storage 'file': 'path' must be set", "path ="),
    ("storage = 1", 'error parsing configuration: "storage" on line', "Write storage"),
    (MINIMAL + 'listener "unix" {}', "unsupported listener type 'unix'", "tcp"),
    (MINIMAL + 'listener "tcp" {}', "TLS needs a certificate and its key", "tls_disable"),
    (MINIMAL + 'listener "tcp" { tls_cert_file = "c" }', "TLS needs a certificate and its key", "tls_key_file"),
    (MINIMAL + 'listener "tcp" { tls_disable = "maybe" }', "invalid value of listener.tcp.tls_disable on line 3", "true or false"),
    (MINIMAL + 'listener "tcp" { tls_disable = true\n address = "nowhere" }', "invalid address 'nowhere'", "127.0.0.1:8200"),
    (MINIMAL + 'listener "tcp" { tls_disable = true\n address = "x:99999" }', "invalid address 'x:99999'", "127.0.0.1:8200"),
    (MINIMAL + 'listener "tcp" { tls_disable = true\n address = "{{ GetPrivateIP }}:8200" }', "invalid address", "127.0.0.1:8200"),
    (MINIMAL + 'listener "tcp" { tls_disable = true\n tls_min_version = "ssl3" }', "invalid tls_min_version 'ssl3'", "tls12"),
    (
        MINIMAL + 'listener "tcp" { tls_disable = true\n max_request_size = "x" }',
        "invalid value of listener.tcp.max_request_size",
        "number",
    ),
    (MINIMAL + 'listener "tcp" { tls_disable = true\n max_request_duration = "x" }', "invalid value of listener.tcp.max_request_", "90s"),
    (MINIMAL + 'seal "awskms" {}', "unsupported seal type 'awskms'", "Shamir"),
    (MINIMAL + 'log_level = "loud"', "unknown log level: loud", "trace"),
    (MINIMAL + "ui = 2", "invalid value of ui on line 3", "true or false"),
    (MINIMAL + "api_addr = 2", "invalid value of api_addr on line 3", "text"),
    (MINIMAL + 'max_lease_ttl = "x"', "invalid value of max_lease_ttl on line 3", "768h"),
    (MINIMAL + 'max_lease_ttl = "1h"', "cannot have a default_lease_ttl that is negative or larger than max_lease_ttl", "768h"),
    (MINIMAL + 'default_lease_ttl = "-1h"', "cannot have a default_lease_ttl that is negative", "768h"),
    ('storage "inmem" {}', "no listener is configured", 'listener "tcp"'),
    ('storage "inmem" {', "error parsing configuration: At 1:18: ", "HCL or JSON"),
    ('{"storage": }', "error parsing configuration: At 1:13: ", "HCL or JSON"),
]


@pytest.mark.parametrize(("text", "what", "next_step"), REFUSED, ids=[what for _, what, _ in REFUSED])
def test_refused(text: str, what: str, next_step: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(text)
    first, second = str(raised.value).split("\n")
    assert what in first
    assert next_step in second


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "vault.hcl"
    file.write_text(MINIMAL)
    assert read_config(str(file)) == read_config(file) == parse_config(MINIMAL)


def test_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["99-notes.txt", "30-listener.hcl", "20-listener.json", "10-storage.hcl"]  # as a directory may list them
    monkeypatch.setattr(Path, "iterdir", lambda directory: iter(directory / name for name in names))
    (tmp_path / "10-storage.hcl").write_text('storage "inmem" {}\ncluster_name = "first"\nui = true\n')
    (tmp_path / "20-listener.json").write_text('{"listener": {"tcp": {"tls_disable": true}}, "cluster_name": "second"}')
    (tmp_path / "30-listener.hcl").write_text('listener "tcp" {\n  tls_disable = true\n  address = "127.0.0.1:9200"\n}\n')
    (tmp_path / "99-notes.txt").write_text("no configuration")
    config = read_config(tmp_path)
    assert [listener.port for listener in config.listeners] == [8200, 9200]
    assert (config.cluster_name, config.ui, config.ignored) == ("second", True, ())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.hcl").write_bytes(b'cluster_name = "caf\xe9"')
    (tmp_path / "broken.hcl").write_text("x = ")
    (tmp_path / "empty").mkdir()
    for name, what in {
        "absent.hcl": "No such file",
        "latin.hcl": "not UTF-8",
        "broken.hcl": "broken.hcl: At 1:5",
        "empty": "nothing there",
    }.items():
        with pytest.raises(ConfigError, match=what) as raised:
            read_config(tmp_path / name)
        assert str(raised.value).count("\n") == 1
