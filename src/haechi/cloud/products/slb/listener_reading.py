"""Describing listeners: one at a time in the shape of its protocol, or many."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.paging import has_tags, page_token
from haechi.cloud.params import Id, Items, Number, Str, Tags, Text
from haechi.cloud.products.slb.kinds import Port, Protocol
from haechi.cloud.products.slb.listener_settings import COMMON, L7, SETTINGS
from haechi.cloud.products.slb.lookup import acl_ids, get_balancer, get_listener, listeners_of, render_tags
from haechi.cloud.products.slb.product import slb
from haechi.cloud.store import Resource

TenIds = Annotated[tuple[str, ...], Items(Text(128), 10)]
MaxResults = Annotated[int, Number(1, 100)]
STICKINESS = ("StickySessionType", "CookieTimeout", "Cookie")


def visible_settings(listener: Resource) -> Answer:
    """The settings that the vendor shows: without those that have no meaning beside the others.

    Terraform keeps what it planned where a name is absent, and sees a change where a value differs.
    """
    protocol = listener["ListenerProtocol"]
    shown: Answer = {name: listener[name] for name in SETTINGS[protocol] if name in listener.data}
    forward = shown.get("ListenerForward") == "on"
    if shown["VServerGroupId"] or forward:
        shown.pop("BackendServerPort", None)
    if not forward:
        shown.pop("ForwardPort", None)
    if shown["HealthCheck"] == "off":
        shown = {name: value for name, value in shown.items() if not _of_health_check(name)}
    elif "BackendServerPort" in shown:
        shown.setdefault("HealthCheckConnectPort", shown["BackendServerPort"])
    if shown.get("ConnectionDrain") == "off":
        shown.pop("ConnectionDrainTimeout", None)
    if protocol in L7:
        keep = {"insert": ("StickySessionType", "CookieTimeout"), "server": ("StickySessionType", "Cookie")}
        kept = keep[shown["StickySessionType"]] if shown["StickySession"] == "on" else ()
        shown = {name: value for name, value in shown.items() if name not in STICKINESS or name in kept}
    return shown


def _of_health_check(name: str) -> bool:
    return (name.startswith("HealthCheck") and name != "HealthCheck") or name in ("HealthyThreshold", "UnhealthyThreshold")


def render_listener(listener: Resource) -> Answer:
    """The answer of Describe...ListenerAttribute. Numbers are numbers and AclIds an object: Terraform stops otherwise."""
    answer: Answer = {
        "LoadBalancerId": listener["LoadBalancerId"],
        "ListenerPort": listener["ListenerPort"],
        "Status": listener["Status"],
        **visible_settings(listener),
        "AclIds": {"AclId": acl_ids(listener)},
        "Tags": render_tags(listener),
    }
    if listener["ListenerProtocol"] in L7:
        answer.update({"SecurityStatus": "on" if listener["ListenerProtocol"] == "https" else "off", "Rules": {"Rule": []}})
    else:
        answer["MasterSlaveServerGroupId"] = ""
    if listener["ListenerProtocol"] == "https":
        answer["DomainExtensions"] = {"DomainExtension": []}
        for name in ("ClientVerify", "Fingerprint", "IssuerDN", "SubjectDN"):
            answer[f"XForwardedFor_ClientCert{name}"] = "off"
    return answer


@slb.action("DescribeLoadBalancerTCPListenerAttribute", Effect.READ)
def describe_load_balancer_tcp_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port) -> Answer:
    return render_listener(get_listener(call, LoadBalancerId, "tcp", ListenerPort))


@slb.action("DescribeLoadBalancerUDPListenerAttribute", Effect.READ)
def describe_load_balancer_udp_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port) -> Answer:
    return render_listener(get_listener(call, LoadBalancerId, "udp", ListenerPort))


@slb.action("DescribeLoadBalancerHTTPListenerAttribute", Effect.READ)
def describe_load_balancer_http_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port) -> Answer:
    return render_listener(get_listener(call, LoadBalancerId, "http", ListenerPort))


@slb.action("DescribeLoadBalancerHTTPSListenerAttribute", Effect.READ)
def describe_load_balancer_https_listener_attribute(call: Call, LoadBalancerId: Id, ListenerPort: Port) -> Answer:
    return render_listener(get_listener(call, LoadBalancerId, "https", ListenerPort))


@slb.action("DescribeLoadBalancerListeners", Effect.READ)
def describe_load_balancer_listeners(
    call: Call,
    LoadBalancerId: TenIds = (),
    ListenerProtocol: Protocol = "",
    ListenerPort: Port = 0,
    Description: Str = "",
    Tag: Tags = (),
    MaxResults: MaxResults = 20,
    NextToken: Str = "",
) -> Answer:
    """Listeners of the region or of up to ten balancers."""
    ids = [get_balancer(call, id).id for id in LoadBalancerId] or [b.id for b in call.find("load_balancer")]
    found = [
        r
        for id in dict.fromkeys(ids)
        for r in listeners_of(call.view, id)
        if (not ListenerProtocol or r["ListenerProtocol"] == ListenerProtocol)
        and (not ListenerPort or r["ListenerPort"] == ListenerPort)
        and (not Description or r["Description"] == Description)
        and has_tags(r, Tag)
    ]
    chosen, token = page_token(found, NextToken, MaxResults, lambda r: r.id)
    return {"Listeners": [_render_row(r) for r in chosen], "MaxResults": MaxResults, "TotalCount": len(found), "NextToken": token}


def _render_row(listener: Resource) -> Answer:
    """One row: what all protocols share on top, the rest below the protocol's own name."""
    shown = visible_settings(listener)
    own: dict[str, Any] = {k: v for k, v in shown.items() if k not in COMMON and k != "Scheduler"}
    if listener["ListenerProtocol"] not in L7:
        own.update({"ProxyProtocolV2Enabled": "true" if own["ProxyProtocolV2Enabled"] else "false", "MasterSlaveServerGroupId": ""})
    return {
        "LoadBalancerId": listener["LoadBalancerId"],
        "ListenerProtocol": listener["ListenerProtocol"],
        "ListenerPort": listener["ListenerPort"],
        "Status": listener["Status"],
        **{k: v for k, v in shown.items() if k in COMMON or k == "Scheduler"},
        "AclIds": acl_ids(listener),
        **{f"{protocol.upper()}ListenerConfig": own if protocol == listener["ListenerProtocol"] else {} for protocol in SETTINGS},
        "Tags": render_tags(listener)["Tag"],
    }
