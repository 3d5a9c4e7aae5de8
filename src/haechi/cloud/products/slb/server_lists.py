"""Lists of backend servers: what may be in them, and how they are shown.

A stored server is {ServerId, Type, Weight, ServerIp, Description} and, in a server group, Port.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError, invalid, not_found
from haechi.cloud.store import Resource, View

Server = dict[str, Any]


def key(server: Mapping[str, Any]) -> tuple[str, int]:
    """What makes a server unique in its list."""
    return server["ServerId"], server.get("Port", 0)


def complete(server: Mapping[str, Any]) -> Server:
    """A server as it is stored, from one as it was sent."""
    return {"Type": "ecs", "Weight": 100, "ServerIp": "", "Description": "", **server}


def first_of_each(servers: Iterable[Mapping[str, Any]]) -> list[Server]:
    """Without repetitions: the vendor adds the first of identical servers and ignores the others."""
    unique: dict[tuple[str, int], Server] = {}
    for server in servers:
        unique.setdefault(key(server), complete(server))
    return list(unique.values())


def check_servers(call: Call, balancer: Resource, servers: Sequence[Mapping[str, Any]]) -> None:
    """New servers must be running instances in the VPC that every server of the balancer is in.

    Raises InvalidServerId.NotFound, ObtainIpFail, InvalidBackendServers.Inconsistent or NetworkConflict.
    """
    network = balancer_network(call.view, balancer)
    for server in servers:
        if server.get("Type", "ecs") != "ecs":
            raise invalid("BackendServers.Type", "This cloud serves backend servers of type ecs only.")
        instance = call.get("instance", server["ServerId"])
        if instance is None:
            raise not_found("InvalidServerId.NotFound", "The specified ServerId does not exist.")
        if instance["Status"] != "Running":
            raise ApiError("ObtainIpFail", "The address of a backend server cannot be obtained: it must be in the Running state.")
        if server.get("ServerIp") and server["ServerIp"] not in (instance["PrivateIpAddress"], *instance.get("SecondaryPrivateIps", ())):
            raise invalid("BackendServers.ServerIp", "It is not an address of the instance.")
        if network and instance["VpcId"] != network:
            if balancer["VpcId"]:
                raise ApiError("NetworkConflict", "The backend servers must be in the VPC of the load balancer.")
            text = "All BackendServers on one Specified LoadBalancer have to be in the same vpc or all classic."
            raise ApiError("InvalidBackendServers.Inconsistent", text)
        network = instance["VpcId"]


def balancer_network(view: View, balancer: Resource) -> str:
    """The VPC a balancer reaches: its own, else that of its servers; "" while it has none."""
    if balancer["VpcId"]:
        return str(balancer["VpcId"])
    lists = [balancer, *view.find("vserver_group", LoadBalancerId=balancer.id)]
    for server in (server for holder in lists for server in holder["Servers"]):
        instance = view.get("instance", server["ServerId"])
        if instance is not None:
            return str(instance["VpcId"])
    return ""


def server_address(view: View, server: Mapping[str, Any]) -> str:
    """Where a server is reached; "" when its instance is gone."""
    instance = view.get("instance", server["ServerId"])
    return "" if instance is None else server["ServerIp"] or instance["PrivateIpAddress"]


def render_server(server: Mapping[str, Any]) -> Server:
    """A server as the wire shows it. ServerIp stays empty unless it was asked for: Terraform would see a change."""
    return dict(server)


def render_servers(servers: Sequence[Mapping[str, Any]], quoted: bool = False) -> dict[str, list[Server]]:
    """BackendServers.BackendServer[]; the actions of the default list write Weight as text (`quoted`)."""
    return {"BackendServer": [{**render_server(s), **({"Weight": str(s["Weight"])} if quoted else {})} for s in servers]}


def matches(listed: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Whether a stored server is the one a client means; a client may leave the port out."""
    return listed["ServerId"] == sent["ServerId"] and ("Port" not in sent or listed.get("Port") == sent["Port"])
