"""The audit trail. Not JSON:API, and only for an organization's token, as the vendor has it: a user's sees nothing.

https://developer.hashicorp.com/terraform/cloud-docs/api-docs/audit-trails
"""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.api.call import Answer, Call, Route
from haechi.tfe.jsonapi import Page

A = schema.audit
SIZE = 1000


def render_event(row: Row[Any]) -> dict[str, Any]:
    """One event."""
    auth = {"accessor_id": row.actor_id, "description": row.actor, "type": row.actor_type, "impersonator_id": None}
    return {
        "id": row.id,
        "version": "0",
        "type": "Resource",
        "timestamp": row.timestamp,
        "auth": {**auth, "organization_id": row.organization_id},
        "request": {"id": row.request_id or None},
        "resource": {"id": row.resource_id, "type": row.resource_type, "action": row.action, "meta": row.meta or None},
    }


def list_events(call: Call) -> Answer:
    """organization/audit-trail?since=, newest first"""
    page = Page(call.query, SIZE, SIZE)
    rows: list[Row[Any]] = []
    total = 0
    if call.caller.kind == "organization":
        where = sa.and_(A.c.organization_id == call.caller.id, A.c.timestamp > call.query.get("since", ""))
        with call.store.read() as tx:
            total = tx.execute(sa.select(sa.func.count()).select_from(A).where(where)).scalar_one()
            rows = list(tx.execute(sa.select(A).where(where).order_by(A.c.number.desc()).limit(page.size).offset(page.offset)))
    told = page.meta(total)["pagination"]
    pagination = {key.replace("-", "_"): value for key, value in told.items()}
    document = {"data": [render_event(row) for row in rows], "pagination": pagination | ({} if total else {"total_pages": 0})}
    return Answer(body=orjson.dumps(document), type="application/json")


ROUTES: list[Route] = [("GET", "/organization/audit-trail", list_events)]
