"""Data sources alicloud_alidns_domains and alicloud_alidns_records.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/alidns_records
"""

from __future__ import annotations

import re

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import IDS, TAGS, finish, matching, read_tags
from haechi.provider.resource import Data, DataSource
from haechi.provider.schema import computed, is_regex, objects, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_MAP, STRINGS


def _read_domains(cloud: Cloud, d: Data) -> None:
    params = {"GroupId": d["group_id"], "Lang": d["lang"], "ResourceGroupId": d["resource_group_id"]}
    listed = list(cloud.pages("alidns", "DescribeDomains", params, "Domains", "Domain"))
    wanted = (d["tags"] or {}).items()
    results = []
    for item in matching(d, listed, "DomainId", "DomainName"):
        target = {"ResourceType": "DOMAIN", "ResourceId": [item["DomainName"]]}
        tags = read_tags(items(cloud.call("alidns", "ListTagResources", target), "TagResources"))
        if wanted <= tags.items():
            shown = {"id": item["DomainName"], "domain_name": item["DomainName"], "domain_id": item["DomainId"], "tags": tags}
            results.append({**shown, "group_id": item.get("GroupId") or None, "remark": item.get("Remark") or None})
    finish(d, "domains", results, [str(r["domain_id"]) for r in results], [str(r["domain_name"]) for r in results])


DOMAINS = DataSource(
    {
        **IDS,
        "name_regex": optional(check=is_regex),
        **{name: optional() for name in ("lang", "group_id", "resource_group_id")},
        "tags": TAGS,
        "names": computed(STRINGS),
        "domains": objects(**dict.fromkeys(("id", "domain_id", "domain_name", "group_id", "remark"), STRING), tags=STRING_MAP),
    },
    _read_domains,
)

_RECORD_SENT = {
    "RRKeyWord": "rr_key_word",
    "TypeKeyWord": "type_key_word",
    "ValueKeyWord": "value_key_word",
    "KeyWord": "key_word",
    "SearchMode": "search_mode",
    "Type": "type",
    "Line": "line",
    "Status": "status",
    "OrderBy": "order_by",
    "Direction": "direction",
    "GroupId": "group_id",
    "Lang": "lang",
}
_RECORD = {
    "record_id": "RecordId",
    "domain_name": "DomainName",
    "rr": "RR",
    "value": "Value",
    "type": "Type",
    "ttl": "TTL",
    "priority": "Priority",
    "line": "Line",
    "status": "Status",
    "locked": "Locked",
    "remark": "Remark",
}


def _read_records(cloud: Cloud, d: Data) -> None:
    params = {wire: d[name] for wire, name in _RECORD_SENT.items()}
    listed = cloud.pages("alidns", "DescribeDomainRecords", {"DomainName": d["domain_name"], **params}, "DomainRecords", "Record")
    wanted, locked = set(d["ids"] or ()), d["is_locked"]
    found = [
        item
        for item in listed
        if (not wanted or item["RecordId"] in wanted)
        and (locked is None or bool(item.get("Locked")) == locked)
        and all(not d[name] or re.search(d[name], item[wire]) for name, wire in (("rr_regex", "RR"), ("value_regex", "Value")))
    ]
    results = [{"id": item["RecordId"], **{name: item.get(wire) for name, wire in _RECORD.items()}} for item in found]
    finish(d, "records", results, [str(result["id"]) for result in results])


RECORDS = DataSource(
    {
        **IDS,
        "domain_name": required(),
        **{name: optional() for name in _RECORD_SENT.values()},
        "status": optional(check=lambda v: one_of("ENABLE", "DISABLE")(v.upper())),
        "is_locked": optional(BOOL),
        **{name: optional(check=is_regex) for name in ("rr_regex", "value_regex")},
        "records": objects(
            id=STRING, **{name: NUMBER if name in ("ttl", "priority") else BOOL if name == "locked" else STRING for name in _RECORD}
        ),
    },
    _read_records,
)
