"""Bandwidth of public addresses: what goes out is shaped on `up0` inside the network, what comes in on the other end outside.

Shaped and not policed: nft's byte limits let a whole second through at once, measured, before they bite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address

from haechi.dataplane import kernel

Limits = Mapping[str, tuple[int, int]]  # Mbit/s outward and inward, by public address
BURST_SECONDS = 0.1
SCALE = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
QUEUE_LEAST = 131072  # bytes; a queue must hold a few of the kernel's 64 KiB segments


def render_rates(device: str, side: str, limits: Mapping[str, int]) -> str:
    """Lines for `tc -batch` that make `limits` (Mbit/s by address, one direction) all that shapes a device; `side` is "src" or "dst"."""
    lines = [f"qdisc replace dev {device} root pfifo"]  # whatever was there, if anything, can now be removed
    if not limits:
        return "\n".join([*lines, f"qdisc del dev {device} root", ""])
    lines += [f"qdisc replace dev {device} root handle 1: htb"]
    for address, mbps in sorted(limits.items()):
        burst = int(mbps * 125_000 * BURST_SECONDS)
        name = class_of(address)
        lines += [
            f"class add dev {device} parent 1: classid {name} htb rate {mbps}mbit burst {burst} quantum 60000",
            f"qdisc add dev {device} parent {name} bfifo limit {max(burst, QUEUE_LEAST)}",
            f"filter add dev {device} parent 1: protocol ip prio 1 u32 match ip {side} {address}/32 flowid {name}",
        ]
    return "\n".join([*lines, ""])


def class_of(address: str) -> str:
    """A traffic class's name for an address: its last 12 bits (a site's public addresses differ only in these)."""
    return f"1:{(int(IPv4Address(address)) & 0xFFF) + 1:x}"


def apply_rates(netns: str, outer: str, limits: Limits) -> None:
    """Limit public addresses on a network's uplink, and nothing else."""
    kernel.run("tc", "-n", netns, "-batch", "-", stdin=render_rates("up0", "src", {a: out for a, (out, _) in limits.items()}))
    kernel.run("tc", "-batch", "-", stdin=render_rates(outer, "dst", {a: inward for a, (_, inward) in limits.items()}))


def differ(netns: str, outer: str, limits: Limits) -> bool:
    """Whether an uplink limits something else."""
    wanted = [{class_of(address): pair[side] for address, pair in limits.items()} for side in (0, 1)]
    return [read_rates("up0", netns), read_rates(outer)] != wanted


def read_rates(device: str, netns: str = "") -> dict[str, int]:
    """Mbit/s by traffic class of a device; empty when nothing shapes it. (`tc` has no JSON for this.)"""
    text = kernel.run("tc", *(("-n", netns) if netns else ()), "class", "show", "dev", device)
    found = re.findall(r"^class htb (\S+) .*?rate (\d+)([KMGT]?)bit", text, re.M)
    return {name: int(number) * SCALE[unit] // 1_000_000 for name, number, unit in found}
