"""Versions and parameters of policy sets.

https://developer.hashicorp.com/terraform/enterprise/api-docs/policy-sets#create-a-policy-set-version
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.api.policy_sets import find_set
from haechi.tfe.audit import record
from haechi.tfe.errors import invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_one
from haechi.tfe.store import Tx, new_id, now, one

V, P = schema.policy_set_versions, schema.policy_set_parameters
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def render_version(call: Call, row: Row[Any]) -> Document:
    """A policy set version; while it waits for its archive, with the address to send it to."""
    attributes = {
        "source": row.source,
        "status": row.status,
        "status-timestamps": row.status_timestamps,
        "error": row.error or None,
        "created-at": row.created_at,
        "updated-at": row.updated_at,
        "ingress-attributes": None,
    }
    links = {"self": f"/api/v2/policy-set-versions/{row.id}"}
    if row.status == "pending":
        links["upload"] = call.signed("policy-set", row.id)
    return resource("policy-set-versions", row.id, attributes, {"policy-set": to_one("policy-sets", row.policy_set_id)}, links)


def create_version(call: Call) -> Answer:
    """POST policy-sets/:id/versions"""
    with call.store.write() as tx:
        owner, _ = find_set(call, tx, call.path["id"], "manage-policies")
        id = new_id("polsetver")
        tx.execute(V.insert().values(id=id, policy_set_id=owner.id, created_at=now(), updated_at=now()))
        record(tx, call.caller, "create", "policy_set_version", id, owner.organization_id, {"policy_set": owner.id})
        row = one(tx, V, V.c.id == id)
    assert row is not None, "it was just made"
    return shown(render_version(call, row), 201)


def show_version(call: Call) -> Answer:
    """policy-set-versions/:id"""
    with call.store.read() as tx:
        row = one(tx, V, V.c.id == call.path["id"])
        if row is None:
            raise not_found("policy set version")
        find_set(call, tx, row.policy_set_id)
    return shown(render_version(call, row))


def render_parameter(row: Row[Any]) -> Document:
    """A parameter; the value of a sensitive one is null."""
    attributes = {"key": row.key, "value": None if row.sensitive else row.value, "category": "policy-set", "sensitive": row.sensitive}
    return resource("vars", row.id, attributes, {"configurable": to_one("policy-sets", row.policy_set_id)})


def list_parameters(call: Call) -> Answer:
    """policy-sets/:id/parameters"""
    with call.store.read() as tx:
        owner, _ = find_set(call, tx, call.path["id"])
        rows, page = tx.execute(sa.select(P).where(P.c.policy_set_id == owner.id).order_by(P.c.key)).all(), call.page
    return listed([render_parameter(row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def _parse(sent: Sent, old: Row[Any] | None = None) -> dict[str, Any]:
    key = sent.text("key") or (old.key if old else "")
    if not KEY.fullmatch(key):
        raise invalid("Key must be the name of a parameter.", "key")
    sensitive = sent.flag("sensitive", bool(old and old.sensitive))
    if old and old.sensitive and not sensitive:
        raise invalid("A sensitive parameter stays sensitive.", "sensitive")
    value = sent.text("value", most=256 << 10) if sent.has("value") else (old.value if old else "")
    return {"key": key, "value": value, "sensitive": sensitive}


def _store(call: Call, tx: Tx, set_id: str, organization_id: str, id: str, values: dict[str, Any], action: str) -> Answer:
    if one(tx, P, P.c.policy_set_id == set_id, P.c.key == values["key"], P.c.id != id) is not None:
        raise invalid("Key has already been taken.", "key")
    if action == "create":
        tx.execute(P.insert().values(id=id, policy_set_id=set_id, **values))
    else:
        tx.execute(sa.update(P).where(P.c.id == id).values(**values))
    record(tx, call.caller, action, "policy_set_parameter", id, organization_id, {"policy_set": set_id, "key": values["key"]})
    row = one(tx, P, P.c.id == id)
    assert row is not None, "it was just stored"
    return shown(render_parameter(row), 201 if action == "create" else 200)


def create_parameter(call: Call) -> Answer:
    """POST policy-sets/:id/parameters"""
    sent = Sent(call.document, "vars")
    with call.store.write() as tx:
        owner, _ = find_set(call, tx, call.path["id"], "manage-policies")
        return _store(call, tx, owner.id, owner.organization_id, new_id("var"), _parse(sent), "create")


def _find(call: Call, tx: Tx, permission: str = "") -> tuple[Row[Any], Row[Any]]:
    owner, _ = find_set(call, tx, call.path["id"], permission)
    row = one(tx, P, P.c.id == call.path["parameter"], P.c.policy_set_id == owner.id)
    if row is None:
        raise not_found("parameter")
    return owner, row


def show_parameter(call: Call) -> Answer:
    """policy-sets/:id/parameters/:id"""
    with call.store.read() as tx:
        return shown(render_parameter(_find(call, tx)[1]))


def update_parameter(call: Call) -> Answer:
    """PATCH policy-sets/:id/parameters/:id"""
    sent = Sent(call.document, "vars")
    with call.store.write() as tx:
        owner, row = _find(call, tx, "manage-policies")
        return _store(call, tx, owner.id, owner.organization_id, row.id, _parse(sent, row), "update")


def delete_parameter(call: Call) -> Answer:
    """DELETE policy-sets/:id/parameters/:id"""
    with call.store.write() as tx:
        owner, row = _find(call, tx, "manage-policies")
        tx.execute(P.delete().where(P.c.id == row.id))
        record(tx, call.caller, "destroy", "policy_set_parameter", row.id, owner.organization_id, {"key": row.key})
    return NO_CONTENT


PARAMETERS = "/policy-sets/{id}/parameters"
ROUTES: list[Route] = [
    ("POST", "/policy-sets/{id}/versions", create_version),
    ("GET", "/policy-set-versions/{id}", show_version),
    ("GET", PARAMETERS, list_parameters),
    ("POST", PARAMETERS, create_parameter),
    ("GET", PARAMETERS + "/{parameter}", show_parameter),
    ("PATCH", PARAMETERS + "/{parameter}", update_parameter),
    ("DELETE", PARAMETERS + "/{parameter}", delete_parameter),
]
