"""Domains: who is served, on which ports, from which origins."""

from __future__ import annotations

import random
import string
from ipaddress import IPv4Address
from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.jsontext import parse_object
from haechi.cloud.paging import page
from haechi.cloud.params import Id, PageNumber, PageSize, Str
from haechi.cloud.products.ddoscoo.kinds import DomainName, InstanceIds, Json, Pem, ProxyTypes, RealServers, RsType
from haechi.cloud.products.ddoscoo.lookup import DOMAIN, domains_of, get_domain, get_instances
from haechi.cloud.products.ddoscoo.product import ddoscoo
from haechi.cloud.products.slb.x509 import read_chain, read_key
from haechi.cloud.store import Resource

CNAME = "aliyunddos0001.com"
SECURE = ("https", "websockets")


def _ports(proxy_types: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """[{ProxyType, ProxyPorts}], each port once for one scheme. Raises InvalidParameter."""
    taken: dict[int, bool] = {}
    for item in proxy_types:
        for port in item["ProxyPorts"]:
            secure = item["ProxyType"] in SECURE
            if taken.setdefault(port, secure) != secure:
                raise invalid("ProxyTypes", f"Port {port} cannot carry both http and https.")
    if not taken:
        raise invalid("ProxyTypes", "It names no port.")
    return [{"ProxyType": item["ProxyType"], "ProxyPorts": list(item["ProxyPorts"])} for item in proxy_types]


def _origins(call: Call, servers: tuple[str, ...], rs_type: int) -> list[str]:
    """The origins. Raises InvalidParameter."""
    if len(servers) > (10 if rs_type else 20):
        raise invalid("RealServers", "There are too many.")
    if rs_type == 0:
        try:
            return [str(IPv4Address(server)) for server in servers]
        except ValueError:
            raise invalid("RealServers", "With RsType 0 they are IPv4 addresses.") from None
    for server in servers:
        if not all(part and len(part) < 64 and part.replace("-", "").isalnum() and part.isascii() for part in server.split(".")):
            raise invalid("RealServers", "With RsType 1 they are domain names.")
    return [server.lower() for server in servers]


def _https_ext(text: str) -> dict[str, int]:
    """{Http2https, Https2http, Http2}, each 0 or 1. Raises InvalidParameter."""
    found = parse_object("HttpsExt", text) if text else {}
    names = ("Http2https", "Https2http", "Http2")
    values = {name: found.get(name, 0) for name in names}
    if any(value not in (0, 1) or isinstance(value, bool) for value in values.values()):
        raise invalid("HttpsExt", "Its fields are 0 or 1.")
    return values


@ddoscoo.action("CreateDomainResource", Effect.PACKETS)
def create_domain_resource(
    call: Call,
    Domain: DomainName,
    InstanceIds: InstanceIds,
    RealServers: RealServers,
    RsType: RsType,
    ProxyTypes: ProxyTypes,
    HttpsExt: Json = "",
) -> Answer:
    """Serve a domain. Its CNAME is told by DescribeDomainResource."""
    name = Domain.lower()
    if call.view.get(DOMAIN, name) is not None:
        raise ApiError("DomainExist", "The domain already exists.")
    instances = get_instances(call, InstanceIds)
    for instance in instances:
        if len(domains_of(call.view, instance.id)) >= instance["DomainCount"]:
            raise ApiError("DomainCountLimit", "The number of domains reaches the limit of the instance.")
    if not 1 <= len(instances) <= 8:
        raise invalid("InstanceIds", "A domain is served by one to eight instances.")
    cname = "".join(random.SystemRandom().choices(string.ascii_lowercase + string.digits, k=16))
    values = {
        "Domain": name,
        "Cname": f"{cname}.{CNAME}",
        "InstanceIds": list(dict.fromkeys(InstanceIds)),
        "RealServers": _origins(call, RealServers, RsType),
        "RsType": RsType,
        "ProxyTypes": _ports(ProxyTypes),
        "HttpsExt": _https_ext(HttpsExt),
        "Policy": {"ProxyMode": "ip_hash", "Attributes": {}},
        "CcSwitch": "on",
        "CcTemplate": "default",
        "CcRuleSwitch": "on",
        "Rules": [],
        "Black": [],
        "White": [],
        "IpSetSwitch": {"BlackListEnable": 1, "WhiteListEnable": 1},
        "CertName": "",
        "Certificate": "",
        "Headers": {},
    }
    call.tx.put(DOMAIN, name, "", {"CreatedAt": call.now(), **values})
    return {}


@ddoscoo.action("ModifyDomainResource", Effect.PACKETS)
def modify_domain_resource(
    call: Call,
    Domain: DomainName,
    InstanceIds: InstanceIds,
    RealServers: RealServers,
    RsType: RsType,
    ProxyTypes: ProxyTypes,
    HttpsExt: Json = "",
) -> Answer:
    """Other instances, origins or ports; the CNAME stays."""
    domain = get_domain(call, Domain)
    get_instances(call, InstanceIds)
    changed = {"InstanceIds": list(dict.fromkeys(InstanceIds)), "RealServers": _origins(call, RealServers, RsType), "RsType": RsType}
    call.tx.change(domain, **changed, ProxyTypes=_ports(ProxyTypes), HttpsExt=_https_ext(HttpsExt) if HttpsExt else domain["HttpsExt"])
    return {}


@ddoscoo.action("DeleteDomainResource", Effect.PACKETS)
def delete_domain_resource(call: Call, Domain: DomainName) -> Answer:
    """Serve it no more."""
    call.tx.delete(get_domain(call, Domain))
    return {}


@ddoscoo.action("AssociateWebCert", Effect.PACKETS)
def associate_web_cert(call: Call, Domain: DomainName, CertName: Str = "", Cert: Pem = "", Key: Pem = "", CertRegion: Str = "") -> Answer:
    """The certificate and key with which https is served from now on."""
    domain = get_domain(call, Domain)
    read_chain("Cert", Cert)
    read_key(Key, Cert)
    call.tx.change(domain, CertName=CertName or "certificate", Certificate=f"{Cert.strip()}\n{Key.strip()}\n")
    return {}


@ddoscoo.action("DescribeDomains", Effect.READ)
def describe_domains(call: Call, InstanceIds: InstanceIds = (), ResourceGroupId: Id = "") -> Answer:
    """Names of the domains that are served."""
    return {"Domains": [d["Domain"] for d in call.view.find(DOMAIN) if not InstanceIds or set(InstanceIds) & set(d["InstanceIds"])]}


def _matching(call: Call, domain: str, cname: str, instances: tuple[str, ...], pattern: str) -> list[Resource]:
    return [
        d
        for d in call.view.find(DOMAIN)
        if (not domain or (d["Domain"] == domain.lower() if pattern == "exact" else domain.lower() in d["Domain"]))
        and (not cname or d["Cname"] == cname)
        and (not instances or set(instances) & set(d["InstanceIds"]))
    ]


@ddoscoo.action("DescribeDomainResource", Effect.READ)
def describe_domain_resource(
    call: Call,
    Domain: Str = "",
    InstanceIds: InstanceIds = (),
    QueryDomainPattern: Str = "fuzzy",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
) -> Answer:
    """A page of domains; origins as texts."""
    found = _matching(call, Domain, "", InstanceIds, QueryDomainPattern)
    chosen, _ = page(found, PageNumber, PageSize)
    return {"WebRules": [{**render_domain(d), "RealServers": d["RealServers"]} for d in chosen], "TotalCount": len(found)}


@ddoscoo.action("DescribeWebRules", Effect.READ)
def describe_web_rules(
    call: Call,
    Domain: Str = "",
    Cname: Str = "",
    InstanceIds: InstanceIds = (),
    QueryDomainPattern: Str = "fuzzy",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    ResourceGroupId: Id = "",
) -> Answer:
    """A page of domains; origins as objects."""
    found = _matching(call, Domain, Cname, InstanceIds, QueryDomainPattern)
    chosen, _ = page(found, PageNumber, PageSize)
    rules = [{**render_domain(d), "RealServers": [{"RealServer": s, "RsType": d["RsType"]} for s in d["RealServers"]]} for d in chosen]
    return {"WebRules": rules, "TotalCount": len(found)}


def render_domain(d: Resource) -> dict[str, Any]:
    """What both lists tell of a domain, but its origins."""
    ext = d["HttpsExt"]
    return {
        "Domain": d["Domain"],
        "Cname": d["Cname"],
        "InstanceIds": d["InstanceIds"],
        "RsType": d["RsType"],
        "ProxyTypes": [{"ProxyType": t["ProxyType"], "ProxyPorts": [str(p) for p in t["ProxyPorts"]]} for t in d["ProxyTypes"]],
        "ProxyEnabled": True,
        "HttpsExt": f'{{"Http2":{ext["Http2"]},"Http2https":{ext["Http2https"]},"Https2http":{ext["Https2http"]}}}',
        "Http2Enable": bool(ext["Http2"]),
        "Http2HttpsEnable": bool(ext["Http2https"]),
        "Https2HttpEnable": bool(ext["Https2http"]),
        "CcEnabled": d["CcSwitch"] == "on",
        "CcRuleEnabled": d["CcRuleSwitch"] == "on",
        "CcTemplate": d["CcTemplate"],
        "BlackList": d["Black"],
        "WhiteList": d["White"],
        "CertName": d["CertName"],
        "PolicyMode": d["Policy"]["ProxyMode"],
        "PunishStatus": False,
        "PunishReason": 0,
        "SslProtocols": "tls1.2",
        "SslCiphers": "default",
        "Ssl13Enabled": True,
        "OcspEnabled": False,
        "CustomCiphers": [],
    }
