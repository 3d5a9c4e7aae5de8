"""alicloud_alidns_domain and alicloud_alidns_record.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/alidns_record
"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.alicloud.common import TAGS, read_tags, sent, tag_params
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, computed, one_of, optional, required
from haechi.provider.types import NUMBER, STRING_SET

_NO_DOMAIN = ("InvalidDomainName.NoExist",)
_NO_RECORD = ("DomainRecordNotBelongToUser", "InvalidRR.NoExist")
_BUSY = ("InternalError", "LastOperationNotFinished", "RecordForbidden.DNSChange", "DnsSystemBusyness")
DOMAIN_FIELDS: Fields = {
    "domain_name": required(force_new=True),
    "group_id": optional(),
    "lang": optional(force_new=True),
    "remark": optional(),
    "resource_group_id": optional(computed=True, force_new=True),
    "tags": TAGS,
    "dns_servers": computed(STRING_SET),
    "domain_id": computed(),
    "group_name": computed(),
    "puny_code": computed(),
}


def _create_domain(cloud: Cloud, d: Data) -> None:
    names = {"DomainName": "domain_name", "GroupId": "group_id", "Lang": "lang", "ResourceGroupId": "resource_group_id"}
    d.id = cloud.call("alidns", "AddDomain", sent(d, names), _BUSY, d.timeout)["DomainName"]
    _tag(cloud, d)
    if d["remark"]:
        cloud.call("alidns", "UpdateDomainRemark", {"DomainName": d.id, "Remark": d["remark"]}, _BUSY, d.timeout)


def _tag(cloud: Cloud, d: Data) -> None:
    target = {"ResourceType": "DOMAIN", "ResourceId": [d.id]}
    if old := d.old("tags"):
        cloud.call("alidns", "UntagResources", {**target, "TagKey": sorted(old)})
    if d["tags"]:
        cloud.call("alidns", "TagResources", {**target, "Tag": tag_params(d["tags"])})


def _read_domain(cloud: Cloud, d: Data) -> None:
    found = cloud.find("alidns", "DescribeDomainInfo", {"DomainName": d.id}, _NO_DOMAIN)
    if found is None:
        d.id = ""
        return
    tags = cloud.call("alidns", "ListTagResources", {"ResourceType": "DOMAIN", "ResourceId": [d.id]})
    d.update(
        domain_name=d.id,
        dns_servers=found.get("DnsServers", {}).get("DnsServer", []),
        domain_id=found.get("DomainId"),
        group_id=found.get("GroupId") or None,
        group_name=found.get("GroupName"),
        puny_code=found.get("PunyCode"),
        remark=found.get("Remark") or None,
        resource_group_id=found.get("ResourceGroupId"),
        tags=read_tags(tags.get("TagResources", [])),
    )


def _update_domain(cloud: Cloud, d: Data) -> None:
    if d.changed("tags"):
        _tag(cloud, d)
    if d.changed("remark"):
        cloud.call("alidns", "UpdateDomainRemark", {"DomainName": d.id, "Remark": d["remark"] or ""}, _BUSY, d.timeout)


def _delete_domain(cloud: Cloud, d: Data) -> None:
    cloud.delete("alidns", "DeleteDomain", {"DomainName": d.id}, _NO_DOMAIN, _BUSY, d.timeout)


DOMAIN = Resource(DOMAIN_FIELDS, _create_domain, _read_domain, _delete_domain, _update_domain)


def _same_host(old: Any, new: Any, others: Any) -> bool:
    """The final dot of a host's name means nothing."""
    hosts = others.get("type") in ("NS", "MX", "CNAME", "SRV")
    return hosts and str(old or "").rstrip(".") == str(new or "").rstrip(".")


RECORD_FIELDS: Fields = {
    "domain_name": required(force_new=True),
    "rr": required(),
    "type": required(check=one_of("A", "NS", "MX", "TXT", "CNAME", "SRV", "AAAA", "CAA", "REDIRECT_URL", "FORWARD_URL")),
    "value": required(same=_same_host),
    "line": optional(default="default"),
    "ttl": optional(NUMBER, default=600),
    "priority": optional(NUMBER),
    "status": optional(default="ENABLE", check=one_of("ENABLE", "DISABLE")),
    "remark": optional(),
    "lang": optional(),
    "user_client_ip": optional(),
}
_SENT = {"RR": "rr", "Type": "type", "Value": "value", "Line": "line", "TTL": "ttl", "Lang": "lang", "UserClientIp": "user_client_ip"}


def _params(d: Data) -> dict[str, Any]:
    return {**sent(d, _SENT), **({"Priority": d["priority"]} if d["type"] == "MX" and d["priority"] else {})}


def _create_record(cloud: Cloud, d: Data) -> None:
    d.id = cloud.call("alidns", "AddDomainRecord", {"DomainName": d["domain_name"], **_params(d)}, _BUSY, d.timeout)["RecordId"]
    _settle(cloud, d, bool(d["remark"]))


def _settle(cloud: Cloud, d: Data, remark: bool) -> None:
    cloud.call("alidns", "SetDomainRecordStatus", {"RecordId": d.id, "Status": d["status"]}, _BUSY, d.timeout)
    if remark:
        cloud.call("alidns", "UpdateDomainRecordRemark", {"RecordId": d.id, "Remark": d["remark"] or ""}, _BUSY, d.timeout)


def _read_record(cloud: Cloud, d: Data) -> None:
    found = cloud.find("alidns", "DescribeDomainRecordInfo", {"RecordId": d.id}, _NO_RECORD)
    if found is None:
        d.id = ""
        return
    names = {"domain_name": "DomainName", "rr": "RR", "type": "Type", "value": "Value", "line": "Line", "ttl": "TTL", "status": "Status"}
    d.update(**{name: found.get(wire) for name, wire in names.items()})
    if found.get("Type") == "MX":
        d["priority"] = found.get("Priority")


def _update_record(cloud: Cloud, d: Data) -> None:
    if any(d.changed(name) for name in ("rr", "type", "value", "line", "ttl", "priority")):
        cloud.call("alidns", "UpdateDomainRecord", {"RecordId": d.id, **_params(d)}, _BUSY, d.timeout)
    if d.changed("status") or d.changed("remark"):
        _settle(cloud, d, d.changed("remark"))


def _delete_record(cloud: Cloud, d: Data) -> None:
    cloud.delete("alidns", "DeleteDomainRecord", {"RecordId": d.id}, _NO_RECORD, _BUSY, d.timeout)


RECORD = Resource(RECORD_FIELDS, _create_record, _read_record, _delete_record, _update_record)
