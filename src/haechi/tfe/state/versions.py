"""Keeping states. Every function works inside the caller's transaction."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.errors import conflict, invalid
from haechi.tfe.runs.blobs import state_json_key, state_key
from haechi.tfe.state.document import State, output_type, parse_state, summarize, with_serial
from haechi.tfe.store import Store, Tx, get_blob, new_id, now, one, put_blob


class StateConflict(Exception):
    """The state belongs to another lineage, or is older than the current one; storing it would lose something."""


def find_current(tx: Tx, workspace_id: str) -> Row[Any] | None:
    """The current state version of a workspace."""
    w, s = schema.workspaces, schema.state_versions
    return tx.execute(sa.select(s).join(w, w.c.current_state_version_id == s.c.id).where(w.c.id == workspace_id)).one_or_none()


def current_state(tx: Tx, workspace_id: str) -> bytes | None:
    """The current state's bytes."""
    found = find_current(tx, workspace_id)
    return None if found is None else get_blob(tx, state_key(found.id))


def create_version(
    store: Store,
    tx: Tx,
    workspace_id: str,
    *,
    serial: int,
    lineage: str,
    md5: str,
    force: bool = False,
    run_id: str | None = None,
    created_by_id: str | None = None,
    intermediate: bool = False,
    rollback_of_id: str | None = None,
) -> str:
    """The id of a new pending version. Raises conflict for a serial or lineage that does not follow the current one."""
    _lock(tx, workspace_id)
    current = find_current(tx, workspace_id)
    if current is not None and not force:
        if lineage and lineage != current.lineage:
            raise conflict(f"The lineage {lineage} is not that of the current state, {current.lineage}.")
        if serial < current.serial or (serial == current.serial and md5 != current.md5):
            raise conflict(f"The serial {serial} does not follow that of the current state, {current.serial}.")
    id = new_id("sv")
    tx.execute(
        schema.state_versions.insert().values(
            id=id,
            workspace_id=workspace_id,
            run_id=run_id,
            created_by_id=created_by_id,
            rollback_of_id=rollback_of_id,
            serial=serial,
            lineage=lineage,
            md5=md5,
            force=force,
            intermediate=intermediate,
            number=store.number(),
            created_at=now(),
        )
    )
    return id


def finalize(tx: Tx, version_id: str, data: bytes) -> None:
    """Give a pending version its bytes and make it the current one. Raises conflict, invalid."""
    s = schema.state_versions
    version = one(tx, s, s.c.id == version_id, lock=True)
    if version is None or version.status != "pending":
        raise conflict("The state version has its state already, or was discarded.")
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if digest != version.md5:
        raise invalid(f"The state's MD5 is {digest}, not {version.md5} as was said.", "md5")
    try:
        state = parse_state(data)
    except ValueError as error:
        raise invalid(str(error), title="unprocessable entity") from None
    if state.serial != version.serial or (version.lineage and state.lineage != version.lineage):
        raise invalid("Serial or lineage of the state are not as was said.", "serial")
    _lock(tx, version.workspace_id)
    current = find_current(tx, version.workspace_id)
    if current is not None and not version.force:
        same = state.serial == current.serial and digest == current.md5
        if state.lineage != current.lineage or not (state.serial > current.serial or same):
            raise conflict("Another state became the current one in the meantime.")
    _keep(tx, version.id, version.workspace_id, state, data, digest)


def _lock(tx: Tx, workspace_id: str) -> None:
    w = schema.workspaces
    tx.execute(sa.select(w.c.id).where(w.c.id == workspace_id).with_for_update())


def _keep(tx: Tx, id: str, workspace_id: str, state: State, data: bytes, digest: str) -> None:
    s, w = schema.state_versions, schema.workspaces
    tx.execute(
        sa.update(s)
        .where(s.c.id == id)
        .values(
            status="finalized",
            md5=digest,
            size=len(data),
            lineage=state.lineage,
            terraform_version=state.terraform_version,
            resources_processed=True,
            **summarize(state),
        )
    )
    for name, output in sorted(state.outputs.items()):
        kind = output.get("type")
        values = {"name": name, "sensitive": output.get("sensitive") is True, "type": output_type(kind), "detailed_type": kind}
        tx.execute(schema.state_outputs.insert().values(id=new_id("wsout"), state_version_id=id, value=output["value"], **values))
    put_blob(tx, state_key(id), data)
    tx.execute(sa.update(w).where(w.c.id == workspace_id).values(current_state_version_id=id, updated_at=now()))


def store_state(
    store: Store, tx: Tx, workspace_id: str, data: bytes, *, run_id: str | None, created_by_id: str | None = None
) -> str | None:
    """Keep the state that a run left: the new version's id, or None where it is the current one already. Raises StateConflict."""
    try:
        state = parse_state(data)
    except ValueError as error:
        raise StateConflict(str(error)) from None
    _lock(tx, workspace_id)
    current = find_current(tx, workspace_id)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if current is not None:
        if digest == current.md5:
            return None
        if state.lineage != current.lineage or state.serial <= current.serial:
            raise StateConflict(f"It has serial {state.serial} of {state.lineage}; current is {current.serial} of {current.lineage}.")
    given = {"serial": state.serial, "lineage": state.lineage, "md5": digest, "run_id": run_id, "created_by_id": created_by_id}
    id = create_version(store, tx, workspace_id, **given)  # type: ignore[arg-type]
    _keep(tx, id, workspace_id, state, data, digest)
    return id


def roll_back(store: Store, tx: Tx, workspace_id: str, version_id: str, created_by_id: str | None) -> str:
    """Make an old state the current one again: a new version with its content and the next serial. Raises invalid."""
    _lock(tx, workspace_id)
    s = schema.state_versions
    old = one(tx, s, s.c.id == version_id, s.c.workspace_id == workspace_id, s.c.status == "finalized")
    current = find_current(tx, workspace_id)
    data = get_blob(tx, state_key(version_id))
    if old is None or current is None or data is None:
        raise invalid("The workspace has no such state version to go back to.", title="unprocessable entity")
    data = with_serial(data, current.serial + 1)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    id = create_version(
        store,
        tx,
        workspace_id,
        serial=current.serial + 1,
        lineage=old.lineage,
        md5=digest,
        force=True,  # the old one may be of another lineage, where a force brought one in
        created_by_id=created_by_id,
        rollback_of_id=old.id,
    )
    _keep(tx, id, workspace_id, parse_state(data), data, digest)
    return id


def keep_json(tx: Tx, version_id: str, data: bytes) -> None:
    """Keep the printed twin of a state, which clients send beside it."""
    put_blob(tx, state_json_key(version_id), data)


def discard_pending(tx: Tx, workspace_id: str) -> None:
    """Versions whose state never came, when the lock they were made under goes."""
    s = schema.state_versions
    tx.execute(sa.update(s).where(s.c.workspace_id == workspace_id, s.c.status == "pending").values(status="discarded"))
