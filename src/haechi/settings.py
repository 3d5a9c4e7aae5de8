"""Targets: where the control side finds a cloud and how it signs. `local` is this machine, `alibaba` the real one.

The same blueprint and the same commands serve both; only what this module returns differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from haechi.dataplane.site import Site, read_site

REGION = "ap-southeast-1"
TARGETS = ("local", "alibaba")
FIRST_PORT = 7700
DIRECT_HOSTS = (  # what tools in a haechi shell may reach without the door
    "localhost",
    "127.0.0.0/8",
    "198.18.0.0/15",
    "registry.terraform.io",
    "releases.hashicorp.com",
)


class SettingsError(Exception):
    """A setting is missing or wrong; two lines for people."""


@dataclass(frozen=True)
class Target:
    """One cloud. For `local` the tools' traffic is led to the door by proxy variables; for `alibaba` nothing is touched."""

    name: str
    site: Site
    region: str
    access_key_id: str = ""
    access_key_secret: str = field(default="", repr=False)
    account: str = ""

    @property
    def local(self) -> bool:
        return self.name == "local"

    @property
    def port(self) -> int:
        """TCP port of the local door on 127.0.0.1."""
        return int(os.environ.get("HAECHI_PORT", FIRST_PORT + 10 * self.site.index))

    @property
    def control(self) -> Path:
        """Unix socket of the local server's own controls."""
        return self.site.run / "control.sock"

    @property
    def work(self) -> Path:
        """Where the blueprint's working copies and Terraform states of this target live."""
        return self.site.home / "work" / self.name

    @property
    def bundle(self) -> Path:
        """The authorities a tool must trust to talk to the door."""
        return self.site.home / "ca" / "ca-bundle.pem"

    @property
    def terraformrc(self) -> Path:
        return self.site.home / "terraform" / "terraformrc"

    @property
    def vault_home(self) -> Path:
        """What this target's Vault is and, for the local demonstration, what opens it. Mode 0700."""
        return self.site.home / "vault" if self.local else self.site.home / "vault" / self.name

    @property
    def vault_addr(self) -> str:
        """Address of this target's Vault: HAECHI_VAULT_ADDR, else what `up` wrote down, else ""."""
        given = os.environ.get("HAECHI_VAULT_ADDR", "")
        path = self.vault_home / "vault.json"
        return given or (str(json.loads(path.read_text())["address"]) if path.exists() else "")

    @property
    def tfe_port(self) -> int:
        """TCP port of the local Terraform Enterprise on 127.0.0.1, plain HTTP."""
        return self.port + 1

    @property
    def tfe_tls_port(self) -> int:
        """The same over TLS, with a certificate of the local authority for localhost."""
        return self.port + 2

    @property
    def tfe_home(self) -> Path:
        """Database, run directories and first token of the local Terraform Enterprise. Mode 0700."""
        return self.site.home / "tfe"

    @property
    def edge_home(self) -> Path:
        """The page's certificate, its key, and who vouches for it."""
        return self.site.home / "edge"

    @property
    def tfe_pid_file(self) -> Path:
        """The local server's process id; locked (flock) as long as it lives."""
        return self.site.run / "tfe.pid"

    @property
    def tfe_url(self) -> str:
        """Address of this target's Terraform Enterprise: HAECHI_TFE_ADDR, else the local server, else HCP Terraform."""
        given = os.environ.get("HAECHI_TFE_ADDR", "")
        return given.rstrip("/") or (f"http://127.0.0.1:{self.tfe_port}" if self.local else "https://app.terraform.io")

    @property
    def tfe_token(self) -> str:
        """A token for it: HAECHI_TFE_TOKEN, else the local server's first administrator's, else ""."""
        path = self.tfe_home / "token"
        return os.environ.get("HAECHI_TFE_TOKEN", "") or (path.read_text().strip() if self.local and path.exists() else "")

    def environment(self) -> dict[str, str]:
        """The variables that unmodified tools need to land on this target. Holds the secret; never print it unasked."""
        vault = {"VAULT_ADDR": self.vault_addr} if self.vault_addr else {}
        if not self.local:
            return vault
        door = f"http://127.0.0.1:{self.port}"
        hosts = [urlsplit(address).hostname or "" for address in vault.values()]  # for tools that do not understand ranges
        bundle, direct = str(self.bundle), ",".join([*DIRECT_HOSTS, *hosts])
        values = {
            "HTTP_PROXY": door,
            "HTTPS_PROXY": door,
            "NO_PROXY": direct,
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "CURL_CA_BUNDLE": bundle,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.access_key_secret,
            "ALICLOUD_ACCESS_KEY": self.access_key_id,
            "ALICLOUD_SECRET_KEY": self.access_key_secret,
            "ALICLOUD_REGION": self.region,
            "ALIBABA_CLOUD_REGION": self.region,
            "ALIBABA_CLOUD_REGION_ID": self.region,
            "HAECHI_TARGET": self.name,
            **vault,
        }
        values |= {name.lower(): values[name] for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")}
        if self.terraformrc.exists():
            values["TF_CLI_CONFIG_FILE"] = str(self.terraformrc)
        return values


def credentials_path(site: Site) -> Path:
    """The root key of the local cloud: JSON {account, access_key_id, access_key_secret}, mode 0600, made by the server."""
    return site.home / "credentials.json"


def read_target(name: str = "", environ: Mapping[str, str] | None = None) -> Target:
    """The target of this command: `name`, else HAECHI_TARGET, else local. Raises SettingsError."""
    env = dict(os.environ if environ is None else environ)
    name = name or env.get("HAECHI_TARGET") or "local"
    if name not in TARGETS:
        raise SettingsError(f"There is no target {name!r}.\nUse --target local or --target alibaba.")
    try:
        site = read_site(env)
    except ValueError as error:
        raise SettingsError(f"{error}.\nUnset it, or set it right.") from None
    if name == "alibaba":
        region = env.get("ALIBABA_CLOUD_REGION") or env.get("ALICLOUD_REGION") or REGION
        return Target(name, site, region)
    region = env.get("HAECHI_REGION", REGION)
    path = credentials_path(site)
    if not path.exists():
        return Target(name, site, region)
    known = json.loads(path.read_text())
    return Target(name, site, region, known["access_key_id"], known["access_key_secret"], known["account"])
