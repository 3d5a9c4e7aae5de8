"""The two styles of paging, and times as the wire spells them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from haechi.cloud.errors import invalid
from haechi.cloud.store import Resource

T = TypeVar("T")


def page(items: Sequence[T], number: int, size: int) -> tuple[Sequence[T], dict[str, int]]:
    """One numbered page and its PageNumber, PageSize and TotalCount."""
    start = (number - 1) * size
    return items[start : start + size], {"PageNumber": number, "PageSize": size, "TotalCount": len(items)}


def page_token(items: Sequence[T], token: str, size: int, key: Callable[[T], str]) -> tuple[Sequence[T], str]:
    """The page after `token` and the next token ("" at the end). The token names the last item seen, so items may come and go."""
    start = 0
    if token:
        try:
            last = urlsafe_b64decode(token.encode()).decode()
        except (Base64Error, ValueError):
            raise invalid("NextToken", "", "InvalidParameter.NextToken") from None
        keys = [key(i) for i in items]
        if last not in keys:
            raise invalid("NextToken", "", "InvalidParameter.NextToken")
        start = keys.index(last) + 1
    chosen = items[start : start + size]
    more = start + size < len(items)
    return chosen, urlsafe_b64encode(key(chosen[-1]).encode()).decode() if more else ""


def iso_minute(seconds: float) -> str:
    """2026-01-31T08:05Z, as ECS writes creation times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%MZ")


def iso_second(seconds: float) -> str:
    """2026-01-31T08:05:07Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tag_dict(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tag.N.Key/Value as a dict. Keys must be there, once each, and not start with aliyun, acs:, http:// or https://."""
    result: dict[str, str] = {}
    for tag in tags:
        key = tag.get("Key", "")
        if not key or key in result or key.lower().startswith(("aliyun", "acs:", "http://", "https://")):
            raise invalid("Tag.N.Key", "", "InvalidTagKey.Malformed")
        if tag.get("Value", "").lower().startswith(("http://", "https://")):
            raise invalid("Tag.N.Value", "", "InvalidTagValue.Malformed")
        result[key] = tag.get("Value", "")
    return result


def has_tags(resource: Resource, tags: Sequence[Mapping[str, str]]) -> bool:
    """Whether a resource carries every tag of a Tag.N filter; a tag without value matches any."""
    own: Mapping[str, Any] = resource.get("Tags") or {}
    return all(t.get("Key", "") in own and t.get("Value", "") in ("", own[t.get("Key", "")]) for t in tags)
