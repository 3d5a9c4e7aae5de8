"""The composition root: builds a server from its parts and runs it. Nothing is decided here.

haechi serve cloud      the local Alibaba Cloud, until SIGTERM; hosts and packets stay when it ends
haechi serve vault      Vault's HTTP API, with a configuration file of Vault's
haechi serve tfe        Terraform Enterprise's API, with the worker that runs terraform
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import logging.handlers
import os
import secrets
import shutil
import signal
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from haechi.cloud import authority, nameserver
from haechi.cloud.control import Control
from haechi.cloud.desired import render_plan
from haechi.cloud.door import Door
from haechi.cloud.gateway import Gateway
from haechi.cloud.internet import Internet
from haechi.cloud.linklocal import LinkLocal
from haechi.cloud.machines import Machines
from haechi.cloud.products.cloudfw.assets import protected
from haechi.cloud.products.cloudfw.monitor import FlowMonitor
from haechi.cloud.products.cloudfw.telemetry import FlowTelemetry
from haechi.cloud.products.ddoscoo.monitor import Monitor
from haechi.cloud.products.ddoscoo.telemetry import Telemetry
from haechi.cloud.products.ecs.images import resume_images
from haechi.cloud.products.ecs.lifetime import release_due
from haechi.cloud.products.ecs.removal import remove_instance
from haechi.cloud.products.waf.monitor import WafMonitor
from haechi.cloud.products.waf.telemetry import WafTelemetry
from haechi.cloud.runtime import PATIENCE, Runtime
from haechi.cloud.store import Store
from haechi.cloud.trace import Trace
from haechi.dataplane import core_rules
from haechi.dataplane.image import Images
from haechi.dataplane.reconcile import Dataplane
from haechi.dataplane.site import Site
from haechi.settings import SettingsError, Target, credentials_path

log = logging.getLogger("haechi.serve")


class AlreadyRunning(SettingsError):
    """Another server of this site holds the lock."""


def prepare(site: Site, progress: Callable[[str], None]) -> None:
    """Build or unpack the base image that hosts lie on (about a minute the first time), and fetch the core rules that a setting names."""
    core_rules.prepare(site, progress)
    Images(site).ensure_base(progress)


OWN = (  # everything haechi ever writes into a site's home
    "boot-id",
    "bin",
    "ca",
    "cloud.db",
    "cloud.db-shm",
    "cloud.db-wal",
    "edge",
    "firewall.db",
    "firewall.db-shm",
    "firewall.db-wal",
    "waf.db",
    "waf.db-shm",
    "waf.db-wal",
    "telemetry.db",
    "telemetry.db-shm",
    "telemetry.db-wal",
    "credentials.json",
    "hosts",
    "images",
    "journal.jsonl",
    "log",
    "mirror",
    "ssh",
    "terraform",
    "tfe",
    "up.lock",
    "vault",
    "work",
)


def purge(site: Site, keep_cache: bool) -> None:
    """Remove everything of a site from this machine: hosts, packets, files; the cache unless told to keep it.

    Only what haechi made is touched: a home that holds other things as well keeps them.
    """
    with _lock(site):
        Dataplane(site).destroy()
        for name in OWN:
            _remove(site.home / name)
        _remove(site.run)
    if site.home.is_dir() and not any(site.home.iterdir()):
        site.home.rmdir()
    if not keep_cache and site.cache.is_dir():
        for path in site.cache.glob("base-*"):
            _remove(path)
        _remove(site.cache / "core-rules")
        if not any(site.cache.iterdir()):
            site.cache.rmdir()


def _remove(path: Path) -> None:
    """A file, a link or a whole directory; nothing happens when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def serve_cloud(target: Target) -> None:
    """Run the cloud server in the foreground until SIGTERM or SIGINT. Raises AlreadyRunning."""
    site = target.site
    site.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    site.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    _log_to(site.home / "log" / "cloud.log")
    with _lock(site):
        uvloop.run(_cloud(target))


def serve_vault(paths: list[str]) -> int:
    """Run Vault with these configuration files until SIGTERM or SIGINT; the exit code."""
    from haechi.vault.server import run  # the cloud server needs nothing of it

    return run(paths)


