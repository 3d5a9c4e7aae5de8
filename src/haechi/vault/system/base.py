"""What the parts of the system backend share: a backend that is handed the whole core."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from haechi.vault.errors import invalid
from haechi.vault.logical import Backend, Request, Response

TIDYING = "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."

if TYPE_CHECKING:
    from haechi.vault.acl import ACL
    from haechi.vault.core import Core
    from haechi.vault.tokens import Token


class CoreBackend(Backend):
    """Built into Vault: may do more than the contract with other backends allows."""

    @property
    def core(self) -> Core:
        return cast("Core", self.services)

    def access(self, request: Request) -> ACL | None:
        """The access list of whoever asks; None without a token."""
        if request.token is None:
            return None
        return self.core.policies.access(request.transaction, request.token.policies)

    def by_accessor(self, request: Request) -> Token:
        """The living token whose accessor the request names. Raises VaultError 400."""
        accessor = request.values.get("accessor", "")
        if not accessor:
            raise invalid("missing accessor")
        token = self.core.tokens.find_accessor(request.transaction, accessor, self.core.now())
        if token is None:
            raise invalid("invalid accessor")
        return token


def top(data: dict[str, object]) -> Response:
    """Data that older clients look for beside the envelope's own keys."""
    return Response(dict(data), top=True)
