"""Vault's server configuration: one file in HCL or JSON, or a directory of them taken as one.

Settings of Vault that have no meaning here, and misspelt ones, are named in `Config.ignored` for a warning, as Vault warns. Those whose
absence would change what the operator gets (other storage, auto-unseal) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haechi.hcl import Body, HclError, blocks, last, parse_hcl
from haechi.vault.durations import parse_duration

DEFAULT_LEASE = 768 * 3600.0  # seconds
STORAGES = ("file", "sqlite", "inmem")
TLS_VERSIONS = ("tls10", "tls11", "tls12", "tls13")
LOG_LEVELS = {name: name for name in ("trace", "debug", "info", "warn", "error")} | {"notice": "info", "warning": "warn", "err": "error"}
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


class ConfigError(ValueError):
    """What is wrong with a configuration, then on a second line what to do."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(f"{what}\n{next_step}")


@dataclass(frozen=True)
class Listener:
    """One TCP address to serve; the TLS files are paths as written. Size in bytes, duration in seconds; 0 or less for no limit."""

    address: str = "127.0.0.1:8200"
    tls_disable: bool = False
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""
    tls_require_and_verify_client_cert: bool = False
    tls_min_version: str = "tls12"
    max_request_size: int = 32 << 20
    max_request_duration: float = 90.0

    @property
    def host(self) -> str:
        """The host part of the address, an IPv6 one without its brackets; "" for every address of the machine."""
        return self.address.rpartition(":")[0].removeprefix("[").removesuffix("]")

    @property
    def port(self) -> int:
        """The port of the address; 0 lets the system choose."""
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True)
class Storage:
    """Where data lies: kind is one of STORAGES; only inmem has no path."""

    kind: str
    path: str = ""


@dataclass(frozen=True)
class Config:
    """A whole configuration. Lease times are seconds; `ignored` names what was written and has no effect, as "listener.tcp.name"."""

    listeners: tuple[Listener, ...]
    storage: Storage
    api_addr: str = ""
    cluster_addr: str = ""
    cluster_name: str = ""
    default_lease_ttl: float = DEFAULT_LEASE
    max_lease_ttl: float = DEFAULT_LEASE
    log_level: str = "info"
    ui: bool = False
    pid_file: str = ""
    disable_mlock: bool = False
    disable_cache: bool = False
    raw_storage_endpoint: bool = False
    plugin_directory: str = ""
    ignored: tuple[str, ...] = ()


def read_config(*paths: str | Path) -> Config:
    """The configuration in files, and in all *.hcl and *.json files of directories, where later ones win. ConfigError."""
    document = Body()
    for place in map(Path, paths):
        try:
            files = sorted(each for each in place.iterdir() if each.suffix in (".hcl", ".json")) if place.is_dir() else [place]
            for file in files:
                document.extend(_parse(file.read_text(encoding="utf-8"), str(file)))
        except UnicodeDecodeError:
            raise ConfigError(f"error loading configuration from {place}: not UTF-8 text", "Save it as UTF-8.") from None
        except OSError as error:
            raise ConfigError(f"error loading configuration from {place}: {error.strerror}", "Check the path given with -config.") from None
        if not files:
            raise ConfigError(f"error loading configuration from {place}: nothing there", "Put a file named *.hcl or *.json into it.")
    return _config(document)


def parse_config(text: str) -> Config:
    """The configuration in `text`. ConfigError."""
    return _config(_parse(text, "configuration"))


def _parse(text: str, origin: str) -> Body:
    try:
        return parse_hcl(text)
    except HclError as error:
        raise ConfigError(f"error parsing {origin}: {error}", "It must be HCL or JSON; correct the place named.") from None


def _config(document: Body) -> Config:
    top, ignored = _Settings(document), list[str]()
    listeners = tuple(_listener(kind, settings, ignored) for kind, settings in top.labelled("listener"))
    storage = _storage([*top.labelled("storage"), *top.labelled("backend")], ignored)
    for kind, _ in top.labelled("seal"):
        if kind != "shamir":
            raise ConfigError(f"unsupported seal type {kind!r}", "Remove the seal block: only Shamir key shares unseal this server.")
    if not listeners:
        raise ConfigError("no listener is configured", 'Add one: listener "tcp" { address = "127.0.0.1:8200" ... }.')
    default_ttl = top.seconds("default_lease_ttl", 0) or DEFAULT_LEASE
    max_ttl = top.seconds("max_lease_ttl", 0) or DEFAULT_LEASE
    if min(default_ttl, max_ttl) < 0 or default_ttl > max_ttl:
        raise ConfigError(
            "cannot have a default_lease_ttl that is negative or larger than max_lease_ttl", "Set both; without a value each is 768h."
        )
    level = top.text("log_level", "info").lower()
    if level not in LOG_LEVELS:
        raise ConfigError(f"unknown log level: {level}", f"Use one of {', '.join(LOG_LEVELS)}.")
    return Config(
        listeners,
        storage,
        api_addr=top.text("api_addr"),
        cluster_addr=top.text("cluster_addr"),
        cluster_name=top.text("cluster_name"),
        default_lease_ttl=default_ttl,
        max_lease_ttl=max_ttl,
        log_level=LOG_LEVELS[level],
        ui=top.flag("ui"),
        pid_file=top.text("pid_file"),
        disable_mlock=top.flag("disable_mlock"),
        disable_cache=top.flag("disable_cache"),
        raw_storage_endpoint=top.flag("raw_storage_endpoint"),
        plugin_directory=top.text("plugin_directory"),
        ignored=(*top.unread(), *ignored),
    )


