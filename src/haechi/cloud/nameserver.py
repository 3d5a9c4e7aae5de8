"""The name server of the local internet: it answers for the domains of alidns at this site's outside address, port 53, UDP and TCP."""

from __future__ import annotations

import asyncio
import logging
import socket

from haechi.cloud.linklocal import names_of
from haechi.cloud.runtime import Runtime
from haechi.dataplane.dns import Resolver

log = logging.getLogger("haechi.nameserver")
PORT = 53
AGAIN_SECONDS = 2.0


def _open(address: str, kind: socket.SocketKind) -> socket.socket:
    one = socket.socket(socket.AF_INET, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setblocking(False)
    try:
        one.bind((address, PORT))
        if kind == socket.SOCK_STREAM:
            one.listen(64)
    except OSError:
        one.close()
        raise
    return one


async def serve(runtime: Runtime) -> None:
    """Answer until cancelled. The address comes with the data plane; until it is there it is tried again."""
    server = Resolver([], names_of(runtime), (), lambda addresses: None, authoritative=True)
    try:
        while True:
            sockets: list[socket.socket] = []
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    sockets.append(_open(runtime.site.outside, kind))
                await server.serve("internet", sockets)
                await asyncio.Event().wait()
            except OSError as error:
                for one in sockets:
                    one.close()
                log.warning("no name server at %s: %s", runtime.site.outside, error)
                await asyncio.sleep(AGAIN_SECONDS)
    finally:
        await server.close()
