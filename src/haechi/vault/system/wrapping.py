"""sys/wrapping: answers that lie behind a token of one use."""

from __future__ import annotations

import json
from typing import Any

from haechi.vault.clock import render_time
from haechi.vault.errors import denied, invalid
from haechi.vault.logical import Request, Response, Route
from haechi.vault.system.base import CoreBackend
from haechi.vault.tokens import Token
from haechi.vault.wrapping import cubby

GONE = "wrapping token is not valid or does not exist"
TOKEN = {"token": "text"}


class WrappingPaths(CoreBackend):
    """Handlers. `free` where the wrapping token itself may be all that the caller has."""

    ROUTES = (
        Route("wrapping/wrap", {"update": "wrap_data", "read": "wrap_data"}, any_field=True),
        Route("wrapping/lookup", {"update": "look_up_wrapped", "read": "look_up_wrapped"}, TOKEN, free=True),
        Route("wrapping/unwrap", {"update": "unwrap"}, TOKEN, free=True),
        Route("wrapping/rewrap", {"update": "rewrap"}, TOKEN, free=True),
    )

    def wrap_data(self, request: Request) -> Response:
        if not request.wrap_ttl:
            raise invalid("endpoint requires response wrapping to be used")
        return Response(dict(request.data))

    def _wrapped(self, request: Request, may: str) -> tuple[Token, dict[str, Any]]:
        """The wrapping token that is meant and what lies behind it. A token in the body needs a caller who `may` do this."""
        named = request.values.get("token", "")
        if named and named != request.client_token and may:
            acl = self.access(request)
            if acl is None or not acl.check("update", may).allowed:
                raise denied() if request.token else invalid("missing client token")
        token = self.core.tokens.find(request.transaction, named or request.client_token, self.core.now())
        if token is None or "response-wrapping" not in token.policies:
            raise invalid(GONE)
        stored = request.transaction.get(cubby(token.id))
        if stored is None:
            raise invalid(GONE)
        return token, stored

    def look_up_wrapped(self, request: Request) -> Response:
        """Tells about it without using it up."""
        token, stored = self._wrapped(request, "")
        created = render_time(token.created)
        return Response({"creation_ttl": int(token.ttl), "creation_time": created, "creation_path": stored["path"]})

    def unwrap(self, request: Request) -> Response | None:
        """The answer as it was; the token is spent."""
        token, stored = self._wrapped(request, "sys/wrapping/unwrap")
        self.core.leases.revoke_token(request.transaction, token.id)
        answer: dict[str, Any] = json.loads(stored["response"])
        if all(not answer.get(key) for key in ("data", "auth", "lease_id", "warnings")):
            return None
        return Response(envelope={**answer, "request_id": request.id})

    def rewrap(self, request: Request) -> Response:
        """The same answer behind a new token, for as long as the old one was made for."""
        token, stored = self._wrapped(request, "sys/wrapping/rewrap")
        self.core.leases.revoke_token(request.transaction, token.id)
        request.wrap_ttl = token.ttl
        request.full_path = stored["path"]
        return Response(envelope=json.loads(stored["response"]))
