"""Policy sets. https://developer.hashicorp.com/terraform/enterprise/api-docs/policy-sets"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import require_organization
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.audit import record
from haechi.tfe.errors import forbidden, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, identities, resource, to_many, to_one
from haechi.tfe.runs.blobs import policy_set_key
from haechi.tfe.store import Tx, delete_blobs, new_id, now, one

S, W, A, V = schema.policy_sets, schema.workspaces, schema.policy_set_workspaces, schema.policy_set_versions
NAME = re.compile(r"[A-Za-z0-9_-]{1,90}")


def render_set(tx: Tx, row: Row[Any], organization: str) -> Document:
    """A policy set."""
    newest = tx.execute(sa.select(V.c.id).where(V.c.policy_set_id == row.id).order_by(V.c.created_at.desc(), V.c.id).limit(1)).scalar()
    assigned = _workspaces(tx, row.id, excluded=False)
    attributes = {
        "name": row.name,
        "description": row.description,
        "kind": row.kind,
        "global": row.global_,
        "overridable": row.overridable if row.kind == "opa" else None,
        "agent-enabled": False,
        "policy-tool-version": None,
        "policies-path": None,
        "policy-count": tx.execute(sa.select(V.c.policy_count).where(V.c.id == row.current_version_id)).scalar() or 0,
        "project-count": 0,
        "workspace-count": len(assigned),
        "versioned": True,
        "vcs-repo": None,
        "created-at": row.created_at,
        "updated-at": row.updated_at,
    }
    relationships = {
        "organization": to_one("organizations", organization),
        "policies": to_many("policies", []),
        "projects": to_many("projects", []),
        "workspaces": to_many("workspaces", assigned),
        "workspace-exclusions": to_many("workspaces", _workspaces(tx, row.id, excluded=True)),
        "current-version": to_one("policy-set-versions", row.current_version_id),
        "newest-version": to_one("policy-set-versions", newest),
    }
    return resource("policy-sets", row.id, attributes, relationships, {"self": f"/api/v2/policy-sets/{row.id}"})


def _workspaces(tx: Tx, set_id: str, excluded: bool) -> list[str]:
    where = sa.and_(A.c.policy_set_id == set_id, A.c.excluded.is_(excluded))
    return list(tx.execute(sa.select(A.c.workspace_id).where(where).order_by(A.c.workspace_id)).scalars())


def find_set(call: Call, tx: Tx, id: str, permission: str = "") -> tuple[Row[Any], str]:
    """(the set, its organization's name). Raises not_found, forbidden."""
    row = one(tx, S, S.c.id == id, lock=bool(permission))
    organization = one(tx, schema.organizations, schema.organizations.c.id == row.organization_id) if row is not None else None
    if row is None or organization is None or call.caller.kind == "run":
        raise not_found("policy set")
    require_organization(tx, call.caller, organization.name, permission)
    return row, organization.name


def _parse(sent: Sent) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if sent.has("name"):
        values["name"] = sent.text("name")
        if not NAME.fullmatch(values["name"]):
            raise invalid("Name may hold letters, digits, _ and -, at most 90.", "name")
    if sent.has("description"):
        values["description"] = sent.text("description", most=4096)
    for attribute, column in (("global", "global_"), ("overridable", "overridable")):
        if sent.attributes.get(attribute) is not None:
            values[column] = sent.flag(attribute)
    if sent.attributes.get("vcs-repo") is not None:
        raise invalid("Policy sets come as archives here, not from a repository.", "vcs-repo")
    if sent.related_many("policies", "policies"):
        raise invalid("Policies come in a version's archive here, not one by one.", title="unprocessable entity")
    return values


def list_sets(call: Call) -> Answer:
    """organizations/:name/policy-sets"""
    with call.store.read() as tx:
        if call.caller.kind == "run":
            raise forbidden("A run does not read policy sets.")
        organization = require_organization(tx, call.caller, call.path["organization"])
        query = sa.select(S).where(S.c.organization_id == organization.id).order_by(S.c.name)
        if text := call.query.get("search[name]", ""):
            query = query.where(S.c.name.icontains(text, autoescape=True))
        if kind := call.query.get("filter[kind]", ""):
            query = query.where(S.c.kind == kind)
        rows, page = tx.execute(query).all(), call.page
        return listed([render_set(tx, row, organization.name) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def create_set(call: Call) -> Answer:
    """POST organizations/:name/policy-sets"""
    sent = Sent(call.document, "policy-sets")
    values = _parse(sent)
    kind = sent.text("kind", "sentinel")
    if kind not in ("sentinel", "opa"):
        raise invalid("Kind is sentinel or opa.", "kind")
    if "name" not in values:
        raise invalid("Name is missing.", "name")
    with call.store.write() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"], "manage-policies")
        _check_free(tx, organization.id, values["name"])
        id = new_id("polset")
        stamps = {"created_at": now(), "updated_at": now()}
        tx.execute(S.insert().values(id=id, organization_id=organization.id, kind=kind, **stamps, **values))
        for relation, excluded in (("workspaces", False), ("workspace-exclusions", True)):
            _assign(tx, id, organization.id, sent.related_many(relation, "workspaces") or [], excluded)
        record(tx, call.caller, "create", "policy_set", id, organization.id, {"name": values["name"], "kind": kind})
        row, name = find_set(call, tx, id)
        return shown(render_set(tx, row, name), 201)


def _check_free(tx: Tx, organization_id: str, name: str) -> None:
    if one(tx, S, S.c.organization_id == organization_id, S.c.name == name) is not None:
        raise invalid("Name has already been taken.", "name")


def _assign(tx: Tx, set_id: str, organization_id: str, ids: list[str], excluded: bool) -> None:
    for id in dict.fromkeys(ids):
        if one(tx, W, W.c.id == id, W.c.organization_id == organization_id) is None:
            raise not_found("workspace")
        tx.execute(A.delete().where(A.c.policy_set_id == set_id, A.c.workspace_id == id))
        tx.execute(A.insert().values(policy_set_id=set_id, workspace_id=id, excluded=excluded))


def show_set(call: Call) -> Answer:
    """policy-sets/:id"""
    with call.store.read() as tx:
        row, organization = find_set(call, tx, call.path["id"])
        return shown(render_set(tx, row, organization))


def update_set(call: Call) -> Answer:
    """PATCH policy-sets/:id"""
    sent = Sent(call.document, "policy-sets")
    values = _parse(sent)
    with call.store.write() as tx:
        row, organization = find_set(call, tx, call.path["id"], "manage-policies")
        if values.get("name", row.name) != row.name:
            _check_free(tx, row.organization_id, values["name"])
        tx.execute(sa.update(S).where(S.c.id == row.id).values(updated_at=now(), **values))
        for relation, excluded in (("workspaces", False), ("workspace-exclusions", True)):
            ids = sent.related_many(relation, "workspaces")
            if ids is not None:
                tx.execute(A.delete().where(A.c.policy_set_id == row.id, A.c.excluded.is_(excluded)))
                _assign(tx, row.id, row.organization_id, ids, excluded)
        record(tx, call.caller, "update", "policy_set", row.id, row.organization_id, {"changed": sorted(sent.attributes)})
        return shown(render_set(tx, find_set(call, tx, row.id)[0], organization))


def delete_set(call: Call) -> Answer:
    """DELETE policy-sets/:id"""
    with call.store.write() as tx:
        row, _ = find_set(call, tx, call.path["id"], "manage-policies")
        versions = tx.execute(sa.select(V.c.id).where(V.c.policy_set_id == row.id)).scalars()
        delete_blobs(tx, [policy_set_key(id) for id in versions])
        tx.execute(S.delete().where(S.c.id == row.id))
        record(tx, call.caller, "destroy", "policy_set", row.id, row.organization_id, {"name": row.name})
    return NO_CONTENT


def _change(excluded: bool, remove: bool) -> Callable[[Call], Answer]:
    def change(call: Call) -> Answer:
        """POST, DELETE policy-sets/:id/relationships/workspaces, workspace-exclusions"""
        ids = identities(call.document, "workspaces")
        with call.store.write() as tx:
            row, _ = find_set(call, tx, call.path["id"], "manage-policies")
            if remove:
                gone = sa.and_(A.c.policy_set_id == row.id, A.c.excluded.is_(excluded), A.c.workspace_id.in_(ids))
                tx.execute(A.delete().where(gone))
            else:
                _assign(tx, row.id, row.organization_id, ids, excluded)
            told = {"workspaces": ids, "excluded": excluded, "removed": remove}
            record(tx, call.caller, "assign", "policy_set", row.id, row.organization_id, told)
        return NO_CONTENT

    return change


ONE = "/policy-sets/{id}"
ROUTES: list[Route] = [
    ("GET", "/organizations/{organization}/policy-sets", list_sets),
    ("POST", "/organizations/{organization}/policy-sets", create_set),
    ("GET", ONE, show_set),
    ("PATCH", ONE, update_set),
    ("DELETE", ONE, delete_set),
    ("POST", ONE + "/relationships/workspaces", _change(excluded=False, remove=False)),
    ("DELETE", ONE + "/relationships/workspaces", _change(excluded=False, remove=True)),
    ("POST", ONE + "/relationships/workspace-exclusions", _change(excluded=True, remove=False)),
    ("DELETE", ONE + "/relationships/workspace-exclusions", _change(excluded=True, remove=True)),
]
