"""How origins are chosen and waited for."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.jsontext import parse_object, whole
from haechi.cloud.params import Id, Int, Texts
from haechi.cloud.products.ddoscoo.kinds import DomainName, Json
from haechi.cloud.products.ddoscoo.lookup import get_domain
from haechi.cloud.products.ddoscoo.product import ddoscoo

NUMBERS = {  # name: least, most, default
    "Weight": (1, 100, 100),
    "ConnectTimeout": (1, 10, 5),
    "FailTimeout": (1, 3600, 10),
    "MaxFails": (1, 10, 3),
    "ReadTimeout": (10, 300, 120),
    "SendTimeout": (10, 300, 120),
}
DEFAULTS: dict[str, Any] = {**{name: default for name, (_, _, default) in NUMBERS.items()}, "Mode": "active"}


@ddoscoo.action("ConfigL7RsPolicy", Effect.PACKETS)
def config_l7_rs_policy(call: Call, Domain: DomainName, Policy: Json, UpstreamRetry: Int = 1, ResourceGroupId: Id = "") -> Answer:
    """{ProxyMode: ip_hash, rr or least_time, Attributes: [{RealServer, Attribute: {...}}]}"""
    domain, given = get_domain(call, Domain), parse_object("Policy", Policy)
    if given.get("ProxyMode") not in ("ip_hash", "rr", "least_time"):
        raise invalid("Policy", "ProxyMode is ip_hash, rr or least_time.")
    kept: dict[str, dict[str, Any]] = {}
    attributes = given.get("Attributes") or []
    if not isinstance(attributes, list):
        raise invalid("Policy", "Attributes must be a list.")
    for item in attributes:
        server, wanted = (item.get("RealServer"), item.get("Attribute")) if isinstance(item, dict) else (None, None)
        if not isinstance(server, str) or server not in domain["RealServers"] or not isinstance(wanted, dict):
            raise invalid("Policy", "Each of Attributes names an origin of the domain and its Attribute.")
        values = {name: whole(f"Policy.{name}", wanted.get(name, default), least, most) for name, (least, most, default) in NUMBERS.items()}
        mode = wanted.get("Mode", "active")
        if mode not in ("active", "backup"):
            raise invalid("Policy", "Mode is active or backup.")
        kept[server] = {**values, "Mode": mode}
    if domain["RealServers"] and all(kept.get(server, DEFAULTS)["Mode"] == "backup" for server in domain["RealServers"]):
        raise invalid("Policy", "At least one origin must be active.")
    call.tx.change(domain, Policy={"ProxyMode": given["ProxyMode"], "Attributes": kept, "UpstreamRetry": UpstreamRetry})
    return {}


@ddoscoo.action("DescribeL7RsPolicy", Effect.READ)
def describe_l7_rs_policy(call: Call, Domain: DomainName, RealServers: Texts = (), ResourceGroupId: Id = "") -> Answer:
    """The policy of every origin, or of those that are named."""
    domain = get_domain(call, Domain)
    policy = domain["Policy"]
    found = [
        {"RealServer": server, "RsType": domain["RsType"], "Attribute": policy["Attributes"].get(server, DEFAULTS)}
        for server in domain["RealServers"]
        if not RealServers or server in RealServers
    ]
    return {
        "ProxyMode": policy["ProxyMode"],
        "Attributes": found,
        "UpstreamRetry": policy.get("UpstreamRetry", 1),
        "RsAttrRwTimeoutMax": 300,
    }
