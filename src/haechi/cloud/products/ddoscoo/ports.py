"""Port forwarding, and its limits per source."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.jsontext import parse_object, parse_objects, whole
from haechi.cloud.paging import page
from haechi.cloud.params import Id, Int, PageNumber, PageSize
from haechi.cloud.products.ddoscoo.kinds import Json, Port, Protocol, RealServers
from haechi.cloud.products.ddoscoo.lookup import PORT, domains_of, get_instance, get_port
from haechi.cloud.products.ddoscoo.product import ddoscoo

LIMITS: dict[str, dict[str, int]] = {
    "Slimit": {"CpsEnable": 0, "Cps": 0, "MaxconnEnable": 0, "Maxconn": 0, "Pps": 0, "Bps": 0, "CpsMode": 1},
    "Sla": {"CpsEnable": 0, "Cps": 100000, "MaxconnEnable": 0, "Maxconn": 1000000},
    "PayloadLen": {"Min": 0, "Max": 6000},
}


def _servers(servers: tuple[str, ...]) -> list[str]:
    try:
        return [str(IPv4Address(server)) for server in servers]
    except ValueError:
        raise invalid("RealServers", "They are IPv4 addresses.") from None


@ddoscoo.action("CreatePort", Effect.PACKETS)
def create_port(
    call: Call,
    InstanceId: Id,
    FrontendProtocol: Protocol,
    FrontendPort: Port,
    RealServers: RealServers,
    BackendPort: Port = 0,
    ProxyEnable: Int = 0,
) -> Answer:
    """Hand a port on to origins."""
    instance = get_instance(call, InstanceId)
    id = f"{InstanceId}:{FrontendProtocol}:{FrontendPort}"
    web = {port for d in domains_of(call.view, InstanceId) for t in d["ProxyTypes"] for port in t["ProxyPorts"]}
    if call.view.get(PORT, id) is not None or (FrontendProtocol == "tcp" and FrontendPort in web):
        raise ApiError("NetworkRuleExist", "The port is forwarded already, or belongs to a domain.")
    if len([p for p in call.view.find(PORT) if p["InstanceId"] == InstanceId]) >= instance["PortCount"]:
        raise ApiError("NetworkRuleCountLimit", "The number of ports reaches the limit of the instance.")
    if ProxyEnable:
        raise ApiError("UnsupportedOperation", "The PROXY protocol is not served here.")
    values: dict[str, Any] = {"InstanceId": InstanceId, "FrontendProtocol": FrontendProtocol, "FrontendPort": FrontendPort}
    values |= {
        "BackendPort": BackendPort or FrontendPort,
        "RealServers": _servers(RealServers),
        "Config": LIMITS,
        "NodataConn": "off",
        "Synproxy": "on",
    }
    call.tx.put(PORT, id, "", {"CreatedAt": call.now(), **values})
    return {}


@ddoscoo.action("ModifyPort", Effect.PACKETS)
def modify_port(
    call: Call, InstanceId: Id, FrontendProtocol: Protocol, FrontendPort: Port, RealServers: RealServers, BackendPort: Port = 0
) -> Answer:
    """Other origins."""
    port = get_port(call, InstanceId, FrontendProtocol, FrontendPort)
    call.tx.change(port, RealServers=_servers(RealServers), BackendPort=BackendPort or port["BackendPort"])
    return {}


@ddoscoo.action("DeletePort", Effect.PACKETS)
def delete_port(
    call: Call, InstanceId: Id, FrontendProtocol: Protocol, FrontendPort: Port, BackendPort: Port = 0, RealServers: RealServers = ()
) -> Answer:
    """Hand it on no more."""
    call.tx.delete(get_port(call, InstanceId, FrontendProtocol, FrontendPort))
    return {}


@ddoscoo.action("DescribePort", Effect.READ)
def describe_port(
    call: Call, InstanceId: Id, FrontendProtocol: Protocol = "", FrontendPort: Port = 0, PageNumber: PageNumber = 1, PageSize: PageSize = 10
) -> Answer:
    """A page of an instance's ports."""
    get_instance(call, InstanceId)
    found = [
        p
        for p in call.view.find(PORT)
        if p["InstanceId"] == InstanceId
        and (not FrontendProtocol or p["FrontendProtocol"] == FrontendProtocol)
        and (not FrontendPort or p["FrontendPort"] == FrontendPort)
    ]
    chosen, _ = page(found, PageNumber, PageSize)
    names = ("InstanceId", "FrontendProtocol", "FrontendPort", "BackendPort", "RealServers")
    return {
        "NetworkRules": [{**{name: p[name] for name in names}, "IpMode": "fnat", "IsAutoCreate": False} for p in chosen],
        "TotalCount": len(found),
    }


@ddoscoo.action("DescribeNetworkRuleAttributes", Effect.READ)
def describe_network_rule_attributes(call: Call, NetworkRules: Json) -> Answer:
    """The limits of ports: [{InstanceId, Protocol, FrontendPort}]"""
    found = []
    for item in parse_objects("NetworkRules", NetworkRules, 100):
        number = whole("FrontendPort", item.get("FrontendPort"), 1, 65535)
        port = get_port(call, str(item.get("InstanceId", "")), str(item.get("Protocol", item.get("ForwardProtocol", "tcp"))), number)
        config = {
            **port["Config"],
            "Cc": {"Sblack": []},
            "NodataConn": port["NodataConn"],
            "Synproxy": port["Synproxy"],
            "PersistenceTimeout": 0,
        }
        row = {"InstanceId": port["InstanceId"], "Protocol": port["FrontendProtocol"], "FrontendPort": port["FrontendPort"]}
        found.append({**row, "Config": config})
    return {"NetworkRuleAttributes": found}


@ddoscoo.action(
    "ModifyNetworkRuleAttribute",
    Effect.PACKETS,
    limit="limits per source and lengths of datagrams hold; limits of the whole port are recorded",
)
def modify_network_rule_attribute(call: Call, InstanceId: Id, ForwardProtocol: Protocol, FrontendPort: Port, Config: Json) -> Answer:
    """Limits: Slimit (per source), Sla (of the port), PayloadLen."""
    port, given = get_port(call, InstanceId, ForwardProtocol, FrontendPort), parse_object("Config", Config)
    config = {name: dict(values) for name, values in port["Config"].items()}
    for name, values in given.items():
        if name not in config or not isinstance(values, dict):
            if name in ("NodataConn", "Synproxy", "PersistenceTimeout", "Cc"):
                raise ApiError("UnsupportedOperation", f"{name} cannot be changed here.")
            raise invalid("Config", f"It holds some of {', '.join(config)}, each an object.")
        for key, value in values.items():
            if key not in config[name]:
                raise invalid("Config", f"{name} holds some of {', '.join(config[name])}.")
            config[name][key] = whole(f"Config.{name}.{key}", value, 0, 2**31 - 1)
    call.tx.change(port, Config=config)
    return {}
