"""Finding this product's resources, with the error each has when it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError
from haechi.cloud.store import Resource, View

if TYPE_CHECKING:
    from haechi.cloud.products.cloudfw.monitor import FlowMonitor

POLICY, BOOK, SWITCH, CONFIG, INSTANCE = "cfw_policy", "cfw_book", "cfw_switch", "cfw_config", "cfw_instance"
VPC_FIREWALL = "cfw_vpc_firewall"
INTERNET = ("in", "out")  # directions of policies of the Internet firewall; those of a VPC firewall have its id in place of one
DEFAULTS = {"Strict": False, "AutoProtect": False}


def monitor(call: Call) -> FlowMonitor:
    """Who counts connections."""
    return call.runtime.flow_monitor


def policies(view: View, direction: str) -> list[Resource]:
    """Of one direction, or of one VPC firewall by its id; first the one that is tried first."""
    return sorted(view.find(POLICY, Direction=direction), key=lambda policy: policy["Order"])


def policy_at(view: View, direction: str, place: int) -> Resource | None:
    """The policy that is at a place now."""
    return next((policy for policy in policies(view, direction) if policy["Order"] == place), None)


def get_policy(call: Call, id: str, direction: str = "") -> Resource:
    """Raises ErrorAclNotExist."""
    found = call.view.get(POLICY, id)
    if found is None or found["Direction"] not in ((direction,) if direction else INTERNET):
        raise ApiError("ErrorAclNotExist", "The ACL does not exist.", 404)
    return found


def get_vpc_firewall(call: Call, id: str) -> Resource:
    """Raises ErrorVpcFirewallNotExist."""
    found = call.view.get(VPC_FIREWALL, id)
    if found is None:
        raise ApiError("ErrorVpcFirewallNotExist", "The VPC firewall does not exist.", 404)
    return found


def vpc_firewall_of(view: View, peering: str) -> Resource | None:
    """The VPC firewall in a connection."""
    return next(iter(view.find(VPC_FIREWALL, PeeringId=peering)), None)


def get_book(call: Call, id: str) -> Resource:
    """Raises ErrorAddressGroupNotExist."""
    found = call.view.get(BOOK, id)
    if found is None:
        raise ApiError("ErrorAddressGroupNotExist", "The address book does not exist.", 404)
    return found


def book_named(view: View, name: str, *types: str) -> Resource | None:
    """An address book of one of these types."""
    return next((book for book in view.find(BOOK, GroupName=name) if book["GroupType"] in types), None)


def users_of(view: View, book: Resource) -> list[Resource]:
    """The policies that name a book."""
    pairs = (("SourceType", "Source"), ("DestinationType", "Destination"), ("DestPortType", "DestPortGroup"))
    return [p for p in view.find(POLICY) if any(p[kind] == "group" and p[name] == book["GroupName"] for kind, name in pairs)]


def config(view: View) -> dict[str, bool]:
    """Settings of the whole firewall: Strict, AutoProtect."""
    found = view.get(CONFIG, "config")
    return {**DEFAULTS, **(found.data if found else {})}


def configure(call: Call, **values: bool) -> None:
    """Change some of them."""
    call.tx.put(CONFIG, "config", "", {**config(call.tx), **values})
