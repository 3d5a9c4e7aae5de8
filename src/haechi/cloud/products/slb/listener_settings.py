"""Every setting of a listener: how it is parsed, what it is when nobody says, and which protocols have it.

The table is the contract of the twelve Create, Set and Describe actions; `takes` declares their parameters from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from haechi.cloud.params import Boolean, Choice, Items, Kind, Number, Struct, Text
from haechi.cloud.products.slb.kinds import ON_OFF, Words

Function = TypeVar("Function", bound=Callable[..., Any])
PORT = Number(1, 65535)
L4, L7 = ("tcp", "udp"), ("http", "https")


@dataclass(frozen=True)
class Setting:
    kind: Kind
    default: str | int | bool | None = None  # None: not there until it is set


@dataclass(frozen=True)
class Mbps(Kind):
    """1 to 5120, or -1 for no limit."""

    def parse(self, name: str, raw: str) -> int:
        return -1 if raw == "-1" else int(Number(1, 5120).parse(name, raw))


OFF, ON = Setting(ON_OFF, "off"), Setting(ON_OFF, "on")
COMMON: dict[str, Setting] = {
    "BackendServerPort": Setting(PORT),
    "Bandwidth": Setting(Mbps(), -1),
    "Description": Setting(Text(256), ""),
    "VServerGroupId": Setting(Text(128), ""),
    "AclStatus": OFF,
    "AclType": Setting(Choice(("white", "black")), ""),
    "AclId": Setting(Text(512), ""),
}
HEALTH: dict[str, Setting] = {
    "HealthCheckConnectPort": Setting(PORT),
    "HealthyThreshold": Setting(Number(2, 10), 3),
    "UnhealthyThreshold": Setting(Number(2, 10), 3),
}
HTTP_HEALTH: dict[str, Setting] = {
    "HealthCheckDomain": Setting(Text(80, 1, r"\$_ip|[A-Za-z0-9.\-]+"), ""),
    "HealthCheckURI": Setting(Text(80, 1, r"/[A-Za-z0-9\-/.%?#&_=~]*"), "/"),
    "HealthCheckMethod": Setting(Choice(("head", "get")), "head"),
    "HealthCheckHttpCode": Setting(Words(("http_2xx", "http_3xx", "http_4xx", "http_5xx")), "http_2xx"),
}
TCP: dict[str, Setting] = {
    **COMMON,
    **HEALTH,
    **HTTP_HEALTH,
    "HealthCheck": ON,
    "HealthCheckType": Setting(Choice(("tcp", "http")), "tcp"),
    "HealthCheckConnectTimeout": Setting(Number(1, 300), 5),
    "HealthCheckInterval": Setting(Number(1, 50), 2),
    "Scheduler": Setting(Choice(("wrr", "wlc", "rr", "sch", "tch")), "wrr"),
    "PersistenceTimeout": Setting(Number(0, 3600), 0),
    "EstablishedTimeout": Setting(Number(10, 900), 900),
    "ProxyProtocolV2Enabled": Setting(Boolean(), False),
    "ConnectionDrain": OFF,
    "ConnectionDrainTimeout": Setting(Number(10, 900)),
    "SynProxy": Setting(Choice(("enable", "disable")), "enable"),
}
UDP: dict[str, Setting] = {
    **COMMON,
    **HEALTH,
    "HealthCheck": ON,
    "HealthCheckConnectTimeout": Setting(Number(1, 300), 10),
    "HealthCheckInterval": Setting(Number(1, 50), 5),
    "HealthCheckReq": Setting(Text(64, 1, r"[A-Za-z0-9]+"), ""),
    "HealthCheckExp": Setting(Text(64, 1, r"[A-Za-z0-9]+"), ""),
    "Scheduler": Setting(Choice(("wrr", "wlc", "rr", "sch", "tch")), "wrr"),
    "PersistenceTimeout": Setting(Number(0, 3600), 0),
    "ProxyProtocolV2Enabled": Setting(Boolean(), False),
}
HTTPX: dict[str, Setting] = {
    **COMMON,
    **HEALTH,
    **HTTP_HEALTH,
    "HealthCheck": Setting(ON_OFF),  # mandatory
    "HealthCheckTimeout": Setting(Number(1, 300), 5),
    "HealthCheckInterval": Setting(Number(1, 50), 2),
    "Scheduler": Setting(Choice(("wrr", "wlc", "rr")), "wrr"),
    "StickySession": OFF,
    "StickySessionType": Setting(Choice(("insert", "server")), ""),
    "CookieTimeout": Setting(Number(1, 86400), 0),
    "Cookie": Setting(Text(200, 1, r"[A-Za-z0-9_.\-]+"), ""),
    "IdleTimeout": Setting(Number(1, 60), 15),
    "RequestTimeout": Setting(Number(1, 180), 60),
    "Gzip": ON,
    "XForwardedFor": ON,
    "XForwardedFor_SLBIP": OFF,
    "XForwardedFor_SLBID": OFF,
    "XForwardedFor_proto": OFF,
    "XForwardedFor_SLBPORT": OFF,
    "XForwardedFor_ClientSrcPort": OFF,
}
HTTP: dict[str, Setting] = {**HTTPX, "ListenerForward": OFF, "ForwardPort": Setting(PORT)}
TLS_POLICIES = ("1_0", "1_1", "1_2", "1_2_strict", "1_2_strict_with_1_3")
HTTPS: dict[str, Setting] = {
    **HTTPX,
    "ServerCertificateId": Setting(Text(128), ""),
    "CACertificateId": Setting(Text(128), ""),
    "EnableHttp2": ON,
    "TLSCipherPolicy": Setting(Choice(tuple(f"tls_cipher_policy_{p}" for p in TLS_POLICIES)), "tls_cipher_policy_1_0"),
}
SETTINGS: Mapping[str, Mapping[str, Setting]] = {"tcp": TCP, "udp": UDP, "http": HTTP, "https": HTTPS}

# What the wire calls a setting where that is not its own name. Layer 4 listeners switch their check by HealthCheckSwitch; Terraform
# sends them HealthCheck, too, for which the vendor has no use.
ALIASES: Mapping[str, Mapping[str, str]] = {
    "tcp": {"HealthCheckSwitch": "HealthCheck", "healthCheckInterval": "HealthCheckInterval"},
    "udp": {
        "HealthCheckSwitch": "HealthCheck",
        "healthCheckInterval": "HealthCheckInterval",
        "healthCheckReq": "HealthCheckReq",
        "healthCheckExp": "HealthCheckExp",
    },
    "http": {},
    "https": {},
}
FIXED = ("ListenerForward", "ForwardPort")  # since creation
CLEARABLE = ("Description", "HealthCheckDomain")  # an empty text resets these


def wire_kinds(protocol: str, creating: bool) -> dict[str, Kind]:
    """The parameters of Create or Set besides LoadBalancerId and ListenerPort."""
    kinds = {n: s.kind for n, s in SETTINGS[protocol].items() if creating or n not in FIXED}
    for alias, name in ALIASES[protocol].items():
        kinds[alias] = kinds[name]
    if protocol in L4:
        del kinds["HealthCheck"]
        kinds["MasterSlaveServerGroupId"] = Text(128)
    if creating:
        kinds["Tag"] = Items(Struct({"Key": Text(128), "Value": Text(128)}), 20)
    else:
        kinds["VServerGroup"] = ON_OFF
        kinds["MasterSlaveServerGroup"] = ON_OFF
    return kinds


def takes(kinds: Mapping[str, Kind]) -> Callable[[Function], Function]:
    """Give a function that ends in `**settings` an optional parameter for each kind; only what was sent reaches it."""

    def declare(function: Function) -> Function:
        own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
        sent = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in kinds]
        function.__dict__["__signature__"] = inspect.Signature([*own, *sent])
        function.__annotations__.update({name: Annotated[object, kind] for name, kind in kinds.items()})
        return function

    return declare
