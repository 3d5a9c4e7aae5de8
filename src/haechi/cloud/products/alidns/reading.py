"""Records: one, a domain's, a host's."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.paging import page
from haechi.cloud.params import Id, Str
from haechi.cloud.products.alidns.kinds import DomainName, HostRecord, Page, Size
from haechi.cloud.products.alidns.lookup import DOMAIN, get_domain, get_record, records_of
from haechi.cloud.products.alidns.product import alidns
from haechi.cloud.store import Resource


def render_record(r: Resource) -> dict[str, Any]:
    """A record; only MX has a priority."""
    shown = {name: r[name] for name in ("DomainName", "RR", "Type", "Value", "TTL", "Line", "Status", "Weight")}
    shown |= {"RecordId": r.id, "Locked": False, "LbaStatus": False}
    shown |= {"CreateTimestamp": int(r["CreatedAt"] * 1000), "UpdateTimestamp": int((r["UpdatedAt"] or r["CreatedAt"]) * 1000)}
    return {**shown, **({"Remark": r["Remark"]} if r["Remark"] else {}), **({"Priority": r["Priority"]} if r["Type"] == "MX" else {})}


@alidns.action("DescribeDomainRecordInfo", Effect.READ)
def describe_domain_record_info(call: Call, RecordId: Id, Lang: Id = "", UserClientIp: Str = "") -> Answer:
    """One record."""
    record = get_record(call, RecordId)
    domain = get_domain(call, record["DomainName"])
    return {**render_record(record), "DomainId": domain["DomainId"], "PunyCode": domain["DomainName"], "GroupId": "", "GroupName": ""}


@alidns.action("DescribeDomainRecords", Effect.READ)
def describe_domain_records(
    call: Call,
    DomainName: DomainName,
    RRKeyWord: Str = "",
    TypeKeyWord: Str = "",
    ValueKeyWord: Str = "",
    KeyWord: Str = "",
    SearchMode: Id = "",
    Type: Id = "",
    Line: Id = "",
    Status: Id = "",
    OrderBy: Id = "default",
    Direction: Id = "DESC",
    GroupId: Id = "",
    Lang: Id = "",
    PageNumber: Page = 1,
    PageSize: Size = 20,
) -> Answer:
    """A page of a domain's records. SearchMode LIKE and EXACT look for KeyWord in the host; without one it is looked for everywhere."""
    domain = get_domain(call, DomainName)["DomainName"]
    word = KeyWord.lower()

    def fits(r: Resource) -> bool:
        keyed = (
            word == r["RR"]
            if SearchMode.upper() == "EXACT"
            else word in r["RR"] or (SearchMode.upper() != "LIKE" and word in r["Value"].lower())
        )
        return (
            (not word or keyed)
            and RRKeyWord.lower() in r["RR"]
            and TypeKeyWord.upper() in r["Type"]
            and ValueKeyWord.lower() in r["Value"].lower()
            and (not Type or r["Type"] == Type.upper())
            and (not Line or r["Line"] == Line)
            and (not Status or r["Status"].startswith(Status.upper()))
        )

    found = [r for r in records_of(call.view, domain) if fits(r)]
    if Direction.upper() == "ASC":
        found.reverse()
    chosen, counts = page(found, PageNumber, PageSize)
    return {"DomainRecords": {"Record": [render_record(r) for r in chosen]}, **counts}


@alidns.action("DescribeSubDomainRecords", Effect.READ)
def describe_sub_domain_records(
    call: Call,
    SubDomain: HostRecord,
    DomainName: Str = "",
    Type: Id = "",
    Line: Id = "",
    Lang: Id = "",
    UserClientIp: Str = "",
    PageNumber: Page = 1,
    PageSize: Size = 20,
) -> Answer:
    """A page of a host's records, by its whole name. Raises InvalidDomainName.NoExist."""
    name = SubDomain.lower().rstrip(".")
    domains = [d["DomainName"] for d in call.view.find(DOMAIN) if name == d["DomainName"] or name.endswith("." + d["DomainName"])]
    if DomainName:
        domains = [d for d in domains if d == DomainName.lower()]
    if not domains:
        raise ApiError("InvalidDomainName.NoExist", "The specified domain name does not exist.")
    domain = max(domains, key=len)
    rr = name.removesuffix(domain).rstrip(".") or "@"
    found = [
        r
        for r in records_of(call.view, domain)
        if r["RR"] == rr and (not Type or r["Type"] == Type.upper()) and (not Line or r["Line"] == Line)
    ]
    chosen, counts = page(found, PageNumber, PageSize)
    return {"DomainRecords": {"Record": [render_record(r) for r in chosen]}, **counts}
