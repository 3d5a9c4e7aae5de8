"""Finding this product's resources, with the error each has when it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.store import Resource, View


def get_balancer(call: Call, id: str, anywhere: bool = False) -> Resource:
    """Raises InvalidLoadBalancerId.NotFound. `anywhere`: in every region, when the call names none."""
    found = call.get("load_balancer", id)
    if found is None and anywhere and "RegionId" not in call.sent:
        found = call.view.get("load_balancer", id)
    if found is None:
        raise not_found("InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId does not exist.")
    return found


def no_listener() -> ApiError:
    """Terraform knows it by its text."""
    return not_found("ListenerNotFound", "The specified resource does not exist.")


def get_listener(call: Call, balancer: str, protocol: str, port: int) -> Resource:
    """Raises InvalidLoadBalancerId.NotFound or ListenerNotFound."""
    get_balancer(call, balancer)
    found = call.get("listener", f"{balancer}:{protocol}:{port}")
    if found is None:
        raise no_listener()
    return found


def get_group(call: Call, id: str) -> Resource:
    """Raises VServerGroupNotFound; Terraform knows it by its text."""
    found = call.get("vserver_group", id)
    if found is None:
        raise not_found("VServerGroupNotFound", "The specified VServerGroupId does not exist.")
    return found


def get_acl(call: Call, id: str) -> Resource:
    """Raises AclNotExist."""
    found = call.get("acl", id)
    if found is None:
        raise not_found("AclNotExist", "The specified Acl does not exist.")
    return found


def get_certificate(call: Call, id: str) -> Resource:
    """Raises ServerCertificateId.NotFound."""
    found = call.get("server_certificate", id)
    if found is None:
        raise not_found("ServerCertificateId.NotFound", "The specified ServerCertificateId does not exist.")
    return found


def get_ca_certificate(call: Call, id: str) -> Resource:
    """Raises CACertificateId.NotFound."""
    found = call.get("ca_certificate", id)
    if found is None:
        raise not_found("CACertificateId.NotFound", "The specified CACertificateId does not exist.")
    return found


def listeners_of(view: View, balancer: str) -> list[Resource]:
    """A balancer's listeners in the order of their ports."""
    return sorted(view.find("listener", LoadBalancerId=balancer), key=lambda r: (r["ListenerPort"], r["ListenerProtocol"]))


def listeners_with(view: View, **equal: Any) -> list[Resource]:
    """Listeners that use a server group or a certificate."""
    return view.find("listener", **equal)


def acl_ids(listener: Resource) -> list[str]:
    """The access control lists a listener obeys."""
    return [id for id in listener["AclId"].split(",") if id]


def render_tags(resource: Resource) -> dict[str, Any]:
    """Tags.Tag[].{TagKey, TagValue}."""
    tags: Mapping[str, str] = resource.get("Tags") or {}
    return {"Tag": [{"TagKey": k, "TagValue": v} for k, v in tags.items()]}
