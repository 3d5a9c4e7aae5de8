"""Weights: of several A, AAAA or CNAME records of a host one is answered at a time."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.params import Flag, Id, Number
from haechi.cloud.products.alidns.kinds import HostRecord
from haechi.cloud.products.alidns.lookup import DOMAIN, get_domain, get_record, records_of
from haechi.cloud.products.alidns.product import alidns

Weight = Annotated[int, Number(1, 100)]
KINDS = ("A", "AAAA", "CNAME")


@alidns.action("SetDNSSLBStatus", Effect.PACKETS)
def set_dns_slb_status(call: Call, SubDomain: HostRecord, Open: Flag = True, Type: Id = "A", DomainName: Id = "", Lang: Id = "") -> Answer:
    """Answer a host by weights, or all its records again."""
    name = SubDomain.lower().rstrip(".")
    domains = [d for d in call.view.find(DOMAIN) if name == d["DomainName"] or name.endswith("." + d["DomainName"])]
    if not domains:
        raise ApiError("InvalidDomainName.NoExist", "The specified domain name does not exist.")
    domain = max(domains, key=lambda d: len(d["DomainName"]))
    kind = Type.upper()
    rr = name.removesuffix(domain["DomainName"]).rstrip(".") or "@"
    if kind not in KINDS or len([r for r in records_of(call.view, domain["DomainName"]) if r["RR"] == rr and r["Type"] == kind]) < (
        2 if Open else 0
    ):
        raise ApiError("DisableDNSSLB", "Weights need at least two A, AAAA or CNAME records of the host.")
    key = f"{rr} {kind}"
    call.tx.change(domain, Weighted=sorted({*domain["Weighted"], key} if Open else {*domain["Weighted"]} - {key}))
    return {
        "Open": Open,
        "RecordCount": len([r for r in records_of(call.view, domain["DomainName"]) if r["RR"] == rr and r["Type"] == kind]),
    }


@alidns.action("UpdateDNSSLBWeight", Effect.PACKETS)
def update_dns_slb_weight(call: Call, RecordId: Id, Weight: Weight, Lang: Id = "", UserClientIp: Id = "") -> Answer:
    """How often a record is the one, relative to the others of its host."""
    record = get_record(call, RecordId)
    if f"{record['RR']} {record['Type']}" not in get_domain(call, record["DomainName"])["Weighted"]:
        raise ApiError("DisableDNSSLB", "The host is not answered by weights.")
    call.tx.change(record, Weight=Weight)
    return {"RecordId": record.id, "Weight": Weight}
