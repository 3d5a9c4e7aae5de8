"""Tags of connections."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import has_tags, page_token, tag_dict
from haechi.cloud.params import Flag, Id, Number, Str, TagKeys, Tags, Texts
from haechi.cloud.products.vpc.peers import PEERING
from haechi.cloud.products.vpcpeer.lookup import get_peering
from haechi.cloud.products.vpcpeer.product import vpcpeer

TYPE, MOST = "PEERCONNECTION", 20
Results = Annotated[int, Number(1, 50)]


def _check(type: str) -> None:
    if type.upper() != TYPE:
        raise invalid("ResourceType", f"It must be {TYPE}.")


@vpcpeer.action("TagResources", Effect.RECORD)
def tag_resources(call: Call, ResourceType: Id, ResourceId: Texts, Tag: Tags) -> Answer:
    """Add tags, or give them other values."""
    _check(ResourceType)
    for id in ResourceId:
        peering = get_peering(call, id)
        tags = {**peering["Tags"], **tag_dict(Tag)}
        if len(tags) > MOST:
            raise ApiError("QuotaExceeded.TagNum", f"A connection has at most {MOST} tags.")
        call.tx.change(peering, Tags=tags)
    return {}


@vpcpeer.action("UnTagResources", Effect.RECORD)
def untag_resources(call: Call, ResourceType: Id, ResourceId: Texts, TagKey: TagKeys = (), All: Flag = False) -> Answer:
    """Remove tags by their keys, or all."""
    _check(ResourceType)
    for id in ResourceId:
        peering = get_peering(call, id)
        call.tx.change(peering, Tags={} if All else {k: v for k, v in peering["Tags"].items() if k not in TagKey})
    return {}


@vpcpeer.action("ListTagResources", Effect.READ)
def list_tag_resources(
    call: Call, ResourceType: Id, ResourceId: Texts = (), Tag: Tags = (), MaxResults: Results = 50, NextToken: Str = ""
) -> Answer:
    """Tags of connections, one a row."""
    _check(ResourceType)
    found = [get_peering(call, id) for id in ResourceId] if ResourceId else call.find(PEERING)
    shown, token = page_token([one for one in found if has_tags(one, Tag)], NextToken, MaxResults, lambda one: one.id)
    rows = [
        {"RegionNo": one.region, "ResourceId": one.id, "ResourceType": TYPE, "TagKey": key, "TagValue": value}
        for one in shown
        for key, value in one["Tags"].items()
    ]
    return {"TagResources": rows, "MaxResults": MaxResults, "NextToken": token}
