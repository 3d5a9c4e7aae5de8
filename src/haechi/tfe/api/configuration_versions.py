"""Configuration versions: archives that runs are made of.

https://developer.hashicorp.com/terraform/enterprise/api-docs/configuration-versions
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import archive, schema
from haechi.tfe.api.call import Answer, Call, Route, Services, listed, shown
from haechi.tfe.audit import record
from haechi.tfe.errors import conflict, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_one
from haechi.tfe.runs import lifecycle
from haechi.tfe.runs.blobs import configuration_key
from haechi.tfe.store import Tx, delete_blobs, get_blob, new_id, now, one, put_blob
from haechi.tfe.workspaces import find_workspace

C = schema.configuration_versions
MOST = 100 << 20  # bytes of an archive


def render_configuration(call: Call, row: Row[Any]) -> Document:
    """A configuration version; while it waits for its archive, with the address to send it to."""
    attributes = {
        "auto-queue-runs": row.auto_queue_runs,
        "changed-files": row.changed_files,
        "error": row.error or None,
        "error-message": row.error_message or None,
        "provisional": row.provisional,
        "source": row.source,
        "speculative": row.speculative,
        "status": row.status,
        "status-timestamps": row.status_timestamps,
        "upload-url": call.signed("configuration", row.id) if row.status == "pending" else None,
    }
    links = {"self": f"/api/v2/configuration-versions/{row.id}"}
    if row.status == "uploaded":
        links["download"] = f"/api/v2/configuration-versions/{row.id}/download"
    return resource("configuration-versions", row.id, attributes, {"ingress-attributes": to_one("ingress-attributes", None)}, links)


def create_configuration(call: Call) -> Answer:
    """POST workspaces/:id/configuration-versions"""
    sent = Sent(call.document, "configuration-versions", required=False)
    cloud = call.headers.get("x-terraform-integration") == "cloud"
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "create-configuration-version")
        id = new_id("cv")
        values = {
            "auto_queue_runs": sent.flag("auto-queue-runs", True),
            "speculative": sent.flag("speculative"),
            "provisional": sent.flag("provisional"),
            "source": "terraform+cloud" if cloud else "terraform" if call.headers.get("terraform-version") else "tfe-api",
        }
        tx.execute(C.insert().values(id=id, workspace_id=workspace.id, created_at=now(), **values))
        record(tx, call.caller, "create", "configuration_version", id, workspace.organization_id, {"workspace": workspace.id})
        row = one(tx, C, C.c.id == id)
    assert row is not None, "it was just made"
    return shown(render_configuration(call, row), 201)


def list_configurations(call: Call) -> Answer:
    """workspaces/:id/configuration-versions, newest first"""
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "read-run")
        query, page = C.c.workspace_id == workspace.id, call.page
        total = tx.execute(sa.select(sa.func.count()).select_from(C).where(query)).scalar_one()
        rows = tx.execute(sa.select(C).where(query).order_by(C.c.created_at.desc(), C.c.id).limit(page.size).offset(page.offset)).all()
    return listed([render_configuration(call, row) for row in rows], page, total)


def _find(call: Call, tx: Tx, *permissions: str) -> Row[Any]:
    row = one(tx, C, C.c.id == call.path["id"], lock=True)
    if row is None:
        raise not_found("configuration version")
    find_workspace(tx, call.caller, row.workspace_id, *permissions)
    return row


def show_configuration(call: Call) -> Answer:
    """configuration-versions/:id"""
    with call.store.read() as tx:
        return shown(render_configuration(call, _find(call, tx, "read-run")))


def download(call: Call) -> Answer:
    """configuration-versions/:id/download: to where the archive is"""
    with call.store.read() as tx:
        row = _find(call, tx, "create-configuration-version")
    if row.status != "uploaded":
        raise not_found("archive")
    return Answer(status=302, headers={"Location": call.signed("configuration-download", row.id)})


def archive_configuration(call: Call) -> Answer:
    """POST configuration-versions/:id/actions/archive: forget the archive"""
    with call.store.write() as tx:
        row = _find(call, tx, "update")
        r = schema.runs
        waiting = sa.and_(r.c.configuration_version_id == row.id, r.c.status.in_(("pending", "plan_queued", "planning")))
        if row.status not in ("uploaded", "errored") or tx.execute(sa.select(r.c.id).where(waiting).limit(1)).scalar() is not None:
            raise conflict("The configuration version is not uploaded, or a run still needs it.", "transition not allowed")
        tx.execute(sa.update(C).where(C.c.id == row.id).values(status="archived", status_timestamps=_stamped(row, "archived")))
        delete_blobs(tx, [configuration_key(row.id)])
        workspace = find_workspace(tx, call.caller, row.workspace_id)
        record(tx, call.caller, "archive", "configuration_version", row.id, workspace.organization_id)
    return Answer(status=202)


def _stamped(row: Row[Any], status: str) -> dict[str, str]:
    return {**row.status_timestamps, f"{status}-at": now()}


def upload(services: Services, id: str, data: bytes) -> None:
    """Take the archive of a pending version. Raises conflict, or invalid for a bad one, which the version then tells too."""
    reason = ""
    try:
        archive.check_archive(data)
    except archive.ArchiveError as error:
        reason = str(error)
    with services.store.write() as tx:
        row = one(tx, C, C.c.id == id, lock=True)
        if row is None or row.status != "pending":
            raise conflict("The configuration version has its archive already.")
        status = "errored" if reason else "uploaded"
        values = {"error": "bad_archive" if reason else "", "error_message": reason, "status_timestamps": _stamped(row, status)}
        tx.execute(sa.update(C).where(C.c.id == id).values(status=status, **values))
        if not reason:
            put_blob(tx, configuration_key(id), data)
            if row.auto_queue_runs and not row.provisional:
                lifecycle.create_run(services.store, tx, lifecycle.Asked(row.workspace_id, id, message="Queued by an upload"), None)
    services.store.bell.ring("jobs")
    if reason:
        raise invalid(reason, title="unprocessable entity")


def read_archive(services: Services, id: str) -> bytes:
    """The archive. Raises not_found."""
    with services.store.read() as tx:
        data = get_blob(tx, configuration_key(id))
    if data is None:
        raise not_found("archive")
    return data


ROUTES: list[Route] = [
    ("POST", "/workspaces/{id}/configuration-versions", create_configuration),
    ("GET", "/workspaces/{id}/configuration-versions", list_configurations),
    ("GET", "/configuration-versions/{id}", show_configuration),
    ("GET", "/configuration-versions/{id}/download", download),
    ("POST", "/configuration-versions/{id}/actions/archive", archive_configuration),
]
