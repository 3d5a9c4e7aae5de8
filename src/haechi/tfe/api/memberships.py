"""Who belongs to an organization, and what they may do in it.

The vendor gives permissions to teams; until there are teams here, a membership has them as extensions: role, workspace-access,
organization-access. https://developer.hashicorp.com/terraform/enterprise/api-docs/organization-memberships
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import GRANTABLE, LEVELS, require_organization
from haechi.tfe.accounts import add_member
from haechi.tfe.api.account import render_user
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.audit import record
from haechi.tfe.errors import conflict, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_many, to_one
from haechi.tfe.store import Tx, one

M, U, ORG = schema.memberships, schema.users, schema.organizations


def render_membership(tx: Tx, row: Row[Any]) -> Document:
    """A membership."""
    user, organization = one(tx, U, U.c.id == row.user_id), one(tx, ORG, ORG.c.id == row.organization_id)
    assert user is not None and organization is not None, "a membership goes with both"
    attributes = {
        "status": "active",
        "email": user.email,
        "created-at": row.created_at,
        "role": row.role,
        "workspace-access": row.workspace_access,
        "organization-access": {name: row.role == "owner" or bool(row.organization_access.get(name)) for name in GRANTABLE},
    }
    relationships = {
        "user": to_one("users", user.id),
        "organization": to_one("organizations", organization.name),
        "teams": to_many("teams", []),
    }
    return resource("organization-memberships", row.id, attributes, relationships)


def _parse(sent: Sent, old: Row[Any] | None = None) -> dict[str, Any]:
    role = sent.text("role") or (old.role if old else "member")
    if role not in ("owner", "member"):
        raise invalid("role is owner or member.", "role")
    level = sent.text("workspace-access") or (old.workspace_access if old else "read")
    if level not in LEVELS:
        raise invalid(f"workspace-access is one of {', '.join(LEVELS)}.", "workspace-access")
    granted = sent.attributes.get("organization-access")
    if granted is None:
        granted = dict(old.organization_access) if old else {}
    if not isinstance(granted, dict) or not all(k in GRANTABLE and isinstance(v, bool) for k, v in granted.items()):
        raise invalid(f"organization-access holds {', '.join(GRANTABLE)}, each true or false.", "organization-access")
    return {"role": role, "workspace_access": level, "organization_access": {**(old.organization_access if old else {}), **granted}}


def list_memberships(call: Call) -> Answer:
    """organizations/:name/organization-memberships"""
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
        rows = tx.execute(sa.select(M).where(M.c.organization_id == organization.id).order_by(M.c.created_at, M.c.id)).all()
        page = call.page
        rows_shown = rows[page.offset : page.offset + page.size]
        included = [render_user(u) for u in tx.execute(sa.select(U).where(U.c.id.in_([r.user_id for r in rows_shown])))]
        return listed([render_membership(tx, row) for row in rows_shown], page, len(rows), included if "user" in call.include else None)


def create_membership(call: Call) -> Answer:
    """POST organizations/:name/organization-memberships: email of a user who exists"""
    sent = Sent(call.document, "organization-memberships")
    with call.store.write() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"], "manage-membership")
        values = _checked(call, tx, organization.name, _parse(sent))
        user = one(tx, U, U.c.email == sent.text("email"))
        if user is None:
            raise invalid("There is no user with this email; an administrator makes users.", "email")
        if one(tx, M, M.c.organization_id == organization.id, M.c.user_id == user.id) is not None:
            raise invalid("The user is a member already.", "email")
        id = add_member(tx, organization.id, user.id)
        tx.execute(sa.update(M).where(M.c.id == id).values(**values))
        record(tx, call.caller, "create", "organization_membership", id, organization.id, {"user": user.username, **values})
        return shown(render_membership(tx, _find(call, tx, id)), 201)


def _checked(call: Call, tx: Tx, organization: str, values: dict[str, Any]) -> dict[str, Any]:
    """Who manages memberships gives no more than they have themselves: making owners is for owners."""
    if values["role"] == "owner" or values["organization_access"].get("manage-membership"):
        require_organization(tx, call.caller, organization, "update")
    return values


def _find(call: Call, tx: Tx, id: str, permission: str = "") -> Row[Any]:
    row = one(tx, M, M.c.id == id, lock=bool(permission))
    organization = one(tx, ORG, ORG.c.id == row.organization_id) if row is not None else None
    if row is None or organization is None:
        raise not_found("membership")
    require_organization(tx, call.caller, organization.name, permission)
    return row


def show_membership(call: Call) -> Answer:
    """organization-memberships/:id"""
    with call.store.read() as tx:
        return shown(render_membership(tx, _find(call, tx, call.path["id"])))


def update_membership(call: Call) -> Answer:
    """PATCH organization-memberships/:id"""
    sent = Sent(call.document, "organization-memberships")
    with call.store.write() as tx:
        row = _find(call, tx, call.path["id"], "manage-membership")
        organization = one(tx, ORG, ORG.c.id == row.organization_id)
        assert organization is not None, "a membership goes with its organization"
        if row.role == "owner":
            require_organization(tx, call.caller, organization.name, "update")
        values = _checked(call, tx, organization.name, _parse(sent, row))
        if row.role == "owner" and values["role"] != "owner":
            _keep_an_owner(tx, row)
        tx.execute(sa.update(M).where(M.c.id == row.id).values(**values))
        record(tx, call.caller, "update", "organization_membership", row.id, organization.id, values)
        return shown(render_membership(tx, _find(call, tx, row.id)))


def delete_membership(call: Call) -> Answer:
    """DELETE organization-memberships/:id"""
    with call.store.write() as tx:
        row = _find(call, tx, call.path["id"], "manage-membership")
        if row.role == "owner":
            organization = one(tx, ORG, ORG.c.id == row.organization_id)
            assert organization is not None, "a membership goes with its organization"
            require_organization(tx, call.caller, organization.name, "update")
            _keep_an_owner(tx, row)
        tx.execute(M.delete().where(M.c.id == row.id))
        record(tx, call.caller, "destroy", "organization_membership", row.id, row.organization_id)
    return NO_CONTENT


def _keep_an_owner(tx: Tx, row: Row[Any]) -> None:
    one(tx, ORG, ORG.c.id == row.organization_id, lock=True)  # two owners that remove each other at the same moment
    others = sa.and_(M.c.organization_id == row.organization_id, M.c.role == "owner", M.c.id != row.id)
    if tx.execute(sa.select(M.c.id).where(others).limit(1)).scalar() is None:
        raise conflict("An organization keeps at least one owner.")


ROUTES: list[Route] = [
    ("GET", "/organizations/{organization}/organization-memberships", list_memberships),
    ("POST", "/organizations/{organization}/organization-memberships", create_membership),
    ("GET", "/organization-memberships/{id}", show_membership),
    ("PATCH", "/organization-memberships/{id}", update_membership),
    ("DELETE", "/organization-memberships/{id}", delete_membership),
]
