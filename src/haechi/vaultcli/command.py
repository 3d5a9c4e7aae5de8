"""One command: its declaration (name, arguments, flags, help) and what its function gets to work with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from haechi.vault.durations import parse_duration, render_duration
from haechi.vaultcli.errors import ApiError, CommandError, VaultError
from haechi.vaultcli.flags import Flag, Flags, render_flags
from haechi.vaultcli.values import wrap

if TYPE_CHECKING:
    from haechi.vaultcli.client import VaultClient
    from haechi.vaultcli.output import Screen

HTTP_FLAGS = (
    Flag("address", "Address of the Vault server.", default="https://127.0.0.1:8200", env="VAULT_ADDR"),
    Flag("agent-address", "Address of a Vault agent, asked in the server's place.", env="VAULT_AGENT_ADDR"),
    Flag("ca-cert", "PEM file of the one CA to trust; goes before -ca-path.", env="VAULT_CACERT"),
    Flag("ca-path", "Directory of PEM files of CAs to trust.", env="VAULT_CAPATH"),
    Flag("client-cert", "PEM file of the certificate to show to the server.", env="VAULT_CLIENT_CERT"),
    Flag("client-key", "PEM file of the key of -client-cert.", env="VAULT_CLIENT_KEY"),
    Flag("header", "An HTTP header, key=value; may be repeated. X-Vault-* are not allowed.", "map"),
    Flag("namespace", "The namespace to work in.", env="VAULT_NAMESPACE", aliases=("ns",)),
    Flag("no-color", "No colours, also on a terminal.", "bool", env="VAULT_CLI_NO_COLOR"),
    Flag("non-interactive", "Never ask the user for input.", "bool"),
    Flag("output-curl-string", "Print the equivalent curl command instead of sending the request.", "bool"),
    Flag("policy-override", "Override a soft-mandatory Sentinel policy.", "bool"),
    Flag("tls-server-name", "Name to expect in the server's certificate.", env="VAULT_TLS_SERVER_NAME"),
    Flag("tls-skip-verify", "Do not check the server's certificate. Dangerous.", "bool", env="VAULT_SKIP_VERIFY"),
    Flag("wrap-ttl", "Have the response wrapped in a token of this TTL; `vault unwrap` opens it.", "duration", env="VAULT_WRAP_TTL"),
)
OUTPUT_FLAGS = {
    "field": Flag("field", "Print only this field, without a newline when piped."),
    "format": Flag("format", "table, json or yaml.", default="table", env="VAULT_FORMAT"),
    "detailed": Flag("detailed", "Print more about each entry.", "bool", env="VAULT_DETAILED"),
}


@dataclass(frozen=True)
class Command:
    """A row of a family's table. `arguments` are the least and the most; `expected` words them in errors where Vault has its own."""

    name: str
    run: Callable[[Call], int]
    help: str
    usage: str = ""
    flags: tuple[Flag, ...] = ()
    arguments: tuple[int, int | None] = (0, 0)
    output: tuple[str, ...] = ("format",)
    expected: str = ""
    details: str = ""
    passes_on: bool = False

    def all_flags(self) -> tuple[Flag, ...]:
        """The command's own flags, the output flags it has, the HTTP flags."""
        return (*self.flags, *(OUTPUT_FLAGS[name] for name in self.output), *HTTP_FLAGS)

    def check_arguments(self, arguments: list[str]) -> None:
        """CommandError when there are too few or too many."""
        least, most = self.arguments
        expected = self.expected or (str(least) if most in (least, None) else f"{least}-{most}")
        if len(arguments) < least:
            raise CommandError(f"Not enough arguments (expected {expected}, got {len(arguments)})")
        if most is not None and len(arguments) > most:
            raise CommandError(f"Too many arguments (expected {expected}, got {len(arguments)})")

    def render_help(self) -> str:
        """The usage text."""
        parts = [f"Usage: vault {self.name} [options] {self.usage}".rstrip()]
        parts += ["  " + wrap(text, 76).replace("\n", "\n  ") for text in (self.help, self.details) if text]
        parts += [render_flags("Command Options", self.flags)] if self.flags else []
        parts += [render_flags("Output Options", tuple(OUTPUT_FLAGS[n] for n in self.output))] if self.output else []
        return "\n\n".join([*parts, render_flags("HTTP Options", HTTP_FLAGS)])


@dataclass
class Call:
    """One run of a command."""

    command: Command
    flags: Flags
    screen: Screen

    @property
    def arguments(self) -> list[str]:
        """What stands after the flags."""
        return self.flags.arguments

    @cached_property
    def client(self) -> VaultClient:
        """The client that the flags and the environment describe, with the user's token."""
        from haechi.vaultcli.client import Tls, VaultClient, read_token

        f = self.flags
        forbidden = sorted(name for name in f["header"] if name.lower().startswith("x-vault-"))
        if forbidden:
            raise CommandError(
                f"failed to setup Headers[{', '.join(forbidden)}]: Header starting by 'X-Vault-' are for internal usage only", 2
            )
        namespace = f["namespace"].strip("/")
        try:
            timeout = parse_duration(os.environ.get("VAULT_CLIENT_TIMEOUT", "")) or 60.0
        except ValueError as error:
            raise CommandError(f"failed to read environment: VAULT_CLIENT_TIMEOUT: {error}", 2) from None
        return VaultClient(
            address=f["agent-address"] or f["address"],
            token=read_token(),
            namespace=f"{namespace}/" if namespace else "",
            wrap_ttl=render_duration(f["wrap-ttl"]) if f["wrap-ttl"] else "",
            policy_override=f["policy-override"],
            headers=dict(f["header"]),
            tls=Tls(f["ca-cert"], f["ca-path"], f["client-cert"], f["client-key"], f["tls-server-name"], f["tls-skip-verify"]),
            timeout=timeout,
            curl=f["output-curl-string"],
        )

    def show(self, secret: dict[str, Any]) -> int:
        """Print an envelope, or the one field asked for."""
        name = self.flags.get("field")
        return self.screen.field(secret, name) if name else self.screen.secret(secret)

    def ask_secret(self, prompt: str) -> str:
        """A secret from the terminal, not echoed; from a line of stdin when that is no terminal."""
        if self.flags["non-interactive"]:
            raise CommandError("Refusing to read from stdin with -non-interactive specified")
        if not sys.stdin.isatty():
            return sys.stdin.readline().strip()
        from getpass import getpass

        try:
            return getpass(prompt).strip()
        except EOFError:
            raise CommandError("user canceled") from None


@contextmanager
def failing(prefix: str, code: int = 2) -> Iterator[None]:
    """Put Vault's words in front of an error of the client and end the command with `code`."""
    try:
        yield
    except VaultError as error:
        raise CommandError(f"{prefix}: {error}", code, error.secret if isinstance(error, ApiError) else None) from None
