"""What parameters of this product can be, and texts that stand for addresses and ports."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated

from haechi.cloud.errors import invalid
from haechi.cloud.params import Choice, Items, Number, Text

Direction = Annotated[str, Choice(("in", "out"))]
MaybeDirection = Annotated[str, Choice(("in", "out", ""))]
AclAction = Annotated[str, Choice(("accept", "drop", "log"))]
Proto = Annotated[str, Choice(("ANY", "TCP", "UDP", "ICMP"))]
SourceType = Annotated[str, Choice(("net", "group", "location"))]
DestinationType = Annotated[str, Choice(("net", "group", "domain", "location"))]
PortType = Annotated[str, Choice(("port", "group"))]
Release = Annotated[str, Choice(("true", "false"))]
Order = Annotated[int, Number(-1, 100000)]
Paged = Annotated[int, Number(1, 100000)]
Rows = Annotated[int, Number(1, 100)]
Seconds = Annotated[int, Number(0, 2**31 - 1)]
Addresses = Annotated[tuple[str, ...], Items(Text(64), 100)]
Words = Annotated[tuple[str, ...], Items(Text(64), 100)]
Note = Annotated[str, Text(256)]
DOMAIN = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


def network(name: str, text: str) -> str:
    """One address or CIDR, as the CIDR it is. Raises InvalidParameter."""
    try:
        return str(IPv4Network(text.strip(), strict=False))
    except ValueError:
        raise invalid(name, "One is not an IPv4 CIDR block.") from None


def domain(name: str, text: str) -> str:
    """A domain name, or "*." and one. Raises InvalidParameter."""
    lower = text.strip().lower()
    if len(lower) > 253 or not DOMAIN.fullmatch(lower):
        raise invalid(name, "One is not a domain name.")
    return lower


def ports(name: str, text: str) -> tuple[int, int]:
    """`80/80`, `80/90` or `80`; 0/0 is every port. Raises InvalidParameter."""
    match = re.fullmatch(r"([0-9]{1,5})(?:/([0-9]{1,5}))?", text.strip())
    if match:
        low = int(match[1])
        high = int(match[2]) if match[2] else low
        if (low, high) == (0, 0):
            return 0, 65535
        if 0 <= low <= high <= 65535:
            return low, high
    raise invalid(name, "One is not a range of ports such as 22/22.")
