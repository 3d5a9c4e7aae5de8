"""Desired state of web application firewalls, as plain values. Part of `plan.Plan`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a request; `values` are alternatives. Keys and operators are those of `waf_rules`."""

    key: str  # url path query method ip host agent referer cookie header argument body type length forwarded
    how: str  # eq contain prefix suffix regex exists in longer shorter above below
    values: tuple[str, ...] = ()
    name: str = ""  # of the header, cookie or argument
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """Above `threshold` requests in `interval` seconds of one client the action holds for `hold` seconds."""

    interval: int
    threshold: int
    hold: int
    target: str = "ip"  # ip header cookie argument
    name: str = ""


@dataclass(frozen=True, slots=True)
class WafRule:
    """One rule of ours in front of the core rules. Conditions must all hold."""

    id: int
    scene: str  # white black custom cc
    action: str = "block"  # block watch js captcha (asked until it is done)
    conditions: tuple[Condition, ...] = ()
    limit: Limit | None = None
    skips: tuple[str, ...] = ()  # white: all core black custom cc type:<tag> rule:<id>


@dataclass(frozen=True, slots=True)
class WafBackend:
    """An origin server: an address, or one name that is looked up again and again."""

    host: str
    port: int = 0  # 0: the one that the client came to


@dataclass(frozen=True, slots=True)
class Guarded:
    """A domain behind the firewall. `listeners` are (http or https, port)."""

    domain: str
    listeners: tuple[tuple[str, int], ...]
    backends: tuple[WafBackend, ...]
    ports: tuple[tuple[int, int], ...] = ()  # (listening port, origin's port) where they differ
    balance: str = "iphash"  # iphash roundRobin leastTime
    client: str = ""  # header that tells the client's address; "": the peer is the client
    mode: str = "block"  # off watch block, of the core rules
    group: str = "medium"  # loose medium strict
    rules: tuple[WafRule, ...] = ()
    certificate: str = field(default="", repr=False)  # PEM: chain and private key
    http2: bool = False
    to_https: bool = False
    plain_origin: bool = False  # https is spoken to origins in http
    retry: bool = True
    keepalive: bool = True
    connect: int = 5  # seconds
    read: int = 120
    write: int = 120
    headers: tuple[tuple[str, str], ...] = ()  # added to each request to the origin


@dataclass(frozen=True, slots=True)
class Waf:
    """A web application firewall with a public address of its own."""

    id: str
    address: str
    domains: tuple[Guarded, ...] = ()
    nameserver: str = ""
    paused: bool = False  # every domain is let through as it is
