"""Load balancers: a namespace each, haproxy for tcp, http and https in it, nftables for udp. `Balancers` makes the kernel match a plan."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from haechi.dataplane import forward, haproxy, kernel
from haechi.dataplane.plan import Balancer, Fault, Plan
from haechi.dataplane.process import Process, cgroup_root
from haechi.dataplane.site import Site

log = logging.getLogger("haechi.balancer")
SYSCTLS = (
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/ip_local_port_range", "1024 65535"),
    ("net/ipv4/tcp_tw_reuse", "1"),
    ("net/core/somaxconn", "8192"),
)
INNER_MAC, OUTER_MAC = "02:68:78:00:00:04", "02:68:78:00:00:03"
WATCH_SECONDS = 0.5
RELOAD_SECONDS = 10.0
Health = dict[tuple[str, int, str, int], str]


class Balancers:
    """All balancers of one site. Thread-safe; failures raise KernelError, and every method can be called again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.RLock()
        self._home = site.run / "balancers"
        self._applied: dict[str, tuple[Balancer, tuple[str, ...]]] = {}  # with the cidrs of its network
        self._udp: dict[str, dict[tuple[int, str, int], int]] = {}  # consecutive probe results: positive good, negative bad
        self._down: dict[str, set[tuple[int, str, int]]] = {}
        self._due: dict[tuple[str, int, str, int], float] = {}
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None

    def apply(self, plan: Plan) -> None:
        """Make namespaces, links, routes, haproxy and forwarding match; connections of unchanged listeners live on."""
        with self._turn():
            for id in self._known() - plan.balancers.keys():
                self._remove(id)
            for balancer in plan.balancers.values():
                network = plan.networks.get(balancer.network)
                wanted = (balancer, network.cidrs if network else ())
                if self._applied.get(balancer.id) != wanted:
                    self._applied.pop(balancer.id, None)
                    self._apply(*wanted)
                    self._applied[balancer.id] = wanted

    def health(self, id: str) -> Health:
        """normal, abnormal or unavailable (not checked) by (protocol, port, backend id, backend port)."""
        with self._lock:
            known = self._applied.get(id)
            down = set(self._down.get(id, ()))
        if known is None:
            return {}
        result: Health = {}
        rows: dict[tuple[str, str], str] = {}
        if any(listener.protocol != "udp" for listener in known[0].listeners):
            rows = {(r["pxname"], r["svname"]): r["status"] for r in haproxy.read_stat(self._home / id)}
        for listener in known[0].listeners:
            for backend in listener.backends:
                key = (listener.protocol, listener.port, backend.id, backend.port)
                if listener.health is None:
                    result[key] = "unavailable"
                elif listener.protocol == "udp":
                    result[key] = "abnormal" if (listener.port, backend.id, backend.port) in down else "normal"
                else:
                    status = rows.get((f"b_{haproxy.name_of(listener)}", haproxy.server_name(backend)), "")
                    result[key] = "normal" if status.startswith("UP") else "abnormal"
        return result

    def stats(self, id: str) -> dict[tuple[str, int], dict[str, int]]:
        """Connections, current connections, bytes in and out, by (protocol, port) of the haproxy listeners."""
        names = {"connections": "stot", "active": "scur", "bytes_in": "bin", "bytes_out": "bout"}
        found = {}
        for row in haproxy.read_stat(self._home / id):
            if row["svname"] == "FRONTEND":
                _, protocol, port = row["pxname"].split("_")
                found[protocol, int(port)] = {name: int(row[column] or 0) for name, column in names.items()}
        return found

    def inspect(self, plan: Plan) -> list[Fault]:
        """What in the kernel differs from the plan. Changes nothing."""
        with self._turn():
            faults = [Fault("orphan", id, f"Balancer {id} is not in the plan") for id in sorted(self._known() - plan.balancers.keys())]
            for balancer in plan.balancers.values():
                network = plan.networks.get(balancer.network)
                faults += [Fault("balancer", balancer.id, what) for what in self._differences(balancer, network.cidrs if network else ())]
            return faults

    def repair(self, plan: Plan) -> None:
        """Apply the plan as if nothing were known about the kernel."""
        with self._turn():
            for fault in self.inspect(plan):
                self._applied.pop(fault.id, None)
            self.apply(plan)

    def start_watching(self) -> None:
        """From now on restart a haproxy that dies, and probe udp backends."""
        self._watcher = threading.Thread(target=self._watch, name="balancer-watch", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching; everything keeps running."""
        self._closing.set()
        if self._watcher is not None:
            self._watcher.join()

    def destroy(self) -> None:
        """Remove every balancer of this site, known or left over."""
        self.close()
        with self._turn():
            for id in self._known():
                self._remove(id)
            shutil.rmtree(self._home, ignore_errors=True)

    # one balancer

    def _apply(self, balancer: Balancer, cidrs: tuple[str, ...]) -> None:
        directory = self._home / balancer.id
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = self._write(balancer, directory)  # before anything else: a configuration that haproxy refuses changes nothing
        self._connect(balancer, cidrs)
        self._run(balancer, directory, text)
        down = self._down.setdefault(balancer.id, set())
        down &= {(listener.port, b.id, b.port) for listener in balancer.listeners for b in listener.backends}
        self._forward(balancer)

    def _write(self, balancer: Balancer, directory: Path) -> str:
        """Write configuration and certificates beside the running ones and have them checked; the text."""
        text = haproxy.render(balancer, directory, haproxy.connection_limit())
        files = haproxy.render_files(balancer)
        if not any(listener.protocol != "udp" for listener in balancer.listeners):
            return ""
        if (directory / "good").exists() and (directory / "good").read_text() == _digest(text, files):
            return text
        trial = directory / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(mode=0o700)
        for name, content in files.items():
            _write_secret(trial / name, content)
        _write_secret(trial / "haproxy.cfg", haproxy.render(balancer, trial, haproxy.connection_limit()))
        try:
            kernel.run("haproxy", "-c", "-q", "-f", str(trial / "haproxy.cfg"))
        finally:
            shutil.rmtree(trial)
        return text

    def _connect(self, balancer: Balancer, cidrs: tuple[str, ...]) -> None:
        site, netns = self._site, self._site.netns(balancer.id)
        kernel.netns_add(netns, SYSCTLS)
        if balancer.internet:
            outer = site.ifname("x", balancer.id)
            kernel.uplink(netns, outer, outside=site.outside)
            kernel.ip(f"addr replace {balancer.address}/32 dev lo", netns=netns)
            kernel.public_route(balancer.address, outer, outside=site.outside)
        if not balancer.network:
            return
        link, network = site.ifname("b", balancer.id), site.netns(balancer.network)
        if not _has_link(netns, "net0"):
            kernel.ip(f"link add net0 address {INNER_MAC} type veth peer name {link} address {OUTER_MAC} netns {network}", netns=netns)
        kernel.ip(
            "link set net0 up",
            f"addr replace {balancer.source}/32 dev net0",
            f"addr replace {balancer.address}/32 dev lo",
            f"neigh replace 169.254.0.3 lladdr {OUTER_MAC} dev net0 nud permanent",
            *(f"route replace {cidr} via 169.254.0.3 dev net0 onlink src {balancer.source}" for cidr in cidrs),
            netns=netns,
        )
        inside = [balancer.source] if balancer.internet else [balancer.source, balancer.address]
        kernel.ip(
            f"link set {link} up",
            f"neigh replace 169.254.0.4 lladdr {INNER_MAC} dev {link} nud permanent",
            *(f"route replace {address}/32 via 169.254.0.4 dev {link} onlink" for address in inside),
            netns=network,
        )
        kernel.sysctl([(f"net/ipv4/conf/{link}/rp_filter", "0")], netns=network)

    def _run(self, balancer: Balancer, directory: Path, text: str) -> None:
        process = self._process(balancer.id)
        if not text:
            process.stop()
            (directory / "good").unlink(missing_ok=True)
            return
        files = haproxy.render_files(balancer)
        digest = _digest(text, files)
        same = (directory / "good").exists() and (directory / "good").read_text() == digest
        if same and process.pid():
            return
        for name, content in files.items():
            _write_secret(directory / name, content)
        _write_secret(directory / "haproxy.cfg", text)
        if process.pid():
            self._reload(directory, process)
        else:
            process.stop()
            process.start()
            self._wait(directory, process, "")
        (directory / "good").write_text(digest)

    def _reload(self, directory: Path, process: Process) -> None:
        """Hand the listening sockets to a new worker; the old one ends when its connections do."""
        before = _worker(directory)
        process.signal(signal.SIGUSR2)
        self._wait(directory, process, before)

    def _wait(self, directory: Path, process: Process, before: str) -> None:
        deadline = time.monotonic() + RELOAD_SECONDS
        while True:
            try:
                now = _worker(directory)
            except kernel.KernelError:
                now = ""
            if now and now != before:
                return
            process.reap()
            if time.monotonic() > deadline or not process.pid():
                log_path = directory / "haproxy.log"
                tail = log_path.read_text(errors="replace")[-500:] if log_path.exists() else ""
                raise kernel.KernelError(f"haproxy did not come up: {tail.strip()}")
            time.sleep(0.005)

    def _process(self, id: str) -> Process:
        directory = self._home / id
        command = ("haproxy", "-W", "-db", "-q", "-f", str(directory / "haproxy.cfg"))
        return Process("haproxy", command, self._site.netns(id), directory, f"{self._site.prefix}-helpers/{id}")

    def _remove(self, id: str) -> None:
        self._applied.pop(id, None)
        self._down.pop(id, None)
        self._udp.pop(id, None)
        self._process(id).stop()
        for kind in ("x", "b"):
            link = self._site.ifname(kind, id)
            if os.path.exists(f"/sys/class/net/{link}"):
                kernel.ip(f"link del {link}")
        netns = self._site.netns(id)
        if kernel.netns_exists(netns) and _has_link(netns, "net0"):
            kernel.ip("link del net0", netns=netns)  # at once: the namespace itself goes away a moment later
        kernel.netns_delete(netns)
        shutil.rmtree(self._home / id, ignore_errors=True)

    # udp

    def _forward(self, balancer: Balancer) -> None:
        kernel.nft(forward.render(balancer, self._healthy(balancer)), self._site.netns(balancer.id))

    def _healthy(self, balancer: Balancer) -> set[tuple[int, str, int]]:
        udp = [listener for listener in balancer.listeners if listener.protocol == "udp"]
        return {(listener.port, b.id, b.port) for listener in udp for b in listener.backends} - self._down.get(balancer.id, set())

    def _probe(self, balancer: Balancer) -> None:
        """Probe what is due, without the lock; on a change of mind load the new forwarding and forget flows to the dead."""
        for listener in balancer.listeners:
            health = listener.health
            if listener.protocol != "udp" or health is None:
                continue
            for backend in listener.backends:
                key = (listener.port, backend.id, backend.port)
                due = (balancer.id, *key)
                if self._due.get(due, 0) > time.monotonic():
                    continue
                self._due[due] = time.monotonic() + health.interval
                port, wait = health.port or backend.port, min(health.timeout, 0.2)
                good = kernel.inside(
                    self._site.netns(balancer.id),
                    lambda b=backend, p=port, w=wait: forward.probe(balancer.source, b.address, p, w),  # type: ignore[misc]
                )
                counts = self._udp.setdefault(balancer.id, {})
                last = counts.get(key, 0)
                counts[key] = max(last, 0) + 1 if good else min(last, 0) - 1
                with self._lock:
                    known = self._applied.get(balancer.id)
                    down = self._down.setdefault(balancer.id, set())
                    turned = (good and key in down and counts[key] >= health.rise) or (
                        not good and key not in down and -counts[key] >= health.fall
                    )
                    if known is None or known[0] is not balancer or not turned:
                        continue
                    down.symmetric_difference_update({key})
                    self._forward(balancer)
                    if not good:
                        self._forget_flows(balancer, backend.address)

    def _forget_flows(self, balancer: Balancer, address: str) -> None:
        command = ("ip", "netns", "exec", self._site.netns(balancer.id), "conntrack", "-D", "-p", "udp", "-r", address)
        try:
            kernel.run(*command)
        except kernel.KernelError as error:
            if "0 flow entries" not in str(error):  # conntrack fails when there was none
                raise

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            with self._lock:
                known = list(self._applied.values())
            for balancer, _ in known:
                try:
                    self._revive(balancer)
                    self._probe(balancer)
                except (kernel.KernelError, OSError):  # the next round tries again; doctor tells what stays broken
                    log.exception("balancer %s", balancer.id)

    def _revive(self, balancer: Balancer) -> None:
        process = self._process(balancer.id)
        process.reap()
        if any(listener.protocol != "udp" for listener in balancer.listeners) and not process.pid():
            with self._lock:
                known = self._applied.get(balancer.id)
                if known is not None and known[0] is balancer and not process.pid():
                    log.warning("haproxy of %s died and is started again", balancer.id)
                    self._apply(*known)

    # what is there

    def _known(self) -> set[str]:
        return {path.name for path in self._home.iterdir()} if self._home.exists() else set()

    def _differences(self, balancer: Balancer, cidrs: tuple[str, ...]) -> Iterator[str]:
        netns = self._site.netns(balancer.id)
        if not kernel.netns_exists(netns):
            yield "its namespace is missing"
            return
        if balancer.internet and self._site.ifname("x", balancer.id) not in kernel.run("ip", "route", "show", f"{balancer.address}/32"):
            yield f"this machine has no route to {balancer.address}"
        if balancer.internet and not _has_link(netns, "up0"):
            yield "its uplink is missing"
        if f" {balancer.address}/32" not in kernel.run("ip", "-n", netns, "-o", "addr"):
            yield f"its address {balancer.address} is missing"
        if balancer.network:
            routes = kernel.run("ip", "-n", netns, "route")
            if not _has_link(netns, "net0") or any(f"{cidr} via" not in routes for cidr in cidrs):
                yield "its link or routes to its network are missing"
            network = self._site.netns(balancer.network)
            if kernel.netns_exists(network) and not kernel.run("ip", "-n", network, "route", "show", f"{balancer.source}/32"):
                yield "its network has no route back to it"
        directory = self._home / balancer.id
        text = haproxy.render(balancer, directory, haproxy.connection_limit())
        wants = any(listener.protocol != "udp" for listener in balancer.listeners)
        if wants and not self._process(balancer.id).pid():
            yield "haproxy is not running"
        elif wants and (not (directory / "haproxy.cfg").exists() or (directory / "haproxy.cfg").read_text() != text):
            yield "haproxy's configuration is not the wanted one"
        udp = sum(listener.protocol == "udp" for listener in balancer.listeners)
        if udp and kernel.run("ip", "netns", "exec", netns, "nft", "list", "ruleset").count("udp dport") < udp:
            yield "its udp forwarding is missing"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except OSError as error:
                raise kernel.KernelError(str(error)) from error
            finally:
                root = cgroup_root(f"{self._site.prefix}-helpers")
                if root.exists() and not any(path.is_dir() for path in root.iterdir()):
                    root.rmdir()


def _worker(directory: Path) -> str:
    """The pid of the worker that answers the socket."""
    text = haproxy.ask(directory, "show info")
    return next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("Pid:")), "")


def _has_link(netns: str, name: str) -> bool:
    return f": {name}@" in kernel.run("ip", "-n", netns, "-o", "link")


def _digest(text: str, files: dict[str, str]) -> str:
    return hashlib.sha256((text + "".join(f"{name}\0{content}\0" for name, content in sorted(files.items()))).encode()).hexdigest()


def _write_secret(path: Path, content: str) -> None:
    temporary = path.with_suffix(".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    temporary.replace(path)
