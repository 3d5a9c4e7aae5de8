"""Serves the API, over HTTP and beside it over TLS, with a worker in the same process, until a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvicorn
import uvloop

from haechi.tfe.accounts import ensure_admin
from haechi.tfe.api.app import make_app
from haechi.tfe.api.call import Services
from haechi.tfe.pages.routes import make_pages
from haechi.tfe.settings import Settings
from haechi.tfe.signing import Signer
from haechi.tfe.store import Store
from haechi.tfe.worker.worker import Worker

log = logging.getLogger("haechi.tfe.server")
THREADS = 32  # requests that are in the database at once
STOP_SECONDS = 20.0  # for runs in progress to save their state


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when a port is taken, SQLAlchemyError when the database cannot be reached."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = Store(settings.database_url)
    try:
        uvloop.run(_serve(settings, store))
    finally:
        store.close()


async def _serve(settings: Settings, store: Store) -> None:
    started = time.monotonic()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "request"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    services = Services(settings, store, Signer(store.secret("signing")))
    app = make_app(services, make_pages(services))
    servers = [_Server(_config(app, settings, tls=False))]
    sockets = [socket.create_server((settings.address, settings.port), backlog=1024)]
    if settings.tls is not None and settings.tls_port:
        servers.append(_Server(_config(app, settings, tls=True)))
        sockets.append(socket.create_server((settings.address, settings.tls_port), backlog=1024))
    if settings.admin_token_file is not None:
        ensure_admin(store, settings.admin_token_file)
    worker = Worker(services) if settings.worker_slots else None
    if worker is not None:
        worker.start()
    tasks = [loop.create_task(server.serve([listening])) for server, listening in zip(servers, sockets, strict=True)]
    log.info("serving on %s:%d after %.2f s", settings.address, settings.port, time.monotonic() - started)
    await asyncio.wait([*tasks, loop.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    if worker is not None:  # before the server: terraform may still be talking to it
        await asyncio.to_thread(worker.stop, STOP_SECONDS)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)


class _Server(uvicorn.Server):
    """Signals are ours to handle: one stops both servers and the worker, in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def _config(app: object, settings: Settings, tls: bool) -> uvicorn.Config:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    if tls:
        config.load()
        config.ssl = settings.tls
    return config
