"""This product's part of the data plane's plan."""

from __future__ import annotations

from ipaddress import IPv4Network

from haechi.cloud.products.slb.listener_settings import L7
from haechi.cloud.products.slb.lookup import acl_ids, listeners_of
from haechi.cloud.products.slb.server_lists import balancer_network, server_address
from haechi.cloud.store import Resource, View
from haechi.dataplane.plan import Backend, Balancer, Health, Listener

HEADERS = {
    "XForwardedFor": "X-Forwarded-For",
    "XForwardedFor_proto": "X-Forwarded-Proto",
    "XForwardedFor_SLBIP": "SLB-IP",
    "XForwardedFor_SLBID": "SLB-ID",
}


def render_balancers(view: View) -> dict[str, Balancer]:
    """Active balancers with their running listeners."""
    return {b.id: render_balancer(view, b) for b in view.find("load_balancer") if b["LoadBalancerStatus"] == "active"}


def render_balancer(view: View, balancer: Resource) -> Balancer:
    return Balancer(
        id=balancer.id,
        address=balancer["Address"],
        internet=balancer["AddressType"] == "internet",
        network=balancer_network(view, balancer),
        source=balancer["SourceAddress"],
        listeners=tuple(render_listener(view, balancer, r) for r in listeners_of(view, balancer.id) if r["Status"] == "running"),
    )


def render_listener(view: View, balancer: Resource, listener: Resource) -> Listener:
    allow, deny = _render_acl(view, listener)
    common = Listener(
        protocol=listener["ListenerProtocol"],
        port=listener["ListenerPort"],
        backends=render_backends(view, balancer, listener),
        scheduler=listener["Scheduler"],
        health=_render_health(listener),
        persistence_seconds=listener.get("PersistenceTimeout", 0),
        allow=allow,
        deny=deny,
        established_seconds=listener.get("EstablishedTimeout", 900),
        headers=(),
        proxy_protocol=listener.get("ProxyProtocolV2Enabled", False),
        http2=False,
        gzip=False,
    )
    return _render_http(view, common, listener) if listener["ListenerProtocol"] in L7 else common


def _render_http(view: View, common: Listener, listener: Resource) -> Listener:
    sticky = listener["StickySessionType"] if listener["StickySession"] == "on" else ""
    forward = listener.get("ListenerForward") == "on"
    certificate = view.get("server_certificate", listener.get("ServerCertificateId", ""))
    authority = view.get("ca_certificate", listener.get("CACertificateId", ""))
    return Listener(
        protocol=common.protocol,
        port=common.port,
        backends=() if forward else common.backends,
        scheduler=common.scheduler,
        health=None if forward else common.health,
        sticky=sticky,
        cookie=listener["Cookie"] if sticky == "server" else "",
        cookie_seconds=listener["CookieTimeout"] if sticky == "insert" else 0,
        allow=common.allow,
        deny=common.deny,
        idle_seconds=listener["IdleTimeout"],
        request_seconds=listener["RequestTimeout"],
        headers=tuple(header for name, header in HEADERS.items() if listener[name] == "on"),
        certificate="" if certificate is None else f"{certificate['ServerCertificate'].strip()}\n{certificate['PrivateKey'].strip()}\n",
        client_ca="" if authority is None else authority["CACertificate"],
        tls_policy=listener.get("TLSCipherPolicy", "tls_cipher_policy_1_0"),
        http2=listener.get("EnableHttp2") == "on",
        gzip=listener["Gzip"] == "on",
        redirect_port=listener["ForwardPort"] if forward else 0,
    )


def render_backends(view: View, balancer: Resource, listener: Resource) -> tuple[Backend, ...]:
    """The servers of the listener's group, each on its own port, or the balancer's own, all on the listener's backend port."""
    group = view.get("vserver_group", listener["VServerGroupId"])
    servers = balancer["Servers"] if group is None else group["Servers"]
    return tuple(
        Backend(s["ServerId"], address, s["Port"] if group is not None else listener.get("BackendServerPort", 0), s["Weight"])
        for s in servers
        if (address := server_address(view, s))
    )


def _render_health(listener: Resource) -> Health | None:
    if listener["HealthCheck"] == "off":
        return None
    protocol = listener["ListenerProtocol"]
    kind = "http" if protocol in L7 else listener.get("HealthCheckType", protocol)
    domain = listener.get("HealthCheckDomain", "")
    return Health(
        kind=kind,
        port=listener.get("HealthCheckConnectPort", 0),
        path=listener["HealthCheckURI"] if kind == "http" else "/",
        host="" if domain == "$_ip" or kind != "http" else domain,
        method=listener["HealthCheckMethod"].upper() if kind == "http" else "HEAD",
        codes=tuple(listener["HealthCheckHttpCode"].split(",")) if kind == "http" else ("http_2xx",),
        interval=listener["HealthCheckInterval"],
        timeout=listener["HealthCheckTimeout"] if protocol in L7 else listener["HealthCheckConnectTimeout"],
        rise=listener["HealthyThreshold"],
        fall=listener["UnhealthyThreshold"],
    )


def _render_acl(view: View, listener: Resource) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Who may and who may not connect. A whitelist without entries lets everyone in, as the vendor documents."""
    if listener["AclStatus"] == "off":
        return None, ()
    lists = [acl for id in acl_ids(listener) if (acl := view.get("acl", id)) is not None]
    entries = dict.fromkeys(str(IPv4Network(e["AclEntryIP"], strict=False)) for acl in lists for e in acl["Entries"])
    if listener["AclType"] == "white":
        return tuple(entries) or None, ()
    return None, tuple(entries)
