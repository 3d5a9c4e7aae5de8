"""The logs of plans and applies: byte streams that begin with STX and end with ETX, both counted by offsets.

The terraform program asks for any offset and believes ETX: whatever it reads next must already be true when ETX is written.
"""

from __future__ import annotations

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.store import Tx

STX, ETX = b"\x02", b"\x03"
CHUNK = 64 << 10  # bytes
MOST = 64 << 20  # bytes of one log; what comes after is left out, and said


def create(tx: Tx, log_id: str) -> None:
    """An empty log."""
    tx.execute(schema.logs.insert().values(id=log_id, size=0, closed=False))


def size(tx: Tx, log_id: str) -> int:
    """Bytes by now, STX included."""
    return int(tx.execute(sa.select(schema.logs.c.size).where(schema.logs.c.id == log_id)).scalar_one_or_none() or 0)


def append(tx: Tx, log_id: str, data: bytes, close: bool = False) -> None:
    """Add bytes at the end; the first ones follow STX. `close` ends the log with ETX; a closed log stays as it is."""
    query = sa.select(schema.logs).where(schema.logs.c.id == log_id).with_for_update()
    found = tx.execute(query).one_or_none()
    if found is None or found.closed:  # deleted with its workspace, or ended by somebody else
        return
    # The two marks themselves may not come from a program's output: they would end the log at the client.
    data = data.replace(STX, b"").replace(ETX, b"")
    if found.size + len(data) > MOST and data:
        data = (
            b"" if found.size > MOST else b"\n(haechi: the log is longer than is kept; the rest is left out)\n" + b" " * (MOST - found.size)
        )
    data = (STX if found.size == 0 else b"") + data + (ETX if close else b"")
    for start in range(0, len(data), CHUNK):
        piece = data[start : start + CHUNK]
        tx.execute(schema.log_chunks.insert().values(log_id=log_id, offset=found.size + start, data=piece))
    tx.execute(sa.update(schema.logs).where(schema.logs.c.id == log_id).values(size=found.size + len(data), closed=close))


def read(tx: Tx, log_id: str, offset: int, limit: int) -> tuple[bytes, bool]:
    """(bytes from `offset`, whether nothing will ever follow them); at most `limit` bytes."""
    found = tx.execute(sa.select(schema.logs).where(schema.logs.c.id == log_id)).one_or_none()
    if found is None:
        return b"", True
    if offset >= found.size:
        return b"", found.closed
    c = schema.log_chunks
    first = sa.select(sa.func.max(c.c.offset)).where(c.c.log_id == log_id, c.c.offset <= offset).scalar_subquery()
    query = (
        sa.select(c.c.offset, c.c.data).where(c.c.log_id == log_id, c.c.offset >= first, c.c.offset < offset + limit).order_by(c.c.offset)
    )
    taken = b""
    for start, data in tx.execute(query):
        taken += bytes(data)[max(0, offset - start) :]
        if len(taken) >= limit:
            break
    taken = taken[:limit]
    return taken, found.closed and offset + len(taken) == found.size
