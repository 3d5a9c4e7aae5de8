"""What a running cloud consists of, handed to every call. Built by `haechi.serve`, nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from haechi.cloud.store import Store, View
from haechi.dataplane.plan import Fault, Plan
from haechi.dataplane.scrubber import Reading
from haechi.dataplane.site import Site

if TYPE_CHECKING:
    from haechi.cloud.machines import Machines
    from haechi.cloud.products.cloudfw.monitor import FlowMonitor
    from haechi.cloud.products.ddoscoo.monitor import Monitor
    from haechi.cloud.products.waf.monitor import WafMonitor


PATIENCE = 3.0  # of the served cloud; seconds


class Dataplane(Protocol):
    """What the cloud asks of the data plane (`haechi.dataplane.reconcile.Dataplane`). Failures raise RuntimeError."""

    def apply(self, plan: Plan) -> None: ...
    def start_host(self, plan: Plan, id: str) -> None: ...
    def stop_host(self, id: str, force: bool) -> None: ...
    def reboot_host(self, plan: Plan, id: str, force: bool) -> None: ...
    def delete_host(self, id: str) -> None: ...
    def host_states(self) -> dict[str, str]: ...
    def console(self, id: str) -> bytes: ...
    def commit_image(self, host_id: str, image_id: str) -> None: ...
    def delete_image(self, image_id: str) -> None: ...
    def image_exists(self, image_id: str) -> bool: ...
    def image_mib(self, image_id: str) -> int: ...
    def inspect(self, plan: Plan) -> list[Fault]: ...
    def repair(self, plan: Plan) -> None: ...
    def balancer_health(self, id: str) -> dict[tuple[str, int, str, int], str]: ...
    def scrubber_reading(self, id: str) -> Reading: ...
    def scrubber_challenge(self, id: str, domains: set[str]) -> None: ...


@dataclass
class Runtime:
    """The cloud's parts. `account` is the 16-digit id of the only account; `render` turns a view into the data plane's plan."""

    site: Site
    store: Store
    dataplane: Dataplane
    machines: Machines
    render: Callable[[View], Plan]
    account: str
    region: str
    monitor: Monitor
    flow_monitor: FlowMonitor
    waf_monitor: WafMonitor
    patience: float = 0.0  # seconds that an answer waits for what its action began

    def apply(self, view: View) -> None:
        """Make hosts and packets match a view of the store."""
        self.dataplane.apply(self.render(view))

    def inspect(self) -> list[dict[str, str]]:
        """Where hosts and packets differ from what is stored: {kind, id, what} each."""
        return [asdict(fault) for fault in self.dataplane.inspect(self.render(self.store.view()))]

    def repair(self) -> None:
        """Make hosts and packets match what is stored."""
        self.dataplane.repair(self.render(self.store.view()))
