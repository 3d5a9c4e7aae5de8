"""Following a log: the answer waits until there is something to read, so a client sees a line about when terraform prints it."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response

from haechi.tfe.api.call import Services
from haechi.tfe.runs import logs
from haechi.tfe.store import LOOK_SECONDS

HOLD_SECONDS = 10.0  # at most; clients ask again
MOST = 64 << 10  # bytes of one answer


async def follow_log(services: Services, request: Request, log_id: str) -> Response:
    """Bytes from `offset`, at most `limit`; empty when nothing came in time or nothing will come any more."""
    offset = _number(request.query_params.get("offset", ""), 0)
    limit = min(_number(request.query_params.get("limit", ""), MOST) or MOST, MOST)
    deadline = time.monotonic() + HOLD_SECONDS
    with services.store.bell.following(log_id) as rung:
        while True:
            rung.clear()
            data, ended = await asyncio.to_thread(_read, services, log_id, offset, limit)
            left = deadline - time.monotonic()
            if data or ended or left <= 0 or await request.is_disconnected():
                return Response(data, media_type="text/plain", headers={"Cache-Control": "no-store"})
            try:
                await asyncio.wait_for(rung.wait(), min(left, LOOK_SECONDS))
            except TimeoutError:
                continue


def _read(services: Services, log_id: str, offset: int, limit: int) -> tuple[bytes, bool]:
    with services.store.read() as tx:
        return logs.read(tx, log_id, offset, limit)


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else default
