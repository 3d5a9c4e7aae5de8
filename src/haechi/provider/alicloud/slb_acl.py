"""alicloud_slb_acl and alicloud_slb_acl_entry_attachment.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/slb_acl
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, read_tags, update_tags
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, block, one_of, optional, required

FIELDS: Fields = {
    "name": optional(default="tf-slb-acl"),
    "ip_version": optional(default="ipv4", force_new=True, check=one_of("ipv4", "ipv6")),
    "resource_group_id": optional(computed=True, force_new=True),
    "entry_list": block("set", max_items=300, fields={"entry": required(), "comment": optional()}),
    "tags": TAGS,
}
_GONE = ("AclNotExist",)
_BUSY = ("AclEntryProcessing", "AclStatusError", "OperationBusy", "SystemBusy")
_CHUNK = 50


def _send(cloud: Cloud, acl_id: str, action: str, entries: Sequence[Mapping[str, Any]], timeout: float) -> None:
    for start in range(0, len(entries), _CHUNK):
        chunk = [{"entry": e["entry"], "comment": e.get("comment") or ""} for e in entries[start : start + _CHUNK]]
        with cloud.lock(acl_id):
            cloud.call("slb", action, {"AclId": acl_id, "AclEntrys": json.dumps(chunk)}, _BUSY, timeout)


def _describe(cloud: Cloud, acl_id: str) -> dict[str, Any] | None:
    return cloud.find("slb", "DescribeAccessControlListAttribute", {"AclId": acl_id}, _GONE)


def _create(cloud: Cloud, d: Data) -> None:
    params = {"AclName": d["name"], "AddressIPVersion": d["ip_version"], "ResourceGroupId": d["resource_group_id"] or None}
    d.id = cloud.call("slb", "CreateAccessControlList", params, timeout=d.timeout)["AclId"]
    update_tags(cloud, d, "slb", "acl")
    _send(cloud, d.id, "AddAccessControlListEntry", d["entry_list"] or [], d.timeout)


def _read(cloud: Cloud, d: Data) -> None:
    acl = _describe(cloud, d.id)
    if acl is None:
        d.id = ""
        return
    d.update(
        name=acl.get("AclName"),
        ip_version=acl.get("AddressIPVersion"),
        resource_group_id=acl.get("ResourceGroupId"),
        entry_list=[
            {"entry": e.get("AclEntryIP"), "comment": e.get("AclEntryComment") or None} for e in items(acl, "AclEntrys", "AclEntry")
        ],
    )
    tags = cloud.call("slb", "ListTagResources", {"ResourceType": "acl", "ResourceId": [d.id]})
    d["tags"] = read_tags(items(tags, "TagResources", "TagResource"))


def _update(cloud: Cloud, d: Data) -> None:
    update_tags(cloud, d, "slb", "acl")
    if d.changed("name"):
        cloud.call("slb", "SetAccessControlListAttribute", {"AclId": d.id, "AclName": d["name"]}, timeout=d.timeout)
    before, wanted = d.old("entry_list") or [], d["entry_list"] or []
    _send(cloud, d.id, "RemoveAccessControlListEntry", [e for e in before if e not in wanted], d.timeout)
    _send(cloud, d.id, "AddAccessControlListEntry", [e for e in wanted if e not in before], d.timeout)


def _delete(cloud: Cloud, d: Data) -> None:
    busy = ("AclInUsed", *_BUSY)
    cloud.delete("slb", "DeleteAccessControlList", {"AclId": d.id}, _GONE, busy, d.timeout)
    cloud.wait(f"{d.id} to be deleted", lambda: _describe(cloud, d.id), lambda a: a is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 300, "update": 300, "delete": 300})


def _add(cloud: Cloud, d: Data) -> None:
    _send(cloud, d["acl_id"], "AddAccessControlListEntry", [d.values], d.timeout)
    d.id = f"{d['acl_id']}:{d['entry']}"


def _split(entry_id: str) -> tuple[str, str]:
    acl_id, colon, entry = entry_id.partition(":")
    if not colon:
        raise Problem(f"{entry_id} is not the id of an entry", "It is <acl id>:<cidr>.")
    return acl_id, entry


def _read_entry(cloud: Cloud, d: Data) -> None:
    acl_id, cidr = _split(d.id)
    entry = next((e for e in items(_describe(cloud, acl_id), "AclEntrys", "AclEntry") if e.get("AclEntryIP") == cidr), None)
    if entry is None:
        d.id = ""
        return
    d.update(acl_id=acl_id, entry=cidr, comment=entry.get("AclEntryComment"))


def _remove(cloud: Cloud, d: Data) -> None:
    with cloud.lock(d["acl_id"]):
        gone = ("AclEntryEmpty", *_GONE)
        entries = json.dumps([{"entry": d["entry"], "comment": d["comment"] or ""}])
        cloud.delete("slb", "RemoveAccessControlListEntry", {"AclId": d["acl_id"], "AclEntrys": entries}, gone, _BUSY, d.timeout)


ENTRY = Resource(
    fields={"acl_id": required(force_new=True), "entry": required(force_new=True), "comment": optional(force_new=True)},
    create=_add,
    read=_read_entry,
    delete=_remove,
    timeouts={"create": 300, "delete": 300},
)
