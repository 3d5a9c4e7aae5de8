"""Users and organizations: making them, and the first administrator."""

from __future__ import annotations

import os
import re
from pathlib import Path

from haechi.tfe import schema
from haechi.tfe.access import Caller, create_token, hash_token
from haechi.tfe.audit import record
from haechi.tfe.errors import invalid
from haechi.tfe.store import Store, Tx, new_id, now, one

NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
ADMIN = "admin"
DEFAULT_PROJECT = "Default Project"


def create_user(tx: Tx, username: str, email: str, *, site_admin: bool = False, password: str = "") -> str:
    """The new user's id. `password` is already hashed. Raises invalid."""
    u = schema.users
    if not NAME.fullmatch(username):
        raise invalid("Username may hold letters, digits, _ and -, at most 40.", "username")
    if one(tx, u, (u.c.username == username) | (u.c.email == email)) is not None:
        raise invalid("Username or email has already been taken.", "username")
    id = new_id("user")
    tx.execute(u.insert().values(id=id, username=username, email=email, is_site_admin=site_admin, password=password, created_at=now()))
    return id


def check_organization_name(tx: Tx, name: str) -> None:
    """Raises invalid for a name that is malformed or taken."""
    o = schema.organizations
    if not NAME.fullmatch(name) or len(name) < 3:
        raise invalid("Name must be 3 to 40 letters, digits, _ and -.", "name")
    if one(tx, o, o.c.name == name) is not None:
        raise invalid("Name has already been taken.", "name")


def create_organization(tx: Tx, name: str, email: str, owner: Caller) -> str:
    """The new organization's id; it gets its default project, and the caller as owner. Raises invalid."""
    check_organization_name(tx, name)
    id = new_id("org")
    tx.execute(schema.organizations.insert().values(id=id, name=name, email=email, created_at=now()))
    tx.execute(schema.projects.insert().values(id=new_id("prj"), organization_id=id, name=DEFAULT_PROJECT, created_at=now()))
    add_member(tx, id, owner.id, role="owner")
    record(tx, owner, "create", "organization", id, id)
    return id


def add_member(tx: Tx, organization_id: str, user_id: str, role: str = "member", workspace_access: str = "read") -> str:
    """The new membership's id."""
    id = new_id("ou")
    values = {"organization_id": organization_id, "user_id": user_id, "role": role, "workspace_access": workspace_access}
    tx.execute(schema.memberships.insert().values(id=id, created_at=now(), **values))
    return id


def ensure_admin(store: Store, token_file: Path) -> str:
    """The token of the first administrator, in `token_file` (0600). A lost or revoked one is replaced."""
    with store.write() as tx:
        u, t = schema.users, schema.tokens
        found = one(tx, u, u.c.username == ADMIN)
        user_id = found.id if found else create_user(tx, ADMIN, "admin@localhost", site_admin=True)
        text = token_file.read_text().strip() if token_file.exists() else ""
        if text and one(tx, t, t.c.hash == hash_token(text), t.c.user_id == user_id) is not None:
            return text
        _, text = create_token(tx, "user", user_id=user_id, description="first administrator")
        token_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = token_file.with_suffix(".tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text + "\n")
        temporary.replace(token_file)
    return text
