"""Workspaces: finding, making, changing, locking and deleting them."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import Caller, require_workspace
from haechi.tfe.audit import record
from haechi.tfe.errors import ApiError, conflict, invalid, not_found
from haechi.tfe.jsonapi import Sent
from haechi.tfe.runs import blobs, queue, states
from haechi.tfe.state.versions import discard_pending
from haechi.tfe.store import Store, Tx, new_id, now, one

NAME = re.compile(r"[A-Za-z0-9_-]{1,90}")
VERSION = re.compile(r"latest|[0-9A-Za-z.~<>=!, -]{1,100}")
TAG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9:_ -]{0,253}[A-Za-z0-9])?|[A-Za-z0-9]")
TEXTS = ("description", "source-name", "source-url", "working-directory")
FLAGS = {
    "auto-apply": "auto_apply",
    "auto-apply-run-trigger": "auto_apply_run_trigger",
    "allow-destroy-plan": "allow_destroy_plan",
    "global-remote-state": "global_remote_state",
    "queue-all-runs": "queue_all_runs",
    "speculative-enabled": "speculative_enabled",
    "structured-run-output-enabled": "structured_run_output_enabled",
}


def find_workspace(tx: Tx, caller: Caller, id: str, *permissions: str, lock: bool = False) -> Row[Any]:
    """The workspace of an id. Raises not_found, forbidden."""
    w = schema.workspaces
    return require_workspace(tx, caller, one(tx, w, w.c.id == id, lock=lock), *permissions)


def find_named(tx: Tx, caller: Caller, organization_id: str, name: str, *permissions: str, lock: bool = False) -> Row[Any]:
    """The workspace of a name. Raises not_found, forbidden."""
    w = schema.workspaces
    return require_workspace(tx, caller, one(tx, w, w.c.organization_id == organization_id, w.c.name == name, lock=lock), *permissions)


def parse_settings(sent: Sent) -> dict[str, Any]:
    """Columns for the attributes that were sent. Raises invalid."""
    values: dict[str, Any] = {}
    if sent.has("name"):
        values["name"] = sent.text("name")
        if not NAME.fullmatch(values["name"]):
            raise invalid("Name may hold letters, digits, _ and -, at most 90.", "name")
    for attribute, column in FLAGS.items():
        if sent.attributes.get(attribute) is not None:
            values[column] = sent.flag(attribute)
    for attribute in TEXTS:
        if sent.has(attribute):
            values[attribute.replace("-", "_")] = sent.text(attribute, most=4096)
    parts = values.get("working_directory", "").split("/")
    if ".." in parts or values.get("working_directory", "").startswith("/"):
        raise invalid("The working directory is relative and stays inside the configuration.", "working-directory")
    if sent.attributes.get("terraform-version"):
        values["terraform_version"] = sent.text("terraform-version")
        if not VERSION.fullmatch(values["terraform_version"]):
            raise invalid("Terraform version must be a version, a constraint, or latest.", "terraform-version")
    mode = sent.text("execution-mode")
    if not mode and sent.attributes.get("operations") is not None:
        mode = "remote" if sent.flag("operations") else "local"
    if mode:
        if mode not in ("remote", "local"):
            raise invalid("Execution mode is remote or local here.", "execution-mode")
        values["execution_mode"] = mode
    return values


def create_workspace(tx: Tx, caller: Caller, organization: Row[Any], sent: Sent) -> str:
    """The new workspace's id. Raises invalid."""
    values = parse_settings(sent)
    if not values.get("name"):
        raise invalid("Name is missing.", "name")
    _check_free(tx, organization.id, values["name"])
    p = schema.projects
    wanted = sent.related("project", "projects")
    query = sa.select(p.c.id).where(p.c.organization_id == organization.id).order_by(p.c.created_at).limit(1)
    project = tx.execute(query.where(p.c.id == wanted) if wanted else query).scalar()
    if project is None:
        raise not_found("project")
    id = new_id("ws")
    stamps = {"created_at": now(), "updated_at": now()}
    tx.execute(schema.workspaces.insert().values(id=id, organization_id=organization.id, project_id=project, **stamps, **values))
    record(tx, caller, "create", "workspace", id, organization.id, {"name": values["name"]})
    return id


