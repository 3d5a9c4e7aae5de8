"""JSON:API documents, as the vendor's API speaks them. Pure.

https://jsonapi.org/format/1.0/ ; what the terraform program insists on is in tests/unit/test_tfe_jsonapi.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from haechi.tfe.errors import ApiError, bad_request, invalid

TYPE = "application/vnd.api+json"
PAGE_SIZE, MOST_PAGE_SIZE = 20, 100
Document = dict[str, Any]


def resource(
    type: str,
    id: str,
    attributes: Mapping[str, Any],
    relationships: Mapping[str, Any] | None = None,
    links: Mapping[str, str] | None = None,
) -> Document:
    """One resource object."""
    made: Document = {"id": id, "type": type, "attributes": dict(attributes)}
    if relationships:
        made["relationships"] = dict(relationships)
    if links:
        made["links"] = dict(links)
    return made


def to_one(type: str, id: str | None, related: str = "") -> Document:
    """A relationship to one resource, or to none."""
    made: Document = {"data": {"id": id, "type": type} if id else None}
    if related:
        made["links"] = {"related": related}
    return made


def to_many(type: str, ids: Iterable[str], related: str = "") -> Document:
    """A relationship to any number of resources."""
    made: Document = {"data": [{"id": id, "type": type} for id in ids]}
    if related:
        made["links"] = {"related": related}
    return made


def error_document(error: ApiError) -> Document:
    """The body of a refusal."""
    entry: Document = {"status": str(error.status), "title": error.title}
    if error.detail:
        entry["detail"] = error.detail
    if error.pointer:
        entry["source"] = {"pointer": error.pointer}
    return {"errors": [entry]}


class Page:
    """What `page[number]` and `page[size]` ask for."""

    def __init__(self, query: Mapping[str, str], size: int = PAGE_SIZE, most: int = MOST_PAGE_SIZE) -> None:
        self.number = _positive(query, "page[number]", 1)
        self.size = min(_positive(query, "page[size]", size), most)

    @property
    def offset(self) -> int:
        """How many items come before this page."""
        return (self.number - 1) * self.size

    def meta(self, total: int) -> Document:
        """`meta` of a list with `total` items on all pages."""
        pages = max(1, -(-total // self.size))
        return {
            "pagination": {
                "current-page": self.number,
                "page-size": self.size,
                "prev-page": self.number - 1 if self.number > 1 else None,
                "next-page": self.number + 1 if self.number < pages else None,
                "total-pages": pages,
                "total-count": total,
            }
        }


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) < 1_000_000_000:
        raise bad_request(f"{name} must be a positive number.")
    return int(text[:10])


class Sent:
    """The `data` object of a request body, read with care: a wrong type is a 422 that names the attribute."""

    def __init__(self, document: Any, type: str, required: bool = True) -> None:
        """`type` must be what the client says, if it says one ("" and nothing are taken, as the terraform program sends them)."""
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, dict):
            if required or data is not None:
                raise bad_request("The body must be a JSON:API document with a `data` object.")
            data = {}
        if data.get("type") not in (None, "", type):
            raise invalid(f"data.type must be {type}.", title="invalid type")
        attributes, relationships = data.get("attributes") or {}, data.get("relationships") or {}
        if not isinstance(attributes, dict) or not isinstance(relationships, dict):
            raise bad_request("`attributes` and `relationships` must be objects.")
        self.id = data.get("id")
        self.attributes: dict[str, Any] = attributes
        self._relationships: dict[str, Any] = relationships

    def has(self, name: str) -> bool:
        """Whether the attribute was sent, null included."""
        return name in self.attributes

    def text(self, name: str, default: str = "", most: int = 100_000) -> str:
        """A string; null is the default."""
        value = self.attributes.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            raise invalid(f"{name} must be a string of at most {most} characters.", name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean; null is the default."""
        value = self.attributes.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid(f"{name} must be true or false.", name)
        return value

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number that fits 63 bits; null is the default."""
        value = self.attributes.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
            raise invalid(f"{name} must be a whole number.", name)
        return value

    def texts(self, name: str, most: int = 1000) -> list[str]:
        """A list of strings; null is none."""
        value = self.attributes.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, str) for item in value):
            raise invalid(f"{name} must be a list of strings.", name)
        return value

    def related(self, name: str, type: str) -> str | None:
        """The id of a to-one relationship, or None."""
        data = (self._relationships.get(name) or {}).get("data")
        return None if data is None else _identity(data, name, type)

    def related_many(self, name: str, type: str) -> list[str] | None:
        """The ids of a to-many relationship; None where it was not sent."""
        if name not in self._relationships:
            return None
        data = (self._relationships[name] or {}).get("data")
        if not isinstance(data, list):
            raise invalid(f"relationships.{name}.data must be a list.")
        return [_identity(item, name, type) for item in data]


def identities(document: Any, type: str) -> list[str]:
    """The ids of a body that is only a list of resource identifiers, as relationship endpoints take it."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        raise bad_request("The body must be a JSON:API document with a list as `data`.")
    return [_identity(item, "data", type) for item in data]


def _identity(item: Any, name: str, type: str) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str) or item.get("type") not in (None, "", type):
        raise invalid(f"{name} must name {type} by id and type.")
    return str(item["id"])
