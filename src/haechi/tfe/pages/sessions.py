"""Who uses the pages: a session in a cookie, proof that a form came from our page, and a limit on guessing passwords."""

from __future__ import annotations

import hmac
import time
from collections import defaultdict, deque

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.access import create_token, find_caller, find_session, hash_token
from haechi.tfe.api.call import Services
from haechi.tfe.audit import record
from haechi.tfe.errors import ApiError
from haechi.tfe.passwords import check_password
from haechi.tfe.store import Tx, now, one

COOKIE = "tfe_session"
SECONDS = 12 * 3600.0
TRIES, TRIES_SECONDS, NAMES = 10, 300.0, 10_000


class Attempts:
    """Failed sign-ins per name, in this process: at most TRIES in TRIES_SECONDS."""

    def __init__(self) -> None:
        self._failed: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=TRIES))

    def check(self, name: str) -> None:
        """Raises ApiError 429 when there were too many."""
        times = self._failed.get(name, deque())
        if len(times) == TRIES and time.monotonic() - times[0] < TRIES_SECONDS:
            raise ApiError(429, "too many attempts", "Too many attempts for this name. Wait a few minutes.")

    def fail(self, name: str) -> None:
        """Count one."""
        if len(self._failed) >= NAMES:
            self._failed.clear()
        self._failed[name].append(time.monotonic())


def sign_in(services: Services, attempts: Attempts, name: str, secret: str) -> str | None:
    """A new session for a name with its password, or for a user's token; None when they are not right. Raises ApiError after too many."""
    attempts.check(name)
    with services.store.read() as tx:
        user_id = _by_token(tx, secret) if not name else _by_password(tx, name, secret)
    if user_id is None:
        attempts.fail(name)
        return None
    t = schema.tokens
    with services.store.write() as tx:
        tx.execute(sa.delete(t).where(t.c.kind == "session", t.c.expired_at <= now()))
        _, token = create_token(tx, "session", user_id=user_id, created_by=user_id, description="browser", expired_at=now(SECONDS))
        record(tx, find_session(tx, token), "sign_in", "user", user_id, None)
    return token


def _by_token(tx: Tx, token: str) -> str | None:
    try:
        caller = find_caller(tx, f"Bearer {token}")
    except ApiError:
        return None
    return caller.id if caller.kind == "user" else None


def _by_password(tx: Tx, name: str, password: str) -> str | None:
    u = schema.users
    user = one(tx, u, (u.c.username == name) | (u.c.email == name))
    good = check_password(password, user.password if user else "")
    return str(user.id) if user is not None and good else None


def sign_out(services: Services, token: str) -> None:
    """End a session."""
    t = schema.tokens
    with services.store.write() as tx:
        tx.execute(sa.delete(t).where(t.c.kind == "session", t.c.hash == hash_token(token)))


def form_proof(services: Services, token: str) -> str:
    """What every form of this session carries; only we can make it."""
    return services.signer.seal(f"form {token}")


def is_proof(services: Services, token: str, given: str) -> bool:
    """Whether a form came from a page of this session."""
    return hmac.compare_digest(form_proof(services, token).encode(), given.encode())
