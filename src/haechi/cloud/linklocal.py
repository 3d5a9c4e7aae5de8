"""What instances find at link-local addresses in every VPC.

Metadata at 100.100.100.200, resolvers at 100.100.2.136 and .138, a package mirror at 100.100.2.148 (mirrors.cloud.aliyuncs.com).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from haechi.cloud.metadata import Metadata
from haechi.cloud.mirror import Mirror
from haechi.cloud.products.alidns.zones import lookup
from haechi.cloud.runtime import Runtime
from haechi.dataplane.dns import Answer, Reply, Resolver, Zones, read_mirrors, read_upstreams
from haechi.dataplane.network import Networks, open_socket
from haechi.dataplane.site import Site

log = logging.getLogger("haechi.linklocal")
METADATA = "100.100.100.200"
RESOLVERS = ("100.100.2.136", "100.100.2.138")
MIRROR, MIRROR_NAME = "100.100.2.148", "mirrors.cloud.aliyuncs.com"
AGAIN_SECONDS = 2.0


def own_names(network: str, name: str, kind: str) -> Reply | None:
    """What the resolvers answer themselves, the same in every VPC: where the package mirror is."""
    if name != MIRROR_NAME:
        return None
    return Reply((Answer("A", MIRROR),) if kind in ("A", "ANY") else ())


def names_of(runtime: Runtime) -> Zones:
    """The package mirror, and the domains of the local internet."""

    def zones(network: str, name: str, kind: str) -> Reply | None:
        return own_names(network, name, kind) or lookup(runtime.store.view(), name, kind, runtime.site.outside)

    return zones


class LinkLocal:
    """Keeps a metadata server, a resolver and a package mirror listening in every VPC that exists."""

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop
        self._wanted: Mapping[str, int] = {}
        self._open: dict[str, int] = {}
        self._changed = asyncio.Event()

    def follow(self, networks: Mapping[str, int]) -> None:
        """These networks exist now, each with the number of its namespace. May be called from any thread."""

        def note() -> None:
            self._wanted = networks
            self._changed.set()

        self._loop.call_soon_threadsafe(note)

    async def serve(self, runtime: Runtime, networks: Networks) -> None:
        """Start and stop listening as networks come and go, until cancelled."""
        metadata, mirror = Metadata(runtime), Mirror(self._site.home / "mirror")
        learn = runtime.flow_monitor.answered
        resolver = Resolver(read_upstreams(), names_of(runtime), read_mirrors(), networks.allow_mirror, on_answer=learn)
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for id, inode in list(self._open.items()):
                    if self._wanted.get(id) != inode:  # gone, or made anew: sockets would stay in the dead one
                        metadata.forget(id)
                        mirror.forget(id)
                        await resolver.forget(id)
                        del self._open[id]
                for id, inode in sorted(self._wanted.items()):
                    if id not in self._open:
                        await self._listen(id, inode, metadata, mirror, resolver)
        finally:
            metadata.close()
            mirror.close()
            await resolver.close()

    async def _listen(self, id: str, inode: int, metadata: Metadata, mirror: Mirror, resolver: Resolver) -> None:
        try:
            metadata.serve(id, open_socket(self._site, id, METADATA, 80, "tcp"))
            sockets = [open_socket(self._site, id, address, 53, kind) for address in RESOLVERS for kind in ("udp", "tcp")]
            await resolver.serve(id, sockets)
            self._open[id] = inode
        except OSError as error:  # the network went away again, or is not whole: doctor tells
            log.warning("no link-local services in %s: %s", id, error)
            self._loop.call_later(AGAIN_SECONDS, self._changed.set)
            return
        try:
            await mirror.serve(id, open_socket(self._site, id, MIRROR, 80, "tcp"))
        except OSError as error:  # the network was made before there was a mirror: it lives without one
            log.warning("no package mirror in %s: %s", id, error)
