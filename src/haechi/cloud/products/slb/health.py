"""DescribeHealthStatus: what the health checks of the data plane say now."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import not_found
from haechi.cloud.params import Id
from haechi.cloud.products.slb.desired import render_backends
from haechi.cloud.products.slb.kinds import Port, Protocol
from haechi.cloud.products.slb.lookup import get_balancer, listeners_of
from haechi.cloud.products.slb.product import slb


@slb.action("DescribeHealthStatus", Effect.READ)
def describe_health_status(call: Call, LoadBalancerId: Id, ListenerPort: Port = 0, ListenerProtocol: Protocol = "") -> Answer:
    """normal, abnormal or unavailable (not checked) for each server of each listener. Raises CheckedListenerNotFound."""
    balancer = get_balancer(call, LoadBalancerId)
    listeners = [
        r
        for r in listeners_of(call.view, balancer.id)
        if (not ListenerPort or r["ListenerPort"] == ListenerPort) and (not ListenerProtocol or r["ListenerProtocol"] == ListenerProtocol)
    ]
    if ListenerPort and not listeners:
        raise not_found("CheckedListenerNotFound", "No health-checked Listener to the specified port of the Load Balancer.")
    health = call.runtime.dataplane.balancer_health(balancer.id)
    servers = [
        {
            "ListenerPort": r["ListenerPort"],
            "Protocol": r["ListenerProtocol"],
            "ServerId": backend.id,
            "ServerIp": backend.address,
            "Port": backend.port,
            "ServerHealthStatus": health.get((r["ListenerProtocol"], r["ListenerPort"], backend.id, backend.port), "unavailable"),
        }
        for r in listeners
        if r.get("ListenerForward") != "on"
        for backend in render_backends(call.view, balancer, r)
    ]
    return {"BackendServers": {"BackendServer": servers}}
