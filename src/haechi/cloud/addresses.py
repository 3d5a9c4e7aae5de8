"""Leases of addresses: public ones from the site's pool, private ones from a vSwitch.

A lease is a resource of kind "address" in the same transaction as its owner, so an address is never given twice.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from haechi.cloud.errors import ApiError
from haechi.cloud.store import Resource, Transaction, View

SOURCES = IPv4Network("100.117.0.0/16")  # what balancers speak to their backends from, as in the public cloud


def lease_public(tx: Transaction, pool: IPv4Network, owner: str) -> str:
    """A free public address. Raises ApiError when the pool is used up."""
    for number in range(16, pool.num_addresses - 1):  # the first ones are the machine's own
        address = str(pool[number])
        if tx.get("address", address) is None:
            tx.put("address", address, "", {"Owner": owner})
            return address
    raise ApiError("QuotaExceeded.PublicIpAddress", "No public address is left in the pool of this machine.")


def lease_source(tx: Transaction, owner: str) -> str:
    """A free address of the balancers' range."""
    for number in range(1, SOURCES.num_addresses - 1):
        address = str(SOURCES[number])
        if tx.get("address", address) is None:
            tx.put("address", address, "", {"Owner": owner})
            return address
    raise ApiError("QuotaExceeded.LoadBalancer", "No source address is left for a load balancer.")


def reserved(network: IPv4Network) -> set[IPv4Address]:
    """The first address and the last three of a vSwitch belong to the system; the gateway is the third last (.253 of a /24)."""
    return {network[0], network[-1], network[-2], network[-3]}


def gateway(cidr: str) -> str:
    """The gateway of a vSwitch: .253 in a /24."""
    return str(IPv4Network(cidr)[-3])


def lease_private(tx: Transaction, vswitch: Resource, owner: str, wanted: str = "") -> str:
    """A free address of a vSwitch, or the wanted one.

    Raises InvalidPrivateIpAddress.Malformed, InvalidPrivateIpAddress.Duplicated or InvalidVSwitchId.IpNotEnough.
    """
    network = IPv4Network(vswitch["CidrBlock"])
    taken = reserved(network)
    if wanted:
        address = IPv4Address(wanted)
        if address not in network or address in taken:
            raise ApiError("InvalidPrivateIpAddress.Malformed", "Specified private IP address is not in the CIDR block of the vSwitch.")
        if tx.get("address", f"{vswitch.id}/{address}") is not None:
            raise ApiError("InvalidPrivateIpAddress.Duplicated", "Specified private IP address is already in use.")
        candidates = [address]
    else:
        free = (a for a in network if a not in taken and tx.get("address", f"{vswitch.id}/{a}") is None)
        candidates = [a for a in [next(free, None)] if a is not None]
    if not candidates:
        raise ApiError("InvalidVSwitchId.IpNotEnough", "The specified vSwitch does not have enough IP addresses.")
    tx.put("address", f"{vswitch.id}/{candidates[0]}", vswitch.region, {"Owner": owner})
    return str(candidates[0])


def release(tx: Transaction, address: str, vswitch: str = "") -> None:
    """Give an address back; nothing happens when it was not leased."""
    lease = tx.get("address", f"{vswitch}/{address}" if vswitch else address)
    if lease is not None:
        tx.delete(lease)


def free_count(view: View, vswitch: Resource) -> int:
    """How many addresses of a vSwitch are free."""
    network = IPv4Network(vswitch["CidrBlock"])
    prefix = f"{vswitch.id}/"
    used = sum(1 for lease in view.find("address", vswitch.region) if lease.id.startswith(prefix))
    return network.num_addresses - len(reserved(network)) - used
