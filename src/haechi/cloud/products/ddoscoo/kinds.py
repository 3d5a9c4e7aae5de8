"""What parameters of this product can be."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.params import Choice, Items, Number, Struct, Text

DomainName = Annotated[str, Text(253, 3, r"(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}")]
InstanceIds = Annotated[tuple[str, ...], Items(Text(128), 100)]
RealServers = Annotated[tuple[str, ...], Items(Text(253, 1), 20)]
RsType = Annotated[int, Number(0, 1)]
Protocol = Annotated[str, Choice(("tcp", "udp"))]
Port = Annotated[int, Number(1, 65535)]
Json = Annotated[str, Text(65536)]
Pem = Annotated[str, Text(65536, secret=True)]
Headers = Annotated[str, Text(4096, 2, secret=True)]  # often tokens that origins ask for
Cidrs = Annotated[tuple[str, ...], Items(Text(64), 200)]
Seconds = Annotated[int, Number(0, 2**31 - 1)]
ProxyTypes = Annotated[
    tuple[dict[str, Any], ...],
    Items(
        Struct(
            {"ProxyType": Choice(("http", "https", "websocket", "websockets")), "ProxyPorts": Items(Number(1, 65535), 50)},
            ("ProxyType", "ProxyPorts"),
        ),
        4,
    ),
]
