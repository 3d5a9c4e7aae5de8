"""Making an instance: its interface, its disks, its addresses, its names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s
from ipaddress import IPv4Address
from typing import Any

from haechi.cloud import addresses
from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError, invalid, missing
from haechi.cloud.products.ecs.disk_making import add_disk, check_system_size
from haechi.cloud.products.ecs.instances import check_groups, get_vswitch
from haechi.cloud.products.ecs.kinds import HOST_NAME
from haechi.cloud.store import Resource

DATA_DISKS = 16


@dataclass(frozen=True)
class Place:
    """Where an instance is connected."""

    vswitch: Resource
    groups: list[str]
    address: str = ""
    secondary: int = 0
    interface: Mapping[str, Any] = field(default_factory=dict)  # what was said of the primary interface


def find_place(call: Call, vswitch: str, zone: str, groups: Sequence[str], address: str, interfaces: Sequence[Mapping[str, Any]]) -> Place:
    """Where to connect: by VSwitchId, by the primary NetworkInterface, or the default vSwitch of the zone."""
    primary: Mapping[str, Any] = {}
    if interfaces:
        primary = interfaces[0]
        if len(interfaces) > 1 or primary.get("InstanceType") == "Secondary":
            raise ApiError("InvalidParameter.NetworkInterface", "Instances have exactly one network interface here.")
        if primary.get("NetworkInterfaceId") or primary.get("Ipv6AddressCount") or primary.get("Ipv6Address"):
            raise ApiError("InvalidParameter.NetworkInterface", "An existing interface or an IPv6 address cannot be used here.")
        if vswitch or address or groups:
            raise ApiError("InvalidParameter.Conflict", "VSwitchId, PrivateIpAddress and SecurityGroupId conflict with NetworkInterface.1.")
        vswitch, address = primary.get("VSwitchId", ""), primary.get("PrimaryIpAddress", "")
        groups = primary.get("SecurityGroupIds", ()) or tuple(g for g in [primary.get("SecurityGroupId", "")] if g)
    default = next((v for v in call.find("vswitch", IsDefault=True) if zone in ("", v["ZoneId"])), None)
    found = get_vswitch(call, vswitch) if vswitch else default
    if found is None:
        raise missing("VSwitchId")
    if zone and found["ZoneId"] != zone:
        raise ApiError("InvalidParameter.Mismatch", "Specified virtual switch is not in the specified zone.")
    if address:
        try:
            IPv4Address(address)
        except ValueError:
            raise invalid("PrivateIpAddress", "", "InvalidPrivateIpAddress.Malformed") from None
    checked = check_groups(call, groups, found["VpcId"])
    return Place(found, checked, address, int(primary.get("SecondaryPrivateIpAddressCount", 0)), primary)


def sequence(name: str, count: int, unique: bool) -> list[str]:
    """One name per instance: `web[7,3]b` counts 007, 008, ...; `unique` appends 001, 002, ..."""
    match = re.fullmatch(r"(.*)\[([0-9]{0,6}),([0-9]?)\](.*)", name)
    if match is None:
        return [f"{name}{n + 1:03}" if unique and name else name for n in range(count)]
    prefix, begin, bits, suffix = match[1], int(match[2] or 0), int(match[3] or 6), match[4]
    if bits > 6:
        raise invalid("InstanceName", "The number of digits is at most 6.", "InvalidInstanceName.Malformed")
    tail = unique and bool(suffix)
    return [f"{prefix}{begin + n:0{bits}}{suffix}{f'{n + 1:03}' if tail else ''}" for n in range(count)]


def host_name(id: str, wanted: str) -> str:
    """The host name: as asked, or iZ...Z made from the instance's id."""
    if not wanted:
        return f"iZ{id.split('-', 1)[1]}Z"
    name = wanted.replace("${instance_id}", id)
    if not re.fullmatch(HOST_NAME, name):
        raise invalid("HostName", "", "InvalidHostName.Malformed")
    return name


def make_mac(call: Call, interface: str) -> str:
    """A MAC address that no other instance has, in the vendor's range."""
    taken = {i["MacAddress"] for i in call.view.find("instance")}
    for turn in range(1 << 24):
        digest = blake2s(f"{interface} {turn}".encode(), digest_size=3).digest()
        mac = "00:16:3e:" + ":".join(f"{b:02x}" for b in digest)
        if mac not in taken:
            return mac
    raise ApiError("QuotaExceed.MacAddress", "No MAC address is left.")


def make_instance(
    call: Call,
    place: Place,
    data: Mapping[str, Any],
    image: Resource,
    name: str,
    host: str,
    system: Mapping[str, Any],
    disks: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> Resource:
    """One instance with its interface and disks. `data` is what all instances of the request share."""
    vswitch = place.vswitch
    id, interface = call.store.new_id("i"), call.store.new_id("eni")
    address = addresses.lease_private(call.tx, vswitch, id, place.address)
    secondary = [addresses.lease_private(call.tx, vswitch, id) for _ in range(place.secondary)]
    if len(disks) > DATA_DISKS:
        raise ApiError("InstanceDiskNumLimitExceed", "The number of specified disk in an instance exceeds.", 403)
    instance = call.create(
        "instance",
        "i",
        {
            **data,
            "InstanceName": name or id,
            "HostName": host_name(id, host),
            "ImageId": image.id,
            "VpcId": vswitch["VpcId"],
            "VSwitchId": vswitch.id,
            "ZoneId": vswitch["ZoneId"],
            "PrivateIpAddress": address,
            "SecondaryPrivateIps": secondary,
            "MacAddress": make_mac(call, interface),
            "NetworkInterfaceId": interface,
            "SecurityGroupIds": place.groups,
            "SerialNumber": call.request_id.lower()[:-12] + blake2s(id.encode(), digest_size=6).hexdigest(),
            "Tags": dict(tags),
        },
        id=id,
    )
    given = place.interface
    call.create(
        "network_interface",
        "eni",
        {
            "InstanceId": id,
            "NetworkInterfaceName": given.get("NetworkInterfaceName", ""),
            "Description": given.get("Description", ""),
            "NetworkInterfaceTrafficMode": given.get("NetworkInterfaceTrafficMode", "Standard"),
            "SourceDestCheck": given.get("SourceDestCheck", False),
            "ResourceGroupId": data.get("ResourceGroupId", ""),
            "Tags": dict(tags),
        },
        id=interface,
    )
    check_system_size(system, image)
    add_disk(call, {**system, "Type": "system", "DeleteWithInstance": True, "ImageId": image.id}, instance, "/dev/xvda", tags)
    for disk in disks:
        add_disk(call, {"DeleteWithInstance": True, **disk, "Type": "data"}, instance, disk.get("Device", ""), tags)
    return instance
