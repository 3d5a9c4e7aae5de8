"""The one door into the data plane: bring hosts and packets to a plan, tell where they differ, mend it.

`apply` is quick and covers everything but the power of hosts; hosts are started and stopped one by one by the caller, who
knows in which order and how long to wait.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from haechi.dataplane import sysctls, wiring
from haechi.dataplane.balancer import Balancers
from haechi.dataplane.host import Hosts, sysctls_needed
from haechi.dataplane.image import Images
from haechi.dataplane.kernel import KernelError
from haechi.dataplane.network import Networks
from haechi.dataplane.peering import Peerings
from haechi.dataplane.plan import Fault, Plan
from haechi.dataplane.scrubber import Reading, Scrubbers
from haechi.dataplane.site import Site
from haechi.dataplane.waf import Wafs
from haechi.dataplane.wall import InternetFirewall

log = logging.getLogger("haechi.dataplane")
READY_SECONDS = 90.0
STOP_SECONDS = 30.0


class Dataplane:
    """Hosts, networks and balancers of one site. Thread-safe; failures raise KernelError with the kernel's words."""

    def __init__(self, site: Site, on_networks: Callable[[Mapping[str, int]], None] = lambda networks: None) -> None:
        self.site = site
        self.images = Images(site)
        self.hosts = Hosts(site, self.images)
        self.networks = Networks(site)
        self.balancers = Balancers(site)
        self.scrubbers = Scrubbers(site)
        self.wafs = Wafs(site)
        self.wall = InternetFirewall(site)
        self.peerings = Peerings(site)
        self._on_networks = on_networks
        self._lock = threading.RLock()
        self._applied = Plan()

    def apply(self, plan: Plan) -> None:
        """Make networks, filters, addresses and balancers match; resize running hosts."""
        with self._lock:
            self.networks.apply(plan)
            self.peerings.apply(plan)
            self.balancers.apply(plan)
            self.scrubbers.apply(plan)
            self.wafs.apply(plan)
            self.wall.apply(plan)
            for id, host in plan.hosts.items():
                before = self._applied.hosts.get(id)
                if before and (before.cpus, before.memory_mib) != (host.cpus, host.memory_mib) and self.hosts.state(id) == "running":
                    self.hosts.resize(host)
            self._applied = plan
        self._tell_networks(plan)

    def start_host(self, plan: Plan, id: str) -> None:
        """Boot a host and wait until it takes logins. Does nothing when it runs already."""
        host = plan.hosts[id]
        if self.hosts.state(id) != "running":
            self.hosts.prepare(host)
            self.networks.attach(plan, id)
            self.hosts.boot(host)
        if not self.hosts.wait_ready(id, READY_SECONDS):
            raise KernelError(f"host {id} did not come up within {READY_SECONDS:.0f} s; see its console")

    def stop_host(self, id: str, force: bool) -> None:
        """Shut a host down (`force`: pull the plug)."""
        if self.hosts.state(id) != "absent":
            self.hosts.stop(id, force, STOP_SECONDS)

    def reboot_host(self, plan: Plan, id: str, force: bool) -> None:
        """Down and up again, with whatever changed of its identity."""
        self.stop_host(id, force)
        self.start_host(plan, id)

    def delete_host(self, id: str) -> None:
        """Remove a host and its files."""
        self.hosts.delete(id)

    def host_states(self) -> dict[str, str]:
        """running, stopped of every host that exists here, also ones that no plan names."""
        return self.hosts.states()

    def console(self, id: str) -> bytes:
        """The end of what a host wrote on its console."""
        return self.hosts.console(id)

    def commit_image(self, host_id: str, image_id: str) -> None:
        self.images.commit(host_id, image_id)

    def delete_image(self, image_id: str) -> None:
        self.images.delete(image_id)

    def image_exists(self, image_id: str) -> bool:
        return self.images.exists(image_id)

    def image_mib(self, image_id: str) -> int:
        return self.images.size_mib(image_id)

    def balancer_health(self, id: str) -> dict[tuple[str, int, str, int], str]:
        """normal, abnormal or unavailable by (protocol, port, backend, backend port)."""
        return self.balancers.health(id)

    def scrubber_reading(self, id: str) -> Reading:
        """Counters of a scrubber."""
        return self.scrubbers.read(id)

    def policy_hits(self) -> dict[str, tuple[int, int]]:
        """Packets and bytes by id of a firewall's policy, those between networks too."""
        return {**self.wall.hits(), **self.peerings.hits()}

    def scrubber_challenge(self, id: str, domains: set[str]) -> None:
        """The domains of a scrubber whose visitors are challenged because they are under attack."""
        self.scrubbers.challenge(id, domains)

    def inspect(self, plan: Plan) -> list[Fault]:
        """Every difference between a plan and this machine."""
        faults = [
            *self.networks.inspect(plan),
            *self.peerings.inspect(plan),
            *self.balancers.inspect(plan),
            *self.scrubbers.inspect(plan),
            *self.wafs.inspect(plan),
            *self.wall.inspect(plan),
        ]
        states = self.hosts.states()
        for id, host in plan.hosts.items():
            state = states.get(id, "absent")
            if host.running and state != "running":
                faults.append(Fault("host", id, f"should be running and is {state}"))
            if not host.running and state == "running":
                faults.append(Fault("host", id, "should be stopped and is running"))
            if not self.images.exists(host.image):
                faults.append(Fault("image", host.image, f"is missing, and host {id} lies on it"))
        faults += [Fault("orphan", id, "a host that nothing asks for") for id in states if id not in plan.hosts]
        return faults

    def repair(self, plan: Plan) -> None:
        """Mend every difference that can be mended: networks, balancers, the power of hosts, orphans."""
        sysctls.hold(self.site.prefix, sysctls_needed())
        with self._lock:
            self.networks.repair(plan)
            self.peerings.repair(plan)
            self.balancers.repair(plan)
            self.scrubbers.repair(plan)
            self.wafs.repair(plan)
            self.wall.repair(plan)
            self._applied = plan
        self._tell_networks(plan)
        states = self.hosts.states()
        for id in states:
            if id not in plan.hosts:
                self.hosts.delete(id)
        wrong = [h for h in plan.hosts.values() if h.running != (states.get(h.id) == "running")]

        def mend(id: str, running: bool) -> None:
            if running:
                self.start_host(plan, id)
            else:
                self.stop_host(id, force=False)

        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(mend, h.id, h.running) for h in wrong]:
                future.result()

    def _tell_networks(self, plan: Plan) -> None:
        inodes = {id: wiring.inode(self.site.netns(id)) for id in plan.networks}
        self._on_networks({id: inode for id, inode in inodes.items() if inode})

    def open(self, plan: Plan) -> None:
        """At start: adopt what runs, mend everything but the power of hosts, and watch helper processes."""
        sysctls.hold(self.site.prefix, sysctls_needed())
        self.apply(plan)
        self.balancers.start_watching()
        self.scrubbers.start_watching()
        self.wafs.start_watching()
        self.wall.start_watching()

    def close(self) -> None:
        """Stop watching. Hosts and packets stay as they are."""
        self.balancers.close()
        self.scrubbers.close()
        self.wafs.close()
        self.wall.close()

    def destroy(self) -> None:
        """Remove everything of this site from the machine, whatever state it is in."""
        self.balancers.destroy()
        self.scrubbers.destroy()
        self.wafs.destroy()
        self.wall.destroy()
        self.hosts.destroy()
        self.peerings.destroy()
        self.networks.destroy()
