"""Users, one's own account, and tokens of users and organizations.

Making users is an extension for site administrators: the vendor's users sign up by themselves.
https://developer.hashicorp.com/terraform/enterprise/api-docs/user-tokens
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import Caller, create_token, organization_access, require_organization
from haechi.tfe.accounts import create_user
from haechi.tfe.api.call import NO_CONTENT, Answer, Call, Route, listed, shown
from haechi.tfe.audit import record
from haechi.tfe.errors import conflict, forbidden, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_one
from haechi.tfe.passwords import check_password, hash_password
from haechi.tfe.store import Tx, now, one

U, T = schema.users, schema.tokens
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def render_user(row: Row[Any]) -> Document:
    """A user, as anybody who knows them sees them."""
    attributes = {
        "username": row.username,
        "is-service-account": row.is_service_account,
        "auth-method": "tfc",
        "avatar-url": "",
        "v2-only": True,
        "permissions": {"can-create-organizations": row.is_site_admin, "can-change-email": True, "can-change-username": True},
    }
    return resource("users", row.id, attributes, None, {"self": f"/api/v2/users/{row.id}"})


def render_account(row: Row[Any]) -> Document:
    """A user, as they see themselves."""
    made = render_user(row)
    more = {"email": row.email, "is-site-admin": row.is_site_admin, "is-admin": row.is_site_admin, "two-factor": {"enabled": False}}
    made["attributes"] |= {**more, "unconfirmed-email": None, "is-sso-login": False}
    return made


def render_token(row: Row[Any], token: str | None = None) -> Document:
    """A token; its text only when it was just made."""
    attributes = {
        "created-at": row.created_at,
        "description": row.description,
        "expired-at": row.expired_at,
        "last-used-at": row.last_used_at,
        "token": token,
    }
    return resource("authentication-tokens", row.id, attributes, {"created-by": to_one("users", row.created_by_id)})


def _self(call: Call, tx: Tx) -> Row[Any]:
    row = one(tx, U, U.c.id == call.caller.id) if call.caller.kind == "user" else None
    if row is None:
        raise not_found("user")
    return row


def show_account(call: Call) -> Answer:
    """account/details: whose token it is; a service account for the token of an organization or of a run"""
    if call.caller.kind != "user":
        attributes = {
            "username": f"api-{call.caller.kind}-{call.caller.name}",
            "is-service-account": True,
            "email": None,
            "permissions": {},
        }
        return shown(resource("users", call.caller.id, attributes))
    with call.store.read() as tx:
        return shown(render_account(_self(call, tx)))


def update_account(call: Call) -> Answer:
    """PATCH account/update: username, email"""
    sent = Sent(call.document, "users")
    with call.store.write() as tx:
        row = _self(call, tx)
        name, email = sent.text("username", row.username, 40), sent.text("email", row.email, 200)
        taken = one(tx, U, U.c.id != row.id, (U.c.username == name) | (U.c.email == email))
        if taken is not None or not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) or not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise invalid("Username or email is taken or malformed.", "username")
        tx.execute(sa.update(U).where(U.c.id == row.id).values(username=name, email=email))
        record(tx, call.caller, "update", "user", row.id, None)
        return shown(render_account(_self(call, tx)))


def change_password(call: Call) -> Answer:
    """PATCH account/password: current_password, password, password_confirmation"""
    sent = Sent(call.document, "users")
    new = _password(sent)
    if new == "" or sent.text("password") != sent.text("password_confirmation"):
        raise invalid("password and password_confirmation differ, or are missing.", "password")
    with call.store.write() as tx:
        row = _self(call, tx)
        if row.password and not check_password(sent.text("current_password"), row.password):
            raise invalid("current_password is not right.", "current_password")
        tx.execute(sa.update(U).where(U.c.id == row.id).values(password=new))
        record(tx, call.caller, "change_password", "user", row.id, None)
        return shown(render_account(_self(call, tx)))


def _password(sent: Sent) -> str:
    text = sent.text("password", most=1000)
    try:
        return hash_password(text) if text else ""
    except ValueError as error:
        raise invalid(str(error), "password") from None


def show_user(call: Call) -> Answer:
    """users/:id"""
    with call.store.read() as tx:
        row = one(tx, U, U.c.id == call.path["id"])
        if row is None or not _knows(tx, call.caller, row.id):
            raise not_found("user")
        return shown(render_user(row))


def _knows(tx: Tx, caller: Caller, user_id: str) -> bool:
    """Oneself, and who is in an organization with one."""
    if caller.id == user_id or caller.site_admin:
        return True
    m = schema.memberships
    query = sa.select(m.c.organization_id).where(m.c.user_id == user_id)
    return any(organization_access(tx, caller, id).member for id in tx.execute(query).scalars())


def _admin(call: Call) -> None:
    if not call.caller.site_admin:
        raise not_found()


def list_users(call: Call) -> Answer:
    """admin/users"""
    _admin(call)
    with call.store.read() as tx:
        rows, page = tx.execute(sa.select(U).order_by(U.c.username)).all(), call.page
    return listed([render_account(row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def create(call: Call) -> Answer:
    """POST admin/users: username, email, password (optional), is-site-admin"""
    _admin(call)
    sent = Sent(call.document, "users")
    email = sent.text("email", most=200)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise invalid("Email is missing or malformed.", "email")
    password = _password(sent)
    with call.store.write() as tx:
        id = create_user(tx, sent.text("username"), email, site_admin=sent.flag("is-site-admin"), password=password)
        record(tx, call.caller, "create", "user", id, None, {"username": sent.text("username")})
        row = one(tx, U, U.c.id == id)
    assert row is not None, "it was just made"
    return shown(render_account(row), 201)


def delete_user(call: Call) -> Answer:
    """DELETE admin/users/:id; not oneself"""
    _admin(call)
    with call.store.write() as tx:
        row = one(tx, U, U.c.id == call.path["id"])
        if row is None:
            raise not_found("user")
        if row.id == call.caller.id:
            raise conflict("Nobody deletes themselves.")
        tx.execute(U.delete().where(U.c.id == row.id))
        record(tx, call.caller, "destroy", "user", row.id, None, {"username": row.username})
    return NO_CONTENT


def _owner(call: Call, user_id: str) -> None:
    if call.caller.kind != "user" or (call.caller.id != user_id and not call.caller.site_admin):
        raise not_found("user")


def list_tokens(call: Call) -> Answer:
    """users/:id/authentication-tokens"""
    _owner(call, call.path["id"])
    with call.store.read() as tx:
        rows, page = (
            tx.execute(sa.select(T).where(T.c.user_id == call.path["id"], T.c.kind == "user").order_by(T.c.created_at, T.c.id)).all(),
            call.page,
        )
    return listed([render_token(row) for row in rows[page.offset : page.offset + page.size]], page, len(rows))


def create_user_token(call: Call) -> Answer:
    """POST users/:id/authentication-tokens: description, expired-at"""
    _owner(call, call.path["id"])
    with call.store.write() as tx:
        if one(tx, U, U.c.id == call.path["id"]) is None:
            raise not_found("user")
        return _made(call, tx, "user", None, user_id=call.path["id"])


def _made(call: Call, tx: Tx, kind: str, audited_in: str | None, **owner: str) -> Answer:
    sent = Sent(call.document, "authentication-tokens", required=False)
    expired_at = sent.text("expired-at", most=40) or None
    if expired_at and (not TIME.fullmatch(expired_at) or not expired_at.endswith("Z")):
        raise invalid("expired-at must be a time in UTC like 2027-01-01T00:00:00.000Z.", "expired-at")
    if expired_at and expired_at <= now():
        raise invalid("expired-at must be in the future.", "expired-at")
    description = sent.text("description", most=1000)
    id, token = create_token(tx, kind, created_by=call.caller.id, description=description, expired_at=expired_at, **owner)
    record(tx, call.caller, "create", "authentication_token", id, audited_in, {"kind": kind})
    row = one(tx, T, T.c.id == id)
    assert row is not None, "it was just made"
    return shown(render_token(row, token), 201)


def _token(call: Call, tx: Tx) -> Row[Any]:
    row = one(tx, T, T.c.id == call.path["id"])
    if row is None or row.kind != "user":
        raise not_found("token")
    _owner(call, row.user_id)
    return row


def show_token(call: Call) -> Answer:
    """authentication-tokens/:id"""
    with call.store.read() as tx:
        return shown(render_token(_token(call, tx)))


def delete_token(call: Call) -> Answer:
    """DELETE authentication-tokens/:id"""
    with call.store.write() as tx:
        row = _token(call, tx)
        tx.execute(T.delete().where(T.c.id == row.id))
        record(tx, call.caller, "destroy", "authentication_token", row.id, None)
    return NO_CONTENT


def _organization_tokens(call: Call, tx: Tx) -> tuple[Row[Any], sa.ColumnElement[bool]]:
    organization = require_organization(tx, call.caller, call.path["organization"], "update")
    if call.caller.kind != "user":
        raise forbidden("Only an owner manages the organization's token.")
    return organization, sa.and_(T.c.kind == "organization", T.c.organization_id == organization.id)


def create_organization_token(call: Call) -> Answer:
    """POST organizations/:name/authentication-token: the old one ends"""
    with call.store.write() as tx:
        organization, mine = _organization_tokens(call, tx)
        tx.execute(T.delete().where(mine))
        return _made(call, tx, "organization", organization.id, organization_id=organization.id)


def show_organization_token(call: Call) -> Answer:
    """organizations/:name/authentication-token"""
    with call.store.read() as tx:
        _, mine = _organization_tokens(call, tx)
        row = one(tx, T, mine)
    if row is None:
        raise not_found("token")
    return shown(render_token(row))


def delete_organization_token(call: Call) -> Answer:
    """DELETE organizations/:name/authentication-token"""
    with call.store.write() as tx:
        organization, mine = _organization_tokens(call, tx)
        if tx.execute(T.delete().where(mine)).rowcount == 0:
            raise not_found("token")
        record(tx, call.caller, "destroy", "authentication_token", organization.id, organization.id)
    return NO_CONTENT


ROUTES: list[Route] = [
    ("GET", "/account/details", show_account),
    ("PATCH", "/account/update", update_account),
    ("PATCH", "/account/password", change_password),
    ("GET", "/users/{id}", show_user),
    ("GET", "/admin/users", list_users),
    ("POST", "/admin/users", create),
    ("DELETE", "/admin/users/{id}", delete_user),
    ("GET", "/users/{id}/authentication-tokens", list_tokens),
    ("POST", "/users/{id}/authentication-tokens", create_user_token),
    ("GET", "/authentication-tokens/{id}", show_token),
    ("DELETE", "/authentication-tokens/{id}", delete_token),
    ("POST", "/organizations/{organization}/authentication-token", create_organization_token),
    ("GET", "/organizations/{organization}/authentication-token", show_organization_token),
    ("DELETE", "/organizations/{organization}/authentication-token", delete_organization_token),
]
