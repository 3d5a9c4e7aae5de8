"""Every kind of secrets engine and auth method there is. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from haechi.vault.auth.approle import AppRole
from haechi.vault.auth.github import GitHubMethod
from haechi.vault.auth.token import TokenMethod
from haechi.vault.auth.userpass import Userpass
from haechi.vault.engines.cubbyhole import Cubbyhole
from haechi.vault.engines.kv1 import KV1
from haechi.vault.engines.kv2 import KV2
from haechi.vault.engines.ssh import SSH
from haechi.vault.logical import Backend, Services
from haechi.vault.mounts import Mount
from haechi.vault.system import System

Kind = Callable[[Services, Mount], Backend]


def kv(services: Services, mount: Mount) -> Backend:
    """The version that the mount's options name."""
    return (KV2 if (mount.options or {}).get("version") == "2" else KV1)(services, mount)


ENGINES: Mapping[str, Kind] = {"system": System, "cubbyhole": Cubbyhole, "kv": kv, "generic": KV1, "ssh": SSH}
METHODS: Mapping[str, Kind] = {"token": TokenMethod, "userpass": Userpass, "approle": AppRole, "github": GitHubMethod}


def kinds(auth: bool) -> Mapping[str, Kind]:
    return METHODS if auth else ENGINES
