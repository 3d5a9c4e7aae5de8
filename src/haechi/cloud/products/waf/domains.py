"""Domains in CNAME mode."""

from __future__ import annotations

import random
import re
import string
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing
from haechi.cloud.jsontext import parse_object, whole
from haechi.cloud.paging import page
from haechi.cloud.params import Id, PageNumber, PageSize, Str, Text
from haechi.cloud.products.waf.lookup import DOMAIN, get_domain, get_instance
from haechi.cloud.products.waf.product import waf
from haechi.cloud.store import Resource
from haechi.dataplane.addresses import is_address

CNAME = "yundunwaf3.com"
Json = Annotated[str, Text(65536)]
DomainName = Annotated[str, Text(253, 3, r"(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}")]
MaybeName = Annotated[str, Text(253)]
LISTEN = {
    "HttpPorts": [],
    "HttpsPorts": [],
    "CertId": "",
    "CipherSuite": 1,
    "CustomCiphers": [],
    "EnableTLSv3": False,
    "ExclusiveIp": False,
    "FocusHttps": False,
    "Http2Enabled": False,
    "IPv6Enabled": False,
    "ProtectionResource": "share",
    "TLSVersion": "tlsv1.2",
    "XffHeaderMode": 0,
    "XffHeaders": [],
}
REDIRECT = {
    "Loadbalance": "iphash",
    "FocusHttpBackend": False,
    "SniEnabled": False,
    "SniHost": "",
    "RequestHeaders": [],
    "Retry": True,
    "Keepalive": True,
    "KeepaliveRequests": 1000,
    "KeepaliveTimeout": 15,
    "ConnectTimeout": 5,
    "ReadTimeout": 120,
    "WriteTimeout": 120,
    "XffProto": False,
    "MaxBodySize": 2,
    "Http2Origin": False,
    "BackendPorts": [],
    "Backends": [],
    "BackupBackends": [],
}
UNABLE = {"ExclusiveIp": False, "IPv6Enabled": False, "SM2Enabled": False, "ProtectionResource": "share"}


def _listen(call: Call, text: str, before: dict[str, Any]) -> dict[str, Any]:
    """Listen as it is kept. Raises InvalidParameter and errors of certificates."""
    given = parse_object("Listen", text)
    found = {**before, **{name: value for name, value in given.items() if name in LISTEN and value is not None}}
    for name, able in UNABLE.items():
        if given.get(name) not in (None, able, ""):
            raise ApiError("Waf.Pullin.Unsupported", f"{name} is not supported by this cloud.")
    for name in ("HttpPorts", "HttpsPorts"):
        if not isinstance(found[name], list) or len(found[name]) > 50:
            raise invalid(f"Listen.{name}", "It is a list of ports.")
        found[name] = [whole(f"Listen.{name}", port, 1, 65535) for port in found[name]]
    if not found["HttpPorts"] and not found["HttpsPorts"]:
        raise invalid("Listen", "It names no port.")
    if set(found["HttpPorts"]) & set(found["HttpsPorts"]):
        raise invalid("Listen", "A port carries http or https.")
    if found["HttpsPorts"]:
        if not found["CertId"]:
            raise missing("Listen.CertId")
        if call.view.get("server_certificate", str(found["CertId"])) is None:
            raise ApiError("Waf.Pullin.CertNotExist", "There is no such certificate; this cloud keeps them in SLB.", 404)
    found["XffHeaderMode"] = whole("Listen.XffHeaderMode", found["XffHeaderMode"], 0, 2)
    headers = found["XffHeaders"]
    if found["XffHeaderMode"] == 2 and (len(headers) != 1 or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", str(headers[0]))):
        raise invalid("Listen.XffHeaders", "This cloud takes the client's address from one header.")
    return found


def _redirect(text: str, before: dict[str, Any]) -> dict[str, Any]:
    """Redirect as it is kept. Raises InvalidParameter."""
    given = parse_object("Redirect", text)
    found = {**before, **{name: value for name, value in given.items() if name in REDIRECT and value is not None}}
    if found["BackupBackends"]:
        raise ApiError("Waf.Pullin.Unsupported", "Backup origins are not supported by this cloud.")
    backends = found["Backends"]
    if not isinstance(backends, list) or not 1 <= len(backends) <= 20 or not all(isinstance(b, str) for b in backends):
        raise invalid("Redirect.Backends", "It holds 1 to 20 addresses, or one domain name.")
    names = [backend for backend in backends if not is_address(backend)]
    if names and (len(backends) > 1 or not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]{2,63}", names[0].lower())):
        raise invalid("Redirect.Backends", "It holds 1 to 20 addresses, or one domain name.")
    if found["Loadbalance"] not in ("iphash", "roundRobin", "leastTime"):
        raise invalid("Redirect.Loadbalance", "It must be iphash, roundRobin or leastTime.")
    for name in ("ConnectTimeout", "ReadTimeout", "WriteTimeout"):
        found[name] = whole(f"Redirect.{name}", found[name], 1, 3600)
    pairs = found["RequestHeaders"]
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) and _is_header(pair) for pair in pairs):
        raise invalid("Redirect.RequestHeaders", "It holds headers as {Key, Value} in plain characters.")
    if not isinstance(found["BackendPorts"], list):
        raise invalid("Redirect.BackendPorts")
    for item in found["BackendPorts"]:
        for name in ("ListenPort", "BackendPort"):
            item[name] = whole(f"Redirect.BackendPorts.{name}", item.get(name), 1, 65535)
    return found


