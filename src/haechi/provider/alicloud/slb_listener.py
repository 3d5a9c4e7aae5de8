"""alicloud_slb_listener: tcp, udp, http and https, each with actions of its own. Its arguments are in slb_listener_schema."""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import ApiError
from haechi.provider.alicloud.cloud import Cloud, is_missing, items
from haechi.provider.alicloud.common import sent
from haechi.provider.alicloud.slb_backend_server import check_unprotected
from haechi.provider.alicloud.slb_backends import BUSY
from haechi.provider.alicloud.slb_listener_schema import FIELDS
from haechi.provider.alicloud.slb_load_balancer import describe
from haechi.provider.resource import Data, Problem, Resource

_COMMON = {
    "Bandwidth": "bandwidth",
    "Description": "description",
    "Scheduler": "scheduler",
    "AclStatus": "acl_status",
    "ProxyProtocolV2Enabled": "proxy_protocol_v2_enabled",
}
_TRANSPORT = {
    "PersistenceTimeout": "persistence_timeout",
    "HealthCheckConnectPort": "health_check_connect_port",
    "HealthyThreshold": "healthy_threshold",
    "UnhealthyThreshold": "unhealthy_threshold",
    "HealthCheckConnectTimeout": "health_check_timeout",
}
_TCP = {
    "EstablishedTimeout": "established_timeout",
    "HealthCheckType": "health_check_type",
    "HealthCheckDomain": "health_check_domain",
    "HealthCheckURI": "health_check_uri",
    "HealthCheckHttpCode": "health_check_http_code",
    "HealthCheckMethod": "health_check_method",
}
_WEB = {
    "StickySession": "sticky_session",
    "HealthCheck": "health_check",
    "RequestTimeout": "request_timeout",
    "IdleTimeout": "idle_timeout",
}
_STICKY = {"StickySessionType": "sticky_session_type", "CookieTimeout": "cookie_timeout", "Cookie": "cookie"}
_WEB_CHECK = {
    "HealthCheckURI": "health_check_uri",
    "HealthCheckDomain": "health_check_domain",
    "HealthCheckHttpCode": "health_check_http_code",
    "HealthCheckMethod": "health_check_method",
    "HealthCheckConnectPort": "health_check_connect_port",
    "HealthyThreshold": "healthy_threshold",
    "UnhealthyThreshold": "unhealthy_threshold",
    "HealthCheckTimeout": "health_check_timeout",
    "HealthCheckInterval": "health_check_interval",
}
_HTTPS = {"CACertificateId": "ca_certificate_id", "EnableHttp2": "enable_http2", "TLSCipherPolicy": "tls_cipher_policy"}
_XFF = {"XForwardedFor_SLBIP": "retrive_slb_ip", "XForwardedFor_SLBID": "retrive_slb_id", "XForwardedFor_proto": "retrive_slb_proto"}


def _params(d: Data) -> dict[str, Any]:
    """Everything a listener of this protocol can be told; the same for create and set."""
    params = sent(d, _COMMON) | {"VServerGroupId": d["server_group_id"] or None, "Bandwidth": d["bandwidth"] or -1}
    params["MasterSlaveServerGroupId"] = d["master_slave_server_group_id"] or None
    if d["acl_status"] == "on":
        acls = sorted(d["acl_ids"] or []) or ([d["acl_id"]] if d["acl_id"] else [])
        params |= {"AclType": d["acl_type"], "AclId": ",".join(acls)}
    if d["protocol"] in ("tcp", "udp"):
        params |= sent(d, _TRANSPORT) | {
            "healthCheckInterval" if d["protocol"] == "udp" else "HealthCheckInterval": d["health_check_interval"]
        }
        params["PersistenceTimeout"] = d["persistence_timeout"] or 0
        return params | ({**sent(d, _TCP), "HealthCheckSwitch": d["health_check"] or "on"} if d["protocol"] == "tcp" else {})
    params |= sent(d, _WEB) | {"Gzip": "off" if d["gzip"] is False else "on"}
    if d["sticky_session"] == "on":
        params |= sent(d, _STICKY)
    if d["health_check"] == "on":
        params |= sent(d, _WEB_CHECK)
    for header in d["x_forwarded_for"] or []:
        params |= {"XForwardedFor": "on", **{wire: "on" if header[name] else "off" for wire, name in _XFF.items()}}
    if d["protocol"] == "https":
        params |= sent(d, _HTTPS) | {"ServerCertificateId": d.first("server_certificate_id", "ssl_certificate_id")}
    return params


def _create(cloud: Cloud, d: Data) -> None:
    protocol, balancer_id, port = d["protocol"], d["load_balancer_id"], d["frontend_port"]
    target = {"LoadBalancerId": balancer_id, "ListenerPort": port}
    if protocol == "https" and not d.first("server_certificate_id", "ssl_certificate_id"):
        raise Problem("'server_certificate_id': required field is not set when the protocol is 'https'.", "", ("server_certificate_id",))
    params = {**_params(d), "BackendServerPort": d["backend_port"] or d["instance_port"]}
    if protocol == "http" and d["listener_forward"] == "on":
        params = {
            "ListenerForward": "on",
            "ForwardPort": d["forward_port"],
            "StickySession": "off",
            "HealthCheck": "off",
            "BackendServerPort": 80,
        }
    with cloud.lock(balancer_id):
        cloud.call("slb", f"CreateLoadBalancer{protocol.upper()}Listener", {**target, **params}, BUSY, d.timeout)
        d.id = f"{balancer_id}:{protocol}:{port}"
        _wait(cloud, d, "stopped", "running")
        cloud.call("slb", "StartLoadBalancerListener", {**target, "ListenerProtocol": protocol}, BUSY, d.timeout)
    _wait(cloud, d, "running")


