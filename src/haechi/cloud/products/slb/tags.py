"""Tags of balancers, listeners, server groups, access control lists and certificates."""

from __future__ import annotations

import re
from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.paging import has_tags, page_token, tag_dict
from haechi.cloud.params import Choice, Flag, Items, Str, TagKeys, Tags, Text
from haechi.cloud.products.slb.product import slb
from haechi.cloud.store import Resource

KINDS = {
    "instance": ("load_balancer",),
    "listener": ("listener",),
    "vservergroup": ("vserver_group",),
    "acl": ("acl",),
    "certificate": ("server_certificate", "ca_certificate"),
    "masterslaveservergroup": (),
}
QUOTA = 20  # tags of one resource
ROWS = 1000  # on one page: Terraform reads the first page only
ResourceType = Annotated[str, Choice(tuple(KINDS))]
ResourceIds = Annotated[tuple[str, ...], Items(Text(128), 20)]


def _own_id(kind: str, id: str) -> str:
    """The stored id of what the wire names: a listener is lb-1_http_80 there."""
    match = re.fullmatch(r"(.+)_(tcp|udp|http|https)_([0-9]+)", id)
    return f"{match[1]}:{match[2]}:{match[3]}" if kind == "listener" and match else id


def _wire_id(resource: Resource) -> str:
    return resource.id.replace(":", "_") if resource.kind == "listener" else resource.id


def _get(call: Call, kind: str, id: str) -> Resource | None:
    found = (call.get(stored, _own_id(kind, id)) for stored in KINDS[kind])
    return next((r for r in found if r is not None), None)


def _get_all(call: Call, kind: str, ids: tuple[str, ...]) -> list[Resource]:
    """Raises InvalidResourceId.NotFound."""
    if not ids:
        raise missing("ResourceId.1")
    found = [r for r in (_get(call, kind, id) for id in dict.fromkeys(ids)) if r is not None]
    if len(found) != len(set(ids)):
        raise not_found("InvalidResourceId.NotFound", "The specified ResourceId does not exist.")
    return found


@slb.action("TagResources", Effect.RECORD)
def tag_resources(call: Call, ResourceType: ResourceType, ResourceId: ResourceIds, Tag: Tags) -> Answer:
    """Add tags; a key that is there gets the new value."""
    new = tag_dict(Tag)
    if not new:
        raise missing("Tag.1.Key")
    for resource in _get_all(call, ResourceType, ResourceId):
        tags = {**resource["Tags"], **new}
        if len(tags) > QUOTA:
            raise ApiError("QuotaExceeded.TagsPerResource", f"A resource has at most {QUOTA} tags.")
        call.tx.change(resource, Tags=tags)
    return {}


@slb.action("UntagResources", Effect.RECORD)
def untag_resources(call: Call, ResourceType: ResourceType, ResourceId: ResourceIds, TagKey: TagKeys = (), All: Flag = False) -> Answer:
    """Remove tags by key, or all of them where no key is given and All is true."""
    if not TagKey and not All:
        raise missing("TagKey.1")
    for resource in _get_all(call, ResourceType, ResourceId):
        call.tx.change(resource, Tags={k: v for k, v in resource["Tags"].items() if TagKey and k not in TagKey})
    return {}


@slb.action("ListTagResources", Effect.READ)
def list_tag_resources(call: Call, ResourceType: ResourceType, ResourceId: ResourceIds = (), Tag: Tags = (), NextToken: Str = "") -> Answer:
    """One row for each tag of the resources that are named and exist, or that carry the tags."""
    if not ResourceId and not Tag:
        raise missing("ResourceId.1")
    if ResourceId:
        found = [r for r in (_get(call, ResourceType, id) for id in dict.fromkeys(ResourceId)) if r is not None]
    else:
        found = [r for kind in KINDS[ResourceType] for r in call.find(kind)]
    keys = {t.get("Key", "") for t in Tag}
    rows = [
        {"ResourceType": ResourceType, "ResourceId": _wire_id(r), "TagKey": key, "TagValue": value}
        for r in found
        if has_tags(r, Tag)
        for key, value in r["Tags"].items()
        if not keys or key in keys
    ]
    chosen, token = page_token(rows, NextToken, ROWS, lambda row: f"{row['ResourceId']} {row['TagKey']}")
    return {"TagResources": {"TagResource": list(chosen)}, "NextToken": token}
