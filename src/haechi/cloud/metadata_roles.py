"""Temporary credentials that instances find at the metadata service: sessions of their RAM role."""

from __future__ import annotations

import threading

from haechi.cloud.paging import iso_second
from haechi.cloud.products.sts.sessions import Session, issue_session
from haechi.cloud.store import Resource, Store

LASTS = 6 * 3600  # seconds
RENEWED_BEFORE = 1800


class RoleSessions:
    """Makes a session per instance and role and hands it out until half an hour before its end. May wait for the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Session] = {}

    def __call__(self, instance: Resource) -> dict[str, str] | None:
        """The document at ram/security-credentials/<role>; None when the role is gone."""
        view = self._store.view()
        role = next((r for r in view.find("ram_role") if r["RoleName"] == instance["RamRoleName"]), None)
        if role is None:
            return None
        with self._lock:
            now = self._store.now()
            for key in [k for k, s in self._made.items() if s.expires < now]:
                del self._made[key]
            session = self._made.get((instance.id, role.id))
            if session is None or session.expires - RENEWED_BEFORE < now:
                with self._store.write() as tx:
                    session = issue_session(tx, self._store, role, instance.id, LASTS)
                self._made[instance.id, role.id] = session
        return {
            "AccessKeyId": session.access_key,
            "AccessKeySecret": session.secret,
            "Expiration": iso_second(session.expires),
            "SecurityToken": session.token,
            "LastUpdated": iso_second(session.expires - LASTS),
            "Code": "Success",
        }
