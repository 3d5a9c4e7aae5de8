"""What a server is told when it starts. The composition root fills it in; nothing here reads the environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """One server. Sizes are bytes, times seconds."""

    home: Path  # the database unless `database` says otherwise, and the directories of runs; mode 0700
    port: int
    address: str = "127.0.0.1"
    database: str = ""  # SQLAlchemy URL; "" is SQLite in `home`
    tls_port: int = 0  # 0: no TLS
    tls: ssl.SSLContext | None = None
    public_url: str = ""  # where clients reach it; "" takes each request's own Host
    worker_slots: int = 10  # runs at once on the embedded worker; 0: this process serves only the API
    terraform: str = "terraform"  # the program
    terraformrc: str = ""  # provider_installation of runs, as CLI configuration text
    environment: Mapping[str, str] = field(default_factory=dict)  # of every run, beneath the workspace's own variables
    hosts: tuple[str, ...] = ("app.terraform.io", "localterraform.com")  # names that mean this server inside runs
    hidden: tuple[Path, ...] = ()  # beside `home`: directories that runs must not see ...
    shown: tuple[Path, ...] = ()  # ... but for these, read-only
    admin_token_file: Path | None = None  # the first administrator's token is written here, mode 0600

    @property
    def url(self) -> str:
        """Where this machine itself reaches the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home / 'tfe.db'}"
