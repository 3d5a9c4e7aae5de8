"""Tags of domains."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import tag_dict
from haechi.cloud.params import Flag, Id, TagKeys, Tags, Texts
from haechi.cloud.products.alidns.lookup import DOMAIN, get_domain
from haechi.cloud.products.alidns.product import alidns

MOST = 20


def _check(type: str) -> None:
    if type.upper() != "DOMAIN":
        raise invalid("ResourceType", "It is DOMAIN.")


@alidns.action("TagResources", Effect.RECORD)
def tag_resources(call: Call, ResourceType: Id, ResourceId: Texts, Tag: Tags, OverWrite: Flag = True, Lang: Id = "") -> Answer:
    """Add tags, or give them other values."""
    _check(ResourceType)
    for id in ResourceId:
        domain = get_domain(call, id)
        tags = {**domain["Tags"], **tag_dict(Tag)}
        if len(tags) > MOST:
            raise ApiError("QuotaExceeded.Tags", f"A domain has at most {MOST} tags.")
        call.tx.change(domain, Tags=tags)
    return {}


@alidns.action("UntagResources", Effect.RECORD)
def untag_resources(call: Call, ResourceType: Id, ResourceId: Texts, TagKey: TagKeys = (), All: Flag = False, Lang: Id = "") -> Answer:
    """Remove tags by their keys, or all."""
    _check(ResourceType)
    for id in ResourceId:
        domain = get_domain(call, id)
        call.tx.change(domain, Tags={} if All else {k: v for k, v in domain["Tags"].items() if k not in TagKey})
    return {}


@alidns.action("ListTagResources", Effect.READ)
def list_tag_resources(call: Call, ResourceType: Id, ResourceId: Texts = (), Tag: Tags = (), NextToken: Id = "", Lang: Id = "") -> Answer:
    """Tags of domains, one a row."""
    _check(ResourceType)
    found = [get_domain(call, id) for id in ResourceId] if ResourceId else call.view.find(DOMAIN)
    wanted = {tag.get("Key", ""): tag.get("Value") for tag in Tag}
    rows = [
        {"ResourceId": d["DomainName"], "ResourceType": "DOMAIN", "TagKey": key, "TagValue": value}
        for d in found
        for key, value in d["Tags"].items()
        if not wanted or (key in wanted and wanted[key] in (None, "", value))
    ]
    return {"TagResources": rows, "NextToken": ""}
