"""A site of its own with plain namespaces for hosts, and the questions tests ask: does a packet get from here to there?"""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from haechi.dataplane import kernel
from haechi.dataplane.network import Networks
from haechi.dataplane.plan import Group, Host, Network, Plan, Port, Public, Subnet
from haechi.dataplane.site import Site

SERVICES = ("100.100.100.200", "100.100.2.136", "100.100.2.138")
WAIT = 0.4  # seconds a packet has to arrive


class Lab:
    """`down()` removes everything. Hosts are namespaces with nothing in them but what `Networks` puts there."""

    def __init__(self, folder: Path, index: int = 12) -> None:
        self.site = Site(index, folder / "home", folder / "run", folder / "cache")
        self.networks = Networks(self.site)
        self.spaces: set[str] = set()
        self.sockets: list[socket.socket] = []

    def boot(self, *hosts: str) -> None:
        """Make the namespaces of hosts, as the launcher would."""
        for host in hosts:
            # replies for closed UDP ports are how tests see that a packet came through: as many as they like
            kernel.netns_add(self.site.netns(host), [("net/ipv4/icmp_ratelimit", "0")])
            self.spaces.add(host)

    def halt(self, *hosts: str) -> None:
        for host in hosts:
            kernel.netns_delete(self.site.netns(host))
            self.spaces.discard(host)

    def down(self) -> None:
        for one in self.sockets:
            one.close()
        self.networks.destroy()
        self.halt(*self.spaces)

    def public(self, number: int) -> str:
        return str(self.site.public[number])

    def socket(self, host: str, kind: str = "tcp", address: str = "", port: int = 0) -> socket.socket:
        """A socket in a host's namespace ("": the machine's), closed at the end of the test."""

        def make() -> socket.socket:
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.settimeout(WAIT)
            if address or port:
                one.bind((address, port))
            return one

        made = kernel.inside(self.site.netns(host), make) if host else make()
        self.sockets.append(made)
        return made

    def listen(self, host: str, port: int, kind: str = "tcp") -> socket.socket:
        one = self.socket(host, kind, "0.0.0.0", port)
        if kind == "tcp":
            one.listen(16)
        return one

    def reaches(self, host: str, address: str, port: int, kind: str = "tcp", *, source: str = "", source_port: int = 0) -> bool:
        """Whether a first packet gets there and an answer comes back; a refusal by a closed port is an answer."""
        if kind == "icmp":
            return self.pings(host, address)
        one = self.socket(host, kind, source, source_port)
        try:
            one.connect((address, port))
            if kind == "udp":
                one.send(b"?")
                one.recv(16)
            return True
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                return True
            if isinstance(error, TimeoutError) or error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                return False
            raise
        finally:
            one.close()

    def pings(self, host: str, address: str) -> bool:
        def make() -> socket.socket:
            return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

        with kernel.inside(self.site.netns(host), make) if host else make() as one:
            number = int.from_bytes(os.urandom(2), "big")
            message = struct.pack("!BBHHH", 8, 0, 0, number, 1)
            total = sum(struct.unpack("!4H", message))
            total = (total & 0xFFFF) + (total >> 16)
            one.sendto(message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:], (address, 0))
            end = time.monotonic() + WAIT
            while (left := end - time.monotonic()) > 0:
                one.settimeout(left)
                try:
                    reply = one.recv(256)
                except TimeoutError:
                    return False
                if reply[20] == 0 and reply[24:26] == number.to_bytes(2, "big"):
                    return True
        return False

    def pair(self, client: str, address: str, server: str, port: int) -> tuple[socket.socket, socket.socket]:
        """Both ends of a live connection."""
        listener = self.listen(server, port)
        one = self.socket(client)
        one.connect((address, port))
        other, _ = listener.accept()
        other.settimeout(WAIT)
        self.sockets.append(other)
        listener.close()
        return one, other


def talks(one: socket.socket, other: socket.socket) -> bool:
    """Whether bytes still get through, both ways."""
    for sender, receiver in ((one, other), (other, one)):
        try:
            sender.send(b"x")
            if receiver.recv(1) != b"x":
                return False
        except OSError:
            return False
    return True


def host(id: str, address: str, groups: Iterable[str] = ("web",), network: str = "net1", **more: object) -> Host:
    """A host whose port is in the subnet of `network` that has its address (`10.0.1.x`: "<network>-1")."""
    number = int(address.split(".")[3])
    subnet = f"{network}-{address.split('.')[2]}"
    mac = f"00:16:3e:00:{len(network):02x}:{number:02x}"
    secondary = tuple(str(one) for one in more.pop("secondary", ()))  # type: ignore[attr-defined]
    return Host(id, id, "image", Port(f"port-{id}", network, subnet, address, mac, tuple(groups), secondary))


def network(id: str = "net1", nat: str = "", cidr: str = "10.0.0.0/16") -> Network:
    subnets = tuple(Subnet(f"{id}-{n}", f"10.0.{n}.0/24", f"10.0.{n}.253") for n in (1, 2))
    return Network(id, (cidr,), subnets, nat, SERVICES)


def plan(
    hosts: Iterable[Host] = (), groups: Iterable[Group] = (), publics: Iterable[Public] = (), networks: Iterable[Network] = ()
) -> Plan:
    return Plan(
        networks={one.id: one for one in (tuple(networks) or (network(),))},
        groups={one.id: one for one in groups},
        hosts={one.id: one for one in hosts},
        publics={one.address: one for one in publics},
    )


def kernel_state() -> str:
    """Everything a site could leave behind on the machine."""
    commands = ("ip netns", "ip -br link", "nft list tables", "ip route", "ip -br addr", "cat /proc/sys/net/ipv4/ip_forward")
    return "\n".join(subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout for command in commands)
