"""Domains."""

from __future__ import annotations

import uuid
from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.paging import iso_minute, page
from haechi.cloud.params import Flag, Id, Str
from haechi.cloud.products.alidns.kinds import LEAST_TTL, DomainName, Page, Remark, Size
from haechi.cloud.products.alidns.lookup import DOMAIN, NAMESERVERS, get_domain, records_of
from haechi.cloud.products.alidns.product import alidns
from haechi.cloud.store import Resource


@alidns.action("AddDomain", Effect.PACKETS)
def add_domain(call: Call, DomainName: DomainName, GroupId: Id = "", Lang: Id = "", ResourceGroupId: Id = "") -> Answer:
    """A domain of the local internet; its name server answers for it at once."""
    name = DomainName.lower().rstrip(".")
    if call.view.get(DOMAIN, name) is not None:
        raise ApiError("InvalidDomainName.Duplicate", "The specified domain name already exists.")
    values = {
        "DomainName": name,
        "DomainId": str(uuid.uuid4()),
        "Remark": "",
        "ResourceGroupId": ResourceGroupId,
        "Tags": {},
        "Weighted": [],
    }
    domain = call.tx.put(DOMAIN, name, "", {"CreatedAt": call.now(), **values})
    answer = {name: value for name, value in _render(call, domain).items() if name in ("DomainId", "DomainName", "PunyCode", "DnsServers")}
    return {**answer, "GroupId": "", "GroupName": "", "DomainName": name}


@alidns.action("DeleteDomain", Effect.PACKETS)
def delete_domain(call: Call, DomainName: DomainName, Lang: Id = "") -> Answer:
    """Forget a domain with its records."""
    domain = get_domain(call, DomainName)
    for record in records_of(call.view, domain["DomainName"]):
        call.tx.delete(record)
    call.tx.delete(domain)
    return {"DomainName": domain["DomainName"]}


@alidns.action("UpdateDomainRemark", Effect.RECORD)
def update_domain_remark(call: Call, DomainName: DomainName, Remark: Remark = "", Lang: Id = "") -> Answer:
    """A note."""
    call.tx.change(get_domain(call, DomainName), Remark=Remark)
    return {}


@alidns.action("DescribeDomains", Effect.READ)
def describe_domains(
    call: Call,
    KeyWord: Str = "",
    SearchMode: Id = "LIKE",
    GroupId: Id = "",
    Lang: Id = "",
    PageNumber: Page = 1,
    PageSize: Size = 20,
    ResourceGroupId: Id = "",
    Starmark: Flag = False,
) -> Answer:
    """A page of domains."""
    found = [
        d
        for d in call.view.find(DOMAIN)
        if (not KeyWord or (KeyWord.lower() == d["DomainName"] if SearchMode.upper() == "EXACT" else KeyWord.lower() in d["DomainName"]))
        and (not ResourceGroupId or d["ResourceGroupId"] == ResourceGroupId)
    ]
    chosen, counts = page(found, PageNumber, PageSize)
    return {"Domains": {"Domain": [_render(call, d) for d in chosen]}, **counts}


def _render(call: Call, d: Resource) -> dict[str, Any]:
    return {
        "DomainName": d["DomainName"],
        "DomainId": d["DomainId"],
        "PunyCode": d["DomainName"],
        "AliDomain": False,
        "CreateTime": iso_minute(d["CreatedAt"]),
        "CreateTimestamp": int(d["CreatedAt"] * 1000),
        "DnsServers": {"DnsServer": list(NAMESERVERS)},
        "GroupId": "",
        "GroupName": "",
        "InstanceId": "",
        "RecordCount": len(records_of(call.view, d["DomainName"])),
        "Remark": d["Remark"],
        "ResourceGroupId": d["ResourceGroupId"],
        "Starmark": False,
        "VersionCode": "mianfei",
        "VersionName": "Alibaba Cloud DNS",
        "Tags": {"Tag": [{"Key": k, "Value": v} for k, v in d["Tags"].items()]},
    }


@alidns.action("DescribeDomainInfo", Effect.READ)
def describe_domain_info(call: Call, DomainName: DomainName, Lang: Id = "", NeedDetailAttributes: Flag = False) -> Answer:
    """One domain."""
    domain = get_domain(call, DomainName)
    shown = {
        name: value for name, value in _render(call, domain).items() if name not in ("Tags", "RecordCount", "CreateTimestamp", "Starmark")
    }
    line = {"LineCode": "default", "LineName": "default", "LineDisplayName": "Default", "FatherCode": ""}
    more: dict[str, Any] = {
        "MinTtl": LEAST_TTL,
        "InBlackHole": False,
        "InClean": False,
        "SlaveDns": False,
        "RegionLines": False,
        "SubDomain": False,
    }
    more |= {
        "AvailableTtls": {"AvailableTtl": ["600", "1800", "3600", "43200", "86400"]},
        "RecordLines": {"RecordLine": [line]},
        "LineType": "region_province",
    }
    return {**shown, **more}
