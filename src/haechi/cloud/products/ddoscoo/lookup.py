"""Finding this product's resources, with the error each has when it is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.store import Resource, View

if TYPE_CHECKING:
    from haechi.cloud.products.ddoscoo.monitor import Monitor

INSTANCE, DOMAIN, PORT = "ddos_instance", "ddos_domain", "ddos_port"


def monitor(call: Call) -> Monitor:
    """Who watches the instances."""
    return call.runtime.monitor


def get_instance(call: Call, id: str) -> Resource:
    """Raises InstanceNotFound."""
    found = call.view.get(INSTANCE, id)
    if found is None:
        raise not_found("InstanceNotFound", "The instance does not exist.")
    return found


def get_instances(call: Call, ids: Sequence[str]) -> list[Resource]:
    """Those that are named. Raises InstanceNotFound."""
    return [get_instance(call, id) for id in ids]


def get_domain(call: Call, domain: str) -> Resource:
    """Raises DomainNotExist."""
    found = call.view.get(DOMAIN, domain.lower())
    if found is None:
        raise ApiError("DomainNotExist", "The domain does not exist.")
    return found


def get_port(call: Call, instance: str, protocol: str, port: int) -> Resource:
    """Raises InstanceNotFound, NetworkRuleNotExist."""
    get_instance(call, instance)
    found = call.view.get(PORT, f"{instance}:{protocol}:{port}")
    if found is None:
        raise ApiError("NetworkRuleNotExist", "The port forwarding rule does not exist.")
    return found


def domains_of(view: View, instance: str) -> list[Resource]:
    """The domains that an instance serves."""
    return [d for d in view.find(DOMAIN) if instance in d["InstanceIds"]]
