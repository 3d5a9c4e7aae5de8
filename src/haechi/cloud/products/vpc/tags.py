"""Tags and resource groups of this product's resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.paging import has_tags, page_token, tag_dict
from haechi.cloud.params import Choice, Flag, Items, Number, Str, TagKeys, Tags, Text
from haechi.cloud.products.vpc.kinds import GroupId
from haechi.cloud.products.vpc.product import vpc
from haechi.cloud.store import Resource

QUOTA = 20
WORDS = ("VPC", "VSWITCH", "EIP", "ROUTETABLE")
TagType = Annotated[str, Choice(WORDS, "InvalidResourceType.NotSupported")]
ResourceIds = Annotated[tuple[str, ...], Items(Text(128), 20)]
MaxResults = Annotated[int, Number(1, 50)]
KINDS = {"VPC": ("vpc", "Tags"), "VSWITCH": ("vswitch", "Tags"), "EIP": ("eip", "Tags"), "ROUTETABLE": ("vpc", "RouteTableTags")}


def _all(call: Call, type: str) -> Iterator[tuple[str, Resource]]:
    """Ids and their resources; a route table's is its VPC."""
    for r in call.find(KINDS[type][0]):
        yield (r["RouteTableId"] if type == "ROUTETABLE" else r.id), r


def _named(call: Call, type: str, ids: tuple[str, ...]) -> list[Resource]:
    known = dict(_all(call, type))
    if any(id not in known for id in ids):
        raise not_found("InvalidResourceId.NotFound", "The specified resource does not exist.")
    return [known[id] for id in ids]


@vpc.action("TagResources", Effect.RECORD)
def tag_resources(call: Call, ResourceType: TagType, ResourceId: ResourceIds, Tag: Tags) -> Answer:
    new, name = tag_dict(Tag), KINDS[ResourceType][1]
    for resource in _named(call, ResourceType, ResourceId):
        tags = {**resource[name], **new}
        if len(tags) > QUOTA:
            raise ApiError("QuotaExceeded.TagPerResource", f"A resource has at most {QUOTA} tags.")
        call.tx.change(resource, **{name: tags})
    return {}


@vpc.action("UnTagResources", Effect.RECORD)
def un_tag_resources(call: Call, ResourceType: TagType, ResourceId: ResourceIds, TagKey: TagKeys = (), All: Flag = False) -> Answer:
    if not TagKey and not All:
        raise missing("TagKey")
    name = KINDS[ResourceType][1]
    for resource in _named(call, ResourceType, ResourceId):
        left = {k: v for k, v in resource[name].items() if TagKey and k not in TagKey}
        if left != resource[name]:
            call.tx.change(resource, **{name: left})
    return {}


@vpc.action("ListTagResources", Effect.READ)
def list_tag_resources(
    call: Call, ResourceType: TagType, ResourceId: ResourceIds = (), Tag: Tags = (), NextToken: Str = "", MaxResults: MaxResults = 50
) -> Answer:
    name = KINDS[ResourceType][1]
    found = [
        {"ResourceType": ResourceType, "ResourceId": id, "TagKey": key, "TagValue": value}
        for id, r in _all(call, ResourceType)
        if (not ResourceId or id in ResourceId) and has_tags(Resource("tagged", id, r.region, {"Tags": r[name]}), Tag)
        for key, value in r[name].items()
    ]
    shown, token = page_token(found, NextToken, MaxResults, lambda t: f"{t['ResourceId']} {t['TagKey']}")
    return {"NextToken": token, "TagResources": {"TagResource": list(shown)}}


GroupType = Annotated[str, Choice(("VPC", "EIP"), "InvalidResourceType.NotSupported")]


@vpc.action("MoveResourceGroup", Effect.RECORD, limit="resource groups are names only")
def move_resource_group(call: Call, ResourceType: GroupType, ResourceId: Str, NewResourceGroupId: GroupId) -> Answer:
    resource = _named(call, ResourceType, (ResourceId,))[0]
    call.tx.change(resource, ResourceGroupId=NewResourceGroupId)
    return {}