def _wait(cloud: Cloud, d: Data, *statuses: str) -> None:
    def status() -> str:
        return str((_describe(cloud, d.id) or {}).get("Status")).lower()

    cloud.wait(f"listener {d.id} to be {statuses[0]}", status, lambda s: s in statuses, min(d.timeout, 300))


def _split(listener_id: str) -> tuple[str, str, int]:
    parts = listener_id.split(":")
    if len(parts) != 3 or not parts[2].isdigit():
        raise Problem(f"{listener_id} is not the id of a listener", "It is <load balancer>:<tcp|udp|http|https>:<port>.")
    return parts[0], parts[1], int(parts[2])


def _describe(cloud: Cloud, listener_id: str) -> dict[str, Any] | None:
    balancer_id, protocol, port = _split(listener_id)
    ports = items(describe(cloud, balancer_id), "ListenerPortsAndProtocol", "ListenerPortAndProtocol")
    if not any(int(p["ListenerPort"]) == port and p["ListenerProtocol"] == protocol for p in ports):
        return None
    action = f"DescribeLoadBalancer{protocol.upper()}ListenerAttribute"
    try:
        return cloud.call("slb", action, {"LoadBalancerId": balancer_id, "ListenerPort": port}, BUSY)
    except ApiError as error:
        if is_missing(error) or "The specified resource does not exist" in error.message:
            return None
        raise


def _read(cloud: Cloud, d: Data) -> None:
    found = _describe(cloud, d.id)
    if found is None:
        d.id = ""
        return
    balancer_id, protocol, port = _split(d.id)
    d.update(load_balancer_id=balancer_id, protocol=protocol, frontend_port=port, backend_port=found.get("BackendServerPort"))
    by_protocol = {"tcp": _TRANSPORT | _TCP, "udp": _TRANSPORT, "http": _WEB | _STICKY | _WEB_CHECK}
    names = _COMMON | by_protocol.get(protocol, _WEB | _STICKY | _WEB_CHECK | _HTTPS)
    names |= {
        "HealthCheckInterval": "health_check_interval",
        "ListenerForward": "listener_forward",
        "ForwardPort": "forward_port",
        "AclType": "acl_type",
    }
    for wire, name in names.items():
        if wire in found:
            d[name] = found[wire]
    d.update(
        server_group_id=found.get("VServerGroupId"),
        master_slave_server_group_id=found.get("MasterSlaveServerGroupId"),
        acl_id=found.get("AclId"),
        acl_ids=items(found, "AclIds", "AclId") or str(found.get("AclId") or "").split(",") * bool(found.get("AclId")),
    )
    if protocol in ("tcp", "udp"):
        d["health_check"] = found.get("HealthCheck") or "on"
    if protocol in ("http", "https"):
        d["gzip"] = found.get("Gzip", "on") == "on"
        headers = {name: found.get(wire) == "on" for wire, name in _XFF.items()}
        d["x_forwarded_for"] = [{"retrive_client_ip": found.get("XForwardedFor", "on") == "on", **headers}]
    if protocol == "https":
        d.update(server_certificate_id=found.get("ServerCertificateId"), ssl_certificate_id=found.get("ServerCertificateId"))


def _update(cloud: Cloud, d: Data) -> None:
    if d.changed(*(n for n in FIELDS if n not in ("delete_protection_validation", "lb_port", "instance_port", "lb_protocol"))):
        params = {
            "LoadBalancerId": d["load_balancer_id"],
            "ListenerPort": d["frontend_port"],
            **_params(d),
            "Description": d["description"] or "",
        }
        for name, switch in (("server_group_id", "VServerGroup"), ("master_slave_server_group_id", "MasterSlaveServerGroup")):
            if d.changed(name):
                params[switch] = "on" if d[name] else "off"
        action = f"SetLoadBalancer{d['protocol'].upper()}ListenerAttribute"
        with cloud.lock(d["load_balancer_id"]):
            cloud.call("slb", action, params, (*BUSY, "OperationFailed.ListenerStatusNotSupport"), d.timeout)


def _delete(cloud: Cloud, d: Data) -> None:
    balancer_id, protocol, port = _split(d.id)
    check_unprotected(cloud, d, balancer_id, "listener")
    if _describe(cloud, d.id) is None:
        return
    params = {"LoadBalancerId": balancer_id, "ListenerPort": port, "ListenerProtocol": protocol}
    with cloud.lock(balancer_id):
        cloud.delete("slb", "DeleteLoadBalancerListener", params, ("InvalidLoadBalancerId.NotFound",), BUSY, d.timeout)
    cloud.wait(f"listener {d.id} to be deleted", lambda: _describe(cloud, d.id), lambda f: f is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update)
