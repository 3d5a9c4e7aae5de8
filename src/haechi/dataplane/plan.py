"""Desired state of hosts and packets, as plain values.

The cloud renders its whole store into one `Plan`; `reconcile.Dataplane` makes the kernel match it. Every class is frozen and
compares by value, so what changed between two plans is what differs. Addresses are dotted strings, networks CIDR strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rule:
    """One packet rule of a group. Exactly one of `peer` (CIDR) and `group` (id of another Group) is set."""

    direction: str  # "in" or "out"
    protocol: str  # tcp udp icmp gre all
    ports: tuple[int, int] | None = None  # destination ports, both ends included; None: every port
    peer: str = ""
    group: str = ""
    accept: bool = True
    priority: int = 1  # 1 (first) to 100; at the same priority a drop comes before an accept
    source_ports: tuple[int, int] | None = None
    target: str = ""  # for "in" the destination CIDR, for "out" the source CIDR; "": the port's own addresses


@dataclass(frozen=True, slots=True)
class Group:
    """A stateful packet filter that ports are members of. What no rule decides: in is dropped, out accepted (`open_out`)."""

    id: str
    rules: tuple[Rule, ...] = ()
    inner: bool = True  # members reach each other without a rule
    open_out: bool = True


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    cidr: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Network:
    """One isolated virtual network: router, gateway, filter and service addresses in a namespace of its own."""

    id: str
    cidrs: tuple[str, ...]
    subnets: tuple[Subnet, ...] = ()
    nat: str = ""  # public address that hosts without one of their own leave by, to package mirrors only
    services: tuple[str, ...] = ()  # link-local addresses where this machine answers (metadata, resolver)


@dataclass(frozen=True, slots=True)
class Port:
    """A host's network interface."""

    id: str
    network: str
    subnet: str
    address: str
    mac: str
    groups: tuple[str, ...] = ()
    secondary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Public:
    """A public address, translated one to one to `private` in `network`. `mbps` 0: not limited; `mbps_in` 0: inward as outward."""

    address: str
    network: str
    private: str
    mbps: int = 0
    mbps_in: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. `running` is what it should be; `image` names its lowest read-only state in the image store."""

    id: str
    hostname: str
    image: str
    port: Port
    cpus: int = 1
    memory_mib: int = 512
    password_hash: str = field(default="", repr=False)  # crypt(3) of root's password; "": no password login
    public_keys: tuple[str, ...] = ()  # OpenSSH lines for root
    nameservers: tuple[str, ...] = ()
    running: bool = True
    user: str = "root"
    disk: str = ""  # which disk it runs on: another name than before means an empty one, made from `image`


@dataclass(frozen=True, slots=True)
class Health:
    """A health check. Times in seconds."""

    kind: str  # tcp http udp
    port: int = 0  # 0: the backend's own
    path: str = "/"
    host: str = ""
    method: str = "HEAD"
    codes: tuple[str, ...] = ("http_2xx",)  # http_2xx http_3xx http_4xx http_5xx
    interval: int = 2
    timeout: int = 5
    rise: int = 3
    fall: int = 3


@dataclass(frozen=True, slots=True)
class Backend:
    """One server behind a listener. Weight 0 gets nothing new."""

    id: str
    address: str
    port: int
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Listener:
    """One port of a balancer. A stopped listener is not in the plan."""

    protocol: str  # tcp udp http https
    port: int
    backends: tuple[Backend, ...] = ()
    scheduler: str = "wrr"  # wrr rr wlc sch (source address) tch (source address and port)
    health: Health | None = None
    sticky: str = ""  # http(s): "insert" (our cookie) or "server" (rewrite of `cookie`)
    cookie: str = ""  # name of the rewritten cookie
    cookie_seconds: int = 0
    persistence_seconds: int = 0  # tcp, udp: a client stays with its backend this long
    allow: tuple[str, ...] | None = None  # only these CIDRs may connect; None: everyone
    deny: tuple[str, ...] = ()
    idle_seconds: int = 15
    request_seconds: int = 60
    established_seconds: int = 900
    headers: tuple[str, ...] = ("X-Forwarded-For",)  # added to each request; see haproxy._headers
    certificate: str = field(default="", repr=False)  # PEM: chain and private key
    client_ca: str = ""  # PEM: clients must show a certificate of this authority
    tls_policy: str = "tls_cipher_policy_1_0"
    http2: bool = True
    gzip: bool = True
    redirect_port: int = 0  # answer every request with a redirect to https on this port
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer. `internet` ones answer on a public address, the others on one inside `network`."""

    id: str
    address: str
    internet: bool
    network: str = ""  # where its backends are; "" until it has one
    source: str = ""  # address it speaks to backends from (100.64.0.0/10)
    listeners: tuple[Listener, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that should exist, by id."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    publics: Mapping[str, Public] = field(default_factory=dict)  # by address
    balancers: Mapping[str, Balancer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """One difference between plan and kernel, found by `inspect`. `what` is one sentence for people."""

    kind: str  # network port host public balancer image orphan sysctl
    id: str
    what: str
