"""login: get a token by an auth method and keep it in ~/.vault-token."""

from __future__ import annotations

import os
from typing import Any

from haechi.vaultcli.client import store_token
from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.values import clean_path, parse_strings, wrap

FAILED = "Error authenticating"


def login(call: Call) -> int:
    """Authenticate, store the token unless told not to, print it unless told not to."""
    flags = call.flags
    token_only = flags["token-only"]
    no_store = flags["no-store"] or token_only
    field = "token" if token_only else flags["field"]
    if no_store and flags["no-print"]:
        raise CommandError("-no-store and -no-print cannot be used together")
    method = clean_path(flags["method"]) or "token"
    if method not in METHODS:
        raise CommandError(
            wrap(
                f'Unknown auth method: {method}. Use "vault auth list" to see the complete list of auth methods. '
                "Additionally, some auth methods are only available via the HTTP API."
            )
        )
    words = call.arguments
    if method == "token" and words and "=" not in words[0]:
        words = [f"token={words[0]}", *words[1:]]
    config = parse_strings(words)
    mount = clean_path(config.get("mount") or flags["path"] or method)
    if method != "token":
        call.client.token = ""  # an old one must not spoil the login
    secret = METHODS[method](call, mount, config)
    call.client.wrap_ttl = ""
    if secret.get("wrap_info"):
        if token_only:
            return call.screen.field(secret, "wrapping_token")
        if no_store:
            return call.screen.secret(secret)
        call.client.token = secret["wrap_info"]["token"]
        with failing("Error extracting token"):
            secret = call.client.expect("PUT", "sys/wrapping/unwrap", {})
    auth = secret.get("auth")
    if not auth:
        raise CommandError("Error extracting token: no auth or wrapping info in response", 2)
    if not no_store:
        _store(call, secret)
    elif not token_only:
        call.screen.warn(
            wrap(
                "The token was not stored in token helper. Set the VAULT_TOKEN environment variable "
                "or pass the token below with each request to Vault."
            )
            + "\n"
        )
    if flags["no-print"]:
        return 0
    if field:
        return call.screen.field(secret, field)
    if call.screen.table:
        call.screen.out(
            wrap(
                "Success! You are now authenticated. The token information displayed below is already stored in the token helper. "
                'You do NOT need to run "vault login" again. Future Vault requests will automatically use this token.'
            )
            + "\n"
        )
    return call.screen.secret(secret)


def _store(call: Call, secret: dict[str, Any]) -> None:
    try:
        store_token(secret["auth"]["client_token"])
    except OSError as error:
        text = "Authentication was successful, but the token was not persisted. The resulting token is shown below for your records."
        raise CommandError(f"Error storing token: {error.strerror}\n{wrap(text)}\n", 2, secret) from None
    if os.environ.get("VAULT_TOKEN"):
        call.screen.warn(
            wrap(
                "WARNING! The VAULT_TOKEN environment variable is set! The value of this variable will take precedence; "
                "if this is unwanted please unset VAULT_TOKEN or update its value accordingly."
            )
            + "\n"
        )


def _by_token(call: Call, mount: str, config: dict[str, str]) -> dict[str, Any]:
    """The token as given, looked up unless lookup=false."""
    lookup = config.get("lookup", "true")
    if lookup not in ("true", "false", "1", "0", "t", "f"):
        raise CommandError(f'{FAILED}: Failed to parse "lookup" as boolean', 2)
    token = (config["token"] if "token" in config else call.ask_secret("Token (will be hidden): ")).strip()
    if not token:
        raise CommandError(f"{FAILED}: a token must be passed to auth, please view the help for more information", 2)
    if lookup[0] in "f0":
        return {"auth": {"client_token": token}}
    call.client.token, call.client.wrap_ttl = token, ""
    with failing(f"{FAILED}: error looking up token"):
        data = call.client.expect("GET", "auth/token/lookup-self")["data"]
    own, identity = data.get("policies") or [], data.get("identity_policies") or []
    auth = {
        "client_token": data["id"],
        "accessor": data.get("accessor", ""),
        "policies": sorted({*own, *identity}),
        "token_policies": own,
        "identity_policies": identity,
        "metadata": data.get("meta"),
        "lease_duration": data.get("ttl", 0),
        "renewable": bool(data.get("renewable")),
    }
    return {"auth": auth}


def _by_userpass(call: Call, mount: str, config: dict[str, str]) -> dict[str, Any]:
    """username=... and password=...; the password is asked for when absent."""
    if not config.get("username"):
        raise CommandError(f"{FAILED}: 'username' must be specified", 2)
    password = config.get("password") or call.ask_secret("Password (will be hidden): ")
    with failing(FAILED):
        return call.client.expect("PUT", f"auth/{mount}/login/{config['username']}", {"password": password})


def _by_approle(call: Call, mount: str, config: dict[str, str]) -> dict[str, Any]:
    """role_id=... and secret_id=...; the secret id is asked for when absent. Vault's own command has no such method."""
    if not config.get("role_id"):
        raise CommandError(f"{FAILED}: 'role_id' must be specified", 2)
    secret_id = config["secret_id"] if "secret_id" in config else call.ask_secret("Secret ID (will be hidden): ")
    with failing(FAILED):
        return call.client.expect("PUT", f"auth/{mount}/login", {"role_id": config["role_id"], "secret_id": secret_id})


METHODS = {"token": _by_token, "userpass": _by_userpass, "approle": _by_approle}
COMMANDS = (
    Command(
        "login",
        login,
        "Authenticate and keep the token in ~/.vault-token.",
        "[TOKEN | K=V...]",
        (
            Flag("method", "token, userpass (username=, password=) or approle (role_id=, secret_id=).", default="token"),
            Flag("no-print", "Do not print the token.", "bool"),
            Flag("no-store", "Do not keep the token.", "bool"),
            Flag("path", "Where the method is mounted; its name when absent."),
            Flag("token-only", "Print the token alone and do not keep it.", "bool"),
        ),
        (0, None),
        ("field", "format"),
        details="What is not given is asked for; token=- or - reads the token from stdin.",
    ),
)
