"""The audit trail: who did what to which resource. Written in the transaction of the change itself, so neither exists without the other."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from haechi.tfe import schema
from haechi.tfe.access import Caller
from haechi.tfe.store import Tx, now


def record(
    tx: Tx,
    actor: Caller | None,
    action: str,
    resource_type: str,
    resource_id: str,
    organization_id: str | None,
    meta: Mapping[str, Any] | None = None,
    request_id: str = "",
) -> None:
    """Add an event. `actor` None is the server itself; `meta` must hold no secret."""
    tx.execute(
        schema.audit.insert().values(
            id=str(uuid.uuid4()),
            number=time.time_ns(),
            timestamp=now(),
            organization_id=organization_id,
            actor_id=actor.id if actor else None,
            actor=actor.name if actor else "system",
            actor_type="Client" if actor else "System",
            request_id=request_id,
            resource_id=resource_id,
            resource_type=resource_type,
            action=action,
            meta=dict(meta or {}),
        )
    )
