"""`vault server`: listeners from a configuration file, until a signal. Nothing of Vault's behaviour is decided here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path

import uvicorn
import uvloop
from uvicorn.server import ServerState

from haechi.vault import VERSION
from haechi.vault.api import Api
from haechi.vault.config import Config, ConfigError, Listener, parse_config, read_config
from haechi.vault.core import Core, Settings
from haechi.vault.errors import Unavailable
from haechi.vault.http import VaultProtocol
from haechi.vault.operator import Operator
from haechi.vault.storage import MemoryStorage, SqliteStorage, Storage

log = logging.getLogger("haechi.vault.server")
CLOSE_SECONDS = 5.0


def run(paths: Sequence[str], dev: bool = False, dev_root_token_id: str = "", dev_listen_address: str = "127.0.0.1:8200") -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Two lines on stderr when it cannot start."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s [%(levelname)s] %(name)s: %(message)s")
    try:
        config = parse_config(_dev_config(dev_listen_address)) if dev else read_config(*paths)
        storage = open_storage(config)
    except (ConfigError, Unavailable, OSError) as error:
        print(f"vault: {error}", file=sys.stderr)
        return 1
    try:
        uvloop.run(_serve(config, storage, dev_root_token_id if dev else None))
    except OSError as error:
        print(f"vault: a listener cannot be opened: {error}\nFree the address, or choose another in the configuration.", file=sys.stderr)
        return 1
    finally:
        storage.close()
    return 0


def open_storage(config: Config) -> Storage:
    """The storage that a configuration names. Raises Unavailable."""
    return MemoryStorage() if config.storage.kind == "inmem" else SqliteStorage(Path(config.storage.path), config.storage.kind)


def _dev_config(address: str) -> str:
    return f'storage "inmem" {{}}\nlistener "tcp" {{\n  address = "{address}"\n  tls_disable = true\n}}\n'


async def _serve(config: Config, storage: Storage, dev_root: str | None) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    core = Core(storage, Settings(config.default_lease_ttl, config.max_lease_ttl, config.cluster_name, config.api_addr))
    operator = Operator(core)
    contexts = [_tls(listener) for listener in config.listeners]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: _reload(core, config, contexts))

    states, servers = [], []
    for listener, context in zip(config.listeners, contexts, strict=True):
        api = Api(core, operator, listener.max_request_size, listener.max_request_duration)
        settings = uvicorn.Config(
            api, interface="asgi3", lifespan="off", log_config=None, access_log=False, proxy_headers=False, timeout_keep_alive=75, ws="none"
        )
        settings.load()
        state = ServerState()
        state.default_headers = []
        server = await loop.create_server(
            lambda settings=settings, state=state: VaultProtocol(settings, state, {}),
            sock=_listen(listener),
            ssl=context,
            backlog=1024,
        )
        states.append(state)
        servers.append(server)
    _banner(config)
    if dev_root is not None:
        await _open_dev(core, operator, dev_root)
    _notify("READY=1")
    if config.pid_file:
        Path(config.pid_file).write_text(f"{os.getpid()}\n")
    await stop.wait()
    print("==> Vault shutdown triggered", flush=True)
    _notify("STOPPING=1")
    for server in servers:
        server.close()
    for state in states:
        for protocol in list(state.connections):
            protocol.shutdown()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=CLOSE_SECONDS)
    await core.seal_now()
    if config.pid_file:
        Path(config.pid_file).unlink(missing_ok=True)


def _listen(listener: Listener) -> socket.socket:
    host, _, port = listener.address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=1024)


def _tls(listener: Listener) -> ssl.SSLContext | None:
    if listener.tls_disable:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if listener.tls_min_version == "tls13" else ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listener.tls_cert_file, listener.tls_key_file)
    if listener.tls_client_ca_file:
        context.load_verify_locations(listener.tls_client_ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
    if listener.tls_require_and_verify_client_cert:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _reload(core: Core, config: Config, contexts: Sequence[ssl.SSLContext | None]) -> None:
    """SIGHUP: audit files are opened anew (they may have been rotated), certificates read again."""
    log.info("reloading")
    core.audit.reopen()
    for listener, context in zip(config.listeners, contexts, strict=True):
        if context is not None:
            try:
                context.load_cert_chain(listener.tls_cert_file, listener.tls_key_file)
            except (OSError, ssl.SSLError) as error:
                log.error("the certificate of %s could not be read again: %s", listener.address, type(error).__name__)


async def _open_dev(core: Core, operator: Operator, root: str) -> None:
    """-dev: initialised and unsealed with one share, kv-v2 at secret/; key and token are printed."""
    from haechi.vault.logical import Request

    made = operator.initialize({"secret_shares": 1, "secret_threshold": 1})
    await operator.unseal({"key": made["keys"][0]})
    token = made["root_token"]
    if root:
        await core.respond(Request("dev", "update", "auth/token/create", {"id": root, "policies": ["root"]}, client_token=token))
        token = root
    mount = {"type": "kv", "options": {"version": "2"}, "description": "key/value secret storage"}
    await core.respond(Request("dev", "update", "sys/mounts/secret", mount, client_token=token))
    print(f"\nUnseal Key: {made['keys_base64'][0]}\nRoot Token: {token}\n")
    print("Development mode should NOT be used in production!\n", flush=True)


def _banner(config: Config) -> None:
    lines = {
        "Api Address": config.api_addr or "none",
        "Listeners": ", ".join(f'tcp ({x.address}, tls: "{"disabled" if x.tls_disable else "enabled"}")' for x in config.listeners),
        "Storage": config.storage.kind,
        "Version": f"Vault v{VERSION} (haechi)",
    }
    print("==> Vault server configuration:\n")
    for name, value in lines.items():
        print(f"{name:>24}: {value}")
    if config.ignored:
        log.warning("ignored in the configuration: %s", ", ".join(config.ignored))
    print(f"\n==> Vault server started! Log data will stream in below: ({formatdate(usegmt=True)})\n", flush=True)


def _notify(state: str) -> None:
    """Tell systemd, when it asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
