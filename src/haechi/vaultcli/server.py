"""server: hands configuration files to haechi's own Vault server, which is imported only here."""

from __future__ import annotations

from haechi.vaultcli.command import Call, Command
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag


def server(call: Call) -> int:
    """Run the server in the foreground."""
    paths = list(call.flags["config"])
    if not paths and not call.flags["dev"]:
        raise CommandError("Must specify at least one config path using -config")
    from haechi.vault.server import run

    if not call.flags["dev"]:
        return run(paths)
    return run(
        paths,
        dev=True,
        dev_root_token_id=call.flags["dev-root-token-id"],
        dev_listen_address=call.flags["dev-listen-address"],
    )


COMMANDS = (
    Command(
        "server",
        server,
        "Run a Vault server in the foreground.",
        flags=(
            Flag("config", "A configuration file (HCL or JSON); may be repeated.", "list"),
            Flag("dev", "A server in memory, initialised and unsealed; for trying things out.", "bool"),
            Flag("dev-listen-address", "Where a -dev server listens.", default="127.0.0.1:8200", env="VAULT_DEV_LISTEN_ADDRESS"),
            Flag("dev-root-token-id", "The root token of a -dev server.", env="VAULT_DEV_ROOT_TOKEN_ID"),
        ),
        output=(),
    ),
)
