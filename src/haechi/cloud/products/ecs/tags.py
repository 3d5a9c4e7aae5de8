"""Tags and resource groups of everything ECS has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing, not_found
from haechi.cloud.paging import has_tags, page, page_token, tag_dict
from haechi.cloud.params import Choice, Flag, Id, Items, PageNumber, PageSize, Struct, TagKeys, Tags, Text
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource

KINDS = {
    "instance": "instance",
    "disk": "disk",
    "snapshot": "snapshot",
    "image": "image",
    "securitygroup": "security_group",
    "eni": "network_interface",
    "keypair": "key_pair",
}
COUNTED = {"instance": "Instance", "disk": "Disk", "snapshot": "Snapshot", "image": "Image", "securitygroup": "Securitygroup"}
COUNTED |= {"eni": "Eni", "keypair": "KeyPair"}
NONE_HERE = ("volume", "ddh", "ddhcluster", "launchtemplate", "reservedinstance", "snapshotpolicy")
TAGS = 20  # of one resource
LISTED = 50  # of one answer
ResourceType = Annotated[str, Choice((*KINDS, *NONE_HERE), "InvalidResourceType.NotSupported")]
ResourceIds = Annotated[tuple[str, ...], Items(Text(128), 50)]
TagFilters = Annotated[tuple[Mapping[str, Any], ...], Items(Struct({"TagKey": Text(128), "TagValues": Items(Text(128), 20)}), 20)]


def public_id(resource: Resource) -> str:
    """The id that clients use: the name of a key pair, the id of everything else."""
    return str(resource["KeyPairName"]) if resource.kind == "key_pair" else resource.id


def find_tagged(call: Call, type: str, id: str) -> Resource | None:
    """A resource by the id that clients use."""
    return call.get(KINDS.get(type, type), f"{call.region}/{id}" if type == "keypair" else id)


def _named(call: Call, type: str, ids: Sequence[str]) -> list[Resource]:
    if not ids:
        raise missing("ResourceId.1")
    found = []
    for id in ids:
        resource = find_tagged(call, type, id)
        if resource is None:
            raise not_found("InvalidResourceId.NotFound", "The specified ResourceIds are not found in our records.")
        found.append(resource)
    return found


def _add(call: Call, type: str, ids: Sequence[str], tags: Mapping[str, str]) -> None:
    if not tags:
        raise missing("Tag.1.Key")
    for resource in _named(call, type, ids):
        merged = {**(resource.get("Tags") or {}), **tags}
        if len(merged) > TAGS:
            raise ApiError("QuotaExceed.Tags", f"A resource has at most {TAGS} tags.", 403)
        call.tx.change(resource, Tags=merged)


@ecs.action("TagResources", Effect.RECORD)
def tag_resources(call: Call, ResourceType: ResourceType, ResourceId: ResourceIds, Tag: Tags) -> Answer:
    """Add tags, or change their values, of several resources."""
    _add(call, ResourceType, ResourceId, tag_dict(Tag))
    return {}


@ecs.action("AddTags", Effect.RECORD)
def add_tags(call: Call, ResourceType: ResourceType, ResourceId: Id, Tag: Tags) -> Answer:
    """The older form for one resource."""
    _add(call, ResourceType, [ResourceId], tag_dict(Tag))
    return {}


@ecs.action("UntagResources", Effect.RECORD)
def untag_resources(call: Call, ResourceType: ResourceType, ResourceId: ResourceIds, TagKey: TagKeys = (), All: Flag = False) -> Answer:
    """Take tags away by key, or all of them."""
    if not TagKey and not All:
        raise missing("TagKey.1")
    for resource in _named(call, ResourceType, ResourceId):
        own = resource.get("Tags") or {}
        call.tx.change(resource, Tags={k: v for k, v in own.items() if TagKey and k not in TagKey})
    return {}


@ecs.action("RemoveTags", Effect.RECORD)
def remove_tags(call: Call, ResourceType: ResourceType, ResourceId: Id, Tag: Tags = ()) -> Answer:
    """The older form for one resource: tags by key, or by key and value; without any, all."""
    for resource in _named(call, ResourceType, [ResourceId]):
        own = resource.get("Tags") or {}
        gone = {k for k, v in own.items() for t in Tag if t.get("Key") == k and t.get("Value", "") in ("", v)}
        call.tx.change(resource, Tags={k: v for k, v in own.items() if Tag and k not in gone})
    return {}


@ecs.action("ListTagResources", Effect.READ)
def list_tag_resources(
    call: Call,
    ResourceType: ResourceType,
    ResourceId: ResourceIds = (),
    Tag: Tags = (),
    TagFilter: TagFilters = (),
    NextToken: Annotated[str, Text(1024)] = "",
) -> Answer:
    """Tags of resources, one row each; with Tag only of resources that carry all of them. TagFilter compares exactly."""
    if ResourceId:
        found = [r for r in (find_tagged(call, ResourceType, id) for id in dict.fromkeys(ResourceId)) if r is not None]
    else:
        found = call.find(KINDS.get(ResourceType, ResourceType))
    rows = []
    for resource in found:
        own = resource.get("Tags") or {}
        if not has_tags(resource, Tag) or not all(_filtered(own, f) for f in TagFilter):
            continue
        for key, value in own.items():
            rows.append({"ResourceId": public_id(resource), "ResourceType": ResourceType, "TagKey": key, "TagValue": value})
    chosen, token = page_token(rows, NextToken, LISTED, lambda r: f"{r['ResourceId']} {r['TagKey']}")
    return {"NextToken": token, "TagResources": {"TagResource": list(chosen)}}


def _filtered(own: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    key, values = wanted.get("TagKey", ""), wanted.get("TagValues", ())
    if not key:
        raise invalid("TagFilter.N.TagKey", "", "InvalidTagKey.Malformed")
    return key in own and (not values or own[key] in values)


@ecs.action("DescribeTags", Effect.READ)
def describe_tags(
    call: Call,
    ResourceType: Annotated[str, Choice((*KINDS, *NONE_HERE), "InvalidResourceType.NotSupported")] = "",
    ResourceId: Id = "",
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 50,
) -> Answer:
    """Each pair of key and value that is in use, with how many resources of each type carry it."""
    if ResourceId and not ResourceType:
        raise missing("ResourceType")
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for type in [ResourceType] if ResourceType else KINDS:
        for resource in call.find(KINDS.get(type, type)):
            if ResourceId and public_id(resource) != ResourceId:
                continue
            for key, value in (resource.get("Tags") or {}).items():
                if not Tag or any(t.get("Key", key) == key and t.get("Value", "") in ("", value) for t in Tag):
                    row = counts.setdefault((key, value), dict.fromkeys(COUNTED.values(), 0))
                    row[COUNTED[type]] += 1
    chosen, numbers = page(sorted(counts), PageNumber, PageSize)
    rest = {"Ddh": 0, "Volume": 0, "LaunchTemplate": 0, "ReservedInstance": 0, "SnapshotPolicy": 0}
    rows = [{"TagKey": k, "TagValue": v, "ResourceTypeCount": {**counts[k, v], **rest}} for k, v in chosen]
    return {**numbers, "Tags": {"Tag": rows}}


@ecs.action("JoinResourceGroup", Effect.RECORD, limit="resource groups are names only")
def join_resource_group(
    call: Call,
    ResourceGroupId: Id,
    ResourceId: Id,
    ResourceType: Annotated[str, Choice((*KINDS, *NONE_HERE), "InvalidResourceType.NotSupported")] = "instance",
) -> Answer:
    """Put a resource into a resource group."""
    for resource in _named(call, ResourceType, [ResourceId]):
        call.tx.change(resource, ResourceGroupId=ResourceGroupId)
    return {}
