"""What ECS lists have in common: filters, the two styles of paging, tags as ECS spells them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from haechi.cloud.errors import invalid
from haechi.cloud.paging import page, page_token
from haechi.cloud.store import Resource


def paged(items: Sequence[Resource], number: int, size: int, most: int = 0, token: str = "") -> tuple[Sequence[Resource], dict[str, Any]]:
    """One page by number, or by token when `most` or `token` is given, and its PageNumber, PageSize, TotalCount and NextToken."""
    if not most and not token:
        chosen, numbers = page(items, number, size)
        return chosen, {**numbers, "NextToken": ""}
    chosen, following = page_token(items, token, most or 10, lambda r: r.id)
    return chosen, {"PageNumber": 1, "PageSize": most or 10, "TotalCount": len(items), "NextToken": following}


def render_tags(resource: Resource) -> dict[str, Any]:
    tags: Mapping[str, str] = resource.get("Tags") or {}
    return {"Tag": [{"TagKey": k, "TagValue": v} for k, v in tags.items()]}


def name_matches(name: str, pattern: str) -> bool:
    """Whether a name is the pattern, in which * stands for anything."""
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def parse_time(name: str, text: str, code: str = "") -> float:
    """Epoch seconds of 2026-01-31T08:05Z or 2026-01-31T08:05:07Z; the seconds are cut off."""
    match = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(:[0-9]{2})?Z", text)
    if match is None:
        raise invalid(name, "It must look like 2026-01-31T08:05:00Z.", code)
    try:
        return datetime.strptime(match[1], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise invalid(name, "", code) from None


def made_between(resource: Resource, filters: Sequence[Mapping[str, str]]) -> bool:
    """Filter.N.Key CreationStartTime and CreationEndTime."""
    for each in filters:
        limit = parse_time("Filter.N.Value", each.get("Value", ""), "InvalidFilterValue.Malformed")
        if each.get("Key") == "CreationStartTime" and resource["CreatedAt"] < limit:
            return False
        if each.get("Key") == "CreationEndTime" and resource["CreatedAt"] >= limit + 60:
            return False
        if each.get("Key") not in ("CreationStartTime", "CreationEndTime"):
            raise invalid("Filter.N.Key", "", "InvalidFilterKey.NotSupported")
    return True
