"""Who is calling and what they may do. Permission names are the vendor's, without the `can-`.

Owners of an organization may do everything in it. Members have one access level on every workspace (read, plan, write, admin) and
permissions of the organization (manage-workspaces, manage-policies, manage-policy-overrides). An organization's token manages and never
runs. A run's token works on the run's own workspace and reads the states that are shared with it; it ends with the run.
https://developer.hashicorp.com/terraform/cloud-docs/users-teams-organizations/permissions
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.errors import forbidden, not_found, unauthorized
from haechi.tfe.store import Store, Tx, new_id, now, one

READ = frozenset({"read-settings", "read-run", "read-variable", "read-state-versions", "read-state-outputs"})
PLAN = READ | {"queue-run", "create-configuration-version"}
WRITE = PLAN | {
    "queue-apply", "queue-destroy", "cancel-run", "update-variable", "create-state-versions", "lock", "unlock",
}  # fmt: skip
ADMIN = WRITE | {"update", "destroy", "force-unlock", "force-delete", "manage-tags", "manage-run-triggers", "force-cancel-run"}
LEVELS: dict[str, frozenset[str]] = {"none": frozenset(), "read": READ, "plan": PLAN, "write": WRITE, "admin": ADMIN}
MANAGED = READ | {
    "update",
    "destroy",
    "force-delete",
    "update-variable",
    "manage-tags",
    "manage-run-triggers",
    "create-configuration-version",
}
ORGANIZATION = ("manage-workspaces", "manage-policies", "manage-policy-overrides", "manage-membership", "update", "destroy")
GRANTABLE = ("manage-workspaces", "manage-policies", "manage-policy-overrides", "manage-membership")
RUN_OWN = frozenset({"read-settings", "read-run", "read-state-versions", "read-state-outputs"})
SHARED = frozenset({"read-settings", "read-state-versions", "read-state-outputs"})


@dataclass(frozen=True)
class Caller:
    """Whose token it is. `id` is the user's, the organization's or the run's."""

    kind: Literal["user", "organization", "run"]
    id: str
    name: str
    token_id: str
    site_admin: bool = False
    workspace_id: str = ""  # of a run
    last_used_at: str = ""  # of the token, to the minute


@dataclass(frozen=True)
class Access:
    """A caller's permissions on one organization."""

    member: bool
    granted: frozenset[str]
    level: frozenset[str]

    def may(self, permission: str) -> bool:
        """Whether a permission of the organization is granted."""
        return permission in self.granted


