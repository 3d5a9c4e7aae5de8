"""Protected objects: every domain is one, `<domain>-waf`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import page
from haechi.cloud.params import Id, Items, Number, PageNumber, PageSize, Str, Text
from haechi.cloud.products.waf.lookup import DOMAIN, object_of
from haechi.cloud.products.waf.product import waf
from haechi.cloud.store import Resource

Headers = Annotated[tuple[str, ...], Items(Text(64, 1), 5)]


def _find(call: Call, name: str) -> Resource:
    for domain in call.view.find(DOMAIN):
        if object_of(domain) == name:
            return domain
    raise ApiError("Defense.Control.DefenseResourceNotExist", "There is no such protected object.", 404)


@waf.action("DescribeDefenseResources", Effect.READ)
def describe_defense_resources(
    call: Call,
    InstanceId: Id = "",
    Query: Str = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """A page of them; Query is part of a name."""
    found = [
        d
        for d in call.view.find(DOMAIN)
        if InstanceId in ("", d["InstanceId"]) and (not Query or object_of(d) in Query or Query in object_of(d))
    ]
    chosen, _ = page(found, PageNumber, PageSize)
    return {"Resources": [_render(d) for d in chosen], "TotalCount": len(found)}


@waf.action("DescribeDefenseResource", Effect.READ)
def describe_defense_resource(
    call: Call, Resource: Str, InstanceId: Id = "", RegionId: Id = "", ResourceManagerResourceGroupId: Id = ""
) -> Answer:
    """One of them."""
    return {"Resource": _render(_find(call, Resource))}


@waf.action("ModifyDefenseResourceXff", Effect.PACKETS)
def modify_defense_resource_xff(
    call: Call,
    InstanceId: Id,
    Resource: Str,
    XffStatus: Annotated[int, Number(0, 1)],
    CustomHeaders: Headers = (),
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Whether a proxy lies in front that tells the client's address, and in which header."""
    domain = _find(call, Resource)
    if len(CustomHeaders) > 1 or not all(re.fullmatch(r"[A-Za-z0-9-]+", header) for header in CustomHeaders):
        raise invalid("CustomHeaders", "This cloud takes the client's address from one header.")
    mode = 2 if CustomHeaders else 1
    call.tx.change(domain, Listen={**domain["Listen"], "XffHeaderMode": mode if XffStatus else 0, "XffHeaders": list(CustomHeaders)})
    return {}


def _render(d: Resource) -> dict[str, Any]:
    created = int(d["CreatedAt"] * 1000)
    return {
        "Resource": object_of(d),
        "InstanceId": d["InstanceId"],
        "Pattern": "domain",
        "Product": "waf",
        "ResourceOrigin": "custom",
        "ResourceStatus": "1",
        "ResourceGroup": "",
        "ResourceManagerResourceGroupId": "default",
        "Description": "",
        "Detail": {"domain": d["Domain"], "product": "waf"},
        "XffStatus": 1 if d["Listen"]["XffHeaderMode"] else 0,
        "CustomHeaders": d["Listen"]["XffHeaders"],
        "AcwCookieStatus": 0,
        "AcwSecureStatus": 0,
        "GmtCreate": created,
        "GmtModified": created,
    }