def _is_header(pair: dict[str, Any]) -> bool:
    key, value = str(pair.get("Key", "")), str(pair.get("Value", ""))
    return bool(re.fullmatch(r"[A-Za-z0-9-]{1,64}", key) and re.fullmatch(r"[\x20-\x21\x23\x25-\x5b\x5d-\x7e]{0,256}", value))


@waf.action("CreateDomain", Effect.PACKETS)
def create_domain(
    call: Call,
    InstanceId: Id,
    Domain: DomainName,
    Listen: Json,
    Redirect: Json,
    RegionId: Id = "",
    AccessType: Str = "share",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Guard a domain; core rules are on at once. Its CNAME leads to the instance's address."""
    get_instance(call, InstanceId)
    name = Domain.lower()
    if call.view.get(DOMAIN, name) is not None:
        raise ApiError("Waf.Pullin.DomainExist", "The domain exists already.")
    label = "".join(random.SystemRandom().choices(string.ascii_lowercase + string.digits, k=32))
    values = {"InstanceId": InstanceId, "Domain": name, "DomainId": call.store.new_id("domain"), "Cname": f"{label}.{CNAME}"}
    listen, redirect = _listen(call, Listen, LISTEN), _redirect(Redirect, REDIRECT)
    made = call.tx.put(DOMAIN, name, "", {**values, "Listen": listen, "Redirect": redirect, "CreatedAt": call.now()})
    return {"DomainInfo": {"Domain": name, "DomainId": made["DomainId"], "Cname": made["Cname"]}}


@waf.action("ModifyDomain", Effect.PACKETS)
def modify_domain(
    call: Call,
    InstanceId: Id,
    Listen: Json,
    Redirect: Json,
    Domain: MaybeName = "",
    DomainId: Id = "",
    RegionId: Id = "",
    AccessType: Str = "share",
) -> Answer:
    """Other ports or origins; what is not given stays, and so does the CNAME."""
    domain = get_domain(call, InstanceId, Domain, DomainId)
    call.tx.change(domain, Listen=_listen(call, Listen, domain["Listen"]), Redirect=_redirect(Redirect, domain["Redirect"]))
    return {"DomainInfo": {"Domain": domain["Domain"], "DomainId": domain["DomainId"], "Cname": domain["Cname"]}}


@waf.action("DeleteDomain", Effect.PACKETS)
def delete_domain(
    call: Call, InstanceId: Id, Domain: MaybeName = "", DomainId: Id = "", RegionId: Id = "", AccessType: Str = "share"
) -> Answer:
    """Serve it no more."""
    call.tx.delete(get_domain(call, InstanceId, Domain, DomainId))
    return {}


@waf.action("DescribeDomainDetail", Effect.READ)
def describe_domain_detail(call: Call, InstanceId: Id, Domain: MaybeName = "", DomainId: Id = "", RegionId: Id = "") -> Answer:
    """Everything of one domain."""
    d = get_domain(call, InstanceId, Domain, DomainId)
    backends, redirect = d["Redirect"]["Backends"], {k: v for k, v in d["Redirect"].items() if k not in ("Backends", "BackupBackends")}
    redirect |= {"BackendList": backends, "Backends": [{"Backend": b} for b in backends], "AllBackends": backends}
    redirect |= {"BackUpBackendList": [], "BackupBackends": []}
    shown = {
        "Domain": d["Domain"],
        "DomainId": d["DomainId"],
        "Cname": d["Cname"],
        "Status": 1,
        "Listen": d["Listen"],
        "Redirect": redirect,
    }
    return {**shown, "Redirect": redirect, "ResourceManagerResourceGroupId": "default"}


@waf.action("DescribeDomains", Effect.READ)
def describe_domains(
    call: Call,
    InstanceId: Id,
    Domain: MaybeName = "",
    DomainId: Id = "",
    Backend: Str = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """A page of domains."""
    get_instance(call, InstanceId)
    found = [
        d
        for d in call.view.find(DOMAIN, InstanceId=InstanceId)
        if Domain.lower() in d["Domain"] and DomainId in ("", d["DomainId"]) and (not Backend or Backend in d["Redirect"]["Backends"])
    ]
    chosen, _ = page(found, PageNumber, PageSize)
    return {"Domains": [_row(d) for d in chosen], "TotalCount": len(found)}


def _row(d: Resource) -> dict[str, Any]:
    listen, backends = d["Listen"], [{"Backend": b} for b in d["Redirect"]["Backends"]]
    ports = {"Http": listen["HttpPorts"], "Https": listen["HttpsPorts"]}
    origins = {"Http": backends if listen["HttpPorts"] else [], "Https": backends if listen["HttpsPorts"] else []}
    shown = {"Domain": d["Domain"], "DomainId": d["DomainId"], "Cname": d["Cname"], "Status": 1, "ListenPorts": ports}
    return {**shown, "Backeds": origins, "ResourceManagerResourceGroupId": "default"}


@waf.action("DescribeCnameCount", Effect.READ)
def describe_cname_count(call: Call, InstanceId: Id, RegionId: Id = "", ResourceManagerResourceGroupId: Id = "") -> Answer:
    """How many domains there are."""
    get_instance(call, InstanceId)
    count = len(call.view.find(DOMAIN, InstanceId=InstanceId))
    return {"CnameCount": {"Total": count, "Cname": count, "HybridCloudCname": 0}}


@waf.action("DescribeDomainDNSRecord", Effect.READ)
def describe_domain_dns_record(
    call: Call, InstanceId: Id, Domain: DomainName, RegionId: Id = "", ResourceManagerResourceGroupId: Id = ""
) -> Answer:
    """Whether Cloud DNS leads the domain here: cnameMatched, unUsed or unRecord. A domain behind Anti-DDoS leads there."""
    d = get_domain(call, InstanceId, Domain)
    records = [r for r in call.view.find("dns_record") if f"{r['RR']}.{r['DomainName']}".removeprefix("@.") == d["Domain"]]
    values = [str(r["Value"]).rstrip(".") for r in records if r["Type"] in ("CNAME", "A")]
    status = "cnameMatched" if d["Cname"] in values else "unUsed" if values else "unRecord"
    return {"DNSStatus": status}


@waf.action("ListTagResources", Effect.READ)
def list_tag_resources(
    call: Call, RegionId: Id = "", ResourceType: Str = "", NextToken: Str = "", ResourceManagerResourceGroupId: Id = ""
) -> Answer:
    """Domains of this cloud have no tags."""
    return {"TagResources": [], "NextToken": ""}