def serve_tfe(target: Target) -> None:
    """Run Terraform Enterprise in the foreground until SIGTERM or SIGINT. Raises AlreadyRunning, SettingsError.

    HAECHI_TFE_DATABASE is a SQLAlchemy URL (SQLite in the site's home without it), HAECHI_TFE_SLOTS the runs at once (10).
    """
    from haechi.provider.mirror import render_terraformrc
    from haechi.tfe.server import run
    from haechi.tfe.settings import Settings

    site = target.site
    for directory in (site.home, site.run, target.tfe_home):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _log_to(site.home / "log" / "tfe.log")
    authority.ensure_authority(site.home / "ca", target.edge_home / "ca.pem")
    slots = os.environ.get("HAECHI_TFE_SLOTS", "10")
    if not slots.isascii() or not slots.isdigit() or int(slots) > 100:
        raise SettingsError(f"HAECHI_TFE_SLOTS is {slots!r}.\nIt is the number of runs at once, 0 to 100.")
    mirror = target.terraformrc.parent
    settings = Settings(
        home=target.tfe_home,
        port=target.tfe_port,
        database=os.environ.get("HAECHI_TFE_DATABASE", ""),
        tls_port=target.tfe_tls_port,
        tls=authority.server_context(site.home / "ca"),
        worker_slots=int(slots),
        terraform=shutil.which("terraform") or shutil.which("tofu") or str(site.home / "bin" / "terraform"),
        terraformrc=render_terraformrc(mirror) if (mirror / "registry.terraform.io").is_dir() else "",
        hidden=(site.home.absolute(),),
        shown=(mirror.absolute(), target.bundle.absolute(), (site.home / "bin").absolute()),
        admin_token_file=target.tfe_home / "token",
    )
    with _held(target.tfe_pid_file):
        run(settings)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """A file with this process's id, locked as long as it lives. Raises AlreadyRunning."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                "A server of this site is running already.\nStop it with `haechi down`, or choose another HAECHI_SITE."
            ) from None
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        path.unlink(missing_ok=True)


async def _cloud(target: Target) -> None:
    site = target.site
    started = time.monotonic()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    authority.ensure_authority(site.home / "ca", target.edge_home / "ca.pem")
    store = Store(site.home / "cloud.db")
    account = _ensure_root_key(site, store)
    trace = Trace(site.home / "log" / "calls.jsonl")
    linklocal = LinkLocal(site, loop)
    dataplane = Dataplane(site, linklocal.follow)
    machines = Machines(store, dataplane, render_plan, remove_instance, site.home / "boot-id")
    telemetry = Telemetry(site.home / "telemetry.db")
    monitor = Monitor(store, telemetry, dataplane.scrubber_reading, dataplane.scrubber_challenge, lambda view: runtime.apply(view))
    wall = dataplane.wall

    def guarded() -> frozenset[str]:
        return frozenset(protected(store.view()))

    flows = FlowTelemetry(site.home / "firewall.db")
    flow_monitor = FlowMonitor(flows, store.now, wall.read, wall.told, dataplane.policy_hits, guarded, wall.learn)
    waf_monitor = WafMonitor(store, WafTelemetry(site.home / "waf.db"), dataplane.wafs.logs)
    watches = (monitor, flow_monitor, waf_monitor)
    runtime = Runtime(site, store, dataplane, machines, render_plan, account, target.region, *watches, PATIENCE)
    control = Control(runtime, stop.set)
    door = Door(Gateway(runtime, trace), Internet(runtime), authority.server_context(site.home / "ca"), target.port)

    try:
        await asyncio.to_thread(dataplane.open, render_plan(store.view()))
    except RuntimeError:
        log.exception("the data plane could not be brought up whole; `haechi doctor` tells what is missing")
    machines.open()
    for watch in watches:
        watch.start()
    resume_images(runtime)
    work = (
        door.serve(),
        control.serve(site.run / "control.sock"),
        linklocal.serve(runtime, dataplane.networks),
        nameserver.serve(runtime),
        _every_minute(lambda: release_due(runtime)),
    )
    servers = [asyncio.create_task(w) for w in work]
    log.info("serving on 127.0.0.1:%d after %.2f s", target.port, time.monotonic() - started)
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([*servers, waiting], return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.cancel()
    results = await asyncio.gather(*servers, return_exceptions=True)
    for watch in watches:
        await asyncio.to_thread(watch.close)
    await asyncio.to_thread(machines.close)
    dataplane.close()
    trace.close()
    store.close()
    for failure in [r for r in results if isinstance(r, Exception)]:
        raise failure


async def _every_minute(work: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(60)
        await asyncio.to_thread(work)


def _ensure_root_key(site: Site, store: Store) -> str:
    """The account's id. Its root key is made once; the file that tools read is written again if it was lost."""
    keys = [k for k in store.view().find("access_key") if not k["UserName"]]
    if not keys:
        letters = string.ascii_letters + string.digits
        id = "LTAI" + "".join(secrets.choice(letters) for _ in range(20))
        secret = "".join(secrets.choice(letters) for _ in range(30))
        account = "1" + "".join(secrets.choice(string.digits) for _ in range(15))
        with store.write() as tx:
            data = {"AccessKeySecret": secret, "Status": "Active", "UserName": "", "Account": account, "CreatedAt": store.now()}
            tx.put("access_key", id, "", data)
        keys = store.view().find("access_key", UserName="")
    key = keys[0]
    path = credentials_path(site)
    text = json.dumps({"account": key["Account"], "access_key_id": key.id, "access_key_secret": key["AccessKeySecret"]})
    if not path.exists() or path.read_text() != text:
        temporary = path.with_suffix(".tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        temporary.replace(path)
    return str(key["Account"])


class _lock:
    """Holds the site's lock: one server, or one purge, at a time."""

    def __init__(self, site: Site) -> None:
        self._path = site.home.parent / f".{site.home.name}.lock"

    def __enter__(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise AlreadyRunning(
                "A haechi server of this site is running already.\nStop it with `haechi down`, or choose another HAECHI_SITE."
            ) from None

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=8 << 20, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
