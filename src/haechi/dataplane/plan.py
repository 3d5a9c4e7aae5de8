"""Desired state of hosts and packets, as plain values.

The cloud renders its whole store into one `Plan`; `reconcile.Dataplane` makes the kernel match it. Every class is frozen and
compares by value, so what changed between two plans is what differs. Addresses are dotted strings, networks CIDR strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from haechi.dataplane.waf_plan import Waf


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


@dataclass(frozen=True, slots=True)
class Origin:
    """A server behind a scrubber: an address, or a name that is looked up again and again. Times in seconds."""

    host: str
    port: int = 0  # 0: the one that the client came to
    weight: int = 100
    backup: bool = False
    connect: int = 5
    read: int = 120
    fails: int = 3  # failed connections in a row after which it rests for `rest`
    rest: int = 10


@dataclass(frozen=True, slots=True)
class Match:
    """One condition on a request; `values` are alternatives. `negate` turns it round."""

    field: str  # path query method ip host agent referer cookie header
    how: str  # equal contain prefix suffix net
    values: tuple[str, ...]
    header: str = ""  # its name, for field "header"
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Frequency:
    """Requests that meet every condition, counted per source: above `threshold` in `interval` seconds the action holds for `hold` seconds.

    Threshold 0: the action is for every such request.
    """

    name: str
    action: str  # block challenge watch
    conditions: tuple[Match, ...] = ()
    interval: int = 60
    threshold: int = 0
    hold: int = 60


@dataclass(frozen=True, slots=True)
class Front:
    """A domain that a scrubber serves. `listeners` are (http or https, port)."""

    domain: str  # "*." in front: every name below
    listeners: tuple[tuple[str, int], ...]
    origins: tuple[Origin, ...]
    scheduler: str = "source"  # source rr least
    black: tuple[str, ...] = ()
    white: tuple[str, ...] = ()
    per_source: int = 0  # requests of one source in ten seconds; 0: not limited
    challenge: str = "attack"  # off; attack: while there is one; always
    attack_rate: int = 100  # requests per second of the domain that are an attack
    frequencies: tuple[Frequency, ...] = ()
    certificate: str = field(default="", repr=False)  # PEM: chain and private key
    to_https: bool = False  # http is answered with a redirect
    plain_origin: bool = False  # https is spoken to origins in http
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # told to origins besides


@dataclass(frozen=True, slots=True)
class Relay:
    """A port that a scrubber hands on as it is. Limits are per source; 0: none."""

    protocol: str  # tcp udp
    port: int
    origins: tuple[Origin, ...]
    per_second: int = 0  # new connections, or datagrams
    concurrent: int = 0  # tcp
    least: int = 0  # bytes of a datagram
    most: int = 0


@dataclass(frozen=True, slots=True)
class Scrubber:
    """A public address that takes floods so that origins need not."""

    id: str
    address: str
    fronts: tuple[Front, ...] = ()
    relays: tuple[Relay, ...] = ()
    black: tuple[str, ...] = ()
    white: tuple[str, ...] = ()
    syn_per_source: int = 300  # new connections per second
    concurrent: int = 200  # connections of one source
    hole: bool = False  # everything is dropped
    nameserver: str = ""  # where names of origins are looked up
    secret: str = field(default="", repr=False)  # base64, of challenges


@dataclass(frozen=True, slots=True)
class Policy:
    """One access-control policy of the Internet firewall. Empty tuples mean any."""

    id: str  # letters, digits and dashes
    direction: str  # in: towards protected addresses; out: from them
    action: str  # accept drop log (let through, and written down)
    protocol: str = "any"  # any tcp udp icmp
    sources: tuple[str, ...] = ()  # CIDRs
    destinations: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()  # outbound, in place of destinations; "*." in front: every name below
    ports: tuple[tuple[int, int], ...] = ()  # destination ports, both ends included
    applications: tuple[str, ...] = ()  # names of `applications.NUMBERS`


@dataclass(frozen=True, slots=True)
class Wall:
    """The Internet firewall: which public addresses it guards, and its policies in order. What no policy decides gets through."""

    protected: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    strict: bool = False  # an application that is not known (yet) matches no policy; otherwise it matches and gets through


@dataclass(frozen=True, slots=True)
class Peering:
    """A connection between two networks, and the firewall in it. What no policy decides gets through."""

    id: str
    networks: tuple[str, str]
    routes: tuple[tuple[str, str], ...] = ()  # (network, CIDR): what that network sends here
    guarded: bool = False
    policies: tuple[Policy, ...] = ()  # of direction "in", in order
    strict: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything that should exist, by id."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    publics: Mapping[str, Public] = field(default_factory=dict)  # by address
    balancers: Mapping[str, Balancer] = field(default_factory=dict)
    scrubbers: Mapping[str, Scrubber] = field(default_factory=dict)
    wall: Wall = field(default_factory=Wall)
    wafs: Mapping[str, Waf] = field(default_factory=dict)
    peerings: Mapping[str, Peering] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """One difference between plan and kernel, found by `inspect`. `what` is one sentence for people."""

    kind: str  # network port host public balancer scrubber wall waf peering image orphan sysctl
    id: str
    what: str
