"""What instances find at link-local addresses in every VPC: metadata at 100.100.100.200, resolvers at 100.100.2.136 and .138."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from haechi.cloud.metadata import Metadata
from haechi.cloud.runtime import Runtime
from haechi.cloud.store import Store
from haechi.dataplane.dns import Resolver
from haechi.dataplane.network import Networks, open_socket
from haechi.dataplane.site import Site

log = logging.getLogger("haechi.linklocal")
METADATA = "100.100.100.200"
RESOLVERS = ("100.100.2.136", "100.100.2.138")
SERVICES = (METADATA, *RESOLVERS)


class LinkLocal:
    """Keeps a metadata server and a resolver listening in every network that exists. `follow` may be called from any thread."""

    def __init__(self, site: Site, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop
        self._metadata: Metadata | None = None
        self._resolver: Resolver | None = None
        self._open: set[str] = set()

    def open(self, runtime: Runtime, networks: Networks) -> None:
        """Build the servers; they listen as soon as `follow` names a network."""
        self._metadata = Metadata(runtime)
        self._resolver = networks.resolver(self._loop)

    def follow(self, ids: set[str]) -> None:
        """These networks exist now: start listening in new ones, stop in those that are gone."""
        self._loop.call_soon_threadsafe(self._follow, ids)

    def _follow(self, ids: set[str]) -> None:
        assert self._metadata is not None and self._resolver is not None
        for id in self._open - ids:
            self._metadata.forget(id)
            self._resolver.forget(id)
        self._open &= ids
        for id in ids - self._open:
            try:
                kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
                self._metadata.serve(id, open_socket(self._site, id, METADATA, 80, socket.SOCK_STREAM))
                self._resolver.serve(id, [open_socket(self._site, id, r, 53, k) for r in RESOLVERS for k in kinds])
                self._open.add(id)
            except OSError:
                log.exception("no link-local services in %s", id)

    def close(self) -> None:
        """Stop listening everywhere."""
        for server in (self._metadata, self._resolver):
            close: Callable[[], None] | None = getattr(server, "close", None)
            if close is not None:
                close()
