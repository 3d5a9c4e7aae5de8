"""Organizations and their projects, capacity and run queue.

https://developer.hashicorp.com/terraform/enterprise/api-docs/organizations
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import organization_access, require_organization, workspace_permissions
from haechi.tfe.accounts import check_organization_name, create_organization
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.api.runs import render_run
from haechi.tfe.audit import record
from haechi.tfe.errors import conflict, forbidden, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_one
from haechi.tfe.runs import states
from haechi.tfe.runs.blobs import delete_workspace_blobs, policy_set_key
from haechi.tfe.store import Tx, delete_blobs, one

ORG, P, W, R = schema.organizations, schema.projects, schema.workspaces, schema.runs


def render_organization(call: Call, tx: Tx, row: Row[Any]) -> Document:
    """An organization as this caller sees it. Its id on the wire is its name."""
    access = organization_access(tx, call.caller, row.id)
    manages = access.may("manage-workspaces")
    attributes = {
        "name": row.name,
        "external-id": row.id,
        "email": row.email if access.may("update") else None,
        "created-at": row.created_at,
        "collaborator-auth-policy": "password",
        "cost-estimation-enabled": False,
        "default-execution-mode": "remote",
        "assessments-enforced": False,
        "global-run-tasks": False,
        "plan-expired": False,
        "saml-enabled": False,
        "session-remember": None,
        "session-timeout": None,
        "two-factor-conformant": True,
        "permissions": {
            "can-update": access.may("update"),
            "can-destroy": access.may("destroy"),
            "can-create-workspace": manages,
            "can-create-workspace-migration": False,
            "can-create-team": False,
            "can-create-module": False,
            "can-create-provider": False,
            "can-manage-policies": access.may("manage-policies"),
            "can-manage-policy-overrides": access.may("manage-policy-overrides"),
            "can-manage-subscription": False,
            "can-manage-users": access.may("manage-membership"),
            "can-traverse": True,
            "can-update-api-token": access.may("update"),
            "can-update-oauth": False,
            "can-update-sentinel": access.may("manage-policies"),
        },
    }
    p = tx.execute(sa.select(P.c.id).where(P.c.organization_id == row.id).order_by(P.c.created_at).limit(1)).scalar()
    return resource(
        "organizations", row.name, attributes, {"default-project": to_one("projects", p)}, {"self": f"/api/v2/organizations/{row.name}"}
    )


def list_organizations(call: Call) -> Answer:
    """organizations the caller belongs to"""
    with call.store.read() as tx:
        text = call.query.get("q", "") or call.query.get("q[name]", "")
        query = sa.select(ORG).order_by(ORG.c.name)
        if text:
            query = query.where(ORG.c.name.icontains(text, autoescape=True))
        rows = [row for row in tx.execute(query).all() if organization_access(tx, call.caller, row.id).member]
        page = call.page
        return listed([render_organization(call, tx, row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def create(call: Call) -> Answer:
    """POST organizations: name, email"""
    sent = Sent(call.document, "organizations")
    if call.caller.kind != "user":
        raise forbidden("Only a user makes organizations.")
    with call.store.write() as tx:
        id = create_organization(tx, sent.text("name"), _email(sent), call.caller)
        row = one(tx, ORG, ORG.c.id == id)
        assert row is not None, "it was just made"
        return shown(render_organization(call, tx, row), 201)


def _email(sent: Sent) -> str:
    email = sent.text("email", most=200)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise invalid("Email is missing or malformed.", "email")
    return email


def show(call: Call) -> Answer:
    """organizations/:name"""
    with call.store.read() as tx:
        return shown(render_organization(call, tx, require_organization(tx, call.caller, call.path["organization"])))


def update(call: Call) -> Answer:
    """PATCH organizations/:name: name, email"""
    sent = Sent(call.document, "organizations")
    with call.store.write() as tx:
        row = require_organization(tx, call.caller, call.path["organization"], "update")
        name = sent.text("name", row.name)
        if name != row.name:
            check_organization_name(tx, name)
        email = _email(sent) if sent.has("email") else row.email
        tx.execute(sa.update(ORG).where(ORG.c.id == row.id).values(name=name, email=email))
        record(tx, call.caller, "update", "organization", row.id, row.id, {"changed": sorted(sent.attributes)})
        return shown(render_organization(call, tx, require_organization(tx, call.caller, name)))


def delete(call: Call) -> Answer:
    """DELETE organizations/:name, with everything in it; not while a run is at work"""
    with call.store.write() as tx:
        row = require_organization(tx, call.caller, call.path["organization"], "destroy")
        ids = list(tx.execute(sa.select(W.c.id).where(W.c.organization_id == row.id)).scalars())
        busy = sa.and_(R.c.workspace_id.in_(ids), R.c.status.in_(("planning", "policy_checking", "apply_queued", "applying")))
        if tx.execute(sa.select(R.c.id).where(busy).limit(1)).scalar() is not None:
            raise conflict("A run of the organization is at work; cancel it or wait.")
        delete_workspace_blobs(tx, ids)
        s, v = schema.policy_sets, schema.policy_set_versions
        versions = sa.select(v.c.id).join(s, s.c.id == v.c.policy_set_id).where(s.c.organization_id == row.id)
        delete_blobs(tx, [policy_set_key(id) for id in tx.execute(versions).scalars()])
        tx.execute(ORG.delete().where(ORG.c.id == row.id))
        record(tx, call.caller, "destroy", "organization", row.id, row.id, {"name": row.name})
    return NO_CONTENT


def render_project(row: Row[Any], organization: str) -> Document:
    """A project."""
    attributes = {
        "name": row.name,
        "description": row.description,
        "created-at": row.created_at,
        "is-unified": False,
        "permissions": {"can-read": True, "can-update": False, "can-destroy": False, "can-create-workspace": True},
    }
    return resource("projects", row.id, attributes, {"organization": to_one("organizations", organization)})


def list_projects(call: Call) -> Answer:
    """organizations/:name/projects: the default one"""
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
        rows = tx.execute(sa.select(P).where(P.c.organization_id == organization.id).order_by(P.c.name)).all()
    names = [n for n in call.query.get("filter[names]", "").split(",") if n]
    text = call.query.get("q", "").lower()
    rows = [row for row in rows if (not names or row.name in names) and text in row.name.lower()]
    page = call.page
    return listed([render_project(row, organization.name) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def create_project(call: Call) -> Answer:
    """POST organizations/:name/projects: there is only the default one"""
    with call.store.read() as tx:
        require_organization(tx, call.caller, call.path["organization"], "manage-workspaces")
    raise invalid("There is only the default project here; leave the project out.", "name")


def show_project(call: Call) -> Answer:
    """projects/:id"""
    with call.store.read() as tx:
        row = one(tx, P, P.c.id == call.path["id"])
        organization = one(tx, ORG, ORG.c.id == row.organization_id) if row is not None else None
        if row is None or organization is None or not organization_access(tx, call.caller, organization.id).member:
            raise not_found("project")
    return shown(render_project(row, organization.name))


def _unfinished(call: Call, tx: Tx, organization_id: str) -> list[Row[Any]]:
    """Runs of the queue that the caller may see, those at work first, then in their order."""
    workspaces = tx.execute(sa.select(W).where(W.c.organization_id == organization_id)).all()
    seen = [w.id for w in workspaces if "read-run" in workspace_permissions(tx, call.caller, w)]
    waiting = sa.and_(R.c.workspace_id.in_(seen), R.c.status.not_in(states.FINAL), R.c.plan_only.is_(False))
    rows = tx.execute(sa.select(R).where(waiting).order_by(R.c.number)).all()
    return sorted(rows, key=lambda row: row.status in states.WAITING)


def show_queue(call: Call) -> Answer:
    """organizations/:name/runs/queue"""
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
        rows, page = _unfinished(call, tx, organization.id), call.page
        items = []
        for position, row in list(enumerate(rows))[page.offset : page.offset + page.size]:
            item = render_run(call, tx, row)
            item["attributes"]["position-in-queue"] = position
            items.append(item)
        return listed(items, page, len(rows))


def show_capacity(call: Call) -> Answer:
    """organizations/:name/capacity"""
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
        rows = _unfinished(call, tx, organization.id)
    running = sum(row.status in ("planning", "policy_checking", "applying") for row in rows)
    return shown(resource("organization-capacity", organization.name, {"pending": len(rows) - running, "running": running}))


ONE = "/organizations/{organization}"
ROUTES: list[Route] = [
    ("GET", "/organizations", list_organizations),
    ("POST", "/organizations", create),
    ("GET", ONE, show),
    ("PATCH", ONE, update),
    ("DELETE", ONE, delete),
    ("GET", ONE + "/projects", list_projects),
    ("POST", ONE + "/projects", create_project),
    ("GET", "/projects/{id}", show_project),
    ("GET", ONE + "/runs/queue", show_queue),
    ("GET", ONE + "/capacity", show_capacity),
]
