"""Packets that the kernel tells of (nft's `log group`), over netlink: which policy, from where to where."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from haechi.dataplane import kernel
from haechi.dataplane.flows import NETFILTER, PROTOCOLS, End, attributes, messages

CONFIG, PACKET = 0x401, 0x400  # messages of the log subsystem
PAYLOAD, PREFIX = 9, 10
COMMAND, MODE = 1, 2
BIND, COPY_PACKET = 1, 2


@dataclass(frozen=True, slots=True)
class Told:
    """One packet. `prefix` is what the rule says."""

    prefix: str
    protocol: str
    end: End
    size: int  # bytes of the whole packet


class Listener:
    """Hears one group of the machine's own namespace. What it cannot take in time is lost."""

    def __init__(self, group: int) -> None:
        """Raises KernelError when the group is another's."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETFILTER)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self._socket.bind((0, 0))
            self._configure(group, COMMAND, struct.pack("B", BIND))
            self._configure(group, MODE, struct.pack(">IBB", 64, COPY_PACKET, 0))
        except BaseException:
            self._socket.close()
            raise

    def read(self) -> list[Told]:
        """What came since the last time."""
        found: list[Told] = []
        while True:
            try:
                data = self._socket.recv(1 << 20)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # some were lost
                    raise kernel.KernelError(f"packet log: {error}") from error
                continue
            found += _parse(data)

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def _configure(self, group: int, kind: int, value: bytes) -> None:
        body = struct.pack(">BBH", 0, 0, group) + struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
        self._socket.setblocking(True)
        self._socket.settimeout(5)
        self._socket.send(struct.pack("=IHHII", 16 + len(body), CONFIG, 0x5, 1, 0) + body)
        answer = self._socket.recv(65536)
        self._socket.setblocking(False)
        number = -struct.unpack_from("=i", answer, 16)[0]
        if number:
            raise kernel.KernelError(f"packet log group {group}: {errno.errorcode.get(number, number)}")


def _parse(data: bytes) -> Iterator[Told]:
    for kind, body in messages(data):
        if kind != PACKET:
            continue
        parts = attributes(body[4:])
        packet = parts.get(PAYLOAD, b"")
        if len(packet) < 20 or packet[0] >> 4 != 4:
            continue
        header = (packet[0] & 15) * 4
        number = packet[9]
        ports = struct.unpack_from(">HH", packet, header) if number in (6, 17) and len(packet) >= header + 4 else (0, 0)
        end = End(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), *ports)
        prefix = parts.get(PREFIX, b"").rstrip(b"\0").decode(errors="replace")
        yield Told(prefix, PROTOCOLS.get(number, str(number)), end, struct.unpack_from(">H", packet, 2)[0])
