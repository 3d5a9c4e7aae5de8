"""Connections the kernel tracks in a namespace: read and cut, over netlink (a process per flow would be far too slow)."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from haechi.dataplane import kernel

NETFILTER = 12  # netlink family
GET, DELETE = 0x101, 0x102  # messages of the connection tracking subsystem
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
DONE, ERROR = 3, 2
TUPLE_ORIG, TUPLE_REPLY, COUNTERS_ORIG, COUNTERS_REPLY, ID = 1, 2, 9, 10, 12
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre"}
FAMILY = struct.pack("BBH", socket.AF_INET, 0, 0)


@dataclass(frozen=True, slots=True)
class End:
    """Addresses and ports of one direction. Ports are 0 where the protocol has none."""

    source: str
    destination: str
    source_port: int = 0
    port: int = 0


@dataclass(frozen=True, slots=True)
class Tracked:
    """One connection: the direction of its first packet as it arrived, and that of the replies (they differ by translation)."""

    protocol: str
    original: End
    reply: End
    key: bytes = field(repr=False, default=b"")  # how the kernel knows it
    packets: tuple[int, int] = (0, 0)  # original, reply; counted where nf_conntrack_acct is on
    bytes: tuple[int, int] = (0, 0)

    @property
    def source_translated(self) -> bool:
        return self.reply.destination != self.original.source

    @property
    def destination_translated(self) -> bool:
        return self.reply.source != self.original.destination


def read_flows(netns: str) -> list[Tracked]:
    """Every IPv4 connection tracked in a namespace ("": the machine's own). KernelError when the kernel refuses."""
    return kernel.inside(netns, _dump) if netns else _dump()


def cut(netns: str, forbidden: Callable[[Tracked], bool]) -> int:
    """Make the kernel forget the connections for which `forbidden` is true; how many. What comes of them later is a new flow."""

    def work() -> int:
        doomed = [flow for flow in _dump() if forbidden(flow)]
        _delete(doomed)
        return len(doomed)

    return kernel.inside(netns, work) if netns else work()


def _open() -> socket.socket:
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
    connection.bind((0, 0))
    connection.settimeout(10)
    return connection


def _dump() -> list[Tracked]:
    flows: list[Tracked] = []
    with _open() as connection:
        connection.send(struct.pack("=IHHII", 20, GET, REQUEST | DUMP, 1, 0) + FAMILY)
        while True:
            for kind, body in messages(connection.recv(1 << 20)):
                if kind == DONE:
                    return flows
                if kind == ERROR:
                    raise kernel.KernelError(f"list connections: {os.strerror(-struct.unpack_from('=i', body)[0])}")
                if flow := _parse_flow(body):
                    flows.append(flow)


def _delete(flows: list[Tracked]) -> None:
    with _open() as connection:
        for start in range(0, len(flows), 64):
            some = flows[start : start + 64]
            flags = REQUEST | ACK
            connection.send(b"".join(struct.pack("=IHHII", 20 + len(f.key), DELETE, flags, 1, 0) + FAMILY + f.key for f in some))
            answered = 0
            while answered < len(some):
                for _, body in messages(connection.recv(1 << 20)):
                    answered += 1
                    number = -struct.unpack_from("=i", body)[0]
                    if number not in (0, errno.ENOENT):  # it may have ended by itself meanwhile
                        raise kernel.KernelError(f"delete connection: {os.strerror(number)}")


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each netlink message in a datagram."""
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        yield kind, data[at + 16 : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """Values by type of a row of netlink attributes."""
    found = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _parse_flow(body: bytes) -> Tracked | None:
    """One connection from its message; None for other address families."""
    if body[0] != socket.AF_INET:
        return None
    found = attributes(body[4:])
    number, original = _parse_end(found[TUPLE_ORIG])
    _, reply = _parse_end(found[TUPLE_REPLY])
    key = _attribute(0x8000 | TUPLE_ORIG, found[TUPLE_ORIG]) + _attribute(ID, found[ID])
    counts = [_counts(found.get(kind, b"")) for kind in (COUNTERS_ORIG, COUNTERS_REPLY)]
    (packets, size), (packets_back, size_back) = counts
    return Tracked(PROTOCOLS.get(number, str(number)), original, reply, key, (packets, packets_back), (size, size_back))


def _counts(data: bytes) -> tuple[int, int]:
    """Packets and bytes; zeroes where nothing is counted."""
    parts = attributes(data)
    return (int.from_bytes(parts[1], "big"), int.from_bytes(parts[2], "big")) if len(parts) >= 2 else (0, 0)


def _parse_end(data: bytes) -> tuple[int, End]:
    parts = attributes(data)
    addresses, protocol = attributes(parts[1]), attributes(parts[2])
    number = protocol[1][0]
    ports = (int.from_bytes(protocol[kind], "big") if number in (6, 17) and kind in protocol else 0 for kind in (2, 3))
    return number, End(socket.inet_ntoa(addresses[1]), socket.inet_ntoa(addresses[2]), *ports)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
