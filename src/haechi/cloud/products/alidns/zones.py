"""What the name server answers: the domains of this account, and the names that products give out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from haechi.cloud.products.alidns.lookup import DOMAIN, NAMESERVERS, RECORD
from haechi.cloud.products.ddoscoo.domains import CNAME as PROTECTED
from haechi.cloud.products.ddoscoo.lookup import DOMAIN as PROTECTED_DOMAIN
from haechi.cloud.products.ddoscoo.lookup import INSTANCE as PROTECTED_INSTANCE
from haechi.cloud.products.waf.domains import CNAME as GUARDED
from haechi.cloud.products.waf.lookup import DOMAIN as GUARDED_DOMAIN
from haechi.cloud.products.waf.lookup import INSTANCE as GUARDED_INSTANCE
from haechi.cloud.store import Resource, View
from haechi.dataplane.dns import Answer, Reply

SERVER_ZONE = "alidns.com"
TTL, NEGATIVE_TTL = 600, 60
Names = Mapping[str, Mapping[str, list[Resource]]]  # whole name -> type -> records


def _index(view: View) -> dict[str, dict[str, list[Resource]]]:
    names: dict[str, dict[str, list[Resource]]] = {}
    for record in view.find(RECORD):
        if record["Status"] == "ENABLE":
            name = record["DomainName"] if record["RR"] == "@" else f"{record['RR']}.{record['DomainName']}"
            names.setdefault(name, {}).setdefault(record["Type"], []).append(record)
            parent = name.partition(".")[2]
            while len(parent) > len(record["DomainName"]):  # names that only others lie below exist, too
                names.setdefault(parent, {})
                parent = parent.partition(".")[2]
    return names


def lookup(view: View, name: str, kind: str, address: str) -> Reply | None:
    """What is said of a name (lower case, without a final dot); None where it is nobody's here. `address` is the name server's."""
    given = _given(view, name, kind, address)
    if given is not None:
        return given
    domain = _domain_of(view, name)
    if domain is None:
        return None
    authority = (_soa(domain["DomainName"]),)
    if name == domain["DomainName"] and kind in ("NS", "SOA"):
        return Reply(tuple(Answer("NS", server, TTL) for server in NAMESERVERS) if kind == "NS" else authority)
    names = view.remember(("alidns", "names"), lambda: _index(view))
    found: Mapping[str, list[Resource]] | None = names.get(name)
    if found is None and name != domain["DomainName"]:
        found = _wildcard(names, name, domain["DomainName"])
        if found is None:
            return Reply((), "NXDOMAIN", authority)
    records = (found or {}).get("CNAME") or (found or {}).get(kind, [])
    if kind == "ANY":
        records = [record for of_kind in (found or {}).values() for record in of_kind]
    if not records:
        return Reply((), "NOERROR", authority)
    if f"{records[0]['RR']} {records[0]['Type']}" in domain["Weighted"] and kind != "ANY":
        records = random.choices(records, [record["Weight"] for record in records])
    elif len(records) > 1:
        start = random.randrange(len(records))
        records = records[start:] + records[:start]
    return Reply(tuple(_answer(record) for record in records))


def _answer(record: Resource) -> Answer:
    value = f"{record['Priority']} {record['Value']}" if record["Type"] == "MX" else record["Value"]
    return Answer(record["Type"], value, record["TTL"])


def _wildcard(names: Names, name: str, domain: str) -> Mapping[str, list[Resource]] | None:
    """The wildcard below the closest name that exists (RFC 4592)."""
    parent = name.partition(".")[2]
    while parent:
        if f"*.{parent}" in names:
            return names[f"*.{parent}"]
        if parent in names or parent == domain:
            return None
        parent = parent.partition(".")[2]
    return None


def _domain_of(view: View, name: str) -> Resource | None:
    while name:
        found = view.get(DOMAIN, name)
        if found is not None:
            return found
        name = name.partition(".")[2]
    return None


def _soa(domain: str) -> Answer:
    return Answer("SOA", f"{NAMESERVERS[0]} hostmaster.hichina.com 2026010101 3600 1200 86400 {NEGATIVE_TTL}", TTL, domain)


def _given(view: View, name: str, kind: str, address: str) -> Reply | None:
    """The name servers' own names, and the CNAMEs of Anti-DDoS and WAF; they exist whether or not somebody owns their zones."""
    if name in NAMESERVERS:
        return Reply((Answer("A", address, TTL),) if kind in ("A", "ANY") else (), "NOERROR", (_soa(SERVER_ZONE),))
    zone = next((zone for zone in (PROTECTED, GUARDED) if name.endswith("." + zone)), "")
    if not zone:
        return None
    addresses = [
        instance["Address"]
        for domain in view.find(GUARDED_DOMAIN)
        if domain["Cname"] == name and (instance := view.get(GUARDED_INSTANCE, domain["InstanceId"])) is not None
    ]
    addresses += [
        instance["Address"]
        for domain in view.find(PROTECTED_DOMAIN)
        if domain["Cname"] == name
        for instance in (view.get(PROTECTED_INSTANCE, id) for id in domain["InstanceIds"])
        if instance is not None
    ]
    if not addresses:
        return Reply((), "NXDOMAIN", (_soa(zone),))
    return Reply(tuple(Answer("A", each, NEGATIVE_TTL) for each in addresses) if kind in ("A", "ANY") else (), "NOERROR", (_soa(zone),))