def hash_token(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def create_token(
    tx: Tx, kind: str, *, created_by: str = "", description: str = "", expired_at: str | None = None, **owner: str
) -> tuple[str, str]:
    """(id, token); the token is shown this once. owner: user_id=, organization_id= or run_id=."""
    token = f"{secrets.token_urlsafe(11)[:14]}.atlasv1.{secrets.token_urlsafe(60)[:67]}"
    id = new_id("at")
    values = {"kind": kind, "description": description, "created_by_id": created_by or None, "expired_at": expired_at, **owner}
    tx.execute(schema.tokens.insert().values(id=id, hash=hash_token(token), created_at=now(), **values))
    return id, token


def find_caller(tx: Tx, authorization: str) -> Caller:
    """The caller behind an Authorization header. Raises unauthorized()."""
    scheme, _, token = authorization.partition(" ")
    found = _living(tx, token.strip()) if scheme.lower() == "bearer" else None
    if found is None or found.kind == "session":
        raise unauthorized()
    if found.kind == "user":
        return _user(tx, found)
    if found.kind == "organization":
        organization = one(tx, schema.organizations, schema.organizations.c.id == found.organization_id)
        assert organization is not None, "tokens go with their organization"
        return Caller("organization", organization.id, organization.name, found.id, last_used_at=found.last_used_at or "")
    run = one(tx, schema.runs, schema.runs.c.id == found.run_id)
    assert run is not None, "tokens go with their run"
    return Caller("run", run.id, run.id, found.id, workspace_id=run.workspace_id)


def find_session(tx: Tx, token: str) -> Caller | None:
    """The person behind the cookie of a browser; None when it is not ours, or no longer good."""
    found = _living(tx, token)
    return _user(tx, found) if found is not None and found.kind == "session" else None


def note_use(store: Store, caller: Caller) -> None:
    """Remember when the token of a person or an organization was last used; at most once a minute."""
    if caller.kind != "run" and caller.last_used_at < now(-60.0):
        with store.write() as tx:
            tx.execute(sa.update(schema.tokens).where(schema.tokens.c.id == caller.token_id).values(last_used_at=now()))


def _living(tx: Tx, token: str) -> Row[Any] | None:
    found = one(tx, schema.tokens, schema.tokens.c.hash == hash_token(token)) if token else None
    return None if found is None or (found.expired_at and found.expired_at <= now()) else found


def _user(tx: Tx, token: Row[Any]) -> Caller:
    user = one(tx, schema.users, schema.users.c.id == token.user_id)
    assert user is not None, "tokens go with their user"
    return Caller("user", user.id, user.username, token.id, user.is_site_admin, last_used_at=token.last_used_at or "")


def organization_access(tx: Tx, caller: Caller, organization_id: str) -> Access:
    """What a caller may do in an organization; `member` is False where they may not even see it."""
    everything = Access(True, frozenset(ORGANIZATION), ADMIN)
    if caller.kind == "organization":
        if caller.id != organization_id:
            return Access(False, frozenset(), frozenset())
        return Access(True, frozenset({"manage-workspaces", "manage-policies", "manage-membership"}), MANAGED)
    if caller.kind == "run":
        w = schema.workspaces
        own = tx.execute(sa.select(w.c.organization_id).where(w.c.id == caller.workspace_id)).scalar_one_or_none()
        return Access(own == organization_id, frozenset(), frozenset())
    if caller.site_admin:
        return everything
    m = schema.memberships
    found = one(tx, m, m.c.organization_id == organization_id, m.c.user_id == caller.id)
    if found is None:
        return Access(False, frozenset(), frozenset())
    if found.role == "owner":
        return everything
    granted = frozenset(name for name in GRANTABLE if found.organization_access.get(name))
    level = LEVELS[found.workspace_access]
    return Access(True, granted, level | MANAGED if "manage-workspaces" in granted else level)


def workspace_permissions(tx: Tx, caller: Caller, workspace: Row[Any]) -> frozenset[str]:
    """What a caller may do with a workspace; empty where they may not even see it."""
    if caller.kind != "run":
        return organization_access(tx, caller, workspace.organization_id).level
    if caller.workspace_id == workspace.id:
        return RUN_OWN
    own = one(tx, schema.workspaces, schema.workspaces.c.id == caller.workspace_id)
    if own is None or own.organization_id != workspace.organization_id:
        return frozenset()
    c = schema.remote_state_consumers
    shared = workspace.global_remote_state or one(tx, c, c.c.workspace_id == workspace.id, c.c.consumer_id == own.id) is not None
    return SHARED if shared else frozenset()


def require_organization(tx: Tx, caller: Caller, name: str, permission: str = "") -> Row[Any]:
    """The organization of a name, if the caller sees it and may do this. Raises not_found or forbidden."""
    o = schema.organizations
    found = one(tx, o, o.c.name == name)
    access = organization_access(tx, caller, found.id) if found else None
    if found is None or access is None or not access.member:
        raise not_found("organization")
    if permission and not access.may(permission):
        raise forbidden(f"It needs the permission {permission} in the organization {name}.")
    return found


def require_workspace(tx: Tx, caller: Caller, workspace: Row[Any] | None, *permissions: str, what: str = "workspace") -> Row[Any]:
    """The workspace, if the caller sees it and has every permission. Raises not_found (of `what`) or forbidden."""
    held = workspace_permissions(tx, caller, workspace) if workspace is not None else frozenset()
    if workspace is None:
        raise not_found(what)
    if not held:
        if caller.kind == "run" and organization_access(tx, caller, workspace.organization_id).member:
            # A 404 would make terraform_remote_state try to create the workspace.
            raise forbidden(f"The workspace {workspace.name} does not share its state with the workspace of this run.")
        raise not_found(what)
    missing = [p for p in permissions if p not in held]
    if missing:
        raise forbidden(f"It needs the permission {missing[0]} on the workspace {workspace.name}.")
    return workspace


def wire(permissions: frozenset[str], names: Mapping[str, str]) -> dict[str, bool]:
    """The `permissions` attribute: wire name -> whether the permission behind it is held."""
    return {name: permission in permissions for name, permission in names.items()}
