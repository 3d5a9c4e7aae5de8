"""Tags of workspaces: flat ones, and bindings of a key to a value. As with the vendor, a flat tag is a binding without a value."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.access import require_organization
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed
from haechi.tfe.errors import bad_request, invalid
from haechi.tfe.jsonapi import Document, resource
from haechi.tfe.store import Tx
from haechi.tfe.workspaces import TAG, find_workspace

T = schema.workspace_tags


def tags_of(tx: Tx, workspace_id: str) -> list[tuple[str, str]]:
    """(key, value) of a workspace's tags, in order; the value of a flat one is ""."""
    rows = tx.execute(sa.select(T.c.key, T.c.value).where(T.c.workspace_id == workspace_id).order_by(T.c.key)).all()
    return [(key, value) for key, value in rows]


def _flat(tx: Tx, workspace_id: str) -> list[str]:
    return [key for key, value in tags_of(tx, workspace_id) if not value]


def _items(document: Any, relation: str) -> list[Any]:
    data = document.get("data") if isinstance(document, dict) else None
    if relation:
        whole = data.get("relationships") if isinstance(data, dict) else None
        data = (whole.get(relation) or {}).get("data") if isinstance(whole, dict) else None
        data = [] if data is None else data
    if not isinstance(data, list) or len(data) > 1000 or not all(isinstance(item, dict) for item in data):
        raise bad_request("`data` must be a list of at most 1000 tags.")
    return data


def parse_tags(document: Any, relation: str = "") -> list[str]:
    """Names of the flat tags of a body, or of one of its relationships."""
    found = []
    for item in _items(document, relation):
        attributes = item.get("attributes")
        name = attributes.get("name") if isinstance(attributes, dict) else None
        name = name if name is not None else str(item.get("id") or "").removeprefix("tag-")
        if not isinstance(name, str) or not TAG.fullmatch(name):
            raise invalid("A tag begins and ends with a letter or digit and holds letters, digits, : _ - and spaces.", "name")
        found.append(name)
    return found


def parse_bindings(document: Any, relation: str = "") -> list[tuple[str, str]]:
    """(key, value) of the tag bindings of a body, or of one of its relationships."""
    found = []
    for item in _items(document, relation):
        attributes = item.get("attributes")
        if not isinstance(attributes, dict):
            raise invalid("A tag binding has a key and a value.")
        key, value = attributes.get("key"), attributes.get("value") or ""
        if not isinstance(key, str) or not TAG.fullmatch(key) or not isinstance(value, str) or len(value) > 256 or "\0" in value:
            raise invalid("A tag binding's key is a tag, its value at most 256 characters.", "key")
        found.append((key, value))
    return found


def put_tags(tx: Tx, workspace_id: str, names: list[str]) -> None:
    """Add flat tags; a key that is bound to a value keeps it."""
    known = dict(tags_of(tx, workspace_id))
    for name in dict.fromkeys(names):
        if name not in known:
            tx.execute(T.insert().values(workspace_id=workspace_id, key=name, value=""))


def put_bindings(tx: Tx, workspace_id: str, bindings: list[tuple[str, str]]) -> None:
    """Add bindings; one of the same key is replaced."""
    for key, value in dict(bindings).items():
        tx.execute(T.delete().where(T.c.workspace_id == workspace_id, T.c.key == key))
        tx.execute(T.insert().values(workspace_id=workspace_id, key=key, value=value))


def _render_tag(name: str, count: int = 1) -> Document:
    return resource("tags", f"tag-{name}", {"name": name, "instance-count": count})


def _render_binding(workspace_id: str, key: str, value: str, type: str = "tag-bindings") -> Document:
    return resource(type, f"tb-{workspace_id}-{key}", {"key": key, "value": value})


def list_tags(call: Call) -> Answer:
    """workspaces/:id/relationships/tags"""
    with call.store.read() as tx:
        names = _flat(tx, find_workspace(tx, call.caller, call.path["id"]).id)
    page = call.page
    return listed([_render_tag(n) for n in names[page.offset : page.offset + page.size]], page, len(names))


def add_tags(call: Call) -> Answer:
    """POST workspaces/:id/relationships/tags"""
    names = parse_tags(call.document)
    with call.store.write() as tx:
        put_tags(tx, find_workspace(tx, call.caller, call.path["id"], "manage-tags").id, names)
    return NO_CONTENT


def remove_tags(call: Call) -> Answer:
    """DELETE workspaces/:id/relationships/tags"""
    names = parse_tags(call.document)
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "manage-tags")
        tx.execute(T.delete().where(T.c.workspace_id == workspace.id, T.c.value == "", T.c.key.in_(names)))
    return NO_CONTENT


def list_bindings(call: Call) -> Answer:
    """workspaces/:id/tag-bindings and effective-tag-bindings (projects hand none down here)"""
    with call.store.read() as tx:
        id = find_workspace(tx, call.caller, call.path["id"]).id
        bindings = tags_of(tx, id)
    page = call.page
    return listed([_render_binding(id, *each) for each in bindings[page.offset : page.offset + page.size]], page, len(bindings))


def set_bindings(call: Call) -> Answer:
    """PATCH workspaces/:id/tag-bindings: adds, and replaces those of the same key"""
    bindings = parse_bindings(call.document)
    with call.store.write() as tx:
        id = find_workspace(tx, call.caller, call.path["id"], "manage-tags").id
        put_bindings(tx, id, bindings)
        return Answer({"data": [_render_binding(id, *each) for each in tags_of(tx, id)]})


def remove_bindings(call: Call) -> Answer:
    """DELETE workspaces/:id/tag-bindings: all of them"""
    with call.store.write() as tx:
        id = find_workspace(tx, call.caller, call.path["id"], "manage-tags").id
        tx.execute(T.delete().where(T.c.workspace_id == id))
    return NO_CONTENT


def list_organization_tags(call: Call) -> Answer:
    """organizations/:name/tags"""
    w = schema.workspaces
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
        query = sa.select(T.c.key, sa.func.count()).join(w, w.c.id == T.c.workspace_id)
        query = query.where(w.c.organization_id == organization.id, T.c.value == "").group_by(T.c.key).order_by(T.c.key)
        rows = tx.execute(query).all()
    page = call.page
    return listed([_render_tag(*row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


ROUTES: list[Route] = [
    ("GET", "/workspaces/{id}/relationships/tags", list_tags),
    ("POST", "/workspaces/{id}/relationships/tags", add_tags),
    ("DELETE", "/workspaces/{id}/relationships/tags", remove_tags),
    ("GET", "/workspaces/{id}/tag-bindings", list_bindings),
    ("GET", "/workspaces/{id}/effective-tag-bindings", list_bindings),
    ("PATCH", "/workspaces/{id}/tag-bindings", set_bindings),
    ("DELETE", "/workspaces/{id}/tag-bindings", remove_bindings),
    ("GET", "/organizations/{organization}/tags", list_organization_tags),
]
