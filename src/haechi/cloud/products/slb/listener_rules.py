"""What the settings of a listener must be together."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Call
from haechi.cloud.errors import invalid, missing
from haechi.cloud.products.slb.listener_settings import L7
from haechi.cloud.products.slb.lookup import get_acl, get_ca_certificate, get_certificate, get_group
from haechi.cloud.store import Resource

ACLS = 3  # of one listener
FORWARD_PORT = 443


def check(call: Call, balancer: Resource, protocol: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as they are stored. Raises the errors of what they name, MissingParameter and InvalidParameter."""
    settings = dict(settings)
    forward = settings.get("ListenerForward") == "on"
    if forward:
        settings.setdefault("ForwardPort", FORWARD_PORT)
    if settings["VServerGroupId"]:
        group = get_group(call, settings["VServerGroupId"])
        if group["LoadBalancerId"] != balancer.id:
            raise invalid("VServerGroupId", "The server group belongs to another load balancer.")
    elif "BackendServerPort" not in settings and not forward:
        raise missing("BackendServerPort")
    if protocol in L7:
        if "HealthCheck" not in settings:
            raise missing("HealthCheck")
        _check_stickiness(settings)
    if protocol == "https":
        if not settings["ServerCertificateId"]:
            raise missing("ServerCertificateId")
        get_certificate(call, settings["ServerCertificateId"])
        if settings["CACertificateId"]:
            get_ca_certificate(call, settings["CACertificateId"])
    if settings.get("ConnectionDrain") == "on" and "ConnectionDrainTimeout" not in settings:
        raise missing("ConnectionDrainTimeout")
    return _check_acl(call, settings)


def _check_stickiness(settings: dict[str, Any]) -> None:
    if settings["StickySession"] == "off":
        return
    if not settings["StickySessionType"]:
        raise missing("StickySessionType")
    if settings["StickySessionType"] == "insert" and not settings["CookieTimeout"]:
        raise missing("CookieTimeout")
    if settings["StickySessionType"] == "server" and not settings["Cookie"]:
        raise missing("Cookie")


def _check_acl(call: Call, settings: dict[str, Any]) -> dict[str, Any]:
    if settings["AclStatus"] == "off":
        return {**settings, "AclType": "", "AclId": ""}
    for name in ("AclType", "AclId"):
        if not settings[name]:
            raise missing(name)
    ids = [part.strip() for part in settings["AclId"].split(",") if part.strip()]
    if not ids or len(ids) > ACLS or len(set(ids)) != len(ids):
        raise invalid("AclId", f"It must name 1 to {ACLS} different access control lists.")
    for id in ids:
        get_acl(call, id)
    return {**settings, "AclId": ",".join(ids)}
