"""sys/leases and its older names, sys/locked-users."""

from __future__ import annotations

from haechi.vault.clock import render_time
from haechi.vault.errors import denied, invalid, not_found
from haechi.vault.leases import LeaseEntry
from haechi.vault.logical import Lease, Request, Response, Route, listing
from haechi.vault.store import PrefixView
from haechi.vault.system.base import TIDYING, CoreBackend
from haechi.vault.ttl import Limits, grant

RENEW = {"lease_id": "text", "url_lease_id": "text", "increment": "signed seconds"}
REVOKE = {"lease_id": "text", "url_lease_id": "text", "sync": "bool"}
PREFIX = {"prefix": "text", "sync": "bool"}


class LeasePaths(CoreBackend):
    """Handlers. Revocation is done before the answer in every case; 202 is what callers expect where they did not ask to wait."""

    ROUTES = (
        Route("leases/lookup", {"update": "look_up", "list": "list_leases", "read": "unknown"}, {"lease_id": "text"}),
        Route("leases/lookup/{prefix...}", {"list": "list_leases", "read": "unknown"}, sudo=True),
        *(
            route
            for base in ("leases/", "")
            for route in (
                Route(f"{base}renew", {"update": "renew_lease"}, RENEW),
                Route(f"{base}renew/{{id...}}", {"update": "renew_lease"}, RENEW),
                Route(f"{base}revoke", {"update": "revoke_lease"}, REVOKE),
                Route(f"{base}revoke-prefix/{{prefix...}}", {"update": "revoke_prefix"}, PREFIX, sudo=True),
                Route(f"{base}revoke-force/{{prefix...}}", {"update": "revoke_force"}, PREFIX, sudo=True),
                Route(f"{base}revoke/{{id...}}", {"update": "revoke_lease"}, REVOKE),
            )
        ),
        Route("leases/tidy", {"update": "tidy"}),
        Route("locked-users", {"read": "read_locked"}, {"mount_accessor": "text"}),
        Route("locked-users/{accessor}/unlock/{name...}", {"update": "unlock"}),
    )

    def _entry(self, request: Request, id: str = "") -> LeaseEntry:
        lease_id = id or request.values.get("lease_id", "") or request.values.get("url_lease_id", "")
        if not lease_id:
            raise invalid("lease_id must be specified")
        entry = self.core.leases.get(request.transaction, lease_id.strip("/"))
        if entry is None:
            raise invalid("invalid lease")
        return entry

    def look_up(self, request: Request) -> Response:
        entry, now = self._entry(request), self.core.now()
        return Response(
            {
                "id": entry.id,
                "issue_time": render_time(entry.issued),
                "expire_time": render_time(entry.expires),
                "last_renewal": render_time(entry.renewed) if entry.renewed else None,
                "renewable": entry.renewable,
                "ttl": max(int(entry.expires - now), 0),
            }
        )

    def unknown(self, request: Request, prefix: str = "") -> Response:
        raise not_found()

    def list_leases(self, request: Request, prefix: str = "") -> Response:
        """All of them, as those below a prefix, are for sudo; the route without a prefix is shared with the look-up of one."""
        acl = self.access(request)
        if acl is None or not acl.check("list", request.full_path.rstrip("/") + "/").sudo:
            raise denied()
        folder = prefix.strip("/")
        return listing(self.core.leases.list(request.transaction, f"{folder}/" if folder else ""))

    def renew_lease(self, request: Request, id: str = "") -> Response:
        entry = self._entry(request, id)
        if not entry.renewable:
            raise invalid("lease is not renewable")
        core, transaction, now = self.core, request.transaction, self.core.now()
        mount = core.mounts.by_accessor(entry.mount)
        if mount is None or entry.expires <= now:
            raise invalid("lease expired" if mount else "lease's mount is gone")
        wanted = Lease(request.values.get("increment", 0), entry.max_ttl, True, entry.data)
        lease = core.backend(mount).renew(PrefixView(transaction, mount.prefix), wanted)
        limits = Limits(core.default_ttl(mount), core.max_ttl(mount), max_ttl=lease.max_ttl)
        ttl, warnings = grant(limits, lease.ttl, entry.issued, now)
        entry.ttl, entry.expires, entry.renewed = ttl, now + ttl, now
        core.leases.save(transaction, entry)
        return Response(renewed=(entry.id, int(ttl), True), warnings=warnings)

    def revoke_lease(self, request: Request, id: str = "") -> Response | None:
        lease_id = id or request.values.get("lease_id", "") or request.values.get("url_lease_id", "")
        if not lease_id:
            raise invalid("lease_id must be specified")
        self.core.leases.revoke(request.transaction, lease_id.strip("/"))
        return _done(request)

    def revoke_prefix(self, request: Request, prefix: str) -> Response | None:
        return self._revoke_below(request, prefix, force=False)

    def revoke_force(self, request: Request, prefix: str) -> Response | None:
        self._revoke_below(request, prefix, force=True)
        return None

    def _revoke_below(self, request: Request, prefix: str, force: bool) -> Response | None:
        """Leases below a prefix, and tokens that were made below it."""
        if not prefix.strip("/"):
            raise invalid("prefix must be specified")
        core, transaction = self.core, request.transaction
        core.leases.revoke_prefix(transaction, prefix, force)
        if prefix.startswith("auth/"):
            for token in list(core.tokens.all(transaction)):
                if f"{token.path}/".startswith(prefix.rstrip("/") + "/"):
                    core.leases.revoke_token(transaction, token.id)
        return None if not force and request.values.get("sync", True) else _done(request)

    def tidy(self, request: Request) -> Response:
        """Nothing has to be tidied: a lease and its indexes are written together."""
        return Response(status=202, warnings=[TIDYING])

    def read_locked(self, request: Request) -> Response:
        wanted = request.values.get("mount_accessor", "")
        groups: list[dict[str, object]] = []
        total = 0
        for mount in self.core.mounts.all(auth=True):
            names: list[str] = sorted(getattr(self.core.backend(mount), "locked", list)())
            if names and wanted in ("", mount.accessor):
                total += len(names)
                groups.append({"mount_accessor": mount.accessor, "counts": len(names), "alias_identifiers": names})
        here = {"namespace_id": "root", "namespace_path": "", "counts": total, "mount_accessors": groups}
        return Response({"by_namespace": [here], "total": total})

    def unlock(self, request: Request, accessor: str, name: str) -> None:
        mount = self.core.mounts.by_accessor(accessor)
        if mount is not None:
            getattr(self.core.backend(mount), "unlock", lambda name: None)(name)


def _done(request: Request) -> Response | None:
    return None if request.values.get("sync", False) else Response(status=202)
