"""This product's part of the data plane's plan."""

from __future__ import annotations

from dataclasses import replace

from haechi.cloud.products.cloudfw.assets import protected
from haechi.cloud.products.cloudfw.kinds import ports
from haechi.cloud.products.cloudfw.lookup import INTERNET, book_named, config, policies, vpc_firewall_of
from haechi.cloud.store import Resource, View
from haechi.dataplane.plan import Policy, Wall


def render_wall(view: View) -> Wall:
    """The firewall with every policy that is released, address books in place."""
    released = [policy for direction in INTERNET for policy in policies(view, direction) if policy["Release"] == "true"]
    return Wall(protected(view), tuple(_policy(view, policy) for policy in released), config(view)["Strict"])


def render_guard(view: View, peering: str) -> tuple[bool, tuple[Policy, ...], bool]:
    """(whether a VPC firewall is switched on in a connection, its policies, whether it is strict)."""
    firewall = vpc_firewall_of(view, peering)
    if firewall is None:
        return False, (), False
    released = [policy for policy in policies(view, firewall.id) if policy["Release"] == "true"]
    rendered = tuple(replace(_policy(view, policy), direction="in") for policy in released)
    return firewall["Switch"] == "open", rendered, firewall["Strict"]


def _policy(view: View, policy: Resource) -> Policy:
    sources = addresses_of(view, policy, "Source")
    named = policy["DestinationType"] == "domain" or (policy["DestinationType"] == "group" and _is_domains(view, policy["Destination"]))
    destinations = addresses_of(view, policy, "Destination")
    spans = ports_of(view, policy)
    applications = policy["ApplicationNameList"]
    return Policy(
        policy.id,
        policy["Direction"],
        policy["AclAction"],
        policy["Proto"].lower(),
        () if sources == ["0.0.0.0/0"] else tuple(sources),
        () if named or destinations == ["0.0.0.0/0"] else tuple(destinations),
        tuple(destinations) if named else (),
        () if (0, 65535) in spans else tuple(spans),
        () if "ANY" in applications else tuple(applications),
    )


def addresses_of(view: View, policy: Resource, side: str) -> list[str]:
    """CIDRs (or domain names) of a policy's Source or Destination."""
    if policy[f"{side}Type"] != "group":
        return [policy[side]]
    book = book_named(view, policy[side], "ip", "domain")
    return list(book["AddressList"]) if book else []


def ports_of(view: View, policy: Resource) -> list[tuple[int, int]]:
    """Destination ports; none for protocols without."""
    if policy["Proto"] == "ICMP":
        return []
    if policy["DestPortType"] == "group":
        book = book_named(view, policy["DestPortGroup"], "port")
        return [ports("AddressList", text) for text in book["AddressList"]] if book else []
    return [ports("DestPort", policy["DestPort"])] if policy["DestPort"] else []


def _is_domains(view: View, name: str) -> bool:
    return book_named(view, name, "domain") is not None
