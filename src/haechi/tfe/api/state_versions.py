"""State versions: every state a workspace ever had, and rolling back.

https://developer.hashicorp.com/terraform/enterprise/api-docs/state-versions
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.api.call import Answer, Call, Route, Services, listed, shown
from haechi.tfe.api.state_outputs import outputs_of, render_output
from haechi.tfe.audit import record
from haechi.tfe.errors import bad_request, conflict, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_many, to_one
from haechi.tfe.runs.blobs import state_json_key, state_key
from haechi.tfe.state import versions
from haechi.tfe.store import Tx, get_blob, one
from haechi.tfe.workspaces import find_workspace, locked_by_other

S = schema.state_versions
MOST = 256 << 20  # bytes of a state
HEADERS = {"x-terraform-snapshot-interval": "20"}  # seconds between the snapshots of a client that applies by itself


def render_version(call: Call, tx: Tx, row: Row[Any]) -> Document:
    """A state version."""
    done, pending = row.status == "finalized", row.status == "pending"
    has_json = done and get_blob(tx, state_json_key(row.id)) is not None
    attributes = {
        "created-at": row.created_at,
        "size": row.size,
        "serial": row.serial,
        "state-version": row.state_format,
        "status": row.status,
        "lineage": row.lineage,
        "md5": row.md5,
        "intermediate": row.intermediate,
        "terraform-version": row.terraform_version,
        "hosted-state-download-url": call.signed("state-download", row.id) if done else None,
        "hosted-state-upload-url": call.signed("state", row.id) if pending else None,
        "hosted-json-state-download-url": call.signed("json-state-download", row.id) if has_json else None,
        "hosted-json-state-upload-url": call.signed("json-state", row.id) if pending else None,
        "resources-processed": row.resources_processed,
        "resources": row.resources,
        "modules": row.modules,
        "providers": row.providers,
        "billable-rum-count": None,
        "vcs-commit-sha": None,
        "vcs-commit-url": None,
    }
    relationships = {
        "workspace": to_one("workspaces", row.workspace_id),
        "run": to_one("runs", row.run_id),
        "created-by": to_one("users", row.created_by_id),
        "rollback-state-version": to_one("state-versions", row.rollback_of_id),
        "outputs": to_many("state-version-outputs", [o.id for o in outputs_of(tx, row.id)]),
    }
    return resource("state-versions", row.id, attributes, relationships, {"self": f"/api/v2/state-versions/{row.id}"})


def _answer(call: Call, tx: Tx, row: Row[Any], status: int = 200) -> Answer:
    included = [render_output(o, row.id, hide=True) for o in outputs_of(tx, row.id)] if "outputs" in call.include else []
    answer = shown(render_version(call, tx, row), status, included)
    return Answer(answer.document, status, headers=HEADERS)


def _find(call: Call, tx: Tx, id: str, permission: str) -> Row[Any]:
    row = one(tx, S, S.c.id == id)
    if row is None:
        raise not_found("state version")
    find_workspace(tx, call.caller, row.workspace_id, permission)
    return row


def create_version(call: Call) -> Answer:
    """POST workspaces/:id/state-versions, with the state inside (old clients) or to be uploaded"""
    sent = Sent(call.document, "state-versions")
    data, printed = _decoded(sent, "state"), _decoded(sent, "json-state")
    for name in ("serial", "md5"):
        if sent.attributes.get(name) is None:
            raise invalid(f"param is missing or the value is empty: {name}", name)
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "create-state-versions", lock=True)
        _check_lock(call, tx, workspace)
        id = versions.create_version(
            call.store,
            tx,
            workspace.id,
            serial=sent.integer("serial"),
            lineage=sent.text("lineage", most=200),
            md5=sent.text("md5", most=64).lower(),
            force=sent.flag("force"),
            run_id=_run_of(tx, sent, workspace.id),
            created_by_id=call.caller.id,
            intermediate=sent.flag("intermediate"),
        )
        if data is not None:
            versions.finalize(tx, id, data)
            if printed is not None:
                versions.keep_json(tx, id, printed)
        told = {"workspace": workspace.id, "serial": sent.integer("serial"), "force": sent.flag("force")}
        record(tx, call.caller, "create", "state_version", id, workspace.organization_id, told)
        return _answer(call, tx, _find(call, tx, id, "read-state-versions"), 201)


def _decoded(sent: Sent, name: str) -> bytes | None:
    text = sent.text(name, most=MOST * 2)
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{name} must be base64.", name) from None


def _run_of(tx: Tx, sent: Sent, workspace_id: str) -> str | None:
    id = sent.related("run", "runs")
    found = one(tx, schema.runs, schema.runs.c.id == id, schema.runs.c.workspace_id == workspace_id) if id else None
    if id and found is None:
        raise not_found("run")
    return id


def _check_lock(call: Call, tx: Tx, workspace: Row[Any]) -> None:
    if not workspace.locked_by:
        raise conflict("The workspace must be locked by you to give it a state.", "workspace not locked")
    if workspace.locked_by_id != call.caller.id:
        raise locked_by_other(tx, workspace)


def list_versions(call: Call) -> Answer:
    """workspaces/:id/state-versions and state-versions?filter[workspace][name]=&filter[organization][name]=, newest first"""
    o, w = schema.organizations, schema.workspaces
    with call.store.read() as tx:
        id = call.path.get("id")
        if id is None:
            organization, name = call.query.get("filter[organization][name]", ""), call.query.get("filter[workspace][name]", "")
            if not organization or not name:
                raise bad_request("filter[organization][name] and filter[workspace][name] are required.")
            query = sa.select(w.c.id).join(o, o.c.id == w.c.organization_id).where(o.c.name == organization, w.c.name == name)
            id = tx.execute(query).scalar() or ""
        workspace = find_workspace(tx, call.caller, id, "read-state-versions")
        status, page = call.query.get("filter[status]", ""), call.page
        where = sa.and_(S.c.workspace_id == workspace.id, S.c.status == status if status else S.c.status != "discarded")
        total = tx.execute(sa.select(sa.func.count()).select_from(S).where(where)).scalar_one()
        rows = tx.execute(sa.select(S).where(where).order_by(S.c.number.desc()).limit(page.size).offset(page.offset)).all()
        return listed([render_version(call, tx, row) for row in rows], page, total)


def show_version(call: Call) -> Answer:
    """state-versions/:id"""
    with call.store.read() as tx:
        return _answer(call, tx, _find(call, tx, call.path["id"], "read-state-versions"))


def show_current(call: Call) -> Answer:
    """workspaces/:id/current-state-version"""
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "read-state-versions")
        row = versions.find_current(tx, workspace.id)
        if row is None:
            raise not_found("state version")
        return _answer(call, tx, row)


def roll_back(call: Call) -> Answer:
    """PATCH workspaces/:id/state-versions with the version to go back to"""
    version_id = Sent(call.document, "state-versions").related("rollback-state-version", "state-versions")
    if version_id is None:
        raise invalid("The relationship rollback-state-version is missing.", title="unprocessable entity")
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "create-state-versions", lock=True)
        _check_lock(call, tx, workspace)
        id = versions.roll_back(call.store, tx, workspace.id, version_id, call.caller.id)
        told = {"workspace": workspace.id, "to": version_id}
        record(tx, call.caller, "rollback", "state_version", id, workspace.organization_id, told)
        return _answer(call, tx, _find(call, tx, id, "read-state-versions"))


def upload_state(services: Services, id: str, data: bytes) -> None:
    """Take the state of a pending version. Raises conflict, invalid."""
    with services.store.write() as tx:
        versions.finalize(tx, id, data)


def upload_json(services: Services, id: str, data: bytes) -> None:
    """Take the printed twin, before or after the state itself. Raises not_found."""
    with services.store.write() as tx:
        row = one(tx, S, S.c.id == id)
        if row is None or row.status == "discarded":
            raise not_found("state version")
        versions.keep_json(tx, id, data)


def read_state(services: Services, id: str, printed: bool = False) -> bytes:
    """A state's bytes as they came. Raises not_found."""
    with services.store.read() as tx:
        data = get_blob(tx, state_json_key(id) if printed else state_key(id))
    if data is None:
        raise not_found("state")
    return data


ROUTES: list[Route] = [
    ("POST", "/workspaces/{id}/state-versions", create_version),
    ("GET", "/workspaces/{id}/state-versions", list_versions),
    ("PATCH", "/workspaces/{id}/state-versions", roll_back),
    ("GET", "/state-versions", list_versions),
    ("GET", "/state-versions/{id}", show_version),
    ("GET", "/workspaces/{id}/current-state-version", show_current),
]
