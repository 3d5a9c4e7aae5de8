"""sys/policies/acl, sys/policy, sys/capabilities*, sys/internal/ui: what tokens may do, and what they may see."""

from __future__ import annotations

from typing import Any

from haechi.vault.errors import VaultError, invalid, not_found
from haechi.vault.logical import Request, Response, Route
from haechi.vault.system.base import CoreBackend, top
from haechi.vault.system.mounts import render_mount
from haechi.vault.tokens import Token

PATHS = {"path": "list", "paths": "list"}


class PolicyPaths(CoreBackend):
    """Handlers; the older sys/policy says the same in other words."""

    ROUTES = (
        Route("policies/acl", {"list": "list_policies", "read": "list_policies"}),
        Route(
            "policies/acl/{name...}",
            {"read": "read_policy", "update": "write_policy", "delete": "delete_policy"},
            {"policy": "text", "name": "text"},
        ),
        Route("policy", {"list": "list_old_policies", "read": "list_old_policies"}),
        Route(
            "policy/{name...}",
            {"read": "read_old_policy", "update": "write_policy", "delete": "delete_policy"},
            {"policy": "text", "rules": "text", "name": "text"},
        ),
        Route("capabilities", {"update": "read_capabilities"}, {**PATHS, "token": "text"}),
        Route("capabilities-self", {"update": "read_own_capabilities"}, {**PATHS, "token": "text"}),
        Route("capabilities-accessor", {"update": "read_accessor_capabilities"}, {**PATHS, "accessor": "text"}),
        Route("internal/ui/mounts", {"read": "read_visible_mounts"}, free=True),
        Route("internal/ui/mounts/{place...}", {"read": "read_visible_mount"}, free=True),
        Route("internal/ui/resultant-acl", {"read": "read_resultant"}),
    )

    def list_policies(self, request: Request) -> Response:
        return Response({"keys": self.core.policies.names(request.transaction)})

    def list_old_policies(self, request: Request) -> Response:
        names = self.core.policies.names(request.transaction)
        return top({"keys": names, "policies": names})

    def read_policy(self, request: Request, name: str) -> Response:
        return Response({"name": name.lower(), "policy": self._text(request, name)})

    def read_old_policy(self, request: Request, name: str) -> Response:
        return top({"name": name.lower(), "rules": self._text(request, name)})

    def _text(self, request: Request, name: str) -> str:
        text = self.core.policies.text(request.transaction, name.lower())
        if text is None:
            raise not_found()
        return text

    def write_policy(self, request: Request, name: str) -> Response | None:
        text = request.values.get("policy") or request.values.get("rules") or ""
        if not name.strip("/"):
            raise invalid("policy name must be provided in the URL")
        if not text.strip():
            raise invalid("'policy' parameter not supplied or empty")
        self.core.policies.write(request.transaction, name.lower(), text)
        return Response(warnings=[f"policy name was converted to {name.lower()}"]) if name != name.lower() else None

    def delete_policy(self, request: Request, name: str) -> None:
        self.core.policies.delete(request.transaction, name.lower())

    # Capabilities.

    def read_capabilities(self, request: Request) -> Response:
        token = self.core.tokens.find(request.transaction, request.values.get("token", ""), self.core.now())
        if token is None:
            raise invalid("invalid token")
        return self._capabilities(request, token)

    def read_own_capabilities(self, request: Request) -> Response:
        assert request.token is not None
        return self._capabilities(request, request.token)

    def read_accessor_capabilities(self, request: Request) -> Response:
        return self._capabilities(request, self.by_accessor(request))

    def _capabilities(self, request: Request, token: Token) -> Response:
        paths = request.values.get("paths") or request.values.get("path")
        if not paths:
            raise invalid("paths must be supplied")
        acl = self.core.policies.access(request.transaction, token.policies)
        found: dict[str, object] = {path: acl.capabilities(path.lstrip("/")) for path in paths}
        return top(found | ({"capabilities": found[paths[0]]} if len(paths) == 1 else {}))

    # What is to be seen.

    def read_visible_mounts(self, request: Request) -> Response:
        """Mounts that the token can reach; without one those that were tuned to be listed."""
        acl = self.access(request)
        shown: dict[str, dict[str, Any]] = {"auth": {}, "secret": {}}
        for mount in self.core.mounts.all():
            place = shown["auth" if mount.auth else "secret"]
            if acl is not None and (acl.root or acl.may_see_mount(mount.path)):
                place[mount.path.removeprefix("auth/")] = render_mount(mount)
            elif mount.config.get("listing_visibility") == "unauth":
                brief = {"type": mount.type, "description": mount.description, "options": mount.options}
                place[mount.path.removeprefix("auth/")] = brief
        return Response(dict(shown))

    def read_visible_mount(self, request: Request, place: str) -> Response:
        """The mount that answers for a path: clients ask before they read a secret."""
        mount, acl = self.core.mounts.find(place.strip("/")), self.access(request)
        if mount is None or acl is None or not (acl.root or acl.may_see_mount(mount.path)):
            raise VaultError(
                403, f'preflight capability check returned 403, please ensure client\'s policies grant access to path "{place.strip("/")}/"'
            )
        return Response({**render_mount(mount), "path": mount.path})

    def read_resultant(self, request: Request) -> Response:
        acl = self.access(request)
        assert acl is not None
        return Response(acl.resultant())