def _storage(found: list[tuple[str, _Settings]], ignored: list[str]) -> Storage:
    if len(found) != 1:
        what = "only one storage block is permitted" if found else "a storage backend must be specified"
        raise ConfigError(what, 'Have one of: storage "file" { path = DIR }, storage "sqlite" { path = FILE }, storage "inmem" {}.')
    kind, settings = found[0]
    if kind not in STORAGES:
        raise ConfigError(f"unsupported storage type {kind!r}", f"Use one of {', '.join(STORAGES)}: this is one server, not a cluster.")
    path = settings.text("path")
    if kind != "inmem" and not path:
        raise ConfigError(f"storage {kind!r}: 'path' must be set", f'Write storage "{kind}" {{ path = "/var/lib/vault" }}.')
    ignored += settings.unread()
    return Storage(kind, "" if kind == "inmem" else path)


def _listener(kind: str, settings: _Settings, ignored: list[str]) -> Listener:
    if kind != "tcp":
        raise ConfigError(f"unsupported listener type {kind!r}", 'Use listener "tcp".')
    known = Listener()
    listener = Listener(
        address=settings.text("address", known.address),
        tls_disable=settings.flag("tls_disable"),
        tls_cert_file=settings.text("tls_cert_file"),
        tls_key_file=settings.text("tls_key_file"),
        tls_client_ca_file=settings.text("tls_client_ca_file"),
        tls_require_and_verify_client_cert=settings.flag("tls_require_and_verify_client_cert"),
        tls_min_version=settings.text("tls_min_version", known.tls_min_version),
        max_request_size=settings.integer("max_request_size", known.max_request_size),
        max_request_duration=settings.seconds("max_request_duration", known.max_request_duration),
    )
    _, colon, port = listener.address.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or int(port[:6]) > 65535 or "{{" in listener.address:
        raise ConfigError(f"listener: invalid address {listener.address!r}", 'Write it as "127.0.0.1:8200" or "[::]:8200".')
    if listener.tls_min_version not in TLS_VERSIONS:
        raise ConfigError(f"invalid tls_min_version {listener.tls_min_version!r}", f"Use one of {', '.join(TLS_VERSIONS)}.")
    if not listener.tls_disable and not (listener.tls_cert_file and listener.tls_key_file):
        raise ConfigError(
            f"listener {listener.address}: TLS needs a certificate and its key",
            "Set tls_cert_file and tls_key_file or tls_disable = true.",
        )
    ignored += settings.unread()
    return listener


class _Settings:
    """Attributes of one block, each read with its type; remembers which keys nobody asked for."""

    def __init__(self, body: Body, prefix: str = "") -> None:
        self.body, self.prefix, self.known = body, prefix, set[str]()

    def labelled(self, key: str) -> Iterator[tuple[str, _Settings]]:
        """Blocks with one label, such as listener "tcp"."""
        self.known.add(key)
        try:
            for (label,), body in blocks(self.body, key, 1):
                yield label, _Settings(body, f"{key}.{label}.")
        except HclError as error:
            raise ConfigError(f"error parsing configuration: {error}", f'Write {key} "TYPE" {{ ... }}.') from None

    def _value(self, key: str) -> Any:
        self.known.add(key)
        return last(self.body, key)

    def text(self, key: str, default: str = "") -> str:
        value = self._value(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(key, "text in quotes")
        return value

    def flag(self, key: str) -> bool:
        value = self._value(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        if str(value) in _TRUE or str(value) in _FALSE:
            return str(value) in _TRUE
        raise self._wrong(key, "true or false")

    def integer(self, key: str, default: int) -> int:
        value = self._value(key)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch("-?[0-9]{1,18}", value):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._wrong(key, "a whole number")

    def seconds(self, key: str, default: float) -> float:
        value = self._value(key)
        try:
            return default if value is None else parse_duration(value)
        except ValueError:
            raise self._wrong(key, 'a duration such as "90s" or "768h"') from None

    def _wrong(self, key: str, wanted: str) -> ConfigError:
        return ConfigError(f"invalid value of {self.prefix}{key} on line {self.body.lines[key][-1]}", f"It must be {wanted}.")

    def unread(self) -> list[str]:
        return [self.prefix + key for key in self.body if key not in self.known]
