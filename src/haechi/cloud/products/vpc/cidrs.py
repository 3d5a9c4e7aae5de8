"""Which IPv4 networks a VPC and its vSwitches may have. Source: the vendor's "Plan networks" and CreateVpc, CreateVSwitch pages."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from haechi.cloud.errors import ApiError
from haechi.cloud.store import Resource, View

RESERVED = tuple(
    IPv4Network(n) for n in ("0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "198.18.0.0/15", "224.0.0.0/3")
)  # the vendor's four, "this network", class E, and the benchmark space that this cloud's public addresses come from


def check_vpc_cidr(cidr: str, name: str = "CidrBlock") -> None:
    """A VPC's network: mask /8 to /28, outside of what the system uses. Raises InvalidCidrBlock.Malformed."""
    network = IPv4Network(cidr)
    if not 8 <= network.prefixlen <= 28:
        raise ApiError("InvalidCidrBlock.Malformed", f'Specified CIDR block "{name}" must have a mask of 8 to 28 bits.')
    if any(network.overlaps(r) for r in RESERVED):
        raise ApiError("InvalidCidrBlock.Malformed", f'Specified CIDR block "{name}" overlaps with one that the system reserves.')


def overlapping(cidr: str, others: Iterable[str]) -> bool:
    """Whether a network shares an address with one of the others."""
    network = IPv4Network(cidr)
    return any(network.overlaps(IPv4Network(o)) for o in others)


def inside(cidr: str, outer: Iterable[str]) -> bool:
    """Whether a network lies in one of the others."""
    network = IPv4Network(cidr)
    return any(network.subnet_of(IPv4Network(o)) for o in outer)


def vpc_cidrs(vpc: Resource) -> list[str]:
    """Primary and secondary networks of a VPC."""
    return [vpc["CidrBlock"], *vpc["SecondaryCidrBlocks"]]


def check_vswitch_cidr(view: View, vpc: Resource, cidr: str) -> None:
    """A vSwitch's network: mask /16 to /29, inside its VPC, clear of the VPC's other vSwitches.

    Raises InvalidCidrBlock.Malformed, InvalidParameter or InvalidCidrBlock.Overlapped.
    """
    if not 16 <= IPv4Network(cidr).prefixlen <= 29:
        raise ApiError("InvalidCidrBlock.Malformed", "Specified CIDR block must have a mask of 16 to 29 bits.")
    if not inside(cidr, vpc_cidrs(vpc)):
        raise ApiError("InvalidParameter", "Specified CIDR block is not valid in VPC.")
    if overlapping(cidr, (v["CidrBlock"] for v in view.find("vswitch", VpcId=vpc.id))):
        raise ApiError("InvalidCidrBlock.Overlapped", "Specified CIDR block overlapped with other subnets.")


def free_subnet(view: View, vpc: Resource, prefix: int) -> str:
    """The first network of a mask in a VPC that no vSwitch uses. Raises InvalidCidrBlock.Overlapped when there is none."""
    used = [IPv4Network(v["CidrBlock"]) for v in view.find("vswitch", VpcId=vpc.id)]
    for candidate in IPv4Network(vpc["CidrBlock"]).subnets(new_prefix=prefix):
        if not any(candidate.overlaps(u) for u in used):
            return str(candidate)
    raise ApiError("InvalidCidrBlock.Overlapped", "Every subnet of the default VPC is in use.")
