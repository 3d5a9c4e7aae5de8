"""Pieces most alicloud resources share: sending arguments, names with two spellings, tags, results of data sources."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.resource import Data
from haechi.provider.schema import Attribute, Fields, is_regex, optional
from haechi.provider.types import BOOL, STRING_MAP, STRINGS, is_zero

TAGS: Attribute = optional(STRING_MAP)
_SYSTEM_TAGS = ("aliyun", "acs:", "http://", "https://", "sae.do.not.delete")


def sent(d: Data, names: Mapping[str, str]) -> dict[str, Any]:
    """{wire name: value} of the arguments that have a value; false counts as one, zero and "" do not."""
    values = {wire: d[name] for wire, name in names.items()}
    return {wire: v for wire, v in values.items() if v is False or not is_zero(v)}


def changed(d: Data, names: Mapping[str, str]) -> dict[str, Any]:
    """{wire name: value} of the arguments that changed; a removed one is sent empty."""
    return {wire: "" if d[name] is None else d[name] for wire, name in names.items() if d.changed(name)}


def changed_first(d: Data, *names: str) -> Any:
    """The new value of whichever spelling of one argument changed, None if none did."""
    return next((d[n] for n in names if d.changed(n)), None)


def tag_params(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as the wire's Tag.N.Key and Tag.N.Value."""
    return [{"Key": k, "Value": v} for k, v in sorted((tags or {}).items())]


def read_tags(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """A tag map from {Key, Value} or {TagKey, TagValue} items, without the cloud's own tags."""
    pairs = {str(t.get("TagKey", t.get("Key"))): str(t.get("TagValue", t.get("Value")) or "") for t in found}
    return {k: v for k, v in pairs.items() if not k.startswith(_SYSTEM_TAGS)}


def update_tags(cloud: Cloud, d: Data, product: str, resource_type: str, field: str = "tags", ids: list[str] | None = None) -> None:
    """Make the tags of the object (or of `ids`) the wanted ones."""
    if not d.changed(field):
        return
    before, wanted = d.old(field) or {}, d[field] or {}
    target = {"ResourceType": resource_type, "ResourceId": ids or [d.id]}
    removed = [k for k in before if k not in wanted]
    added = {k: v for k, v in wanted.items() if before.get(k) != v}
    if removed:
        cloud.call(product, "UnTagResources" if product in ("vpc", "vpcpeer") else "UntagResources", {**target, "TagKey": removed})
    if added:
        cloud.call(product, "TagResources", {**target, "Tag": tag_params(added)})


def join_resource_group(cloud: Cloud, d: Data, resource_type: str) -> None:
    """Move an ECS object to the wanted resource group."""
    if d.changed("resource_group_id") and d["resource_group_id"]:
        params = {"ResourceType": resource_type, "ResourceId": d.id, "ResourceGroupId": d["resource_group_id"]}
        cloud.call("ecs", "JoinResourceGroup", params)


# Arguments of every data source, and of nearly every one.
IDS: Fields = {"ids": optional(STRINGS, computed=True), "output_file": optional()}
FILTERS: Fields = {
    **IDS,
    "name_regex": optional(check=is_regex),
    "enable_details": optional(BOOL),
}


def matching(d: Data, found: Iterable[Mapping[str, Any]], id_key: str, name_key: str) -> list[Mapping[str, Any]]:
    """The items that pass `ids` and `name_regex`."""
    wanted, pattern = set(d["ids"] or []), d["name_regex"]
    kept = [i for i in found if not wanted or i.get(id_key) in wanted]
    return [i for i in kept if not pattern or re.search(pattern, str(i.get(name_key) or ""))]


def finish(d: Data, collection: str, results: list[dict[str, Any]], ids: list[str], names: list[str] | None = None) -> None:
    """Store a data source's results and its id, a checksum of theirs; write `output_file` if asked for."""
    d.id = str(zlib.crc32("".join(f"{i}-" for i in ids).encode()))
    d[collection] = results
    if "ids" in d.fields:
        d["ids"] = ids
    if names is not None:
        d["names"] = names
    if d.values.get("output_file"):
        Path(d["output_file"]).write_text(json.dumps(results, indent="\t", ensure_ascii=False))
