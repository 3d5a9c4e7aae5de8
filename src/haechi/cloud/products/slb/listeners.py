"""Making, changing, starting, stopping and deleting listeners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import tag_dict
from haechi.cloud.params import Id
from haechi.cloud.products.slb.kinds import Port, Protocol
from haechi.cloud.products.slb.listener_rules import check
from haechi.cloud.products.slb.listener_settings import ALIASES, CLEARABLE, SETTINGS, takes, wire_kinds
from haechi.cloud.products.slb.lookup import get_balancer, get_listener, listeners_of, no_listener
from haechi.cloud.products.slb.product import slb
from haechi.cloud.store import Resource

L4_LIMIT = "Bandwidth, connection draining, SynProxy and the texts of a UDP check are only recorded"
L7_LIMIT = "Bandwidth, XForwardedFor_SLBPORT and XForwardedFor_ClientSrcPort are only recorded"
QUOTA = 50  # listeners of one balancer


def create(call: Call, protocol: str, balancer_id: str, port: int, sent: Mapping[str, Any]) -> Answer:
    """A stopped listener."""
    balancer = get_balancer(call, balancer_id)
    others = listeners_of(call.view, balancer.id)
    udp = protocol == "udp"
    if any(r["ListenerPort"] == port and (r["ListenerProtocol"] == "udp") == udp for r in others):
        raise ApiError("ListenerAlreadyExists", "There is already a listener bound to the port on the specified load balancer.")
    if len(others) >= QUOTA:
        raise ApiError("QuotaExceeded.Listener", f"A load balancer has at most {QUOTA} listeners.")
    settings = {name: setting.default for name, setting in SETTINGS[protocol].items() if setting.default is not None}
    settings.update(_by_own_name(protocol, sent))
    data = {
        "LoadBalancerId": balancer.id,
        "ListenerProtocol": protocol,
        "ListenerPort": port,
        "Status": "stopped",
        "Tags": tag_dict(sent.get("Tag", ())),
        **check(call, balancer, protocol, settings),
    }
    call.create("listener", "", data, f"{balancer.id}:{protocol}:{port}")
    return {}


def change(call: Call, protocol: str, balancer_id: str, port: int, sent: Mapping[str, Any]) -> Answer:
    """New values for what was sent; the rest stays."""
    listener = get_listener(call, balancer_id, protocol, port)
    kept = {name: listener[name] for name in SETTINGS[protocol] if name in listener.data}
    settings = {**kept, **_by_own_name(protocol, sent)}
    for name in CLEARABLE:
        if name in settings and call.sent.get(name) == "":
            settings[name] = ""
    if sent.get("VServerGroup") == "off":
        settings["VServerGroupId"] = ""
    elif sent.get("VServerGroup") == "on" and "VServerGroupId" not in sent:
        raise invalid("VServerGroup", "VServerGroupId must be given with it.")
    if sent.get("MasterSlaveServerGroup") == "on":
        raise _no_pairs()
    call.tx.change(listener, **check(call, get_balancer(call, balancer_id), protocol, settings))
    return {}


def _by_own_name(protocol: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    if "MasterSlaveServerGroupId" in sent:
        raise _no_pairs()
    aliases = ALIASES[protocol]
    named = {aliases.get(name, name): value for name, value in sent.items()}
    return {name: value for name, value in named.items() if name in SETTINGS[protocol]}


def _no_pairs() -> ApiError:
    return invalid("MasterSlaveServerGroupId", "This cloud serves no primary/secondary server groups.")


@slb.action("CreateLoadBalancerTCPListener", Effect.PACKETS, limit=L4_LIMIT)
@takes(wire_kinds("tcp", creating=True))
def create_load_balancer_tcp_listener(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return create(call, "tcp", LoadBalancerId, ListenerPort, settings)


@slb.action("CreateLoadBalancerUDPListener", Effect.PACKETS, limit=L4_LIMIT)
@takes(wire_kinds("udp", creating=True))
def create_load_balancer_udp_listener(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return create(call, "udp", LoadBalancerId, ListenerPort, settings)


@slb.action("CreateLoadBalancerHTTPListener", Effect.PACKETS, limit=L7_LIMIT)
@takes(wire_kinds("http", creating=True))
def create_load_balancer_http_listener(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return create(call, "http", LoadBalancerId, ListenerPort, settings)


@slb.action("CreateLoadBalancerHTTPSListener", Effect.PACKETS, limit=L7_LIMIT)
@takes(wire_kinds("https", creating=True))
def create_load_balancer_https_listener(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return create(call, "https", LoadBalancerId, ListenerPort, settings)


@slb.action("SetLoadBalancerTCPListenerAttribute", Effect.PACKETS, limit=L4_LIMIT)
@takes(wire_kinds("tcp", creating=False))
def set_load_balancer_tcp_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return change(call, "tcp", LoadBalancerId, ListenerPort, settings)


@slb.action("SetLoadBalancerUDPListenerAttribute", Effect.PACKETS, limit=L4_LIMIT)
@takes(wire_kinds("udp", creating=False))
def set_load_balancer_udp_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return change(call, "udp", LoadBalancerId, ListenerPort, settings)


@slb.action("SetLoadBalancerHTTPListenerAttribute", Effect.PACKETS, limit=L7_LIMIT)
@takes(wire_kinds("http", creating=False))
def set_load_balancer_http_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return change(call, "http", LoadBalancerId, ListenerPort, settings)


@slb.action("SetLoadBalancerHTTPSListenerAttribute", Effect.PACKETS, limit=L7_LIMIT)
@takes(wire_kinds("https", creating=False))
def set_load_balancer_https_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port, **settings: Any) -> Answer:
    return change(call, "https", LoadBalancerId, ListenerPort, settings)


def find_listener(call: Call, balancer_id: str, port: int, protocol: str) -> Resource:
    """A listener by its port; `protocol` may be left out while only one listener has it. Raises ListenerNotFound."""
    if protocol:
        return get_listener(call, balancer_id, protocol, port)
    found = [r for r in listeners_of(call.view, get_balancer(call, balancer_id).id) if r["ListenerPort"] == port]
    if not found:
        raise no_listener()
    if len(found) > 1:
        raise invalid("ListenerProtocol", "More than one listener has the port: the protocol must be given.")
    return found[0]


@slb.action("StartLoadBalancerListener", Effect.PACKETS)
def start_load_balancer_listener(call: Call, LoadBalancerId: Id, ListenerPort: Port, ListenerProtocol: Protocol = "") -> Answer:
    call.tx.change(find_listener(call, LoadBalancerId, ListenerPort, ListenerProtocol), Status="running")
    return {}


@slb.action("StopLoadBalancerListener", Effect.PACKETS)
def stop_load_balancer_listener(call: Call, LoadBalancerId: Id, ListenerPort: Port, ListenerProtocol: Protocol = "") -> Answer:
    call.tx.change(find_listener(call, LoadBalancerId, ListenerPort, ListenerProtocol), Status="stopped")
    return {}


@slb.action("DeleteLoadBalancerListener", Effect.PACKETS)
def delete_load_balancer_listener(call: Call, LoadBalancerId: Id, ListenerPort: Port, ListenerProtocol: Protocol = "") -> Answer:
    call.tx.delete(find_listener(call, LoadBalancerId, ListenerPort, ListenerProtocol))
    return {}