def update_workspace(tx: Tx, caller: Caller, workspace: Row[Any], sent: Sent) -> None:
    """Change settings. Raises invalid."""
    values = parse_settings(sent)
    if values.get("name", workspace.name) != workspace.name:
        _check_free(tx, workspace.organization_id, values["name"])
    w = schema.workspaces
    tx.execute(sa.update(w).where(w.c.id == workspace.id).values(updated_at=now(), **values))
    record(tx, caller, "update", "workspace", workspace.id, workspace.organization_id, {"changed": sorted(values)})


def _check_free(tx: Tx, organization_id: str, name: str) -> None:
    w = schema.workspaces
    if one(tx, w, w.c.organization_id == organization_id, w.c.name == name) is not None:
        raise invalid("Name has already been taken.", "name")


def delete_workspace(tx: Tx, caller: Caller, workspace: Row[Any], safe: bool = False) -> None:
    """Delete it with everything of it. Raises conflict while a run is at work, and if `safe` while it manages resources."""
    r = schema.runs
    busy = sa.and_(r.c.workspace_id == workspace.id, r.c.status.in_(("planning", "policy_checking", "apply_queued", "applying")))
    if tx.execute(sa.select(r.c.id).where(busy).limit(1)).scalar() is not None:
        raise conflict("A run of the workspace is at work; cancel it or wait.")
    if safe and count_resources(tx, workspace):
        raise conflict("The workspace manages resources; destroy them first, or force the deletion.")
    blobs.delete_workspace_blobs(tx, [workspace.id])
    tx.execute(schema.workspaces.delete().where(schema.workspaces.c.id == workspace.id))
    record(tx, caller, "destroy", "workspace", workspace.id, workspace.organization_id, {"name": workspace.name})


def count_resources(tx: Tx, workspace: Row[Any]) -> int:
    """Managed resource instances in the current state."""
    s = schema.state_versions
    found = one(tx, s, s.c.id == workspace.current_state_version_id) if workspace.current_state_version_id else None
    return 0 if found is None else sum(r["count"] for r in found.resources if not r["type"].startswith("data."))


def lock(tx: Tx, caller: Caller, workspace: Row[Any], reason: str) -> None:
    """Take the lock for a person. Raises conflict."""
    if workspace.locked_by:
        raise conflict("workspace already locked", "workspace already locked")
    w = schema.workspaces
    free = sa.update(w).where(w.c.id == workspace.id, w.c.locked_by == "")
    if tx.execute(free.values(locked_by=caller.kind, locked_by_id=caller.id, lock_reason=reason)).rowcount != 1:
        raise conflict("workspace already locked", "workspace already locked")
    record(tx, caller, "lock", "workspace", workspace.id, workspace.organization_id, {"reason": reason[:500]})


def unlock(store: Store, tx: Tx, caller: Caller, workspace: Row[Any], force: bool = False) -> None:
    """Give the lock back; `force` takes it from another person, never from a run at work. Raises conflict. The next run's turn comes."""
    if not workspace.locked_by:
        raise conflict("workspace already unlocked", "workspace already unlocked")
    if workspace.locked_by == "run" and (not force or _at_work(tx, workspace.locked_by_id)):
        raise locked_by_other(tx, workspace)
    if not force and workspace.locked_by_id != caller.id:
        raise locked_by_other(tx, workspace)
    discard_pending(tx, workspace.id)
    w = schema.workspaces
    tx.execute(sa.update(w).where(w.c.id == workspace.id).values(locked_by="", locked_by_id=None, lock_reason=""))
    record(tx, caller, "force_unlock" if force else "unlock", "workspace", workspace.id, workspace.organization_id)
    queue.schedule(store, tx, workspace.id)


def _at_work(tx: Tx, run_id: str | None) -> bool:
    found = one(tx, schema.runs, schema.runs.c.id == run_id)
    return found is not None and found.status not in states.FINAL


def locked_by_other(tx: Tx, workspace: Row[Any]) -> ApiError:
    """The refusal that clients look for: "is locked by Run ..." or "is locked by User ..."."""
    name = workspace.locked_by_id
    if workspace.locked_by == "user":
        user = one(tx, schema.users, schema.users.c.id == workspace.locked_by_id)
        name = user.username if user else name
    detail = f'Workspace "{workspace.name}" is locked by {workspace.locked_by.capitalize()} "{name}".'
    return conflict(detail, "workspace is locked")
